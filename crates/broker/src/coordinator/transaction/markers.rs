//! A decision is carried out: each partition of the transaction gets a marker. Only when all have
//! theirs the transaction is over. What could not be written is written again, for as long as it
//! takes.

use std::{sync::Arc, time::Duration};

use milena_metadata::image::MetadataImage;
use milena_protocol::{ErrorCode, ProducerEpoch, ProducerId};

use super::{Entry, Scene, Transaction, TransactionError, Transactions, Transition, Verdict};

/// The pause before markers are written again; each is twice the one before.
const PAUSE_MIN: Duration = Duration::from_millis(20);
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// What a core asks to be done once its records are committed, and is told the result of.
#[derive(Debug)]
pub(crate) enum Action {
    /// [`Transactions::markers_written`] tells.
    WriteMarkers(Ending),
    /// [`Transactions::abort_timed_out`] brings it: the epochs of this producer are used up.
    BringProducerId { id: Arc<str>, producer_id: ProducerId, epoch: ProducerEpoch },
}

/// The markers that are to end a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ending {
    pub(crate) id: Arc<str>,
    /// By which it is told from what was asked for before, of this transaction or of another one.
    ticket: u64,
    pub(crate) producer_id: ProducerId,
    pub(crate) epoch: ProducerEpoch,
    pub(crate) version: i16,
    pub(crate) verdict: Verdict,
    pub(crate) partitions: Vec<(Box<str>, i32)>,
}

/// Partitions that are not known to have their marker.
#[derive(Debug, Default)]
pub(super) struct Unwritten {
    partitions: Vec<(Box<str>, i32)>,
    tries: u32,
    /// Of what was asked for last.
    ticket: u64,
}

impl Unwritten {
    pub(super) fn of(transaction: &Transaction) -> Self {
        if transaction.state.decision().is_none() {
            return Self::default();
        }
        let partitions = transaction.partitions.iter().flat_map(|(topic, partitions)| {
            partitions.iter().map(|partition| (topic.clone(), *partition))
        });
        Self { partitions: partitions.collect(), ..Self::default() }
    }

    pub(super) const fn count(&self) -> usize {
        self.partitions.len()
    }
}

impl Transactions {
    /// Has markers written where a decision is made; one that concerns no partition is carried out.
    pub(super) fn carry_out(&mut self, id: &str, scene: &mut Scene<'_>) {
        let Some((id, entry)) = self.ids.get_key_value(id) else { return };
        let Some(verdict) = entry.transaction.state.decision() else { return };
        let id = Arc::clone(id);
        if entry.unwritten.partitions.is_empty() {
            let next = entry.transaction.completed(verdict, scene.now.wall_ms);
            match self.change(&id, &next, scene) {
                Ok(()) => scene.count(Transition::TransactionCompleted),
                Err(error) => {
                    tracing::warn!(%id, %error, "the end of a transaction not noted yet");
                    self.try_later(&id, scene);
                }
            }
            return;
        }
        let Some(Entry { transaction, unwritten, .. }) = self.ids.get_mut(&id) else { return };
        unwritten.ticket = scene.random.next_u64();
        let is_first = unwritten.tries == 0;
        scene.count(if is_first { Transition::MarkersAsked } else { Transition::MarkersAgain });
        scene.effects.act(Action::WriteMarkers(Ending {
            ticket: unwritten.ticket,
            producer_id: transaction.producer_id,
            epoch: transaction.epoch,
            version: transaction.version,
            verdict,
            partitions: unwritten.partitions.clone(),
            id,
        }));
    }

    /// Goes on with a decision that was read. Nothing is written meanwhile: a core has to begin
    /// also while its disk is full.
    pub(super) fn carry_out_after_load(&mut self, id: &Arc<str>, scene: &mut Scene<'_>) {
        match self.ids.get(id) {
            Some(entry) if entry.unwritten.partitions.is_empty() => self.try_later(id, scene),
            _ => self.carry_out(id, scene),
        }
    }

    /// Whether these markers are still to be written. What was asked for by a core that is gone is
    /// not: another has asked again, and the id's next transaction may have begun since.
    pub(crate) fn is_wanted(&self, ending: &Ending) -> bool {
        self.ids.get(&ending.id).is_some_and(|entry| {
            entry.transaction.state.decision() == Some(ending.verdict)
                && entry.unwritten.ticket == ending.ticket
        })
    }

    /// The markers are where they belong, but for the partitions that `failed`.
    pub(crate) fn markers_written(
        &mut self,
        ending: &Ending,
        failed: &[(Box<str>, i32, ErrorCode)],
        scene: &mut Scene<'_>,
    ) {
        if !self.is_wanted(ending) {
            return;
        }
        let Some(entry) = self.ids.get_mut(&ending.id) else { return };
        let still = failed.iter().filter(|(topic, partition, code)| {
            let is_over = is_over(*code, scene.image, topic, *partition);
            tracing::debug!(id = %ending.id, topic, partition, ?code, is_over, "no marker");
            !is_over
        });
        let still = still.map(|(topic, partition, _)| (topic.clone(), *partition));
        entry.unwritten.partitions = still.collect();
        if entry.unwritten.partitions.is_empty() {
            self.carry_out(&ending.id, scene);
        } else {
            self.try_later(&ending.id, scene);
        }
    }

    fn try_later(&mut self, id: &Arc<str>, scene: &Scene<'_>) {
        let Some(entry) = self.ids.get_mut(id) else { return };
        let unwritten = &mut entry.unwritten;
        let pause = PAUSE_MIN.saturating_mul(1 << unwritten.tries.min(16)).min(PAUSE_MAX);
        unwritten.tries += 1;
        self.retries.insert((scene.now.elapsed + pause, Arc::clone(id)));
    }

    pub(super) fn write_markers_again(&mut self, scene: &mut Scene<'_>) {
        while self.retries.first().is_some_and(|(at, _)| *at <= scene.now.elapsed) {
            let Some((_, id)) = self.retries.pop_first() else { return };
            self.carry_out(&id, scene);
            scene.effects.may_cut();
        }
    }

    /// Aborts a transaction that ran out of time; the producer id was asked for when it was found.
    pub(crate) fn abort_timed_out(
        &mut self,
        id: &str,
        producer: (ProducerId, ProducerEpoch),
        unused: Option<ProducerId>,
        scene: &mut Scene<'_>,
    ) -> Result<(), TransactionError> {
        let Some(known) = self.get(id).cloned() else { return Ok(()) };
        let is_asked = (known.producer_id, known.epoch) == producer;
        if is_asked && known.is_timed_out(scene.now.wall_ms) {
            tracing::info!(id, producer = %known.producer_id, "transaction aborted: out of time");
            self.fence(id, &known, unused, scene)?;
            scene.count(Transition::TransactionTimedOut);
        }
        Ok(())
    }
}

/// Whether a partition without a marker needs none.
fn is_over(code: ErrorCode, image: &MetadataImage, topic: &str, partition: i32) -> bool {
    match code {
        // It was deleted, and with it what the transaction wrote.
        ErrorCode::UnknownTopicOrPartition => {
            image.topics.by_name(topic).and_then(|topic| topic.partition(partition)).is_none()
        }
        // A newer epoch of the producer has ended the transaction there: an operator's work. And a
        // log that cannot have markers has no transaction.
        ErrorCode::InvalidProducerEpoch
        | ErrorCode::UnsupportedForMessageFormat
        | ErrorCode::UnsupportedVersion => true,
        _ => false,
    }
}

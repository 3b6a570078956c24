//! InitProducerId: a producer comes under a transactional id. Whoever came before it is fenced, and
//! what they left unfinished is aborted first.

use milena_config::ServerConfig;
use milena_protocol::{ProducerEpoch, ProducerId};

use super::{
    Scene, State, TransactionError, Transactions, Transition,
    entry::{NO_TIMEOUT, Transaction, is_exhausted},
};

#[derive(Clone, Copy, Debug)]
pub(crate) struct InitRequest<'a> {
    pub(crate) transactional_id: &'a str,
    pub(crate) timeout_ms: i32,
    pub(crate) enables_two_phase_commit: bool,
    pub(crate) keeps_prepared: bool,
    /// What the producer believes to be (KIP-360): somebody else must not have come meanwhile.
    pub(crate) expected: Option<Initialized>,
}

/// What a producer is from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Initialized {
    pub(crate) producer_id: ProducerId,
    pub(crate) epoch: ProducerEpoch,
}

impl InitRequest<'_> {
    /// What is wrong with it, whatever the state of its id.
    pub(super) fn check(&self, config: &ServerConfig) -> Result<(), TransactionError> {
        let limits = &config.transactions;
        if self.transactional_id.is_empty() {
            Err(TransactionError::InvalidRequest)
        } else if self.enables_two_phase_commit && !limits.two_phase_commit {
            Err(TransactionError::TwoPhaseCommitDisabled)
        } else if self.keeps_prepared {
            Err(TransactionError::KeepsNothingPrepared)
        } else if !self.enables_two_phase_commit
            && !(1..=limits.timeout_ms_max).contains(&self.timeout_ms)
        {
            Err(TransactionError::InvalidTransactionTimeout)
        } else {
            Ok(())
        }
    }
}

impl Transactions {
    /// `unused` is a producer id that nobody has had, where one is at hand.
    pub(crate) fn init(
        &mut self,
        request: &InitRequest<'_>,
        unused: Option<ProducerId>,
        scene: &mut Scene<'_>,
    ) -> Result<Initialized, TransactionError> {
        self.try_init(request, unused, scene).map_err(|error| error.counted(scene))
    }

    fn try_init(
        &mut self,
        request: &InitRequest<'_>,
        unused: Option<ProducerId>,
        scene: &mut Scene<'_>,
    ) -> Result<Initialized, TransactionError> {
        let id = request.transactional_id;
        let known = match self.get(id) {
            Some(known) => known.clone(),
            None => Transaction::new(unused.ok_or(TransactionError::NoProducerId)?),
        };
        if known.state.decision().is_some() {
            return Err(TransactionError::ConcurrentTransactions);
        }
        if request.expected.is_some_and(|expected| !may_be(&known, expected)) {
            return Err(TransactionError::ProducerFenced);
        }
        if known.state == State::Ongoing {
            self.fence(id, &known, unused, scene)?;
            scene.count(Transition::TransactionReplaced);
            // The producer comes again when that is done.
            return Err(TransactionError::ConcurrentTransactions);
        }
        let next = begin(&known, request, unused, scene.now.wall_ms)?;
        self.change(id, &next, scene)?;
        let is_new = known.epoch == ProducerEpoch::NONE;
        scene.count(if is_new { Transition::ProducerNew } else { Transition::ProducerAgain });
        let Transaction { producer_id, epoch, .. } = next;
        tracing::info!(id, producer = %producer_id, %epoch, "producer initialized");
        Ok(Initialized { producer_id, epoch })
    }
}

/// Whether the producer may be the one that is known: its epoch is looked at later.
fn may_be(known: &Transaction, expected: Initialized) -> bool {
    known.epoch == ProducerEpoch::NONE
        || expected.producer_id == known.producer_id
        || (expected.producer_id == known.previous_producer_id && is_exhausted(expected.epoch))
}

fn begin(
    known: &Transaction,
    request: &InitRequest<'_>,
    unused: Option<ProducerId>,
    now_ms: i64,
) -> Result<Transaction, TransactionError> {
    let timeout_ms = if request.enables_two_phase_commit { NO_TIMEOUT } else { request.timeout_ms };
    let expected = request.expected.map(|expected| expected.epoch);
    let is_current = |epoch| known.epoch == ProducerEpoch::NONE || epoch == known.epoch;
    if expected.is_none_or(is_current) {
        let last_epoch = if expected.is_some() { known.epoch } else { ProducerEpoch::NONE };
        if known.is_epoch_exhausted() {
            let producer_id = unused.ok_or(TransactionError::NoProducerId)?;
            let begun = known.begun(ProducerEpoch(0), timeout_ms, now_ms);
            return Ok(Transaction { producer_id, last_epoch, ..begun });
        }
        let begun = known.begun(known.next_epoch(), timeout_ms, now_ms);
        Ok(Transaction { last_epoch, ..begun })
    } else if expected == Some(known.last_epoch) {
        // The same request once more, whose answer was lost. Nobody else has come since: who comes
        // without an expectation leaves no last epoch.
        Ok(known.begun(known.epoch, timeout_ms, now_ms))
    } else {
        Err(TransactionError::ProducerFenced)
    }
}

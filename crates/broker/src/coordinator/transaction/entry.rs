//! What is known of one transactional id, and what its next state would be. Nothing here changes
//! anything: a next state becomes true by its record alone.

use std::collections::{BTreeMap, BTreeSet};

use milena_protocol::{
    ProducerEpoch, ProducerId,
    transaction::{TransactionLogValue, transaction_log::value::PartitionsSchema},
};

use super::state::{State, Verdict};

/// Partitions by their topics' names.
pub(crate) type Partitions = BTreeMap<Box<str>, BTreeSet<i32>>;

/// Since this transaction version, each transaction has an epoch of its own (KIP-890).
pub(crate) const EPOCH_PER_TRANSACTION: i16 = 2;

/// The timeout of a transaction that is ended from outside, and by no timeout.
pub(crate) const NO_TIMEOUT: i32 = i32::MAX;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Transaction {
    pub(crate) producer_id: ProducerId,
    /// The one before the last change of state: another one only after the epochs were used up.
    pub(crate) previous_producer_id: ProducerId,
    /// The one from the end of this transaction on, where it is another one.
    pub(crate) next_producer_id: ProducerId,
    pub(crate) epoch: ProducerEpoch,
    /// From which the producer itself came to its epoch. It is in no record, as in Kafka: a retry
    /// that asks a new coordinator is fenced.
    pub(crate) last_epoch: ProducerEpoch,
    pub(crate) timeout_ms: i32,
    pub(crate) state: State,
    pub(crate) partitions: Partitions,
    /// -1 where there was no transaction since the producer was given its epoch.
    pub(crate) start_ms: i64,
    pub(crate) update_ms: i64,
    /// The transaction version of whoever made the last change.
    pub(crate) version: i16,
}

impl Transaction {
    /// An id that nobody has used, before its producer has an epoch.
    pub(super) fn new(producer_id: ProducerId) -> Self {
        Self {
            producer_id,
            previous_producer_id: ProducerId::NONE,
            next_producer_id: ProducerId::NONE,
            epoch: ProducerEpoch::NONE,
            last_epoch: ProducerEpoch::NONE,
            timeout_ms: 0,
            state: State::Empty,
            partitions: Partitions::new(),
            start_ms: -1,
            update_ms: -1,
            version: 0,
        }
    }

    /// Whether the epoch that follows could not be fenced by yet another one.
    pub(super) const fn is_epoch_exhausted(&self) -> bool {
        is_exhausted(self.epoch)
    }

    /// The producer begins anew, with this epoch.
    pub(super) fn begun(&self, epoch: ProducerEpoch, timeout_ms: i32, now_ms: i64) -> Self {
        Self {
            previous_producer_id: self.producer_id,
            epoch,
            timeout_ms,
            state: State::Empty,
            partitions: Partitions::new(),
            start_ms: -1,
            update_ms: now_ms,
            ..self.clone()
        }
    }

    /// The transaction with more partitions; the first ones begin it.
    pub(super) fn with_partitions<'a>(
        &self,
        more: impl IntoIterator<Item = (&'a str, i32)>,
        version: i16,
        now_ms: i64,
    ) -> Self {
        let mut next = Self {
            previous_producer_id: self.producer_id,
            state: State::Ongoing,
            start_ms: if self.state == State::Ongoing { self.start_ms } else { now_ms },
            update_ms: now_ms,
            version,
            ..self.clone()
        };
        for (topic, partition) in more {
            match next.partitions.get_mut(topic) {
                Some(partitions) => {
                    partitions.insert(partition);
                }
                None => {
                    next.partitions.insert(topic.into(), BTreeSet::from([partition]));
                }
            }
        }
        next
    }

    /// The decision is made. `next_producer_id` is the producer's from the end on, or none if it
    /// stays what it is.
    pub(super) fn decided(
        &self,
        verdict: Verdict,
        version: i16,
        next_producer_id: ProducerId,
        now_ms: i64,
    ) -> Self {
        let is_bumped = version >= EPOCH_PER_TRANSACTION;
        Self {
            previous_producer_id: self.producer_id,
            next_producer_id,
            epoch: if is_bumped { self.next_epoch() } else { self.epoch },
            last_epoch: if is_bumped { self.epoch } else { self.last_epoch },
            state: verdict.prepared(),
            // One that had no partition yet has no other beginning.
            start_ms: if self.state == State::Ongoing { self.start_ms } else { now_ms },
            update_ms: now_ms,
            version,
            ..self.clone()
        }
    }

    /// All markers are written.
    pub(super) fn completed(&self, verdict: Verdict, now_ms: i64) -> Self {
        let is_replaced =
            self.next_producer_id != ProducerId::NONE && self.version >= EPOCH_PER_TRANSACTION;
        Self {
            producer_id: if is_replaced { self.next_producer_id } else { self.producer_id },
            previous_producer_id: self.producer_id,
            next_producer_id: ProducerId::NONE,
            epoch: if is_replaced { ProducerEpoch(0) } else { self.epoch },
            state: verdict.completed(),
            partitions: Partitions::new(),
            update_ms: now_ms,
            ..self.clone()
        }
    }

    /// The next epoch; the last one there is stays, so that it can at least be ended.
    pub(super) const fn next_epoch(&self) -> ProducerEpoch {
        ProducerEpoch(self.epoch.0.saturating_add(1))
    }

    pub(crate) fn has(&self, topic: &str, partition: i32) -> bool {
        self.partitions.get(topic).is_some_and(|partitions| partitions.contains(&partition))
    }

    pub(super) fn read(value: &TransactionLogValue<'_>, state: State) -> Self {
        let mut partitions = Partitions::new();
        for topic in value.transaction_partitions.iter().flatten() {
            partitions.entry(topic.topic.into()).or_default().extend(&topic.partition_ids);
        }
        Self {
            producer_id: ProducerId(value.producer_id),
            previous_producer_id: ProducerId(value.previous_producer_id),
            next_producer_id: ProducerId(value.next_producer_id),
            epoch: ProducerEpoch(value.producer_epoch),
            last_epoch: ProducerEpoch::NONE,
            timeout_ms: value.transaction_timeout_ms,
            state,
            partitions,
            start_ms: value.transaction_start_timestamp_ms,
            update_ms: value.transaction_last_update_timestamp_ms,
            version: value.client_transaction_version,
        }
    }

    pub(super) fn value(&self) -> TransactionLogValue<'_> {
        let partitions = self.partitions.iter().map(|(topic, partitions)| PartitionsSchema {
            topic,
            partition_ids: partitions.iter().copied().collect(),
        });
        TransactionLogValue {
            producer_id: self.producer_id.0,
            previous_producer_id: self.previous_producer_id.0,
            next_producer_id: self.next_producer_id.0,
            producer_epoch: self.epoch.0,
            transaction_timeout_ms: self.timeout_ms,
            transaction_status: self.state.number(),
            // Kafka has none at all where there was no transaction.
            transaction_partitions: (self.state != State::Empty).then(|| partitions.collect()),
            transaction_last_update_timestamp_ms: self.update_ms,
            transaction_start_timestamp_ms: self.start_ms,
            client_transaction_version: self.version,
            ..TransactionLogValue::default()
        }
    }
}

/// The last epoch but one: whoever has it can still be fenced, and nobody gets the last one.
pub(super) const LAST_EPOCH: ProducerEpoch = ProducerEpoch(i16::MAX - 1);

pub(super) const fn is_exhausted(epoch: ProducerEpoch) -> bool {
    epoch.0 >= LAST_EPOCH.0
}

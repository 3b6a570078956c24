//! A transaction gets partitions: a client says so before it writes to them (AddPartitionsToTxn,
//! AddOffsetsToTxn), or the partitions' leader does in its stead when it writes (KIP-890).

use super::{Producer, Scene, State, Transaction, TransactionError, Transactions, Transition};

/// Partitions that a producer wants to write to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Adding<'a> {
    pub(crate) producer: Producer<'a>,
    pub(crate) partitions: &'a [(&'a str, i32)],
    /// The transaction version of the client.
    pub(crate) version: i16,
}

impl Transactions {
    pub(crate) fn add(
        &mut self,
        adding: &Adding<'_>,
        scene: &mut Scene<'_>,
    ) -> Result<(), TransactionError> {
        self.try_add(adding, scene).map_err(|error| error.counted(scene))
    }

    fn try_add(
        &mut self,
        adding: &Adding<'_>,
        scene: &mut Scene<'_>,
    ) -> Result<(), TransactionError> {
        let Adding { producer, partitions, version } = *adding;
        let id = producer.transactional_id;
        if id.is_empty() {
            return Err(TransactionError::InvalidRequest);
        }
        let known = self.get(id).ok_or(TransactionError::InvalidProducerIdMapping)?;
        // Before the rest: the producer may be one that the end of the last transaction makes.
        if known.state.decision().is_some() {
            return Err(TransactionError::ConcurrentTransactions);
        }
        known.check_producer(&producer)?;
        let has_all = partitions.iter().all(|(topic, partition)| known.has(topic, *partition));
        if known.state == State::Ongoing && has_all {
            return Ok(());
        }
        let begins = known.state != State::Ongoing;
        let partitions = partitions.iter().copied();
        let next = known.with_partitions(partitions, version, scene.now.wall_ms);
        self.change(id, &next, scene)?;
        if begins {
            scene.count(Transition::TransactionBegun);
        }
        Ok(())
    }

    /// Whether each of the partitions is part of the producer's transaction.
    pub(crate) fn verify(
        &self,
        producer: &Producer<'_>,
        partitions: &[(&str, i32)],
        scene: &Scene<'_>,
    ) -> Result<Vec<bool>, TransactionError> {
        let verified = self.try_verify(producer, partitions);
        let verified = verified.map_err(|error| error.counted(scene))?;
        let failed = verified.iter().filter(|is_part| !**is_part);
        failed.for_each(|_| scene.count(Transition::VerificationFailed));
        Ok(verified)
    }

    fn try_verify(
        &self,
        producer: &Producer<'_>,
        partitions: &[(&str, i32)],
    ) -> Result<Vec<bool>, TransactionError> {
        if producer.transactional_id.is_empty() {
            return Err(TransactionError::InvalidRequest);
        }
        let known = self
            .get(producer.transactional_id)
            .ok_or(TransactionError::InvalidProducerIdMapping)?;
        known.check_producer(producer)?;
        if known.state.decision().is_some() {
            return Err(TransactionError::ConcurrentTransactions);
        }
        Ok(partitions.iter().map(|(topic, partition)| known.has(topic, *partition)).collect())
    }
}

impl Transaction {
    /// Whether it is this producer's, and no other's since.
    fn check_producer(&self, producer: &Producer<'_>) -> Result<(), TransactionError> {
        if self.producer_id != producer.id {
            return Err(TransactionError::InvalidProducerIdMapping);
        }
        if self.epoch != producer.epoch {
            return Err(TransactionError::ProducerFenced);
        }
        Ok(())
    }
}

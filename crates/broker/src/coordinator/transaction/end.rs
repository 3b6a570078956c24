//! EndTxn: the decision, made once and for all by its record. What follows from it is in
//! `markers`.
//!
//! Since transaction version 2 each decision bumps the epoch, so a request belongs to one
//! transaction alone: one that comes late or twice is told from the next one (KAFKA-17754).

use milena_protocol::{ProducerEpoch, ProducerId};

use super::{
    EPOCH_PER_TRANSACTION, Producer, Scene, State, TRANSACTION_VERSION, Transaction,
    TransactionError, Transactions, Transition, Verdict, entry::LAST_EPOCH,
};

#[derive(Clone, Copy, Debug)]
pub(crate) struct EndRequest<'a> {
    pub(crate) producer: Producer<'a>,
    pub(crate) verdict: Verdict,
    /// The transaction version of the client.
    pub(crate) version: i16,
}

/// What the producer is in its next transaction; none where it stays what it was, and is not told.
pub(crate) type Ended = Option<(ProducerId, ProducerEpoch)>;

/// What a request comes to in the state that its id is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Decide,
    /// It was decided so before, and this is the same request again.
    Again,
}

impl Transactions {
    /// `unused` is a producer id that nobody has had, where one is at hand.
    pub(crate) fn end(
        &mut self,
        request: &EndRequest<'_>,
        unused: Option<ProducerId>,
        scene: &mut Scene<'_>,
    ) -> Result<Ended, TransactionError> {
        self.try_end(request, unused, scene).map_err(|error| error.counted(scene))
    }

    fn try_end(
        &mut self,
        request: &EndRequest<'_>,
        unused: Option<ProducerId>,
        scene: &mut Scene<'_>,
    ) -> Result<Ended, TransactionError> {
        let id = request.producer.transactional_id;
        if id.is_empty() {
            return Err(TransactionError::InvalidRequest);
        }
        let known = self.get(id).ok_or(TransactionError::InvalidProducerIdMapping)?;
        let is_bumped = request.version >= EPOCH_PER_TRANSACTION;
        let step = if is_bumped { known.step(request) } else { known.step_before_2(request) };
        let (next, ended) = match step? {
            Step::Again if is_bumped => return Ok(Some((known.producer_id, known.epoch))),
            Step::Again => return Ok(None),
            Step::Decide if is_bumped => {
                let next_id = known.next_producer_id(unused)?;
                let now = scene.now.wall_ms;
                let next = known.decided(request.verdict, request.version, next_id, now);
                let ended = next.completed(request.verdict, now);
                (next, Some((ended.producer_id, ended.epoch)))
            }
            Step::Decide => {
                let now = scene.now.wall_ms;
                (known.decided(request.verdict, 0, ProducerId::NONE, now), None)
            }
        };
        self.change(id, &next, scene)?;
        scene.count(match request.verdict {
            Verdict::Commit => Transition::TransactionCommitted,
            Verdict::Abort => Transition::TransactionAborted,
        });
        Ok(ended)
    }

    /// Aborts the transaction of `known`, whose producer may write nothing more: its epoch is over.
    pub(super) fn fence(
        &mut self,
        id: &str,
        known: &Transaction,
        unused: Option<ProducerId>,
        scene: &mut Scene<'_>,
    ) -> Result<(), TransactionError> {
        let level = scene.image.features.level(TRANSACTION_VERSION);
        let now = scene.now.wall_ms;
        let next = if level >= EPOCH_PER_TRANSACTION {
            known.decided(Verdict::Abort, level, known.next_producer_id(unused)?, now)
        } else {
            Transaction {
                epoch: known.next_epoch(),
                last_epoch: ProducerEpoch::NONE,
                ..known.decided(Verdict::Abort, 0, ProducerId::NONE, now)
            }
        };
        self.change(id, &next, scene)
    }
}

impl Transaction {
    /// The producer's id after a transaction that bumps the epoch; none while it keeps its own.
    fn next_producer_id(&self, unused: Option<ProducerId>) -> Result<ProducerId, TransactionError> {
        match (self.is_epoch_exhausted(), unused) {
            (false, _) => Ok(ProducerId::NONE),
            (true, Some(unused)) => Ok(unused),
            (true, None) => Err(TransactionError::NoProducerId),
        }
    }

    fn step(&self, request: &EndRequest<'_>) -> Result<Step, TransactionError> {
        let Producer { id, epoch, .. } = request.producer;
        // Before the rest: the producer may be one that the end of this transaction makes.
        if self.state.decision().is_some() {
            return Err(TransactionError::ConcurrentTransactions);
        }
        let is_over = self.previous_producer_id == id
            && epoch == LAST_EPOCH
            && self.epoch == ProducerEpoch(0);
        if self.producer_id != id && !is_over {
            return Err(TransactionError::InvalidProducerIdMapping);
        }
        let is_current = self.producer_id == id && epoch == self.epoch;
        let is_retry =
            is_over || self.producer_id == id && epoch.0.checked_add(1) == Some(self.epoch.0);
        match (self.state, request.verdict) {
            (State::Ongoing, _) if is_current => Ok(Step::Decide),
            (State::CompleteCommit, Verdict::Commit) if is_retry => Ok(Step::Again),
            (State::CompleteAbort, Verdict::Abort) if is_retry => Ok(Step::Again),
            // Who is not sure whether anything was begun may abort it.
            (State::Empty | State::CompleteCommit | State::CompleteAbort, Verdict::Abort)
                if is_current =>
            {
                Ok(Step::Decide)
            }
            (State::Empty, Verdict::Commit) if is_current => Err(TransactionError::InvalidTxnState),
            (State::CompleteCommit | State::CompleteAbort, _) if is_current || is_retry => {
                Err(TransactionError::InvalidTxnState)
            }
            _ => Err(TransactionError::ProducerFenced),
        }
    }

    /// The same before version 2: a producer keeps its epoch, and a retry cannot be told from the
    /// end of the next transaction.
    fn step_before_2(&self, request: &EndRequest<'_>) -> Result<Step, TransactionError> {
        if self.producer_id != request.producer.id {
            return Err(TransactionError::InvalidProducerIdMapping);
        }
        if self.epoch != request.producer.epoch {
            return Err(TransactionError::ProducerFenced);
        }
        match (self.state, request.verdict) {
            (State::Ongoing, _) => Ok(Step::Decide),
            (State::PrepareCommit | State::PrepareAbort, _) => {
                Err(TransactionError::ConcurrentTransactions)
            }
            (State::CompleteCommit, Verdict::Commit) | (State::CompleteAbort, Verdict::Abort) => {
                Ok(Step::Again)
            }
            _ => Err(TransactionError::InvalidTxnState),
        }
    }
}

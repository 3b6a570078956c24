//! Where a transactional producer stands: which calls are allowed, which partitions are part of
//! the transaction, and what a failure means for it.
//!
//! Since transaction version 2 (KIP-890) partitions become part of a transaction by being written
//! to, and every end of a transaction gives the producer another epoch. Before that, partitions
//! are added by a request of their own, and the epoch is raised only after a failure.

use std::{collections::BTreeSet, sync::Arc};

use milena_protocol::ErrorCode;

use super::{Accumulator, Finished, Identification, Identity};
use crate::{
    error::{Error, Remedy, Result},
    producer::batch::Place,
};

/// What the producer may do next.
#[derive(Debug)]
enum Phase {
    /// Nobody knows the producer yet.
    New,
    /// No transaction is open.
    Ready,
    Open,
    /// It is being ended; true commits it. The call may be made again if it was given up.
    Ending(bool),
    /// It cannot be committed any more.
    Broken(Arc<Error>),
}

#[derive(Debug)]
pub(super) struct Transaction {
    phase: Phase,
    /// Partitions are added by being written to, and epochs are raised at the end.
    is_implicit: bool,
    /// Whether the coordinator knows of it.
    is_started: bool,
    /// Which partitions were added to it by request.
    pub(super) added: BTreeSet<Place>,
    /// A sequence was given up, so the next transaction wants another epoch.
    needs_epoch: bool,
}

/// What is to be asked of the coordinator to end a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::producer) struct End {
    /// Nobody was written to, so there is nothing to end.
    pub(in crate::producer) is_needless: bool,
    pub(in crate::producer) is_implicit: bool,
    /// Afterwards the epoch is to be raised.
    pub(in crate::producer) needs_epoch: bool,
}

impl Transaction {
    pub(super) fn new() -> Self {
        Self {
            phase: Phase::New,
            is_implicit: false,
            is_started: false,
            added: BTreeSet::new(),
            needs_epoch: false,
        }
    }
}

impl Accumulator {
    fn transaction(&mut self) -> Result<&mut Transaction> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let none = || Error::Invalid("transactions need a transactional.id; set one".into());
        self.transaction.as_mut().ok_or_else(none)
    }

    /// The coordinator knows this producer, and has ended what its predecessor left open.
    pub(in crate::producer) fn init_transactions(
        &mut self,
        identity: Identity,
        is_implicit: bool,
    ) -> Result<()> {
        let transaction = self.transaction()?;
        *transaction = Transaction { phase: Phase::Ready, is_implicit, ..Transaction::new() };
        self.identification = Identification::Known(identity);
        Ok(())
    }

    /// Whether another `init_transactions` makes sense.
    pub(in crate::producer) fn may_init(&mut self) -> Result<()> {
        match self.transaction()?.phase {
            Phase::New | Phase::Ready => Ok(()),
            _ => Err(Error::Invalid("a transaction is open; commit or abort it".into())),
        }
    }

    pub(in crate::producer) fn begin_transaction(&mut self) -> Result<()> {
        let transaction = self.transaction()?;
        match &transaction.phase {
            Phase::Ready => {
                transaction.phase = Phase::Open;
                Ok(())
            }
            phase => Err(phase.refuses("begin one")),
        }
    }

    /// Whether records may be sent: always, if this producer makes no transactions.
    pub(super) fn check_transaction(&self) -> Result<()> {
        match self.transaction.as_ref().map(|transaction| &transaction.phase) {
            None | Some(Phase::Open) => Ok(()),
            Some(phase) => Err(phase.refuses("send in it")),
        }
    }

    /// Somebody is about to make offsets part of the transaction. True if that starts it.
    pub(in crate::producer) fn start_offsets(&mut self) -> Result<(Identity, bool)> {
        self.check_transaction()?;
        let identity = self.identity().ok_or(Error::Closed)?;
        let transaction = self.transaction()?;
        transaction.is_started = true;
        Ok((identity, transaction.is_implicit))
    }

    pub(in crate::producer) fn is_implicit(&self) -> bool {
        self.transaction.as_ref().is_some_and(|transaction| transaction.is_implicit)
    }

    /// Whether a partition may be written to, as far as the transaction goes.
    pub(super) fn is_in_transaction(&mut self, place: Place) -> bool {
        let Some(transaction) = &mut self.transaction else { return true };
        transaction.is_started |= transaction.is_implicit;
        transaction.is_implicit || transaction.added.contains(&place)
    }

    /// The coordinator knows that these partitions belong to the transaction.
    pub(in crate::producer) fn add_to_transaction(&mut self, places: Vec<Place>) {
        if let Some(transaction) = &mut self.transaction {
            transaction.is_started = true;
            transaction.added.extend(places);
        }
    }

    /// The transaction is to be ended. What has not been sent of one that is aborted never will
    /// be; whoever waits for it is to be told.
    pub(in crate::producer) fn begin_end(&mut self, commits: bool) -> Result<Vec<Finished>> {
        let transaction = self.transaction()?;
        match &transaction.phase {
            Phase::Open => {}
            Phase::Ending(before) if *before == commits => {}
            Phase::Broken(_) if !commits => {}
            phase => return Err(phase.refuses(if commits { "commit it" } else { "abort it" })),
        }
        transaction.phase = Phase::Ending(commits);
        Ok(if commits { Vec::new() } else { self.drop_waiting() })
    }

    fn drop_waiting(&mut self) -> Vec<Finished> {
        let mut dropped = Vec::new();
        for place in self.active.clone() {
            let Some(queue) = self.queue_mut(place) else { continue };
            let batches = std::mem::take(&mut queue.waiting);
            batches.iter().for_each(|batch| queue.give_up(batch.stamp));
            dropped.extend(batches);
        }
        let error = Error::Invalid("its transaction was aborted".into());
        let mut finished = Vec::new();
        for batch in dropped {
            if let Some(transaction) = &mut self.transaction {
                transaction.needs_epoch |= batch.stamp.is_some() && !transaction.is_implicit;
            }
            self.release(batch.charged);
            finished.push(Finished::failed(batch.completion, error.clone()));
        }
        finished
    }

    /// All batches are done with: what is left to be asked. An error if one of them has failed,
    /// so that nothing can be committed.
    pub(in crate::producer) fn prepare_end(&mut self) -> Result<(Identity, End)> {
        let identity = self.identity().ok_or(Error::Closed)?;
        let transaction = self.transaction()?;
        if !matches!(transaction.phase, Phase::Ending(_)) {
            return Err(transaction.phase.refuses("commit it"));
        }
        let end = End {
            is_needless: !transaction.is_started,
            is_implicit: transaction.is_implicit,
            needs_epoch: transaction.needs_epoch,
        };
        Ok((identity, end))
    }

    /// The transaction is over. The next one is made by the same producer, or under the identity
    /// that the coordinator gave.
    pub(in crate::producer) fn end_transaction(&mut self, next: Option<Identity>) {
        if let Some(transaction) = &mut self.transaction {
            let is_implicit = transaction.is_implicit;
            *transaction = Transaction { phase: Phase::Ready, is_implicit, ..Transaction::new() };
        }
        if let Some(next) = next {
            self.identification = Identification::Known(next);
        }
    }

    /// Something failed that belongs to the transaction. Gives the error as whoever called is to
    /// be told, with what can be done about it.
    pub(in crate::producer) fn break_transaction(&mut self, error: Error) -> Error {
        let Some(transaction) = &mut self.transaction else { return error };
        let remedy = remedy(&error);
        let cause = match error {
            Error::Transaction { cause, .. } => cause,
            error => Arc::new(error),
        };
        let error = Error::Transaction { remedy, cause: Arc::clone(&cause) };
        if remedy == Remedy::Close {
            self.failed.get_or_insert_with(|| error.clone());
        } else if !matches!(transaction.phase, Phase::New | Phase::Ready | Phase::Ending(false)) {
            transaction.needs_epoch |= !transaction.is_implicit;
            transaction.phase = Phase::Broken(cause);
        }
        error
    }
}

impl Phase {
    fn refuses(&self, what: &str) -> Error {
        let why = match self {
            Self::Broken(cause) => {
                return Error::Transaction { remedy: Remedy::Abort, cause: Arc::clone(cause) };
            }
            Self::New => "call init_transactions first",
            Self::Ready => "none is open; begin one",
            Self::Open => "one is open; commit or abort it",
            Self::Ending(true) => "it is being committed; commit again until that is done",
            Self::Ending(false) => "it is being aborted; abort again until that is done",
        };
        Error::Invalid(format!("the transaction: cannot {what}: {why}").into())
    }
}

/// What can be done about an error in a transaction.
fn remedy(error: &Error) -> Remedy {
    match error {
        Error::Transaction { remedy, .. } => *remedy,
        Error::Broker {
            code:
                ErrorCode::ProducerFenced
                | ErrorCode::InvalidProducerEpoch
                | ErrorCode::InvalidProducerIdMapping
                | ErrorCode::TransactionalIdAuthorizationFailed
                | ErrorCode::ClusterAuthorizationFailed
                | ErrorCode::UnsupportedForMessageFormat
                | ErrorCode::UnsupportedVersion,
            ..
        } => Remedy::Close,
        Error::Unsupported { .. } | Error::Closed | Error::Config { .. } => Remedy::Close,
        _ => Remedy::Abort,
    }
}

//! Transactions: who writes to several partitions as one, and whether that counts.
//!
//! [`Transactions`] is the core of one partition of `__transaction_state`: all transactional ids
//! whose hash leads there. `entry` is one of them and what its next state would be; `init`, `add`
//! and `end` are what producers ask for, `markers` how a decision is carried out, `expire` what
//! time brings, `view` what people are shown. `service` is how the rest of the broker asks, and
//! `errands` does what a core cannot do itself.
//!
//! A state is true once its record is appended, and told once that is committed. So there is no
//! state between two states, as there is in Kafka; what Kafka refuses meanwhile waits here.

mod add;
mod end;
mod entry;
mod errands;
mod error;
mod expire;
mod init;
mod markers;
mod record;
mod service;
mod state;
#[cfg(test)]
mod test;
mod view;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use milena_config::ServerConfig;
use milena_metadata::{TRANSACTION_VERSION, image::Delta};
use milena_protocol::{ProducerEpoch, ProducerId};

pub(crate) use self::{
    add::Adding,
    end::{EndRequest, Ended},
    entry::EPOCH_PER_TRANSACTION,
    errands::{Errand, run_errands},
    error::TransactionError,
    init::{InitRequest, Initialized},
    markers::{Action, Ending},
    state::{State, Verdict},
    view::{Census, Described, Filter},
};
use self::{entry::Transaction, markers::Unwritten};
use super::{Logged, Machine, ReplayError, Reply, Scene, Transition, What, WriteError};
use crate::topics::TRANSACTION_STATE;

/// The transactional ids of one partition of `__transaction_state`.
#[derive(Debug, Default)]
pub(crate) struct Transactions {
    /// In order: their names are chosen by strangers.
    ids: BTreeMap<Arc<str>, Entry>,
    /// Whose markers are to be written again, and when.
    retries: BTreeSet<(Duration, Arc<str>)>,
    /// When it is looked next for transactions that ran out of time,
    next_timeouts: Option<Duration>,
    /// and for ids that nobody has used for long.
    next_expiry: Option<Duration>,
}

#[derive(Debug)]
struct Entry {
    transaction: Transaction,
    unwritten: Unwritten,
    /// Who wants to know when the decision is carried out.
    waiting: Vec<Reply<()>>,
}

/// A producer, as it names itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Producer<'a> {
    pub(crate) transactional_id: &'a str,
    pub(crate) id: ProducerId,
    pub(crate) epoch: ProducerEpoch,
}

impl Transactions {
    fn get(&self, id: &str) -> Option<&Transaction> {
        self.ids.get(id).map(|entry| &entry.transaction)
    }

    /// What a record says becomes true, be it new or replayed.
    fn apply(&mut self, id: &str, transaction: Transaction) {
        match self.ids.get_mut(id) {
            Some(entry) => {
                entry.unwritten = Unwritten::of(&transaction);
                entry.transaction = transaction;
            }
            None => {
                let unwritten = Unwritten::of(&transaction);
                let entry = Entry { transaction, unwritten, waiting: Vec::new() };
                self.ids.insert(id.into(), entry);
            }
        }
    }

    /// Has an id's next state written down, and does what follows from it.
    fn change(
        &mut self,
        id: &str,
        next: &Transaction,
        scene: &mut Scene<'_>,
    ) -> Result<(), TransactionError> {
        let level = scene.image.features.level(TRANSACTION_VERSION);
        let value = next.value();
        let bytes = record::value(&value, level).map_err(WriteError::from)?;
        Self::push(id, Some(&bytes), scene)?;
        self.apply(id, Transaction::read(&value, next.state));
        if let Some(entry) = self.ids.get_mut(id) {
            entry.transaction.last_epoch = next.last_epoch;
            if next.state.decision().is_none() {
                entry.waiting.drain(..).for_each(|reply| scene.effects.reply(reply, ()));
            }
        }
        self.carry_out(id, scene);
        Ok(())
    }

    /// Nothing is known of the id any more.
    fn forget(&mut self, id: &str, scene: &mut Scene<'_>) -> Result<(), TransactionError> {
        Self::push(id, None, scene)?;
        self.ids.remove(id);
        Ok(())
    }

    fn push(id: &str, value: Option<&[u8]>, scene: &mut Scene<'_>) -> Result<(), WriteError> {
        let key = record::key(id)?;
        scene.effects.push(scene.now.wall_ms, &key, value)?;
        Ok(())
    }

    /// Tells when the id's decision is carried out, or at once where there is none.
    pub(crate) fn when_ended(&mut self, id: &str, reply: Reply<()>, scene: &mut Scene<'_>) {
        match self.ids.get_mut(id) {
            Some(entry) if entry.transaction.state.decision().is_some() => {
                entry.waiting.retain(|reply| !reply.is_abandoned());
                entry.waiting.push(reply);
            }
            _ => scene.effects.reply(reply, ()),
        }
    }
}

impl Machine for Transactions {
    const TOPIC: &'static str = TRANSACTION_STATE;

    fn load_bytes(config: &ServerConfig) -> u32 {
        config.transactions.load_bytes
    }

    fn replay(&mut self, record: &Logged<'_>) -> Result<(), ReplayError> {
        let What::Record { key, value } = record.what else { return Ok(()) };
        let Some(id) = record::read_key(key)? else { return Ok(()) };
        let Some(value) = value else {
            self.ids.remove(id);
            return Ok(());
        };
        // Of a version that only a newer Kafka writes.
        let Some(value) = record::read_value(value)? else { return Ok(()) };
        let number = value.transaction_status;
        let state = State::from_number(number).ok_or(ReplayError::TransactionState(number))?;
        self.apply(id, Transaction::read(&value, state));
        Ok(())
    }

    fn loaded(&mut self, scene: &mut Scene<'_>) {
        let decided = self.ids.iter().filter(|(_, it)| it.transaction.state.decision().is_some());
        let decided: Vec<_> = decided.map(|(id, _)| Arc::clone(id)).collect();
        for id in decided {
            self.carry_out_after_load(&id, scene);
        }
        self.look_again(scene);
    }

    fn on_time(&mut self, scene: &mut Scene<'_>) {
        self.write_markers_again(scene);
        self.end_and_expire(scene);
    }

    fn next_wake(&self) -> Option<Duration> {
        let retry = self.retries.first().map(|(at, _)| *at);
        [retry, self.next_timeouts, self.next_expiry].into_iter().flatten().min()
    }

    fn on_metadata(&mut self, _: &Delta, _: &mut Scene<'_>) {}
}

//! What whoever sends records and the task that sends batches have in common: the accumulator
//! under its lock, and how each wakes the other.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use milena_env::{Clock, Random, timer};
use tokio::sync::{Mutex as Turn, Notify, watch};

use super::{
    accumulator::{Accumulator, Appended, Choice, Finished, Rules},
    batch::Fields,
    config::ProducerConfig,
    delivery::Delivery,
    interceptor::Audience,
    partitioner::{Partitioner, murmur2},
};
use crate::{
    cluster::{Cluster, Topic},
    error::{Error, Result},
};

#[derive(Debug)]
pub(super) struct Shared {
    accumulator: Mutex<Accumulator>,
    pub(super) cluster: Cluster,
    pub(super) config: ProducerConfig,
    clock: Arc<dyn Clock>,
    /// Wakes the sender.
    pub(super) work: Notify,
    /// Wakes whoever is first of those that wait for memory.
    pub(super) room: Notify,
    /// Held by the first of those that wait for memory; the others wait for it in order.
    turn: Turn<()>,
    /// Held by whoever begins, feeds or ends a transaction.
    pub(super) transactions: Turn<()>,
    /// Turns true when the sender has ended.
    pub(super) ended: watch::Sender<bool>,
}

/// Where a record is to go.
#[derive(Clone, Copy, Debug)]
pub(super) struct Target<'t> {
    pub(super) topic: &'t str,
    pub(super) partition: Option<i32>,
    pub(super) partitioner: Option<&'t dyn Partitioner>,
}

impl Shared {
    pub(super) fn new(config: ProducerConfig, audience: Option<Arc<dyn Audience>>) -> Result<Self> {
        config.check()?;
        let cluster = Cluster::new(&config.client)?;
        let random = Random::from_os()
            .map_err(|error| Error::Invalid(format!("no random numbers: {error}").into()))?;
        let accumulator = Accumulator::new(Rules::from(&config), random, audience);
        Ok(Self {
            accumulator: Mutex::new(accumulator),
            clock: Arc::clone(cluster.clock()),
            cluster,
            config,
            work: Notify::new(),
            room: Notify::new(),
            turn: Turn::default(),
            transactions: Turn::default(),
            ended: watch::Sender::new(false),
        })
    }

    pub(super) fn clock(&self) -> &dyn Clock {
        &*self.clock
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Accumulator> {
        self.accumulator.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a record if nothing has to be waited for.
    pub(super) fn append(&self, to: &Target<'_>, record: &Fields<'_>) -> Result<Option<Delivery>> {
        match self.try_append(to, record, false) {
            Appended::Added { delivery, wakes } => {
                if wakes {
                    self.work.notify_one();
                }
                Ok(Some(delivery))
            }
            Appended::Full | Appended::UnknownTopic => Ok(None),
            // There may be more partitions than are known.
            Appended::NoSuchPartition(_) => Ok(None),
            Appended::Refused(error) => Err(error),
        }
    }

    fn try_append(&self, to: &Target<'_>, record: &Fields<'_>, has_waited: bool) -> Appended {
        let choice = match (to.partition, to.partitioner, record.key) {
            (Some(partition), _, _) => Choice::Partition(partition),
            (None, Some(partitioner), key) => {
                // The user's code is not run under the lock.
                let topic = self.lock().topic(to.topic);
                let Some(topic) = topic else { return Appended::UnknownTopic };
                Choice::Partition(partitioner.partition(&topic, key, record.value))
            }
            (None, None, Some(key)) if !self.config.ignore_keys => Choice::Hash(murmur2(key)),
            (None, None, _) => Choice::Any,
        };
        let now = || self.clock.monotonic();
        self.lock().append(to.topic, choice, record, has_waited, now)
    }

    /// Adds a record when there is memory for it and its topic is known.
    pub(super) async fn append_in_turn(
        &self,
        to: &Target<'_>,
        record: &Fields<'_>,
    ) -> Result<Delivery> {
        let limit = self.config.max_block;
        let mut waits_for_memory = false;
        let attempts = async {
            let mut learned = false;
            loop {
                match self.try_append(to, record, false) {
                    Appended::Added { delivery, wakes } => {
                        if wakes {
                            self.work.notify_one();
                        }
                        return Ok(delivery);
                    }
                    Appended::Refused(error) => return Err(error),
                    Appended::UnknownTopic => self.learn(to.topic, limit).await?,
                    Appended::NoSuchPartition(error) if learned => return Err(error),
                    Appended::NoSuchPartition(_) => {
                        learned = true;
                        self.cluster.newer_view(limit).await?;
                        self.learn(to.topic, limit).await?;
                    }
                    Appended::Full => {
                        waits_for_memory = true;
                        if let Some(delivery) = self.wait_for_room(to, record).await? {
                            return Ok(delivery);
                        }
                    }
                }
            }
        };
        let done = timer::timeout(limit, attempts).await;
        let too_late = |what: &str, last| {
            let what = format!("{what} {}", to.topic).into();
            Error::Timeout { what, limit, key: "max.block.ms", last }
        };
        match done {
            Some(Err(Error::Timeout { last, .. })) => Err(too_late("learning of topic", last)),
            Some(done) => done,
            None if waits_for_memory => {
                let trouble = self.lock().trouble();
                Err(too_late("waiting for memory for a record of", trouble))
            }
            None => Err(too_late("learning of topic", self.cluster.trouble())),
        }
    }

    async fn learn(&self, topic: &str, limit: Duration) -> Result<()> {
        let topic: Arc<Topic> = self.cluster.topic(topic, true, limit).await?;
        self.lock().learn(&topic);
        Ok(())
    }

    /// Waits for memory behind all who waited before. None if something else is in the way then.
    async fn wait_for_room(
        &self,
        to: &Target<'_>,
        record: &Fields<'_>,
    ) -> Result<Option<Delivery>> {
        let _waits = Waits::new(self);
        let _turn = self.turn.lock().await;
        loop {
            match self.try_append(to, record, true) {
                Appended::Added { delivery, .. } => {
                    // The sender is in a hurry while anybody waits.
                    self.work.notify_one();
                    return Ok(Some(delivery));
                }
                Appended::Full => self.room.notified().await,
                Appended::Refused(error) => return Err(error),
                Appended::UnknownTopic | Appended::NoSuchPartition(_) => return Ok(None),
            }
        }
    }

    pub(super) async fn flush(&self) {
        let (completions, wakes) = self.lock().flush();
        let _flushes = Flushes(self);
        if wakes {
            self.work.notify_one();
        }
        for completion in completions {
            completion.done().await;
        }
    }

    pub(super) fn begin_close(&self) {
        if self.lock().close() {
            self.work.notify_one();
        }
    }

    pub(super) async fn close(&self, limit: Duration) -> Result<()> {
        self.begin_close();
        let mut ended = self.ended.subscribe();
        if timer::timeout(limit, ended.wait_for(|ended| *ended)).await.is_some() {
            return Ok(());
        }
        self.fail(&Error::Closed);
        Err(Error::Timeout {
            what: "delivering what was sent before closing".into(),
            limit,
            key: "the limit given to close",
            last: None,
        })
    }

    /// Gives up on all that is not delivered.
    pub(super) fn fail(&self, error: &Error) {
        let finished = self.lock().fail(error);
        finished.into_iter().for_each(Finished::tell);
        self.work.notify_one();
        self.room.notify_one();
    }

    pub(super) fn free_memory(&self) -> usize {
        self.lock().free()
    }
}

/// Somebody waits for memory, until this is dropped.
struct Waits<'s>(&'s Shared);

impl<'s> Waits<'s> {
    fn new(shared: &'s Shared) -> Self {
        if shared.lock().block() {
            shared.work.notify_one();
        }
        Self(shared)
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.lock().unblock();
        // Whoever is next may find room already.
        self.0.room.notify_one();
    }
}

struct Flushes<'s>(&'s Shared);

impl Drop for Flushes<'_> {
    fn drop(&mut self) {
        self.0.lock().end_flush();
    }
}

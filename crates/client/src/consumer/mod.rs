//! Reading records, alone or as a member of a group.
//!
//! A [`Consumer`] fetches ahead on tasks of its own (`seeker`, `fetch`), stays in its group on
//! another one (`group`), and gives out by [`Consumer::poll`] what has come. What to do is decided
//! in pure cores: `partitions`, `fetch/session`, `group/classic`, `group/modern`, `assignor`.

mod assignor;
mod commit;
mod config;
mod fetch;
mod group;
mod handle;
mod leaders;
mod listener;
mod offsets;
mod partitions;
mod pattern;
mod record;
mod seeker;
mod shared;
mod stream;
mod types;

use std::{ops::Deref, sync::Arc, time::Duration};

use milena_env::timer;

pub use self::{
    assignor::Assignor,
    config::{ConsumerConfig, GroupProtocol, IsolationLevel, OffsetReset},
    handle::ConsumerHandle,
    listener::{ListenerFuture, RebalanceListener},
    record::{Header, Iter, OwnedRecord, Record, Records},
    stream::RecordStream,
    types::{OffsetAndTimestamp, Watermarks},
};
use self::{
    commit::commit_aside,
    partitions::{Partitions, Rules, Tools},
    shared::Shared,
};
pub use crate::types::{CommittedOffset, TopicPartition};
use crate::{
    cluster::Cluster,
    error::{Error, Result},
};

/// Reads records of topics.
///
/// ```no_run
/// # async fn example() -> milena_client::Result<()> {
/// use std::time::Duration;
///
/// use milena_client::consumer::{Consumer, ConsumerConfig, OffsetReset};
///
/// let config = ConsumerConfig::new("localhost:9092")
///     .group_id("billing")
///     .auto_offset_reset(OffsetReset::Earliest);
/// let mut consumer = Consumer::new(config)?;
/// consumer.subscribe(["orders"])?;
/// for _ in 0..10 {
///     let records = consumer.poll(Duration::from_secs(1)).await?;
///     for record in &records {
///         println!("{} {}: {:?}", record.partition, record.offset, record.value);
///     }
/// }
/// consumer.close().await
/// # }
/// ```
#[derive(Debug)]
pub struct Consumer {
    handle: ConsumerHandle,
    tools: Tools,
    commit_at: Duration,
}

impl Consumer {
    /// Makes a consumer that reads nothing yet. Must be called within a tokio runtime, on which its
    /// tasks will live.
    pub fn new(config: ConsumerConfig) -> Result<Self> {
        config.check()?;
        let cluster = Cluster::new(&config.client)?;
        let partitions = Partitions::new(Rules {
            reset: config.auto_offset_reset,
            has_group: config.group_id.is_some(),
            partition_bytes_max: config.max_partition_fetch_bytes as usize,
            bytes_max: config.fetch_max_bytes as usize,
            records_max: config.max_poll_records,
            preferred_max: config.client.metadata_max_age,
        });
        let tools = Tools { is_checking: config.check_crcs, ..Tools::default() };
        let has_group = config.group_id.is_some();
        let shared = Arc::new(Shared::new(config, cluster, partitions));
        tokio::spawn(seeker::seek_on(Arc::clone(&shared)));
        if has_group {
            tokio::spawn(group::live(Arc::clone(&shared)));
        }
        let commit_at = shared.now() + shared.config.auto_commit_interval;
        Ok(Self { handle: ConsumerHandle { shared }, tools, commit_at })
    }

    /// Gives records that have come, at most `max.poll.records`, or waits for some. None come back
    /// if there are none in time.
    ///
    /// Whoever polls again is done with what he was given before: that is what is committed by
    /// `enable.auto.commit`, and when the group may take partitions away. Dropping the future loses
    /// no records.
    pub async fn poll(&mut self, timeout: Duration) -> Result<Records> {
        let shared = Arc::clone(&self.handle.shared);
        let _polling = shared.membership.polling(Arc::clone(shared.cluster.clock()));
        self.commit_at_times(shared.now());
        let wait = async {
            loop {
                if let Some(error) = shared.membership.failure() {
                    return Err(error);
                }
                if shared.membership.is_wanted() {
                    shared.membership.let_pass().await;
                }
                if let Some(done) = self.take() {
                    return done;
                }
                shared.filled.notified().await;
            }
        };
        timer::timeout(timeout, wait).await.unwrap_or_else(|| Ok(Records::default()))
    }

    fn take(&mut self) -> Option<Result<Records>> {
        let shared = &self.handle.shared;
        let (records, may_fetch, error) = {
            let mut partitions = shared.partitions();
            let (records, may_fetch) = partitions.take(&mut self.tools);
            let error = if records.is_empty() { partitions.error() } else { None };
            (records, may_fetch, error)
        };
        if may_fetch {
            shared.change();
        }
        match error {
            Some(error) => Some(Err(error)),
            None if shared.is_closed() => Some(Err(Error::Closed)),
            None => (!records.is_empty()).then_some(Ok(records)),
        }
    }

    fn commit_at_times(&mut self, now: Duration) {
        let shared = &self.handle.shared;
        let config = &shared.config;
        if !config.enable_auto_commit || config.group_id.is_none() || now < self.commit_at {
            return;
        }
        self.commit_at = now + config.auto_commit_interval;
        let offsets = shared.partitions().positions();
        if !offsets.is_empty() && !shared.membership.is_outside() {
            commit_aside(shared, offsets);
        }
    }

    /// The records as a stream of single ones. A record counts as dealt with when the next one is
    /// asked for; those that the stream was not asked for are given again by `poll`.
    pub fn stream(&mut self) -> RecordStream<'_> {
        RecordStream::new(self)
    }

    /// A handle for others: everything but the records.
    #[must_use]
    pub fn handle(&self) -> ConsumerHandle {
        self.handle.clone()
    }

    /// Commits what was read if `enable.auto.commit` says so, leaves the group, and ends all tasks.
    /// A consumer that is only dropped leaves its group without a commit.
    pub async fn close(self) -> Result<()> {
        let shared = &self.handle.shared;
        let config = &shared.config;
        let offsets = shared.partitions().positions();
        let is_alone = !shared.membership.is_subscribed();
        let mut done = Ok(());
        if config.enable_auto_commit && config.group_id.is_some() && is_alone {
            done = commit::commit(shared, &offsets, config.client.default_api_timeout).await;
        }
        self.handle.unsubscribe().await;
        done
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        self.handle.shared.close();
    }
}

impl Deref for Consumer {
    type Target = ConsumerHandle;

    fn deref(&self) -> &ConsumerHandle {
        &self.handle
    }
}

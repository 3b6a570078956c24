//! Agreement on the metadata log: Raft (openraft) over the one log `__cluster_metadata-0`.
//!
//! `entry` says how an entry lies in the log, `log_store` and `machine` are openraft's two sides,
//! `snapshot` and `vote` its two files. What is committed is durable on a majority; a quorum of
//! one elects itself at once.

mod entry;
mod log_store;
mod machine;
mod network;
mod positions;
mod preview;
mod snapshot;
#[cfg(test)]
mod test;
mod types;
mod vote;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use arc_swap::ArcSwap;
use milena_env::{Clock, Disk};
use milena_protocol::Uuid;
use milena_storage::{
    Log, LogConfig, LogDirectory, StorageError, TopicPartition, names, partition_metadata,
};
use openraft::{
    Config, Raft, ServerState, SnapshotPolicy,
    error::{ClientWriteError, RaftError},
};

pub use entry::EntryError;
pub use log_store::LogStoreError;
pub use preview::preview;
pub use snapshot::{SnapshotError, SnapshotFile};
pub use types::{Applied, Proposal, TypeConfig, Voter};

use log_store::LogStore;
use machine::{Machine, Prepared};
use network::NoPeers;
use snapshot::Snapshots;
use vote::VoteFile;

use crate::{
    METADATA_TOPIC,
    image::{Delta, Endpoint, MetadataImage},
    records::Records,
};

/// Hears of every change.
pub trait Publisher: Send {
    /// `delta` is what changed on the way to `image`, which nobody else has seen yet. Called in the
    /// order of the log, on the metadata thread: what it does, everybody who waits for an answer
    /// waits for.
    fn publish(&mut self, delta: &Delta, image: &Arc<MetadataImage>);
}

/// Why records were not committed.
#[derive(Debug, thiserror::Error)]
pub enum ProposeError {
    /// They may be committed by whoever leads now, or not.
    #[error("this controller does not lead the metadata quorum; {0:?} may")]
    NotLeader(Option<i32>),
    #[error("the metadata log has failed: {0}")]
    Failed(String),
}

/// Why the quorum did not start.
#[derive(Debug, thiserror::Error)]
pub enum QuorumError {
    #[error(transparent)]
    Storage(#[from] StorageError),
    #[error(transparent)]
    Log(#[from] LogStoreError),
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    #[error("cannot read {0}: {1}")]
    Vote(PathBuf, std::io::Error),
    #[error("the metadata quorum does not start: {0}")]
    Raft(String),
}

/// How the quorum stands, for DescribeQuorum.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QuorumDescription {
    pub leader: Option<i32>,
    pub epoch: i32,
    /// The offset after the last committed record.
    pub high_watermark: i64,
    pub voters: BTreeMap<i32, VoterDescription>,
}

/// How one voter stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VoterDescription {
    pub directory: Uuid,
    pub endpoints: Vec<Endpoint>,
    /// The end of its log, as far as this node knows.
    pub log_end_offset: Option<i64>,
}

/// Agreement on records, whoever provides it.
pub trait MetadataQuorum: Send + Sync {
    /// Puts records into the log as one batch. When it returns, they are durable on a majority,
    /// and the image and the publisher of this node know them.
    fn propose(
        &self,
        proposal: Proposal,
    ) -> impl Future<Output = Result<Applied, ProposeError>> + Send;

    fn leader(&self) -> Option<i32>;

    fn epoch(&self) -> i32;

    fn describe(&self) -> QuorumDescription;
}

/// What the quorum needs to start.
#[derive(Clone, Debug)]
pub struct QuorumOptions {
    pub node_id: i32,
    /// Where the log lies; opened before.
    pub directory: Arc<LogDirectory>,
    pub disk: Arc<dyn Disk>,
    pub clock: Arc<dyn Clock>,
    /// The voters of a new cluster.
    pub voters: BTreeMap<i32, Voter>,
    /// The directory has no threads: whoever appends writes its journal. For repeatable tests.
    pub drives_directory: bool,
}

/// The settings of the metadata log; whoever opens its directory needs them.
#[must_use]
pub fn log_config() -> LogConfig {
    LogConfig {
        // Room for the largest batch, and little that a snapshot cannot free.
        segment_bytes: 64 << 20,
        retention_ms: -1,
        retention_bytes: -1,
        delete: false,
        max_message_bytes: 64 << 20,
        // A full disk is relieved by deleting topics, and that is a record.
        uses_reserve: true,
        ..LogConfig::default()
    }
}

fn config(voters: usize) -> Config {
    let config = Config {
        cluster_name: METADATA_TOPIC.to_owned(),
        // The node asks for snapshots.
        snapshot_policy: SnapshotPolicy::Never,
        max_in_snapshot_log_to_keep: 0,
        ..Config::default()
    };
    if voters > 1 {
        return config;
    }
    // One voter has nobody to remind and nobody to fear. What wakes up to find that out does so
    // once an hour.
    const HOUR_MS: u64 = 3_600_000;
    Config {
        enable_tick: false,
        heartbeat_interval: HOUR_MS,
        election_timeout_min: 2 * HOUR_MS,
        election_timeout_max: 3 * HOUR_MS,
        ..config
    }
}

/// The metadata log, in a folder that is there before the log makes it: the vote and snapshots lie
/// in it as well.
fn open_log(
    directory: &Arc<LogDirectory>,
    disk: &dyn Disk,
    folder: &Path,
) -> Result<Arc<Log>, StorageError> {
    if disk.metadata(folder).is_err() {
        make_folder(directory.path(), disk, folder)?;
    }
    let name = TopicPartition { topic: METADATA_TOPIC.into(), partition: 0 };
    match directory.log(&name) {
        Some(log) => Ok(log),
        None => directory.create(name, Uuid::CLUSTER_METADATA, Arc::new(log_config())),
    }
}

/// Makes the folder so that it never lacks its topic's id, whenever the power fails.
fn make_folder(directory: &Path, disk: &dyn Disk, folder: &Path) -> Result<(), StorageError> {
    let draft = directory.join("milena-metadata.tmp");
    let io = |doing| StorageError::io(doing, &draft);
    if disk.metadata(&draft).is_ok() {
        disk.remove_dir_all(&draft).map_err(io("remove"))?;
    }
    disk.create_dir_all(&draft).map_err(io("create folder"))?;
    let metadata = draft.join(names::PARTITION_METADATA);
    partition_metadata::store_topic_id(disk, &metadata, Uuid::CLUSTER_METADATA)?;
    disk.rename(&draft, folder).map_err(io("rename"))?;
    disk.sync_dir(directory).map_err(StorageError::io("sync folder", directory))
}

/// Raft over the metadata log.
#[derive(Clone)]
pub struct RaftQuorum {
    raft: Raft<TypeConfig>,
    machine: Machine,
    log: LogStore,
    /// How many entries the snapshot has that was asked for last.
    snapshot_asked: Arc<AtomicU64>,
}

impl std::fmt::Debug for RaftQuorum {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RaftQuorum").field("machine", &self.machine).finish_non_exhaustive()
    }
}

impl RaftQuorum {
    /// Opens log and snapshot and joins the quorum. Runs on a current-thread tokio runtime.
    pub async fn start(options: QuorumOptions) -> Result<Self, QuorumError> {
        let directory = &options.directory;
        let disk = &options.disk;
        let folder = directory.path().join(names::partition_folder(METADATA_TOPIC, 0));
        let log = open_log(directory, &**disk, &folder)?;
        log.configure(Arc::new(log_config()))?;
        let vote = VoteFile::open(Arc::clone(disk), &folder, options.node_id)
            .map_err(|error| QuorumError::Vote(folder.clone(), error))?;
        let snapshots = Snapshots::new(Arc::clone(disk), folder);
        let newest = snapshots.newest()?;
        let anchor = newest
            .as_ref()
            .and_then(|(meta, image)| Some((meta.last_log_id?, image.position.offset + 1)));
        let log = LogStore::open(
            log,
            Arc::clone(directory),
            Arc::clone(&options.clock),
            vote,
            options.drives_directory,
            anchor,
        )?;
        // A log that Kafka began may name its voters only in its configuration.
        let is_new = log.end_offset() == 0;
        let unnamed = if is_new { BTreeMap::new() } else { options.voters.clone() };
        let machine = Machine::new(log.clone(), snapshots, newest, unnamed);
        let voters = log.named_voters.clone().unwrap_or_else(|| machine.voters());
        if voters.iter().eq([&options.node_id]) {
            machine.replay()?;
        }
        let config = Arc::new(config(options.voters.len()));
        let raft = Raft::new(options.node_id, config, NoPeers, log.clone(), machine.clone());
        let raft = raft.await.map_err(|error| QuorumError::Raft(error.to_string()))?;
        let quorum = Self { raft, machine, log, snapshot_asked: Arc::default() };
        quorum.elect(is_new, options).await?;
        Ok(quorum)
    }

    /// A quorum of one leads when this returns, and has applied everything there is.
    async fn elect(&self, is_new: bool, options: QuorumOptions) -> Result<(), QuorumError> {
        let failed = |error: String| QuorumError::Raft(error);
        if is_new {
            let begun = self.raft.initialize(options.voters).await;
            begun.map_err(|error| failed(error.to_string()))?;
        } else {
            let voters = self.raft.with_raft_state(|state| {
                state.membership_state.effective().voter_ids().collect::<BTreeSet<i32>>()
            });
            let voters = voters.await.map_err(|error| failed(error.to_string()))?;
            if !voters.contains(&options.node_id) {
                let id = options.node_id;
                return Err(failed(format!("node {id} is none of its voters {voters:?}")));
            }
            self.raft.trigger().elect().await.map_err(|error| failed(error.to_string()))?;
        }
        let mut metrics = self.raft.metrics();
        let leads = |metrics: &openraft::RaftMetrics<i32, Voter>| {
            metrics.running_state.is_err()
                || (metrics.state == ServerState::Leader
                    && metrics.last_applied.map(|id| id.index) == metrics.last_log_index)
        };
        let metrics = metrics.wait_for(leads).await.map_err(|error| failed(error.to_string()))?;
        metrics.running_state.clone().map_err(|error| failed(error.to_string()))
    }

    /// The newest committed image.
    #[must_use]
    pub fn image(&self) -> &Arc<ArcSwap<MetadataImage>> {
        &self.machine.image
    }

    /// The offset that the next record gets.
    #[must_use]
    pub fn end_offset(&self) -> i64 {
        self.log.end_offset()
    }

    /// Bytes of the log that are in no snapshot, when it was opened.
    #[must_use]
    pub const fn bytes_behind_snapshot(&self) -> u64 {
        self.log.bytes_behind_snapshot
    }

    /// From now on `publisher` hears of every change; at once of everything there is.
    pub fn publish_to(&self, publisher: Box<dyn Publisher>) {
        self.machine.publish_to(publisher);
    }

    /// Spares the work of applying the next proposal: what it leads to is known.
    pub fn prepare(&self, records: Records, image: MetadataImage, delta: Delta) {
        self.machine.prepare(Prepared { records, image, delta });
    }

    /// Begins to write a snapshot, behind which the log is let go. Says `false` if the one before
    /// is not finished yet: then nothing is begun.
    pub async fn snapshot(&self) -> Result<bool, ProposeError> {
        let (applied, finished) = {
            let metrics = self.raft.metrics();
            let metrics = metrics.borrow();
            let count = |id: Option<openraft::LogId<i32>>| id.map_or(0, |id| id.index + 1);
            (count(metrics.last_applied), count(metrics.snapshot))
        };
        if finished < self.snapshot_asked.load(Ordering::Relaxed) {
            return Ok(false);
        }
        self.snapshot_asked.store(applied, Ordering::Relaxed);
        let triggered = self.raft.trigger().snapshot().await;
        triggered.map(|()| true).map_err(|error| ProposeError::Failed(error.to_string()))
    }

    /// Waits until the quorum has failed for good, and says why.
    pub async fn failure(&self) -> String {
        let mut metrics = self.raft.metrics();
        match metrics.wait_for(|metrics| metrics.running_state.is_err()).await {
            Ok(metrics) => metrics.running_state.clone().err().map(|error| error.to_string()),
            Err(error) => Some(error.to_string()),
        }
        .unwrap_or_default()
    }

    pub async fn stop(&self) {
        if let Err(error) = self.raft.shutdown().await {
            tracing::warn!(%error, "the metadata quorum did not stop cleanly");
        }
    }
}

impl MetadataQuorum for RaftQuorum {
    async fn propose(&self, proposal: Proposal) -> Result<Applied, ProposeError> {
        match self.raft.client_write(proposal).await {
            Ok(written) => Ok(written.data),
            Err(RaftError::APIError(ClientWriteError::ForwardToLeader(to))) => {
                Err(ProposeError::NotLeader(to.leader_id))
            }
            Err(error) => Err(ProposeError::Failed(error.to_string())),
        }
    }

    fn leader(&self) -> Option<i32> {
        self.raft.metrics().borrow().current_leader
    }

    fn epoch(&self) -> i32 {
        i32::try_from(self.raft.metrics().borrow().current_term).unwrap_or(i32::MAX)
    }

    fn describe(&self) -> QuorumDescription {
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow();
        let end = |id: &i32| {
            if *id == metrics.id {
                return Some(self.log.end_offset());
            }
            let matched = metrics.replication.as_ref()?.get(id)?.as_ref()?;
            Some(self.log.last_offset(matched.index)? + 1)
        };
        let membership = metrics.membership_config.membership();
        let voters = membership.voter_ids().map(|id| {
            let Voter { directory, endpoints } =
                membership.get_node(&id).cloned().unwrap_or_default();
            (id, VoterDescription { directory, endpoints, log_end_offset: end(&id) })
        });
        QuorumDescription {
            leader: metrics.current_leader,
            epoch: i32::try_from(metrics.current_term).unwrap_or(i32::MAX),
            high_watermark: self.image().load().position.offset + 1,
            voters: voters.collect(),
        }
    }
}

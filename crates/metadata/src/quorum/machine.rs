//! openraft's state machine: committed entries become the image that everybody reads.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use arc_swap::ArcSwap;
use openraft::{
    EntryPayload, OptionalSend, RaftSnapshotBuilder, Snapshot, storage::RaftStateMachine,
};

use super::{
    Publisher,
    log_store::{LogStore, LogStoreError},
    snapshot::{SnapshotError, SnapshotFile, Snapshots},
    types::{
        Applied, Entry, LogId, SnapshotMeta, StorageError, StorageIoError, StoredMembership,
        TypeConfig, Voter, epoch_of,
    },
};
use crate::{
    image::{ApplyError, Delta, MetadataImage, Position, Replay},
    records::Records,
};

/// The image that a leader's proposal leads to; it need not be made twice.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) records: Records,
    pub(super) image: MetadataImage,
    pub(super) delta: Delta,
}

#[derive(Clone)]
pub(super) struct Machine {
    /// The newest image.
    pub(super) image: Arc<ArcSwap<MetadataImage>>,
    log: LogStore,
    snapshots: Snapshots,
    shared: Arc<Mutex<State>>,
}

struct State {
    replay: Replay,
    last_applied: Option<LogId>,
    membership: StoredMembership,
    prepared: Option<Prepared>,
    /// None until the log was replayed: all of that is told at once.
    publisher: Option<Box<dyn Publisher>>,
    snapshot: Option<SnapshotMeta>,
}

impl std::fmt::Debug for Machine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Machine").field("last_applied", &self.state().last_applied).finish()
    }
}

impl Machine {
    /// Begins with what the newest snapshot holds; `unnamed` vote where it names no voters.
    pub(super) fn new(
        log: LogStore,
        snapshots: Snapshots,
        newest: Option<(SnapshotMeta, MetadataImage)>,
        unnamed: BTreeMap<i32, Voter>,
    ) -> Self {
        let (snapshot, image) = match newest {
            Some((meta, image)) => (Some(meta), image),
            None => (None, MetadataImage::default()),
        };
        let state = State {
            last_applied: snapshot.as_ref().and_then(|meta| meta.last_log_id),
            membership: snapshot
                .as_ref()
                .map(|it| it.last_membership.clone())
                .filter(|it| it.voter_ids().next().is_some())
                .unwrap_or_else(|| StoredMembership::new(None, unnamed.into())),
            replay: Replay::new(image.clone()),
            prepared: None,
            publisher: None,
            snapshot: snapshot.filter(|meta| meta.last_log_id.is_some()),
        };
        let image = Arc::new(ArcSwap::from_pointee(image));
        Self { image, log, snapshots, shared: Arc::new(Mutex::new(state)) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on `publisher` hears of every change; at once of everything there is.
    pub(super) fn publish_to(&self, publisher: Box<dyn Publisher>) {
        let mut state = self.state();
        state.publisher = Some(publisher);
        state.replay.delta = Delta::between(&MetadataImage::default(), &state.replay.image);
        self.publish(&mut state);
    }

    /// Applies all of the log at once, before Raft runs: whoever is the only voter need not be told
    /// that what is durable here is committed.
    pub(super) fn replay(&self) -> Result<(), LogStoreError> {
        let mut state = self.state();
        let next = state.last_applied.map_or(0, |id| id.index + 1);
        self.log.visit(next, u64::MAX, |entry| {
            let applied = self.apply_entry(&mut state, &entry);
            let offset = self.log.last_offset(entry.log_id.index).unwrap_or(-1);
            applied.map(drop).map_err(|why| LogStoreError::Apply { offset, why })
        })?;
        self.publish(&mut state);
        Ok(())
    }

    /// Who votes, as far as the snapshot or the configuration say.
    pub(super) fn voters(&self) -> BTreeSet<i32> {
        self.state().membership.voter_ids().collect()
    }

    /// What the next proposal leads to.
    pub(super) fn prepare(&self, prepared: Prepared) {
        self.state().prepared = Some(prepared);
    }

    fn apply_entry(&self, state: &mut State, entry: &Entry) -> Result<Applied, ApplyError> {
        let before = state.replay.image.position;
        let last_offset = self.log.last_offset(entry.log_id.index).unwrap_or(before.offset);
        let mut timestamp = before.timestamp;
        match &entry.payload {
            EntryPayload::Normal(proposal) => {
                timestamp = proposal.timestamp;
                match state.prepared.take() {
                    Some(ready) if ready.records == proposal.records => {
                        state.replay.image = ready.image;
                        state.replay.delta = ready.delta;
                    }
                    _ => {
                        for record in proposal.records.iter() {
                            state.replay.apply_bytes(record)?;
                        }
                    }
                }
            }
            EntryPayload::Membership(membership) => {
                let id = Some(entry.log_id);
                state.membership = StoredMembership::new(id, membership.clone());
            }
            EntryPayload::Blank => {}
        }
        let epoch = epoch_of(&entry.log_id);
        state.replay.image.position = Position { offset: last_offset, epoch, timestamp };
        state.last_applied = Some(entry.log_id);
        Ok(Applied { last_offset })
    }

    /// Tells the publisher and shows the image to readers.
    fn publish(&self, state: &mut State) {
        if state.replay.is_in_transaction() {
            return;
        }
        let image = Arc::new(state.replay.image.clone());
        if let Some(publisher) = &mut state.publisher {
            let delta = std::mem::take(&mut state.replay.delta);
            if !delta.is_empty() {
                publisher.publish(&delta, &image);
            }
        }
        // Last: whoever sees a topic can use it.
        self.image.store(image);
    }
}

impl RaftStateMachine<TypeConfig> for Machine {
    type SnapshotBuilder = Self;

    async fn applied_state(&mut self) -> Result<(Option<LogId>, StoredMembership), StorageError> {
        let state = self.state();
        Ok((state.last_applied, state.membership.clone()))
    }

    async fn apply<I>(&mut self, entries: I) -> Result<Vec<Applied>, StorageError>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let mut applied = Vec::new();
        let mut state = self.state();
        for entry in entries {
            let result = self.apply_entry(&mut state, &entry);
            applied.push(result.map_err(|error| {
                StorageIoError::apply(entry.log_id, openraft::AnyError::error(error))
            })?);
            if state.publisher.is_some() {
                self.publish(&mut state);
            }
        }
        self.publish(&mut state);
        Ok(applied)
    }

    async fn get_snapshot_builder(&mut self) -> Self {
        self.clone()
    }

    async fn begin_receiving_snapshot(&mut self) -> Result<Box<SnapshotFile>, StorageError> {
        Ok(Box::new(self.snapshots.incoming()))
    }

    async fn install_snapshot(
        &mut self,
        meta: &SnapshotMeta,
        snapshot: Box<SnapshotFile>,
    ) -> Result<(), StorageError> {
        let failed = |error: SnapshotError| {
            StorageIoError::read_snapshot(Some(meta.signature()), openraft::AnyError::error(error))
        };
        let image = self.snapshots.install(meta, &snapshot).map_err(failed)?;
        let mut state = self.state();
        state.replay.delta = Delta::between(&state.replay.image, &image);
        state.replay.image = image;
        state.last_applied = meta.last_log_id;
        state.membership = meta.last_membership.clone();
        state.snapshot = Some(meta.clone());
        self.publish(&mut state);
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<Snapshot<TypeConfig>>, StorageError> {
        let Some(meta) = self.state().snapshot.clone() else { return Ok(None) };
        let snapshot = Box::new(self.snapshots.file(&meta));
        Ok(Some(Snapshot { meta, snapshot }))
    }
}

impl RaftSnapshotBuilder<TypeConfig> for Machine {
    async fn build_snapshot(&mut self) -> Result<Snapshot<TypeConfig>, StorageError> {
        let (image, last, membership) = {
            let state = self.state();
            (state.replay.image.clone(), state.last_applied, state.membership.clone())
        };
        let snapshots = self.snapshots.clone();
        let (done, result) = tokio::sync::oneshot::channel();
        let write = move || {
            let written = snapshots.write(&image, last.unwrap_or_default(), &membership);
            // Whoever waited has gone: the process ends.
            drop(done.send(written));
        };
        let failed = |error: openraft::AnyError| StorageIoError::write_snapshot(None, error);
        milena_env::spawn_thread("meta-snapshot", write)
            .map_err(|error| failed(openraft::AnyError::error(error)))?;
        let written = result.await.map_err(|error| failed(openraft::AnyError::error(error)))?;
        let meta = written.map_err(|error| failed(openraft::AnyError::error(error)))?;
        self.state().snapshot = Some(meta.clone());
        let snapshot = Box::new(self.snapshots.file(&meta));
        Ok(Snapshot { meta, snapshot })
    }
}

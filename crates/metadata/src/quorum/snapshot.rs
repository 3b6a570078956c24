//! Snapshots of the image as Kafka keeps them: `<end offset>-<epoch>.checkpoint`, a control batch
//! that begins it and names the voters, batches of records, a control batch that ends it.
//!
//! Beside it lies `<end offset>-<epoch>.raft` with what only Raft asks for: the index of the last
//! entry in it, and the entry of its membership. It is written first, so that it is always there.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use milena_env::Disk;
use milena_protocol::{
    LeaderEpoch, Message, Offset,
    control::{SnapshotFooterRecord, SnapshotHeaderRecord},
    records::{BatchBuilder, Batches, Budget, BuildError, ControlType, Scratch},
    wire::Writer,
};
use serde_json::{Value, json};

use super::{
    entry::{self, EntryError, MembershipReader},
    types::{LogId, SnapshotMeta, StoredMembership, epoch_of, log_id},
};
use crate::{
    image::{ApplyError, MetadataImage, Position, Replay},
    records::RecordError,
};

const SUFFIX: &str = ".checkpoint";
const BATCH_BYTES: usize = 1 << 20;

/// Why a snapshot cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    #[error("cannot {0} {1}: {2}")]
    Io(&'static str, PathBuf, io::Error),
    #[error("metadata snapshot {0} is damaged: {1}")]
    Damaged(PathBuf, String),
    #[error("metadata snapshot {0}: {1}")]
    Apply(PathBuf, ApplyError),
    #[error(transparent)]
    Record(#[from] RecordError),
    #[error(transparent)]
    Entry(#[from] EntryError),
    #[error(transparent)]
    Build(#[from] BuildError),
    #[error(transparent)]
    Encode(#[from] milena_protocol::EncodeError),
}

/// A snapshot by its file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotFile {
    pub path: PathBuf,
}

/// The folder of the snapshots: that of the metadata log.
#[derive(Clone, Debug)]
pub(super) struct Snapshots {
    disk: Arc<dyn Disk>,
    folder: PathBuf,
}

impl Snapshots {
    pub(super) fn new(disk: Arc<dyn Disk>, folder: PathBuf) -> Self {
        Self { disk, folder }
    }

    /// Where a snapshot lies that ends with an entry.
    fn path(&self, position: Position) -> PathBuf {
        let end = position.offset + 1;
        self.folder.join(format!("{end:020}-{:010}{SUFFIX}", position.epoch))
    }

    /// A file for what a leader sends.
    pub(super) fn incoming(&self) -> SnapshotFile {
        SnapshotFile { path: self.folder.join("incoming.checkpoint.part") }
    }

    /// The end offset and epoch of every snapshot, the newest last.
    fn list(&self) -> Result<Vec<(i64, i32, PathBuf)>, SnapshotError> {
        let entries = match self.disk.list(&self.folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(SnapshotError::Io("list", self.folder.clone(), error)),
        };
        let found = entries.iter().filter_map(|entry| {
            let (end, epoch) = parse(&entry.name)?;
            Some((end, epoch, self.folder.join(&entry.name)))
        });
        let mut found: Vec<_> = found.collect();
        found.sort();
        Ok(found)
    }

    /// The newest snapshot and what it holds.
    pub(super) fn newest(&self) -> Result<Option<(SnapshotMeta, MetadataImage)>, SnapshotError> {
        let Some((end, epoch, path)) = self.list()?.pop() else { return Ok(None) };
        let bytes =
            self.disk.read(&path).map_err(|e| SnapshotError::Io("read", path.clone(), e))?;
        let (image, membership) = read(&path, &bytes, end, epoch)?;
        let (index, membership_id) = self.read_anchor(&path, end)?;
        let last_membership = match membership {
            Some(membership) => StoredMembership::new(membership_id, membership),
            None => StoredMembership::default(),
        };
        // The snapshot that a directory is formatted with stands before the first entry.
        let last_log_id = index.map(|index| log_id(epoch, index));
        let meta = SnapshotMeta { last_log_id, last_membership, snapshot_id: name(&path) };
        Ok(Some((meta, image)))
    }

    pub(super) fn file(&self, meta: &SnapshotMeta) -> SnapshotFile {
        SnapshotFile { path: self.folder.join(&meta.snapshot_id) }
    }

    /// The index of the last entry in a snapshot and the id of its membership. Where Kafka wrote
    /// it, offsets serve as indexes.
    fn read_anchor(
        &self,
        path: &Path,
        end: i64,
    ) -> Result<(Option<u64>, Option<LogId>), SnapshotError> {
        let path = path.with_extension("raft");
        let bytes = match self.disk.read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok((u64::try_from(end - 1).ok(), None));
            }
            Err(error) => return Err(SnapshotError::Io("read", path, error)),
        };
        let parsed = serde_json::from_slice::<Value>(&bytes).ok().and_then(|value| {
            let number = |name: &str| value.get(name).and_then(Value::as_u64);
            let membership = number("membershipIndex").zip(number("membershipEpoch"));
            let membership = membership.map(|(index, epoch)| log_id(epoch as i32, index));
            Some((Some(number("index")?), membership))
        });
        parsed.ok_or_else(|| SnapshotError::Damaged(path, "no index".to_owned()))
    }

    /// Takes in a snapshot that a leader sent.
    pub(super) fn install(
        &self,
        meta: &SnapshotMeta,
        from: &SnapshotFile,
    ) -> Result<MetadataImage, SnapshotError> {
        let read_error = |error| SnapshotError::Io("read", from.path.clone(), error);
        let bytes = self.disk.read(&from.path).map_err(read_error)?;
        let id = name(Path::new(&meta.snapshot_id));
        let damaged = || SnapshotError::Damaged(from.path.clone(), format!("called {id}"));
        let (end, epoch) = parse(&id).ok_or_else(damaged)?;
        let (image, _) = read(&from.path, &bytes, end, epoch)?;
        let last = meta.last_log_id.unwrap_or_default();
        self.write(&image, last, &meta.last_membership)?;
        Ok(image)
    }

    /// Writes a snapshot so that a crash leaves all of it or none, and drops the older ones.
    pub(super) fn write(
        &self,
        image: &MetadataImage,
        last: LogId,
        membership: &StoredMembership,
    ) -> Result<SnapshotMeta, SnapshotError> {
        let path = self.path(image.position);
        let bytes = build(image, membership)?;
        let anchor = json!({
            "index": last.index,
            "membershipIndex": membership.log_id().map(|id| id.index),
            "membershipEpoch": membership.log_id().map(|id| epoch_of(&id)),
        });
        let anchor_path = path.with_extension("raft");
        let replace = |path: &Path, bytes: &[u8]| {
            let replaced = self.disk.replace(path, bytes);
            replaced.map_err(|error| SnapshotError::Io("write", path.to_owned(), error))
        };
        replace(&anchor_path, anchor.to_string().as_bytes())?;
        replace(&path, &bytes)?;
        for (_, _, old) in self.list()?.into_iter().filter(|(_, _, other)| *other != path) {
            // An older one is of no use and no harm.
            if let Err(error) = self.disk.remove_file(&old) {
                tracing::warn!(file = %old.display(), %error, "an old metadata snapshot stays");
            }
            let _ = self.disk.remove_file(&old.with_extension("raft"));
        }
        Ok(SnapshotMeta {
            last_log_id: Some(last),
            last_membership: membership.clone(),
            snapshot_id: name(&path),
        })
    }
}

/// The end offset and the epoch in a snapshot's name.
fn parse(name: &str) -> Option<(i64, i32)> {
    let (end, epoch) = name.strip_suffix(SUFFIX)?.split_once('-')?;
    Some((end.parse().ok()?, epoch.parse().ok()?))
}

fn name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// The bytes of a snapshot.
fn build(image: &MetadataImage, membership: &StoredMembership) -> Result<Vec<u8>, SnapshotError> {
    let timestamp = image.position.timestamp;
    let epoch = LeaderEpoch(image.position.epoch);
    let mut bytes = Vec::new();
    let header = SnapshotHeaderRecord { version: 0, last_contained_log_timestamp: timestamp };
    let first = BatchBuilder::new(Offset::ZERO).with_leader_epoch(epoch).with_control();
    let mut first = control(first, ControlType::SnapshotHeader, &header, timestamp)?;
    if membership.membership().voter_ids().next().is_some() {
        first = entry::put_membership(first, membership.membership(), timestamp)?;
    }
    let mut offset = Offset(i64::from(first.record_count()));
    first.build(&mut bytes)?;
    let mut builder = BatchBuilder::new(offset).with_leader_epoch(epoch);
    let mut failure = None;
    image.to_records(|record| {
        if builder.plain_len() + record.len() > BATCH_BYTES {
            offset = offset.plus(i64::from(builder.record_count()));
            let fresh = BatchBuilder::new(offset).with_leader_epoch(epoch);
            let full = std::mem::replace(&mut builder, fresh);
            failure = failure.take().or(full.build(&mut bytes).err());
        }
        builder.append(timestamp, None, Some(&record), []);
        Ok(())
    })?;
    if let Some(failure) = failure {
        return Err(failure.into());
    }
    offset = offset.plus(i64::from(builder.record_count()));
    if builder.record_count() > 0 {
        builder.build(&mut bytes)?;
    }
    let last = BatchBuilder::new(offset).with_leader_epoch(epoch).with_control();
    let footer = SnapshotFooterRecord { version: 0 };
    control(last, ControlType::SnapshotFooter, &footer, timestamp)?.build(&mut bytes)?;
    Ok(bytes)
}

fn control<'a>(
    mut builder: BatchBuilder,
    kind: ControlType,
    message: &impl Message<'a>,
    timestamp: i64,
) -> Result<BatchBuilder, SnapshotError> {
    let mut writer = Writer::with_capacity(32);
    message.encode(&mut writer, 0)?;
    let value = writer.finish()?.into_body().unwrap_or_default();
    builder.append(timestamp, Some(&kind.to_key()), Some(&value), []);
    Ok(builder)
}

type Read = (MetadataImage, Option<super::types::Membership>);

fn read(path: &Path, bytes: &[u8], end: i64, epoch: i32) -> Result<Read, SnapshotError> {
    let damaged = |why: String| SnapshotError::Damaged(path.to_owned(), why);
    let mut replay = Replay::default();
    let mut membership = MembershipReader::default();
    let mut scratch = Scratch::default();
    let mut has_ended = false;
    let mut batches = Batches::checking(bytes);
    for batch in &mut batches {
        let is_control = batch.header().attributes.is_control();
        let records = batch.records(&mut scratch, Budget::default());
        for record in records.map_err(|error| damaged(error.to_string()))? {
            let record = record.map_err(|error| damaged(error.to_string()))?;
            let (key, value) = (record.key.unwrap_or_default(), record.value.unwrap_or_default());
            if !is_control {
                let applied = replay.apply_bytes(value);
                applied.map_err(|error| SnapshotError::Apply(path.to_owned(), error))?;
            } else {
                let kind = ControlType::from_key(key);
                has_ended |= kind == Some(ControlType::SnapshotFooter);
                if kind == Some(ControlType::SnapshotHeader)
                    && let Ok(header) = SnapshotHeaderRecord::decode(value, 0)
                {
                    replay.image.position.timestamp = header.message.last_contained_log_timestamp;
                }
                membership.take(key, value)?;
            }
        }
    }
    if let Some(why) = batches.stopped() {
        return Err(damaged(why.to_string()));
    }
    if !has_ended {
        return Err(damaged("it has no end".to_owned()));
    }
    let timestamp = replay.image.position.timestamp;
    replay.image.position = Position { offset: end - 1, epoch, timestamp };
    Ok((replay.image, membership.finish()))
}

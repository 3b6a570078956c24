//! The metadata as their log has them, before the quorum runs: whoever opens logs after a crash
//! must know their settings, to tell which of them have to be proven.

use std::sync::Arc;

use milena_env::Disk;
use milena_storage::{Log, names};
use openraft::EntryPayload;

use super::{QuorumError, entry, log_store::walk, snapshot::Snapshots};
use crate::{
    METADATA_TOPIC,
    image::{MetadataImage, Replay},
};

/// What snapshot and log say, committed or not.
pub fn preview(
    disk: &Arc<dyn Disk>,
    directory: &std::path::Path,
    log: &Log,
) -> Result<MetadataImage, QuorumError> {
    let folder = directory.join(names::partition_folder(METADATA_TOPIC, 0));
    let newest = Snapshots::new(Arc::clone(disk), folder).newest()?;
    let image = newest.map_or_else(MetadataImage::default, |(_, image)| image);
    let from = milena_protocol::Offset(image.position.offset + 1).max(log.start_offset());
    let mut replay = Replay::new(image);
    walk(log, from, log.appended_end(), |batch| {
        if let EntryPayload::Normal(proposal) = entry::from_batch(batch, 0)?.payload {
            for record in proposal.records.iter() {
                replay.apply_bytes(record).map_err(|error| {
                    let offset = batch.header().base_offset.0;
                    super::LogStoreError::Batch { offset, why: error.to_string() }
                })?;
            }
        }
        Ok(())
    })?;
    Ok(replay.image)
}

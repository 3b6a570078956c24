//! What the entries of a ring say of one partition, as far as replay has come.

use std::path::Path;

use milena_protocol::{Offset, Uuid};

use super::super::entry::{CloseReason, Place};
use crate::{error::StorageError, log::TopicPartition};

/// One life of a partition: a topic that is deleted and created anew has another id.
pub(super) type Life = (TopicPartition, Uuid);

/// A partition while it is replayed.
#[derive(Debug, Default)]
pub(super) struct Target {
    /// Entries up to here came before a `Close` or `Reset` and are passed over.
    pub(super) skip_through: usize,
    pub(super) closed: Option<CloseReason>,
    /// Where the log ends, once an entry has said so.
    pub(super) end: Option<Place>,
    /// The offset behind its last append or cut.
    pub(super) end_offset: Option<Offset>,
    /// Where a file was found too short for an append. The disk may be ahead of the entry: a cut
    /// that comes later in the journal had been carried out already. That one must follow, then.
    pub(super) hole: Option<(Place, StorageError)>,
    pub(super) was_cut: bool,
    pub(super) was_reset: bool,
    /// The lowest offset that the log was cut at.
    pub(super) lowest_cut: Option<Offset>,
    pub(super) start: Option<Offset>,
}

impl Target {
    /// Notes that the file has `len` bytes where the journal goes on at `place`.
    pub(super) fn check_reach(&mut self, path: &Path, len: u64, place: Place) {
        let at = place.position;
        if len < u64::from(at) && self.hole.is_none() {
            let reason = format!(
                "the file has {len} bytes where the journal goes on at {at}: acknowledged records \
                 in between are lost"
            );
            let begins = Place { segment: place.segment, position: len as u32 };
            self.hole = Some((begins, StorageError::corrupt(path, len, reason)));
        }
    }

    pub(super) fn cut_at(&mut self, to: Offset) {
        self.lowest_cut = Some(self.lowest_cut.map_or(to, |lowest| lowest.min(to)));
    }
}

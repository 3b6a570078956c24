//! Bringing a cold range in from the disk before it is served: whoever sends it afterwards waits
//! for no disk, and no batch that rotted there reaches anybody, nor leads anybody past records.
//!
//! It cuts nothing: what follows a bad batch is as good as before.

use std::{io, sync::Arc};

use milena_env::DiskFile;
use milena_protocol::Offset;

use super::{
    Log,
    read::{Piece, ReadError, ReadPlan},
};
use crate::{
    error::StorageError,
    names::FileKind,
    segment::{
        Segment,
        scan::{End, Scanned, Scanner},
    },
};

const OVERLAPS: &str = "it has offsets of the batch behind it";

impl ReadPlan {
    /// Whether all of it is in memory, the page cache included: then it may be sent at once.
    #[must_use]
    pub fn is_cached(&self) -> bool {
        self.pieces.iter().all(|piece| match piece {
            Piece::Memory(_) => true,
            Piece::File { file, position, len } => file.is_cached(*position, *len as u64),
        })
    }
}

impl Log {
    /// Reads what of the plan lies in a file, and proves every batch of it, also the one that its
    /// end cuts. For a thread that may wait. A bad batch is a `Corrupt` error that says where.
    pub fn bring_in(&self, plan: &ReadPlan) -> Result<(), ReadError> {
        let Some((segment, cuts)) = &plan.source else { return Ok(()) };
        let path = segment.path(FileKind::Log);
        for piece in &plan.pieces {
            let Piece::File { file, position, len } = piece else { continue };
            let proven = self.prove(segment, file, *position, position + *len as u64);
            match proven.map_err(StorageError::io("read", &path))? {
                Ok(()) => {}
                Err(End::Invalid { position, reason }) if self.ends.cuts() == *cuts => {
                    return Err(StorageError::corrupt(&path, position, reason).into());
                }
                // The log was cut since, and other batches may lie there.
                Err(_) => {
                    let interrupted = io::ErrorKind::Interrupted.into();
                    return Err(StorageError::io("read", &path)(interrupted).into());
                }
            }
        }
        Ok(())
    }

    /// Proves the batches from `position` to `to`.
    fn prove(
        &self,
        segment: &Arc<Segment>,
        file: &Arc<dyn DiskFile>,
        position: u64,
        to: u64,
    ) -> io::Result<Result<(), End>> {
        let written = segment.written();
        let mut scanner = Scanner::checked(file, position, written);
        let mut last = position;
        while scanner.position() < to {
            last = scanner.position();
            if let Err(end) = scanner.next()? {
                return Ok(Err(end));
            }
        }
        if self.is_followed_rightly(segment, file, scanner.position(), scanner.reached())? {
            return Ok(Ok(()));
        }
        Ok(Err(End::Invalid { position: last, reason: OVERLAPS }))
    }

    /// That no record has an offset is believed of the batches themselves, not of their headers
    /// alone: of those that the look-up passed over on its way to `found`, in the last of the
    /// segments, and of `found`, which begins beyond the offset.
    pub(super) fn prove_gap(
        &self,
        segments: &[Arc<Segment>],
        offset: Offset,
        found: &Scanned,
    ) -> Result<(), StorageError> {
        for (index, segment) in segments.iter().enumerate().filter(|(_, s)| s.written() > 0) {
            let path = segment.path(FileKind::Log);
            let corrupt = |position, reason| Err(StorageError::corrupt(&path, position, reason));
            let read = || StorageError::io("read", &path);
            let open = self.shared.files.get(segment)?;
            let from = {
                // One entry further back, as the batch that an entry names may be the bad one.
                let indexes = open.indexes();
                let entries = indexes.offsets.entries();
                entries.look_up(entries.look_up(offset).offset.plus(-1)).position
            };
            let is_last = index + 1 == segments.len();
            let end = if is_last { found.position } else { segment.written() };
            let mut scanner =
                Scanner::checked(&open.file, u64::from(from), end).reaching(segment.base_offset());
            if let End::Invalid { position, reason } = scanner.walk().map_err(read())? {
                return corrupt(position, reason);
            }
            if is_last {
                let (behind, reached) = (end + found.size, found.last_offset.next());
                let is_right = self.is_followed_rightly(segment, &open.file, behind, reached);
                if !is_right.map_err(read())? {
                    return corrupt(end, OVERLAPS);
                }
            }
        }
        Ok(())
    }

    /// Whether what lies behind a batch begins where it ends, or beyond. No checksum covers a
    /// batch's base offset.
    fn is_followed_rightly(
        &self,
        segment: &Arc<Segment>,
        file: &Arc<dyn DiskFile>,
        position: u64,
        reached: Offset,
    ) -> io::Result<bool> {
        let behind = match Scanner::glance(file, position, segment.written()).next()? {
            Ok(batch) => batch.header.map(|header| header.base_offset),
            Err(End::Whole) => self.begins_behind(segment),
            // That is told to those who want it.
            Err(End::Invalid { .. }) => None,
        };
        Ok(behind.is_none_or(|behind| behind >= reached))
    }

    /// The first offset that no batch of this segment can have, while the log has the segment.
    fn begins_behind(&self, segment: &Arc<Segment>) -> Option<Offset> {
        let segments = self.segments.load();
        let at = segments.iter().position(|s| Arc::ptr_eq(s, segment))?;
        Some(segments.get(at + 1).map_or(self.appended_end(), |next| next.base_offset()))
    }
}

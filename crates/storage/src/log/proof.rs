//! What of a log's files is not to be trusted: indexes that cannot be read or may be older than the
//! log, and batches that nobody has vouched for.

use std::sync::Arc;

use milena_env::disk::Open;
use milena_protocol::Offset;

use super::{
    Segments,
    listed::Listed,
    rebuild::{Rebuild, base_of},
};
use crate::{
    error::StorageError,
    names::{FileKind, SegmentFile},
    segment::{
        Folder, Segment,
        scan::{End, Scanner},
    },
};

impl Rebuild<'_> {
    /// The base of the first segment whose transaction index cannot be read.
    pub(super) fn first_rotten_transactions(&self, segments: &Segments) -> Option<Offset> {
        let disk = &*self.shared.disk;
        let is_rotten = |s: &&Arc<Segment>| {
            s.aborted_transactions(disk, s.base_offset(), s.base_offset()).is_err()
        };
        segments.iter().find(is_rotten).map(|s| s.base_offset())
    }

    /// Indexes of segments from `from` on are not to be trusted: those of offsets and times are had
    /// from the log when they are needed, and then replace the files. To remove these first would
    /// be the dearest part of a start.
    pub(super) fn forget_indexes(&self, listed: &Listed, from: Offset) -> Result<(), StorageError> {
        for segment in listed.segments.iter().filter(|s| s.base_offset() >= from) {
            segment.forget_transactions();
            let mut removed = vec![FileKind::TransactionIndex];
            if segment.written() > 0 {
                segment.doubt_indexes();
            } else {
                // Nobody opens it before it has a batch.
                removed.extend([FileKind::OffsetIndex, FileKind::TimeIndex]);
            }
            for kind in removed {
                if listed.files.contains(&SegmentFile::live(segment.base_offset(), kind)) {
                    let path = segment.path(kind);
                    let removed = self.shared.disk.remove_file(&path);
                    removed.map_err(StorageError::io("remove", &path))?;
                }
            }
        }
        Ok(())
    }

    /// Checks every batch from the recovery point's segment on; ends the log at the first that is
    /// bad, unless that lies below the recovery point.
    pub(super) fn prove(
        &self,
        folder: &Folder,
        segments: &mut Segments,
        recovery_point: Offset,
    ) -> Result<(), StorageError> {
        let from = base_of(segments, recovery_point);
        let first = segments.partition_point(|s| s.base_offset() < from);
        for (index, segment) in segments.iter().enumerate().skip(first) {
            if segment.written() == 0 {
                // There may be no file: a crash has left the folder alone.
                continue;
            }
            let path = segment.path(FileKind::Log);
            let open = self.shared.disk.open(&path, Open::ReadWrite);
            let file = open.map_err(StorageError::io("open", &path))?;
            let mut scanner =
                Scanner::checked(&file, 0, segment.written()).reaching(segment.base_offset());
            let end = scanner.walk().map_err(StorageError::io("read", &path))?;
            let reached = scanner.reached();
            let End::Invalid { position, reason } = end else { continue };
            if reached < recovery_point {
                return Err(StorageError::corrupt(&path, position, reason));
            }
            tracing::warn!(
                file = %path.display(),
                position,
                reason,
                log_end = reached.0,
                "the log ends here after an unclean stop; what follows was never acknowledged"
            );
            segment.set_written(position);
            // For good before the cut, after which nothing would tell that a batch is missing.
            let removed = segments.split_off(index + 1);
            crate::journal::segments::remove(self.shared, &removed)?;
            let folder = self.shared.disk.sync_dir(&folder.path());
            folder.map_err(StorageError::io("sync the folder of", &path))?;
            let cut = || file.set_len(position).and_then(|()| file.sync_data());
            cut().map_err(StorageError::io("cut", &path))?;
            return Ok(());
        }
        Ok(())
    }
}

//! Bringing a cold range in from the disk before it is served: whoever sends it afterwards waits
//! for no disk, and no batch that rotted there reaches anybody.
//!
//! It cuts nothing: what follows a bad batch is as good as before.

use std::io;

use super::{
    Log,
    read::{Piece, ReadError, ReadPlan},
};
use crate::{
    error::StorageError,
    names::FileKind,
    segment::scan::{End, Scanner},
};

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
            let end = position + *len as u64;
            let mut scanner = Scanner::checked(file, *position, segment.written());
            while scanner.position() < end {
                match scanner.next().map_err(StorageError::io("read", &path))? {
                    Ok(_) => {}
                    Err(End::Invalid { position, reason }) if self.ends.cuts() == *cuts => {
                        return Err(StorageError::corrupt(&path, position, reason).into());
                    }
                    // The log was cut since, and other batches may lie there.
                    Err(_) => {
                        return Err(StorageError::io("read", &path)(
                            io::ErrorKind::Interrupted.into(),
                        )
                        .into());
                    }
                }
            }
        }
        Ok(())
    }
}

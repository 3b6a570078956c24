//! Compaction: of each key the last value stays, and what nobody can miss any more goes.
//!
//! `eligibility` decides how far a log may be cleaned and whether it is worth it; `cleaner` reads
//! the dirty part into an [`OffsetMap`] and writes groups of segments anew, batch by batch through
//! the [`filter`]; `swap` puts each group in the old segments' place. The rules are those of
//! Kafka's LogCleaner: offsets never change, nothing at or above the last stable offset, the active
//! segment or `min.compaction.lag.ms` is touched, tombstones and markers wait for their delete
//! horizon.
//!
//! Groups are swapped in from left to right, each durable before the next begins. A crash thus
//! leaves the beginning of the log cleaner than its end, which is what makes removing a tombstone
//! safe: whatever it deleted lies before it and is gone.
//!
//! Replay is physical, so a segment that the journal may still write to is not rewritten: see
//! `Shared::outlive_journal`.

mod cleaned_offsets;
mod cleaner;
mod draft;
mod eligibility;
mod filter;
mod offset_map;
mod swap;
mod transactions;

use std::sync::{
    Mutex, MutexGuard, PoisonError, TryLockError,
    atomic::{AtomicBool, AtomicU32, Ordering},
};

pub(crate) use cleaned_offsets::CleanedOffsets;
pub use cleaner::{Cleaner, CleanerOptions, Cleaning};
pub(crate) use eligibility::{Bounds, Cleanable, Facts, cleanable};
pub(crate) use swap::finish as finish_swaps;

/// Whose turn it is to give the files of finished segments to others or take them away. Compaction
/// holds it for long and gives it up when somebody waits; a truncation or a deletion waits.
#[derive(Debug, Default)]
pub(crate) struct Turn {
    taken: Mutex<()>,
    waiting: AtomicU32,
    /// Compacting failed for a reason that stays: it is not tried again before a restart.
    is_broken: AtomicBool,
}

impl Turn {
    pub(crate) fn take(&self) -> MutexGuard<'_, ()> {
        self.waiting.fetch_add(1, Ordering::AcqRel);
        let turn = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        self.waiting.fetch_sub(1, Ordering::AcqRel);
        turn
    }

    pub(crate) fn try_take(&self) -> Option<MutexGuard<'_, ()>> {
        match self.taken.try_lock() {
            Ok(turn) => Some(turn),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// Whether somebody waits for it.
    fn is_wanted(&self) -> bool {
        self.waiting.load(Ordering::Acquire) > 0
    }

    fn is_broken(&self) -> bool {
        self.is_broken.load(Ordering::Relaxed)
    }

    fn set_broken(&self) {
        self.is_broken.store(true, Ordering::Relaxed);
    }
}

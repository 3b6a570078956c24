//! What waits for the journal's writer: a list in the order in which it happened.
//!
//! Pushed to under the lock of the partition that it speaks of, so that the order of one partition
//! here is the order of its log. A push is a system call only when the writer sleeps.

use std::{
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use milena_protocol::Offset;

use super::entry::{CloseReason, Place};
use crate::{log::Log, segment::Segment};

/// Something that happened to a log in memory and has yet to happen on disk.
#[derive(Debug)]
pub(crate) struct Task {
    pub log: Arc<Log>,
    /// Whether the log's acknowledgements waited for the journal when this happened.
    pub journalled: bool,
    pub what: What,
}

#[derive(Debug)]
pub(crate) enum What {
    Append(Append),
    /// A segment is finished: its indexes are complete, and this is the producers' state behind it.
    Roll {
        finished: Arc<Segment>,
        snapshot: (Offset, Vec<u8>),
    },
    /// The log was cut. `removed` are the segments that went as a whole; `cut` counts
    /// the cuts of this log.
    Truncate {
        to: Offset,
        segment: Arc<Segment>,
        position: u32,
        removed: Vec<Arc<Segment>>,
        cut: u64,
    },
    /// The log was emptied and begins anew.
    Reset {
        start: Offset,
        removed: Vec<Arc<Segment>>,
        cut: u64,
    },
    /// Records below were deleted. `removed` are the segments that went as a whole.
    LogStart {
        offset: Offset,
        removed: Vec<Arc<Segment>>,
    },
    Close(CloseReason),
}

#[derive(Debug)]
pub(crate) struct Append {
    pub segment: Arc<Segment>,
    pub position: u32,
    pub bytes: Bytes,
    pub last_offset: Offset,
    /// What the time index would say of the segment after this batch.
    pub max_timestamp: i64,
    pub max_timestamp_offset: Offset,
    /// Whether the sparse indexes get an entry for it.
    pub indexed: bool,
    /// Which life of the log, between truncations, the batch belongs to.
    pub incarnation: u32,
}

impl Append {
    pub(super) fn place(&self) -> Place {
        Place { segment: self.segment.base_offset(), position: self.position }
    }
}

#[derive(Debug, Default)]
struct Inner {
    tasks: Vec<Task>,
    writer_sleeps: bool,
    stopping: bool,
}

#[derive(Debug, Default)]
pub(crate) struct Queue {
    inner: Mutex<Inner>,
    wake: Condvar,
    /// Bytes of batches that are not in a segment yet.
    unwritten: AtomicU64,
}

impl Queue {
    pub(crate) fn push(&self, task: Task) {
        if let What::Append(append) = &task.what {
            self.unwritten.fetch_add(append.bytes.len() as u64, Ordering::Relaxed);
        }
        let mut inner = self.lock();
        inner.tasks.push(task);
        self.rouse(inner);
    }

    /// Bytes that are only in the journal and in memory.
    pub(crate) fn unwritten_bytes(&self) -> u64 {
        self.unwritten.load(Ordering::Relaxed)
    }

    pub(super) fn written(&self, bytes: u64) {
        self.unwritten.fetch_sub(bytes, Ordering::Relaxed);
    }

    pub(super) fn take(&self, into: &mut Vec<Task>) {
        let mut inner = self.lock();
        if into.is_empty() {
            std::mem::swap(into, &mut inner.tasks);
        } else {
            into.append(&mut inner.tasks);
        }
    }

    /// Sleeps until something is pushed, or for `at_most`. `false` once nothing will come.
    pub(super) fn wait(&self, at_most: Duration) -> bool {
        let mut inner = self.lock();
        if inner.tasks.is_empty() && !inner.stopping {
            inner.writer_sleeps = true;
            let waited = self.wake.wait_timeout(inner, at_most);
            inner = waited.unwrap_or_else(PoisonError::into_inner).0;
            inner.writer_sleeps = false;
        }
        !(inner.stopping && inner.tasks.is_empty())
    }

    pub(crate) fn stop(&self) {
        let mut inner = self.lock();
        inner.stopping = true;
        self.rouse(inner);
    }

    fn rouse(&self, mut inner: MutexGuard<'_, Inner>) {
        let sleeps = std::mem::take(&mut inner.writer_sleeps);
        drop(inner);
        if sleeps {
            self.wake.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

//! How far a log reaches: appended, durable, in segments; and who waits for either.
//!
//! Followers may read what is appended, consumers only what is durable and replicated. Everything
//! here is read without a lock.

use std::{
    future::poll_fn,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering},
    },
    task::{Poll, Waker},
};

use milena_protocol::Offset;

/// Which end somebody waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Appended,
    Durable,
    /// The start that the journal knows of.
    Start,
}

#[derive(Debug)]
struct Waiter {
    end: End,
    offset: Offset,
    waker: Waker,
}

/// The offsets that bound a log. Each is the offset after the last record of its kind.
#[derive(Debug)]
pub(crate) struct Ends {
    start: AtomicI64,
    appended: AtomicI64,
    durable: AtomicI64,
    written: AtomicI64,
    /// Raised before any byte of a batch may be read from a file, as `written` is behind that.
    writing: AtomicI64,
    recovery_point: AtomicI64,
    /// The start that the journal knows of.
    durable_start: AtomicI64,
    /// How often the log was cut.
    cuts: AtomicU64,
    /// How many of the cuts the journal knows of.
    durable_cuts: AtomicU64,
    /// Nothing more will come.
    is_closed: AtomicBool,
    somebody_waits: AtomicBool,
    waiters: Mutex<Vec<Waiter>>,
}

impl Ends {
    pub(super) fn new(start: Offset, end: Offset, recovery_point: Offset) -> Self {
        Self {
            start: AtomicI64::new(start.0),
            appended: AtomicI64::new(end.0),
            durable: AtomicI64::new(end.0),
            written: AtomicI64::new(end.0),
            writing: AtomicI64::new(end.0),
            recovery_point: AtomicI64::new(recovery_point.0),
            durable_start: AtomicI64::new(start.0),
            cuts: AtomicU64::new(0),
            durable_cuts: AtomicU64::new(0),
            is_closed: AtomicBool::new(false),
            somebody_waits: AtomicBool::new(false),
            waiters: Mutex::default(),
        }
    }

    pub(super) fn start(&self) -> Offset {
        Offset(self.start.load(Ordering::Acquire))
    }

    pub(super) fn appended(&self) -> Offset {
        Offset(self.appended.load(Ordering::Acquire))
    }

    pub(super) fn durable(&self) -> Offset {
        Offset(self.durable.load(Ordering::Acquire))
    }

    pub(super) fn written(&self) -> Offset {
        Offset(self.written.load(Ordering::Acquire))
    }

    /// No file holds anything from here on, if its length was asked for before.
    pub(super) fn writing(&self) -> Offset {
        Offset(self.writing.load(Ordering::Acquire))
    }

    pub(super) fn raise_writing(&self, to: Offset) {
        self.writing.fetch_max(to.0, Ordering::AcqRel);
    }

    pub(super) fn recovery_point(&self) -> Offset {
        Offset(self.recovery_point.load(Ordering::Acquire))
    }

    pub(super) fn raise_start(&self, to: Offset) {
        self.start.fetch_max(to.0, Ordering::AcqRel);
    }

    pub(super) fn raise_recovery_point(&self, to: Offset) {
        self.recovery_point.fetch_max(to.0, Ordering::AcqRel);
    }

    pub(super) fn durable_start(&self) -> Offset {
        Offset(self.durable_start.load(Ordering::Acquire))
    }

    pub(super) fn raise_durable_start(&self, to: Offset) {
        self.durable_start.fetch_max(to.0, Ordering::AcqRel);
        self.wake(|waiter| waiter.end == End::Start && waiter.offset <= to);
    }

    pub(super) fn reset_durable_start(&self, to: Offset) {
        self.durable_start.store(to.0, Ordering::Release);
    }

    pub(super) fn cut_is_durable(&self, cut: u64) {
        self.durable_cuts.store(cut, Ordering::Release);
    }

    /// Whether everything that took records away is known to the journal.
    pub(super) fn is_settled(&self) -> bool {
        self.durable_cuts.load(Ordering::Acquire) == self.cuts()
            && self.durable_start() >= self.start()
    }

    pub(super) fn cuts(&self) -> u64 {
        self.cuts.load(Ordering::Acquire)
    }

    pub(super) fn raise_appended(&self, to: Offset) {
        self.appended.store(to.0, Ordering::Release);
        self.wake(|waiter| waiter.end == End::Appended && waiter.offset <= to);
    }

    pub(super) fn raise_durable(&self, to: Offset) {
        if self.durable.fetch_max(to.0, Ordering::AcqRel) < to.0 {
            self.wake(|waiter| waiter.end == End::Durable && waiter.offset <= to);
        }
    }

    pub(super) fn raise_written(&self, to: Offset) {
        self.written.fetch_max(to.0, Ordering::AcqRel);
    }

    /// After a truncation everything ends at `to`, and those who waited for more look again.
    pub(super) fn cut(&self, to: Offset) {
        self.cuts.fetch_add(1, Ordering::AcqRel);
        let written = [&self.written, &self.writing];
        for end in [&self.appended, &self.durable, &self.recovery_point].into_iter().chain(written)
        {
            end.fetch_min(to.0, Ordering::AcqRel);
        }
        self.wake(|_| true);
    }

    /// The log is empty and starts at `start`.
    pub(super) fn reset(&self, start: Offset) {
        self.cuts.fetch_add(1, Ordering::AcqRel);
        for end in [&self.start, &self.appended, &self.durable, &self.written, &self.writing] {
            end.store(start.0, Ordering::Release);
        }
        // Never raised: until the journal knows of it a crash brings back the log as it was.
        self.recovery_point.fetch_min(start.0, Ordering::AcqRel);
        self.wake(|_| true);
    }

    pub(super) fn is_closed(&self) -> bool {
        self.is_closed.load(Ordering::Acquire)
    }

    /// Nothing more will come.
    pub(super) fn close(&self) {
        self.is_closed.store(true, Ordering::Release);
        self.wake(|_| true);
    }

    /// Waits until everything below `offset` is appended; `false` if that will not happen.
    pub(super) async fn wait_appended(&self, offset: Offset) -> bool {
        self.wait(End::Appended, offset).await
    }

    /// Waits until everything below `offset` is durable; `false` if that will not happen.
    pub(super) async fn wait_durable(&self, offset: Offset) -> bool {
        self.wait(End::Durable, offset).await
    }

    /// Waits until the journal knows that the log starts at `offset` or behind it; `false` if that
    /// will not happen.
    pub(super) async fn wait_start(&self, offset: Offset) -> bool {
        self.wait(End::Start, offset).await
    }

    async fn wait(&self, end: End, offset: Offset) -> bool {
        let reached = || match end {
            End::Appended => self.appended() >= offset,
            End::Durable => self.durable() >= offset,
            End::Start => self.durable_start() >= offset,
        };
        let decided = || {
            if reached() {
                return Some(true);
            }
            let lost = end == End::Durable && self.appended() < offset;
            (lost || self.is_closed.load(Ordering::Acquire)).then_some(false)
        };
        poll_fn(|context| {
            if let Some(answer) = decided() {
                return Poll::Ready(answer);
            }
            let mut waiters = self.waiters.lock().unwrap_or_else(PoisonError::into_inner);
            // A future that is polled again is registered again: forget its last time.
            waiters.retain(|w| !(w.offset == offset && w.waker.will_wake(context.waker())));
            waiters.push(Waiter { end, offset, waker: context.waker().clone() });
            self.somebody_waits.store(true, Ordering::SeqCst);
            drop(waiters);
            // Looked at again: it may have come between the first look and the registration.
            decided().map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }

    fn wake(&self, is_due: impl Fn(&Waiter) -> bool) {
        if !self.somebody_waits.load(Ordering::SeqCst) {
            return;
        }
        let due: Vec<Waiter> = {
            let mut waiters = self.waiters.lock().unwrap_or_else(PoisonError::into_inner);
            let due = waiters.extract_if(.., |w| is_due(w)).collect();
            self.somebody_waits.store(!waiters.is_empty(), Ordering::SeqCst);
            due
        };
        due.into_iter().for_each(|waiter| waiter.waker.wake());
    }
}

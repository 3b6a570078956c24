//! Who waits for a partition to get further: produce requests for their own records, fetches for
//! the next ones. One entry per request and partition, gone when the request is.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicBool, AtomicIsize, AtomicU64, Ordering},
};

use milena_protocol::Offset;
use tokio::sync::Notify;

use super::Partition;

/// What is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// On this broker's disk.
    Durable,
    /// On the disk of every in-sync replica.
    HighWatermark,
}

/// Who is told; the mark is what it gave the partition to be known by.
pub(crate) trait Woken: Send + Sync + std::fmt::Debug {
    fn wake(&self, mark: u64);
}

/// One request, however many partitions it waits for.
impl Woken for Notify {
    fn wake(&self, _: u64) {
        self.notify_one();
    }
}

pub(crate) type Wake = Arc<dyn Woken>;

/// One request that goes on when all of its partitions got as far as it waits for: it is woken
/// once, and not by each of them.
#[derive(Debug)]
pub(crate) struct Last {
    left: AtomicIsize,
    notify: Notify,
}

impl Last {
    pub(crate) fn of(count: usize) -> Arc<Self> {
        let left = AtomicIsize::new(isize::try_from(count).unwrap_or(isize::MAX));
        Arc::new(Self { left, notify: Notify::new() })
    }

    pub(crate) async fn any(&self) {
        self.notify.notified().await;
    }
}

impl Woken for Last {
    /// A partition may call twice, if it got there while it was asked. So the last one may seem to
    /// be there too early; every later call wakes as well.
    fn wake(&self, _: u64) {
        if self.left.fetch_sub(1, Ordering::AcqRel) <= 1 {
            self.notify.notify_one();
        }
    }
}

#[derive(Debug)]
struct Waiter {
    ticket: u64,
    reach: Reach,
    offset: Offset,
    wake: Wake,
    mark: u64,
}

#[derive(Debug, Default)]
pub(super) struct Waiters {
    /// Lets the journal's writer pass by without a lock where nobody waits.
    somebody: AtomicBool,
    tickets: AtomicU64,
    waiters: Mutex<Vec<Waiter>>,
}

impl Waiters {
    pub(super) fn add(&self, reach: Reach, offset: Offset, wake: &Wake, mark: u64) -> u64 {
        let ticket = self.tickets.fetch_add(1, Ordering::Relaxed);
        let waiter = Waiter { ticket, reach, offset, wake: Arc::clone(wake), mark };
        self.lock().push(waiter);
        self.somebody.store(true, Ordering::SeqCst);
        ticket
    }

    fn remove(&self, ticket: u64) {
        let mut waiters = self.lock();
        if let Some(at) = waiters.iter().position(|waiter| waiter.ticket == ticket) {
            waiters.swap_remove(at);
            self.somebody.store(!waiters.is_empty(), Ordering::SeqCst);
        }
    }

    pub(super) fn reached(&self, durable: Offset, high_watermark: Offset) {
        self.wake(|waiter| {
            waiter.offset
                <= match waiter.reach {
                    Reach::Durable => durable,
                    Reach::HighWatermark => high_watermark,
                }
        });
    }

    pub(super) fn wake_all(&self) {
        self.wake(|_| true);
    }

    fn wake(&self, is_due: impl Fn(&Waiter) -> bool) {
        if !self.somebody.load(Ordering::SeqCst) {
            return;
        }
        let mut waiters = self.lock();
        waiters.retain(|waiter| {
            let due = is_due(waiter);
            if due {
                waiter.wake.wake(waiter.mark);
            }
            !due
        });
        self.somebody.store(!waiters.is_empty(), Ordering::SeqCst);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Waiter>> {
        self.waiters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request among those that wait for a partition; gone when dropped.
#[derive(Debug)]
pub(crate) struct Registration {
    partition: Arc<Partition>,
    ticket: u64,
}

impl Registration {
    pub(super) fn new(partition: Arc<Partition>, ticket: u64) -> Self {
        Self { partition, ticket }
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.partition.waiters.remove(self.ticket);
    }
}

#[cfg(test)]
mod test {
    use std::task::{Context, Poll, Waker};

    use super::*;

    #[test]
    fn a_request_over_many_partitions_is_woken_by_the_last_one() {
        let last = Last::of(3);
        let is_woken = || {
            let mut woken = std::pin::pin!(last.any());
            woken.as_mut().poll(&mut Context::from_waker(Waker::noop())) == Poll::Ready(())
        };
        last.wake(0);
        last.wake(0);
        assert!(!is_woken());
        last.wake(0);
        assert!(is_woken() && !is_woken(), "once");
        last.wake(0);
        assert!(is_woken(), "one had called twice before");
    }
}

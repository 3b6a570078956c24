//! The one budget for bytes in flight: frames as they arrive, batches that are in no segment yet,
//! answers that are not sent yet. While it is spent sockets are not read, except the one whose
//! frame is the oldest of the unfinished ones: it must be possible to finish something.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    task::Waker,
};

/// Bytes that somebody else counts, such as those on their way into a segment.
type Elsewhere = Box<dyn Fn() -> u64 + Send + Sync>;

pub(crate) struct Budget {
    limit: usize,
    used: AtomicUsize,
    elsewhere: Elsewhere,
    tickets: AtomicU64,
    somebody_waits: AtomicBool,
    /// Unfinished frames in the order in which they began; who waits has a waker.
    unfinished: Mutex<BTreeMap<u64, Option<Waker>>>,
}

impl fmt::Debug for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Budget({} of {})", self.used(), self.limit)
    }
}

impl Budget {
    pub(crate) fn new(limit: usize, elsewhere: Elsewhere) -> Arc<Self> {
        Arc::new(Self {
            limit,
            used: AtomicUsize::new(0),
            elsewhere,
            tickets: AtomicU64::new(0),
            somebody_waits: AtomicBool::new(false),
            unfinished: Mutex::default(),
        })
    }

    pub(crate) fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed) + (self.elsewhere)() as usize
    }

    fn is_spent(&self) -> bool {
        self.used() >= self.limit
    }

    pub(crate) fn is_waited_for(&self) -> bool {
        self.somebody_waits.load(Ordering::Relaxed)
    }

    /// Nothing yet, to be grown.
    pub(crate) fn charge(self: &Arc<Self>) -> Charge {
        Charge { budget: Arc::clone(self), bytes: 0 }
    }

    /// A place in the queue of unfinished frames.
    pub(crate) fn ticket(self: &Arc<Self>) -> Ticket {
        let number = self.tickets.fetch_add(1, Ordering::Relaxed);
        self.lock().insert(number, None);
        Ticket { budget: Arc::clone(self), number }
    }

    /// Whoever waits looks again. Called when bytes were given back, here or elsewhere.
    pub(crate) fn wake(&self) {
        if !self.somebody_waits.load(Ordering::SeqCst) || self.is_spent() {
            return;
        }
        self.wake_all();
    }

    fn wake_all(&self) {
        self.somebody_waits.store(false, Ordering::SeqCst);
        let wakers: Vec<Waker> = self.lock().values_mut().filter_map(Option::take).collect();
        wakers.into_iter().for_each(Waker::wake);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<u64, Option<Waker>>> {
        self.unfinished.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Bytes taken from the budget; given back when dropped.
#[derive(Debug)]
pub(crate) struct Charge {
    budget: Arc<Budget>,
    bytes: usize,
}

impl Charge {
    pub(crate) fn grow(&mut self, bytes: usize) {
        self.bytes += bytes;
        self.budget.used.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn set(&mut self, bytes: usize) {
        if bytes > self.bytes {
            self.grow(bytes - self.bytes);
        } else if bytes < self.bytes {
            let less = self.bytes - bytes;
            self.bytes = bytes;
            self.budget.used.fetch_sub(less, Ordering::Relaxed);
            self.budget.wake();
        }
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.set(0);
    }
}

/// The place of an unfinished frame among the others.
#[derive(Debug)]
pub(crate) struct Ticket {
    budget: Arc<Budget>,
    number: u64,
}

impl Ticket {
    /// Whether more bytes may be read for this frame; if not, the waker is called when they may.
    pub(crate) fn may_read(&self, waker: &Waker) -> bool {
        if !self.budget.is_spent() {
            return true;
        }
        let mut unfinished = self.budget.lock();
        if unfinished.first_key_value().is_some_and(|(first, _)| *first == self.number) {
            return true;
        }
        unfinished.insert(self.number, Some(waker.clone()));
        self.budget.somebody_waits.store(true, Ordering::SeqCst);
        drop(unfinished);
        // Looked at again: bytes may have come back between the first look and the registration.
        !self.budget.is_spent()
    }
}

impl Drop for Ticket {
    /// Another frame is the oldest now, and may go on although the budget is spent.
    fn drop(&mut self) {
        let mut unfinished = self.budget.lock();
        unfinished.remove(&self.number);
        let next = unfinished.first_entry().and_then(|mut next| next.get_mut().take());
        drop(unfinished);
        if let Some(next) = next {
            next.wake();
        }
    }
}

#[cfg(test)]
mod test {
    use super::*;

    struct Count(AtomicUsize);

    impl std::task::Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn counting() -> (Arc<Count>, Waker) {
        let count = Arc::new(Count(AtomicUsize::new(0)));
        (Arc::clone(&count), Waker::from(count))
    }

    #[test]
    fn only_the_oldest_frame_goes_on_while_the_budget_is_spent() {
        let budget = Budget::new(100, Box::new(|| 0));
        let (oldest, younger) = (budget.ticket(), budget.ticket());
        let (count, waker) = counting();
        let mut charge = budget.charge();
        charge.grow(99);
        assert!(younger.may_read(&waker));
        charge.grow(1);
        assert!(oldest.may_read(&waker));
        assert!(!younger.may_read(&waker));
        drop(oldest);
        assert_eq!(count.0.load(Ordering::SeqCst), 1);
        assert!(younger.may_read(&waker));
    }

    #[test]
    fn who_waits_is_woken_when_bytes_come_back() {
        let elsewhere = Arc::new(AtomicU64::new(90));
        let there = Arc::clone(&elsewhere);
        let budget = Budget::new(100, Box::new(move || there.load(Ordering::SeqCst)));
        let (_oldest, younger) = (budget.ticket(), budget.ticket());
        let (count, waker) = counting();
        let mut charge = budget.charge();
        charge.grow(20);
        assert!(!younger.may_read(&waker));
        charge.set(15);
        assert_eq!(count.0.load(Ordering::SeqCst), 0, "105 of 100 are still used");
        elsewhere.store(0, Ordering::SeqCst);
        budget.wake();
        assert_eq!(count.0.load(Ordering::SeqCst), 1);
        drop(charge);
        assert_eq!(budget.used(), 0);
    }
}

//! The one budget for bytes in flight: frames as they arrive, batches that are in no segment yet,
//! answers that are not sent yet. While it is spent sockets are not read, except the one whose
//! frame is the oldest of the unfinished ones: it must be possible to finish something. It waits
//! too while the segments alone owe the whole budget, for they give back without its help. Frames
//! that are begun and hardly sent on must not keep the bytes that others wait for: the largest of
//! them lose their connection.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    task::Waker,
    time::Duration,
};

use crate::limits::{STALLED_AFTER, STALLED_BYTES, STALLED_SHARE};

/// Bytes that somebody else counts, such as those on their way into a segment.
type Elsewhere = Box<dyn Fn() -> u64 + Send + Sync>;

pub(crate) struct Budget {
    limit: usize,
    used: AtomicUsize,
    elsewhere: Elsewhere,
    tickets: AtomicU64,
    somebody_waits: AtomicBool,
    unfinished: Mutex<AllUnfinished>,
}

#[derive(Default)]
struct AllUnfinished {
    /// In the order in which they began.
    frames: BTreeMap<u64, Unfinished>,
    /// Since when it is watched which of them are sent on, while somebody waits.
    watched_since: Option<Duration>,
}

impl AllUnfinished {
    fn wake_oldest(&mut self) {
        if let Some(mut oldest) = self.frames.first_entry()
            && std::mem::take(&mut oldest.get_mut().is_waiting)
        {
            oldest.get().waker.wake_by_ref();
        }
    }
}

/// A frame of which some has arrived.
struct Unfinished {
    waker: Waker,
    /// It waits for the budget, not for its client.
    is_waiting: bool,
    /// What has arrived of it.
    held: Arc<AtomicUsize>,
    /// What had arrived when it began to be watched; nothing is known against a newcomer yet.
    watched: Option<usize>,
    is_stalled: bool,
}

impl Unfinished {
    fn held(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }

    /// Whether its client hardly sent it on since it is watched.
    fn is_slow(&self) -> bool {
        let arrived = |before: usize| self.held().saturating_sub(before);
        !self.is_waiting && self.watched.is_some_and(|before| arrived(before) < STALLED_BYTES)
    }
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

    /// Whether what is on its way into segments is enough to spend the budget.
    fn is_spent_elsewhere(&self) -> bool {
        (self.elsewhere)() as usize >= self.limit
    }

    pub(crate) fn is_waited_for(&self) -> bool {
        self.somebody_waits.load(Ordering::Relaxed)
    }

    /// Nothing yet, to be grown.
    pub(crate) fn charge(self: &Arc<Self>) -> Charge {
        Charge { budget: Arc::clone(self), bytes: 0 }
    }

    /// A place in the queue of unfinished frames; the waker is called when it may go on, or must
    /// end.
    pub(crate) fn ticket(self: &Arc<Self>, waker: &Waker) -> Ticket {
        let number = self.tickets.fetch_add(1, Ordering::Relaxed);
        let held = Arc::new(AtomicUsize::new(0));
        let unfinished = Unfinished {
            waker: waker.clone(),
            is_waiting: false,
            held: Arc::clone(&held),
            watched: None,
            is_stalled: false,
        };
        self.lock().frames.insert(number, unfinished);
        Ticket { budget: Arc::clone(self), number, held }
    }

    /// Whoever waits looks again. Called when bytes were given back, here or elsewhere.
    pub(crate) fn wake(&self) {
        if !self.somebody_waits.load(Ordering::SeqCst) {
            return;
        }
        if !self.is_spent() {
            self.wake_all();
        } else if !self.is_spent_elsewhere() {
            self.lock().wake_oldest();
        }
    }

    fn wake_all(&self) {
        self.somebody_waits.store(false, Ordering::SeqCst);
        for frame in self.lock().frames.values_mut() {
            if std::mem::take(&mut frame.is_waiting) {
                frame.waker.wake_by_ref();
            }
        }
    }

    /// Ends frames whose clients hardly send them on while others wait for the bytes that they
    /// hold: the largest first, until enough comes back. To be called now and then.
    pub(crate) fn end_stalled(&self, now: Duration) {
        let is_short = self.is_waited_for() && self.is_spent();
        let mut unfinished = self.lock();
        if !is_short {
            unfinished.watched_since = None;
            return;
        }
        let since = unfinished.watched_since;
        if since.is_some_and(|since| now < since + STALLED_AFTER) {
            return;
        }
        unfinished.watched_since = Some(now);
        let mut slow = Vec::new();
        for frame in unfinished.frames.values_mut() {
            frame.is_stalled = false;
            let is_slow = since.is_some() && frame.is_slow();
            frame.watched = Some(frame.held());
            if is_slow {
                slow.push(frame);
            }
        }
        slow.sort_by_key(|frame| std::cmp::Reverse(frame.held()));
        let mut lacking = self.limit / STALLED_SHARE;
        for frame in slow {
            if lacking == 0 {
                break;
            }
            lacking = lacking.saturating_sub(frame.held());
            frame.is_stalled = true;
            frame.waker.wake_by_ref();
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, AllUnfinished> {
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
    held: Arc<AtomicUsize>,
}

impl Ticket {
    /// Whether more bytes may be read for this frame; if not, the waker is called when they may.
    pub(crate) fn may_read(&self, waker: &Waker) -> bool {
        if !self.budget.is_spent() {
            return true;
        }
        let mut unfinished = self.budget.lock();
        let is_oldest =
            unfinished.frames.first_key_value().is_some_and(|(first, _)| *first == self.number);
        if is_oldest && !self.budget.is_spent_elsewhere() {
            return true;
        }
        if let Some(frame) = unfinished.frames.get_mut(&self.number) {
            frame.waker.clone_from(waker);
            frame.is_waiting = true;
        }
        self.budget.somebody_waits.store(true, Ordering::SeqCst);
        drop(unfinished);
        // Looked at again: bytes may have come back between the first look and the registration.
        !self.budget.is_spent()
    }

    /// Notes that more of the frame has arrived.
    pub(crate) fn arrived(&self, bytes: usize) {
        self.held.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Whether the frame is to be given up.
    pub(crate) fn is_stalled(&self) -> bool {
        self.budget.is_waited_for()
            && self.budget.lock().frames.get(&self.number).is_some_and(|frame| frame.is_stalled)
    }
}

impl Drop for Ticket {
    /// Another frame is the oldest now, and may go on although the budget is spent.
    fn drop(&mut self) {
        let mut unfinished = self.budget.lock();
        unfinished.frames.remove(&self.number);
        unfinished.wake_oldest();
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
        let (count, waker) = counting();
        let (oldest, younger) = (budget.ticket(&waker), budget.ticket(&waker));
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
        let (count, waker) = counting();
        let (_oldest, younger) = (budget.ticket(Waker::noop()), budget.ticket(&waker));
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

    #[test]
    fn not_even_the_oldest_frame_goes_on_while_the_segments_owe_the_whole_budget() {
        let elsewhere = Arc::new(AtomicU64::new(100));
        let there = Arc::clone(&elsewhere);
        let budget = Budget::new(100, Box::new(move || there.load(Ordering::SeqCst)));
        let (count, waker) = counting();
        let (oldest, younger) = (budget.ticket(&waker), budget.ticket(Waker::noop()));
        let mut charge = budget.charge();
        charge.grow(100);
        assert!(!oldest.may_read(&waker) && !younger.may_read(Waker::noop()));
        budget.wake();
        assert_eq!(count.0.load(Ordering::SeqCst), 0);
        elsewhere.store(99, Ordering::SeqCst);
        budget.wake();
        assert_eq!(count.0.load(Ordering::SeqCst), 1);
        assert!(oldest.may_read(&waker) && !younger.may_read(Waker::noop()));
    }

    #[test]
    fn who_sends_nothing_on_while_others_wait_is_ended_and_nobody_else() {
        let budget = Budget::new(100, Box::new(|| 0));
        let (count, waker) = counting();
        let [stalled, sending, waiting] =
            [&waker, Waker::noop(), Waker::noop()].map(|waker| budget.ticket(waker));
        stalled.arrived(1);
        let mut charge = budget.charge();
        charge.grow(100);
        let are_stalled = || [&stalled, &sending, &waiting].map(Ticket::is_stalled);
        let at = |windows: u32| budget.end_stalled(STALLED_AFTER * windows);
        (0..10).for_each(at);
        assert_eq!(are_stalled(), [false; 3], "nobody waits, so they may take their time");
        assert!(!waiting.may_read(Waker::noop()));
        at(10);
        for window in 11..14 {
            sending.arrived(STALLED_BYTES);
            at(window);
        }
        assert_eq!(are_stalled(), [true, false, false]);
        assert_eq!(count.0.load(Ordering::SeqCst), 3, "once a window, until it has gone");
    }

    #[test]
    fn who_is_slow_and_holds_little_is_spared_while_larger_ones_are_slow_too() {
        let budget = Budget::new(100, Box::new(|| 0));
        let tickets = [(); 5].map(|()| budget.ticket(Waker::noop()));
        let [small, large, waiting, middling, last] = &tickets;
        for (ticket, held) in [(small, 1), (large, 60), (middling, 7), (last, 6)] {
            ticket.arrived(held);
        }
        let mut charge = budget.charge();
        charge.grow(100);
        assert!(!waiting.may_read(Waker::noop()));
        let ended = |window| {
            budget.end_stalled(STALLED_AFTER * window);
            [small, large, middling, last].map(Ticket::is_stalled)
        };
        assert_eq!(ended(0), [false; 4]);
        assert_eq!(ended(1), [false, true, false, false], "an eighth of the budget comes back");
        let [small, large, waiting, middling, last] = tickets;
        drop(large);
        let ended = |window| {
            budget.end_stalled(STALLED_AFTER * window);
            [&small, &middling, &last].map(Ticket::is_stalled)
        };
        assert_eq!(ended(2), [false, true, true], "it takes two of them now");
        drop((middling, last, waiting));
    }
}

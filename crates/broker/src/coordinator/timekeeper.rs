//! The thread that wakes coordinators when their time has come, loads their logs, and does what
//! they ask for. There is one for all of them, and what they wait for is data of theirs: no timer
//! and no task for each.

use std::{
    fmt::Debug,
    io,
    ops::ControlFlow,
    sync::{
        Arc, Weak,
        atomic::{AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use milena_env::{Clock, spawn_thread, timer};
use tokio::{
    sync::mpsc::{self, UnboundedReceiver, UnboundedSender},
    task::{LocalSet, spawn_blocking},
};

/// Logs that are loaded at the same time.
const LOADS_AT_ONCE: usize = 2;

/// Nobody sleeps longer: a clock that was moved is noticed.
const NAP_MAX: Duration = Duration::from_secs(60);

/// Whom it wakes.
pub(crate) trait Timed: Debug + Send + Sync {
    /// Does what is due; says when something will be again.
    fn on_time(&self) -> Option<Duration>;
}

enum Order {
    Wake,
    Load(Box<dyn FnOnce() + Send>),
    Stop,
}

/// How coordinators speak to the thread.
#[derive(Clone, Debug)]
pub(crate) struct Waker {
    orders: UnboundedSender<Order>,
    /// When it wakes by itself, in nanoseconds since the process began.
    next: Arc<AtomicU64>,
}

impl Waker {
    /// Has the thread look around at this time, if not before.
    pub(super) fn wake_by(&self, at: Duration) {
        let at = nanos(at);
        if self.next.fetch_min(at, Ordering::SeqCst) > at {
            // Once it has stopped, nothing is due any more.
            let _ = self.orders.send(Order::Wake);
        }
    }

    pub(super) fn load(&self, load: Box<dyn FnOnce() + Send>) {
        let _ = self.orders.send(Order::Load(load));
    }
}

/// The thread itself; it ends when it is told to.
#[derive(Debug)]
pub(crate) struct Timekeeper {
    waker: Waker,
    inbox: Option<UnboundedReceiver<Order>>,
    thread: Option<JoinHandle<()>>,
}

impl Timekeeper {
    /// A timekeeper that takes orders, and carries them out once it is started.
    pub(crate) fn new() -> Self {
        let (orders, inbox) = mpsc::unbounded_channel();
        let waker = Waker { orders, next: Arc::new(AtomicU64::new(0)) };
        Self { waker, inbox: Some(inbox), thread: None }
    }

    pub(crate) fn waker(&self) -> Waker {
        self.waker.clone()
    }

    /// The thread begins; `work` goes on beside what the thread itself does, and ends with it.
    pub(super) fn start<W: Future<Output = ()> + 'static>(
        &mut self,
        clock: Arc<dyn Clock>,
        coordinators: Vec<Weak<dyn Timed>>,
        work: impl FnOnce() -> W + Send + 'static,
    ) -> io::Result<()> {
        let Some(inbox) = self.inbox.take() else { return Ok(()) };
        let next = Arc::clone(&self.waker.next);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(LOADS_AT_ONCE)
            .build()?;
        let keep = async move { keep_time(inbox, &next, &*clock, &coordinators).await };
        let both = move || {
            let tasks = LocalSet::new();
            tasks.spawn_local(work());
            tasks.block_on(&runtime, keep);
        };
        self.thread = Some(spawn_thread("coordinators", both)?);
        Ok(())
    }

    pub(crate) fn stop(&mut self) {
        let _ = self.waker.orders.send(Order::Stop);
        if let Some(thread) = self.thread.take() {
            // A panic there was printed there; the logs are worth closing all the same.
            let _ = thread.join();
        }
    }
}

async fn keep_time(
    mut inbox: UnboundedReceiver<Order>,
    next: &AtomicU64,
    clock: &dyn Clock,
    coordinators: &[Weak<dyn Timed>],
) {
    loop {
        // Whoever wants to be woken from here on says so anew.
        next.store(u64::MAX, Ordering::SeqCst);
        let due = coordinators.iter().filter_map(Weak::upgrade).filter_map(|it| it.on_time());
        if let Some(due) = due.min() {
            next.fetch_min(nanos(due), Ordering::SeqCst);
        }
        // Loads are begun also while there always is something due.
        while let Ok(order) = inbox.try_recv() {
            if carry_out(order).is_break() {
                return;
            }
        }
        loop {
            let wake_at = Duration::from_nanos(next.load(Ordering::SeqCst));
            let nap = wake_at.saturating_sub(clock.monotonic()).min(NAP_MAX);
            if nap.is_zero() {
                break;
            }
            match timer::timeout(nap, inbox.recv()).await {
                Some(order) => {
                    if carry_out(order.unwrap_or(Order::Stop)).is_break() {
                        return;
                    }
                }
                None => break,
            }
        }
    }
}

fn carry_out(order: Order) -> ControlFlow<()> {
    match order {
        Order::Load(load) => drop(spawn_blocking(load)),
        Order::Wake => {}
        Order::Stop => return ControlFlow::Break(()),
    }
    ControlFlow::Continue(())
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

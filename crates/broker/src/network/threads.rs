//! The I/O threads, each a runtime of its own with its own connections.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    io,
    rc::Rc,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread::JoinHandle,
    time::Duration,
};

use milena_env::{net::Handover, spawn_thread, timer};
use milena_protocol::records::Scratch;
use tokio::{
    sync::{
        mpsc::{self, UnboundedReceiver, UnboundedSender},
        watch,
    },
    task::LocalSet,
};

use super::{
    connection::{Client, Connection, Ending, Handle},
    transport::Transport,
};
use crate::{
    broker::Broker,
    limits::{BLOCKING_THREADS, FIRST_READ_BYTES, HANG_UP_LOOK},
};

/// How often it is looked whether the journal has given bytes back, while somebody waits for them.
const BUDGET_NAP: Duration = Duration::from_millis(2);
/// How often it is looked at all.
const IDLE_NAP: Duration = Duration::from_millis(50);

/// What an I/O thread is told.
#[derive(Debug)]
pub(crate) enum Order {
    /// A new connection, and who is at the other end.
    Serve(Handover, Client, Permit),
    /// Answer what is in flight, begin nothing new, end.
    Drain,
}

/// A place among the connections that are allowed; free again when dropped.
pub(crate) type Permit = Box<dyn Send + Sync + std::fmt::Debug>;

/// What the connections of one thread share.
#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) broker: Arc<Broker>,
    pub(crate) first_read: RefCell<Box<[u8; FIRST_READ_BYTES]>>,
    pub(crate) scratch: RefCell<Scratch>,
    connections: RefCell<BTreeMap<u64, Rc<Handle>>>,
    next_id: Cell<u64>,
    /// The broker stops: nobody is to wait for records that have not come yet.
    draining: watch::Sender<bool>,
}

/// The I/O threads, as the others see them. There may be more of them than are wanted by now: those
/// serve their connections to the end, and get no new ones.
#[derive(Debug, Default)]
pub(crate) struct IoThreads {
    threads: Mutex<Running>,
}

type Running = Vec<(UnboundedSender<Order>, JoinHandle<()>)>;

impl IoThreads {
    pub(crate) fn start(broker: &Arc<Broker>) -> io::Result<Arc<Self>> {
        let threads = Self::default();
        threads.grow(&mut threads.lock(), broker)?;
        Ok(Arc::new(threads))
    }

    /// The thread for a connection that came as this one of all, from as many as are wanted now.
    pub(crate) fn for_turn(
        &self,
        broker: &Arc<Broker>,
        turn: usize,
    ) -> Option<UnboundedSender<Order>> {
        let mut threads = self.lock();
        if let Err(error) = self.grow(&mut threads, broker) {
            tracing::error!(%error, "fewer threads than num.network.threads can be started");
        }
        let wanted = broker.config().network.threads.clamp(1, threads.len().max(1));
        threads.get(turn % wanted).map(|(order, _)| order.clone())
    }

    fn grow(&self, threads: &mut Running, broker: &Arc<Broker>) -> io::Result<()> {
        while threads.len() < broker.config().network.threads {
            let (order, inbox) = mpsc::unbounded_channel();
            let broker = Arc::clone(broker);
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .max_blocking_threads(BLOCKING_THREADS)
                .build()?;
            let thread = spawn_thread(&format!("io-{}", threads.len()), move || {
                LocalSet::new().block_on(&runtime, run(broker, inbox));
            })?;
            threads.push((order, thread));
        }
        Ok(())
    }

    #[cfg(test)]
    pub(crate) fn count(&self) -> usize {
        self.lock().len()
    }

    /// Lets the connections finish what is in flight, and waits for that.
    pub(crate) fn drain(&self) {
        let threads = std::mem::take(&mut *self.lock());
        for (order, _) in &threads {
            // A thread that is gone has nothing in flight.
            let _ = order.send(Order::Drain);
        }
        for (order, thread) in threads {
            drop(order);
            if let Err(panic) = thread.join() {
                std::panic::resume_unwind(panic);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Running> {
        self.threads.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The life of an I/O thread.
async fn run(broker: Arc<Broker>, mut inbox: UnboundedReceiver<Order>) {
    let worker = Rc::new(Worker {
        broker,
        first_read: RefCell::new(Box::new([0; FIRST_READ_BYTES])),
        scratch: RefCell::default(),
        connections: RefCell::default(),
        next_id: Cell::new(0),
        draining: watch::Sender::new(false),
    });
    let sweeper = tokio::task::spawn_local(sweep(Rc::clone(&worker)));
    while let Some(Order::Serve(handover, client, permit)) = inbox.recv().await {
        match handover.take() {
            Ok(stream) => {
                worker.serve(Transport::Plain(stream), client, permit);
            }
            Err(error) => tracing::warn!(%error, peer = %client.peer, "connection not taken up"),
        }
    }
    worker.drain().await;
    sweeper.abort();
}

impl Worker {
    fn serve(self: &Rc<Self>, transport: Transport, client: Client, permit: Permit) {
        let id = self.next_id.get();
        self.next_id.set(id + 1);
        let handle = Rc::new(Handle::default());
        self.connections.borrow_mut().insert(id, Rc::clone(&handle));
        let connection = Connection::new(self, client, &handle, transport);
        let worker = Rc::clone(self);
        tokio::task::spawn_local(async move {
            connection.run().await;
            worker.connections.borrow_mut().remove(&id);
            drop(permit);
        });
    }

    /// Resolves when the broker begins to stop.
    pub(crate) async fn draining(&self) {
        // The sender is ours, so waiting ends with the news or never.
        let _ = self.draining.subscribe().wait_for(|draining| *draining).await;
    }

    async fn drain(&self) {
        self.draining.send_replace(true);
        self.connections.borrow().values().for_each(|handle| handle.end(Ending::Drain));
        let clock = &self.broker.clock;
        let deadline = clock.monotonic() + self.broker.network.drain_timeout;
        while !self.connections.borrow().is_empty() && clock.monotonic() < deadline {
            timer::sleep(Duration::from_millis(1)).await;
        }
    }
}

/// Closes connections on which nothing has happened for too long, or whose client has gone; wakes
/// those that wait for the budget, since the journal gives bytes back without a word.
async fn sweep(worker: Rc<Worker>) {
    let idle_max = worker.broker.network.idle_max;
    let mut looked_at = worker.broker.clock.monotonic();
    let mut looked_for_clients = looked_at;
    loop {
        // While nobody waits for bytes an idle broker had better sleep.
        let nap = if worker.broker.budget.is_waited_for() { BUDGET_NAP } else { IDLE_NAP };
        timer::sleep(nap).await;
        worker.broker.budget.wake();
        let now = worker.broker.clock.monotonic();
        worker.broker.budget.end_stalled(now);
        if now >= looked_for_clients + HANG_UP_LOOK {
            looked_for_clients = now;
            worker.connections.borrow().values().for_each(|handle| handle.look_for_client());
        }
        let Some(idle_max) = idle_max.filter(|idle| now >= looked_at + *idle / 4) else { continue };
        looked_at = now;
        for handle in worker.connections.borrow().values() {
            if now.saturating_sub(handle.last_active()) > idle_max {
                handle.end(Ending::Idle);
            }
        }
    }
}

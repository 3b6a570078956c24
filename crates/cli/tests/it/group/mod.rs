//! A group of consumers that read what the producers of `load` write, whatever becomes of the
//! broker and of each other, and the history of what they did.

mod assigned;
mod consumer;
mod history;

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use self::consumer::Consumer;
pub(crate) use self::history::History;
use crate::{client::Client, load::TOPIC};

pub(crate) const GROUP: &str = "readers";

/// Who says which member has which partitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Assigns {
    Leader,
    Coordinator,
}

/// What all consumers share.
#[derive(Debug)]
struct Shared {
    assigns: Assigns,
    partitions: i32,
    address: Mutex<SocketAddr>,
    history: Mutex<History>,
}

/// One consumer's thread.
struct Running {
    is_over: Arc<AtomicBool>,
    /// It is to sleep too long before it commits next.
    is_tired: Arc<AtomicBool>,
    /// Its connection, to be cut off.
    line: Arc<Mutex<Option<Client>>>,
    thread: JoinHandle<()>,
}

pub(crate) struct Group {
    shared: Arc<Shared>,
    running: Vec<Running>,
    gone: Vec<Running>,
}

impl Group {
    pub(crate) fn start(
        address: SocketAddr,
        assigns: Assigns,
        consumers: usize,
        partitions: i32,
    ) -> Self {
        Client::connect(address).unwrap().find_coordinator(GROUP);
        let (address, history) = (Mutex::new(address), Mutex::default());
        let shared = Arc::new(Shared { assigns, partitions, address, history });
        let mut group = Self { shared, running: Vec::new(), gone: Vec::new() };
        (0..consumers).for_each(|_| group.add());
        group
    }

    /// The broker is to be found here from now on.
    pub(crate) fn moved(&self, address: SocketAddr) {
        *self.shared.address.lock().unwrap() = address;
    }

    pub(crate) fn add(&mut self) {
        let (is_over, is_tired, line) = Default::default();
        let shared = &self.shared;
        let consumer = Consumer::new(shared, &is_over, &is_tired, &line);
        let thread = std::thread::spawn(move || consumer.run());
        self.running.push(Running { is_over, is_tired, line, thread });
    }

    /// One consumer sleeps beyond its session, between what it consumes and its commit.
    pub(crate) fn put_to_sleep(&self, which: usize) {
        self.running[which].is_tired.store(true, Ordering::SeqCst);
    }

    /// Waits until one of those has slept, and was refused.
    pub(crate) fn wait_for_a_fence(&self, patience: Duration) {
        let fenced = || self.shared.history.lock().unwrap().fenced;
        let (before, since) = (fenced(), Instant::now());
        while fenced() == before {
            assert!(since.elapsed() < patience, "who slept too long is not refused");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// One consumer is gone, in the middle of whatever it does and without leaving.
    pub(crate) fn lose(&mut self, which: usize) {
        let lost = self.running.remove(which);
        lost.end();
        self.gone.push(lost);
    }

    /// Waits until all that the partitions hold is consumed and committed, and tells what happened.
    pub(crate) fn finish(self, client: &mut Client, patience: Duration) -> History {
        let partitions: Vec<i32> = (0..self.shared.partitions).collect();
        let ends: Vec<i64> = partitions
            .iter()
            .map(|partition| client.offset_at(TOPIC, *partition, -1).unwrap())
            .collect();
        let since = Instant::now();
        loop {
            let committed = client.committed(GROUP, TOPIC, &partitions).unwrap();
            if committed == Ok(ends.clone()) {
                break;
            }
            let waited = since.elapsed();
            assert!(waited < patience, "{committed:?} of {ends:?} consumed after {waited:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
        self.running.iter().for_each(Running::end);
        for consumer in self.running.into_iter().chain(self.gone) {
            consumer.thread.join().unwrap();
        }
        std::mem::take(&mut self.shared.history.lock().unwrap())
    }
}

impl Running {
    fn end(&self) {
        self.is_over.store(true, Ordering::SeqCst);
        if let Some(line) = &*self.line.lock().unwrap() {
            line.hang_up();
        }
    }
}

//! SIGKILL of the broker while producers write transactions, some of them lost in the midst.
//!
//! `MILENA_KILLS=20 cargo test --release -p milena --test it fault_29 -- --nocapture` is the long
//! form; `MILENA_SEED` chooses another run.

use std::{
    collections::BTreeMap,
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use milena_env::Random;
use milena_protocol::ErrorCode;

use super::number_from;
use crate::{
    client::Client,
    process::{Folder, Process},
    producer::Producer,
};

const TOPIC: &str = "transactions";
const PARTITIONS: i32 = 4;
const PRODUCERS: u32 = 4;
const SETTINGS: [&str; 3] = [
    "milena.journal.bytes=4194304",
    "transaction.state.log.num.partitions=3",
    "transaction.state.log.segment.bytes=1048576",
];
/// For what is open to end after the last kill.
const PATIENCE: Duration = Duration::from_secs(60);

/// What became of a transaction, as far as its producer was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Committed,
    Aborted,
    /// Its producer was replaced before it said how the transaction ends.
    Lost,
}

#[derive(Debug)]
struct Shared {
    address: Mutex<SocketAddr>,
    is_over: AtomicBool,
}

/// A producer's life: it writes transactions, each a record on every partition.
struct Life {
    shared: Arc<Shared>,
    version: i16,
    producer: Producer,
    client: Option<Client>,
    random: Random,
}

impl Life {
    fn run(mut self) -> Vec<(String, Outcome)> {
        let mut told = Vec::new();
        self.come();
        for number in 0.. {
            if self.shared.is_over.load(Ordering::SeqCst) {
                break;
            }
            let value = format!("{} {number}", self.producer.transactional_id);
            let outcome = self.transaction(&value);
            if outcome == Outcome::Lost {
                self.come();
            }
            told.push((value, outcome));
        }
        told
    }

    /// Comes as a new producer under its transactional id.
    fn come(&mut self) {
        let mut producer = Producer::new(&self.producer.transactional_id, self.version);
        let told = self.insist(|client| producer.init(client));
        assert_eq!(told, ErrorCode::None);
        self.producer = producer;
    }

    /// Asks, by as many connections as it takes.
    fn insist(&mut self, mut ask: impl FnMut(&mut Client) -> io::Result<ErrorCode>) -> ErrorCode {
        loop {
            let client = match &mut self.client {
                Some(client) => client,
                None => {
                    let address = *self.shared.address.lock().unwrap();
                    let Ok(client) = Client::connect(address) else {
                        std::thread::sleep(Duration::from_millis(5));
                        continue;
                    };
                    self.client.insert(client)
                }
            };
            match ask(client) {
                Ok(code) => return code,
                Err(_) => self.client = None,
            }
        }
    }

    fn transaction(&mut self, value: &str) -> Outcome {
        let mut producer = self.producer.clone();
        for partition in 0..PARTITIONS {
            if self.random.chance(1, 60) {
                return Outcome::Lost;
            }
            let told = self.insist(|client| producer.produce(client, TOPIC, partition, value));
            assert_eq!(told, ErrorCode::None, "{value} on {partition}");
        }
        if self.random.chance(1, 20) {
            return Outcome::Lost;
        }
        let committed = self.random.chance(2, 3);
        let told = self.insist(|client| producer.end(client, committed));
        assert_eq!(told, ErrorCode::None, "{value}: {committed}");
        self.producer = producer;
        if committed { Outcome::Committed } else { Outcome::Aborted }
    }
}

#[test]
fn fault_29_transactions_are_whole_on_all_partitions_however_often_the_broker_is_killed() {
    let (kills, seed) = (number_from("MILENA_KILLS", 6), number_from("MILENA_SEED", 29));
    let folder = Folder::new("fault-29");
    let mut random = Random::from_seed(seed);
    let mut process = Process::start(&folder, &SETTINGS);
    assert_eq!(process.client().create_topic(TOPIC, PARTITIONS, &[]), ErrorCode::None);
    let address = Mutex::new(process.address());
    let shared = Arc::new(Shared { address, is_over: AtomicBool::new(false) });
    let live = |number: u32| {
        let version = if number % 2 == 0 { 2 } else { 0 };
        let life = Life {
            shared: Arc::clone(&shared),
            version,
            producer: Producer::new(&format!("writer-{number}"), version),
            client: None,
            random: Random::from_seed(seed * 1000 + u64::from(number)),
        };
        std::thread::spawn(move || life.run())
    };
    let lives: Vec<_> = (0..PRODUCERS).map(live).collect();
    for _ in 0..kills {
        std::thread::sleep(Duration::from_millis(50 + random.below(900)));
        process.kill();
        process = Process::start(&folder, &SETTINGS);
        *shared.address.lock().unwrap() = process.address();
    }
    std::thread::sleep(Duration::from_millis(300));
    shared.is_over.store(true, Ordering::SeqCst);
    let told: Vec<(String, Outcome)> =
        lives.into_iter().flat_map(|life| life.join().unwrap()).collect();
    check(&told, &seen(&mut process.client()));
    let count = |wanted| told.iter().filter(|(_, outcome)| *outcome == wanted).count();
    println!(
        "{kills} kills; {} transactions committed, {} aborted, {} lost with their producer",
        count(Outcome::Committed),
        count(Outcome::Aborted),
        count(Outcome::Lost)
    );
}

/// On which partitions readers of committed records see each value, once nothing is open.
fn seen(client: &mut Client) -> BTreeMap<String, Vec<i32>> {
    let mut seen: BTreeMap<String, Vec<i32>> = BTreeMap::new();
    let begin = Instant::now();
    for partition in 0..PARTITIONS {
        let values = loop {
            let (values, stable) = client.read_committed(TOPIC, partition);
            if stable == client.offset_at(TOPIC, partition, -1).unwrap() {
                break values;
            }
            assert!(begin.elapsed() < PATIENCE, "{partition} stays open at {stable}");
            std::thread::sleep(Duration::from_millis(10));
        };
        values.into_iter().for_each(|value| seen.entry(value).or_default().push(partition));
    }
    seen
}

fn check(told: &[(String, Outcome)], seen: &BTreeMap<String, Vec<i32>>) {
    let everywhere: Vec<i32> = (0..PARTITIONS).collect();
    for (value, outcome) in told {
        let expected = if *outcome == Outcome::Committed { &everywhere[..] } else { &[] };
        let at = seen.get(value).map_or(&[][..], Vec::as_slice);
        assert_eq!(at, expected, "{value} was {outcome:?}");
    }
    assert!(told.iter().any(|(_, it)| *it == Outcome::Committed), "nothing was committed");
    let known: usize = told.iter().filter(|(value, _)| seen.contains_key(value)).count();
    assert_eq!(known, seen.len(), "somebody else wrote");
}

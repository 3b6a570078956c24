//! SIGKILL of the broker while records are copied in transactions, by copiers that are lost in the
//! midst of them, too.
//!
//! `MILENA_KILLS=20 cargo test --release -p milena --test it fault_31 -- --nocapture` is the long
//! form; `MILENA_SEED` chooses another run.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::sleep,
    time::{Duration, Instant},
};

use milena_env::Random;
use milena_protocol::ErrorCode;

use super::number_from;
use crate::{
    client::{Client, batch},
    process::{Folder, Process},
    producer::Producer,
};

const SOURCE: &str = "originals";
const TARGET: &str = "copies";
const GROUP: &str = "copiers";
/// Each has a copier.
const PARTITIONS: i32 = 4;
const RECORDS: i64 = 4000;
/// For what is open to end after the last kill.
const PATIENCE: Duration = Duration::from_secs(60);
const SETTINGS: [&str; 2] = ["milena.journal.bytes=4194304", "offsets.topic.num.partitions=1"];

#[derive(Debug)]
struct Shared {
    address: Mutex<SocketAddr>,
    is_over: AtomicBool,
}

/// Who copies one partition. It knows nothing but its name: how far it has come is the group's.
struct Copier {
    shared: Arc<Shared>,
    partition: i32,
    version: i16,
    random: Random,
    client: Option<Client>,
}

/// How a copier's life ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    /// There is nothing left to copy, or nobody wants copies any more.
    Done,
    /// In the midst of it; the next one comes in its place.
    Lost,
}

impl Copier {
    fn run(mut self) {
        while self.live() == Ended::Lost {
            self.client = None;
        }
    }

    fn live(&mut self) -> Ended {
        let mut producer = Producer::new(&format!("copier-{}", self.partition), self.version);
        assert_eq!(self.insist(|client| producer.init(client)), ErrorCode::None);
        while !self.shared.is_over.load(Ordering::SeqCst) {
            let place = (SOURCE, self.partition);
            let from = match self.insist(|client| client.offset_of(GROUP, place, true)) {
                Ok(offset) => offset.max(0),
                // The transaction before is still being ended.
                Err(ErrorCode::UnstableOffsetCommit) => {
                    sleep(Duration::from_millis(1));
                    continue;
                }
                Err(refused) => panic!("{refused:?}"),
            };
            if from == RECORDS {
                return Ended::Done;
            }
            let to = RECORDS.min(from + 1 + self.random.below(15) as i64);
            for number in from..to {
                if self.random.chance(1, 150) {
                    return Ended::Lost;
                }
                let value = format!("{}-{number}", self.partition);
                let target = self.random.below(PARTITIONS as u64) as i32;
                let told = self.insist(|client| producer.produce(client, TARGET, target, &value));
                assert_eq!(told, ErrorCode::None, "{value}");
            }
            let told = self.insist(|client| producer.commit_offset(client, GROUP, place, to));
            assert_eq!(told, ErrorCode::None, "offset {to}");
            if self.random.chance(1, 20) {
                return Ended::Lost;
            }
            let committed = self.random.chance(4, 5);
            let told = self.insist(|client| producer.end(client, committed));
            assert_eq!(told, ErrorCode::None);
        }
        Ended::Done
    }

    /// Asks, by as many connections as it takes.
    fn insist<T>(&mut self, mut ask: impl FnMut(&mut Client) -> io::Result<T>) -> T {
        loop {
            if self.client.is_none() {
                let address = *self.shared.address.lock().unwrap();
                self.client = Client::connect(address).ok();
            }
            if let Some(client) = &mut self.client
                && let Ok(answer) = ask(client)
            {
                return answer;
            }
            self.client = None;
            sleep(Duration::from_millis(5));
        }
    }
}

#[test]
fn fault_31_each_record_has_one_committed_copy_however_often_brokers_and_copiers_are_killed() {
    let (kills, seed) = (number_from("MILENA_KILLS", 6), number_from("MILENA_SEED", 31));
    let folder = Folder::new("fault-31");
    let mut random = Random::from_seed(seed);
    let mut process = Process::start(&folder, &SETTINGS);
    let mut client = process.client();
    for topic in [SOURCE, TARGET] {
        assert_eq!(client.create_topic(topic, PARTITIONS, &[]), ErrorCode::None);
    }
    client.find_coordinator(GROUP);
    for partition in 0..PARTITIONS {
        let values: Vec<_> = (0..RECORDS).map(|number| number.to_string()).collect();
        assert_eq!(client.produce(SOURCE, partition, &batch(&values)).code, ErrorCode::None);
    }
    let address = Mutex::new(process.address());
    let shared = Arc::new(Shared { address, is_over: AtomicBool::new(false) });
    let copiers: Vec<_> = (0..PARTITIONS)
        .map(|partition| {
            let shared = Arc::clone(&shared);
            let version = if partition % 2 == 0 { 2 } else { 0 };
            let random = Random::from_seed(seed * 1000 + partition as u64);
            let copier = Copier { shared, partition, version, random, client: None };
            std::thread::spawn(move || copier.run())
        })
        .collect();
    for _ in 0..kills {
        sleep(Duration::from_millis(50 + random.below(500)));
        process.kill();
        process = Process::start(&folder, &SETTINGS);
        *shared.address.lock().unwrap() = process.address();
    }
    sleep(Duration::from_millis(300));
    shared.is_over.store(true, Ordering::SeqCst);
    copiers.into_iter().for_each(|copier| copier.join().unwrap());
    let copied = check(&mut process.client());
    println!("{kills} kills; {copied} of {} records copied", RECORDS * i64::from(PARTITIONS));
}

/// Every record below the group's offsets has one copy, and no other record has any.
fn check(client: &mut Client) -> usize {
    let (mut seen, begin) = (Vec::new(), Instant::now());
    let still = || assert!(begin.elapsed() < PATIENCE, "something stays open");
    for partition in 0..PARTITIONS {
        // Whoever was lost last left a transaction open, and an offset with it.
        let mut producer = Producer::new(&format!("copier-{partition}"), 0);
        assert_eq!(producer.init(client).unwrap(), ErrorCode::None);
    }
    for partition in 0..PARTITIONS {
        loop {
            let (values, stable) = client.read_committed(TARGET, partition);
            if stable == client.offset_at(TARGET, partition, -1).unwrap() {
                seen.extend(values);
                break;
            }
            still();
        }
    }
    let mut expected = Vec::new();
    for partition in 0..PARTITIONS {
        let offset = loop {
            let told = client.offset_of(GROUP, (SOURCE, partition), true).unwrap();
            if told != Err(ErrorCode::UnstableOffsetCommit) {
                break told.unwrap();
            }
            still();
        };
        expected.extend((0..offset).map(|number| format!("{partition}-{number}")));
    }
    seen.sort_unstable();
    expected.sort_unstable();
    assert!(!expected.is_empty(), "nothing was copied");
    assert!(seen == expected, "{} copies of {} records", seen.len(), expected.len());
    seen.len()
}

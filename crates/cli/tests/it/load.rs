//! Idempotent producers that write until they are told to stop, whatever becomes of the broker:
//! what was not answered is sent again, with the same sequences.

use std::{
    collections::VecDeque,
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use milena_env::Random;
use milena_protocol::{
    ErrorCode, Offset, ProducerEpoch, ProducerId, api::ApiKey, records::BatchBuilder,
};

use crate::{
    client::{Client, built, produce_request},
    invariants::{Acknowledged, Found, Story},
};

pub(crate) const TOPIC: &str = "load";

/// As many batches of a producer as a broker remembers of each partition.
const IN_FLIGHT_MAX: usize = 5;

#[derive(Debug)]
struct Shared {
    partitions: i32,
    address: Mutex<SocketAddr>,
    is_over: AtomicBool,
}

pub(crate) struct Load {
    shared: Arc<Shared>,
    producers: Vec<JoinHandle<(i32, Vec<Acknowledged>)>>,
}

/// Some records for every partition, which have the same sequences in each.
struct Round {
    first: i32,
    count: i32,
    records: Vec<u8>,
}

impl Load {
    pub(crate) fn start(address: SocketAddr, producers: u32, partitions: i32, seed: u64) -> Self {
        let mut client = Client::connect(address).unwrap();
        assert_eq!(client.create_topic(TOPIC, partitions, &[]), ErrorCode::None);
        let (address, is_over) = (Mutex::new(address), AtomicBool::new(false));
        let shared = Arc::new(Shared { partitions, address, is_over });
        let start = |producer: u32| {
            let random = Random::from_seed(seed * 1000 + u64::from(producer));
            let (id, epoch) = client.init_producer_id().unwrap();
            let mut producer = Producer {
                shared: Arc::clone(&shared),
                producer,
                id: ProducerId(id),
                epoch: ProducerEpoch(epoch),
                next: 0,
                unanswered: VecDeque::new(),
                acknowledged: Vec::new(),
                random,
            };
            std::thread::spawn(move || {
                while !producer.is_done() {
                    // Whatever ended the connection: what was not answered is sent again.
                    if producer.produce().is_err() {
                        std::thread::sleep(Duration::from_millis(5));
                    }
                }
                (producer.next, producer.acknowledged)
            })
        };
        let producers = (0..producers).map(start).collect();
        Self { shared, producers }
    }

    /// The broker is to be found here from now on.
    pub(crate) fn moved(&self, address: SocketAddr) {
        *self.shared.address.lock().unwrap() = address;
    }

    /// Lets the producers finish, and says what they were told.
    pub(crate) fn finish(self) -> Story {
        self.shared.is_over.store(true, Ordering::SeqCst);
        let mut story = Story::default();
        for producer in self.producers {
            let (sent, acknowledged) = producer.join().unwrap();
            story.sent.push(sent);
            story.acknowledged.extend(acknowledged);
        }
        story
    }
}

struct Producer {
    shared: Arc<Shared>,
    producer: u32,
    id: ProducerId,
    epoch: ProducerEpoch,
    next: i32,
    unanswered: VecDeque<Round>,
    acknowledged: Vec<Acknowledged>,
    random: Random,
}

impl Producer {
    fn is_over(&self) -> bool {
        self.shared.is_over.load(Ordering::SeqCst)
    }

    fn is_done(&self) -> bool {
        self.is_over() && self.unanswered.is_empty()
    }

    /// One connection's life.
    fn produce(&mut self) -> io::Result<()> {
        let address = *self.shared.address.lock().unwrap();
        let mut client = Client::connect(address)?;
        for round in &self.unanswered {
            self.send(&mut client, round)?;
        }
        while !self.is_done() {
            if self.unanswered.len() < IN_FLIGHT_MAX && !self.is_over() {
                let round = self.new_round();
                self.unanswered.push_back(round);
                self.send(&mut client, self.unanswered.back().unwrap())?;
            } else {
                self.receive(&mut client)?;
            }
        }
        Ok(())
    }

    fn new_round(&mut self) -> Round {
        let (first, count) = (self.next, 1 + self.random.below(4) as i32);
        let value = |number: i32| {
            let mut value = Found::value(self.producer, number);
            value.resize(value.len() + self.random.below(300) as usize, b'.');
            value
        };
        let values: Vec<Vec<u8>> = (first..first + count).map(value).collect();
        let builder = BatchBuilder::new(Offset(0)).with_producer(self.id, self.epoch, first);
        self.next += count;
        Round { first, count, records: built(builder, &values) }
    }

    fn send(&self, client: &mut Client, round: &Round) -> io::Result<()> {
        let partitions: Vec<(i32, &[u8])> =
            (0..self.shared.partitions).map(|index| (index, &round.records[..])).collect();
        client.send(ApiKey::Produce, 12, &produce_request(TOPIC, -1, &partitions)).map(drop)
    }

    fn receive(&mut self, client: &mut Client) -> io::Result<()> {
        let answer = client.receive(ApiKey::Produce, 12)?;
        let produced = crate::client::produced(&answer);
        let round = self.unanswered.front().unwrap();
        let mut is_whole = true;
        for (partition, produced) in (0..).zip(produced) {
            if produced.code != ErrorCode::None {
                assert!(produced.code.is_retriable(), "{partition}: {:?}", produced.code);
                is_whole = false;
                continue;
            }
            self.acknowledged.push(Acknowledged {
                producer: self.producer,
                partition,
                first: round.first,
                count: round.count,
                offset: produced.base_offset,
            });
        }
        if !is_whole {
            // All of it once more, what was acknowledged too: its offsets must stay.
            return Err(io::Error::other("to be tried again"));
        }
        self.unanswered.pop_front();
        Ok(())
    }
}

/// All that the topic holds.
pub(crate) fn read_back(client: &mut Client, partitions: i32) -> Vec<Vec<Found>> {
    let read = |partition| {
        let values = client.read_all(TOPIC, partition, 0).unwrap();
        values.iter().map(|(offset, value)| Found::parse(*offset, value)).collect()
    };
    (0..partitions).map(read).collect()
}

//! What a network does to batches: whatever order answers are lost in, an idempotent producer
//! loses, doubles and reorders nothing.

use std::collections::VecDeque;

use proptest::prelude::*;

use super::{broker::Log, *};

/// What happens next.
#[derive(Clone, Debug)]
enum Event {
    Append {
        partition: u8,
        len: u16,
    },
    /// The sender looks what is to be done.
    Send,
    /// The oldest request arrives, and is answered.
    Arrive,
    /// The oldest request is refused for now, before it was looked at.
    Refuse,
    /// The connection breaks. Of what was under way so many arrive nevertheless, unanswered; of
    /// the rest every second one arrives later, when nobody expects it any more.
    Break {
        arrive: u8,
    },
    /// What arrives late does so now.
    Late,
    Wait {
        ms: u16,
    },
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        6 => (0..2_u8, 1..600_u16).prop_map(|(partition, len)| Event::Append { partition, len }),
        4 => Just(Event::Send),
        3 => Just(Event::Arrive),
        1 => Just(Event::Refuse),
        1 => (0..6_u8).prop_map(|arrive| Event::Break { arrive }),
        1 => Just(Event::Late),
        2 => (0..300_u16).prop_map(|ms| Event::Wait { ms }),
    ]
}

/// A producer, a broker, and one connection between them.
struct World {
    accumulator: Accumulator,
    logs: [Log; 2],
    under_way: VecDeque<Vec<(Batch, Vec<u8>)>>,
    late: Vec<(usize, Vec<u8>)>,
    now: Duration,
    sent: [Vec<Vec<u8>>; 2],
    deliveries: Vec<(usize, usize, Delivery)>,
}

const IN_FLIGHT_MAX: usize = 5;

impl World {
    fn new() -> Self {
        let mut accumulator = accumulator(Rules { buffer_memory: 1 << 20, ..rules() });
        accumulator.identify(identity(0));
        Self {
            accumulator,
            logs: Default::default(),
            under_way: VecDeque::new(),
            late: Vec::new(),
            now: ms(0),
            sent: Default::default(),
            deliveries: Vec::new(),
        }
    }

    fn happen(&mut self, event: &Event) {
        match *event {
            Event::Append { partition, len } => {
                let at = usize::from(partition);
                let number = self.sent[at].len();
                let mut value = number.to_be_bytes().to_vec();
                value.resize(8 + usize::from(len), 0);
                let delivery = added(&mut self.accumulator, i32::from(partition), &value, self.now);
                self.sent[at].push(value);
                self.deliveries.push((at, number, delivery));
            }
            Event::Send => {
                let batches = if self.under_way.len() < IN_FLIGHT_MAX {
                    drained(&mut self.accumulator, self.now)
                } else {
                    Vec::new()
                };
                let sealed = batches.into_iter().map(|mut batch| {
                    let bytes = batch.seal(Codec::None, None).unwrap().to_vec();
                    (batch, bytes)
                });
                let request: Vec<_> = sealed.collect();
                if !request.is_empty() {
                    self.under_way.push_back(request);
                }
            }
            Event::Arrive => self.answer_next(|log, bytes| log.append(bytes)),
            Event::Refuse => self.answer_next(|_, _| failed(ErrorCode::NotEnoughReplicas)),
            Event::Break { arrive } => self.break_off(usize::from(arrive)),
            Event::Late => {
                for (partition, bytes) in self.late.drain(..) {
                    self.logs[partition].append(&bytes);
                }
            }
            Event::Wait { ms: pause } => self.now += ms(u64::from(pause)),
        }
    }

    fn answer_next(&mut self, mut serve: impl FnMut(&mut Log, &[u8]) -> Answered) {
        for (batch, bytes) in self.under_way.pop_front().unwrap_or_default() {
            let answered = serve(&mut self.logs[batch.place.partition], &bytes);
            answer(&mut self.accumulator, batch, answered, self.now);
        }
    }

    fn break_off(&mut self, arrive: usize) {
        for (at, request) in std::mem::take(&mut self.under_way).into_iter().enumerate() {
            for (batch, bytes) in request {
                let partition = batch.place.partition;
                if at < arrive {
                    self.logs[partition].append(&bytes);
                } else if at % 2 == 0 {
                    self.late.push((partition, bytes));
                }
                let lost = Error::Connection { address: "b".into(), problem: "cut".into() };
                let lost = Answered::Failed { error: lost, blamed: Vec::new() };
                answer(&mut self.accumulator, batch, lost, self.now);
            }
        }
    }

    /// Nothing fails any more.
    fn end(&mut self) {
        for _ in 0..10_000 {
            if self.accumulator.active.is_empty() {
                break;
            }
            for event in [Event::Wait { ms: 100 }, Event::Send, Event::Arrive, Event::Late] {
                self.happen(&event);
            }
            drop(self.accumulator.drain(self.now, |_| false));
        }
        assert!(self.now < ms(100_000), "it comes to an end");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn nothing_is_lost_doubled_or_reordered(
        events in proptest::collection::vec(event(), 1..120)
    ) {
        let mut world = World::new();
        events.iter().for_each(|event| world.happen(event));
        world.end();
        for (log, sent) in world.logs.iter().zip(&world.sent) {
            prop_assert_eq!(&log.values, sent);
        }
        for (_, number, delivery) in &mut world.deliveries {
            // A very late retry is known to be stored, but not where.
            let place = outcome(delivery).unwrap().unwrap().offset;
            prop_assert!(place.is_none_or(|place| place == *number as i64));
        }
        prop_assert_eq!(world.accumulator.free(), 1 << 20);
    }
}

#[test]
fn a_broker_that_forgot_its_producers_gets_all_that_follows() {
    let mut world = World::new();
    let append = Event::Append { partition: 0, len: 500 };
    for event in [&append, &append, &append, &Event::Send, &Event::Arrive] {
        world.happen(event);
    }
    world.logs[0].forget_producers();
    for event in [&append, &append, &Event::Send, &Event::Send, &Event::Send, &Event::Arrive] {
        world.happen(event);
    }
    world.end();
    assert_eq!(world.logs[0].values, world.sent[0]);
    assert_eq!(world.accumulator.identity(), Some(identity(1)), "it asked for another epoch");
}

#[test]
fn a_batch_that_is_refused_for_good_takes_no_other_with_it() {
    let mut world = World::new();
    let append = Event::Append { partition: 0, len: 590 };
    for _ in 0..4 {
        world.happen(&append);
        world.happen(&Event::Wait { ms: 5 });
        world.happen(&Event::Send);
    }
    assert_eq!(world.under_way.len(), 4);
    world.answer_next(|_, _| failed(ErrorCode::InvalidRecord));
    world.end();
    assert_eq!(world.logs[0].values, world.sent[0][1..]);
    let (_, _, refused) = &mut world.deliveries[0];
    assert_eq!(outcome(refused).unwrap().unwrap_err().code(), Some(ErrorCode::InvalidRecord));
    assert_eq!(offset(&mut world.deliveries[3].2), Some(2));
}

#[test]
fn what_failed_is_sent_again_one_by_one_and_nothing_new_before_it() {
    let mut world = World::new();
    let append = Event::Append { partition: 0, len: 590 };
    for _ in 0..3 {
        world.happen(&append);
        world.happen(&Event::Wait { ms: 5 });
        world.happen(&Event::Send);
    }
    for _ in 0..3 {
        world.happen(&Event::Refuse);
    }
    world.happen(&append);
    world.happen(&Event::Wait { ms: 200 });
    for sequence in 0..2 {
        world.happen(&Event::Send);
        world.happen(&Event::Send);
        assert_eq!(world.under_way.len(), 1, "the next one waits for this one's answer");
        assert_eq!(world.under_way[0][0].0.stamp.unwrap().sequence, sequence);
        world.happen(&Event::Arrive);
    }
    world.end();
    assert_eq!(world.logs[0].values, world.sent[0]);
}

#[test]
fn the_last_epoch_is_followed_by_another_id() {
    let mut accumulator = accumulator(rules());
    accumulator.identify(identity(i16::MAX));
    drop(added(&mut accumulator, 0, b"a", ms(0)));
    let batch = drained(&mut accumulator, ms(5)).remove(0);
    answer(&mut accumulator, batch, failed(ErrorCode::OutOfOrderSequenceNumber), ms(6));
    let step = accumulator.drain(ms(200), |_| true);
    assert!(step.lacks_identity && step.requests.is_empty());
    let other = Identity { id: ProducerId(10), epoch: ProducerEpoch(0) };
    accumulator.identify(other);
    let batch = drained(&mut accumulator, ms(200)).remove(0);
    let stamp = batch.stamp.unwrap();
    assert_eq!((stamp.identity, stamp.sequence), (other, 0));
}

//! One producer, its coordinator and a network that delays whatever it likes: no transaction may be
//! open in a partition that nobody is going to end.

use proptest::prelude::*;

use super::*;

/// A batch on its way.
#[derive(Clone, Debug)]
struct Flying {
    epoch: i16,
    stage: Stage,
}

#[derive(Clone, Debug)]
enum Stage {
    Sent,
    /// The coordinator is asked, or about to be.
    Asking(VerificationGuard),
    /// To be appended with what shows that it may.
    Ready(Option<VerificationGuard>),
}

#[derive(Debug)]
struct World {
    /// Whether each transaction has an epoch of its own, and partitions are added by the question.
    has_epochs: bool,
    states: ProducerStates,
    end: i64,
    /// As its coordinator knows the producer.
    epoch: i16,
    /// The partition is part of its transaction: there will be a marker.
    is_part: bool,
    /// The transaction is decided, and the marker on its way.
    is_decided: bool,
    flying: Vec<Flying>,
}

impl World {
    fn begin(&mut self, at: usize) {
        let epoch = self.flying[at].epoch;
        let claim = Claim {
            producer_id: ProducerId(7),
            producer_epoch: ProducerEpoch(epoch),
            base_sequence: -1,
            adds: self.has_epochs,
        };
        self.flying[at].stage = match self.states.begin_verification(&claim, 0) {
            Ok(Some(guard)) => Stage::Asking(guard),
            Ok(None) => Stage::Ready(None),
            Err(_) => return drop(self.flying.remove(at)),
        };
    }

    fn ask(&mut self, at: usize, guard: VerificationGuard) {
        if self.flying[at].epoch != self.epoch {
            drop(self.flying.remove(at));
        } else if self.is_decided {
            // Concurrent transactions: it is asked again.
        } else if self.is_part || self.has_epochs {
            self.is_part = true;
            self.flying[at].stage = Stage::Ready(Some(guard));
        } else {
            drop(self.flying.remove(at));
        }
    }

    fn append(&mut self, at: usize, guard: Option<&VerificationGuard>) {
        let header = transactional(batch(7, self.flying[at].epoch, -1, self.end, 1));
        let proof = guard.map_or(Proof::None, Proof::Guard);
        if self.states.check(&header, Origin::Coordinator, proof).is_ok() {
            self.states.update(&header);
            self.end += 1;
        }
        self.flying.remove(at);
    }

    /// The next thing happens to a batch.
    fn go_on(&mut self, at: usize) {
        match self.flying[at].stage.clone() {
            Stage::Sent => self.begin(at),
            Stage::Asking(guard) => self.ask(at, guard),
            Stage::Ready(guard) => self.append(at, guard.as_ref()),
        }
    }

    fn decide(&mut self) {
        if self.is_part && !self.is_decided {
            self.is_decided = true;
            self.epoch += i16::from(self.has_epochs);
        }
    }

    /// The marker comes, or comes once more. Says whether it ended a transaction.
    fn mark(&mut self) -> bool {
        let marker = marker(7, self.epoch, self.end, true);
        let transaction_version = if self.has_epochs { 2 } else { 1 };
        let origin = Origin::Marker { transaction_version };
        if self.states.check_marker(&marker, origin).is_err() {
            return false;
        }
        self.end += 1;
        self.states.end_transaction(&marker).is_some()
    }

    fn is_open(&self) -> bool {
        self.states.get(ProducerId(7)).is_some_and(|entry| entry.open_transaction.is_some())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn fault_27_nothing_is_open_that_nobody_ends(
        has_epochs: bool,
        steps in prop::collection::vec((0_u8..8, any::<prop::sample::Index>()), 1..80),
    ) {
        let mut world = World {
            has_epochs,
            states: ProducerStates::new(Offset::ZERO),
            end: 0,
            epoch: 0,
            is_part: false,
            is_decided: false,
            flying: Vec::new(),
        };
        for (step, which) in steps {
            match step {
                0 => world.flying.push(Flying { epoch: world.epoch, stage: Stage::Sent }),
                1 if !world.is_decided => world.is_part |= !has_epochs,
                2 => world.decide(),
                3 if world.is_decided => {
                    world.mark();
                    prop_assert!(!world.is_open(), "the marker ends what there is");
                    (world.is_part, world.is_decided) = (false, false);
                }
                // Without epochs nothing tells a repeated marker from the next one.
                4 if has_epochs && world.epoch > 0 && !world.is_decided => {
                    prop_assert!(!world.mark(), "a repeated marker ends nothing");
                }
                _ if !world.flying.is_empty() => world.go_on(which.index(world.flying.len())),
                _ => {}
            }
            prop_assert!(!world.is_open() || world.is_part, "nobody is going to end it");
        }
    }
}

//! The story of `exactly_once` told to a broker on a simulated disk, whose power fails at any
//! moment: once for each fault, with more of what that is about.
//!
//! `MILENA_SEEDS=25 cargo test -p milena-broker --test it in_simulation` runs each of them over so
//! many seeds; `MILENA_SEED=17` runs one of them again.

use std::{io, sync::Arc};

use milena_env::{Random, RealClock, SimulatedDisk};

use crate::{
    client::Client,
    exactly_once::{Chances, SETTINGS, World, over_seeds, tell},
    rig::Rig,
};

struct Machine {
    rig: Rig,
    is_failing: bool,
}

impl World for Machine {
    fn client(&self) -> io::Result<Client> {
        Client::connect(self.rig.address())
    }

    fn fail_soon(&mut self, random: &mut Random) {
        self.rig.disk.crash_after(random.below(40));
        self.is_failing = true;
    }

    fn is_failing(&self) -> bool {
        self.is_failing
    }

    fn has_failed(&mut self) -> bool {
        self.rig.disk.is_power_off()
    }

    fn begin_again(&mut self, in_order: bool) {
        if in_order {
            self.rig.stop();
        } else {
            self.rig.cut_power();
        }
        self.rig.start_again().unwrap();
        self.is_failing = false;
    }
}

/// What was counted over all seeds is what the test is about.
fn simulate(chances: Chances, counted: &[&str]) {
    over_seeds(counted, |seed| {
        let disk = SimulatedDisk::new(seed);
        let rig = Rig::start_on(disk, Arc::new(RealClock), &(SETTINGS.join("\n") + "\n"));
        tell(&mut Machine { rig, is_failing: false }, seed, chances)
    });
}

#[test]
fn fault_24_lost_answers_and_retries_in_simulation() {
    let chances = Chances { answer_lost: 150, cut_off: 100, ..Chances::USUAL };
    simulate(chances, &["acknowledged again"]);
}

#[test]
fn fault_25_gaps_in_simulation() {
    simulate(Chances { gap: 100, ..Chances::USUAL }, &["gap refused"]);
}

#[test]
fn fault_26_producers_that_were_replaced_in_simulation() {
    simulate(Chances { zombie: 60, ..Chances::USUAL }, &["replaced", "fenced"]);
}

#[test]
fn fault_27_late_batches_in_simulation() {
    simulate(Chances { late: 200, doubled: 100, ..Chances::USUAL }, &["late batch refused"]);
}

#[test]
fn fault_28_late_and_doubled_ends_in_simulation() {
    simulate(Chances { late: 60, doubled: 200, ..Chances::USUAL }, &["late end refused"]);
}

#[test]
fn fault_29_power_cuts_while_transactions_end_in_simulation() {
    simulate(Chances { failure: 40, ..Chances::USUAL }, &["failed", "committed", "aborted"]);
}

#[test]
fn fault_30_power_cuts_while_transactions_begin_in_simulation() {
    let chances = Chances { failure: 40, stop: 0, zombie: 40, ..Chances::USUAL };
    simulate(chances, &["failed", "committed"]);
}

#[test]
fn fault_31_offsets_in_transactions_in_simulation() {
    let chances = Chances { zombie: 40, answer_lost: 100, failure: 15, ..Chances::USUAL };
    simulate(chances, &["unstable offset", "committed"]);
}

#[test]
fn fault_32_readers_through_restarts_and_compaction_in_simulation() {
    simulate(Chances { failure: 15, stop: 15, ..Chances::USUAL }, &["aborted", "compacted"]);
}

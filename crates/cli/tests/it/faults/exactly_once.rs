//! The story of `exactly_once` told to a process that gets SIGKILL and SIGTERM: once for each
//! fault, with more of what that is about.
//!
//! `MILENA_SEEDS=20 cargo test --release -p milena --test it with_kills` runs each over so many
//! seeds; `MILENA_SEED=17` runs one of them again.

use std::{io, time::Duration};

use milena_env::Random;

use crate::{
    client::Client,
    exactly_once::{Chances, SETTINGS, World, over_seeds, tell},
    process::{Folder, Process},
};

struct Killed {
    folder: Folder,
    /// None while there is no broker.
    process: Option<Process>,
    is_failing: bool,
}

impl World for Killed {
    fn client(&self) -> io::Result<Client> {
        Client::connect(self.process.as_ref().unwrap().address())
    }

    fn fail_soon(&mut self, random: &mut Random) {
        let after = Duration::from_micros(random.below(5000));
        self.process.as_ref().unwrap().kill_after(after);
        self.is_failing = true;
    }

    fn is_failing(&self) -> bool {
        self.is_failing
    }

    fn has_failed(&mut self) -> bool {
        self.is_failing && self.process.as_mut().unwrap().has_ended()
    }

    fn begin_again(&mut self, in_order: bool) {
        let process = self.process.take().unwrap();
        if in_order {
            assert!(process.terminate().success());
        } else {
            process.kill();
        }
        self.process = Some(Process::start(&self.folder, &SETTINGS));
        self.is_failing = false;
    }
}

fn run(name: &str, chances: Chances, counted: &[&str]) {
    over_seeds(counted, |seed| {
        let folder = Folder::new(name);
        let process = Some(Process::start(&folder, &SETTINGS));
        tell(&mut Killed { folder, process, is_failing: false }, seed, chances)
    });
}

const KILLED: Chances = Chances { failure: 15, ..Chances::USUAL };

#[test]
fn fault_24_lost_answers_and_retries_with_kills() {
    let chances = Chances { answer_lost: 150, cut_off: 100, ..KILLED };
    run("fault-24", chances, &["acknowledged again", "failed"]);
}

#[test]
fn fault_25_gaps_with_kills() {
    run("fault-25", Chances { gap: 100, ..KILLED }, &["gap refused", "failed"]);
}

#[test]
fn fault_26_producers_that_were_replaced_with_kills() {
    run("fault-26", Chances { zombie: 60, ..KILLED }, &["replaced", "fenced", "failed"]);
}

#[test]
fn fault_27_late_batches_with_kills() {
    let chances = Chances { late: 200, doubled: 100, ..KILLED };
    run("fault-27", chances, &["late batch refused", "failed"]);
}

#[test]
fn fault_28_late_and_doubled_ends_with_kills() {
    let chances = Chances { late: 60, doubled: 200, ..KILLED };
    run("fault-28", chances, &["late end refused", "failed"]);
}

#[test]
fn fault_30_transactions_that_begin_with_kills() {
    let chances = Chances { failure: 50, zombie: 40, ..KILLED };
    run("fault-30", chances, &["committed", "failed"]);
}

#[test]
fn fault_32_readers_through_restarts_and_compaction_with_kills() {
    run("fault-32", Chances { stop: 15, ..KILLED }, &["aborted", "compacted", "failed", "stopped"]);
}

//! SIGKILL of the broker, and members that are lost or sleep, while a group reads what producers
//! write.
//!
//! `MILENA_KILLS=20 cargo test --release -p milena --test it fault_35 -- --nocapture` is the long
//! form; `MILENA_SEED` chooses another run.

use std::time::Duration;

use milena_env::Random;

use super::number_from;
use crate::{
    group::{Assigns, Group},
    load::{Load, read_back},
    process::{Folder, Process},
};

const PARTITIONS: i32 = 12;
const PRODUCERS: u32 = 2;
const CONSUMERS: usize = 3;
/// Sessions are short, and all groups' state lies in small segments.
const SETTINGS: [&str; 11] = [
    "milena.journal.bytes=4194304",
    "log.segment.bytes=1048576",
    "offsets.topic.num.partitions=3",
    "offsets.topic.segment.bytes=1048576",
    "group.min.session.timeout.ms=500",
    "group.initial.rebalance.delay.ms=100",
    "group.consumer.min.session.timeout.ms=500",
    "group.consumer.session.timeout.ms=1000",
    "group.consumer.min.heartbeat.interval.ms=100",
    "group.consumer.heartbeat.interval.ms=200",
    "group.consumer.assignment.interval.ms=0",
];
/// For what was written last to be consumed: sessions end, the group comes together, and reads.
const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn fault_35_a_group_whose_broker_and_members_are_killed_misses_nothing_and_never_goes_back() {
    kill_and_check("fault-35", Assigns::Leader);
}

#[test]
fn fault_35_a_consumer_group_whose_broker_and_members_are_killed_misses_nothing() {
    kill_and_check("fault-35-consumer", Assigns::Coordinator);
}

fn kill_and_check(name: &str, assigns: Assigns) {
    let (rounds, seed) = (number_from("MILENA_KILLS", 6), number_from("MILENA_SEED", 35));
    let folder = Folder::new(name);
    let mut random = Random::from_seed(seed);
    let mut process = Process::start(&folder, &SETTINGS);
    let load = Load::start(process.address(), PRODUCERS, PARTITIONS, seed);
    let mut group = Group::start(process.address(), assigns, CONSUMERS, PARTITIONS);
    let (mut kills, mut losses) = (0, 0);
    for round in 0..rounds {
        // Now and then there is time enough to settle, else it is in the middle of something.
        let nap = if random.chance(1, 3) { 2500 } else { 600 };
        std::thread::sleep(Duration::from_millis(50 + random.below(nap)));
        let consumer = random.below(CONSUMERS as u64) as usize;
        // All kinds come in any run.
        match if round < 3 { round } else { random.below(3) } {
            0 => {
                process.kill();
                process = Process::start(&folder, &SETTINGS);
                load.moved(process.address());
                group.moved(process.address());
                kills += 1;
            }
            1 => {
                group.lose(consumer);
                group.add();
                losses += 1;
            }
            _ => {
                group.put_to_sleep(consumer);
                // Else the next round may find it asleep.
                if round < 3 || random.chance(1, 2) {
                    group.wait_for_a_fence(PATIENCE);
                }
            }
        }
    }
    let mut story = load.finish();
    let mut client = process.client();
    let history = group.finish(&mut client, PATIENCE);
    story.found = read_back(&mut client, PARTITIONS);
    story.check();
    history.check(&story);
    let records: i32 = story.acknowledged.iter().map(|batch| batch.count).sum();
    println!(
        "{kills} kills, {losses} members lost, {} put to sleep and {} of them fenced; {records} \
         records consumed in {} generations, {} commits, {} times begun where the group was",
        rounds - kills - losses,
        history.fenced,
        history.generations(),
        history.commits,
        history.beginnings
    );
}

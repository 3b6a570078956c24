//! Power failures at any moment: what was acknowledged is there, and what is there was asked for.

use std::{collections::BTreeMap, sync::Arc};

use milena_env::{Random, SimulatedDisk};
use milena_metadata::controller::{CreateTopics, DeleteTopics};

use crate::{
    rig::{Rig, block_on},
    story::{create, delete, topic},
};

/// What is known of a topic from outside.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Known {
    There,
    Gone,
    /// Asked for, and never answered.
    Perhaps,
}

/// One life of a node, cut off by the disk at some moment or by the test at the end.
fn live(rig: &Rig, random: &mut Random, known: &mut BTreeMap<String, Known>) {
    for _ in 0..random.below(20) {
        let name = format!("topic-{}", random.below(12));
        let there = known.get(&name).copied().unwrap_or(Known::Gone);
        let is_done = match (there, random.below(4)) {
            (_, 0) => {
                rig.node.request_snapshot();
                continue;
            }
            (Known::Gone, _) => {
                known.insert(name.clone(), Known::Perhaps);
                let partitions = 1 + random.below(4) as i32;
                let request = create([topic(&name, partitions)]);
                let answer = block_on(rig.node.call::<CreateTopics>(&request));
                answer.map(|_| Known::There)
            }
            _ => {
                known.insert(name.clone(), Known::Perhaps);
                let answer = block_on(rig.node.call::<DeleteTopics>(&delete(&name)));
                answer.map(|_| Known::Gone)
            }
        };
        match is_done {
            Ok(state) => drop(known.insert(name, state)),
            // The power is off.
            Err(_) => return,
        }
    }
}

/// Compares with what is there, and learns how the doubtful ended.
fn check(rig: &Rig, known: &mut BTreeMap<String, Known>, seed: u64) {
    let image = rig.image();
    for (name, state) in known {
        let is_there = image.topics.by_name(name).is_some();
        match state {
            Known::There => assert!(is_there, "seed {seed}: {name} is lost"),
            Known::Gone => assert!(!is_there, "seed {seed}: {name} is back"),
            Known::Perhaps => *state = if is_there { Known::There } else { Known::Gone },
        }
    }
}

fn run(seed: u64) {
    let mut random = Random::from_seed(seed);
    let mut disk = SimulatedDisk::new(seed);
    let mut known = BTreeMap::new();
    let mut epoch = 0;
    for life in 0..6 {
        if random.chance(2, 3) {
            disk.crash_after(random.below(160));
        }
        let rig = match Rig::start(Arc::clone(&disk), seed * 10 + life) {
            Ok(rig) => rig,
            Err(error) => {
                assert!(disk.is_power_off(), "seed {seed}: {error}");
                disk = disk.crash();
                continue;
            }
        };
        check(&rig, &mut known, seed);
        let now = block_on(rig.node.describe_quorum()).map_or(epoch + 1, |it| it.epoch);
        assert!(now > epoch, "seed {seed}: a leader came back in its old epoch");
        epoch = now;
        live(&rig, &mut random, &mut known);
        disk = match random.below(3) {
            0 => rig.stop(),
            1 => {
                let killed = rig.disk.kill();
                rig.node.stop();
                killed
            }
            _ => rig.crash(),
        };
    }
}

#[test]
fn what_was_acknowledged_survives_whenever_the_power_fails() {
    (0..120).for_each(run);
}

//! Fault 36: compaction racing with crashes, tombstones and open transactions.

use std::{sync::Arc, time::Duration};

use milena_env::Random;
use milena_protocol::records::Codec;
use milena_storage::{AppendError, Log, LogConfig, LogDirectory};

use super::world::{HOUR_MS, TOPIC, World, compact, config};
use crate::rig::Rig;

const KEYS: [&str; 8] = ["a", "b", "c", "d", "e", "f", "g", "h"];

/// Opens the directory, through as many crashes as the seed wants.
fn open(world: &mut World, random: &mut Random) -> (Arc<LogDirectory>, Arc<Log>) {
    for _ in 0..2 {
        if random.chance(1, 4) {
            world.rig.disk.crash_after(random.below(25));
        }
        let opened = world.rig.open();
        if !world.rig.disk.is_power_off() {
            world.rig.disk.crash_after(u64::MAX);
            let directory = opened.unwrap();
            let log = world.rig.log(&directory, TOPIC);
            return (directory, log);
        }
        drop(opened);
        world.rig.crash();
    }
    let directory = world.rig.open().unwrap();
    let log = world.rig.log(&directory, TOPIC);
    (directory, log)
}

/// One thing that happens to the log.
fn act(
    world: &mut World,
    directory: &LogDirectory,
    log: &Arc<Log>,
    random: &mut Random,
) -> Result<(), AppendError> {
    let value = format!("value {}", random.below(1000));
    let some = |random: &mut Random| random.chance(4, 5).then_some(value.as_str());
    let key = |random: &mut Random| KEYS[random.below(8) as usize];
    let records =
        [(key(random), some(random)), (key(random), some(random)), (key(random), some(random))];
    let records = &records[..1 + random.below(3) as usize];
    match random.below(20) {
        0..6 => world.put(log, Codec::ALL[random.below(5) as usize], records)?,
        6..9 => world.put_as(log, random.below(2) as i64, records)?,
        9..13 => world.put_as(log, 10 + random.below(2) as i64, records)?,
        13..16 => world.end(log, 10 + random.below(2) as i64, random.chance(1, 2))?,
        16..18 => directory.run_pending(),
        18 => directory.checkpoint()?,
        _ => world.rig.clock.advance(Duration::from_millis(HOUR_MS as u64 / 3)),
    }
    Ok(())
}

/// What came of a seed: how often compaction ran to its end, and how often the power went in it.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    done: u32,
    crashed: u32,
}

fn fault_36(seed: u64, log_config: LogConfig, tally: &mut Tally) {
    let mut random = Random::from_seed(seed);
    let is_journalled = log_config.is_journalled();
    let mut world = World::new(Rig::new(seed, log_config));
    if seed % 2 == 1 {
        world.rig.disk.lose_names_in_any_order();
    }
    let (mut directory, mut log) = open(&mut world, &mut random);
    for life in 0..2 {
        let context = format!("seed {seed}, life {life}");
        let mut durable = log.durable_end();
        for _ in 0..3 {
            for _ in 0..25 {
                act(&mut world, &directory, &log, &mut random).unwrap();
            }
            if random.chance(2, 3) {
                directory.run_pending();
            }
            if !is_journalled {
                directory.run_pending();
                directory.checkpoint().unwrap();
            }
            durable = log.durable_end();
            if random.chance(1, 2) {
                world.rig.disk.crash_after(random.below(60));
            }
            world.compacted(log.last_stable_offset(durable));
            let done = compact(&directory);
            if world.rig.disk.is_power_off() {
                tally.crashed += 1;
                break;
            }
            world.rig.disk.crash_after(u64::MAX);
            tally.done += u32::from(done.unwrap().is_some());
            world.check(&log, &context);
        }
        let is_on = !world.rig.disk.is_power_off();
        if is_on && random.chance(1, 6) {
            directory.close(1).unwrap();
        }
        drop((log, directory));
        if is_on && random.chance(1, 6) {
            world.rig.kill();
        } else {
            world.rig.crash();
        }
        (directory, log) = open(&mut world, &mut random);
        assert!(log.appended_end() >= durable, "{context}: what was durable is there");
        world.forget_beyond(&log);
        world.check(&log, &format!("{context}, opened again"));
    }
    assert!(directory.offline().is_none());
}

#[test]
fn fault_36_compaction_loses_no_last_value_to_a_crash() {
    let mut tally = Tally::default();
    for seed in 0..450 {
        fault_36(seed, config(), &mut tally);
    }
    assert!(tally.done > 400 && tally.crashed > 400, "{tally:?}");
}

#[test]
fn fault_36_nor_where_nothing_is_journalled() {
    let mut tally = Tally::default();
    let config = LogConfig { flush_messages: i64::MAX, ..config() };
    for seed in 1000..1100 {
        fault_36(seed, config.clone(), &mut tally);
    }
    assert!(tally.done > 80 && tally.crashed > 80, "{tally:?}");
}

/// A log of small segments that compaction is about to make fewer of, with everything in it that
/// it has to think about.
fn prepared(disk_seed: u64) -> (World, Arc<LogDirectory>, Arc<Log>) {
    let mut random = Random::from_seed(7);
    let mut world = World::new(Rig::new(disk_seed, config()));
    world.rig.disk.lose_names_in_any_order();
    let (directory, log) = {
        let directory = world.rig.open().unwrap();
        let log = world.rig.log(&directory, TOPIC);
        (directory, log)
    };
    for _ in 0..2 {
        for index in 0..40 {
            act(&mut world, &directory, &log, &mut random).unwrap();
            if index % 8 == 0 {
                let once = format!("once {}", log.appended_end());
                world.put(&log, Codec::None, &[(&once, Some("for ever"))]).unwrap();
            }
        }
        for id in [10, 11] {
            world.end(&log, id, random.chance(1, 2)).unwrap();
        }
        directory.run_pending();
        world.compacted(log.last_stable_offset(log.durable_end()));
        compact(&directory).unwrap();
        world.rig.clock.advance(Duration::from_millis(HOUR_MS as u64));
    }
    for _ in 0..15 {
        act(&mut world, &directory, &log, &mut random).unwrap();
    }
    directory.run_pending();
    world.compacted(log.last_stable_offset(log.durable_end()));
    (world, directory, log)
}

#[test]
fn fault_36_a_crash_at_any_operation_leaves_the_old_or_the_new() {
    let (_, directory, _) = prepared(0);
    let done = compact(&directory).unwrap().unwrap();
    assert!(done.segments_after < done.segments_before, "{done:?}");
    let mut crashes = 0;
    for count in 0.. {
        for seed in 0..5 {
            let (mut world, directory, log) = prepared(seed);
            world.rig.disk.crash_after(count);
            let done = compact(&directory);
            if !world.rig.disk.is_power_off() {
                assert!(done.unwrap().is_some());
                assert!(crashes > 250, "{crashes}");
                return;
            }
            crashes += 1;
            let durable = log.durable_end();
            drop((log, directory));
            world.rig.crash();
            let directory = world.rig.open().unwrap();
            let log = world.rig.log(&directory, TOPIC);
            assert_eq!(log.appended_end(), durable);
            world.forget_beyond(&log);
            world.check(&log, &format!("seed {seed}, crash at {count}"));
            // And what was interrupted can be done again.
            compact(&directory).unwrap();
            world.check(&log, &format!("seed {seed}, crash at {count}, compacted again"));
        }
    }
}

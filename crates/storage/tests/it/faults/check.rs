//! Holds what a directory answers to what it should hold.

use std::sync::Arc;

use milena_protocol::{LeaderEpoch, Offset, records::Batch};
use milena_storage::{Limit, Log, LogDirectory, producers::Origin};

use super::history::{History, Life, World};
use crate::rig::{partition, validated};

/// Finds out which of the worlds that a crash may leave is there, and checks it whole.
pub(crate) fn survivor(seed: u64, directory: &LogDirectory, history: &History) -> World {
    let worlds = history.survivors();
    let mut complaints = Vec::new();
    for (lost, world) in worlds.iter().enumerate() {
        match difference(directory, world) {
            None => {
                let world = adopted(directory, world);
                whole(seed, directory, &world);
                return world;
            }
            Some(complaint) => complaints.push(format!("  without the last {lost}: {complaint}")),
        }
    }
    panic!(
        "seed {seed}: what is there is not what was done, up to some moment after all that was \
         durable:\n{}\n{}",
        complaints.join("\n"),
        history.story()
    );
}

/// Checks that the directory holds this world and nothing else.
pub(crate) fn whole(seed: u64, directory: &LogDirectory, world: &World) {
    if let Some(complaint) = difference(directory, world) {
        panic!("seed {seed}: {complaint}");
    }
    for (topic, life) in world {
        let Some(log) = directory.log(&partition(topic)) else { continue };
        assert_eq!(log.durable_end(), log.appended_end(), "seed {seed}: {topic} is durable");
        every_offset(seed, topic, &log, life);
        epochs(seed, topic, &log, life);
        duplicates(seed, topic, &log, life);
    }
}

/// Where the directory is not what this world says.
fn difference(directory: &LogDirectory, world: &World) -> Option<String> {
    let names: Vec<String> =
        directory.logs().iter().map(|log| log.name().topic.to_string()).collect();
    // Of a partition that never had a record nothing is on disk: it may be gone, and is no loss.
    let is_lost = |(topic, life): (&String, &Life)| life.end > 0 && !names.contains(topic);
    if names.iter().any(|name| !world.contains_key(name)) || world.iter().any(is_lost) {
        return Some(format!("partitions {names:?}, not {:?}", world.keys()));
    }
    world.iter().find_map(|(topic, life)| {
        let log = directory.log(&partition(topic))?;
        if log.topic_id() != life.topic_id {
            return Some(format!("{topic} is another topic's"));
        }
        let (start, end) = (log.start_offset().0, log.appended_end().0);
        if start != life.start || (end != life.end && end != life.filled_end()) {
            let (model_start, model_end) = (life.start, life.end);
            return Some(format!("{topic} is {start}..{end}, not {model_start}..{model_end}"));
        }
        match read_whole(&log) {
            Ok(bytes) if bytes == life.bytes() => None,
            Ok(_) => Some(format!("{topic} has other bytes in {start}..{end}")),
            Err(error) => Some(format!("{topic} cannot be read: {error}")),
        }
    })
}

/// The world with the ends that the logs have: a cut inside of a batch is forgotten, and so may
/// be a partition that never had a record.
fn adopted(directory: &LogDirectory, world: &World) -> World {
    let here = world.iter().filter_map(|(topic, life)| {
        let end = directory.log(&partition(topic))?.appended_end().0;
        Some((topic.clone(), Life { end, ..life.clone() }))
    });
    here.collect()
}

/// All bytes from the log's start on, each batch checked.
pub(crate) fn read_whole(log: &Log) -> Result<Vec<u8>, String> {
    let mut all = Vec::new();
    let (mut from, end) = (log.start_offset(), log.appended_end());
    while from < end {
        let limit = Limit { bytes_max: 1, at_least_one: true };
        let plan = log.read(from, end, limit).map_err(|error| error.to_string())?;
        let bytes = plan.read().map_err(|error| error.to_string())?;
        if bytes.is_empty() {
            return Ok(all);
        }
        let batch = Batch::check(&bytes).map_err(|error| format!("at {from}: {error}"))?;
        if batch.header().next_offset() <= from {
            return Err(format!("a read from {from} goes back"));
        }
        from = batch.header().next_offset();
        all.extend_from_slice(&bytes);
    }
    Ok(all)
}

/// A read at any offset gives the batch that holds it.
fn every_offset(seed: u64, topic: &str, log: &Log, life: &Life) {
    for batch in life.live() {
        for offset in batch.base.max(life.start)..batch.next {
            let limit = Limit { bytes_max: 1, at_least_one: true };
            let plan = log.read(Offset(offset), log.appended_end(), limit).unwrap();
            let bytes = plan.read().unwrap();
            assert_eq!(bytes, batch.bytes, "seed {seed}: {topic} at {offset}");
        }
    }
}

fn epochs(seed: u64, topic: &str, log: &Log, life: &Life) {
    if life.cut_inside || life.live().next().is_none() {
        return;
    }
    for epoch in 0..life.epochs.last().map_or(0, |last| last.0) + 2 {
        let answer = log.end_offset_for(LeaderEpoch(epoch)).map(|(e, o)| (e.0, o.0));
        assert_eq!(
            answer,
            life.end_offset_for(epoch),
            "seed {seed}: end of epoch {epoch} in {topic}, which has {:?}",
            life.epochs
        );
    }
}

/// The last five batches of each producer are known again, and not appended once more.
fn duplicates(seed: u64, topic: &str, log: &Arc<Log>, life: &Life) {
    let epoch = LeaderEpoch(life.epochs.last().map_or(0, |last| last.0));
    for producer_id in 1..4 {
        let own = life.live().rev().filter(|b| b.producer.is_some_and(|p| p.0 == producer_id));
        for (age, batch) in own.take(5).enumerate() {
            let sent = batch.sent.clone();
            let answer = log.append_as_leader(sent, &validated(&batch.sent), epoch, Origin::Client);
            let context = format!("seed {seed}: {topic}: the retry of {}", batch.base);
            let answer = answer.unwrap_or_else(|error| panic!("{context}, {age} back: {error}"));
            assert!(answer.is_duplicate && answer.base_offset.0 == batch.base, "{context}");
        }
    }
}

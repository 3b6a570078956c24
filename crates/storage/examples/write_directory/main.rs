//! Writes a log directory with something of everything a log can hold, stops it in order, and
//! writes beside it what a consumer must find in it: `tests/kafka/check-directory.sh` asks a real
//! Apache Kafka whether it agrees.
//!
//! `cargo run -p milena-storage --example write_directory -- DIR`. Where DIR holds logs already, it
//! is only opened and stopped again, so that Kafka can be asked what that changed.

mod story;

use std::{collections::BTreeMap, env, error::Error, path::Path, sync::Arc};

use bytes::Bytes;
use milena_env::{Disk, Random, RealClock, disk::RealDisk};
use milena_protocol::{
    LeaderEpoch, Offset, ProducerEpoch, ProducerId, Uuid,
    records::{BatchBuilder, Codec},
};
use milena_storage::{
    DirectoryConfig, DirectoryIdentity, Limit, LogConfig, LogDirectory, OpenOptions, Workers,
};
use story::Stories;

type Done = Result<(), Box<dyn Error>>;

fn main() -> Done {
    let path = env::args().nth(1).ok_or("usage: write_directory DIR")?;
    let path = Path::new(&path);
    let directory = open(path)?;
    if !directory.logs().is_empty() {
        return Ok(directory.close(1)?);
    }
    let mut stories = Stories::new(&directory);
    codecs(&mut stories)?;
    times(&mut stories)?;
    producers(&mut stories)?;
    transactions(&mut stories)?;
    epochs(&mut stories)?;
    segments(&mut stories)?;
    follower(&mut stories)?;
    let (records, partitions) = stories.told()?;
    directory.close(1)?;
    let disk: &dyn Disk = &RealDisk;
    disk.replace(&path.join("expected.jsonl"), &records)?;
    disk.replace(&path.join("partitions.jsonl"), &partitions)?;
    Ok(())
}

fn open(path: &Path) -> Result<Arc<LogDirectory>, Box<dyn Error>> {
    let config = Arc::new(LogConfig::default());
    let directory = LogDirectory::open(OpenOptions {
        disk: Arc::new(RealDisk),
        clock: Arc::new(RealClock),
        path: path.to_owned(),
        identity: DirectoryIdentity {
            cluster_id: None,
            new_cluster_id: "bWlsZW5hLWFuZC1rYWZrYQ".to_owned(),
            node_id: 1,
            new_directory_id: Uuid::from_be_bytes(Random::from_os()?.uuid()),
        },
        config: DirectoryConfig::default(),
        new_ring_key: Random::from_os()?.uuid(),
        first: None,
        log_config: &|_| Arc::clone(&config),
        workers: Workers::Threads,
        threads: 2,
    })?;
    Ok(directory)
}

/// One topic per codec: batches of one to five records with all that a record may have.
fn codecs(stories: &mut Stories<'_>) -> Done {
    for codec in Codec::ALL {
        let mut story = stories.begin(&format!("codec-{}", codec.name()), small_segments())?;
        for _ in 0..60 {
            let count = 1 + stories.random.below(5);
            let batch = stories.batch(BatchBuilder::new(Offset::ZERO), codec, count);
            story.send(&batch)?;
        }
        stories.told.push(story);
    }
    Ok(())
}

/// Times that the broker gives, and none at all.
fn times(stories: &mut Stories<'_>) -> Done {
    let config = LogConfig { log_append_time: true, ..small_segments() };
    let mut story = stories.begin("append-time", config)?;
    for codec in Codec::ALL.into_iter().cycle().take(40) {
        let batch = stories.batch(BatchBuilder::new(Offset::ZERO), codec, 3);
        story.now_ms += 10;
        story.send(&batch)?;
    }
    stories.told.push(story);

    let mut story = stories.begin("undated", small_segments())?;
    for _ in 0..200 {
        let mut batch = stories.batch(BatchBuilder::new(Offset::ZERO), Codec::None, 2);
        batch.records.iter_mut().for_each(|record| record.timestamp = -1);
        story.send(&batch)?;
    }
    stories.told.push(story);
    Ok(())
}

/// Idempotent producers that take turns, one of which sends everything twice and one of which
/// comes back with a new epoch.
fn producers(stories: &mut Stories<'_>) -> Done {
    let mut story = stories.begin("idempotent", small_segments())?;
    let mut sequences = BTreeMap::new();
    for round in 0..120 {
        let id = 4000 + stories.random.below(4) as i64;
        let epoch = i16::from(id == 4001 && round >= 60);
        let count = 1 + stories.random.below(4);
        let sequence = sequences.entry((id, epoch)).or_insert(0);
        let builder = BatchBuilder::new(Offset::ZERO).with_producer(
            ProducerId(id),
            ProducerEpoch(epoch),
            *sequence,
        );
        *sequence += count as i32;
        let batch = stories.batch(builder, Codec::Lz4, count);
        story.send(&batch)?;
        if id == 4002 && !story.append(&batch)?.is_duplicate {
            return Err("a retry was appended".into());
        }
    }
    stories.told.push(story);
    Ok(())
}

/// Transactions of three producers at a time with plain records between them; each marker raises
/// its producer's epoch. The second partition ends with transactions open.
fn transactions(stories: &mut Stories<'_>) -> Done {
    for partition in 0..2 {
        let mut story = stories.begin_partition("transactions", partition, small_segments())?;
        // Of each producer the epoch and the next sequence.
        let mut producers = BTreeMap::from([(5000_i64, (0, 0)), (5001, (0, 0)), (5002, (0, 0))]);
        for _ in 0..200 {
            let id = 5000 + stories.random.below(3) as i64;
            let count = 1 + stories.random.below(3);
            let builder = BatchBuilder::new(Offset::ZERO);
            if stories.random.chance(1, 4) {
                story.send(&stories.batch(builder, Codec::None, count))?;
            } else if story.open.contains_key(&id) && stories.random.chance(1, 3) {
                story.end_transaction(id, stories.random.chance(1, 2))?;
                producers.entry(id).and_modify(|(epoch, next)| (*epoch, *next) = (*epoch + 1, 0));
            } else if let Some((epoch, sequence)) = producers.get_mut(&id) {
                let builder = builder
                    .with_producer(ProducerId(id), ProducerEpoch(*epoch), *sequence)
                    .with_transactional();
                *sequence += count as i32;
                story.send(&stories.batch(builder, Codec::Snappy, count))?;
            }
        }
        let left_open = if partition == 0 { 0 } else { 1 };
        while story.open.len() > left_open {
            let id = story.open.keys().next_back().copied().ok_or("nothing is open")?;
            story.end_transaction(id, partition == 0)?;
        }
        stories.told.push(story);
    }
    Ok(())
}

/// Six leader epochs, one of which wrote nothing, and a divergence that was cut off.
fn epochs(stories: &mut Stories<'_>) -> Done {
    let mut story = stories.begin("epochs", small_segments())?;
    for epoch in [0, 1, 2, 5, 6, 9] {
        story.epoch = LeaderEpoch(epoch);
        story.log.begin_epoch(story.epoch);
        for _ in 0..if epoch == 2 { 0 } else { 30 } {
            story.send(&stories.batch(BatchBuilder::new(Offset::ZERO), Codec::Zstd, 2))?;
        }
        if epoch == 6 {
            let cut = Offset(story.log.appended_end().0 - 14);
            story.log.truncate_to(cut)?;
            story.records.retain(|record| record.offset < cut);
        }
    }
    stories.told.push(story);
    Ok(())
}

/// Many small segments, and the same again with its head deleted.
fn segments(stories: &mut Stories<'_>) -> Done {
    for topic in ["segments", "head-deleted", "all-deleted"] {
        let config = LogConfig { segment_jitter_ms: 5_000, ..small_segments() };
        let mut story = stories.begin(topic, config)?;
        for _ in 0..600 {
            let codec = if stories.random.chance(1, 2) { Codec::None } else { Codec::Gzip };
            let count = 1 + stories.random.below(6);
            story.send(&stories.batch(BatchBuilder::new(Offset::ZERO), codec, count))?;
        }
        let end = story.log.appended_end();
        let start = match topic {
            "segments" => Offset::ZERO,
            "head-deleted" => Offset(end.0 / 2 + 1),
            _ => end,
        };
        story.log.delete_records(start);
        story.records.retain(|record| record.offset >= start);
        stories.told.push(story);
    }
    Ok(())
}

/// What a leader sent, several batches at once, into a log that begins late.
fn follower(stories: &mut Stories<'_>) -> Done {
    let mut leader = stories.begin("followed", LogConfig::default())?;
    leader.log.reset_to(Offset(1000))?;
    for _ in 0..50 {
        leader.send(&stories.batch(BatchBuilder::new(Offset::ZERO), Codec::Lz4, 3))?;
    }
    let mut story = stories.begin("follower", small_segments())?;
    story.log.reset_to(Offset(1000))?;
    let end = leader.log.appended_end();
    while story.log.appended_end() < end {
        let limit = Limit { bytes_max: 2_000, at_least_one: true };
        let plan = leader.log.read(story.log.appended_end(), end, limit)?;
        story.log.append_as_follower(&Bytes::from(plan.read()?))?;
    }
    story.records.clone_from(&leader.records);
    stories.told.extend([leader, story]);
    Ok(())
}

/// Small enough for many rolls and index entries.
fn small_segments() -> LogConfig {
    LogConfig { segment_bytes: 8 << 10, index_interval_bytes: 200, ..LogConfig::default() }
}

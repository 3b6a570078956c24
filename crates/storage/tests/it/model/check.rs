//! Whether a log answers as the model does.

use std::collections::BTreeMap;

use milena_env::Random;
use milena_protocol::{LeaderEpoch, Offset};
use milena_storage::{Limit, Log, ReadError};

use super::model::Model;

pub(super) fn check(log: &Log, model: &Model, random: &mut Random) {
    assert_eq!(log.start_offset(), model.start, "start");
    assert_eq!(log.appended_end(), model.end, "end");
    read_everywhere(log, model, random);
    times(log, model, random);
    epochs(log, model);
    transactions(log, model, random);
    producers(log, model);
}

fn somewhere(model: &Model, random: &mut Random) -> Offset {
    let span = model.end.0 - model.start.0 + 1;
    model.start.plus(random.below(span as u64) as i64)
}

/// Where a batch ends, as every high watermark does.
fn at_a_batch(model: &Model, random: &mut Random) -> Offset {
    let ends: Vec<_> = model.readable(model.start, model.end).collect();
    let at = random.below(ends.len() as u64) as usize;
    ends.get(at).map_or(model.end, |batch| batch.header.next_offset())
}

fn read_everywhere(log: &Log, model: &Model, random: &mut Random) {
    for outside in [model.start.plus(-1), model.end.next()] {
        let limit = Limit { bytes_max: 100, at_least_one: true };
        let read = log.read(outside, model.end, limit);
        assert!(matches!(read, Err(ReadError::OutOfRange { .. })), "{outside}: {read:?}");
    }
    let step = 1 + random.below(3) as i64;
    let mut from = model.start;
    while from <= model.end {
        let bound = match random.below(3) {
            0 => somewhere(model, random),
            1 => Offset(i64::MAX),
            _ => model.end,
        };
        let limit =
            Limit { bytes_max: random.below(2_000) as usize, at_least_one: random.chance(2, 3) };
        read(log, model, from, bound, limit);
        from = from.plus(step);
    }
}

fn read(log: &Log, model: &Model, from: Offset, bound: Offset, limit: Limit) {
    let what = format!("read from {from} below {bound} with {limit:?}");
    let plan = log.read(from, bound, limit).unwrap_or_else(|error| panic!("{what}: {error}"));
    let bytes = plan.read().unwrap();
    assert_eq!(bytes.len(), plan.len);
    let wanted: Vec<_> = model.readable(from, bound).collect();
    let all: Vec<u8> = wanted.iter().flat_map(|batch| batch.bytes.to_vec()).collect();
    assert!(all.starts_with(&bytes), "{what}: {} of {} bytes", bytes.len(), all.len());
    let first = wanted.first().map_or(0, |batch| batch.bytes.len());
    if limit.at_least_one {
        assert!(bytes.len() >= first, "{what}: {} bytes, the first batch has {first}", bytes.len());
        assert!(bytes.len() <= limit.bytes_max.max(first), "{what}: {}", bytes.len());
    } else {
        assert!(bytes.len() <= limit.bytes_max, "{what}: {}", bytes.len());
        assert!(bytes.len() >= first || first > limit.bytes_max, "{what}: {}", bytes.len());
    }
}

fn times(log: &Log, model: &Model, random: &mut Random) {
    let all: Vec<i64> = model.batches.iter().map(|batch| batch.header.max_timestamp).collect();
    for _ in 0..8 {
        let near = all.get(random.below(all.len() as u64) as usize).copied().unwrap_or(0);
        let time = (near + random.below(3) as i64 - 1).max(0);
        let bound = match random.below(2) {
            0 => model.end,
            _ => at_a_batch(model, random),
        };
        let found = log.offset_for_timestamp(time, bound).unwrap();
        let found = found.map(|f| (f.timestamp, f.offset, f.epoch));
        assert_eq!(found, model.at_time(time, bound), "at {time} below {bound}");
        let found = log.max_timestamp(bound).unwrap();
        let found = found.map(|f| (f.timestamp, f.offset, f.epoch));
        // As with Kafka, a newer one below the start hides it while its segment is there.
        if found.is_some() || !model.hides_newest() {
            assert_eq!(found, model.newest(bound), "newest below {bound}");
        }
    }
}

fn epochs(log: &Log, model: &Model) {
    let known = &model.epochs;
    for offset in model.start.0..model.end.0 {
        let offset = Offset(offset);
        let found = log.epoch_for_offset(offset);
        assert_eq!(found, known.epoch_for_offset(offset), "{offset} of {known:?}");
    }
    // Of a log without records it matters to nobody.
    if model.start < model.end {
        let latest = known.latest().map_or(0, |latest| latest.epoch.0);
        for epoch in (0..latest + 2).map(LeaderEpoch) {
            let wanted = known.end_offset_for(epoch, model.end);
            assert_eq!(log.end_offset_for(epoch), wanted, "epoch {epoch} of {known:?}");
        }
    }
}

fn transactions(log: &Log, model: &Model, random: &mut Random) {
    let known: Vec<_> = model.known_from.iter().map(|from| model.transactions(*from)).collect();
    let oldest = |open: &BTreeMap<i64, Offset>| open.values().min().copied();
    let stable = known
        .iter()
        .map(|(_, open)| oldest(open).map_or(model.end, |first| first.max(model.start)));
    let stable: Vec<Offset> = stable.collect();
    let found = log.last_stable_offset(model.end);
    assert!(stable.contains(&found), "last stable offset {found}, not {stable:?}");
    for _ in 0..4 {
        let (one, other) = (somewhere(model, random), somewhere(model, random));
        let (from, to) = (one.min(other), one.max(other));
        let wanted = known.iter().map(|(aborted, _)| {
            aborted.iter().filter(|t| touches(t, from, to)).copied().collect::<Vec<_>>()
        });
        let wanted: Vec<_> = wanted.collect();
        let found = log.aborted_transactions(from, to).unwrap();
        assert!(wanted.contains(&found), "within {from} and {to}: {found:?}, not {wanted:?}");
    }
}

/// The last that each producer wrote.
fn producers(log: &Log, model: &Model) {
    let mut wanted = BTreeMap::new();
    for batch in model.batches.iter().filter(|batch| batch.header.has_producer_id()) {
        let header = &batch.header;
        let last = (header.producer_epoch, header.max_timestamp);
        wanted.insert(header.producer_id, (last, header.base_offset));
    }
    log.with_producers(|producers| {
        for (id, entry) in producers.iter() {
            let last = wanted.get(&id).map(|wanted| wanted.0);
            assert_eq!(last, Some((entry.epoch, entry.last_timestamp)), "producer {id}");
        }
        for (id, (_, offset)) in wanted {
            let is_old = model.known_from.iter().any(|from| offset < *from);
            let is_known = is_old || producers.get(id).is_some();
            assert!(is_known, "producer {id} wrote at {offset} and is forgotten");
        }
    });
}

fn touches(t: &milena_storage::index::AbortedTransaction, from: Offset, to: Offset) -> bool {
    t.last_offset >= from && t.first_offset < to
}

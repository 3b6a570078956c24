//! A partition moves to another directory, and a crash at any moment leaves one whole log.

use std::{path::PathBuf, sync::Arc};

use milena_env::Disk;
use milena_protocol::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, records::BatchBuilder};
use milena_storage::{Log, LogConfig, LogDirectory, Relocation};

use crate::rig::{Rig, append, batch, build, partition, path, values};

fn other_path() -> PathBuf {
    PathBuf::from("/other")
}

fn both(rig: &Rig) -> [Arc<LogDirectory>; 2] {
    [rig.open().unwrap(), rig.open_at(other_path()).unwrap()]
}

fn move_whole(from: &Arc<LogDirectory>, to: &Arc<LogDirectory>) -> Arc<Log> {
    let relocation = Relocation::begin(from, to, &partition("orders")).unwrap().unwrap();
    relocation.catch_up(&|| true).unwrap();
    let moved = relocation.finish().unwrap();
    relocation.leave();
    moved
}

/// Twenty batches of a producer in two epochs, of which the first records are deleted.
fn fill(rig: &Rig, directory: &LogDirectory) -> Arc<Log> {
    let log = rig.log(directory, "orders");
    for sequence in 0..20 {
        let builder = BatchBuilder::new(Offset::ZERO);
        let builder = builder.with_producer(ProducerId(7), ProducerEpoch(0), sequence * 2);
        let sent = build(builder, &[&format!("{sequence} a"), &format!("{sequence} b")]);
        append(&log, sent, sequence / 10).unwrap();
        directory.run_pending();
        if sequence % 8 == 0 {
            // The journal is small.
            directory.checkpoint().unwrap();
        }
    }
    log.delete_records(Offset(7));
    directory.run_pending();
    log
}

#[test]
fn a_partition_moves_with_all_that_is_known_of_it_while_it_is_written() {
    let mut rig = Rig::new(1, LogConfig { segment_bytes: 500, ..LogConfig::default() });
    let [from, to] = both(&rig);
    let log = fill(&rig, &from);
    let relocation = Relocation::begin(&from, &to, &partition("orders")).unwrap().unwrap();
    assert!(relocation.catch_up(&|| true).unwrap() > 0);
    assert_eq!((relocation.copied_end(), relocation.copied_bytes() > 0), (Offset(40), true));
    append(&log, batch(&["late"]), 1).unwrap();
    from.run_pending();
    assert_eq!(relocation.copied_end(), Offset(40));
    log.delete_records(Offset(13));
    let expected: Vec<String> = values(&log);
    let moved = relocation.finish().unwrap();
    relocation.leave();

    assert!(append(&log, batch(&["too late"]), 1).is_err());
    assert!(from.log(&partition("orders")).is_none());
    assert_eq!(values(&moved), expected);
    assert_eq!((moved.start_offset(), moved.appended_end()), (Offset(13), Offset(41)));
    assert_eq!(moved.end_offset_for(LeaderEpoch(0)), Some((LeaderEpoch(0), Offset(20))));
    let retry = BatchBuilder::new(Offset::ZERO);
    let retry = retry.with_producer(ProducerId(7), ProducerEpoch(0), 38);
    let again = append(&moved, build(retry, &["19 a", "19 b"]), 1).unwrap();
    assert!(again.is_duplicate && again.base_offset == Offset(38));
    append(&moved, batch(&["new"]), 2).unwrap();
    to.run_pending();
    let expected: Vec<String> = values(&moved);
    drop((log, moved, relocation, from, to));

    rig.crash();
    let [from, to] = both(&rig);
    assert!(from.log(&partition("orders")).is_none());
    let log = to.log(&partition("orders")).unwrap();
    assert_eq!((log.start_offset(), values(&log)), (Offset(13), expected.clone()));
    // And back, with what a stop leaves.
    drop(log);
    move_whole(&to, &from);
    from.close(1).unwrap();
    to.close(1).unwrap();
    drop((from, to));
    let [from, to] = both(&rig);
    assert!(to.log(&partition("orders")).is_none());
    assert_eq!(values(&from.log(&partition("orders")).unwrap()), expected);
}

#[test]
fn one_without_records_moves_too_and_one_that_is_given_up_stays() {
    let rig = Rig::new(2, LogConfig::default());
    let [from, to] = both(&rig);
    let log = rig.log(&from, "orders");
    assert_eq!(move_whole(&from, &to).appended_end(), Offset::ZERO);
    assert!(log.is_closed() && from.logs().is_empty());

    append(&to.log(&partition("orders")).unwrap(), batch(&["a"]), 0).unwrap();
    to.run_pending();
    let relocation = Relocation::begin(&to, &from, &partition("orders")).unwrap().unwrap();
    relocation.catch_up(&|| true).unwrap();
    relocation.abandon().unwrap();
    assert!(rig.disk.list(&path()).unwrap().iter().all(|entry| !entry.is_dir));
    assert_eq!(values(&to.log(&partition("orders")).unwrap()), ["a"]);
    let nobody = Relocation::begin(&from, &to, &partition("orders")).unwrap();
    assert!(nobody.is_none(), "it is not there");
}

#[test]
fn a_crash_while_a_partition_moves_leaves_one_whole_log() {
    let (mut before, mut twice, mut after) = (0, 0, 0);
    for seed in 0..480 {
        let mut rig = Rig::new(seed, LogConfig { segment_bytes: 500, ..LogConfig::default() });
        if seed % 2 == 0 {
            rig.disk.lose_names_in_any_order();
        }
        let [from, to] = both(&rig);
        let log = fill(&rig, &from);
        let expected = values(&log);
        // Each moment three times: what the last call has done is up to the seed.
        rig.disk.crash_after(seed / 3);
        let relocation = Relocation::begin(&from, &to, &partition("orders"));
        if let Ok(Some(relocation)) = relocation
            && relocation.catch_up(&|| true).is_ok()
            && relocation.finish().is_ok()
        {
            relocation.leave();
        }
        drop((log, from, to));
        rig.crash();
        let directories = both(&rig);
        let found: Vec<_> =
            directories.iter().filter_map(|it| it.log(&partition("orders"))).collect();
        for log in &found {
            let is_whole = (log.start_offset(), values(log)) == (Offset(7), expected.clone());
            assert!(is_whole, "seed {seed}: {} {:?}", log.start_offset(), values(log));
        }
        match (found.len(), directories[0].log(&partition("orders"))) {
            (2, _) => twice += 1,
            (_, Some(_)) => before += 1,
            (_, None) => after += 1,
        }
        assert!(!found.is_empty(), "seed {seed}");
        for directory in &directories {
            directory.forget_copies(&|_| true).unwrap();
            directory.checkpoint().unwrap();
            let names = rig.disk.list(directory.path()).unwrap();
            assert!(names.iter().all(|entry| !entry.name.ends_with("-future")), "seed {seed}");
        }
    }
    assert!(before > 20 && twice > 0 && after > 20, "{before}, {twice}, {after}");
}

//! Logs whose start moves under their readers, and topics that go while they are written.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    time::{Duration, Instant},
};

use milena_protocol::{
    ErrorCode,
    api::{
        ApiKey, DeleteRecordsRequest, DeleteRecordsResponse,
        delete_records::request::{DeleteRecordsPartition, DeleteRecordsTopic},
    },
};

use crate::{
    client::{Client, batch, code},
    rig::Rig,
};

const MOVING: [(&str, &str); 3] =
    [("segment.bytes", "1048576"), ("retention.bytes", "2000000"), ("file.delete.delay.ms", "10")];

#[test]
fn fault_37_the_start_of_a_log_moves_only_forwards_under_its_readers() {
    let mut rig = Rig::start("log.retention.check.interval.ms=10\nlog.initial.task.delay.ms=1");
    let mut client = rig.client();
    assert_eq!(client.create_topic("t", 1, &MOVING), ErrorCode::None);
    let is_over = Arc::new(AtomicBool::new(false));
    let lowest = Arc::new(AtomicI64::new(0));
    let read = |mut client: Client| {
        let (is_over, lowest) = (Arc::clone(&is_over), Arc::clone(&lowest));
        std::thread::spawn(move || {
            let (mut next, mut seen) = (0, 0);
            while !is_over.load(Ordering::SeqCst) {
                let known = lowest.load(Ordering::SeqCst);
                let fetched = client.fetch("t", 0, next);
                if fetched.code == ErrorCode::OffsetOutOfRange {
                    let start = client.offset_at("t", 0, -2).unwrap();
                    assert!(start > next, "{next} is not below the start {start}");
                    assert!(start >= known, "the start went back from {known} to {start}");
                    lowest.fetch_max(start, Ordering::SeqCst);
                    next = start;
                    continue;
                }
                assert_eq!(fetched.code, ErrorCode::None);
                assert!(fetched.log_start >= known, "{} after {known}", fetched.log_start);
                lowest.fetch_max(fetched.log_start, Ordering::SeqCst);
                for (offset, value) in fetched.values() {
                    assert_eq!(value[..8], offset.to_be_bytes(), "the record of its offset");
                    seen += 1;
                    next = offset + 1;
                }
            }
            seen
        })
    };
    let readers: Vec<_> = (0..3).map(|_| read(rig.client())).collect();
    let write = |client: &mut Client, offset: i64| {
        let mut value = vec![7; 100_000];
        value[..8].copy_from_slice(&offset.to_be_bytes());
        assert_eq!(client.produce("t", 0, &batch(&[value])).base_offset, offset);
    };
    (0..150).for_each(|offset| write(&mut client, offset));
    let patience = Instant::now();
    while client.offset_at("t", 0, -2) == Ok(0) {
        assert!(patience.elapsed() < Duration::from_secs(20), "nothing is ever retired");
        std::thread::sleep(Duration::from_millis(10));
    }
    is_over.store(true, Ordering::SeqCst);
    for reader in readers {
        assert!(reader.join().unwrap() > 0);
    }
    for ending in [Rig::stop, Rig::kill, Rig::cut_power] {
        let before = client.offset_at("t", 0, -2).unwrap();
        ending(&mut rig);
        rig.start_again().unwrap();
        client = rig.client();
        assert!(client.offset_at("t", 0, -2).unwrap() >= before);
        assert_eq!(client.fetch("t", 0, before - 1).code, ErrorCode::OffsetOutOfRange);
        assert_eq!(client.offset_at("t", 0, -1), Ok(150));
    }
}

/// Moves the start of `t`'s only partition; answers with where it is now.
fn delete_records(client: &mut Client, offset: i64) -> Result<i64, ErrorCode> {
    let partition = DeleteRecordsPartition { partition_index: 0, offset, ..Default::default() };
    let topic = DeleteRecordsTopic { name: "t", partitions: vec![partition], ..Default::default() };
    let request =
        DeleteRecordsRequest { topics: vec![topic], timeout_ms: 10_000, ..Default::default() };
    let answer = client.call(ApiKey::DeleteRecords, 2, &request).unwrap();
    let told = &answer.read::<DeleteRecordsResponse<'_>>().topics[0].partitions[0];
    match code(told.error_code) {
        ErrorCode::None => Ok(told.low_watermark),
        other => Err(other),
    }
}

#[test]
fn fault_37_delete_records_takes_what_it_says_and_nothing_else() {
    let mut rig = Rig::start("");
    let mut client = rig.client();
    assert_eq!(client.create_topic("t", 1, &[("segment.bytes", "1048576")]), ErrorCode::None);
    for round in 0..9 {
        for number in 0..10 {
            let value = (round * 10 + number).to_string();
            let produced = client.produce("t", 0, &batch(&[value.repeat(20_000)]));
            assert_eq!(produced.base_offset, round * 10 + number);
        }
        let (start, end) = (round * 10 + 7, round * 10 + 10);
        assert_eq!(delete_records(&mut client, start), Ok(start));
        assert_eq!(delete_records(&mut client, start - 5), Ok(start), "it never goes back");
        assert_eq!(delete_records(&mut client, end + 1), Err(ErrorCode::OffsetOutOfRange));
        [Rig::stop, Rig::kill, Rig::cut_power][round as usize % 3](&mut rig);
        rig.start_again().unwrap();
        client = rig.client();
        let now = client.offset_at("t", 0, -2).unwrap();
        assert_eq!(now, start, "round {round}: what was answered stays deleted");
        assert_eq!(client.fetch("t", 0, start - 1).code, ErrorCode::OffsetOutOfRange);
        let left = client.read_all("t", 0, start).unwrap();
        let expected = (start..end).map(|offset| (offset, offset.to_string().repeat(20_000)));
        let expected: Vec<_> = expected.map(|(at, value)| (at, value.into_bytes())).collect();
        assert_eq!(left, expected);
    }
    // -1 means all that is committed.
    assert_eq!(delete_records(&mut client, -1), Ok(90));
    assert_eq!(client.read_all("t", 0, 90).unwrap(), []);
}

#[test]
fn fault_44_a_topic_that_is_deleted_and_created_again_has_nothing_of_the_old_one() {
    let mut rig = Rig::start("");
    let is_over = Arc::new(AtomicBool::new(false));
    let generation = Arc::new(AtomicI64::new(0));
    let mut client = rig.client();
    let write = |mut client: Client| {
        let (is_over, generation) = (Arc::clone(&is_over), Arc::clone(&generation));
        std::thread::spawn(move || {
            let mut acknowledged = 0;
            while !is_over.load(Ordering::SeqCst) {
                let value = generation.load(Ordering::SeqCst).to_string();
                let produced = client.produce("t", 0, &batch(&[value])).code;
                acknowledged += usize::from(produced == ErrorCode::None);
                let expected = [
                    ErrorCode::None,
                    ErrorCode::UnknownTopicOrPartition,
                    ErrorCode::NotLeaderOrFollower,
                ];
                assert!(expected.contains(&produced), "{produced:?}");
            }
            acknowledged
        })
    };
    assert_eq!(client.create_topic("t", 1, &[]), ErrorCode::None);
    let writers: Vec<_> = (0..3).map(|_| write(rig.client())).collect();
    for now in 1..15 {
        std::thread::sleep(Duration::from_millis(15));
        assert_eq!(client.delete_topic("t"), ErrorCode::None);
        assert_eq!(client.fetch("t", 0, 0).code, ErrorCode::UnknownTopicOrPartition);
        // Whatever is written from here on is of the new generation, save what is on its way.
        generation.store(now, Ordering::SeqCst);
        std::thread::sleep(Duration::from_millis(30));
        assert_eq!(client.create_topic("t", 1, &[]), ErrorCode::None);
        let values = client.read_all("t", 0, 0).unwrap();
        let now = now.to_string();
        assert!(values.iter().all(|(_, value)| value == now.as_bytes()), "{now}: {values:?}");
    }
    is_over.store(true, Ordering::SeqCst);
    let acknowledged: usize = writers.into_iter().map(|writer| writer.join().unwrap()).sum();
    assert!(acknowledged > 0);
    let last = client.read_all("t", 0, 0).unwrap();
    for ending in [Rig::kill, Rig::cut_power, Rig::stop] {
        ending(&mut rig);
        rig.start_again().unwrap();
        assert_eq!(rig.client().read_all("t", 0, 0).unwrap(), last);
    }
}

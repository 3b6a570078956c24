//! The form of `milena-clean-stop`, and that nothing but the whole of it is believed.

use milena_env::SimulatedDisk;
use milena_protocol::LeaderEpoch;
use proptest::prelude::*;

use super::*;
use crate::epochs::EpochEntry;

fn log(start: i64, epochs: i32, segments: i64, producers: Vec<u8>) -> NotedLog {
    let epoch = |epoch| EpochEntry {
        epoch: LeaderEpoch(epoch),
        start_offset: Offset(start + i64::from(epoch)),
    };
    let segment = |index| NotedSegment {
        base_offset: Offset(start + index * 10),
        len: 4_711,
        changed_ns: 1_767_225_600_123_456_789,
        max: MaxTimestamp { timestamp: 1_700_000_000_000 + index, offset: Offset(start) },
        has_transactions: index % 2 == 1,
    };
    NotedLog {
        topic_id: Uuid::from_u128(7),
        folder_changed_ns: 1_767_225_600_000_000_001,
        start: Offset(start),
        end: Offset(start + segments * 10),
        epochs: EpochCache::from_entries((0..epochs).map(epoch)),
        producers,
        segments: (0..segments).map(segment).collect(),
        first_timestamp: (start > 0).then_some(1_700_000_000_000),
        entries: 3,
        since_entry: 1_000,
    }
}

fn stop() -> CleanStop {
    let name = |topic: &str, partition| TopicPartition { topic: topic.into(), partition };
    let logs = [
        (name("orders", 0), log(0, 1, 1, vec![1, 2, 3])),
        (name("orders", 7), log(5, 0, 2, Vec::new())),
        (name("a.b_c-d", 12), log(70, 3, 1, vec![0; 50])),
    ];
    CleanStop { logs: logs.into() }
}

#[test]
fn what_was_noted_is_read_and_forgotten() {
    let disk = SimulatedDisk::new(1);
    let directory = Path::new("/data");
    disk.create_dir_all(directory).unwrap();
    disk.sync_dir(Path::new("/")).unwrap();
    assert_eq!(CleanStop::load(&*disk, directory, |epoch| epoch == 4), CleanStop::default());
    CleanStop::forget(&*disk, directory).unwrap();
    stop().store(&*disk, directory, 4).unwrap();
    let disk = disk.crash();
    assert_eq!(CleanStop::load(&*disk, directory, |epoch| epoch == 4), stop());
    assert_eq!(CleanStop::load(&*disk, directory, |epoch| epoch != 4), CleanStop::default());
    CleanStop::forget(&*disk, directory).unwrap();
    assert_eq!(CleanStop::load(&*disk, directory, |epoch| epoch == 4), CleanStop::default());
}

#[test]
fn of_what_is_damaged_nothing_is_believed() {
    let bytes = format::write(&stop(), 4);
    assert_eq!(format::read(&bytes), Some((4, stop())));
    for at in 0..bytes.len() {
        let mut rotten = bytes.clone();
        rotten[at] ^= 0x10;
        assert_eq!(format::read(&rotten), None, "byte {at}");
        assert_eq!(format::read(&bytes[..at]), None, "cut at {at}");
    }
}

proptest! {
    /// A sound checksum says nothing of what is under it.
    #[test]
    fn no_bytes_are_too_strange(at in 0..500_usize, with in any::<[u8; 4]>(), cut in 0..40_usize) {
        let mut bytes = format::write(&stop(), 4);
        bytes.truncate(bytes.len() - 4);
        let at = at % bytes.len();
        for (byte, with) in bytes[at..].iter_mut().zip(with) {
            *byte = with;
        }
        bytes.truncate(bytes.len() - cut);
        bytes.extend(milena_protocol::records::crc32c(&bytes).to_be_bytes());
        let _ = format::read(&bytes);
    }
}

//! What a follower takes from its leader, and what it refuses.

use bytes::{Bytes, BytesMut};
use milena_protocol::{
    LeaderEpoch, Offset,
    records::{self, HEADER_LEN},
};
use milena_storage::{AppendError, LogConfig};

use crate::rig::{Rig, batch, values};

fn placed(value: &str, base: i64) -> BytesMut {
    let mut batch = batch(&[value]);
    records::assign(&mut batch, Offset(base), LeaderEpoch(3));
    batch
}

fn joined(batches: &[BytesMut]) -> Bytes {
    batches.concat().into()
}

#[test]
fn a_follower_takes_whole_batches_in_order_and_leaves_a_partial_one() {
    let rig = Rig::new(1, LogConfig::default());
    let directory = rig.open().unwrap();
    let log = rig.log(&directory, "orders");
    let mut partial = placed("c", 5);
    for len in 0..partial.len() {
        assert_eq!(log.append_as_follower(&joined(&[partial[..len].into()])).unwrap(), Offset(0));
    }
    partial.truncate(HEADER_LEN + 1);
    // The leader's log may have gaps where it was compacted.
    let end = log.append_as_follower(&joined(&[placed("a", 0), placed("b", 3), partial])).unwrap();
    assert_eq!(end, Offset(4));
    assert_eq!(log.append_as_follower(&joined(&[placed("c", 5)])).unwrap(), Offset(6));
    directory.run_pending();
    assert_eq!(values(&log), ["a", "b", "c"]);
    assert_eq!(log.latest_epoch(), Some(LeaderEpoch(3)));
}

#[test]
fn a_follower_refuses_a_damaged_batch_and_what_follows_it() {
    let sound = [placed("a", 0), placed("b", 1), placed("c", 2)];
    // From the checksummed part on.
    for bit in 21 * 8..sound[1].len() * 8 {
        let rig = Rig::new(1, LogConfig::default());
        let directory = rig.open().unwrap();
        let log = rig.log(&directory, "orders");
        let mut sent = sound.clone();
        sent[1][bit / 8] ^= 1 << (bit % 8);
        let refused = log.append_as_follower(&joined(&sent));
        assert!(matches!(refused, Err(AppendError::Batch(_))), "bit {bit}: {refused:?}");
        assert_eq!(log.appended_end(), Offset(1), "what came before it stays");
        assert_eq!(log.append_as_follower(&joined(&sound[1..])).unwrap(), Offset(3));
        directory.run_pending();
        assert_eq!(values(&log), ["a", "b", "c"]);
    }
}

#[test]
fn a_follower_refuses_batches_that_go_backwards() {
    let rig = Rig::new(1, LogConfig::default());
    let directory = rig.open().unwrap();
    let log = rig.log(&directory, "orders");
    let refused = log.append_as_follower(&joined(&[placed("a", 4), placed("b", 4)]));
    let is_refused = |refused: &Result<Offset, AppendError>| {
        let (end, got) = (Offset(5), Offset(4));
        matches!(refused, Err(AppendError::OutOfOrder { end: e, got: g }) if (*e, *g) == (end, got))
    };
    assert!(is_refused(&refused), "{refused:?}");
    assert!(is_refused(&log.append_as_follower(&joined(&[placed("a", 4)]))), "sent twice");
    assert_eq!(log.append_as_follower(&joined(&[placed("b", 5)])).unwrap(), Offset(6));
    directory.run_pending();
    assert_eq!(log.durable_end(), Offset(6));
}

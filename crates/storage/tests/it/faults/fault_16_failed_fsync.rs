//! An fsync fails once (fault 16): nothing is acknowledged on the word of a later one, reads go
//! on, and what was acknowledged is there after the next start.

use std::{
    collections::BTreeSet,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

use milena_env::disk::simulated::Operation;
use milena_storage::{AppendError, LogConfig, StorageError};

use super::for_each_seed;
use crate::rig::{Rig, append, batch, partition, values};

#[test]
fn fault_16_failed_fsync_of_the_ring_ends_all_acknowledgement() {
    for_each_seed(0..500, |seed| {
        let reason = fail(seed, Failing::Round).unwrap();
        assert!(reason.contains("milena-journal"), "{reason}");
    });
}

#[test]
fn fault_16_failed_fsync_in_a_checkpoint_ends_all_acknowledgement() {
    let mut reasons = BTreeSet::new();
    for_each_seed(0..500, |seed| {
        // Each of the syncs of a checkpoint in turn: segments, files, folders.
        let failed: Vec<String> =
            (1..).map_while(|nth| fail(seed, Failing::Checkpoint(nth))).collect();
        assert!(failed.len() >= 2, "a segment and its folder: {failed:?}");
        reasons.extend(failed);
    });
    for what in [".log:", "/data/orders-0:"] {
        assert!(reasons.iter().any(|reason| reason.contains(what)), "{what} in {reasons:?}");
    }
}

#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Failing {
    Round,
    /// The nth sync from the checkpoint's beginning.
    Checkpoint(u64),
}

/// Lets a sync fail, and says what the directory says of it; `None` if there was no such sync.
fn fail(seed: u64, failing: Failing) -> Option<String> {
    let mut rig = Rig::new(seed, LogConfig { segment_bytes: 500, ..LogConfig::default() });
    let directory = rig.open().unwrap();
    let log = rig.log(&directory, "orders");
    let idle = rig.log(&directory, "idle");
    let mut sent = Vec::new();
    let mut send = |count: u64| {
        for _ in 0..count {
            let value = format!("value {}", sent.len());
            append(&log, batch(&[&value]), 0).unwrap();
            sent.push(value);
        }
    };
    send(1 + seed % 17);
    directory.run_pending();
    if seed % 2 == 0 {
        directory.checkpoint().unwrap();
        send(8);
        directory.run_pending();
    }
    let durable = log.durable_end();
    send(1 + seed % 5);
    let mut waiting = pin!(log.wait_durable(log.appended_end()));
    let mut context = Context::from_waker(Waker::noop());
    assert_eq!(waiting.as_mut().poll(&mut context), Poll::Pending, "not durable yet");
    let woken = Arc::new(Woken::default());
    let waker = Waker::from(Arc::clone(&woken));
    let mut coming = pin!(idle.wait_appended(idle.appended_end().next()));
    let poll = coming.as_mut().poll(&mut Context::from_waker(&waker));
    assert_eq!(poll, Poll::Pending, "nothing was sent");

    match failing {
        Failing::Round => rig.disk.fail_next_sync("milena-journal"),
        Failing::Checkpoint(nth) => {
            rig.disk.fail_nth(Operation::Sync, "", nth);
            if directory.checkpoint().is_ok() {
                return None;
            }
        }
    }
    directory.run_pending();

    let Some(StorageError::Offline { reason, .. }) = directory.offline() else {
        panic!("still online after a failed sync");
    };
    assert_eq!(waiting.as_mut().poll(&mut context), Poll::Ready(false));
    assert!(woken.0.load(Ordering::SeqCst), "who waits at an idle log is told too");
    assert_eq!(coming.as_mut().poll(&mut context), Poll::Ready(false));
    let refused = append(&log, batch(&["late"]), 0);
    let is_offline = matches!(refused, Err(AppendError::Storage(StorageError::Offline { .. })));
    assert!(is_offline, "{refused:?}");
    // The next sync would succeed; it must not be believed.
    directory.run_pending();
    assert!(directory.checkpoint().is_err());
    assert_eq!(log.durable_end(), durable);
    assert_eq!(values(&log), sent, "reads go on");

    drop(directory);
    rig.crash();
    let directory = rig.open().unwrap();
    let log = directory.log(&partition("orders")).unwrap();
    assert!(log.appended_end() >= durable, "{durable:?} was acknowledged");
    let found = values(&log);
    assert_eq!(found, sent[..found.len()]);
    append(&log, batch(&["after"]), 1).unwrap();
    directory.run_pending();
    assert_eq!(log.durable_end(), log.appended_end());
    Some(reason)
}

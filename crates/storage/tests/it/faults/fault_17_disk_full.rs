//! The disk is full (fault 17): appends are refused and say so, reads go on, nothing that was
//! acknowledged is lost, and once there is room appends are accepted again.

use std::{path::Path, sync::Arc, time::Duration};

use milena_env::Disk;
use milena_protocol::Offset;
use milena_storage::{AppendError, Appended, Log, LogConfig};

use super::for_each_seed;
use crate::rig::{Rig, append, batch, partition, values};

const PAGE: u64 = 4096;

#[test]
fn fault_17_disk_full_refuses_appends_until_there_is_room() {
    for_each_seed(0..500, |seed| {
        let mut rig = Rig::new(seed, LogConfig { segment_bytes: 2_000, ..LogConfig::default() });
        let directory = rig.open().unwrap();
        let log = rig.log(&directory, "orders");
        let mut sent = Vec::new();
        for _ in 0..seed % 20 {
            send(&log, &mut sent).unwrap();
            directory.run_pending();
        }
        let space = rig.disk.space(Path::new("/data")).unwrap();
        rig.disk.set_capacity(Some(space.total - space.free + seed % 7 * PAGE));
        let mut refused = 0;
        for step in 0..50 {
            match send(&log, &mut sent) {
                Ok(_) => {}
                Err(AppendError::DiskFull(_)) => refused += 1,
                Err(other) => panic!("{other}"),
            }
            rig.clock.advance(Duration::from_millis(30));
            directory.run_pending();
            if step % 9 == seed % 9 {
                // It may find no room for its own small files; that passes.
                let _ = directory.checkpoint();
            }
        }
        assert!(refused > 0, "50 batches do not fit");
        assert!(directory.offline().is_none(), "a full disk passes: {:?}", directory.offline());
        assert_eq!(values(&log), sent, "reads go on");

        let mut durable = log.durable_end();
        if seed % 2 == 0 {
            rig.disk.set_capacity(None);
            rig.clock.advance(Duration::from_secs(1));
            directory.run_pending();
            directory.checkpoint().unwrap();
            send(&log, &mut sent).unwrap();
            directory.run_pending();
            durable = log.durable_end();
            assert_eq!(durable, log.appended_end());
            assert_eq!(values(&log), sent);
        }
        drop((log, directory));
        rig.crash();
        rig.disk.set_capacity(None);
        let directory = rig.open().unwrap();
        let log = directory.log(&partition("orders")).unwrap();
        let found = values(&log);
        assert!(Offset(found.len() as i64) >= durable, "{durable:?} was acknowledged");
        assert_eq!(found, sent[..found.len()]);
        send(&log, &mut Vec::new()).unwrap();
    });
}

fn send(log: &Arc<Log>, sent: &mut Vec<String>) -> Result<Appended, AppendError> {
    let value = format!("value {} {}", sent.len(), "x".repeat(1_000));
    let appended = append(log, batch(&[&value]), 0)?;
    sent.push(value);
    Ok(appended)
}

#[test]
fn appends_are_refused_while_less_than_the_reserve_is_free() {
    let reserve = 100 * PAGE;
    let mut rig = Rig::new(1, LogConfig::default());
    rig.directory_config.free_bytes_min = reserve;
    let directory = rig.open().unwrap();
    let log = rig.log(&directory, "orders");
    let mut sent = Vec::new();
    send(&log, &mut sent).unwrap();
    directory.run_pending();
    let leave_free = |free| {
        let space = rig.disk.space(Path::new("/data")).unwrap();
        rig.disk.set_capacity(Some(space.total - space.free + free));
        // The room is looked at now and then.
        rig.clock.advance(Duration::from_millis(200));
        directory.run_pending();
    };
    leave_free(reserve);
    send(&log, &mut sent).unwrap();
    directory.run_pending();
    leave_free(reserve - PAGE);
    assert!(matches!(send(&log, &mut sent), Err(AppendError::DiskFull(_))));
    assert_eq!(log.durable_end(), log.appended_end(), "what was taken found its room");
    leave_free(reserve + PAGE);
    send(&log, &mut sent).unwrap();
    directory.run_pending();
    assert_eq!(values(&log), sent);

    // Whoever can make room goes on a while, with what was kept free for that.
    rig.config = LogConfig { uses_reserve: true, ..LogConfig::default() }.into();
    let helper = rig.log(&directory, "metadata");
    leave_free(reserve - PAGE);
    assert!(matches!(send(&log, &mut sent), Err(AppendError::DiskFull(_))));
    send(&helper, &mut Vec::new()).unwrap();
    directory.run_pending();
    leave_free(reserve / 8 - PAGE);
    assert!(matches!(send(&helper, &mut Vec::new()), Err(AppendError::DiskFull(_))));
    assert_eq!(helper.durable_end(), Offset(1));
}

//! A directory with its own threads, under many that append, wait, read, cut and delete at once.

use std::{
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
    time::Duration,
};

use milena_env::{
    Clock, Disk, RealClock,
    disk::{SimulatedDisk, simulated::Operation},
    spawn_thread,
};
use milena_protocol::{Offset, Uuid};
use milena_storage::{
    DirectoryIdentity, Limit, Log, LogConfig, LogDirectory, OpenOptions, Workers,
};

use crate::rig::{Rig, append, batch, partition, path, values};

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(value) => return value,
            Poll::Pending => thread::park(),
        }
    }
}

fn open(disk: &Arc<SimulatedDisk>, config: &Arc<LogConfig>) -> Arc<LogDirectory> {
    let disk: Arc<dyn Disk> = disk.clone();
    LogDirectory::open(OpenOptions {
        disk,
        clock: Arc::new(RealClock),
        path: path(),
        identity: DirectoryIdentity {
            cluster_id: None,
            new_cluster_id: "cluster".to_owned(),
            node_id: 1,
            new_directory_id: Uuid::from_u128(77),
        },
        // Small, so that it is full again and again and checkpoints must make room.
        config: Rig::new(0, LogConfig::default()).directory_config,
        new_ring_key: [9; 16],
        first: None,
        log_config: &|_| Arc::clone(config),
        workers: Workers::Threads,
        threads: 2,
    })
    .unwrap()
}

/// Appends, waits now and then until it is durable, and reads it back; gives what it has sent.
fn client(log: &Arc<Log>, name: usize) -> Vec<String> {
    let mut sent = Vec::new();
    for index in 0..60 {
        let value = format!("{name}.{index} {}", "x".repeat(index * 37 % 900));
        let appended = append(log, batch(&[&value]), 0).unwrap();
        if index % 3 == 0 {
            assert!(block_on(log.wait_durable(appended.end)));
            assert!(log.durable_end() >= appended.end);
        }
        let limit = Limit { bytes_max: 1, at_least_one: true };
        let plan = log.read(appended.base_offset, appended.end, limit).unwrap();
        let bytes = plan.read().unwrap();
        assert!(bytes.windows(value.len()).any(|window| window == value.as_bytes()), "{value}");
        sent.push(value);
    }
    sent
}

#[test]
fn many_threads_lose_nothing_and_wait_for_nothing_that_has_come() {
    for round in 0..4 {
        let disk = SimulatedDisk::new(round);
        let config = Arc::new(LogConfig { segment_bytes: 3_000, ..LogConfig::default() });
        let directory = open(&disk, &config);
        let logs: Vec<Arc<Log>> = ["orders", "payments", "shipments"]
            .iter()
            .enumerate()
            .map(|(id, topic)| {
                let id = Uuid::from_u128(id as u128 + 1);
                directory.create(partition(topic), id, Arc::clone(&config)).unwrap()
            })
            .collect();
        let clients: Vec<_> = (0..6)
            .map(|name| {
                let log = Arc::clone(&logs[name % 3]);
                spawn_thread("client", move || client(&log, name)).unwrap()
            })
            .collect();
        let rival = {
            let (directory, config) = (Arc::clone(&directory), Arc::clone(&config));
            spawn_thread("rival", move || {
                for id in 0..20 {
                    let id = Uuid::from_u128(100 + id);
                    let log =
                        directory.create(partition("fleeting"), id, Arc::clone(&config)).unwrap();
                    append(&log, batch(&["a", "b", "c"]), 0).unwrap();
                    assert!(log.truncate_to(Offset(0)).unwrap());
                    append(&log, batch(&["d"]), 0).unwrap();
                    log.delete_records(Offset(1));
                    assert!(directory.delete(&partition("fleeting")).unwrap());
                }
            })
            .unwrap()
        };
        let sent: Vec<Vec<String>> = clients.into_iter().map(|c| c.join().unwrap()).collect();
        rival.join().unwrap();
        assert!(directory.offline().is_none());
        directory.close(1).unwrap();
        drop((logs, directory));

        let directory = open(&disk.crash(), &config);
        assert_eq!(directory.logs().len(), 3);
        for (at, topic) in ["orders", "payments", "shipments"].iter().enumerate() {
            let found = values(&directory.log(&partition(topic)).unwrap());
            for own in [&sent[at], &sent[at + 3]] {
                let of_it = found.iter().filter(|value| own.contains(value));
                assert!(of_it.eq(own.iter()), "each client's in its order, none lost or doubled");
            }
            assert_eq!(found.len(), sent[at].len() + sent[at + 3].len());
        }
        directory.close(1).unwrap();
    }
}

/// While batches go from memory into the file, a read may look at both and find one in neither.
#[test]
fn a_read_goes_as_far_as_its_bound_while_batches_go_to_the_file() {
    let disk = SimulatedDisk::new(1);
    let config = Arc::new(LogConfig::default());
    let directory = open(&disk, &config);
    let log = directory.create(partition("orders"), Uuid::from_u128(1), Arc::clone(&config));
    let log = log.unwrap();
    let one = batch(&["one"]).len();
    let writer = {
        let log = Arc::clone(&log);
        spawn_thread("client", move || {
            for _ in 0..3_000 {
                let appended = append(&log, batch(&["one"]), 0).unwrap();
                if appended.base_offset.0 % 2 == 0 {
                    assert!(block_on(log.wait_durable(appended.end)));
                }
            }
        })
        .unwrap()
    };
    let limit = Limit { bytes_max: 1 << 20, at_least_one: true };
    while !writer.is_finished() {
        let bound = log.durable_end();
        let from = Offset((bound.0 - 3).max(0));
        let plan = log.read(from, bound, limit).unwrap();
        assert_eq!(plan.len, (bound.0 - from.0) as usize * one, "from {from} to {bound}");
    }
    writer.join().unwrap();
    directory.close(1).unwrap();
}

/// Its batches are in the file, and the writer is still about another log of the same round.
#[test]
fn a_read_goes_no_further_than_its_bound_while_batches_go_to_the_file() {
    let disk = SimulatedDisk::new(1);
    let config = Arc::new(LogConfig::default());
    let directory = open(&disk, &config);
    let create = |topic, id| {
        directory.create(partition(topic), Uuid::from_u128(id), Arc::clone(&config)).unwrap()
    };
    let [orders, payments] = [create("orders", 1), create("payments", 2)];
    for log in [&orders, &payments] {
        assert!(block_on(log.wait_durable(append(log, batch(&["one"]), 0).unwrap().end)));
    }
    wait_until(|| directory.unwritten_bytes() == 0);
    let ring = disk.stall(Operation::Write, "milena-journal");
    let bound = append(&orders, batch(&["two"]), 0).unwrap().end;
    ring.wait_until_reached();
    // One round takes both.
    append(&orders, batch(&["three"]), 0).unwrap();
    append(&payments, batch(&["three"]), 0).unwrap();
    let file = disk.stall(Operation::Write, "payments-0");
    drop(ring);
    file.wait_until_reached();
    let limit = Limit { bytes_max: 1 << 20, at_least_one: true };
    let plan = orders.read(Offset::ZERO, bound, limit).unwrap();
    drop(file);
    assert_eq!(plan.len, 2 * batch(&["one"]).len());
    directory.close(1).unwrap();
}

/// Waits for what other threads are about to do; fails after half a minute.
fn wait_until(is_so: impl Fn() -> bool) {
    let step = Duration::from_millis(10);
    let soon = (0..3_000).any(|_| {
        let is_so = is_so();
        RealClock.sleep(if is_so { Duration::ZERO } else { step });
        is_so
    });
    assert!(soon, "it did not come");
}

/// Whether a partition has files that wait for their removal.
fn has_doomed(disk: &SimulatedDisk, topic: &str) -> bool {
    let entries = disk.list(&path().join(format!("{topic}-0"))).unwrap();
    entries.iter().any(|entry| entry.name.ends_with(".deleted"))
}

#[test]
fn a_removal_that_takes_long_holds_up_no_acknowledgement() {
    let disk = SimulatedDisk::new(1);
    let config = Arc::new(LogConfig { segment_bytes: 3_000, ..LogConfig::default() });
    let directory = open(&disk, &config);
    let [old, gone, busy] = ["old", "gone", "busy"].map(|topic| {
        let id = topic.bytes().fold(1, |id, byte| id * 31 + u128::from(byte));
        let log =
            directory.create(partition(topic), Uuid::from_u128(id), Arc::clone(&config)).unwrap();
        client(&log, 1);
        log
    });
    let file = disk.stall(Operation::Remove, ".deleted");
    old.delete_records(old.durable_end());
    directory.delete(&partition("gone")).unwrap();
    drop(gone);
    wait_until(|| has_doomed(&disk, "old"));
    let asked = Arc::clone(&directory);
    let asked = spawn_thread("asked", move || asked.checkpoint());
    file.wait_until_reached();

    let (told, hear) = std::sync::mpsc::channel();
    let log = Arc::clone(&busy);
    let writer = spawn_thread("client", move || {
        // Three times what the journal holds at most: it is full unless checkpoints go on.
        for _ in 0..3 << 10 {
            append(&log, batch(&[&"x".repeat(1_000)]), 0).unwrap();
        }
        let end = log.appended_end();
        told.send(block_on(log.wait_durable(end))).unwrap();
    });
    let durable = hear.recv_timeout(Duration::from_secs(60));
    let is_there_still = has_doomed(&disk, "old");
    drop(file);
    asked.unwrap().join().unwrap().unwrap();
    assert_eq!(durable, Ok(true), "checkpoints go on");
    assert!(is_there_still);
    writer.unwrap().join().unwrap();
    let folders = || disk.list(&path()).unwrap().iter().filter(|entry| entry.is_dir).count();
    wait_until(|| !has_doomed(&disk, "old") && folders() == 2);
    directory.close(1).unwrap();
}

#[test]
fn a_file_is_cut_short_for_its_removal_only_when_nobody_reads_it() {
    let disk = SimulatedDisk::new(1);
    let config = Arc::new(LogConfig { segment_bytes: 40 << 20, ..LogConfig::default() });
    let directory = open(&disk, &config);
    let log = directory.create(partition("orders"), Uuid::from_u128(1), Arc::clone(&config));
    let log = log.unwrap();
    while log.start_offset() == Offset::ZERO && log.appended_end() < Offset(45) {
        let appended = append(&log, batch(&[&"x".repeat(1 << 20)[..(1 << 20) - 200]]), 0).unwrap();
        assert!(block_on(log.wait_durable(appended.end)));
    }
    wait_until(|| directory.unwritten_bytes() == 0);
    // The last batch of the first segment, which is about to go.
    let limit = Limit { bytes_max: 1, at_least_one: true };
    let plan = log.read(Offset(38), log.durable_end(), limit).unwrap();
    let before = plan.read().unwrap();
    log.delete_records(log.durable_end());
    wait_until(|| has_doomed(&disk, "orders"));
    directory.checkpoint().unwrap();
    // Once it has been looked at.
    RealClock.sleep(Duration::from_millis(300));
    assert!(has_doomed(&disk, "orders"), "it is read");
    assert_eq!(plan.read().unwrap(), before);
    drop(plan);
    wait_until(|| !has_doomed(&disk, "orders"));
    directory.close(1).unwrap();
}

#[test]
fn a_start_does_not_wait_for_the_removal_that_a_crash_cut_short() {
    let disk = SimulatedDisk::new(1);
    let config = Arc::new(LogConfig::default());
    let directory = open(&disk, &config);
    let log = directory.create(partition("orders"), Uuid::from_u128(1), Arc::clone(&config));
    client(&log.unwrap(), 1);
    directory.close(1).unwrap();
    drop(directory);
    let left = path().join("orders-0/00000000000000001234.log.deleted");
    (&*disk as &dyn Disk).replace(&left, b"what was to go").unwrap();

    let file = disk.stall(Operation::Remove, ".deleted");
    let (told, hear) = std::sync::mpsc::channel();
    let there = Arc::clone(&disk);
    let opening =
        spawn_thread("opening", move || told.send(open(&there, &config)).unwrap()).unwrap();
    let opened = hear.recv_timeout(Duration::from_secs(10));
    drop(file);
    opening.join().unwrap();
    let directory = opened.expect("it is open before the file is gone");
    directory.checkpoint().unwrap();
    wait_until(|| !has_doomed(&disk, "orders"));
    directory.close(1).unwrap();
}

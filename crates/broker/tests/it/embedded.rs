//! The broker that tests start inside themselves.

use std::{
    thread,
    time::{Duration, Instant},
};

use milena_broker::{EmbeddedError, StartError, embedded};
use milena_protocol::ErrorCode;

use crate::client::{Client, batch};

/// A loaded machine may take this long; what it took is printed.
const START_MAX: Duration = Duration::from_millis(500);

#[test]
fn an_embedded_broker_starts_at_once_and_leaves_nothing() {
    let starts = (0..5).map(|_| {
        let began = Instant::now();
        let broker = embedded().start().unwrap();
        let took = began.elapsed();
        let mut client = Client::connect(broker.address()).unwrap();
        assert_eq!(client.create_topic("t", 1, &[]), ErrorCode::None);
        assert_eq!(client.produce("t", 0, &batch(&[b"a record"])).base_offset, 0);
        let folder = broker.directory().to_owned();
        assert!(folder.join("meta.properties").is_file());
        broker.stop().unwrap();
        assert!(!folder.exists(), "{} is still there", folder.display());
        took
    });
    let mut starts: Vec<_> = starts.collect();
    starts.sort_unstable();
    println!("an embedded broker started in {starts:.1?}");
    assert!(starts[0] < START_MAX, "{starts:?}");
}

#[test]
fn many_embedded_brokers_live_side_by_side() {
    let broker = || {
        let broker = embedded().set("num.partitions", "2").start().unwrap();
        let mut client = Client::connect(broker.address()).unwrap();
        assert_eq!(client.create_topic("t", 1, &[]), ErrorCode::None);
        (broker.address(), broker.directory().to_owned(), broker)
    };
    let brokers: Vec<_> = thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(broker)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    for (at, (address, folder, _)) in brokers.iter().enumerate() {
        assert!(brokers[..at].iter().all(|other| other.0 != *address && other.1 != *folder));
    }
}

#[test]
fn a_folder_that_is_given_stays_and_can_be_started_on_again() {
    let first = embedded().start().unwrap();
    let folder = first.directory().with_extension("kept");
    drop(first);
    for offset in 0..2 {
        let broker = embedded().directory(&folder).start().unwrap();
        let mut client = Client::connect(broker.address()).unwrap();
        if offset == 0 {
            assert_eq!(client.create_topic("t", 1, &[]), ErrorCode::None);
        }
        assert_eq!(client.produce("t", 0, &batch(&[b"a record"])).base_offset, offset);
        let second = embedded().directory(&folder).start().unwrap_err();
        assert!(matches!(second, EmbeddedError::Start(StartError::Storage(_))), "{second}");
    }
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_setting_that_cannot_be_is_refused_by_its_name() {
    let error = embedded().set("num.partitions", "none").start().unwrap_err();
    assert!(error.to_string().contains("num.partitions"), "{error}");
}

//! The power fails at any moment of a broker's life.

use std::sync::Arc;

use milena_env::{Random, RealClock, SimulatedDisk};
use milena_protocol::ErrorCode;

use crate::{
    client::{batch, produce_request},
    rig::Rig,
};

const SEEDS: u64 = 40;

/// The seeds to run, or the one that `MILENA_SEED` names.
fn seeds() -> std::ops::Range<u64> {
    let one = std::env::var("MILENA_SEED").ok().and_then(|seed| seed.parse().ok());
    one.map_or(0..SEEDS, |seed| seed..seed + 1)
}

#[test]
fn fault_04_what_was_acknowledged_outlives_power_failures_at_any_moment() {
    for seed in seeds() {
        let mut random = Random::from_seed(seed);
        let disk = SimulatedDisk::new(seed);
        let mut rig = Rig::start_on(disk, Arc::new(RealClock), "");
        assert_eq!(rig.client().create_topic("t", 2, &[]), ErrorCode::None);
        // What was acknowledged, with its offset, by partition.
        let mut acknowledged = [Vec::new(), Vec::new()];
        for life in 0..3 {
            rig.disk.crash_after(random.below(80));
            let mut client = rig.client();
            for number in 0..200 {
                let value = format!("{life} {number}");
                let records = batch(&[&value]);
                let request = produce_request("t", -1, &[(0, &records), (1, &records)]);
                // With the metadata's disk the whole broker goes, answers or not.
                let Ok(produced) = client.produced(&request) else { break };
                for (partition, produced) in acknowledged.iter_mut().zip(&produced) {
                    if produced.code == ErrorCode::None {
                        partition.push((produced.base_offset, value.clone().into_bytes()));
                    }
                }
                if rig.disk.is_power_off() {
                    break;
                }
            }
            rig.cut_power();
            rig.start_again().unwrap_or_else(|error| panic!("seed {seed}: {error}"));
            let mut client = rig.client();
            for (partition, acknowledged) in (0..).zip(&acknowledged) {
                let found = client.read_all("t", partition, 0).unwrap();
                let lost = acknowledged.iter().find(|record| !found.contains(record));
                assert!(lost.is_none(), "seed {seed}, partition {partition}: {lost:?} is lost");
                let offsets: Vec<i64> = found.iter().map(|(offset, _)| *offset).collect();
                assert!(offsets.is_sorted_by(|a, b| a < b), "seed {seed}: {offsets:?}");
                let mut values: Vec<&Vec<u8>> = found.iter().map(|(_, value)| value).collect();
                values.sort();
                assert!(values.is_sorted_by(|a, b| a < b), "seed {seed}: something is there twice");
            }
        }
    }
}

#[test]
fn fault_04_topics_that_were_created_and_deleted_stay_so() {
    for seed in seeds() {
        let mut random = Random::from_seed(seed);
        let disk = SimulatedDisk::new(seed);
        let mut rig = Rig::start_on(disk, Arc::new(RealClock), "");
        rig.disk.crash_after(20 + random.below(150));
        let (mut created, mut deleted) = (Vec::new(), Vec::new());
        let mut client = rig.client();
        for number in 0..30 {
            let name = format!("topic-{number}");
            if client.create_topic(&name, 1, &[]) != ErrorCode::None || rig.disk.is_power_off() {
                break;
            }
            created.push(name);
            if number % 3 == 2 {
                let name = created.remove(0);
                let code = client.delete_topic(&name);
                if code != ErrorCode::None || rig.disk.is_power_off() {
                    break;
                }
                deleted.push(name);
            }
        }
        rig.cut_power();
        rig.start_again().unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        let mut client = rig.client();
        for name in &created {
            let produced = client.produce(name, 0, &batch(&["one"]));
            assert_eq!(produced.code, ErrorCode::None, "seed {seed}: {name} was created");
        }
        for name in &deleted {
            let code = client.fetch(name, 0, 0).code;
            assert_eq!(code, ErrorCode::UnknownTopicOrPartition, "seed {seed}: {name}");
        }
    }
}

#[test]
fn fault_33_nothing_is_answered_before_the_log_is_replayed() {
    let mut rig = Rig::start("");
    let mut client = rig.client();
    client.create_topic("t", 1, &[]);
    for number in 0..50 {
        client.produce("t", 0, &batch(&[number.to_string()]));
    }
    rig.kill();
    // The very first answer of the next broker knows all of it.
    rig.start_again().unwrap();
    let fetched = rig.client().fetch("t", 0, 0);
    assert_eq!((fetched.code, fetched.high_watermark), (ErrorCode::None, 50));
    assert_eq!(rig.client().offset_at("t", 0, -1), Ok(50));
    // While the replay is held up, so is whoever asks.
    rig.kill();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let stall = rig.disk.stall(milena_env::disk::simulated::Operation::Sync, "/data");
    rig.listen_at(port);
    let start = std::thread::spawn(move || {
        rig.start_again().unwrap();
        rig
    });
    stall.wait_until_reached();
    let asking = std::thread::spawn(move || {
        let mut client = crate::client::Client::connect(port)?;
        client.fetched(&crate::client::fetch_request("t", 0, 0))
    });
    std::thread::sleep(std::time::Duration::from_millis(300));
    assert!(!asking.is_finished(), "answered before the replay was done");
    drop(stall);
    let _rig = start.join().unwrap();
    assert_eq!(asking.join().unwrap().unwrap().high_watermark, 50);
}

//! The client's own producer while the broker is killed.
//!
//! `MILENA_KILLS=30 cargo test --release -p milena --test it the_clients -- --nocapture` is the
//! long form.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use milena_client::producer::{Producer, ProducerConfig, Record};
use milena_env::{Random, timer};

use super::number_from;
use crate::process::{Folder, Process};

const PARTITIONS: i32 = 4;

#[test]
fn the_clients_producer_goes_on_through_kills_and_nothing_is_lost_doubled_or_reordered() {
    let (kills, seed) = (number_from("MILENA_KILLS", 4), number_from("MILENA_SEED", 6));
    let folder = Folder::new("client-kills");
    let mut process = Process::start(&folder, &[]);
    let listeners = format!("listeners=PLAINTEXT://{}", process.address());
    process.client().create_topic("t", PARTITIONS, &[]);
    let is_over = Arc::new(AtomicBool::new(false));
    let (address, ends) = (process.address().to_string(), Arc::clone(&is_over));
    let load = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(produce_until(&address, &ends))
    });
    let mut random = Random::from_seed(seed);
    for _ in 0..kills {
        std::thread::sleep(Duration::from_millis(100 + random.below(500)));
        process.kill();
        process = Process::start(&folder, &[&listeners]);
    }
    is_over.store(true, Ordering::Relaxed);
    let sent = load.join().unwrap();
    let mut found = 0;
    for partition in 0..PARTITIONS {
        let mut last = None;
        for number in numbers(&mut process, partition) {
            assert_eq!(number % PARTITIONS as u64, partition as u64);
            assert_eq!(number, last.map_or(partition as u64, |last| last + PARTITIONS as u64));
            last = Some(number);
            found += 1;
        }
    }
    assert_eq!(found, sent);
    println!("{kills} kills, {sent} records, all there once and in order");
}

/// Sends numbers to the partitions in turn, and waits until all are delivered.
async fn produce_until(address: &str, is_over: &AtomicBool) -> u64 {
    let producer = Producer::new(ProducerConfig::new(address)).unwrap();
    let mut deliveries = Vec::new();
    while !is_over.load(Ordering::Relaxed) {
        let number = deliveries.len() as u64;
        let partition = (number % PARTITIONS as u64) as i32;
        let record = Record::to("t").partition(partition).value(number.to_be_bytes().to_vec());
        deliveries.push(producer.send(record).await.unwrap());
        if number % 50 == 0 {
            timer::sleep(Duration::from_millis(1)).await;
        }
    }
    let sent = deliveries.len() as u64;
    for delivery in deliveries {
        delivery.await.unwrap();
    }
    sent
}

fn numbers(process: &mut Process, partition: i32) -> Vec<u64> {
    let values = process.client().read_all("t", partition, 0).unwrap();
    values.into_iter().map(|(_, value)| u64::from_be_bytes(value.try_into().unwrap())).collect()
}

//! More clients, and ruder ones, than a broker can serve at once.

use std::time::{Duration, Instant};

use milena_protocol::{ErrorCode, api::ApiKey};

use crate::{
    client::{Client, batch, fetch_request, produce_request},
    process::{Folder, Process},
};

/// What may come on top of what a broker takes without any load: three times its budget of 32 MiB,
/// for frames that grow are held twice, and the allocator keeps what it was given back. What is
/// sent here is 200 MiB, what is asked for 1.8 GiB.
const MORE_KIB_MAX: u64 = 3 * (32 << 10);

/// How long so many small produce requests take, one after the other.
fn time_of(client: &mut Client, count: usize) -> Duration {
    let since = Instant::now();
    for _ in 0..count {
        assert_eq!(client.produce("t", 0, &batch(&["usual"])).code, ErrorCode::None);
    }
    since.elapsed()
}

#[test]
fn fault_41_slow_readers_floods_of_long_polls_and_of_batches_take_bounded_memory() {
    let folder = Folder::new("fault-41");
    let process = Process::start(&folder, &[]);
    let mut client = process.client();
    assert_eq!(client.create_topic("t", 4, &[]), ErrorCode::None);
    let usual = time_of(&mut client, 50);
    process.forget_peak();
    let before = process.peak_kib();

    let large = batch(&[vec![7; 500_000]]);
    for partition in 1..4 {
        assert_eq!(client.produce("t", partition, &large).code, ErrorCode::None);
    }
    // They ask for much and read nothing.
    let mut slow_readers: Vec<Client> = (0..60).map(|_| process.client()).collect();
    for reader in &mut slow_readers {
        for partition in 1..4 {
            let request = fetch_request("t", partition, 0);
            for _ in 0..20 {
                // One that reads nothing may be held off from sending more.
                let _ = reader.send(ApiKey::Fetch, 12, &request);
            }
        }
    }
    // They wait for what does not come.
    let mut waiting: Vec<Client> = (0..200).map(|_| process.client()).collect();
    for client in &mut waiting {
        let mut request = fetch_request("t", 2, 1);
        (request.min_bytes, request.max_wait_ms) = (1, 3000);
        client.send(ApiKey::Fetch, 12, &request).unwrap();
    }
    // They write as much as the broker takes: in all six times its budget.
    let write = |mut client: Client| {
        let large = large.clone();
        std::thread::spawn(move || {
            let request = produce_request("t", -1, &[(1, &large), (3, &large)]);
            for _ in 0..5 {
                client.send(ApiKey::Produce, 12, &request).unwrap();
            }
            for _ in 0..5 {
                let answer = client.receive(ApiKey::Produce, 12).unwrap();
                let produced = crate::client::produced(&answer);
                assert!(produced.iter().all(|produced| produced.code == ErrorCode::None));
            }
        })
    };
    let writers: Vec<_> = (0..40).map(|_| write(process.client())).collect();
    for _ in 0..20 {
        time_of(&mut client, 1);
    }
    writers.into_iter().for_each(|writer| writer.join().unwrap());
    for client in &mut waiting {
        assert!(client.receive(ApiKey::Fetch, 12).is_ok());
    }
    let more = process.peak_kib() - before;
    println!("{more} KiB more than {before} KiB");
    assert!(more < MORE_KIB_MAX, "{more} KiB more than {before} KiB");
    drop((slow_readers, waiting));
    // The usual rate again, when all of them are gone.
    let patience = Instant::now();
    while time_of(&mut client, 50) > usual * 3 + Duration::from_millis(50) {
        assert!(patience.elapsed() < Duration::from_secs(20), "slower than before for good");
    }
}

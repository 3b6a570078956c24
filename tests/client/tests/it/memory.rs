//! How much memory a producer takes beside a broker that stands still, by what the kernel says of
//! the process: the test runs itself again, so that nobody else is in it.

use std::{fs, process::Command, time::Duration};

use milena_broker::embedded;
use milena_client::producer::{Compression, Producer, ProducerConfig, Record};
use milena_client_tests::{Proxy, Weather};

const ALONE: &str = "MILENA_TEST_ALONE";
const TEST: &str =
    "memory::beside_a_broker_that_stands_still_a_process_grows_by_buffer_memory_alone";
const MIB: usize = 1 << 20;

/// Bytes that this process has in memory.
fn resident() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    let kib: usize = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kib << 10
}

#[test]
fn beside_a_broker_that_stands_still_a_process_grows_by_buffer_memory_alone() {
    if std::env::var_os(ALONE).is_some() {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        return runtime.block_on(alone());
    }
    let mut again = Command::new(std::env::current_exe().unwrap());
    let output = again.args(["--exact", TEST, "--nocapture"]).env(ALONE, "1").output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

async fn alone() {
    let proxy = Proxy::start().await.unwrap();
    let advertised = format!("PLAINTEXT://{}", proxy.address());
    let broker = embedded().set("advertised.listeners", &advertised).start().unwrap();
    proxy.lead_to(broker.address());
    for compression in [Compression::None, Compression::Lz4] {
        let config = ProducerConfig::new(&proxy.address().to_string())
            .compression(compression)
            .buffer_memory(32 * MIB)
            .max_block(Duration::from_millis(500));
        let producer = Producer::new(config).unwrap();
        let value = vec![b'v'; 1_000];
        let record = || Record::to("t").value(&value);
        proxy.set(Weather::Fair);
        producer.send(record()).await.unwrap().await.unwrap();
        proxy.set(Weather::Still);
        let before = resident();
        let mut taken = 0;
        let error = loop {
            match producer.send(record()).await {
                Ok(delivery) => drop(delivery),
                Err(error) => break error,
            }
            taken += value.len();
        };
        assert!(error.to_string().contains("max.block.ms"), "{error}");
        let grown = resident().saturating_sub(before);
        println!("{compression:?}: {} MiB taken, {} MiB grown", taken / MIB, grown / MIB);
        assert!(taken > 24 * MIB, "{taken} bytes were taken");
        assert!(grown < 40 * MIB, "{grown} bytes more for 32 MiB of records");
        // It is given back in the end, or the next one would find none.
        drop(producer.close(Duration::ZERO).await);
    }
}

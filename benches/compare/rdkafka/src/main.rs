//! What `produce_load.rs` and `consume_load.rs` in `crates/client/examples` do, with librdkafka: so
//! many records as fast as it can, and one line of JSON that says how fast that was and what it
//! cost.
//!
//! `rdkafka-load produce BOOTSTRAP TOPIC RECORDS BYTES [KEY=VALUE ...]`
//! `rdkafka-load consume BOOTSTRAP TOPIC RECORDS [KEY=VALUE ...]`

use std::time::{Duration, Instant};

use rdkafka::{
    ClientConfig, ClientContext, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    error::{KafkaError, RDKafkaErrorCode},
    producer::{BaseRecord, DeliveryResult, Producer, ProducerContext, ThreadedProducer},
};

const PATIENCE: Duration = Duration::from_secs(60);

/// Looks at every delivery, as the Rust client's futures do.
struct Deliveries;

impl ClientContext for Deliveries {}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, _: ()) {
        if let Err((error, message)) = result {
            panic!("a record of {} bytes: {error}", message.payload_len());
        }
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match *words {
        ["produce", bootstrap, topic, records, bytes, ref settings @ ..] => {
            let (records, bytes) = (records.parse().unwrap(), bytes.parse().unwrap());
            produce(&config(bootstrap, settings), topic, records, bytes);
        }
        ["consume", bootstrap, topic, records, ref settings @ ..] => {
            consume(&config(bootstrap, settings), topic, records.parse().unwrap());
        }
        _ => panic!("rdkafka-load produce|consume BOOTSTRAP TOPIC RECORDS [BYTES] [KEY=VALUE ...]"),
    }
}

fn config(bootstrap: &str, settings: &[&str]) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", bootstrap);
    for setting in settings {
        let (key, value) = setting.split_once('=').unwrap_or((setting, ""));
        config.set(key, value);
    }
    config
}

fn produce(config: &ClientConfig, topic: &str, records: usize, bytes: usize) {
    let producer: ThreadedProducer<Deliveries> = config.create_with_context(Deliveries).unwrap();
    let text = words(bytes + 1024);
    send(&producer, topic, b"first");
    producer.flush(PATIENCE).unwrap();

    let (from, cpu) = (Instant::now(), cpu_time());
    for number in 0..records {
        let at = number % 1024;
        send(&producer, topic, &text[at..at + bytes]);
    }
    producer.flush(PATIENCE).unwrap();
    report(records, from.elapsed(), cpu_time() - cpu);
}

fn consume(config: &ClientConfig, topic: &str, records: usize) {
    let consumer: BaseConsumer = config.create().unwrap();
    let metadata = consumer.fetch_metadata(Some(topic), PATIENCE).unwrap();
    let mut partitions = TopicPartitionList::new();
    for partition in metadata.topics().iter().flat_map(|topic| topic.partitions()) {
        partitions.add_partition_offset(topic, partition.id(), Offset::Beginning).unwrap();
    }
    consumer.assign(&partitions).unwrap();

    let (from, cpu) = (Instant::now(), cpu_time());
    let (mut read, mut bytes) = (0, 0);
    while read < records {
        let message = consumer.poll(PATIENCE).expect("nothing came").unwrap();
        read += 1;
        bytes += message.payload_len();
    }
    assert!(bytes > 0);
    report(read, from.elapsed(), cpu_time() - cpu);
}

fn report(records: usize, took: Duration, cpu: Duration) {
    println!(
        r#"{{"records":{records},"records_per_s":{:.0},"cpu_us_per_record":{:.4}}}"#,
        records as f64 / took.as_secs_f64(),
        cpu.as_secs_f64() * 1e6 / records as f64,
    );
}

fn send(producer: &ThreadedProducer<Deliveries>, topic: &str, value: &[u8]) {
    let mut record = BaseRecord::<(), [u8]>::to(topic).payload(value);
    while let Err((error, again)) = producer.send(record) {
        match error {
            KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull) => {
                std::thread::sleep(Duration::from_millis(1));
                record = again;
            }
            error => panic!("{error}"),
        }
    }
}

fn words(bytes: usize) -> Vec<u8> {
    let mut seed = 1_u64;
    let mut text = Vec::with_capacity(bytes + 16);
    while text.len() < bytes {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        text.extend_from_slice(format!("{} ", (seed >> 33) % 4096).as_bytes());
    }
    text
}

/// What this process has used so far: fields 14 and 15 of proc(5), in ticks of 10 ms.
fn cpu_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks = fields.split_whitespace().skip(11).take(2).map(|it| it.parse::<u64>().unwrap());
    Duration::from_millis(ticks.sum::<u64>() * 10)
}

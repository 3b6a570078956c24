//! What clients push and what the broker knows, as a collector reads it over HTTP.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpStream},
    sync::Arc,
    time::{Duration, Instant},
};

use milena_env::{Disk, disk::simulated::Operation};
use milena_protocol::{
    ErrorCode, Uuid,
    api::{
        ApiKey, GetTelemetrySubscriptionsRequest, GetTelemetrySubscriptionsResponse,
        IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse, PushTelemetryRequest,
        PushTelemetryResponse,
        incremental_alter_configs::request::{AlterConfigsResource, AlterableConfig},
    },
    records::Codec,
};

use crate::{
    client::{Client, batch},
    producer::Producer,
    rig::Rig,
};

/// `src/metrics/otlp.rs` tells where it is from.
const PUSHED: &[u8] = include_bytes!("../fixtures/telemetry-of-a-consumer.zst");

fn connect(rig: &Rig) -> TcpStream {
    let stream = TcpStream::connect(rig.metrics_address().unwrap()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream
}

/// All that comes until the other side ends the connection, in order or not.
fn rest(mut stream: TcpStream) -> String {
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8(answer).unwrap()
}

fn ask(rig: &Rig, request: &str) -> String {
    let mut stream = connect(rig);
    stream.write_all(request.as_bytes()).unwrap();
    rest(stream)
}

fn collect(rig: &Rig) -> String {
    let answer = ask(rig, "GET /metrics HTTP/1.1\r\nHost: broker\r\n\r\n");
    let (head, text) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert!(head.contains("\r\nContent-Type: text/plain; version=0.0.4;"), "{head}");
    assert!(head.contains(&format!("\r\nContent-Length: {}\r\n", text.len())), "{head}");
    text.to_owned()
}

fn subscribe_to_all(client: &mut Client) {
    let set = |name, value| AlterableConfig { name, config_operation: 0, value: Some(value) };
    let resource = AlterConfigsResource {
        resource_type: 16,
        resource_name: "all",
        configs: vec![set("metrics", "*"), set("interval.ms", "100000")],
    };
    let request =
        IncrementalAlterConfigsRequest { resources: vec![resource], validate_only: false };
    let answer = client.call(ApiKey::IncrementalAlterConfigs, 1, &request).unwrap();
    let answer: IncrementalAlterConfigsResponse<'_> = answer.read();
    assert_eq!(answer.responses[0].error_code, 0);
}

/// A new client pushes.
fn push(client: &mut Client, codec: Codec, metrics: &[u8]) -> Uuid {
    let request = GetTelemetrySubscriptionsRequest { client_instance_id: Uuid::ZERO };
    let answer = client.call(ApiKey::GetTelemetrySubscriptions, 0, &request).unwrap();
    let told: GetTelemetrySubscriptionsResponse<'_> = answer.read();
    assert!(!told.delta_temporality, "what is shown is the newest push alone");
    let request = PushTelemetryRequest {
        client_instance_id: told.client_instance_id,
        subscription_id: told.subscription_id,
        terminating: false,
        compression_type: codec as i8,
        metrics,
    };
    let answer = client.call(ApiKey::PushTelemetry, 0, &request).unwrap();
    assert_eq!(answer.read::<PushTelemetryResponse>().error_code, 0);
    told.client_instance_id
}

#[test]
fn collectors_read_what_clients_push_and_what_the_broker_knows() {
    let rig = Rig::start("milena.metrics.listener=127.0.0.1:0");
    let mut client = rig.client();
    assert_eq!(client.create_topic("t", 3, &[]), ErrorCode::None);
    let mut producer = Producer::new("id", 5);
    assert_eq!(producer.init(&mut client).unwrap(), ErrorCode::None);
    subscribe_to_all(&mut client);
    let id = push(&mut client, Codec::Zstd, PUSHED);
    let another = push(&mut client, Codec::Zstd, PUSHED);
    push(&mut client, Codec::None, b"no protobuf");
    push(&mut client, Codec::Zstd, b"no frame");
    let bomb = zstd::encode_all(&*vec![0; 100 << 20], 1).unwrap();
    push(&mut client, Codec::Zstd, &bomb);
    let text = collect(&rig);
    let begun = r#"coordinator="transaction",event="producer initialized""#;
    let of_reader =
        |id| format!(r#"{{client_id="test",client_instance_id="{id}",group_id="readers","#);
    let name = "org_apache_kafka_consumer_fetch_manager_records_consumed_total";
    for line in [
        format!("# TYPE {name} counter"),
        "# TYPE org_apache_kafka_consumer_fetch_manager_records_lag_max gauge".to_owned(),
        r#"milena_log_directory_offline{directory="/data"} 0"#.to_owned(),
        r#"milena_disk_full{directory="/data"} 0"#.to_owned(),
        "milena_partitions 53".to_owned(),
        "milena_connections 1".to_owned(),
        format!(r#"milena_coordinator_events_total{{{begun},reason="a new transactional id"}} 1"#),
        r#"milena_telemetry_clients{state="left out"} 3"#.to_owned(),
        r#"milena_telemetry_clients{state="shown"} 2"#.to_owned(),
    ] {
        assert_eq!(text.lines().filter(|it| *it == line).count(), 1, "{line} in {text}");
    }
    assert!(text.contains("\nmilena_journal_percent{directory=\"/data\"} "));
    for id in [id, another] {
        let line = format!("{name}{}", of_reader(id));
        let found: Vec<&str> = text.lines().filter(|it| it.starts_with(&line)).collect();
        assert_eq!(found.len(), 2, "of the topic, and in all: {text}");
        assert!(found[0].ends_with(r#",topic="t"} 200.0"#), "{found:?}");
    }
    assert_eq!(text.matches(&of_reader(id)).count(), 140);
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let mut names: Vec<&str> = types.filter_map(|it| it.split(' ').next()).collect();
    let all = names.len();
    names.dedup();
    assert!(names.is_sorted() && names.len() == all, "each name stands together");
}

/// What a gauge of a log directory says, if it is told.
fn of_directory(rig: &Rig, gauge: &str, directory: &str) -> Option<String> {
    let name = format!("{gauge}{{directory=\"{directory}\"}} ");
    collect(rig).lines().find_map(|line| line.strip_prefix(&name).map(str::to_owned))
}

#[test]
fn collectors_see_that_a_log_directory_is_offline() {
    let mut rig = Rig::start("log.dirs=/data,/other\nmilena.metrics.listener=127.0.0.1:0");
    let mut client = rig.client();
    assert_eq!(client.create_topic("t", 6, &[]), ErrorCode::None);
    let told = |rig: &Rig| {
        ["/data", "/other"].map(|path| {
            let of = |gauge| of_directory(rig, gauge, path);
            (of("milena_log_directory_offline"), of("milena_disk_full"))
        })
    };
    let number = |text: &str| Some(text.to_owned());
    let fine = (number("0"), number("0"));
    assert_eq!(told(&rig), [fine.clone(), fine.clone()]);
    rig.disk.fail_next_sync("/other");
    let of_all = (0..6).map(|at| client.produce("t", at, &batch(&["one"])).code);
    assert!(of_all.collect::<Vec<_>>().contains(&ErrorCode::KafkaStorageError));
    assert_eq!(told(&rig), [fine.clone(), (number("1"), None)]);
    // One that cannot be opened is not forgotten. It is read once before any of them is opened.
    rig.cut_power();
    rig.disk.fail_nth(Operation::Read, "/other/meta.properties", 2);
    rig.start_again().unwrap();
    assert_eq!(told(&rig), [fine.clone(), (number("1"), None)]);
    rig.stop();
    rig.start_again().unwrap();
    assert_eq!(told(&rig), [fine.clone(), fine]);
}

#[test]
fn collectors_see_that_a_disk_is_full_and_that_it_has_room_again() {
    let rig = Rig::start("milena.journal.bytes=4194304\nmilena.metrics.listener=127.0.0.1:0");
    let mut client = rig.client();
    assert_eq!(client.create_topic("t", 1, &[]), ErrorCode::None);
    let disk: Arc<dyn Disk> = rig.disk.clone();
    let space = disk.space("/data".as_ref()).unwrap();
    let patience = Instant::now();
    let large = batch(&[vec![7; 200_000]]);
    for (capacity, refused, told) in
        [(Some(space.total - space.free + (6 << 20)), true, "1"), (None, false, "0")]
    {
        rig.disk.set_capacity(capacity);
        while (client.produce("t", 0, &large).code == ErrorCode::KafkaStorageError) != refused {
            assert!(patience.elapsed() < Duration::from_secs(30), "refused: {}", !refused);
        }
        assert_eq!(of_directory(&rig, "milena_disk_full", "/data").as_deref(), Some(told));
        let offline = of_directory(&rig, "milena_log_directory_offline", "/data");
        assert_eq!(offline.as_deref(), Some("0"), "it comes back by itself");
    }
}

#[test]
fn bad_requests_for_metrics_disturb_nobody() {
    assert_eq!(Rig::start("").metrics_address(), None, "nobody asked for them");
    let rig = Rig::start("milena.metrics.listener=127.0.0.1:0");
    for request in [
        "GET / HTTP/1.1\r\n\r\n",
        "GET /metrics/more HTTP/1.1\r\n\r\n",
        "POST /metrics HTTP/1.1\r\n\r\n",
        "GET /metrics\r\n\r\n",
        "\u{0}\u{1}ü\r\n\r\n",
        "\r\n\r\n",
    ] {
        let answer = ask(&rig, request);
        assert!(answer.starts_with("HTTP/1.1 404 Not Found\r\n"), "{request:?}: {answer}");
    }
    assert!(ask(&rig, "GET /metrics?a=b HTTP/1.0\r\n\r\n").contains("milena_partitions 0"));
    let endless = format!("GET /metrics HTTP/1.1\r\nX: {}", "x".repeat(8 << 10));
    assert_eq!(ask(&rig, &endless), "");
    let half = connect(&rig);
    half.shutdown(Shutdown::Write).unwrap();
    assert_eq!(rest(half), "");
    // As many as are served at once say nothing, or byte after byte.
    let mut silent: Vec<TcpStream> = (0..8).map(|_| connect(&rig)).collect();
    silent[0].write_all(b"GET /met").unwrap();
    let began = Instant::now();
    let mut client = rig.client();
    assert_eq!(client.create_topic("t", 1, &[]), ErrorCode::None);
    assert!(began.elapsed() < Duration::from_secs(3), "clients do not wait for them");
    assert!(collect(&rig).contains("milena_partitions 1\n"), "and collectors not for long");
    for stream in silent {
        assert_eq!(rest(stream), "");
    }
}

//! What DescribeConfigs tells, against the answers of a real Kafka 4.3.1 that was set to the same.

use std::collections::BTreeSet;

use milena_config::{
    Entries, ServerConfig,
    describe::{self, Described},
    properties,
};

const STATIC: &str = "\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:29193
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://127.0.0.1:29192,CONTROLLER://127.0.0.1:29193
advertised.listeners=PLAINTEXT://127.0.0.1:29192
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
inter.broker.listener.name=PLAINTEXT
log.dirs=/var/kafka
num.partitions=4
offsets.topic.replication.factor=1
offsets.topic.num.partitions=8
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=8
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
auto.create.topics.enable=true
foo.bar=1
ssl.truststore.password=secret
log.retention.minutes=60
log.roll.hours=24
group.consumer.min.session.timeout.ms=6000
log.cleaner.min.cleanable.ratio=0.30
log.cleanup.policy=delete, compact
listener.name.plaintext.max.connections=100
log.flush.interval.messages=1
internal.metadata.delete.delay.millis=50000
num.io.threads= 4
log.cleaner.io.max.bytes.per.second=1e7
";

const ALL_BROKERS: &[(&str, &str)] = &[
    ("log.segment.bytes", "2097152"),
    ("num.io.threads", "5"),
    ("leader.replication.throttled.rate", "1000"),
    ("log.roll.ms", "100000"),
    ("log.cleaner.delete.retention.ms", "77"),
    // Kafka sets this by itself where eligible leader replicas are on.
    ("min.insync.replicas", "1"),
];

const BROKER: &[(&str, &str)] = &[
    ("log.retention.ms", "-5"),
    ("log.retention.bytes", "-9"),
    ("max.connections", "500"),
    ("log.segment.bytes", "3097152"),
    ("foo.dynamic", "1"),
    ("listener.name.plaintext.ssl.keystore.location", "/x"),
    ("log.cleaner.min.compaction.lag.ms", "99"),
    ("log.cleaner.max.compaction.lag.ms", "9"),
];

const TOPIC: &[(&str, &str)] = &[
    ("retention.ms", " 1000 "),
    ("cleanup.policy", "compact, delete"),
    ("compression.type", "gzip"),
    ("internal.segment.bytes", "1000"),
    ("min.cleanable.dirty.ratio", "0.50"),
];

const GROUP: &[(&str, &str)] =
    &[("consumer.session.timeout.ms", "6000"), ("share.isolation.level", "read_committed")];

fn entries(pairs: &[(&str, &str)]) -> Entries {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn server() -> ServerConfig {
    let (config, _) = ServerConfig::parse(&properties::parse(STATIC.as_bytes()).unwrap()).unwrap();
    config.changed(&entries(ALL_BROKERS), &entries(BROKER)).unwrap()
}

fn lines(resource: &str, described: Vec<Described>) -> BTreeSet<String> {
    let line = |key: Described| {
        let text = |value: Option<String>| value.unwrap_or_else(|| "null".to_owned());
        let synonyms = key.synonyms.into_iter().map(|synonym| {
            format!("{}:{}={}", synonym.source as i8, synonym.name, text(synonym.value))
        });
        let synonyms = synonyms.collect::<Vec<_>>().join("|");
        let kind = key.kind.map_or("UNKNOWN", |kind| kind.name()).to_lowercase();
        let value = key.value.unwrap_or_else(|| "-".to_owned());
        let source = (key.source as i8).to_string();
        let read_only = if key.is_read_only { "read-only" } else { "-" };
        let sensitive = if key.is_sensitive { "sensitive" } else { "-" };
        [resource, &key.name, &value, &source, read_only, sensitive, &kind, &synonyms].join("\t")
    };
    described.into_iter().map(line).collect()
}

/// With our defaults (see `keys.rs`) where Kafka has another, or none.
fn with_ours(line: &str) -> String {
    [
        ("flush.interval.messages=9223372036854775807", "flush.interval.messages=1"),
        ("(a temporary folder)", "./milena-data"),
        ("5:listeners=PLAINTEXT://:9092", "5:listeners=PLAINTEXT://127.0.0.1:9092"),
        ("4:node.id=1", "4:node.id=1|5:node.id=1"),
        (
            "4:process.roles=broker,controller",
            "4:process.roles=broker,controller|5:process.roles=broker,controller",
        ),
    ]
    .into_iter()
    .fold(line.to_owned(), |line, (kafkas, ours)| line.replace(kafkas, ours))
}

#[test]
fn everything_is_told_as_kafka_tells_it() {
    let server = server();
    for (resource, described) in [
        ("topic", describe::topic(&entries(TOPIC), &server)),
        ("broker", describe::broker(&server)),
        ("default", describe::all_brokers(&entries(ALL_BROKERS))),
        ("group", describe::group(&entries(GROUP), &server)),
        ("metrics", describe::client_metrics(&entries(&[("interval.ms", "1000")]))),
    ] {
        let told = lines(resource, described);
        let beginning = format!("{resource}\t");
        let fixture = include_str!("../fixtures/describe.tsv");
        let kafkas: BTreeSet<String> =
            fixture.lines().filter(|line| line.starts_with(&beginning)).map(with_ours).collect();
        assert!(kafkas.len() > 2);
        let only = |one: &BTreeSet<String>, other: &BTreeSet<String>| {
            let only = one.difference(other).filter(|line| !line.contains("\tmilena."));
            only.cloned().collect::<Vec<_>>()
        };
        assert_eq!(only(&told, &kafkas), only(&kafkas, &told), "{resource}");
    }
}

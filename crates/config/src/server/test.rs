//! What people write, and what comes of it.

use proptest::prelude::*;

use super::*;
use crate::properties::{Origin, parse, parse_override};

fn read(text: &str) -> Result<(ServerConfig, Vec<Warning>), ConfigError> {
    ServerConfig::parse(&parse(text.as_bytes()).unwrap())
}

fn config(text: &str) -> ServerConfig {
    read(text).unwrap().0
}

fn listener(name: &str, host: &str, port: u16) -> Listener {
    let protocol = SecurityProtocol::Plaintext;
    Listener { name: name.to_owned(), host: host.to_owned(), port, protocol }
}

#[test]
fn nothing_is_needed() {
    let (config, warnings) = read("").unwrap();
    assert_eq!(warnings, []);
    assert_eq!((config.node.id, config.node.is_broker, config.node.is_controller), (1, true, true));
    assert_eq!(config.network.listeners, [listener("PLAINTEXT", "127.0.0.1", 9092)]);
    assert_eq!(config.network.advertised, config.network.listeners);
    assert_eq!(config.network.inter_broker_listener_name, "PLAINTEXT");
    assert_eq!(config.logs.directories, ["./milena-data"]);
    assert_eq!(config.logs.metadata_directory, "./milena-data");
    assert_eq!(config.node.memory_budget_bytes, 32 << 20);
    assert_eq!(config.node.shutdown_timeout_ms, 30_000);
    let topic = &config.topic_defaults;
    assert_eq!((topic.flush_messages, topic.retention_ms), (1, 604_800_000));
    assert_eq!((topic.segment_bytes, topic.segment_ms), (1 << 30, 604_800_000));
    assert_eq!((topic.delete, topic.compact, topic.compression()), (true, false, None));
}

#[test]
fn internal_topics_follow_the_number_of_brokers_until_somebody_says_otherwise() {
    let of = |config: &ServerConfig, brokers| {
        let (offsets, transactions) = (&config.groups.offsets.topic, &config.transactions.topic);
        (
            offsets.replication_factor(brokers),
            transactions.replication_factor(brokers),
            transactions.min_insync_replicas(brokers),
        )
    };
    let unset = config("");
    assert_eq!(
        [0, 1, 2, 3, 9].map(|brokers| of(&unset, brokers)),
        [(1, 1, 1), (1, 1, 1), (2, 2, 2), (3, 3, 2), (3, 3, 2)]
    );
    let set = config("offsets.topic.replication.factor=3\ntransaction.state.log.min.isr=2");
    assert_eq!(of(&set, 1), (3, 1, 2));
}

#[test]
fn kafkas_own_file_for_one_node_is_read_without_a_word() {
    let (config, warnings) = read(
        "process.roles=broker,controller\nnode.id=1\n\
         controller.quorum.bootstrap.servers=localhost:9093\n\
         listeners=PLAINTEXT://:9092,CONTROLLER://:9093\n\
         inter.broker.listener.name=PLAINTEXT\n\
         advertised.listeners=PLAINTEXT://localhost:9092,CONTROLLER://localhost:9093\n\
         controller.listener.names=CONTROLLER\n\
         listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SSL:SSL\n\
         num.network.threads=3\nnum.io.threads=8\nlog.dirs=/var/kraft\nnum.partitions=1\n\
         num.recovery.threads.per.data.dir=2\noffsets.topic.replication.factor=1\n\
         log.retention.hours=168\nlog.segment.bytes=1073741824",
    )
    .unwrap();
    assert_eq!(warnings, []);
    assert_eq!(config.network.listeners.len(), 2);
    assert_eq!(config.network.advertised, [listener("PLAINTEXT", "localhost", 9092)]);
    assert!(config.network.is_controllers(config.network.listener("CONTROLLER").unwrap()));
}

#[test]
fn the_stronger_name_of_a_value_wins_and_the_last_line() {
    let retention = |text| config(text).topic_defaults.retention_ms;
    assert_eq!(retention("log.retention.hours=1"), 3_600_000);
    assert_eq!(retention("log.retention.minutes=5\nlog.retention.hours=1"), 300_000);
    assert_eq!(retention("log.retention.hours=1\nlog.retention.ms=7"), 7);
    assert_eq!(retention("log.retention.hours=-1"), -1);
    assert_eq!(retention("log.retention.ms=7\nlog.retention.ms=8"), 8);
    assert_eq!(config("log.roll.hours=2").topic_defaults.segment_ms, 7_200_000);
    assert_eq!(config("log.dir=/a\nlog.dirs=/b,/c").logs.directories, ["/b", "/c"]);
    let mut entries = parse(b"num.partitions=3").unwrap();
    entries.push(parse_override(1, "num.partitions=4").unwrap());
    assert_eq!(ServerConfig::parse(&entries).unwrap().0.new_topics.partitions, 4);
}

#[test]
fn what_changes_later_is_laid_over_it() {
    let entries = |text: &str| -> Entries {
        let entries = parse(text.as_bytes()).unwrap().into_iter();
        entries.map(|entry| (entry.key, entry.value)).collect()
    };
    let before = config("log.retention.hours=1\nmax.connections=5");
    let cluster = entries("log.retention.ms=7\nmax.connections=6\nlisteners=X://:1");
    let broker = entries("max.connections=7\nnum.partitions=9\nlog.segment.bytes=no");
    let after = before.changed(&cluster, &broker).unwrap();
    assert_eq!((after.topic_defaults.retention_ms, after.network.connections_max), (7, 7));
    // Left out: read-only, of one broker only, ill-valued.
    assert_eq!(after.new_topics, before.new_topics);
    assert_eq!(after.network.listeners, before.network.listeners);
    assert_eq!(after.topic_defaults.segment_bytes, 1 << 30);
    assert_eq!(after.changed(&Entries::new(), &Entries::new()), Ok(before));
}

#[test]
fn limits_of_one_listener_and_one_address() {
    let config = config(
        "listener.name.plaintext.max.connections=7\nmax.connections.per.ip.overrides=a:1, [::1]:2",
    );
    assert_eq!(config.network.listener_connections_max["PLAINTEXT"], 7);
    assert_eq!(config.network.connections_per_ip_overrides["a"], 1);
    assert_eq!(config.network.connections_per_ip_overrides["[::1]"], 2);
}

#[test]
fn the_smaller_bound_of_what_is_in_flight_counts() {
    let bytes = |text| config(text).bytes_in_flight_max();
    assert_eq!(bytes(""), 32 << 20);
    assert_eq!(bytes("queued.max.request.bytes=200000000"), 32 << 20);
    assert_eq!(bytes("queued.max.request.bytes=9000\nsocket.request.max.bytes=8000"), 9000);
}

#[test]
fn warnings_say_what_to_do() {
    let text = "zookeeper.connect=localhost:2181\nbroker.id=7\nnum.network.thread=3\n\
                log.message.format.version=3.0\nport=9092\nkafka.http.metrics.port=1";
    let (config, warnings) = read(text).unwrap();
    assert_eq!(config.node.id, 7);
    let warnings: Vec<String> = warnings.iter().map(ToString::to_string).collect();
    assert_eq!(
        warnings,
        [
            "line 1: zookeeper.connect has no effect any more: there is no ZooKeeper; the metadata \
         quorum needs no setup",
            "line 2: broker.id is now called node.id, which was taken from it",
            "line 3: num.network.thread is unknown and has no effect; did you mean \
         num.network.threads?",
            "line 4: log.message.format.version has no effect any more: versions are agreed on \
             with each client and each broker",
            "line 5: port has no effect any more; use listeners",
            "line 6: kafka.http.metrics.port is unknown and has no effect; did you mean \
         kafka.metrics.reporters?",
        ]
    );
    let (config, warnings) = read("broker.id=7\nnode.id=8").unwrap();
    assert_eq!(config.node.id, 8);
    let warning = "line 1: broker.id is now called node.id, which is set too; that value counts";
    assert_eq!(warnings[0].to_string(), warning);
    assert_eq!(self::config("broker.id=-1").node.id, 1);
}

#[test]
fn errors_name_line_key_value_and_what_is_allowed() {
    for (text, message) in [
        (
            "\nnum.network.threads=0",
            "line 2: Invalid value 0 for configuration num.network.threads: Value must be at least \
             1. Allowed is a whole number from 1 up; the default is 3",
        ),
        (
            "log.segment.bytes=1G",
            "line 1: Invalid value 1G for configuration log.segment.bytes: Not a number of type \
             INT. Allowed is a whole number from 1048576 up; the default is 1073741824",
        ),
        (
            "compression.type=brotli",
            "line 1: Invalid value brotli for configuration compression.type: String must be one \
             of: uncompressed, zstd, lz4, snappy, gzip, producer. Allowed is a text of \
             uncompressed, zstd, lz4, snappy, gzip, producer; the default is producer",
        ),
        (
            "auto.create.topics.enable=yes",
            "line 1: Invalid value yes for configuration auto.create.topics.enable: Expected value \
             to be either true or false. Allowed is true or false",
        ),
        (
            "milena.memory.budget=1",
            "line 1: there is no key milena.memory.budget; the nearest is \
             milena.memory.budget.bytes",
        ),
        (
            "milena.metrics.listener=9404",
            "line 1: milena.metrics.listener=9404: must be HOST:PORT, as in 127.0.0.1:9404, or \
             empty",
        ),
        (
            "listeners=PLAINTEXT:9092",
            "line 1: listeners=PLAINTEXT:9092: `PLAINTEXT:9092` must be NAME://host:port, as in \
             PLAINTEXT://127.0.0.1:9092",
        ),
        (
            "listeners=OUT://:9092",
            "line 1: listeners=OUT://:9092: what OUT speaks is unknown: add OUT:PLAINTEXT (or SSL, \
             SASL_SSL) to listener.security.protocol.map",
        ),
        (
            "listeners=PLAINTEXT://:1,SSL://:1",
            "line 1: listeners=PLAINTEXT://:1,SSL://:1: port 1 is used twice",
        ),
        (
            "listeners=PLAINTEXT://:1,plaintext://:2",
            "line 1: listeners=PLAINTEXT://:1,plaintext://:2: PLAINTEXT is named twice",
        ),
        (
            "listeners=PLAINTEXT://0.0.0.0:1",
            "line 1: listeners=PLAINTEXT://0.0.0.0:1: clients cannot connect to 0.0.0.0; set \
             advertised.listeners to an address that they reach",
        ),
        (
            "advertised.listeners=SSL://a:1",
            "line 1: advertised.listeners=SSL://a:1: SSL is not among the listeners",
        ),
        (
            "listener.security.protocol.map=X:PLAINTEXT\nlisteners=X://a:1",
            "inter.broker.listener.name: brokers are to talk over PLAINTEXT, which is not \
             advertised; name another (X)",
        ),
        (
            "inter.broker.listener.name=PLAINTEXT\nsecurity.inter.broker.protocol=PLAINTEXT",
            "line 1: inter.broker.listener.name=PLAINTEXT: set this or \
             security.inter.broker.protocol, not both",
        ),
        (
            "listener.security.protocol.map=PLAINTEXT:HTTP",
            "line 1: listener.security.protocol.map=PLAINTEXT:HTTP: `PLAINTEXT:HTTP` must be \
             NAME:PROTOCOL, and the protocol PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL",
        ),
        (
            "controller.listener.names=PLAINTEXT",
            "listeners=PLAINTEXT://127.0.0.1:9092: a broker needs a listener that is not the \
             controller's",
        ),
        (
            "process.roles=controller",
            "listeners=PLAINTEXT://127.0.0.1:9092: PLAINTEXT is for clients, but process.roles is \
             controller: name it in controller.listener.names",
        ),
        (
            "process.roles=broker",
            "line 1: process.roles=broker: a broker without the role controller must know where \
             one is: set controller.quorum.bootstrap.servers=host:port",
        ),
        (
            "controller.quorum.voters=2@a:1",
            "line 1: controller.quorum.voters=2@a:1: a controller must be a voter: node.id=1 is \
             not there",
        ),
        (
            "controller.quorum.voters=1@a:1,2@b:1",
            "controller.listener.names: controllers on other nodes are reached by a listener \
             that must be named",
        ),
        (
            "process.roles=broker\ncontroller.quorum.voters=1@a:1",
            "line 2: controller.quorum.voters=1@a:1: node.id=1 is a voter, but process.roles is \
             broker",
        ),
        (
            "log.retention.minutes=0",
            "line 1: log.retention.minutes=0: nothing would be kept; -1 is for ever, \
             and 1 the shortest",
        ),
        (
            "group.consumer.session.timeout.ms=1000",
            "line 1: group.consumer.session.timeout.ms=1000: 1000 is less than \
             group.consumer.min.session.timeout.ms=45000",
        ),
        (
            "replica.fetch.wait.max.ms=40000",
            "line 1: replica.fetch.wait.max.ms=40000: 40000 is more than \
             replica.socket.timeout.ms=30000, so every fetch fails",
        ),
        (
            "group.coordinator.rebalance.protocols=consumer",
            "line 1: group.coordinator.rebalance.protocols=consumer: classic groups are always \
             served and must be named",
        ),
        (
            "queued.max.request.bytes=1000",
            "line 1: queued.max.request.bytes=1000: is less than \
             socket.request.max.bytes=104857600, one request",
        ),
        (
            "max.connections.per.ip.overrides=a",
            "line 1: max.connections.per.ip.overrides=a: `a` must be host:count, with commas",
        ),
        (
            "request.timeout.ms=-1",
            "line 1: request.timeout.ms=-1: Invalid value -1 for configuration \
             request.timeout.ms: Value must be at least 0",
        ),
    ] {
        assert_eq!(read(text).unwrap_err().to_string(), message);
    }
}

#[test]
fn an_override_is_named_as_such() {
    let entries = [parse_override(1, "num.partitions=0").unwrap()];
    let error = ServerConfig::parse(&entries).unwrap_err();
    assert!(matches!(error, ConfigError::Value { origin: Origin::Override(1), .. }), "{error}");
}

proptest! {
    #[test]
    fn no_value_is_too_strange(at: prop::sample::Index, text in "\\PC{0,9}|-?[0-9]*|[a-z:,]*") {
        let keys: Vec<&str> = Scope::Broker.keys().map(|key| key.name).collect();
        let key = (*at.get(&keys)).to_owned();
        let entry = Entry { key, value: text, origin: Origin::Line(1) };
        if let Ok((config, _)) = ServerConfig::parse(&[entry]) {
            // What was read once can be read again, by the same rules.
            prop_assert_eq!(config.changed(&Entries::new(), &Entries::new()), Ok(config));
        }
    }
}

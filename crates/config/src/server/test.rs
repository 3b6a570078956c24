//! What people write, and what comes of it.

use super::*;
use crate::properties::parse;

fn read(text: &str) -> Result<(ServerConfig, Vec<Warning>), ConfigError> {
    ServerConfig::parse(&parse(text.as_bytes()).unwrap())
}

#[test]
fn nothing_is_needed() {
    let (config, warnings) = read("").unwrap();
    assert_eq!(warnings, []);
    assert_eq!((config.node.id, config.node.is_broker, config.node.is_controller), (1, true, true));
    let listener = Listener {
        name: "PLAINTEXT".to_owned(),
        host: "127.0.0.1".to_owned(),
        port: 9092,
        protocol: SecurityProtocol::Plaintext,
    };
    assert_eq!(config.network.listeners, std::slice::from_ref(&listener));
    assert_eq!(config.network.advertised, [listener]);
    assert_eq!(config.logs.directories, ["./milena-data"]);
    assert_eq!(config.logs.metadata_directory, "./milena-data");
    assert_eq!(config.topic_defaults.flush_messages, 1);
    assert_eq!(config.topic_defaults.retention_ms, 604_800_000);
    assert_eq!(config.node.memory_budget_bytes, 32 << 20);
    let topic = &config.transactions.topic;
    assert_eq!([1, 2, 3, 9].map(|brokers| topic.replication_factor(brokers)), [1, 2, 3, 3]);
    assert_eq!([1, 2, 3, 9].map(|brokers| topic.min_insync_replicas(brokers)), [1, 2, 2, 2]);
}

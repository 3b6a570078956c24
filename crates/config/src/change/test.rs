//! What was asked of a real Kafka 4.3.1, and what it answered.

use super::*;
use crate::properties;

fn server(text: &str) -> ServerConfig {
    ServerConfig::parse(&properties::parse(text.as_bytes()).unwrap()).unwrap().0
}

/// `SET key=value`, `DELETE key`; several with `; ` between them.
fn alterations(text: &str) -> Vec<Alteration<'_>> {
    let parse = |one| {
        let (operation, rest) = str::split_once(one, ' ').unwrap();
        let (key, value) = rest.split_once('=').map_or((rest, None), |(k, v)| (k, Some(v)));
        let all = [Operation::Set, Operation::Delete, Operation::Append, Operation::Subtract];
        let operation = all.into_iter().find(|other| other.name() == operation).unwrap();
        Alteration { key, operation, value }
    };
    text.split("; ").map(parse).collect()
}

/// The values after it, as text, or the code and message of the refusal.
fn tried(target: Target, before: &str, change: &str) -> String {
    let before = properties::parse(before.as_bytes()).unwrap();
    let before = before.into_iter().map(|entry| (entry.key, entry.value)).collect();
    let server = server("group.consumer.min.session.timeout.ms=6000");
    let after = alter(target, &before, &alterations(change));
    match after.and_then(|after| validate(target, &after, &server).map(|()| after)) {
        Ok(after) => {
            let values = after.iter().map(|(key, value)| format!("{key}={value}"));
            values.collect::<Vec<_>>().join(" ")
        }
        Err(error) => format!("{}: {error}", error.code().name()),
    }
}

#[test]
fn changes_are_taken_and_refused_as_by_kafka() {
    let fixture = include_str!("../../tests/fixtures/changes.tsv");
    for line in fixture.lines().skip(1) {
        let fields: Vec<&str> = line.split('\t').collect();
        let [target, before, change, answer] = fields[..] else { panic!("{line}") };
        let target = match target {
            "topic" => Target::Topic,
            "broker" => Target::Broker,
            "all-brokers" => Target::AllBrokers,
            "group" => Target::Group,
            _ => Target::ClientMetrics,
        };
        assert_eq!(tried(target, before, change), answer, "{change}");
    }
}

#[test]
fn what_would_stop_a_broker_is_refused() {
    for (change, answer) in [
        ("log.retention.ms=0", "nothing would be kept; -1 is for ever, and 1 the shortest"),
        ("cordoned.log.dirs=/nope", "/nope is not among log.dirs"),
    ] {
        let refused = tried(Target::Broker, "", &format!("SET {change}"));
        assert_eq!(refused, format!("INVALID_REQUEST: {change}: {answer}"));
    }
    for (change, answer) in [
        (
            "num.io.threads=17",
            "num.io.threads=17, value should not be greater than double the current value 8",
        ),
        ("num.io.threads=3", "num.io.threads=3, value should be at least half the current value 8"),
        (
            "log.cleaner.threads=3",
            "log.cleaner.threads=3, value should not be greater than double the current value 1",
        ),
    ] {
        for target in [Target::Broker, Target::AllBrokers] {
            let refused = tried(target, "", &format!("SET {change}"));
            let why = "Dynamic thread count update validation failed for";
            assert_eq!(refused, format!("INVALID_REQUEST: {why} {answer}"));
        }
    }
    for (change, answer) in [
        ("max.connections=0", "Invalid max.connections 0"),
        ("log.cleaner.threads=0", "Invalid log.cleaner.threads 0"),
        (
            "log.cleaner.dedupe.buffer.size=1048576",
            "log.cleaner.dedupe.buffer.size must be at least 1MB per cleaner thread.",
        ),
        (
            "max.connections.per.ip=0",
            "max.connections.per.ip can be set to zero only if max.connections.per.ip.overrides \
             property is set.",
        ),
    ] {
        let refused = tried(Target::Broker, "", &format!("SET {change}"));
        assert_eq!(refused, format!("INVALID_REQUEST: {answer}"));
    }
    let both = "SET max.connections.per.ip=0; SET max.connections.per.ip.overrides=10.0.0.1:5";
    assert!(tried(Target::Broker, "", both).starts_with("max.connections.per.ip=0 "));
    assert_eq!(tried(Target::Broker, "", "SET num.io.threads=16"), "num.io.threads=16");
    let refused = tried(Target::Broker, "", "SET milena.foo=1");
    assert_eq!(refused, "INVALID_REQUEST: There is no broker config milena.foo");
}

#[test]
fn a_new_topic_names_all_its_null_values() {
    let values = [("segment.ms", None), ("retention.ms", Some("5")), ("flush.ms", None)];
    let error = replace(Target::NewTopic, values).unwrap_err();
    assert_eq!(
        error.to_string(),
        "Null value not supported for topic configs: segment.ms,flush.ms"
    );
    assert_eq!(error.code(), ErrorCode::InvalidConfig);
    let error = replace(Target::Topic, values).unwrap_err();
    assert_eq!(error.to_string(), "Null value not supported for : segment.ms,flush.ms");
    assert_eq!(error.code(), ErrorCode::InvalidRequest);
    assert_eq!(replace(Target::Topic, [("a", Some("b"))]).unwrap()["a"], "b");
}

#[test]
fn only_brokers_have_defaults_for_all() {
    let answer = |target: Target| target.check_name("").map_err(|error| error.to_string());
    assert_eq!(answer(Target::AllBrokers), Ok(()));
    assert_eq!(answer(Target::Topic).unwrap_err(), "Default topic resources are not allowed.");
    assert_eq!(answer(Target::Group).unwrap_err(), "Default group resources are not allowed.");
    assert_eq!(answer(Target::ClientMetrics).unwrap_err(), "Subscription name can't be empty");
    assert_eq!(Target::Topic.check_name("t"), Ok(()));
}

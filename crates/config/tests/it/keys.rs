//! Key by key: names, types, defaults, limits, importance and update modes are Kafka 4.3.1's.
//! `fixtures/keys.tsv` was printed by its own classes.

use milena_config::{
    Definition, Scope,
    definition::{Check, Importance, Type, UpdateMode},
};

/// Whose default is ours. Why, stands in `docs/configuration.md`.
pub(crate) const OUR_DEFAULTS: &[(Scope, &str, Option<&str>)] = &[
    (Scope::Broker, "controller.listener.names", None),
    (Scope::Broker, "listeners", Some("PLAINTEXT://127.0.0.1:9092")),
    (Scope::Broker, "log.dir", Some("./milena-data")),
    (Scope::Broker, "log.flush.interval.messages", Some("1")),
    (Scope::Broker, "node.id", Some("1")),
    (Scope::Broker, "process.roles", Some("broker,controller")),
    (Scope::Topic, "flush.messages", Some("1")),
];

/// Kafka knows these too, but does not list them among the broker's.
const ELSEWHERE: &[&str] = &[
    "allow.everyone.if.no.acl.found",
    "follower.replication.throttled.rate",
    "leader.replication.throttled.rate",
    "replica.alter.log.dirs.io.max.bytes.per.second",
    "super.users",
];

fn line(scope: Scope, key: &Definition) -> String {
    let scope_name = match scope {
        Scope::Broker => "broker",
        Scope::Topic => "topic",
        Scope::Group => "group",
        Scope::ClientMetrics => "client-metrics",
    };
    let importance = match key.importance {
        Importance::High => "high",
        Importance::Medium => "medium",
        Importance::Low => "low",
    };
    let update_mode = match key.update_mode {
        _ if scope != Scope::Broker => "-",
        UpdateMode::ReadOnly => "read-only",
        UpdateMode::PerBroker => "per-broker",
        UpdateMode::ClusterWide => "cluster-wide",
    };
    let hidden = if key.is_hidden { "hidden" } else { "listed" };
    let kind = key.kind.name().to_lowercase();
    let default = key.default.unwrap_or("-");
    let allowed = allowed(key);
    [scope_name, key.name, &kind, default, importance, update_mode, hidden, &allowed].join("\t")
}

/// As Kafka's own documentation says it.
fn allowed(key: &Definition) -> String {
    match key.check {
        Check::Range(min, max) if max.is_finite() => format!("[{min},...,{max}]"),
        Check::Range(min, _) => format!("[{min},...]"),
        Check::RangeOrMinusOne(min, max) => format!("[{min},...,{max}] or -1"),
        Check::OneOf(texts) | Check::SomeOf(texts) => format!("[{}]", texts.join(", ")),
        Check::OneOfIgnoringCase(texts) => format!("(case insensitive) [{}]", texts.join(", ")),
        Check::NotEmpty if key.kind == Type::String => "non-empty string".to_owned(),
        Check::None if key.name == "authorizer.class.name" => "non-null string".to_owned(),
        // Kafka says nothing of lists that may hold anything, empty or not.
        Check::None | Check::NotEmpty => String::new(),
        Check::HostsAndPorts | Check::Voters => "non-empty list".to_owned(),
        Check::ThrottledReplicas => {
            "[partitionId]:[brokerId],[partitionId]:[brokerId],...".to_owned()
        }
        Check::OffsetReset => "[latest, earliest, by_duration:PnDTnHnMn.nS]".to_owned(),
    }
}

#[test]
fn every_key_is_as_kafka_has_it() {
    let mut compared = 0;
    let mut ours: Vec<(Scope, &Definition)> = Vec::new();
    for scope in [Scope::Broker, Scope::Topic, Scope::Group, Scope::ClientMetrics] {
        ours.extend(scope.keys().map(|key| (scope, key)));
    }
    ours.retain(|(_, key)| !key.name.starts_with("milena.") && !ELSEWHERE.contains(&key.name));
    let mut differ = Vec::new();
    let fixture = include_str!("../fixtures/keys.tsv");
    for (theirs, (scope, key)) in fixture.lines().skip(1).zip(&ours) {
        compared += 1;
        let mut fields: Vec<&str> = theirs.split('\t').collect();
        if fields[3] != key.default.unwrap_or("-") {
            differ.push((*scope, key.name, key.default));
            fields[3] = key.default.unwrap_or("-");
        }
        assert_eq!(fields.join("\t"), line(*scope, key));
    }
    assert_eq!((compared, fixture.lines().count() - 1), (ours.len(), ours.len()));
    assert_eq!(differ, OUR_DEFAULTS);
}

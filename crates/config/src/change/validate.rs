//! Whether something may be set to what somebody asks for, all values of its own together.

use super::ChangeError;
use crate::{
    ServerConfig,
    definition::UpdateMode,
    keys::{Scope, milena, of_listener},
    layers::Entries,
    value::elements,
};

/// What is changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    Topic,
    /// As `Topic`, but its errors are those of its creation.
    NewTopic,
    Broker,
    AllBrokers,
    Group,
    /// A subscription to the metrics of clients.
    ClientMetrics,
}

impl Target {
    #[must_use]
    pub const fn scope(self) -> Scope {
        match self {
            Self::Topic | Self::NewTopic => Scope::Topic,
            Self::Broker | Self::AllBrokers => Scope::Broker,
            Self::Group => Scope::Group,
            Self::ClientMetrics => Scope::ClientMetrics,
        }
    }

    pub(super) const fn is_broker(self) -> bool {
        matches!(self, Self::Broker | Self::AllBrokers)
    }

    /// Whether there may be a resource of that name; an empty one is the default of all.
    pub fn check_name(self, name: &str) -> Result<(), ChangeError> {
        match self {
            Self::Topic if name.is_empty() => Err(ChangeError::NoDefault("topic")),
            Self::Group if name.is_empty() => Err(ChangeError::NoDefault("group")),
            Self::ClientMetrics if name.is_empty() => Err(ChangeError::NoSubscription),
            _ => Ok(()),
        }
    }
}

/// Judges all the values of its own that `target` would have, under the broker's configuration.
pub fn validate(
    target: Target,
    values: &Entries,
    server: &ServerConfig,
) -> Result<(), ChangeError> {
    match target {
        Target::Topic | Target::NewTopic => topic(values, server),
        Target::Group => group(values, server),
        Target::ClientMetrics => client_metrics(values),
        Target::Broker | Target::AllBrokers => broker(target, values, server),
    }
}

fn topic(values: &Entries, server: &ServerConfig) -> Result<(), ChangeError> {
    known(Scope::Topic, values, ChangeError::UnknownOfTopic)?;
    let mut config = server.topic_defaults.clone();
    for (key, written) in values {
        let Some(definition) = Scope::Topic.find(key) else { continue };
        let value = definition.canonical(written).map_err(ChangeError::Value)?;
        config.set(definition, &value).map_err(ChangeError::Value)?;
        if key == "remote.storage.enable" && value == "true" {
            return Err(ChangeError::RemoteStorage);
        }
    }
    let (min, max) = (config.min_compaction_lag_ms, config.max_compaction_lag_ms);
    if min > max {
        return Err(ChangeError::CompactionLag { min, max });
    }
    Ok(())
}

fn known(
    scope: Scope,
    values: &Entries,
    unknown: fn(String) -> ChangeError,
) -> Result<(), ChangeError> {
    let stranger = values.keys().find(|key| scope.find(key).is_none());
    stranger.map_or(Ok(()), |key| Err(unknown(key.clone())))
}

/// Each value stands between limits of the broker: of `consumer.session.timeout.ms` they are
/// `group.consumer.min.session.timeout.ms` and `group.consumer.max.session.timeout.ms`.
fn group(values: &Entries, server: &ServerConfig) -> Result<(), ChangeError> {
    known(Scope::Group, values, ChangeError::UnknownOfGroup)?;
    for (key, written) in values {
        let Some(definition) = Scope::Group.find(key) else { continue };
        let value = definition.canonical(written).map_err(ChangeError::Value)?;
        let (Ok(number), Some((kind, name))) = (value.parse::<i64>(), key.split_once('.')) else {
            continue;
        };
        let name = name.strip_prefix("num.").unwrap_or(name);
        let limit = |which| {
            let limit = format!("group.{kind}.{which}.{name}");
            let number = server.layers.text(&limit)?.parse::<i64>().ok()?;
            Some((number, limit))
        };
        let key = key.clone();
        match (limit("min"), limit("max")) {
            (Some((min, limit)), _) if number < min => {
                return Err(ChangeError::OutOfLimits { key, than: "greater than", limit });
            }
            (_, Some((max, limit))) if number > max => {
                return Err(ChangeError::OutOfLimits { key, than: "less than", limit });
            }
            _ => {}
        }
    }
    for kind in ["consumer", "share", "streams"] {
        let session = format!("{kind}.session.timeout.ms");
        let heartbeat = format!("{kind}.heartbeat.interval.ms");
        let number = |key: &String| {
            let value = values.get(key).cloned();
            let value = value.or_else(|| server.layers.text(&format!("group.{key}")));
            value.and_then(|value| value.trim().parse::<i64>().ok())
        };
        if number(&session) <= number(&heartbeat) {
            return Err(ChangeError::HeartbeatTooLong { session, heartbeat });
        }
    }
    Ok(())
}

/// What a subscription may know its clients by.
pub const CLIENT_PATTERNS: [&str; 6] = [
    "client_instance_id",
    "client_id",
    "client_software_name",
    "client_software_version",
    "client_source_address",
    "client_source_port",
];

fn client_metrics(values: &Entries) -> Result<(), ChangeError> {
    known(Scope::ClientMetrics, values, ChangeError::UnknownOfClientMetrics)?;
    for (key, written) in values {
        let Some(definition) = Scope::ClientMetrics.find(key) else { continue };
        let value = definition.canonical(written).map_err(ChangeError::Value)?;
        match key.as_str() {
            "interval.ms" => match value.parse() {
                Ok(interval) if !(100..=3_600_000).contains(&interval) => {
                    return Err(ChangeError::Interval(interval));
                }
                _ => {}
            },
            "match" => {
                let is_good = |text: &str| {
                    let pair = text.split_once('=');
                    pair.is_some_and(|(name, _)| CLIENT_PATTERNS.contains(&name.trim()))
                };
                if let Some(bad) = elements(&value).find(|text| !is_good(text)) {
                    return Err(ChangeError::ClientPattern(bad.to_owned()));
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// Keys that tell who a listener is; Kafka lets nobody change them for all listeners at once.
const OF_ONE_LISTENER: &[&str] = &[
    "ssl.key.password",
    "ssl.keystore.certificate.chain",
    "ssl.keystore.key",
    "ssl.keystore.location",
    "ssl.keystore.password",
    "ssl.keystore.type",
    "ssl.truststore.certificates",
    "ssl.truststore.location",
    "ssl.truststore.password",
    "ssl.truststore.type",
];

fn broker(target: Target, values: &Entries, server: &ServerConfig) -> Result<(), ChangeError> {
    let with_mode = |is_bad: &dyn Fn(&str, UpdateMode) -> bool| {
        let bad = values.keys().filter(|key| {
            let definition = Scope::Broker.find(key);
            definition.is_some_and(|definition| is_bad(key, definition.update_mode))
        });
        bad.map(String::as_str).collect::<Vec<&str>>().join(", ")
    };
    // A key of one listener may change where that of all may not.
    let read_only =
        with_mode(&|key, mode| mode == UpdateMode::ReadOnly && of_listener(key).is_none());
    if !read_only.is_empty() {
        return Err(ChangeError::ReadOnly(read_only));
    }
    let of_one = with_mode(&|key, _| OF_ONE_LISTENER.contains(&key));
    if !of_one.is_empty() {
        return Err(ChangeError::OnlyPerListener(of_one));
    }
    if target == Target::AllBrokers {
        let per_broker = with_mode(&|_, mode| mode == UpdateMode::PerBroker);
        if !per_broker.is_empty() {
            return Err(ChangeError::OnlyPerBroker(per_broker));
        }
    }
    for (key, written) in values {
        match Scope::Broker.find(key) {
            Some(definition) => {
                definition.canonical(written).map_err(ChangeError::ValueOfBroker)?;
            }
            None if key.starts_with(milena::PREFIX) => {
                return Err(ChangeError::UnknownOurs(key.clone()));
            }
            None => {}
        }
    }
    server.survives(target, values)
}

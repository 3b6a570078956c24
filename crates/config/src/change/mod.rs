//! Changes of dynamic values: what they make of the values that are there, and whether they may.
//!
//! [`alter`] and [`replace`] make the new map, [`validate`] judges it; nothing is stored here.

mod at_once;
#[cfg(test)]
mod test;
mod validate;

use std::collections::BTreeSet;

use milena_protocol::ErrorCode;

pub use validate::{CLIENT_PATTERNS, Target, validate};

use crate::{
    Definition, ServerConfig, ValueError, definition::Type, layers::Entries, value::elements,
};

/// The numbers are those of IncrementalAlterConfigs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    Set = 0,
    Delete = 1,
    /// Adds elements to a list.
    Append = 2,
    /// Takes elements out of a list.
    Subtract = 3,
}

impl Operation {
    #[must_use]
    pub const fn from_number(number: i8) -> Option<Self> {
        match number {
            0 => Some(Self::Set),
            1 => Some(Self::Delete),
            2 => Some(Self::Append),
            3 => Some(Self::Subtract),
            _ => None,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Set => "SET",
            Self::Delete => "DELETE",
            Self::Append => "APPEND",
            Self::Subtract => "SUBTRACT",
        }
    }
}

/// One change of one key.
#[derive(Clone, Copy, Debug)]
pub struct Alteration<'a> {
    pub key: &'a str,
    pub operation: Operation,
    pub value: Option<&'a str>,
}

/// Why a change is refused. Its text is what Kafka answers, as far as both refuse.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ChangeError {
    #[error("Error due to duplicate config keys")]
    DuplicateKeys,
    #[error("Null value not supported for : {0}")]
    NullValues(String),
    #[error("Null value not supported for topic configs: {0}")]
    NullValuesOfNewTopic(String),
    #[error("Can't {} to key {key} because its type is not LIST.", operation.name())]
    NotAList { operation: Operation, key: String },
    #[error("Config value append is not allowed for config key: {0}")]
    NotAListOfBroker(String),
    #[error("Default {0} resources are not allowed.")]
    NoDefault(&'static str),
    #[error("Subscription name can't be empty")]
    NoSubscription,
    #[error("Unknown topic config name: {0}")]
    UnknownOfTopic(String),
    #[error("Unknown group config name: {0}")]
    UnknownOfGroup(String),
    #[error("Unknown client metrics configuration: {0}")]
    UnknownOfClientMetrics(String),
    #[error("There is no broker config {0}")]
    UnknownOurs(String),
    #[error(transparent)]
    Value(ValueError),
    #[error("{0}")]
    ValueOfBroker(ValueError),
    #[error(
        "conflict topic config setting min.compaction.lag.ms ({min}) > \
         max.compaction.lag.ms ({max})"
    )]
    CompactionLag { min: i64, max: i64 },
    #[error(
        "Tiered Storage functionality is disabled in the broker. Topic cannot be configured with \
         remote log storage."
    )]
    RemoteStorage,
    #[error("{key} must be {than} or equal to {limit}")]
    OutOfLimits { key: String, than: &'static str, limit: String },
    #[error("{session} must be greater than {heartbeat}")]
    HeartbeatTooLong { session: String, heartbeat: String },
    #[error("Invalid value {0} for interval.ms, interval must be between 100 and 3600000 (1 hour)")]
    Interval(i32),
    #[error("Illegal client matching pattern: {0}")]
    ClientPattern(String),
    #[error("Cannot update these configs dynamically: [{0}]")]
    ReadOnly(String),
    #[error(
        "Cannot update these configs at default cluster level, broker id must be specified: [{0}]"
    )]
    OnlyPerBroker(String),
    #[error(
        "These security configs can be dynamically updated only per-listener using the listener \
         prefix: [{0}]"
    )]
    OnlyPerListener(String),
    /// The broker could not run so.
    #[error("{0}")]
    Contradiction(String),
}

impl ChangeError {
    #[must_use]
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::NullValuesOfNewTopic(_)
            | Self::NotAList { .. }
            | Self::NotAListOfBroker(_)
            | Self::UnknownOfTopic(_)
            | Self::UnknownOfGroup(_)
            | Self::Value(_)
            | Self::CompactionLag { .. }
            | Self::RemoteStorage
            | Self::OutOfLimits { .. }
            | Self::HeartbeatTooLong { .. }
            | Self::ClientPattern(_) => ErrorCode::InvalidConfig,
            Self::DuplicateKeys
            | Self::NullValues(_)
            | Self::NoDefault(_)
            | Self::NoSubscription
            | Self::UnknownOfClientMetrics(_)
            | Self::UnknownOurs(_)
            | Self::ValueOfBroker(_)
            | Self::Interval(_)
            | Self::ReadOnly(_)
            | Self::OnlyPerBroker(_)
            | Self::OnlyPerListener(_)
            | Self::Contradiction(_) => ErrorCode::InvalidRequest,
        }
    }
}

/// The values after `alterations` of `current` ones, not yet judged.
pub fn alter(
    target: Target,
    current: &Entries,
    alterations: &[Alteration<'_>],
) -> Result<Entries, ChangeError> {
    named_once(alterations.iter().map(|alteration| alteration.key))?;
    let nulls: Vec<&str> = alterations
        .iter()
        .filter(|alteration| {
            alteration.operation != Operation::Delete && alteration.value.is_none()
        })
        .map(|alteration| alteration.key)
        .collect();
    if !nulls.is_empty() {
        return Err(ChangeError::NullValues(nulls.join(",")));
    }
    let mut altered = current.clone();
    for Alteration { key, operation, value } in alterations {
        let value = value.unwrap_or_default();
        let value = match operation {
            Operation::Delete => {
                altered.remove(*key);
                continue;
            }
            Operation::Set => value.to_owned(),
            Operation::Append | Operation::Subtract => {
                let default = default_list(target, key, *operation)?;
                let before = altered.get(*key).map_or(default, String::as_str);
                merged(before, value, *operation)
            }
        };
        altered.insert((*key).to_owned(), value);
    }
    Ok(altered)
}

fn named_once<'a>(mut keys: impl Iterator<Item = &'a str>) -> Result<(), ChangeError> {
    let mut seen = BTreeSet::new();
    if keys.all(|key| seen.insert(key)) { Ok(()) } else { Err(ChangeError::DuplicateKeys) }
}

/// What an unset list is, where the key is one.
fn default_list(
    target: Target,
    key: &str,
    operation: Operation,
) -> Result<&'static str, ChangeError> {
    let is_list = |definition: &&Definition| definition.kind == Type::List;
    // Kafka does not think of the lists of subscriptions as lists here.
    let definition = target.scope().find(key).filter(|_| target != Target::ClientMetrics);
    match definition.filter(is_list) {
        Some(definition) => Ok(definition.default.unwrap_or_default()),
        None if target.is_broker() => Err(ChangeError::NotAListOfBroker(key.to_owned())),
        None => Err(ChangeError::NotAList { operation, key: key.to_owned() }),
    }
}

fn merged(before: &str, value: &str, operation: Operation) -> String {
    let mut list: Vec<&str> = elements(before).collect();
    for element in elements(value) {
        match operation {
            Operation::Append if !list.contains(&element) => list.push(element),
            Operation::Subtract => list.retain(|other| *other != element),
            _ => {}
        }
    }
    list.join(",")
}

/// The values of a request that names all of them, as of a new topic; not yet judged.
pub fn replace<'a>(
    target: Target,
    values: impl IntoIterator<Item = (&'a str, Option<&'a str>), IntoIter: Clone>,
) -> Result<Entries, ChangeError> {
    let values = values.into_iter();
    named_once(values.clone().map(|(key, _)| key))?;
    let mut entries = Entries::new();
    let mut nulls = Vec::new();
    for (key, value) in values {
        match value {
            Some(value) => drop(entries.insert(key.to_owned(), value.to_owned())),
            None => nulls.push(key),
        }
    }
    match nulls.as_slice() {
        [] => Ok(entries),
        _ if target == Target::NewTopic => Err(ChangeError::NullValuesOfNewTopic(nulls.join(","))),
        _ => Err(ChangeError::NullValues(nulls.join(","))),
    }
}

impl ServerConfig {
    /// Whether a broker that is set to this could still run after such a change.
    pub(crate) fn survives(&self, target: Target, values: &Entries) -> Result<(), ChangeError> {
        let layers = &self.layers;
        let changed = match target {
            Target::AllBrokers => self.changed(values, &layers.broker),
            _ => self.changed(&layers.cluster, values),
        };
        let changed = changed.map_err(|error| ChangeError::Contradiction(error.to_string()))?;
        at_once::judge(layers, &changed.layers)
    }
}

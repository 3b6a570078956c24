//! All keys, as tables; one file for each area. Facts are Kafka 4.3.1's, words are ours.

mod client_metrics;
mod group;
mod group_topic;
mod log;
mod metrics;
pub(crate) mod milena;
mod network;
pub(crate) mod obsolete;
mod quorum;
mod quota;
mod remote;
mod replication;
mod security;
mod topic;
mod transaction;

use std::{collections::BTreeMap, sync::LazyLock};

use crate::definition::Definition;

/// What has keys of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    Broker,
    Topic,
    Group,
    /// A subscription to the metrics of clients.
    ClientMetrics,
}

type Keys = BTreeMap<&'static str, &'static Definition>;

static BROKER: LazyLock<Keys> = LazyLock::new(|| {
    by_name(&[
        network::KEYS,
        log::KEYS,
        remote::KEYS,
        replication::KEYS,
        group::KEYS,
        transaction::KEYS,
        quota::KEYS,
        quorum::KEYS,
        security::KEYS,
        metrics::KEYS,
        milena::KEYS,
    ])
});
static TOPIC: LazyLock<Keys> = LazyLock::new(|| by_name(&[topic::KEYS]));
static GROUP: LazyLock<Keys> = LazyLock::new(|| by_name(&[group_topic::KEYS]));
static CLIENT_METRICS: LazyLock<Keys> = LazyLock::new(|| by_name(&[client_metrics::KEYS]));

fn by_name(tables: &[&'static [Definition]]) -> Keys {
    tables.iter().copied().flatten().map(|key| (key.name, key)).collect()
}

impl Scope {
    fn table(self) -> &'static Keys {
        match self {
            Self::Broker => &BROKER,
            Self::Topic => &TOPIC,
            Self::Group => &GROUP,
            Self::ClientMetrics => &CLIENT_METRICS,
        }
    }

    /// All keys in the order of their names.
    pub fn keys(self) -> impl DoubleEndedIterator<Item = &'static Definition> {
        self.table().values().copied()
    }

    /// The key of that name. A broker's key may be set for one listener alone, as
    /// `listener.name.NAME.KEY`, or for one way to log in there.
    #[must_use]
    pub fn find(self, name: &str) -> Option<&'static Definition> {
        let found = self.table().get(name).copied();
        found.or_else(|| if self == Self::Broker { self.find(of_listener(name)?) } else { None })
    }
}

/// The key without the listener, or the listener and the mechanism, for which it is set.
pub(crate) fn of_listener(name: &str) -> Option<&str> {
    let (_, key) = name.strip_prefix("listener.name.")?.split_once('.')?;
    if BROKER.contains_key(key) {
        return Some(key);
    }
    let (_, key) = key.split_once('.')?;
    BROKER.contains_key(key).then_some(key)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::definition::Check;

    const SCOPES: [Scope; 4] = [Scope::Broker, Scope::Topic, Scope::Group, Scope::ClientMetrics];

    #[test]
    fn every_default_is_allowed_and_written_as_it_is_shown() {
        for key in SCOPES.into_iter().flat_map(Scope::keys) {
            if let Some(default) = key.default {
                assert_eq!(key.canonical(default).as_deref(), Ok(default), "{}", key.name);
            }
        }
    }

    #[test]
    fn no_secret_can_be_refused_and_so_be_shown_in_an_error() {
        let secrets = || SCOPES.into_iter().flat_map(Scope::keys).filter(|key| key.is_sensitive());
        assert!(secrets().count() > 5);
        assert!(secrets().all(|key| key.check == Check::None));
    }

    #[test]
    fn every_key_is_explained_in_its_own_words() {
        for scope in SCOPES {
            for key in scope.keys() {
                assert!(key.documentation.ends_with('.'), "{}", key.name);
            }
            let words: BTreeSet<_> = scope.keys().map(|key| key.documentation).collect();
            assert!(words.len() > scope.keys().count() / 2);
        }
    }

    #[test]
    fn synonyms_are_keys_of_the_broker_and_have_the_same_default() {
        for scope in SCOPES {
            for key in scope.keys().filter(|key| !key.synonyms.is_empty()) {
                let others = || key.synonyms.iter().filter_map(|(name, _)| BROKER.get(name));
                assert_eq!(others().count(), key.synonyms.len(), "{}", key.name);
                if scope == Scope::Broker {
                    assert!(others().any(|other| other.name == key.name), "{}", key.name);
                }
                // `flush.ms` is the one whose broker's default is another key's.
                let scaled = key.synonyms.iter().find_map(|(name, factor)| {
                    let default = BROKER[name].default?;
                    Some(match default.parse::<i64>() {
                        Ok(number) => (number * factor).to_string(),
                        Err(_) => default.to_owned(),
                    })
                });
                if scope != Scope::Broker {
                    assert_eq!(scaled.as_deref(), key.default, "{}", key.name);
                }
            }
        }
    }

    #[test]
    fn a_listener_s_key_is_the_broker_s() {
        for (name, key) in [
            ("listener.name.outside.ssl.keystore.location", "ssl.keystore.location"),
            ("listener.name.outside.scram-sha-256.sasl.jaas.config", "sasl.jaas.config"),
            ("listener.name.outside.max.connections", "max.connections"),
        ] {
            assert_eq!(Scope::Broker.find(name).unwrap().name, key);
        }
        assert!(Scope::Broker.find("listener.name.outside.nothing").is_none());
        assert!(Scope::Topic.find("listener.name.outside.max.connections").is_none());
    }
}

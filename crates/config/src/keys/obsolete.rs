//! Keys of older Kafkas that mean nothing any more: accepted, and answered with what to do instead.

/// A key, or its beginning where it ends with `*`, and what stands in its place.
type Obsolete = (&'static str, Successor);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Successor {
    /// The same value under another name; taken over unless that key is set too.
    Renamed(&'static str),
    /// Another key says it in another way.
    Use(&'static str),
    /// Nothing, and why.
    Nothing(&'static str),
}

use Successor::{Nothing, Renamed, Use};

const NO_ZOOKEEPER: Successor =
    Nothing("there is no ZooKeeper; the metadata quorum needs no setup");
const NO_VERSIONS: Successor = Nothing("versions are agreed on with each client and each broker");

#[rustfmt::skip]
const KEYS: &[Obsolete] = &[
    ("advertised.host.name", Use("advertised.listeners")),
    ("advertised.port", Use("advertised.listeners")),
    ("auto.include.jmx.reporter", Nothing("there is no JMX")),
    ("broker.id", Renamed("node.id")),
    ("broker.id.generation.enable", Use("node.id")),
    ("control.plane.listener.name", Use("controller.listener.names")),
    ("controlled.shutdown.max.retries", Use("controlled.shutdown.enable")),
    ("controlled.shutdown.retry.backoff.ms", Use("controlled.shutdown.enable")),
    ("delegation.token.master.key", Renamed("delegation.token.secret.key")),
    ("group.coordinator.new.enable", Use("group.coordinator.rebalance.protocols")),
    ("group.share.enable", Use("group.coordinator.rebalance.protocols")),
    ("host.name", Use("listeners")),
    ("inter.broker.protocol.version", NO_VERSIONS),
    ("leader.imbalance.per.broker.percentage", Use("auto.leader.rebalance.enable")),
    ("log.message.downconversion.enable", NO_VERSIONS),
    ("log.message.format.version", NO_VERSIONS),
    ("log.message.timestamp.difference.max.ms", Use("log.message.timestamp.before.max.ms")),
    ("offsets.commit.required.acks", Nothing("a commit always waits for all replicas in sync")),
    ("password.encoder.*", Nothing("passwords are not kept in ZooKeeper")),
    ("port", Use("listeners")),
    ("producer.purgatory.max.requests", Use("queued.max.requests")),
    ("quota.consumer.default", Nothing("quotas are set with kafka-configs --entity-default")),
    ("quota.producer.default", Nothing("quotas are set with kafka-configs --entity-default")),
    ("replica.lag.max.messages", Use("replica.lag.time.max.ms")),
    ("reserved.broker.max.id", Use("node.id")),
    ("zookeeper.*", NO_ZOOKEEPER),
];

pub(crate) fn successor(name: &str) -> Option<Successor> {
    let stands_for = |key: &str| match key.strip_suffix('*') {
        Some(beginning) => name.starts_with(beginning),
        None => name == key,
    };
    KEYS.iter().find(|(key, _)| stands_for(key)).map(|(_, successor)| *successor)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Scope;

    #[test]
    fn successors_are_keys_and_obsolete_keys_are_none() {
        for (name, successor) in KEYS {
            if let Renamed(key) | Use(key) = successor {
                assert!(Scope::Broker.find(key).is_some(), "{key}");
            }
            // Kafka itself still lists this one.
            assert!(Scope::Broker.find(name).is_none() || *name == "broker.id", "{name}");
        }
        assert_eq!(successor("zookeeper.connect"), Some(NO_ZOOKEEPER));
        assert_eq!(successor("ports"), None);
    }
}

//! What is known of a cluster: its brokers, and who leads which partition. Pure.

use std::{collections::BTreeMap, sync::Arc};

use milena_protocol::{ErrorCode, LeaderEpoch, Uuid, api::MetadataResponse};

/// The cluster as one immutable value. A newer one takes its place as a whole.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct View {
    /// How often something was learned. It only grows.
    pub version: u64,
    /// The cluster's id.
    pub cluster_id: Option<Box<str>>,
    /// Which broker to ask for changes of the cluster.
    pub controller_id: Option<i32>,
    /// The brokers by their ids.
    pub brokers: BTreeMap<i32, Broker>,
    /// The topics that somebody asked for, by name.
    pub topics: BTreeMap<Box<str>, Arc<Topic>>,
}

/// Where a broker is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Broker {
    /// Its id in the cluster.
    pub id: i32,
    /// Its host name or address.
    pub host: Box<str>,
    /// Its port.
    pub port: u16,
    /// Where it stands.
    pub rack: Option<Box<str>>,
}

/// What is known of a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Topic {
    /// Its name.
    pub name: Box<str>,
    /// Its id, which a topic of the same name does not have again; zero from old brokers.
    pub id: Uuid,
    /// Why nothing is known of it, if so.
    pub error: ErrorCode,
    /// Whether it is the cluster's own, such as `__consumer_offsets`.
    pub is_internal: bool,
    /// Its partitions, in order.
    pub partitions: Vec<Partition>,
}

/// What is known of a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Partition {
    /// Its number.
    pub index: i32,
    /// Who leads it; nobody if it is not to be had at the moment.
    pub leader: Option<i32>,
    /// In which epoch.
    pub leader_epoch: LeaderEpoch,
    /// Who holds it.
    pub replicas: Vec<i32>,
    /// Who of them is in sync.
    pub in_sync: Vec<i32>,
    /// Who of them is not there.
    pub offline: Vec<i32>,
}

impl Broker {
    /// `host:port`
    #[must_use]
    pub fn address(&self) -> String {
        // An IPv6 address has colons of its own.
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

impl Topic {
    /// A partition by its number.
    #[must_use]
    pub fn partition(&self, index: i32) -> Option<&Partition> {
        let at = usize::try_from(index).ok()?;
        self.partitions.get(at).filter(|partition| partition.index == index)
    }
}

impl View {
    /// A partition by name and number.
    #[must_use]
    pub fn partition(&self, topic: &str, index: i32) -> Option<&Partition> {
        self.topics.get(topic)?.partition(index)
    }

    /// A topic by its id.
    #[must_use]
    pub fn topic_by_id(&self, id: Uuid) -> Option<&Arc<Topic>> {
        self.topics.values().find(|topic| topic.id == id)
    }

    /// This view, and what an answer adds to it. Topics that `keep` does not want are forgotten.
    pub(crate) fn updated(
        &self,
        answer: &MetadataResponse<'_>,
        keep: impl Fn(&str) -> bool,
    ) -> Self {
        let brokers = answer.brokers.iter().map(|broker| {
            let known = Broker {
                id: broker.node_id,
                host: broker.host.into(),
                port: u16::try_from(broker.port).unwrap_or(0),
                rack: broker.rack.map(Into::into),
            };
            (known.id, known)
        });
        let mut topics = self.topics.clone();
        topics.retain(|name, _| keep(name));
        for told in &answer.topics {
            let Some(name) = told.name.filter(|name| keep(name)) else { continue };
            let known = self.topics.get(name);
            let mut topic = Topic {
                name: name.into(),
                id: told.topic_id,
                error: ErrorCode::from_number(told.error_code)
                    .unwrap_or(ErrorCode::UnknownServerError),
                is_internal: told.is_internal,
                partitions: told.partitions.iter().map(partition).collect(),
            };
            topic.partitions.sort_unstable_by_key(|partition| partition.index);
            if let Some(known) = known.filter(|known| known.id == topic.id) {
                keep_newer(&mut topic.partitions, &known.partitions);
            }
            // What is the same stays the same, so that others can tell by its address.
            let topic = match known {
                Some(known) if **known == topic => Arc::clone(known),
                _ => Arc::new(topic),
            };
            topics.insert(name.into(), topic);
        }
        Self {
            version: self.version + 1,
            cluster_id: answer.cluster_id.map(Into::into).or_else(|| self.cluster_id.clone()),
            controller_id: Some(answer.controller_id).filter(|id| *id >= 0),
            brokers: brokers.collect(),
            topics,
        }
    }
}

fn partition(
    told: &milena_protocol::api::metadata::response::MetadataResponsePartition,
) -> Partition {
    Partition {
        index: told.partition_index,
        leader: Some(told.leader_id).filter(|id| *id >= 0),
        leader_epoch: LeaderEpoch(told.leader_epoch),
        replicas: told.replica_nodes.clone(),
        in_sync: told.isr_nodes.clone(),
        offline: told.offline_replicas.clone(),
    }
}

/// A broker that lags behind may tell of an earlier leader than is known already (KIP-320).
fn keep_newer(partitions: &mut [Partition], known: &[Partition]) {
    for partition in partitions {
        let at = usize::try_from(partition.index).unwrap_or(usize::MAX);
        if let Some(known) = known.get(at).filter(|known| known.index == partition.index)
            && known.leader_epoch > partition.leader_epoch
            && partition.leader_epoch != LeaderEpoch::UNKNOWN
        {
            *partition = known.clone();
        }
    }
}

#[cfg(test)]
mod test {
    use milena_protocol::api::metadata::response::{
        MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
    };

    use super::*;

    fn answer(leader_id: i32, leader_epoch: i32, id: u128) -> MetadataResponse<'static> {
        let broker = MetadataResponseBroker { node_id: 1, host: "a", port: 9, rack: None };
        let partition = MetadataResponsePartition {
            partition_index: 0,
            leader_id,
            leader_epoch,
            ..Default::default()
        };
        let topic = MetadataResponseTopic {
            name: Some("t"),
            topic_id: Uuid::from_u128(id),
            partitions: vec![partition],
            ..Default::default()
        };
        MetadataResponse { brokers: vec![broker], topics: vec![topic], ..Default::default() }
    }

    #[test]
    fn an_earlier_leader_is_not_believed_but_one_of_a_new_topic_is() {
        let view = View::default().updated(&answer(1, 5, 7), |_| true);
        assert_eq!(view.partition("t", 0).unwrap().leader, Some(1));
        let late = view.updated(&answer(2, 4, 7), |_| true);
        assert_eq!(late.partition("t", 0).unwrap().leader, Some(1));
        assert!(Arc::ptr_eq(&view.topics["t"], &late.topics["t"]), "nothing has changed");
        let next = late.updated(&answer(2, 6, 7), |_| true);
        assert_eq!(next.partition("t", 0).unwrap().leader, Some(2));
        let again = next.updated(&answer(3, 0, 8), |_| true);
        assert_eq!(again.partition("t", 0).unwrap().leader, Some(3), "another topic of that name");
        assert_eq!(again.version, 4);
        assert!(again.updated(&answer(3, 0, 8), |_| false).topics.is_empty());
    }

    #[test]
    fn nobody_leads_is_not_a_broker() {
        let view = View::default().updated(&answer(-1, 5, 7), |_| true);
        assert_eq!(view.partition("t", 0).unwrap().leader, None);
        assert_eq!(view.partition("t", 1), None);
        assert_eq!(view.partition("t", -1), None);
    }
}

//! Looks at a cluster and changes it: topics, partitions, settings, groups, offsets and more.
//!
//! Each call asks whoever can answer: the controller, a group's coordinator, a partition's leader.
//! What may succeed later is tried again until `default.api.timeout.ms` is over. Where many things
//! are asked for at once each has its own result ([`Each`]), and one that fails does not hide what
//! became of the others.

mod acls;
mod cluster;
mod configs;
mod credentials;
mod group_offsets;
mod groups;
mod log_dirs;
mod offsets;
mod partitions;
mod producers;
mod quorum;
mod quotas;
mod telemetry;
mod tokens;
mod topic_partitions;
mod topics;
mod transactions;

use std::time::Duration;

use milena_protocol::ErrorCode;

pub use acls::{Acl, AclFilter, AclOperation, AclPatternType, AclPermission, AclResourceType};
pub use cluster::{ClusterDescription, Feature, FeatureChange};
pub use configs::{
    Config, ConfigChange, ConfigOperation, ConfigResource, ConfigSource, ConfigSynonym,
    ResourceKind,
};
pub use credentials::{CredentialChange, ScramCredential, ScramMechanism};
pub use groups::{GroupDescription, GroupKind, GroupListing, GroupMember};
pub use log_dirs::{LogDir, LogDirReplica};
pub use offsets::{FoundOffset, OffsetSpec};
pub use partitions::{MorePartitions, Reassignment};
pub use producers::ActiveProducer;
pub use quorum::{Quorum, QuorumReplica, VoterEndpoint};
pub use quotas::{Quota, QuotaChange, QuotaEntity, QuotaFilter};
pub use tokens::{DelegationToken, Principal};
pub use topic_partitions::PartitionDescription;
pub use topics::{CreatedTopic, NewTopic, TopicDescription, TopicPlacement};
pub use transactions::{
    AbortTransaction, FencedProducer, TransactionDescription, TransactionFilter, TransactionListing,
};

use crate::{
    ClientConfig, TopicPartition,
    cluster::{Cluster, CoordinatorKind, Lane, Node},
    error::{Error, Result},
    network::{Answer, Api},
};

/// What became of each of the things that were asked for, in the order of the question.
pub type Each<K, T = ()> = Vec<(K, Result<T>)>;

/// Whoever manages a cluster. Copies share connections.
///
/// ```no_run
/// # async fn example() -> milena_client::Result<()> {
/// use milena_client::{ClientConfig, admin::{Admin, NewTopic}};
///
/// let admin = Admin::connect(&ClientConfig::new("localhost:9092"))?;
/// for (name, created) in admin.create_topics(&[NewTopic::new("orders").partitions(3)]).await? {
///     println!("{name}: {} partitions", created?.partitions);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Admin {
    cluster: Cluster,
}

/// Whom to ask.
#[derive(Clone, Copy, Debug)]
enum To<'a> {
    Any,
    Controller,
    Broker(i32),
    Group(&'a str),
    Transaction(&'a str),
}

impl To<'_> {
    const fn coordinated(self) -> Option<(CoordinatorKind, &'static str)> {
        match self {
            Self::Group(_) => Some((CoordinatorKind::Group, "group")),
            Self::Transaction(_) => Some((CoordinatorKind::Transaction, "transaction")),
            Self::Any | Self::Controller | Self::Broker(_) => None,
        }
    }

    const fn key(&self) -> &str {
        match self {
            Self::Group(key) | Self::Transaction(key) => key,
            Self::Any | Self::Controller | Self::Broker(_) => "",
        }
    }
}

impl Admin {
    /// Begins to know a cluster. Nothing is asked yet; must be called within a tokio runtime, on
    /// which the connections will live.
    pub fn connect(config: &ClientConfig) -> Result<Self> {
        Ok(Self { cluster: Cluster::new(config)? })
    }

    fn limit(&self) -> Duration {
        self.cluster.config().default_api_timeout
    }

    /// How long a broker may take for a change, as requests carry it.
    fn request_timeout_ms(&self) -> i32 {
        i32::try_from(self.cluster.config().request_timeout.as_millis()).unwrap_or(i32::MAX)
    }

    /// Asks until there is an answer that `read` takes.
    async fn ask<A: Api, T>(
        &self,
        what: &str,
        to: To<'_>,
        request: &A::Request<'_>,
        read: impl Fn(&Answer<A>) -> Result<T>,
    ) -> Result<T> {
        self.ask_at_most(what, to, request, i16::MAX, read).await
    }

    /// The same in no higher version than this one.
    async fn ask_at_most<A: Api, T>(
        &self,
        what: &str,
        to: To<'_>,
        request: &A::Request<'_>,
        version_max: i16,
        read: impl Fn(&Answer<A>) -> Result<T>,
    ) -> Result<T> {
        let read = &read;
        let attempt = |number| async move {
            let done = async {
                let connection = self.node(to, number).await?.connection().await?;
                let version = connection.version::<A>()?.min(version_max);
                read(&connection.call_at::<A>(request, version).await?)
            };
            let done = done.await;
            if let (Err(error), Some((kind, _))) = (&done, to.coordinated())
                && Cluster::is_about_coordinator(error)
            {
                self.cluster.forget_coordinator(kind, to.key());
            }
            done
        };
        self.cluster.retry(what, self.limit(), attempt).await
    }

    async fn node(&self, to: To<'_>, attempt: usize) -> Result<std::sync::Arc<Node>> {
        if let Some((kind, _)) = to.coordinated() {
            return self.cluster.coordinator(kind, to.key()).await;
        }
        match to {
            To::Broker(id) => {
                self.broker_ids().await?;
                self.cluster.node(id, Lane::Coordination)
            }
            To::Controller => Ok(self.cluster.controller(attempt)),
            _ => Ok(self.cluster.any(attempt)),
        }
    }

    /// The brokers that are there.
    async fn broker_ids(&self) -> Result<Vec<i32>> {
        let mut view = self.cluster.view();
        if view.brokers.is_empty() {
            view = self.cluster.newer_view(self.limit()).await?;
        }
        Ok(view.brokers.keys().copied().collect())
    }
}

/// Asks again where nothing at all was done and all of it may be done later. What a broker says of
/// an unknown topic may change too, but whoever manages topics wants to know it now.
fn unless_later<K, T>(each: Each<K, T>) -> Result<Each<K, T>> {
    let is_later = |error: &Error| {
        let unknown = [ErrorCode::UnknownTopicOrPartition, ErrorCode::UnknownTopicId];
        error.is_retriable() && error.code().is_none_or(|code| !unknown.contains(&code))
    };
    match each.first() {
        Some((_, Err(first))) if each.iter().all(|(_, one)| one.as_ref().is_err_and(is_later)) => {
            Err(first.clone())
        }
        _ => Ok(each),
    }
}

/// One item's result by its code.
fn done<T>(what: String, code: i16, detail: Option<&str>, value: T) -> Result<T> {
    Error::check(&what, code, detail)?;
    Ok(value)
}

/// Partitions under the names of their topics, as requests have them.
fn by_topic<'p, T>(
    partitions: impl IntoIterator<Item = (&'p TopicPartition, T)>,
) -> std::collections::BTreeMap<&'p str, Vec<(i32, T)>> {
    let mut topics = std::collections::BTreeMap::<_, Vec<_>>::new();
    for (partition, value) in partitions {
        topics.entry(&*partition.topic).or_default().push((partition.partition, value));
    }
    topics
}

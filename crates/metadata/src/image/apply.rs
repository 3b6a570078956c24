//! Records become an image.

use milena_protocol::{Uuid, metadata::Value};

use super::{
    Broker, Delta, MetadataImage, RegisteredController,
    client_quotas::entity,
    configs::{ConfigResource, ResourceType},
    partition::Partition,
};
use crate::records::{self, RecordError};

/// Why a record cannot be what it claims to be. The metadata log is wrong then, or newer than we.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    #[error(transparent)]
    Record(#[from] RecordError),
    #[error("topic {0} with id {1} is there already")]
    TopicExists(String, Uuid),
    #[error("record of topic id {0}, which nobody created")]
    UnknownTopic(Uuid),
    #[error("record of partition {1} of topic id {0}, which nobody created")]
    UnknownPartition(Uuid, i32),
    #[error("record of broker {0} in epoch {1}, which did not register")]
    UnknownBroker(i32, i64),
    #[error("configuration of a resource of type {0}, which this version does not know")]
    UnknownResource(i8),
    #[error("metadata transactions do not nest, and end once")]
    Transaction,
}

/// An image in the making, with what changed since it was last taken.
///
/// Records of an unfinished metadata transaction are applied, and undone if it is aborted: whoever
/// publishes an image asks [`Replay::is_in_transaction`] first.
#[derive(Clone, Debug, Default)]
pub struct Replay {
    pub image: MetadataImage,
    pub delta: Delta,
    before_transaction: Option<Box<(MetadataImage, Delta)>>,
}

impl Replay {
    #[must_use]
    pub fn new(image: MetadataImage) -> Self {
        Self { image, ..Self::default() }
    }

    #[must_use]
    pub const fn is_in_transaction(&self) -> bool {
        self.before_transaction.is_some()
    }

    /// Applies one record as it lies in the log.
    pub fn apply_bytes(&mut self, bytes: &[u8]) -> Result<(), ApplyError> {
        self.apply(&records::decode(bytes)?)
    }

    pub fn apply(&mut self, record: &Value<'_>) -> Result<(), ApplyError> {
        match record {
            Value::BeginTransactionRecord(_) => {
                if self.is_in_transaction() {
                    return Err(ApplyError::Transaction);
                }
                let before = (self.image.clone(), self.delta.clone());
                self.before_transaction = Some(Box::new(before));
                Ok(())
            }
            Value::EndTransactionRecord(_) => {
                self.before_transaction.take().map(drop).ok_or(ApplyError::Transaction)
            }
            Value::AbortTransactionRecord(_) => {
                let before = self.before_transaction.take().ok_or(ApplyError::Transaction)?;
                let position = self.image.position;
                (self.image, self.delta) = *before;
                self.image.position = position;
                Ok(())
            }
            _ => apply(&mut self.image, &mut self.delta, record),
        }
    }
}

fn apply(
    image: &mut MetadataImage,
    delta: &mut Delta,
    record: &Value<'_>,
) -> Result<(), ApplyError> {
    match record {
        Value::TopicRecord(it) => {
            if !image.topics.insert(it.name, it.topic_id) {
                return Err(ApplyError::TopicExists(it.name.to_owned(), it.topic_id));
            }
            delta.topic_created(it.topic_id);
        }
        Value::PartitionRecord(it) => {
            let partition = Partition::from(it);
            if !image.topics.set_partition(it.topic_id, it.partition_id, partition) {
                return Err(ApplyError::UnknownTopic(it.topic_id));
            }
            delta.partition(it.topic_id, it.partition_id);
        }
        Value::PartitionChangeRecord(it) => {
            let unknown = || ApplyError::UnknownPartition(it.topic_id, it.partition_id);
            let partition = image.topics.partition_mut(it.topic_id, it.partition_id);
            partition.ok_or_else(unknown)?.apply(it);
            delta.partition(it.topic_id, it.partition_id);
        }
        Value::RemoveTopicRecord(it) => {
            let topic = image.topics.remove(it.topic_id);
            let topic = topic.ok_or(ApplyError::UnknownTopic(it.topic_id))?;
            let resource = ConfigResource::topic(&topic.name);
            if image.configs.remove(&resource) {
                delta.configs.insert(resource);
            }
            delta.topic_deleted(topic);
        }
        Value::ClearElrRecord(it) => clear_elr(image, delta, it.topic_name),
        Value::ConfigRecord(it) => {
            let kind = ResourceType::from_number(it.resource_type)
                .ok_or(ApplyError::UnknownResource(it.resource_type))?;
            let resource = ConfigResource::new(kind, it.resource_name);
            image.configs.set(&resource, it.name, it.value);
            delta.configs.insert(resource);
        }
        Value::ClientQuotaRecord(it) => {
            let value = (!it.remove).then_some(it.value);
            image.client_quotas.set(&entity(&it.entity), it.key, value);
            delta.client_quotas_changed = true;
        }
        Value::FeatureLevelRecord(it) => {
            image.features.set(it.name, it.feature_level);
            delta.features_changed = true;
        }
        Value::ProducerIdsRecord(it) => {
            image.next_producer_id = it.next_producer_id;
            delta.producer_ids_changed = true;
        }
        Value::UserScramCredentialRecord(it) => {
            image.scram.set(it);
            delta.scram_changed = true;
        }
        Value::RemoveUserScramCredentialRecord(it) => {
            image.scram.remove(it.name, it.mechanism);
            delta.scram_changed = true;
        }
        Value::NoOpRecord(_) | Value::ZkMigrationStateRecord(_) => {}
        _ if image.security.apply(record) => delta.security_changed = true,
        _ => return apply_to_cluster(image, delta, record),
    }
    Ok(())
}

fn apply_to_cluster(
    image: &mut MetadataImage,
    delta: &mut Delta,
    record: &Value<'_>,
) -> Result<(), ApplyError> {
    let change = |id, epoch, fenced| milena_protocol::metadata::BrokerRegistrationChangeRecord {
        broker_id: id,
        broker_epoch: epoch,
        fenced,
        ..Default::default()
    };
    let change = match record {
        Value::RegisterBrokerRecord(it) => {
            image.cluster.insert(Broker::from(it));
            delta.brokers.insert(it.broker_id);
            return Ok(());
        }
        Value::UnregisterBrokerRecord(it) => {
            if !image.cluster.remove(it.broker_id, it.broker_epoch) {
                return Err(ApplyError::UnknownBroker(it.broker_id, it.broker_epoch));
            }
            delta.brokers.insert(it.broker_id);
            return Ok(());
        }
        Value::RegisterControllerRecord(it) => {
            image.cluster.insert_controller(RegisteredController::from(it));
            return Ok(());
        }
        Value::BrokerRegistrationChangeRecord(it) => it.clone(),
        Value::FenceBrokerRecord(it) => change(it.id, it.epoch, 1),
        Value::UnfenceBrokerRecord(it) => change(it.id, it.epoch, -1),
        // All others were handled above.
        _ => return Ok(()),
    };
    if !image.cluster.change(&change) {
        return Err(ApplyError::UnknownBroker(change.broker_id, change.broker_epoch));
    }
    delta.brokers.insert(change.broker_id);
    Ok(())
}

/// An empty name means every topic.
fn clear_elr(image: &mut MetadataImage, delta: &mut Delta, topic: &str) {
    let has_elr = |partition: &Partition| {
        !partition.eligible_leader_replicas().is_empty() || !partition.last_known_elr().is_empty()
    };
    let topics = image.topics.iter().filter(|it| topic.is_empty() || &*it.name == topic);
    let found: Vec<(Uuid, i32)> = topics
        .flat_map(|topic| topic.partitions().map(move |(id, partition)| (topic.id, id, partition)))
        .filter(|(_, _, partition)| has_elr(partition))
        .map(|(topic, id, _)| (topic, id))
        .collect();
    for (topic, id) in found {
        if let Some(partition) = image.topics.partition_mut(topic, id) {
            partition.forget_elr();
            delta.partition(topic, id);
        }
    }
}

//! An image becomes records again: what a snapshot holds.

use bytes::Bytes;
use milena_protocol::metadata::{
    ClientQuotaRecord, ConfigRecord, FeatureLevelRecord, ProducerIdsRecord, TopicRecord, Value,
};

use super::{MetadataImage, entity_data};
use crate::records::{RecordError, encode};

impl MetadataImage {
    /// Hands over, one by one, the records that make this image out of nothing. Features come
    /// first, since they say how the others are read; a topic comes before its partitions.
    pub fn to_records(
        &self,
        mut take: impl FnMut(Bytes) -> Result<(), RecordError>,
    ) -> Result<(), RecordError> {
        let mut put = |record: Value<'_>| take(encode(&record)?);
        let (version, others): (Vec<_>, Vec<_>) =
            self.features.iter().partition(|(name, _)| *name == crate::METADATA_VERSION);
        for (name, feature_level) in version.into_iter().chain(others) {
            put(Value::FeatureLevelRecord(FeatureLevelRecord { name, feature_level }))?;
        }
        for controller in self.cluster.controllers() {
            put(Value::RegisterControllerRecord(controller.to_record()))?;
        }
        for broker in self.cluster.brokers() {
            put(Value::RegisterBrokerRecord(broker.to_record()))?;
        }
        for topic in self.topics.sorted() {
            put(Value::TopicRecord(TopicRecord { name: &topic.name, topic_id: topic.id }))?;
            for (id, partition) in topic.partitions() {
                put(Value::PartitionRecord(partition.to_record(topic.id, id)))?;
            }
        }
        for (resource, config) in self.configs.sorted() {
            for (name, value) in config {
                put(Value::ConfigRecord(ConfigRecord {
                    resource_type: resource.kind.number(),
                    resource_name: &resource.name,
                    name,
                    value: Some(value),
                }))?;
            }
        }
        for (entity, limits) in self.client_quotas.iter() {
            for (key, value) in limits {
                put(Value::ClientQuotaRecord(ClientQuotaRecord {
                    entity: entity_data(entity),
                    key,
                    value: *value,
                    remove: false,
                }))?;
            }
        }
        if self.next_producer_id > 0 {
            put(Value::ProducerIdsRecord(ProducerIdsRecord {
                broker_id: -1,
                broker_epoch: -1,
                next_producer_id: self.next_producer_id,
            }))?;
        }
        for record in self.scram.records() {
            put(Value::UserScramCredentialRecord(record))?;
        }
        self.security.records().try_for_each(|record| take(record.clone()))
    }
}

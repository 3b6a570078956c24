//! The controller's duties as stories: requests go in, and what is answered and what becomes of
//! the image is looked at. After each, the records alone must lead to the same image.

mod brokers;
mod client_quotas;
mod configs;
mod features;
mod isr;
mod partitions;
mod producer_ids;
mod random;
mod reassignment;
mod scram;
mod topics;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use milena_env::Random;
use milena_protocol::{
    ErrorCode, Message, Uuid,
    api::{
        BrokerHeartbeatRequest, BrokerRegistrationRequest, CreateTopicsRequest, alter_configs,
        broker_registration::request::Feature,
        create_topics::request::{CreatableReplicaAssignment, CreatableTopic},
        incremental_alter_configs::request::AlterableConfig,
    },
    metadata::{FeatureLevelRecord, Value},
    wire::Writer,
};

use super::{
    ApiError, BrokerHeartbeat, BrokerRegistration, Call, ConfigSchema, Controller,
    ControllerOptions, CreateTopics, EffectiveConfig, Now,
};
use crate::{
    METADATA_VERSION, METADATA_VERSION_LEVEL,
    image::{Config, ConfigResource, MetadataImage, Partition, Replay, ResourceType},
    records::Records,
};

pub(super) const CLUSTER: &str = "cluster";

/// Knows three settings of topics and nothing else.
#[derive(Debug)]
struct FewKeys;

impl ConfigSchema for FewKeys {
    fn validate(&self, resource: &ConfigResource, config: &Config) -> Result<(), ApiError> {
        let known = [
            "cleanup.policy",
            "retention.ms",
            "min.insync.replicas",
            "unclean.leader.election.enable",
        ];
        let unknown = config.keys().find(|key| !known.contains(&&***key));
        match unknown.filter(|_| resource.kind == ResourceType::Topic) {
            Some(key) => {
                let message = format!("Unknown topic config name: {key}");
                Err(ApiError::new(ErrorCode::InvalidConfig, message))
            }
            None => Ok(()),
        }
    }

    fn alter(
        &self,
        resource: &ConfigResource,
        current: &Config,
        changes: &[AlterableConfig<'_>],
    ) -> Result<Config, ApiError> {
        super::AnyConfig.alter(resource, current, changes)
    }

    fn replace(
        &self,
        resource: &ConfigResource,
        values: &[alter_configs::request::AlterableConfig<'_>],
    ) -> Result<Config, ApiError> {
        super::AnyConfig.replace(resource, values)
    }

    fn effective_topic_configs(&self, image: &MetadataImage, own: &Config) -> Vec<EffectiveConfig> {
        super::AnyConfig.effective_topic_configs(image, own)
    }
}

/// A controller and what became of its records.
pub(super) struct Story {
    pub(super) controller: Controller,
    replay: Replay,
    /// Every record so far.
    pub(super) recorded: Vec<Bytes>,
    pub(super) now: Now,
}

impl Story {
    /// A cluster of so many brokers, all unfenced, numbered from 1.
    pub(super) fn of(brokers: i32) -> Self {
        Self::with(brokers, |_| {})
    }

    pub(super) fn with(brokers: i32, adjust: impl FnOnce(&mut ControllerOptions)) -> Self {
        let mut options =
            ControllerOptions { cluster_id: CLUSTER.to_owned(), ..ControllerOptions::default() };
        adjust(&mut options);
        let controller = Controller::new(
            MetadataImage::default(),
            0,
            options,
            Arc::new(FewKeys),
            Random::from_seed(7),
        );
        let (replay, recorded, now) = Default::default();
        let mut story = Self { controller, replay, recorded, now };
        story.feature(METADATA_VERSION, METADATA_VERSION_LEVEL);
        for id in 1..=brokers {
            let epoch = story.register(id, id as u128, -1).unwrap();
            assert!(!story.beat(id, epoch, |_| {}).unwrap());
        }
        story
    }

    pub(super) fn feature(&mut self, name: &str, feature_level: i16) {
        let mut records = Records::default();
        let record = FeatureLevelRecord { name, feature_level };
        records.push(&Value::FeatureLevelRecord(record)).unwrap();
        let outcome = self.controller.add(records).unwrap();
        self.check(&outcome.records);
    }

    /// Asks, and hands the response to `look`.
    pub(super) fn ask<C: Call, T>(
        &mut self,
        request: &C::Request<'_>,
        look: impl FnOnce(C::Response<'_>) -> T,
    ) -> T {
        let version = <C::Request<'static> as Message<'static>>::VERSION_MAX;
        let mut writer = Writer::with_capacity(64);
        request.encode(&mut writer, version).unwrap();
        let body = writer.finish().unwrap().into_body().unwrap();
        let outcome = self.controller.handle(C::API, version, &body, self.now).unwrap();
        self.check(&outcome.records);
        look(C::Response::decode(&outcome.answer, version).unwrap().message)
    }

    /// What the records say is what the controller believes.
    pub(super) fn check(&mut self, records: &Records) {
        for record in records.iter() {
            self.replay.apply_bytes(record).unwrap();
            self.recorded.push(record.clone());
        }
        assert!(self.replay.image == *self.controller.image());
    }

    pub(super) fn image(&self) -> &MetadataImage {
        self.controller.image()
    }

    pub(super) fn pass(&mut self, time: Duration) {
        self.now.elapsed += time;
        self.now.wall_ms += time.as_millis() as i64;
    }

    /// The broker's epoch, or why it was refused.
    pub(super) fn register(
        &mut self,
        id: i32,
        life: u128,
        previous: i64,
    ) -> Result<i64, ErrorCode> {
        self.register_in_rack(id, life, previous, None)
    }

    pub(super) fn register_in_rack(
        &mut self,
        id: i32,
        life: u128,
        previous_broker_epoch: i64,
        rack: Option<&str>,
    ) -> Result<i64, ErrorCode> {
        let request = BrokerRegistrationRequest {
            broker_id: id,
            cluster_id: CLUSTER,
            incarnation_id: Uuid::from_u128(life << 32 | 1),
            features: vec![
                Feature {
                    name: METADATA_VERSION,
                    min_supported_version: 7,
                    max_supported_version: 30,
                },
                Feature {
                    name: "eligible.leader.replicas.version",
                    min_supported_version: 0,
                    max_supported_version: 1,
                },
            ],
            rack,
            log_dirs: vec![directory(id)],
            previous_broker_epoch,
            ..BrokerRegistrationRequest::default()
        };
        self.ask::<BrokerRegistration, _>(&request, |it| {
            code(it.error_code).map(|()| it.broker_epoch)
        })
    }

    /// Whether the broker is fenced after a heartbeat of one that has read everything.
    pub(super) fn beat(
        &mut self,
        broker_id: i32,
        broker_epoch: i64,
        adjust: impl FnOnce(&mut BrokerHeartbeatRequest),
    ) -> Result<bool, ErrorCode> {
        let mut request = BrokerHeartbeatRequest {
            broker_id,
            broker_epoch,
            current_metadata_offset: i64::MAX,
            ..BrokerHeartbeatRequest::default()
        };
        adjust(&mut request);
        self.ask::<BrokerHeartbeat, _>(&request, |it| code(it.error_code).map(|()| it.is_fenced))
    }

    pub(super) fn fence(&mut self, id: i32) {
        let epoch = self.image().cluster.broker(id).unwrap().epoch;
        assert!(self.beat(id, epoch, |it| it.want_fence = true).unwrap());
    }

    pub(super) fn unfence(&mut self, id: i32) {
        let epoch = self.image().cluster.broker(id).unwrap().epoch;
        assert!(!self.beat(id, epoch, |_| {}).unwrap());
    }

    /// Creates a topic with these replicas.
    pub(super) fn topic(&mut self, name: &str, replicas: &[&[i32]]) {
        let assignments = replicas.iter().enumerate().map(|(at, replicas)| {
            CreatableReplicaAssignment { partition_index: at as i32, broker_ids: replicas.to_vec() }
        });
        let topic = CreatableTopic {
            name,
            num_partitions: -1,
            replication_factor: -1,
            assignments: assignments.collect(),
            configs: Vec::new(),
        };
        let request = CreateTopicsRequest { topics: vec![topic], ..Default::default() };
        self.ask::<CreateTopics, _>(&request, |it| assert_eq!(it.topics[0].error_code, 0));
    }

    pub(super) fn partition(&self, topic: &str, id: i32) -> &Partition {
        self.image().topics.by_name(topic).unwrap().partition(id).unwrap()
    }

    /// Leader, leader epoch and ISR.
    pub(super) fn state(&self, topic: &str, id: i32) -> (i32, i32, Vec<i32>) {
        let partition = self.partition(topic, id);
        (partition.leader, partition.leader_epoch, partition.isr.to_vec())
    }
}

pub(super) fn directory(broker: i32) -> Uuid {
    Uuid::from_u128(0xd000 + broker as u128)
}

pub(super) fn code(number: i16) -> Result<(), ErrorCode> {
    match ErrorCode::from_number(number).unwrap() {
        ErrorCode::None => Ok(()),
        code => Err(code),
    }
}

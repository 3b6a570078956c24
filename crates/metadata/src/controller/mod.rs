//! The controller's core: (image, request, now) -> (records, answer). One file per duty.
//!
//! No file, socket or clock is touched here; chance comes from [`Random`]. A request is judged by
//! the image that all earlier requests lead to, committed or not. Who drives it commits the
//! records in the same order, or throws the whole controller away.

mod assignment;
mod brokers;
mod call;
mod client_quotas;
mod configs;
mod directories;
mod election;
mod error;
mod features;
mod isr;
mod liveness;
mod names;
mod partitions;
mod placement;
mod producer_ids;
mod reassignment;
mod scene;
mod schema;
mod scram;
#[cfg(test)]
mod test;
mod topics;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use milena_env::Random;
use milena_protocol::{DecodeError, EncodeError, api::ApiKey};

pub use call::{
    AllocateProducerIds, AlterClientQuotas, AlterConfigs, AlterPartition,
    AlterPartitionReassignments, AlterUserScramCredentials, AssignReplicasToDirs, BrokerHeartbeat,
    BrokerRegistration, Call, CreatePartitions, CreateTopics, DeleteTopics, ElectLeaders,
    IncrementalAlterConfigs, UnregisterBroker, UpdateFeatures,
};
pub use client_quotas::describe as describe_client_quotas;
pub use error::ApiError;
pub use names::validate_topic_name;
pub use reassignment::list as list_partition_reassignments;
pub use schema::{AnyConfig, ConfigSchema, EffectiveConfig};
pub use scram::describe as describe_user_scram_credentials;

use liveness::Sessions;
use scene::Scene;

use crate::{
    METADATA_VERSION, METADATA_VERSION_LEVEL, METADATA_VERSION_LEVEL_MIN,
    image::{ApplyError, Delta, MetadataImage, Replay, SupportedFeature},
    records::{RecordError, Records},
};

/// What an administrator sets, with Kafka's names.
#[derive(Clone, Debug)]
pub struct ControllerOptions {
    pub cluster_id: String,
    /// `num.partitions`
    pub default_partitions: i32,
    /// `default.replication.factor`
    pub default_replication_factor: i16,
    /// Partitions that one request may create.
    pub partitions_per_request_max: usize,
    /// `broker.session.timeout.ms`
    pub session_timeout: Duration,
    /// `delete.topic.enable`
    pub delete_topic_enable: bool,
    /// `unclean.leader.election.enable`
    pub unclean_leader_election: bool,
    /// `min.insync.replicas`
    pub min_insync_replicas: i32,
    /// A broker in this process, which lives as long as the controller does.
    pub own_broker: Option<i32>,
    /// The features that this version serves. `metadata.version` is always among them; a new
    /// cluster begins with each at its highest level.
    pub features: Vec<SupportedFeature>,
}

impl Default for ControllerOptions {
    fn default() -> Self {
        Self {
            cluster_id: String::new(),
            default_partitions: 1,
            default_replication_factor: 1,
            partitions_per_request_max: 10_000,
            session_timeout: Duration::from_secs(9),
            delete_topic_enable: true,
            unclean_leader_election: false,
            min_insync_replicas: 1,
            own_broker: None,
            features: vec![SupportedFeature {
                name: METADATA_VERSION.into(),
                min: METADATA_VERSION_LEVEL_MIN,
                max: METADATA_VERSION_LEVEL,
            }],
        }
    }
}

/// What time it is: on the wall, and since some moment.
#[derive(Clone, Copy, Debug, Default)]
pub struct Now {
    pub wall_ms: i64,
    pub elapsed: Duration,
}

/// What came of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// To be committed before the answer is given.
    pub records: Records,
    /// The body of the response.
    pub answer: Bytes,
}

/// Why a request has no answer at all.
#[derive(Debug, thiserror::Error)]
pub enum ControllerError {
    #[error("the controller does not serve {0:?}")]
    NotServed(ApiKey),
    #[error(transparent)]
    Request(#[from] DecodeError),
    #[error(transparent)]
    Answer(#[from] EncodeError),
    #[error(transparent)]
    Record(#[from] RecordError),
    #[error(transparent)]
    Apply(#[from] ApplyError),
}

#[derive(Debug)]
pub struct Controller {
    ahead: Replay,
    next_offset: i64,
    options: ControllerOptions,
    schema: Arc<dyn ConfigSchema>,
    sessions: Sessions,
    random: Random,
}

impl Controller {
    /// Begins with what is committed; the next record gets `next_offset`.
    #[must_use]
    pub fn new(
        image: MetadataImage,
        next_offset: i64,
        options: ControllerOptions,
        schema: Arc<dyn ConfigSchema>,
        random: Random,
    ) -> Self {
        let sessions = Sessions::default();
        Self { ahead: Replay::new(image), next_offset, options, schema, sessions, random }
    }

    /// The image that all requests so far lead to.
    #[must_use]
    pub const fn image(&self) -> &MetadataImage {
        &self.ahead.image
    }

    /// What changed since this was last asked.
    pub fn take_delta(&mut self) -> Delta {
        std::mem::take(&mut self.ahead.delta)
    }

    /// Serves one request, given as it lies on the wire behind its header.
    pub fn handle(
        &mut self,
        api: ApiKey,
        version: i16,
        body: &[u8],
        now: Now,
    ) -> Result<Outcome, ControllerError> {
        self.play(now, version, |scene| call::dispatch(scene, api, body))
    }

    /// Puts records of one's own among those of requests: at a cluster's first start.
    pub fn add(&mut self, records: Records) -> Result<Outcome, ControllerError> {
        self.advance(&records)?;
        Ok(Outcome { records, answer: Bytes::new() })
    }

    /// Fences one broker that was not heard of for too long, if there is one.
    pub fn expire(&mut self, now: Now) -> Result<Records, ControllerError> {
        self.play(now, 0, liveness::expire).map(|outcome| outcome.records)
    }

    /// When [`Controller::expire`] has to be asked next; `None` while nobody has to be watched.
    #[must_use]
    pub fn next_expiry(&self) -> Option<Duration> {
        let brokers = self.image().cluster.brokers();
        let watched = brokers
            .filter(|broker| !broker.is_fenced && Some(broker.id) != self.options.own_broker)
            .map(|broker| broker.id);
        self.sessions.next_expiry(self.options.session_timeout, watched)
    }

    fn play(
        &mut self,
        now: Now,
        version: i16,
        act: impl FnOnce(&mut Scene<'_>) -> Result<(), ControllerError>,
    ) -> Result<Outcome, ControllerError> {
        let mut outcome = Outcome::default();
        let mut scene = Scene {
            image: &self.ahead.image,
            options: &self.options,
            schema: &*self.schema,
            random: &mut self.random,
            sessions: &mut self.sessions,
            next_offset: self.next_offset,
            now,
            version,
            outcome: &mut outcome,
        };
        act(&mut scene)?;
        self.advance(&outcome.records)?;
        Ok(outcome)
    }

    fn advance(&mut self, records: &Records) -> Result<(), ControllerError> {
        for record in records.iter() {
            self.ahead.apply_bytes(record)?;
        }
        self.next_offset += records.len() as i64;
        Ok(())
    }
}

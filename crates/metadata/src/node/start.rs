//! The start: the quorum leads, a new cluster gets its first records, the own broker registers.

use std::{marker::PhantomData, sync::Arc};

use milena_protocol::{
    ErrorCode,
    api::{
        BrokerHeartbeatRequest, BrokerRegistrationRequest,
        broker_registration::request::{Feature, Listener},
    },
    metadata::{FeatureLevelRecord, Value},
};

use super::{Answer, BrokerOptions, NodeOptions, StartError, encode, serving::Serving, version};
use crate::{
    METADATA_VERSION, METADATA_VERSION_LEVEL,
    controller::{
        BrokerHeartbeat, BrokerRegistration, Call, Controller, ControllerError, ControllerOptions,
    },
    image::{MetadataImage, SupportedFeature},
    quorum::{QuorumOptions, RaftQuorum, Voter},
    records::Records,
};

impl Serving {
    /// Also says in which epoch the own broker is registered.
    pub(super) async fn start(options: NodeOptions) -> Result<(Self, i64), StartError> {
        let directory_id = options.directory.meta().directory_id.unwrap_or_default();
        let own = Voter { directory: directory_id, endpoints: options.controller_endpoints };
        let quorum = RaftQuorum::start(QuorumOptions {
            node_id: options.node_id,
            directory: Arc::clone(&options.directory),
            disk: options.disk,
            clock: Arc::clone(&options.clock),
            voters: [(options.node_id, own)].into(),
            drives_directory: options.drives_directory,
        })
        .await?;
        let image = MetadataImage::clone(&quorum.image().load());
        let is_new = image.features.level(METADATA_VERSION) == 0;
        let cluster_id = options.controller.cluster_id.clone();
        let features = options.controller.features.clone();
        let controller_options = ControllerOptions {
            own_broker: options.broker.as_ref().map(|_| options.node_id),
            ..options.controller
        };
        let controller = Controller::new(
            image,
            quorum.end_offset(),
            controller_options,
            options.schema,
            options.random,
        );
        let bytes_since_snapshot = quorum.bytes_behind_snapshot();
        let mut serving = Self {
            quorum,
            controller,
            directory: options.directory,
            clock: options.clock,
            on_failure: Some(options.on_failure),
            snapshot_bytes: options.snapshot_bytes,
            bytes_since_snapshot,
        };
        let mut records = Records::default();
        if is_new {
            records.append(serving.bootstrap(&features)?);
        } else {
            refuse_beyond(&serving.quorum.image().load(), &features)?;
        }
        let mut broker_epoch = -1;
        if let Some(broker) = options.broker {
            let (more, epoch) =
                serving.register(options.node_id, &cluster_id, &features, &broker)?;
            records.append(more);
            broker_epoch = epoch;
        }
        serving.commit(records).await?;
        serving.quorum.publish_to(options.publisher);
        Ok((serving, broker_epoch))
    }

    /// The first records of a new cluster: the levels at which it begins.
    fn bootstrap(&mut self, features: &[SupportedFeature]) -> Result<Records, StartError> {
        let mut records = Records::default();
        let version = (METADATA_VERSION, METADATA_VERSION_LEVEL);
        let others = features.iter().filter(|it| *it.name != *METADATA_VERSION);
        for (name, level) in [version].into_iter().chain(others.map(|it| (&*it.name, it.max))) {
            let record = FeatureLevelRecord { name, feature_level: level };
            records.push(&Value::FeatureLevelRecord(record)).map_err(ControllerError::from)?;
        }
        Ok(self.controller.add(records)?.records)
    }

    /// The own broker registers and is unfenced at once: it has seen all there is to see.
    fn register(
        &mut self,
        id: i32,
        cluster_id: &str,
        features: &[SupportedFeature],
        broker: &BrokerOptions,
    ) -> Result<(Records, i64), StartError> {
        let request = BrokerRegistrationRequest {
            broker_id: id,
            cluster_id,
            incarnation_id: broker.incarnation,
            listeners: broker
                .endpoints
                .iter()
                .map(|endpoint| Listener {
                    name: &endpoint.listener,
                    host: &endpoint.host,
                    port: endpoint.port,
                    security_protocol: endpoint.security_protocol,
                })
                .collect(),
            features: features
                .iter()
                .map(|feature| Feature {
                    name: &feature.name,
                    min_supported_version: feature.min,
                    max_supported_version: feature.max,
                })
                .collect(),
            rack: broker.rack.as_deref(),
            is_migrating_zk_broker: false,
            log_dirs: broker.directories.clone(),
            previous_broker_epoch: broker.previous_epoch,
        };
        let (mut records, answer) = self.ask::<BrokerRegistration>(&request)?;
        let answer = answer.message().map_err(ControllerError::from)?;
        refuse(answer.error_code)?;
        let beat = BrokerHeartbeatRequest {
            broker_id: id,
            broker_epoch: answer.broker_epoch,
            current_metadata_offset: i64::MAX,
            want_fence: false,
            ..BrokerHeartbeatRequest::default()
        };
        let (more, beaten) = self.ask::<BrokerHeartbeat>(&beat)?;
        refuse(beaten.message().map_err(ControllerError::from)?.error_code)?;
        records.append(more);
        Ok((records, answer.broker_epoch))
    }

    fn ask<C: Call>(
        &mut self,
        request: &C::Request<'_>,
    ) -> Result<(Records, Answer<C>), ControllerError> {
        let body = encode::<C>(request)?;
        let now = self.now();
        let outcome = self.controller.handle(C::API, version::<C>(), &body, now)?;
        Ok((outcome.records, Answer { bytes: outcome.answer, call: PhantomData }))
    }
}

/// Refuses a cluster that has finalised more than is served.
fn refuse_beyond(image: &MetadataImage, served: &[SupportedFeature]) -> Result<(), StartError> {
    let (mut used, mut lower) = (Vec::new(), String::new());
    for (name, level) in image.features.iter() {
        let most = served.iter().find(|it| *it.name == *name).map_or(0, |it| it.max);
        if level > most {
            used.push(format!("{name}={level}"));
            lower += &format!(" --feature {name}={most}");
        }
    }
    match used.is_empty() {
        true => Ok(()),
        false => Err(StartError::Features(used.join(", "), lower)),
    }
}

fn refuse(error_code: i16) -> Result<(), StartError> {
    match ErrorCode::from_number(error_code) {
        Some(ErrorCode::None) => Ok(()),
        Some(code) => Err(StartError::Registration(format!("{code:?}"))),
        None => Err(StartError::Registration(format!("error {error_code}"))),
    }
}

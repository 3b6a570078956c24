//! The brokers and controllers that registered.

use std::{collections::BTreeMap, sync::Arc};

use milena_protocol::{
    Uuid,
    metadata::{
        BrokerRegistrationChangeRecord, RegisterBrokerRecord, RegisterControllerRecord,
        register_broker::value::{BrokerEndpoint, BrokerFeature},
        register_controller::value::{ControllerEndpoint, ControllerFeature},
    },
};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    pub listener: Box<str>,
    pub host: Box<str>,
    pub port: u16,
    /// Kafka's number of the security protocol: 0 is PLAINTEXT, 1 SSL, 2 SASL_PLAINTEXT,
    /// 3 SASL_SSL.
    pub security_protocol: i16,
}

/// The levels of a feature that a node can work at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SupportedFeature {
    pub name: Box<str>,
    pub min: i16,
    pub max: i16,
}

/// Kafka's records of brokers and of controllers have the same parts under different names.
macro_rules! parts {
    ($endpoint:ident, $feature:ident) => {
        impl<'a> From<&'a Endpoint> for $endpoint<'a> {
            fn from(endpoint: &'a Endpoint) -> Self {
                Self {
                    name: &endpoint.listener,
                    host: &endpoint.host,
                    port: endpoint.port,
                    security_protocol: endpoint.security_protocol,
                }
            }
        }

        impl From<&$endpoint<'_>> for Endpoint {
            fn from(endpoint: &$endpoint<'_>) -> Self {
                Self {
                    listener: endpoint.name.into(),
                    host: endpoint.host.into(),
                    port: endpoint.port,
                    security_protocol: endpoint.security_protocol,
                }
            }
        }

        impl<'a> From<&'a SupportedFeature> for $feature<'a> {
            fn from(feature: &'a SupportedFeature) -> Self {
                Self {
                    name: &feature.name,
                    min_supported_version: feature.min,
                    max_supported_version: feature.max,
                }
            }
        }

        impl From<&$feature<'_>> for SupportedFeature {
            fn from(feature: &$feature<'_>) -> Self {
                Self {
                    name: feature.name.into(),
                    min: feature.min_supported_version,
                    max: feature.max_supported_version,
                }
            }
        }
    };
}

parts!(BrokerEndpoint, BrokerFeature);
parts!(ControllerEndpoint, ControllerFeature);

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broker {
    pub id: i32,
    pub epoch: i64,
    pub incarnation: Uuid,
    pub endpoints: Vec<Endpoint>,
    pub features: Vec<SupportedFeature>,
    pub rack: Option<Box<str>>,
    /// It gets no leadership and is shown to no client.
    pub is_fenced: bool,
    pub in_controlled_shutdown: bool,
    pub directories: Vec<Uuid>,
    /// Directories that get no new partitions; `None` where the broker never said.
    pub cordoned_directories: Option<Vec<Uuid>>,
}

impl Broker {
    /// It may lead partitions and be in their ISR.
    #[must_use]
    pub const fn is_active(&self) -> bool {
        !self.is_fenced && !self.in_controlled_shutdown
    }

    #[must_use]
    pub fn endpoint(&self, listener: &str) -> Option<&Endpoint> {
        self.endpoints.iter().find(|endpoint| &*endpoint.listener == listener)
    }

    #[must_use]
    pub fn to_record(&self) -> RegisterBrokerRecord<'_> {
        RegisterBrokerRecord {
            broker_id: self.id,
            is_migrating_zk_broker: false,
            incarnation_id: self.incarnation,
            broker_epoch: self.epoch,
            end_points: self.endpoints.iter().map(Into::into).collect(),
            features: self.features.iter().map(Into::into).collect(),
            rack: self.rack.as_deref(),
            fenced: self.is_fenced,
            in_controlled_shutdown: self.in_controlled_shutdown,
            log_dirs: self.directories.clone(),
            cordoned_log_dirs: self.cordoned_directories.clone(),
        }
    }

    fn apply(&mut self, change: &BrokerRegistrationChangeRecord) {
        match change.fenced {
            1 => self.is_fenced = true,
            -1 => self.is_fenced = false,
            _ => {}
        }
        if change.in_controlled_shutdown == 1 {
            self.in_controlled_shutdown = true;
        }
        if !change.log_dirs.is_empty() {
            self.directories.clone_from(&change.log_dirs);
        }
        if change.cordoned_log_dirs.is_some() {
            self.cordoned_directories.clone_from(&change.cordoned_log_dirs);
        }
    }
}

impl From<&RegisterBrokerRecord<'_>> for Broker {
    fn from(record: &RegisterBrokerRecord<'_>) -> Self {
        Self {
            id: record.broker_id,
            epoch: record.broker_epoch,
            incarnation: record.incarnation_id,
            endpoints: record.end_points.iter().map(Into::into).collect(),
            features: record.features.iter().map(Into::into).collect(),
            rack: record.rack.map(Into::into),
            is_fenced: record.fenced,
            in_controlled_shutdown: record.in_controlled_shutdown,
            directories: record.log_dirs.clone(),
            cordoned_directories: record.cordoned_log_dirs.clone(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegisteredController {
    pub id: i32,
    pub incarnation: Uuid,
    pub is_ready_for_migration: bool,
    pub endpoints: Vec<Endpoint>,
    pub features: Vec<SupportedFeature>,
}

impl RegisteredController {
    #[must_use]
    pub fn to_record(&self) -> RegisterControllerRecord<'_> {
        RegisterControllerRecord {
            controller_id: self.id,
            incarnation_id: self.incarnation,
            zk_migration_ready: self.is_ready_for_migration,
            end_points: self.endpoints.iter().map(Into::into).collect(),
            features: self.features.iter().map(Into::into).collect(),
        }
    }
}

impl From<&RegisterControllerRecord<'_>> for RegisteredController {
    fn from(record: &RegisterControllerRecord<'_>) -> Self {
        Self {
            id: record.controller_id,
            incarnation: record.incarnation_id,
            is_ready_for_migration: record.zk_migration_ready,
            endpoints: record.end_points.iter().map(Into::into).collect(),
            features: record.features.iter().map(Into::into).collect(),
        }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cluster {
    brokers: Arc<BTreeMap<i32, Broker>>,
    controllers: Arc<BTreeMap<i32, RegisteredController>>,
}

impl Cluster {
    /// Every registered broker, in the order of ids.
    pub fn brokers(&self) -> impl Iterator<Item = &Broker> {
        self.brokers.values()
    }

    #[must_use]
    pub fn broker(&self, id: i32) -> Option<&Broker> {
        self.brokers.get(&id)
    }

    #[must_use]
    pub fn is_active(&self, id: i32) -> bool {
        self.broker(id).is_some_and(Broker::is_active)
    }

    pub fn controllers(&self) -> impl Iterator<Item = &RegisteredController> {
        self.controllers.values()
    }

    pub(super) fn insert(&mut self, broker: Broker) {
        Arc::make_mut(&mut self.brokers).insert(broker.id, broker);
    }

    pub(super) fn insert_controller(&mut self, controller: RegisteredController) {
        Arc::make_mut(&mut self.controllers).insert(controller.id, controller);
    }

    pub(super) fn remove(&mut self, id: i32, epoch: i64) -> bool {
        let is_it = self.broker(id).is_some_and(|broker| broker.epoch == epoch);
        is_it && Arc::make_mut(&mut self.brokers).remove(&id).is_some()
    }

    /// Says whether there is such a broker in that epoch.
    pub(super) fn change(&mut self, change: &BrokerRegistrationChangeRecord) -> bool {
        let brokers = Arc::make_mut(&mut self.brokers);
        let Some(broker) = brokers.get_mut(&change.broker_id) else { return false };
        let is_it = broker.epoch == change.broker_epoch;
        if is_it {
            broker.apply(change);
        }
        is_it
    }
}

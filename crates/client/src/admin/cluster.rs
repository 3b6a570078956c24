//! The cluster as a whole: its brokers and what they can do.

use std::collections::BTreeMap;

use milena_protocol::api::{
    ApiVersionsRequest, DescribeClusterRequest, UpdateFeaturesRequest,
    update_features::request::FeatureUpdateKey,
};

use super::{Admin, Each, To, done};
use crate::{
    Broker,
    error::{Error, Result},
    network::{ApiVersions, DescribeCluster, UpdateFeatures},
};

/// A cluster and its brokers.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClusterDescription {
    /// The cluster's id.
    pub id: Box<str>,
    /// Which broker to ask for changes.
    pub controller: Option<i32>,
    /// The brokers, in the order of their ids.
    pub brokers: Vec<Broker>,
}

/// Something that brokers can do at several levels, such as `metadata.version`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Feature {
    /// Its name.
    pub name: Box<str>,
    /// The level that the whole cluster is at; 0 if it is off.
    pub finalized: i16,
    /// The lowest and highest level of the broker that was asked.
    pub supported: (i16, i16),
}

/// How a feature is to be changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeatureChange {
    /// Its name.
    pub name: Box<str>,
    /// The new level; 0 turns it off.
    pub level: i16,
    /// Whether it may go down: not at all (1), if nothing is lost (2), or whatever is lost (3).
    pub upgrade_type: i8,
}

impl Admin {
    /// The brokers, and who decides.
    pub async fn describe_cluster(&self) -> Result<ClusterDescription> {
        // Of brokers, not controllers.
        let request = DescribeClusterRequest { endpoint_type: 1, ..Default::default() };
        let what = "describe the cluster";
        self.ask::<DescribeCluster, _>(what, To::Any, &request, |answer| {
            let message = answer.message()?;
            Error::check(what, message.error_code, message.error_message)?;
            let brokers = message.brokers.iter().map(|broker| Broker {
                id: broker.broker_id,
                host: broker.host.into(),
                port: u16::try_from(broker.port).unwrap_or(0),
                rack: broker.rack.map(Into::into),
            });
            let mut brokers: Vec<_> = brokers.collect();
            brokers.sort_by_key(|broker| broker.id);
            Ok(ClusterDescription {
                id: message.cluster_id.into(),
                controller: Some(message.controller_id).filter(|id| *id >= 0),
                brokers,
            })
        })
        .await
    }

    /// What the brokers can do, and what they have agreed to do.
    pub async fn describe_features(&self) -> Result<Vec<Feature>> {
        let request = ApiVersionsRequest {
            client_software_name: "milena-client",
            client_software_version: env!("CARGO_PKG_VERSION"),
        };
        let what = "describe features";
        self.ask::<ApiVersions, _>(what, To::Any, &request, |answer| {
            let message = answer.message()?;
            Error::check(what, message.error_code, None)?;
            let mut features = BTreeMap::<&str, Feature>::new();
            for told in &message.supported_features {
                let feature = features.entry(told.name).or_default();
                feature.supported = (told.min_version, told.max_version);
            }
            for told in &message.finalized_features {
                features.entry(told.name).or_default().finalized = told.max_version_level;
            }
            let named = features.into_iter();
            Ok(named.map(|(name, it)| Feature { name: name.into(), ..it }).collect())
        })
        .await
    }

    /// Changes the levels of features. Newer brokers change all of them or none.
    pub async fn update_features(
        &self,
        changes: &[FeatureChange],
        validate_only: bool,
    ) -> Result<Each<Box<str>>> {
        let updates = changes.iter().map(|change| FeatureUpdateKey {
            feature: &change.name,
            max_version_level: change.level,
            allow_downgrade: change.upgrade_type > 1,
            upgrade_type: change.upgrade_type,
        });
        let request = UpdateFeaturesRequest {
            timeout_ms: self.request_timeout_ms(),
            feature_updates: updates.collect(),
            validate_only,
        };
        let what = "update features";
        self.ask::<UpdateFeatures, _>(what, To::Controller, &request, |answer| {
            let message = answer.message()?;
            Error::check(what, message.error_code, message.error_message)?;
            if message.results.is_empty() {
                return Ok(changes.iter().map(|change| (change.name.clone(), Ok(()))).collect());
            }
            let told = message.results.iter().map(|told| {
                let what = format!("update feature {}", told.feature);
                (told.feature.into(), done(what, told.error_code, told.error_message, ()))
            });
            Ok(told.collect())
        })
        .await
    }
}

//! Who coordinates a group or a transactional id.

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError},
};

use milena_protocol::{ErrorCode, api::FindCoordinatorRequest};

use super::{Broker, Cluster, Lane, Node};
use crate::{
    error::{Error, Result},
    network::FindCoordinator,
};

/// From this version on one request can ask for many.
const MANY_FROM: i16 = 4;

/// What is coordinated, by Kafka's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(i8)]
pub(crate) enum CoordinatorKind {
    Group = 0,
    Transaction = 1,
}

/// The answers so far. They hold until a broker says that it is another one.
pub(super) type Known = BTreeMap<(CoordinatorKind, Box<str>), Broker>;

impl Cluster {
    /// The coordinator, which is asked for if it is not known. One attempt.
    pub(crate) async fn coordinator(&self, kind: CoordinatorKind, key: &str) -> Result<Arc<Node>> {
        self.coordinator_on(kind, key, Lane::Coordination).await
    }

    /// The same for requests of another lane.
    pub(crate) async fn coordinator_on(
        &self,
        kind: CoordinatorKind,
        key: &str,
        lane: Lane,
    ) -> Result<Arc<Node>> {
        let known = self.known().get(&(kind, key.into())).cloned();
        let broker = match known {
            Some(broker) => broker,
            None => {
                let broker = self.find_coordinator(kind, key).await?;
                self.known().insert((kind, key.into()), broker.clone());
                broker
            }
        };
        Ok(self.node_at(&broker, lane))
    }

    /// It is another one now, or cannot be reached.
    pub(crate) fn forget_coordinator(&self, kind: CoordinatorKind, key: &str) {
        self.known().remove(&(kind, key.into()));
    }

    /// Whether an error means that the coordinator is to be looked for anew.
    pub(crate) fn is_about_coordinator(error: &Error) -> bool {
        match error {
            Error::Connection { .. } | Error::Timeout { .. } | Error::Protocol { .. } => true,
            Error::Broker { code, .. } => {
                matches!(code, ErrorCode::NotCoordinator | ErrorCode::CoordinatorNotAvailable)
            }
            _ => false,
        }
    }

    async fn find_coordinator(&self, kind: CoordinatorKind, key: &str) -> Result<Broker> {
        let connection = self.any(0).connection().await?;
        let version = connection.version::<FindCoordinator>()?;
        let request = FindCoordinatorRequest {
            key,
            key_type: kind as i8,
            coordinator_keys: if version >= MANY_FROM { vec![key] } else { Vec::new() },
        };
        let answer = connection.call_at::<FindCoordinator>(&request, version).await?;
        let message = answer.message()?;
        let what = format!("find the coordinator of {key}");
        let (code, text, id, host, port) = match message.coordinators.first() {
            Some(one) => (one.error_code, one.error_message, one.node_id, one.host, one.port),
            None => (
                message.error_code,
                message.error_message,
                message.node_id,
                message.host,
                message.port,
            ),
        };
        Error::check(&what, code, text)?;
        let port = u16::try_from(port).unwrap_or(0);
        Ok(Broker { id, host: host.into(), port, rack: None })
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.inner.coordinators.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

//! What a cluster calls a client whose metrics it wants to have.

use milena_protocol::{Uuid, api::GetTelemetrySubscriptionsRequest};

use super::{Admin, To};
use crate::{
    error::{Error, Result},
    network::GetTelemetrySubscriptions,
};

impl Admin {
    /// An id for this client that is its own in the cluster. Each call asks for a new one; older
    /// brokers have none.
    pub async fn client_instance_id(&self) -> Result<Uuid> {
        let request = GetTelemetrySubscriptionsRequest { client_instance_id: Uuid::ZERO };
        let what = "ask for an id of this client";
        self.ask::<GetTelemetrySubscriptions, _>(what, To::Any, &request, |answer| {
            let message = answer.message()?;
            Error::check(what, message.error_code, None)?;
            Ok(message.client_instance_id)
        })
        .await
    }
}

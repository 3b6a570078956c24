//! Ids for producers, no id twice in the whole cluster: the controller gives out blocks of them.

use std::ops::Range;

use milena_metadata::{MetadataNode, controller::AllocateProducerIds};
use milena_protocol::{ErrorCode, ProducerId, api::AllocateProducerIdsRequest};
use tokio::sync::Mutex;

#[derive(Debug, Default)]
pub(crate) struct ProducerIds {
    /// What is left of the block; who finds it empty asks for the next one, and the others wait.
    left: Mutex<Range<i64>>,
}

/// The controller gave no ids; whoever asked may ask again.
#[derive(Debug, thiserror::Error)]
#[error("the controller gave no producer ids: {0}")]
pub(crate) struct NoIds(String);

impl ProducerIds {
    pub(crate) async fn next(
        &self,
        metadata: &MetadataNode,
        broker: (i32, i64),
    ) -> Result<ProducerId, NoIds> {
        let mut left = self.left.lock().await;
        if let Some(id) = left.next() {
            return Ok(ProducerId(id));
        }
        let (broker_id, broker_epoch) = broker;
        let request = AllocateProducerIdsRequest { broker_id, broker_epoch };
        let no_ids = |error: &dyn std::fmt::Display| NoIds(error.to_string());
        let answer = metadata.call::<AllocateProducerIds>(&request).await;
        let answer = answer.map_err(|error| no_ids(&error))?;
        let block = answer.message().map_err(|error| no_ids(&error))?;
        if block.error_code != ErrorCode::None as i16 {
            let code = ErrorCode::from_number(block.error_code);
            return Err(NoIds(format!("error {}", code.map_or("unknown", ErrorCode::name))));
        }
        let start = block.producer_id_start;
        *left = start..start.saturating_add(block.producer_id_len.into());
        left.next().map(ProducerId).ok_or_else(|| NoIds("an empty block".to_owned()))
    }
}

//! FindCoordinator: which broker keeps the state of a group or of a transactional id. Its topic
//! comes into being when it is first looked for.

use std::collections::BTreeSet;

use milena_protocol::{
    ErrorCode,
    api::{
        FindCoordinatorRequest, FindCoordinatorResponse, find_coordinator::response::Coordinator,
    },
};

use super::{Call, Outcome};
use crate::{
    authorizer::{Operation, Resource},
    topics::{self, CONSUMER_OFFSETS, TRANSACTION_STATE},
};

const GROUP: i8 = 0;
const TRANSACTION: i8 = 1;

/// A broker, as a client reaches it.
struct Node {
    id: i32,
    host: Box<str>,
    port: i32,
}

pub(super) async fn handle(call: &Call<'_>, request: FindCoordinatorRequest<'_>) -> Outcome {
    if call.version < 4 {
        let found = find(call, request.key_type, request.key).await;
        let code = found.as_ref().err().copied().unwrap_or(ErrorCode::None);
        let node = found.unwrap_or_else(|_| nobody());
        return call.answer(&FindCoordinatorResponse {
            error_code: code as i16,
            error_message: Some(message(code)),
            node_id: node.id,
            host: &node.host,
            port: node.port,
            ..Default::default()
        });
    }
    let mut found = Vec::with_capacity(request.coordinator_keys.len());
    for key in &request.coordinator_keys {
        found.push((*key, find(call, request.key_type, key).await));
    }
    let nobody = nobody();
    let coordinators = found.iter().map(|(key, found)| {
        let node = found.as_ref().unwrap_or(&nobody);
        let code = found.as_ref().err().copied().unwrap_or(ErrorCode::None);
        Coordinator {
            key,
            node_id: node.id,
            host: &node.host,
            port: node.port,
            error_code: code as i16,
            error_message: Some(if code == ErrorCode::InvalidRequest { message(code) } else { "" }),
        }
    });
    call.answer(&FindCoordinatorResponse {
        coordinators: coordinators.collect(),
        ..Default::default()
    })
}

fn nobody() -> Node {
    Node { id: -1, host: "".into(), port: -1 }
}

/// What Kafka says beside the code.
const fn message(code: ErrorCode) -> &'static str {
    match code {
        ErrorCode::None => "NONE",
        ErrorCode::CoordinatorNotAvailable => "The coordinator is not available.",
        ErrorCode::GroupAuthorizationFailed => {
            "Not authorized to access group: Group authorization failed."
        }
        ErrorCode::InvalidRequest => "There are no coordinators of this kind.",
        _ => "",
    }
}

async fn find(call: &Call<'_>, kind: i8, key: &str) -> Result<Node, ErrorCode> {
    let may = |resource| call.may(Operation::Describe, resource);
    let name = match kind {
        GROUP if may(Resource::Group(key)) => CONSUMER_OFFSETS,
        GROUP => return Err(ErrorCode::GroupAuthorizationFailed),
        TRANSACTION if may(Resource::TransactionalId(key)) => TRANSACTION_STATE,
        TRANSACTION => return Err(ErrorCode::TransactionalIdAuthorizationFailed),
        _ => return Err(ErrorCode::InvalidRequest),
    };
    let broker = call.broker();
    if broker.image().topics.by_name(name).is_none() {
        topics::create_with_defaults(broker, BTreeSet::from([name])).await;
    }
    let image = broker.image();
    let partition = match kind {
        TRANSACTION => broker.coordinators.partition_of_transaction(&image, key),
        _ => broker.coordinators.partition_of_group(&image, key),
    };
    let leader = || {
        let topic = image.topics.by_name(name)?;
        let leader = image.cluster.broker(topic.partition(partition)?.leader)?;
        let endpoint = leader.endpoint(broker.listener_name(call.client.listener))?;
        Some(Node { id: leader.id, host: endpoint.host.clone(), port: endpoint.port.into() })
    };
    leader().ok_or(ErrorCode::CoordinatorNotAvailable)
}

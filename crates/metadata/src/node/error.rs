//! What can go wrong with the metadata node.

use crate::{
    controller::ControllerError,
    quorum::{ProposeError, QuorumError},
};

/// Why the node did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Quorum(#[from] QuorumError),
    #[error("cannot start the metadata thread: {0}")]
    Thread(#[from] std::io::Error),
    #[error(transparent)]
    Controller(#[from] ControllerError),
    #[error(transparent)]
    Propose(#[from] ProposeError),
    #[error("the cluster does not take this broker: {0}")]
    Registration(String),
    /// With what lowers them.
    #[error(
        "the cluster of this directory uses what is not served yet: {0}; start the Apache Kafka \
         that wrote it once more, and lower it with `kafka-features --bootstrap-server HOST:PORT \
         downgrade{1}`"
    )]
    Features(String, String),
    #[error("the metadata thread ended while it started")]
    Ended,
}

/// Why a request has no answer.
#[derive(Debug, thiserror::Error)]
pub enum MetadataError {
    #[error("this node is not the active controller; {0:?} may be")]
    NotController(Option<i32>),
    /// A request that cannot be written or read, or that the controller does not know.
    #[error("the controller could not serve the request: {0}")]
    Request(String),
    /// Nothing was changed; whoever tries again when there is room succeeds.
    #[error("disk full: the metadata log takes no more until there is room")]
    DiskFull,
    #[error("the metadata node has stopped")]
    Stopped,
}

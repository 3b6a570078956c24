//! The cluster's memory: which brokers, topics, partitions, settings and quotas there are, as one
//! log of Kafka's metadata records, and the controller that decides about them.
//!
//! - [`image`]: everything that is known, as one immutable value made from records.
//! - [`controller`]: (image, request, now) -> (records, answer); pure.
//! - [`quorum`]: makes records durable and agreed on; one log, Kafka's `__cluster_metadata-0`.
//! - [`MetadataNode`]: the thin shell around the three, on one thread of its own.
//!
//! # How a broker uses it
//! ```no_run
//! # use std::sync::Arc;
//! # use milena_metadata::{MetadataNode, NodeOptions, controller::CreateTopics, image::*};
//! # use milena_protocol::api::CreateTopicsRequest;
//! # async fn example(options: NodeOptions) -> Result<(), Box<dyn std::error::Error>> {
//! // Replays the log, elects, registers the own broker. Before it returns, the publisher was told
//! // of everything there is. Blocks for a few milliseconds.
//! let metadata: Arc<MetadataNode> = MetadataNode::start(options)?;
//!
//! // Readers never wait: the newest image, as of one record of the log.
//! let image = metadata.image();
//! let partition = image.topics.by_name("orders").and_then(|topic| topic.partition(0));
//! # drop(partition);
//!
//! // Whatever changes is a request of Kafka's protocol, in its newest version, to the controller.
//! // When the answer comes, the records are durable and the publisher has been called.
//! let request = CreateTopicsRequest::default();
//! let answer = metadata.call::<CreateTopics>(&request).await?;
//! for topic in &answer.message()?.topics {
//!     println!("{} {:?}", topic.name, topic.error_message);
//! }
//! # Ok(()) }
//! ```
//!
//! A [`Publisher`] gets every [`image::Delta`] with the image it leads to, in the order of the
//! log, on the metadata thread, before anybody sees the image or gets an answer: what a broker
//! keeps beside the image (partitions, groups) is up to date when the client hears of success.
//!
//! What is in a log directory and not in the image is the broker's to set aside:
//! [`image::Topics::partition`] by the topic id of `partition.metadata` tells.
#![forbid(unsafe_code)]

pub mod controller;
pub mod image;
mod node;
pub mod quorum;
pub mod records;

pub use node::{Answer, BrokerOptions, MetadataError, MetadataNode, NodeOptions, StartError};
pub use quorum::Publisher;

/// The topic whose one partition is the metadata log.
pub const METADATA_TOPIC: &str = "__cluster_metadata";

/// The feature whose level says which metadata records there may be.
pub const METADATA_VERSION: &str = "metadata.version";

/// The level of [`METADATA_VERSION`] that a new cluster gets: that of Kafka 4.3.
pub const METADATA_VERSION_LEVEL: i16 = 30;

/// The feature whose level says which kinds of groups there may be: from 1 on those to which the
/// broker assigns.
pub const GROUP_VERSION: &str = "group.version";

/// The feature whose level says which rules transactions follow: from 1 on their records can grow
/// new fields, from 2 on each transaction has an epoch of its own (KIP-890).
pub const TRANSACTION_VERSION: &str = "transaction.version";

/// The lowest level of [`METADATA_VERSION`] that can be served: that of Kafka 3.3.
pub const METADATA_VERSION_LEVEL_MIN: i16 = 7;

//! The small things that producer, consumer and admin have in common.

use std::{fmt, sync::Arc};

/// A partition of a topic. Copies share the name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicPartition {
    /// The topic's name.
    pub topic: Arc<str>,
    /// The partition's number.
    pub partition: i32,
}

impl TopicPartition {
    /// A partition by name and number.
    pub fn new(topic: impl Into<Arc<str>>, partition: i32) -> Self {
        Self { topic: topic.into(), partition }
    }
}

impl fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.topic, self.partition)
    }
}

/// How far a group has read a partition: what is to be read next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommittedOffset {
    /// The offset of the next record.
    pub offset: i64,
    /// The leader epoch of the last record that was read, if it is known.
    pub leader_epoch: Option<i32>,
    /// Whatever the group wants to remember beside it.
    pub metadata: Box<str>,
}

impl From<i64> for CommittedOffset {
    fn from(offset: i64) -> Self {
        Self { offset, leader_epoch: None, metadata: "".into() }
    }
}

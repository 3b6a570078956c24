//! Who is to have which partition in a group of the consumer protocol (KIP-848): Kafka's
//! server-side assignors as pure functions, from members and topics to the target assignment.
//!
//! The same group always gets the same answer. Nothing here knows of epochs, of records, or of who
//! still holds a partition: that is the group's.

mod balance;
mod range;
mod settle;
#[cfg(test)]
mod test;
mod uniform;

use std::collections::{BTreeMap, BTreeSet};

use milena_protocol::Uuid;

/// Partitions by topic.
pub(crate) type Assignment = BTreeMap<Uuid, BTreeSet<i32>>;

/// What an assignor may know of a member.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Member<'a> {
    /// That of a static member.
    pub(crate) instance_id: Option<&'a str>,
    pub(crate) rack_id: Option<&'a str>,
    /// All that it subscribes to, by name or by pattern. Members with the same topics may share the
    /// set: sets at one place in memory need no comparing.
    pub(crate) topics: &'a BTreeSet<Uuid>,
    /// What it was to have until now.
    pub(crate) assigned: &'a Assignment,
}

/// What an assignor may know of a topic.
#[derive(Debug, Clone, Default)]
pub(crate) struct Topic<'a> {
    pub(crate) partitions: i32,
    /// In which racks the replicas of each partition are; may end early where that is not known.
    pub(crate) racks: Vec<Vec<&'a str>>,
}

/// The ways to assign, by Kafka's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Assignor {
    /// As many for everyone, and as few moves as that takes.
    Uniform,
    /// Of every topic a range for each of its subscribers, in the same order: partitions with the
    /// same number meet at the same member.
    Range,
}

impl Assignor {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Uniform => "uniform",
            Self::Range => "range",
        }
    }

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        [Self::Uniform, Self::Range].into_iter().find(|assignor| assignor.name() == name)
    }

    /// What each member is to have, an entry for every one of them. A subscribed topic that is not
    /// among `topics` is gone, and nothing of it is given to anybody.
    pub(crate) fn assign<'a>(
        self,
        members: &BTreeMap<&'a str, Member<'_>>,
        topics: &BTreeMap<Uuid, Topic<'_>>,
    ) -> BTreeMap<&'a str, Assignment> {
        match self {
            Self::Uniform => uniform::assign(members, topics),
            Self::Range => range::assign(members, topics),
        }
    }
}

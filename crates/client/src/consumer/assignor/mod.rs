//! Who gets which partition in a classic group: Kafka's client-side assignors as pure functions.
//!
//! Range and round robin give exactly what Kafka's own give; the sticky ones are as balanced, and
//! move as little. The same group always gets the same answer, whoever leads it.

mod owners;
mod pool;
mod range;
mod round_robin;
mod sticky;
#[cfg(test)]
mod test;
pub(crate) mod user_data;

use std::{
    cmp::Ordering,
    collections::{BTreeMap, BTreeSet},
};

/// Partitions by topic.
pub(crate) type Assignment = BTreeMap<Box<str>, BTreeSet<i32>>;

/// What an assignor knows of a member.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Member {
    /// That of a static member.
    pub(crate) instance_id: Option<Box<str>>,
    pub(crate) rack: Option<Box<str>>,
    pub(crate) topics: BTreeSet<Box<str>>,
    /// What it says it has, and since which generation.
    pub(crate) owned: Assignment,
    pub(crate) generation: i32,
}

/// Of each topic, for each of its partitions, in which racks its replicas are.
pub(crate) type Topics = BTreeMap<Box<str>, Vec<BTreeSet<Box<str>>>>;

/// The members of a group by their ids, and the topics of which something is known.
#[derive(Clone, Debug, Default)]
pub(crate) struct Group {
    pub(crate) members: BTreeMap<Box<str>, Member>,
    pub(crate) topics: Topics,
}

/// An assignment for every member.
pub(crate) type Assignments = BTreeMap<Box<str>, Assignment>;

/// How the leader of a classic group divides partitions among the members.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Assignor {
    /// Of every topic a range for each of its subscribers: partitions with the same number meet at
    /// the same member. Members are preferred whose rack has a replica.
    Range,
    /// All partitions of all topics, one for each member in turn.
    RoundRobin,
    /// As many for everyone as can be, and as few moves as that takes. Everybody stops while the
    /// group agrees.
    Sticky,
    /// The same, and members go on with what they keep while the group agrees.
    CooperativeSticky,
}

impl Assignor {
    /// All there are.
    pub const ALL: [Self; 4] =
        [Self::Range, Self::RoundRobin, Self::Sticky, Self::CooperativeSticky];

    /// What groups call it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Range => "range",
            Self::RoundRobin => "roundrobin",
            Self::Sticky => "sticky",
            Self::CooperativeSticky => "cooperative-sticky",
        }
    }

    /// Kafka's class of it, as configurations name it.
    const fn class(self) -> &'static str {
        match self {
            Self::Range => "RangeAssignor",
            Self::RoundRobin => "RoundRobinAssignor",
            Self::Sticky => "StickyAssignor",
            Self::CooperativeSticky => "CooperativeStickyAssignor",
        }
    }

    /// The one that groups, or Kafka's configurations, call so.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        let class = name.rsplit('.').next().unwrap_or(name);
        Self::ALL.into_iter().find(|it| it.name() == name || it.class() == class)
    }

    /// Whether members keep what they have while the group agrees, if all members can.
    pub(crate) const fn is_cooperative(self) -> bool {
        matches!(self, Self::CooperativeSticky)
    }

    /// What each member is to have, an entry for every one of them.
    pub(crate) fn assign(self, group: &Group) -> Assignments {
        match self {
            Self::Range => range::assign(group),
            Self::RoundRobin => round_robin::assign(group),
            Self::Sticky => sticky::assign(group),
            Self::CooperativeSticky => {
                let mut assignments = sticky::assign(group);
                sticky::defer_moves(group, &mut assignments);
                assignments
            }
        }
    }
}

impl crate::config::Value for Assignor {
    fn parse(text: &str) -> Result<Self, String> {
        Self::from_name(text).ok_or_else(|| {
            let known = Self::ALL.map(Self::name).join(", ");
            format!("\"{text}\" is no assignor; there are {known}")
        })
    }
}

impl Group {
    /// The members in Kafka's order: static ones first, by their instances.
    fn in_order(&self) -> Vec<(&str, &Member)> {
        let mut members: Vec<_> = self.members.iter().map(|(id, member)| (&**id, member)).collect();
        members.sort_by(|(id, one), (other_id, other)| {
            match (&one.instance_id, &other.instance_id) {
                (Some(one), Some(other)) => by_java(one, other),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (None, None) => by_java(id, other_id),
            }
        });
        members
    }

    /// Nothing for anybody, to begin with.
    fn nothing(&self) -> Assignments {
        self.members.keys().map(|id| (id.clone(), Assignment::new())).collect()
    }
}

/// The order of texts in Java, which differs beyond the first 65536 characters of Unicode.
fn by_java(one: &str, other: &str) -> Ordering {
    one.encode_utf16().cmp(other.encode_utf16())
}

fn give(assignments: &mut Assignments, member: &str, topic: &str, partition: i32) {
    let Some(assignment) = assignments.get_mut(member) else { return };
    match assignment.get_mut(topic) {
        Some(partitions) => {
            partitions.insert(partition);
        }
        None => {
            assignment.insert(topic.into(), BTreeSet::from([partition]));
        }
    }
}

//! What members of a classic group tell each other through the coordinator: subscriptions and
//! assignments, as all of Kafka's consumers write them. Pure; read from strangers.

use milena_protocol::{
    Message,
    consumer::{
        ConsumerProtocolAssignment, ConsumerProtocolSubscription, assignment, subscription,
    },
    wire::{Frame, Writer},
};

use super::super::assignor::{Assignment, Assignor, Member, user_data};

/// Kafka's newest.
const SUBSCRIPTION_VERSION: i16 = 3;
/// All versions have the same fields.
const ASSIGNMENT_VERSION: i16 = 0;
/// From this version on members say what they own, and of which generation.
const OWNED_FROM: i16 = 1;
const GENERATION_FROM: i16 = 2;

/// What a member says when it joins.
#[derive(Clone, Debug)]
pub(super) struct Said<'a> {
    pub(super) topics: &'a [Box<str>],
    /// What it still has.
    pub(super) owned: &'a Assignment,
    /// What it was given last, and in which generation.
    pub(super) last: &'a Assignment,
    pub(super) generation: i32,
    pub(super) rack: &'a str,
}

/// A subscription for one of the member's assignors.
pub(super) fn write_subscription(assignor: Assignor, said: &Said<'_>) -> Vec<u8> {
    let user_data = match assignor {
        Assignor::Sticky if said.generation >= 0 => {
            Some(user_data::write_sticky(said.last, said.generation))
        }
        Assignor::CooperativeSticky => Some(user_data::write_cooperative(said.generation)),
        _ => None,
    };
    let owned = said.owned.iter().map(|(topic, partitions)| subscription::body::TopicPartition {
        topic,
        partitions: partitions.iter().copied().collect(),
    });
    let message = ConsumerProtocolSubscription {
        topics: said.topics.iter().map(|topic| &**topic).collect(),
        user_data: user_data.as_deref(),
        owned_partitions: owned.collect(),
        generation_id: said.generation,
        rack_id: Some(said.rack).filter(|rack| !rack.is_empty()),
    };
    write(&message, SUBSCRIPTION_VERSION)
}

/// A member as an assignor sees it. One whose subscription cannot be read gets nothing.
pub(super) fn read_subscription(assignor: Assignor, bytes: &[u8]) -> Member {
    let nothing = || Member { generation: -1, ..Member::default() };
    let Some((version, rest)) = version(bytes) else { return nothing() };
    let known = version.min(SUBSCRIPTION_VERSION);
    let Ok(decoded) = ConsumerProtocolSubscription::decode(rest, known) else { return nothing() };
    let said = decoded.message;
    let (mut owned, mut generation) = (Assignment::new(), -1);
    if version >= OWNED_FROM {
        for it in &said.owned_partitions {
            owned.entry(it.topic.into()).or_default().extend(&it.partitions);
        }
    }
    if version >= GENERATION_FROM {
        generation = said.generation_id;
    }
    match (assignor, said.user_data) {
        (Assignor::Sticky, data) => {
            let read = data.and_then(user_data::read_sticky);
            let (last, since) = read.unwrap_or_default();
            (owned, generation) = (last, since.unwrap_or(-1));
        }
        (Assignor::CooperativeSticky, Some(data)) if generation < 0 => {
            generation = user_data::read_cooperative(data).unwrap_or(-1);
        }
        _ => {}
    }
    Member {
        instance_id: None,
        rack: said.rack_id.map(Into::into),
        topics: said.topics.iter().map(|topic| (*topic).into()).collect(),
        owned,
        generation,
    }
}

/// What the leader gives to a member.
pub(super) fn write_assignment(assignment: &Assignment) -> Vec<u8> {
    let assigned = assignment.iter().map(|(topic, partitions)| assignment::body::TopicPartition {
        topic,
        partitions: partitions.iter().copied().collect(),
    });
    let message =
        ConsumerProtocolAssignment { assigned_partitions: assigned.collect(), user_data: None };
    write(&message, ASSIGNMENT_VERSION)
}

/// What the leader has given to this member; none if that cannot be read.
pub(super) fn read_assignment(bytes: &[u8]) -> Option<Assignment> {
    if bytes.is_empty() {
        return Some(Assignment::new());
    }
    let (version, rest) = version(bytes)?;
    let decoded = ConsumerProtocolAssignment::decode(rest, version.min(SUBSCRIPTION_VERSION));
    let mut assignment = Assignment::new();
    for it in decoded.ok()?.message.assigned_partitions {
        assignment.entry(it.topic.into()).or_default().extend(it.partitions);
    }
    Some(assignment)
}

fn version(bytes: &[u8]) -> Option<(i16, &[u8])> {
    let (version, rest) = bytes.split_first_chunk()?;
    Some((i16::from_be_bytes(*version), rest)).filter(|(version, _)| *version >= 0)
}

/// The version and the message. Names that are too long to write leave nothing, which a leader
/// takes for no subscription.
fn write<'a>(message: &impl Message<'a>, version: i16) -> Vec<u8> {
    let mut writer = Writer::with_capacity(256);
    let encoded = message.encode(&mut writer, version).and_then(|()| writer.finish());
    let body = encoded.ok().and_then(Frame::into_body).unwrap_or_default();
    [&version.to_be_bytes()[..], &body].concat()
}

#[cfg(test)]
mod test {
    use std::collections::BTreeSet;

    use super::*;

    fn owned() -> Assignment {
        Assignment::from([("t".into(), BTreeSet::from([0, 3])), ("u".into(), BTreeSet::from([1]))])
    }

    #[test]
    fn what_a_member_says_is_what_the_leader_reads() {
        let topics = ["t".into(), "u".into()];
        let nothing = Assignment::new();
        let eager =
            Said { topics: &topics, owned: &nothing, last: &owned(), generation: 7, rack: "r1" };
        let read =
            read_subscription(Assignor::Sticky, &write_subscription(Assignor::Sticky, &eager));
        assert_eq!((read.owned, read.generation), (owned(), 7), "from its user data");
        let owned = owned();
        let cooperative = Said { owned: &owned, ..eager };
        for assignor in [Assignor::Range, Assignor::CooperativeSticky] {
            let read = read_subscription(assignor, &write_subscription(assignor, &cooperative));
            assert_eq!((&read.owned, read.generation), (&owned, 7));
            assert_eq!(read.rack.as_deref(), Some("r1"));
            assert_eq!(read.topics, BTreeSet::from(topics.clone()));
        }
    }

    #[test]
    fn assignments_come_back_as_they_were() {
        assert_eq!(read_assignment(&write_assignment(&owned())), Some(owned()));
        assert_eq!(read_assignment(&[]), Some(Assignment::new()), "nobody gave anything");
    }

    #[test]
    fn what_strangers_say_is_read_or_not() {
        let whole = write_assignment(&owned());
        for length in 1..whole.len() {
            assert_eq!(read_assignment(&whole[..length]), None);
            let read = read_subscription(Assignor::Range, &whole[..length]);
            assert!(read.topics.is_empty() || length > 6);
        }
    }

    /// A Java member of a newer version may say more than is known here.
    #[test]
    fn a_newer_version_is_read_as_far_as_it_is_known() {
        let mut bytes = write_assignment(&owned());
        bytes.splice(..2, 9_i16.to_be_bytes());
        bytes.extend_from_slice(b"more");
        assert_eq!(read_assignment(&bytes), Some(owned()));
    }
}

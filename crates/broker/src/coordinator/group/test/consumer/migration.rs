//! Stories of groups that go from one protocol to the other, and of those who speak both.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use milena_env::Random;
use milena_protocol::{
    consumer::{
        ConsumerProtocolAssignment, ConsumerProtocolSubscription,
        subscription::body::TopicPartition,
    },
    wire::{Message, Writer},
};

use super::{super::Rig, Consumer, describe};
use crate::coordinator::group::{
    GroupError, Members,
    classic::{HeartbeatRequest, JoinRequest, Joined, Leaving, SyncRequest},
};

/// A consumer that speaks the classic protocol and gives up only what it must.
#[derive(Debug, Default)]
struct Guest {
    id: String,
    instance: Option<String>,
    generation: i32,
    has: BTreeSet<i32>,
}

fn bytes(version: i16, body: Writer) -> Vec<u8> {
    let body = body.finish().unwrap().into_body().unwrap();
    [&version.to_be_bytes()[..], &body].concat()
}

impl Guest {
    fn subscription(&self) -> Vec<u8> {
        let partitions = self.has.iter().copied().collect();
        let told = ConsumerProtocolSubscription {
            topics: vec!["t"],
            owned_partitions: vec![TopicPartition { topic: "t", partitions }],
            ..Default::default()
        };
        let mut writer = Writer::with_capacity(64);
        told.encode(&mut writer, 1).unwrap();
        bytes(1, writer)
    }

    /// Asks to join; answered when the others have come, in a classic group.
    fn asks(
        &self,
        rig: &mut Rig,
    ) -> super::super::Answer<crate::coordinator::group::classic::JoinAnswer> {
        let subscription = self.subscription();
        let request = JoinRequest {
            group: "g",
            member_id: &self.id,
            instance_id: self.instance.as_deref(),
            client_id: "c",
            client_host: "/127.0.0.1",
            session_timeout_ms: 10_000,
            rebalance_timeout_ms: 30_000,
            protocol_type: "consumer",
            protocols: vec![("range", &subscription)],
            reason: "",
            requires_member_id: false,
            supports_skip_assignment: false,
        };
        rig.asks(|groups, scene, reply| groups.join(&request, scene, reply))
    }

    fn take(&mut self, joined: &Joined) {
        assert_eq!(joined.protocol.as_deref(), Some("range"));
        self.id = joined.member_id.to_string();
        self.generation = joined.generation;
    }

    fn join(&mut self, rig: &mut Rig) -> Result<(), GroupError> {
        let joined = self.asks(rig).take().expect("an answer at once");
        let joined = joined.map_err(|refused| refused.error)?;
        assert_eq!((&joined.leader, joined.members.len()), (&None, 0));
        self.take(&joined);
        Ok(())
    }

    fn sync(&mut self, rig: &mut Rig, shares: &[(&str, &[u8])]) -> Result<(), GroupError> {
        let request = SyncRequest {
            group: "g",
            member_id: &self.id,
            instance_id: self.instance.as_deref(),
            generation: self.generation,
            protocol_type: Some("consumer"),
            protocol: Some("range"),
            assignments: shares.to_vec(),
        };
        let mut synced = rig.asks(|groups, scene, reply| groups.sync(&request, scene, reply));
        let synced = synced.take().expect("an answer at once")?;
        let told = ConsumerProtocolAssignment::decode(&synced.assignment[2..], 1).unwrap().message;
        self.has = told.assigned_partitions.into_iter().flat_map(|it| it.partitions).collect();
        Ok(())
    }

    fn beat(&self, rig: &mut Rig) -> Result<(), GroupError> {
        let request = HeartbeatRequest {
            group: "g",
            member_id: &self.id,
            instance_id: self.instance.as_deref(),
            generation: self.generation,
        };
        rig.happens(|groups, scene| groups.heartbeat(&request, scene))
    }

    /// Does what a client does every few seconds; whether nothing was left to do.
    fn lives(&mut self, rig: &mut Rig) -> bool {
        match self.beat(rig) {
            Ok(()) => return true,
            Err(GroupError::RebalanceInProgress) => {}
            Err(error) => panic!("{self:?}: {error}"),
        }
        self.join(rig).unwrap();
        self.sync(rig, &[]).unwrap();
        false
    }
}

/// A share of topic `t`, as a leader gives it.
fn share(partitions: &[i32]) -> Vec<u8> {
    let topic = milena_protocol::consumer::assignment::body::TopicPartition {
        topic: "t",
        partitions: partitions.to_vec(),
    };
    let told = ConsumerProtocolAssignment { assigned_partitions: vec![topic], user_data: None };
    let mut writer = Writer::with_capacity(64);
    told.encode(&mut writer, 1).unwrap();
    bytes(1, writer)
}

fn is_classic(rig: &Rig) -> bool {
    matches!(rig.core.get("g").unwrap().members, Members::Classic(_))
}

/// Two members of a classic group share four partitions.
fn classic(rig: &mut Rig) -> [Guest; 2] {
    let mut guests = [Guest::default(), Guest::default()];
    let mut waiting = guests.each_ref().map(|guest| guest.asks(rig));
    rig.passes(Duration::from_secs(6));
    let joined = waiting.each_mut().map(|it| it.take().unwrap().unwrap());
    for (guest, joined) in guests.iter_mut().zip(&joined) {
        guest.take(joined);
    }
    let leader = usize::from(joined[1].leader.as_ref() == Some(&joined[1].member_id));
    let shares = [share(&[0, 1]), share(&[2, 3])];
    let ids = joined.each_ref().map(|it| it.member_id.to_string());
    let shares: Vec<(&str, &[u8])> = vec![(&ids[0], &shares[0]), (&ids[1], &shares[1])];
    guests[leader].sync(rig, &shares).unwrap();
    guests[1 - leader].sync(rig, &[]).unwrap();
    guests
}

/// Everybody lives on; nobody ever has what another has. Until all have their share.
fn settle(rig: &mut Rig, guests: &mut [Guest], consumers: &mut [Consumer]) {
    for _ in 0..20 {
        rig.passes(Duration::from_secs(3));
        let mut is_calm = true;
        for guest in guests.iter_mut() {
            is_calm &= guest.lives(rig);
        }
        for consumer in consumers.iter_mut() {
            consumer.let_go();
            consumer.beat(rig).unwrap();
        }
        let mut owners = BTreeMap::new();
        let of_guests = guests.iter().flat_map(|it| it.has.iter().map(|at| (*at, &it.id)));
        let of_consumers =
            consumers.iter().flat_map(|it| it.has.iter().map(|(_, at)| (*at, &it.id)));
        for (partition, owner) in of_guests.chain(of_consumers) {
            let other = owners.insert(partition, owner);
            assert_eq!(other, None, "{partition} belongs to {owner}, too");
        }
        if is_calm && owners.len() == 4 {
            return;
        }
    }
    panic!("the group does not settle: {guests:?} {consumers:?}");
}

#[test]
fn a_consumer_that_joins_upgrades_a_group_and_downgrades_it_when_it_leaves() {
    let mut rig = Rig::new(&[]);
    rig.topic("t", 4);
    let mut guests = classic(&mut rig);
    let generation = guests[0].generation;
    let mut consumers = [Consumer::new("new", &["t"])];
    consumers[0].join(&mut rig).unwrap();
    assert!(!is_classic(&rig) && consumers[0].has.is_empty());
    assert_eq!(describe(&mut rig).unwrap().epoch, generation + 1);
    rig.reload();
    let described = describe(&mut rig).unwrap();
    assert_eq!(described.members.iter().filter(|member| member.is_classic).count(), 2);
    settle(&mut rig, &mut guests, &mut consumers);
    let counts = [guests[0].has.len(), guests[1].has.len(), consumers[0].has.len()];
    assert!(counts.iter().all(|count| (1..=2).contains(count)), "{counts:?}");
    rig.reload();
    settle(&mut rig, &mut guests, &mut consumers);
    let epoch = describe(&mut rig).unwrap().epoch;
    consumers[0].leave(&mut rig, -1).unwrap();
    assert!(is_classic(&rig));
    // They gather for the next generation.
    assert!(matches!(guests[0].beat(&mut rig), Err(GroupError::RebalanceInProgress)));
    let mut waiting = guests.each_ref().map(|guest| guest.asks(&mut rig));
    let joined = waiting.each_mut().map(|it| it.take().unwrap().unwrap());
    assert!(joined.iter().all(|it| it.generation == epoch + 1));
    assert_eq!(joined.iter().map(|it| it.members.len()).sum::<usize>(), 2);
    rig.reload();
    assert!(is_classic(&rig));
}

#[test]
fn who_is_lost_downgrades_the_group_as_well() {
    let mut rig = Rig::new(&[]);
    rig.topic("t", 4);
    let mut guests = classic(&mut rig);
    let mut consumers = [Consumer::new("new", &["t"])];
    consumers[0].join(&mut rig).unwrap();
    settle(&mut rig, &mut guests, &mut consumers);
    for _ in 0..20 {
        rig.passes(Duration::from_secs(3));
        let told = guests.each_ref().map(|guest| guest.beat(&mut rig));
        if told[0].is_err() {
            break;
        }
    }
    assert!(is_classic(&rig));
}

#[test]
fn where_migration_is_not_allowed_no_group_changes_its_protocol() {
    let mut rig = Rig::new(&[("group.consumer.migration.policy", "disabled")]);
    rig.topic("t", 4);
    let guests = classic(&mut rig);
    let told = Consumer::new("new", &["t"]).join(&mut rig);
    assert!(matches!(told, Err(GroupError::OtherProtocol(_))), "{told:?}");
    guests[0].beat(&mut rig).unwrap();
    let mut rig = Rig::new(&[("group.consumer.migration.policy", "disabled")]);
    rig.topic("t", 4);
    Consumer::new("new", &["t"]).join(&mut rig).unwrap();
    let told = Guest::default().join(&mut rig);
    assert!(matches!(told, Err(GroupError::InconsistentGroupProtocol)), "{told:?}");
}

#[test]
fn a_group_with_assignments_that_nobody_else_understands_is_not_upgraded() {
    let mut rig = Rig::new(&[]);
    rig.topic("t", 4);
    let [mut one, mut two] = [Guest::default(), Guest::default()];
    let mut waiting = [one.asks(&mut rig), two.asks(&mut rig)];
    rig.passes(Duration::from_secs(6));
    one.take(&waiting[0].take().unwrap().unwrap());
    two.take(&waiting[1].take().unwrap().unwrap());
    // The leader gives what only its own assignor understands.
    let ids = [one.id.clone(), two.id.clone()];
    let shares: Vec<(&str, &[u8])> = vec![(&ids[0], b"own"), (&ids[1], b"own")];
    for guest in [&one, &two] {
        let request = SyncRequest {
            group: "g",
            member_id: &guest.id,
            instance_id: None,
            generation: guest.generation,
            protocol_type: None,
            protocol: None,
            assignments: shares.clone(),
        };
        rig.asks(|groups, scene, reply| groups.sync(&request, scene, reply));
    }
    let told = Consumer::new("new", &["t"]).join(&mut rig);
    assert!(matches!(told, Err(GroupError::OtherProtocol(_))), "{told:?}");
    assert!(is_classic(&rig));
    one.beat(&mut rig).unwrap();
}

#[test]
fn an_empty_group_becomes_what_the_next_member_speaks() {
    let mut rig = Rig::new(&[]);
    rig.topic("t", 4);
    let mut new = Consumer::new("new", &["t"]);
    new.join(&mut rig).unwrap();
    new.leave(&mut rig, -1).unwrap();
    let mut guests = classic(&mut rig);
    assert!(is_classic(&rig));
    rig.reload();
    assert!(is_classic(&rig));
    for guest in &mut guests {
        let leaving = Leaving { member_id: &guest.id, instance_id: None, reason: "" };
        rig.happens(|groups, scene| groups.leave("g", &[leaving], scene)).unwrap();
    }
    let mut new = Consumer::new("new", &["t"]);
    new.join(&mut rig).unwrap();
    assert_eq!(new.has.len(), 4);
    rig.reload();
    assert!(!is_classic(&rig));
    new.beat(&mut rig).unwrap();
}

#[test]
fn a_static_member_may_go_back_to_the_classic_protocol() {
    let mut rig = Rig::new(&[]);
    rig.topic("t", 4);
    let mut guests = classic(&mut rig);
    let mut consumers = [Consumer::new("new", &["t"]).of_instance("i")];
    consumers[0].join(&mut rig).unwrap();
    settle(&mut rig, &mut guests, &mut consumers);
    let had: BTreeSet<i32> = consumers[0].has.iter().map(|(_, partition)| *partition).collect();
    let mut back = Guest { instance: Some("i".to_owned()), ..Guest::default() };
    back.join(&mut rig).unwrap();
    assert!(is_classic(&rig));
    rig.reload();
    // Nobody has to move for it.
    back.sync(&mut rig, &[]).unwrap();
    assert_eq!(back.has, had);
    guests[0].beat(&mut rig).unwrap();
}

#[test]
fn a_guest_that_does_not_do_what_it_was_told_is_removed() {
    let mut rig = Rig::new(&[]);
    rig.topic("t", 4);
    let mut consumer = Consumer::new("new", &["t"]);
    consumer.join(&mut rig).unwrap();
    let mut guest = Guest::default();
    guest.join(&mut rig).unwrap();
    // It never fetches its assignment, though it beats.
    for _ in 0..15 {
        rig.passes(Duration::from_secs(3));
        let _ = guest.beat(&mut rig);
        consumer.let_go();
        consumer.beat(&mut rig).unwrap();
    }
    let told = guest.beat(&mut rig);
    assert!(matches!(told, Err(GroupError::UnknownMemberId(_))), "{told:?}");
    let told = guest.sync(&mut rig, &[]);
    assert!(matches!(told, Err(GroupError::UnknownMemberId(_))), "{told:?}");
    assert!(!is_classic(&rig));
}

#[test]
fn guests_are_fenced_by_their_generation_and_by_what_they_speak() {
    let mut rig = Rig::new(&[]);
    rig.topic("t", 4);
    let mut consumer = Consumer::new("new", &["t"]);
    consumer.join(&mut rig).unwrap();
    let mut guest = Guest::default();
    guest.join(&mut rig).unwrap();
    guest.generation += 1;
    assert!(matches!(guest.beat(&mut rig), Err(GroupError::IllegalGeneration)));
    assert!(matches!(guest.sync(&mut rig, &[]), Err(GroupError::IllegalGeneration)));
    guest.id = "new".to_owned();
    assert!(matches!(guest.beat(&mut rig), Err(GroupError::UnknownMemberId(_))));
    let leaving = Leaving { member_id: "nobody", instance_id: None, reason: "" };
    let left = rig.happens(|groups, scene| groups.leave("g", &[leaving], scene)).unwrap();
    assert!(matches!(left[..], [Err(GroupError::UnknownMemberId(_))]), "{left:?}");
}

/// Whether it is still a member after what it was told.
fn is_member<T: std::fmt::Debug>(told: Result<T, GroupError>) -> bool {
    match told {
        Ok(_) | Err(GroupError::RebalanceInProgress) => true,
        Err(GroupError::UnknownMemberId(_)) => false,
        Err(error) => panic!("{error}"),
    }
}

fn check_owners(rig: &mut Rig, guests: &[Guest], consumers: &[Consumer]) {
    let members = describe(rig).unwrap().members;
    let is_there = |id: &str| members.iter().any(|member| *member.id == *id);
    let of_guests = guests.iter().flat_map(|it| it.has.iter().map(|at| (*at, &*it.id)));
    let of_consumers = consumers.iter().flat_map(|it| it.has.iter().map(|(_, at)| (*at, &*it.id)));
    let mut owners = BTreeMap::new();
    for (partition, owner) in of_guests.chain(of_consumers).filter(|(_, id)| is_there(id)) {
        let other = owners.insert(partition, owner);
        assert_eq!(other, None, "{partition} belongs to {owner}, too");
    }
}

#[test]
fn members_of_both_protocols_never_share_a_partition_whatever_they_do() {
    for seed in 0..100 {
        let mut random = Random::from_seed(seed);
        let mut rig = Rig::new(&[("group.consumer.migration.policy", "upgrade")]);
        rig.topic("t", 4);
        let (mut guests, mut consumers) = (Vec::<Guest>::new(), Vec::<Consumer>::new());
        for step in 0..150 {
            // One that speaks the new protocol is always there.
            if consumers.is_empty() || (consumers.len() < 3 && random.chance(1, 12)) {
                let mut consumer = Consumer::new(&format!("c{step}"), &["t"]);
                consumer.join(&mut rig).unwrap();
                consumers.push(consumer);
            }
            if guests.len() < 3 && random.chance(1, 12) {
                let mut guest = Guest::default();
                guest.join(&mut rig).unwrap();
                guests.push(guest);
            }
            if random.chance(1, 15) {
                rig.reload();
            }
            if random.chance(1, 8) {
                rig.passes(Duration::from_secs(1 + random.below(8)));
            }
            if random.chance(1, 30) && consumers.len() > 1 {
                consumers.pop().unwrap().leave(&mut rig, -1).ok();
            }
            let at = random.below(consumers.len() as u64) as usize;
            let consumer = &mut consumers[at];
            if random.chance(1, 2) {
                consumer.let_go();
            }
            if !is_member(consumer.beat(&mut rig)) {
                consumers.remove(at);
            }
            if !guests.is_empty() {
                let at = random.below(guests.len() as u64) as usize;
                let guest = &mut guests[at];
                let stays = match random.below(4) {
                    0 => is_member(guest.join(&mut rig)),
                    1 => is_member(guest.sync(&mut rig, &[])),
                    _ => match guest.beat(&mut rig) {
                        Err(GroupError::RebalanceInProgress) => {
                            guest.join(&mut rig).unwrap();
                            is_member(guest.sync(&mut rig, &[]))
                        }
                        told => is_member(told),
                    },
                };
                if !stays {
                    guests.remove(at);
                }
            }
            check_owners(&mut rig, &guests, &consumers);
        }
        // From now on everybody does what it is told.
        guests.retain_mut(|guest| {
            is_member(guest.join(&mut rig)) && is_member(guest.sync(&mut rig, &[]))
        });
        consumers.retain_mut(|consumer| {
            consumer.let_go();
            is_member(consumer.beat(&mut rig))
        });
        if !consumers.is_empty() {
            settle(&mut rig, &mut guests, &mut consumers);
        }
    }
}

//! Stories of offsets.

use std::time::Duration;

use milena_protocol::{
    Offset, ProducerEpoch, ProducerId, Uuid,
    group::{Key, Value},
};

use super::Rig;
use crate::coordinator::{
    Logged, Machine, What,
    group::{
        Group, GroupError, Groups,
        offsets::{
            CommitRequest, Committed, Committer, PartitionCommit, PendingCommits, TopicCommit,
        },
    },
};

const NOBODY: Committer<'_> =
    Committer { member_id: "", instance_id: None, generation: -1, version: 9 };

fn commit(rig: &mut Rig, topic: &str, id: Uuid, offset: i64) -> Result<(), GroupError> {
    let partition = PartitionCommit { index: 0, offset, leader_epoch: 3, metadata: "m" };
    let request = CommitRequest {
        group: "g",
        committer: NOBODY,
        retention_ms: -1,
        topics: vec![TopicCommit { name: topic, id, partitions: vec![partition] }],
    };
    rig.happens(|groups, scene| groups.commit(&request, scene))
}

fn committed(rig: &Rig, topic: &str) -> Option<i64> {
    let look = |offsets: &Committed, _: &PendingCommits| Some(offsets.get(topic, 0)?.offset);
    rig.core.fetch("g", None, -1, look).unwrap().flatten()
}

#[test]
fn what_is_committed_is_still_known_after_a_reload() {
    let mut rig = Rig::new(&[]);
    let id = rig.topic("t", 1);
    commit(&mut rig, "t", id, 5).unwrap();
    commit(&mut rig, "t", id, 7).unwrap();
    assert_eq!(committed(&rig, "t"), Some(7));
    rig.reload();
    assert_eq!(committed(&rig, "t"), Some(7));
    let written = rig.written(1);
    let [(Key::OffsetCommit(key), Some(Value::OffsetCommit(value)))] = &*written else {
        panic!("{written:?}")
    };
    assert_eq!((key.group, key.topic, key.partition), ("g", "t", 0));
    assert_eq!((value.offset, value.leader_epoch, value.metadata), (7, 3, "m"));
    assert_eq!(value.topic_id, id);
}

#[test]
fn offsets_go_with_their_topic() {
    let mut rig = Rig::new(&[]);
    let (one, other) = (rig.topic("one", 1), rig.topic("other", 1));
    commit(&mut rig, "one", one, 5).unwrap();
    commit(&mut rig, "other", other, 6).unwrap();
    rig.delete_topic(one);
    assert_eq!((committed(&rig, "one"), committed(&rig, "other")), (None, Some(6)));
    rig.reload();
    assert_eq!((committed(&rig, "one"), committed(&rig, "other")), (None, Some(6)));
}

#[test]
fn offsets_that_nobody_needs_expire_and_the_group_with_them() {
    let mut rig = Rig::new(&[("offsets.retention.minutes", "60")]);
    let id = rig.topic("t", 1);
    commit(&mut rig, "t", id, 5).unwrap();
    rig.passes(Duration::from_secs(59 * 60));
    assert_eq!(committed(&rig, "t"), Some(5));
    rig.passes(Duration::from_secs(20 * 60));
    assert!(rig.core.get("g").is_none());
    rig.reload();
    assert!(rig.core.get("g").is_none());
}

#[test]
fn a_stranger_cannot_commit_as_a_member() {
    let mut rig = Rig::new(&[]);
    let request = |version| CommitRequest {
        group: "g",
        committer: Committer { member_id: "m", generation: 3, version, ..NOBODY },
        retention_ms: -1,
        topics: Vec::new(),
    };
    let told = rig.happens(|groups, scene| groups.commit(&request(9), scene));
    assert!(matches!(told, Err(GroupError::GroupIdNotFound(_))), "{told:?}");
    let told = rig.happens(|groups, scene| groups.commit(&request(8), scene));
    assert!(matches!(told, Err(GroupError::IllegalGeneration)), "{told:?}");
}

#[test]
fn a_commit_that_does_not_fit_changes_nothing() {
    let mut rig = Rig::new(&[]);
    let partitions = (0..20_000).map(|index| PartitionCommit {
        index,
        offset: 1,
        leader_epoch: 0,
        metadata: "",
    });
    let request = CommitRequest {
        group: "g",
        committer: NOBODY,
        retention_ms: -1,
        topics: vec![TopicCommit { name: "t", id: Uuid::ZERO, partitions: partitions.collect() }],
    };
    let told = rig.happens(|groups, scene| groups.commit(&request, scene));
    assert!(matches!(told, Err(GroupError::Write(_))), "{told:?}");
    assert!(rig.log.is_empty() && rig.core.get("g").is_none());
}

#[test]
fn what_a_transaction_commits_shows_at_its_end_and_never_overtakes() {
    let producer = (ProducerId(9), ProducerEpoch(0));
    for (is_commit, seen) in [(true, Some(8)), (false, Some(5))] {
        let mut rig = Rig::new(&[]);
        let id = rig.topic("t", 1);
        commit(&mut rig, "t", id, 5).unwrap();
        commit(&mut rig, "t", id, 8).unwrap();
        let (key, value) = rig.log.pop().unwrap();
        rig.reload();
        let what = What::Record { key: &key, value: value.as_deref() };
        let mut logged = Logged { offset: Offset(1), transaction: Some(producer), what };
        rig.core.replay(&logged).unwrap();
        assert_eq!(committed(&rig, "t"), Some(5), "the transaction is not over");
        let pending = rig.core.fetch("g", None, -1, |_, pending| pending.is_pending("g", "t", 0));
        assert_eq!(pending.unwrap(), Some(true));
        logged.what = What::Marker { is_commit };
        rig.core.replay(&logged).unwrap();
        assert_eq!(committed(&rig, "t"), seen);
    }
}

/// The offset 9 of `t-0`, in a transaction of producer 9.
fn commit_within(rig: &mut Rig, group: &str) -> Result<(), GroupError> {
    let partition = PartitionCommit { index: 0, offset: 9, leader_epoch: -1, metadata: "" };
    let topics = vec![TopicCommit { name: "t", id: Uuid::ZERO, partitions: vec![partition] }];
    let request = CommitRequest { group, committer: NOBODY, retention_ms: -1, topics };
    rig.happens(|groups, scene| groups.commit_in_transaction(ProducerId(9), &request, scene))
}

/// The producer's transaction is committed, here and by who reads the log, of which these records
/// are part of the transaction.
fn ends(rig: &mut Rig, within: &[usize]) {
    let producer = (ProducerId(9), ProducerEpoch(0));
    let mut replayed = Groups::default();
    let records = std::mem::take(&mut rig.log);
    let mut records: Vec<_> =
        records.iter().map(|(key, value)| What::Record { key, value: value.as_deref() }).collect();
    records.push(What::Marker { is_commit: true });
    let end = records.len() - 1;
    for (at, what) in records.into_iter().enumerate() {
        let transaction = (at == end || within.contains(&at)).then_some(producer);
        let logged = Logged { offset: Offset(at as i64), transaction, what };
        replayed.replay(&logged).unwrap();
        if at == end {
            rig.core.replay(&logged).unwrap();
        }
    }
    let told = |groups: &Groups| {
        let group = |group: &Group| format!("{} {:?}", group.id(), group.offsets);
        groups.iter().map(group).collect::<Vec<_>>()
    };
    assert_eq!(told(&rig.core), told(&replayed), "who reads the log knows the same");
}

#[test]
fn fault_31_offsets_that_a_transaction_may_change_do_not_expire() {
    let mut rig = Rig::new(&[("offsets.retention.minutes", "60")]);
    let id = rig.topic("t", 1);
    commit(&mut rig, "t", id, 5).unwrap();
    commit_within(&mut rig, "g").unwrap();
    commit_within(&mut rig, "other").unwrap();
    rig.passes(Duration::from_secs(3 * 60 * 60));
    assert_eq!(committed(&rig, "t"), Some(5));
    let is_pending = |_: &Committed, pending: &PendingCommits| pending.is_pending("other", "t", 0);
    let pending = rig.core.fetch("other", None, -1, is_pending).unwrap();
    assert_eq!(pending, Some(true), "a group of which nothing counts yet is there");
    ends(&mut rig, &[1, 2]);
    assert_eq!(committed(&rig, "t"), Some(9));
}

#[test]
fn fault_31_pending_offsets_go_with_their_topic_their_group_and_when_they_are_deleted() {
    let delete_topic = |rig: &mut Rig, id| rig.delete_topic(id);
    let delete_group = |rig: &mut Rig, _| {
        rig.happens(|groups, scene| groups.delete_group("g", scene)).unwrap();
    };
    let delete_offset = |rig: &mut Rig, _| {
        let topics = [("t", vec![0, 1])];
        let told = rig.happens(|groups, scene| groups.delete_offsets("g", &topics, scene));
        assert!(told.unwrap().iter().all(Result::is_ok));
    };
    let deletes: [fn(&mut Rig, Uuid); 3] = [delete_topic, delete_group, delete_offset];
    for (delete, before) in deletes.into_iter().flat_map(|it| [(it, false), (it, true)]) {
        let mut rig = Rig::new(&[]);
        let id = rig.topic("t", 2);
        if before {
            commit(&mut rig, "t", id, 5).unwrap();
        }
        commit_within(&mut rig, "g").unwrap();
        delete(&mut rig, id);
        assert!(rig.core.get("g").is_none(), "it was there for these offsets");
        ends(&mut rig, &[usize::from(before)]);
        assert!(rig.core.get("g").is_none(), "and does not come back");
    }
}

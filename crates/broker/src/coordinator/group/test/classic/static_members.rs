//! Members that keep their place when they are started anew (KIP-345).

use milena_protocol::group::Value;

use super::{
    Committer, GroupError, HeartbeatRequest, JoinRequest, Leaving, Rig, SyncRequest, T, U,
    consumer, known, seconds, synced,
};

fn instance(id: &str) -> JoinRequest<'_> {
    JoinRequest { instance_id: Some(id), requires_member_id: true, ..consumer() }
}

fn fenced<T: std::fmt::Debug>(told: &Result<T, GroupError>) -> bool {
    matches!(told, Err(GroupError::FencedInstanceId(_)))
}

#[test]
fn a_static_member_comes_back_to_its_assignment_and_nobody_notices() {
    let mut rig = Rig::new(&[]);
    let (ids, generation) = rig.stable(&[instance("a"), instance("b")]);
    assert!(ids[0].starts_with("a-") && ids[1].starts_with("b-"), "{ids:?}");
    let log = rig.log.len();
    for (place, name) in ["a", "b"].into_iter().enumerate() {
        let before = rig.described();
        let joined = rig.joined(&instance(name));
        assert_eq!((joined.generation, rig.state()), (generation, "Stable"));
        assert_ne!(joined.member_id, ids[place]);
        // The leader keeps leading, and is told that it need not assign (KIP-814).
        let leads = joined.leader.as_ref() == Some(&joined.member_id);
        assert_eq!((joined.skip_assignment, joined.members.len()), (leads, 2 * usize::from(leads)));
        let mut request = synced(&joined.member_id, generation);
        request.instance_id = Some(name);
        let assigned = rig.sync(&request).take().unwrap().unwrap();
        assert_eq!(assigned.assignment, place.to_string().as_bytes());
        assert_ne!(rig.described(), before);
        let before = rig.described();
        rig.reload();
        assert_eq!(rig.described(), before);
    }
    let written = rig.written(log);
    let leaders = written.iter().map(|(_, value)| match value {
        Some(Value::GroupMetadata(value)) => value.leader.unwrap().to_owned(),
        other => panic!("{other:?}"),
    });
    assert_eq!(leaders.collect::<Vec<_>>().len(), 2);
}

#[test]
fn a_static_member_that_comes_back_may_read_something_else() {
    let mut rig = Rig::new(&[]);
    rig.stable(&[instance("a")]);
    rig.joined(&JoinRequest { protocols: vec![("range", U)], ..instance("a") });
    assert_eq!(rig.state(), "Stable");
    for _ in 0..2 {
        let group = rig.core.get("g").unwrap();
        assert_eq!((group.is_subscribed_to("t"), group.is_subscribed_to("u")), (false, true));
        rig.reload();
    }
}

#[test]
fn an_old_leader_that_cannot_skip_the_assignment_does_not_lead() {
    let mut rig = Rig::new(&[]);
    let (ids, generation) = rig.stable(&[instance("a")]);
    let old = JoinRequest { supports_skip_assignment: false, ..instance("a") };
    let joined = rig.joined(&old);
    assert_eq!((joined.generation, joined.leader.as_ref()), (generation, Some(&ids[0])));
    assert_eq!((joined.members.len(), joined.skip_assignment), (0, false));
    assert_ne!(joined.member_id, ids[0]);
    // It still can ask for a rebalance when it sees that there is something to assign.
    let known = JoinRequest { member_id: &joined.member_id, ..instance("a") };
    let leads = rig.joined(&known);
    assert_eq!((leads.generation, leads.members.len()), (generation + 1, 1));
}

#[test]
fn who_was_replaced_is_fenced() {
    let mut rig = Rig::new(&[]);
    let (ids, generation) = rig.stable(&[instance("a")]);
    let new = rig.joined(&instance("a")).member_id;
    let old = &*ids[0];
    let beat = |rig: &mut Rig, member_id, instance_id| {
        let request = HeartbeatRequest { group: "g", member_id, instance_id, generation };
        rig.happens(|groups, scene| groups.heartbeat(&request, scene))
    };
    assert!(fenced(&beat(&mut rig, old, Some("a"))));
    beat(&mut rig, &new, Some("a")).unwrap();
    beat(&mut rig, &new, None).unwrap();
    let told = [beat(&mut rig, old, None), beat(&mut rig, &new, Some("b"))];
    assert!(told.iter().all(|it| matches!(it, Err(GroupError::UnknownMemberId(_)))), "{told:?}");
    let request = SyncRequest { instance_id: Some("a"), ..synced(old, generation) };
    assert!(fenced(&rig.sync(&request).take().unwrap()));
    let (told, error) = rig.refused(&JoinRequest { member_id: old, ..instance("a") });
    assert!(fenced::<()>(&Err(error)) && *told == *old);
    let leaving = Leaving { member_id: old, instance_id: Some("a"), reason: "" };
    assert!(fenced(&rig.leave(&[leaving])[0]));
    let committer = Committer { member_id: old, instance_id: Some("a"), generation, version: 9 };
    let request =
        super::CommitRequest { group: "g", committer, retention_ms: -1, topics: Vec::new() };
    assert!(fenced(&rig.happens(|groups, scene| groups.commit(&request, scene))));
    assert_eq!(rig.state(), "Stable");
}

#[test]
fn who_is_replaced_while_it_waits_is_told_so() {
    let mut rig = Rig::new(&[]);
    let mut first = rig.join(&instance("a"));
    let mut second = rig.join(&instance("a"));
    let refused = first.take().unwrap().unwrap_err();
    assert!(fenced::<()>(&Err(refused.error)) && refused.member_id.starts_with("a-"));
    let mut other = rig.join(&instance("b"));
    rig.passes(seconds(6));
    let (a, b) = (second.take().unwrap().unwrap(), other.take().unwrap().unwrap());
    assert_eq!(rig.described().members.len(), 2);

    // Whoever is started anew while the leader assigns would get nothing: all begin again.
    let (waits, restarts) = if a.members.is_empty() { (&a, "a") } else { (&b, "b") };
    let mut sync = rig.sync(&synced(&waits.member_id, 1));
    let mut joining = rig.join(&instance(restarts));
    assert!(fenced(&sync.take().unwrap()));
    assert_eq!((rig.state(), joining.take().is_none()), ("PreparingRebalance", true));
    let leader = if a.members.is_empty() { &b } else { &a };
    assert_eq!(rig.joined(&known(&leader.member_id)).generation, 2);
    assert_eq!(joining.take().unwrap().unwrap().generation, 2);
}

#[test]
fn a_static_member_that_changes_the_protocol_causes_a_rebalance() {
    let mut rig = Rig::new(&[]);
    let both =
        |first, second| JoinRequest { protocols: vec![(first, T), (second, T)], ..instance("a") };
    let (_, generation) = rig.stable(&[both("range", "sticky")]);
    let joined = rig.joined(&both("sticky", "range"));
    assert_eq!((joined.generation, joined.protocol.as_deref()), (generation + 1, Some("sticky")));
    assert!(!joined.skip_assignment);
}

#[test]
fn a_static_member_is_waited_for_until_its_session_ends() {
    let mut rig = Rig::new(&[]);
    let sleeper = JoinRequest { session_timeout_ms: 200_000, ..instance("a") };
    let (ids, generation) = rig.stable(&[sleeper, consumer()]);
    let mut newcomer = rig.join(&consumer());
    let mut back = rig.join(&known(&ids[1]));
    rig.passes(seconds(60));
    let (newcomer, back) = (newcomer.take().unwrap().unwrap(), back.take().unwrap().unwrap());
    assert_eq!(newcomer.generation, generation + 1);
    assert_eq!(rig.described().members.len(), 3, "it keeps its place though it did not rejoin");
    assert_ne!(back.leader.as_ref(), Some(&ids[0]), "but it does not lead");
    let told = rig.beat(&ids[0], generation);
    assert!(matches!(told, Err(GroupError::IllegalGeneration)), "{told:?}");
}

#[test]
fn a_rebalance_to_which_nobody_comes_is_put_off() {
    let mut rig = Rig::new(&[]);
    let sleeper = JoinRequest { session_timeout_ms: 200_000, ..instance("a") };
    let (_, generation) = rig.stable(&[sleeper.clone(), consumer()]);
    rig.passes(seconds(100));
    assert_eq!((rig.state(), rig.described().members.len()), ("PreparingRebalance", 1));
    let back = rig.joined(&sleeper);
    assert_eq!((back.generation, back.members.len()), (generation + 1, 1));
    let mut rig = Rig::new(&[]);
    rig.stable(&[sleeper, consumer()]);
    rig.passes(seconds(300));
    assert_eq!((rig.state(), rig.described().members.len()), ("Empty", 0));
}

#[test]
fn a_tool_takes_a_static_member_out_by_its_name() {
    let mut rig = Rig::new(&[]);
    let (_, generation) = rig.stable(&[instance("a"), instance("b")]);
    let named = |instance_id| Leaving { member_id: "", instance_id: Some(instance_id), reason: "" };
    let told = rig.leave(&[named("a"), named("x")]);
    assert!(told[0].is_ok(), "{told:?}");
    assert!(matches!(told[1], Err(GroupError::UnknownMemberId(_))), "{told:?}");
    assert_eq!((rig.state(), rig.described().members.len()), ("PreparingRebalance", 1));
    // And who comes under that name is somebody new.
    let mut a = rig.join(&instance("a"));
    let b = rig.joined(&instance("b"));
    let a = a.take().unwrap().unwrap();
    assert_eq!((a.generation, b.generation), (generation + 1, generation + 1));
}

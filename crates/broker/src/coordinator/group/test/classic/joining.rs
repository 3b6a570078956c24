//! How members come together.

use super::{GroupError, JoinRequest, Rig, T, U, consumer, known, leaves, seconds};

#[test]
fn a_new_member_is_given_an_id_and_comes_again_with_it() {
    let mut rig = Rig::new(&[]);
    let (id, error) = rig.refused(&JoinRequest { requires_member_id: true, ..consumer() });
    assert!(matches!(&error, GroupError::MemberIdRequired(given) if **given == *id), "{error}");
    assert!(id.starts_with("c-") && id.len() == 38, "{id} is no client id and UUID");
    assert_eq!((rig.state(), rig.log.len()), ("Empty", 0));
    let mut answer = rig.join(&known(&id));
    assert_eq!(rig.state(), "PreparingRebalance");
    rig.passes(seconds(3));
    let joined = answer.take().unwrap().unwrap();
    assert_eq!((&*joined.member_id, joined.leader.as_deref()), (&*id, Some(&*id)));
    assert_eq!((joined.generation, joined.members.len()), (1, 1));
    assert_eq!(joined.protocol.as_deref(), Some("range"));
    assert_eq!(rig.state(), "CompletingRebalance");
}

#[test]
fn an_id_with_which_nobody_comes_lapses_and_leaves_nothing_behind() {
    let mut rig = Rig::new(&[]);
    let (id, _) = rig.refused(&JoinRequest { requires_member_id: true, ..consumer() });
    rig.passes(seconds(9));
    assert_eq!(rig.state(), "Empty");
    rig.passes(seconds(1));
    assert_eq!((rig.state(), rig.log.len()), ("Dead", 0));
    let (told, error) = rig.refused(&known(&id));
    assert!(matches!(error, GroupError::UnknownMemberId(_)) && told == id, "{error}");
}

#[test]
fn the_first_generation_waits_while_members_come_but_no_longer_than_they_allow() {
    let mut rig = Rig::new(&[]);
    let request = JoinRequest { rebalance_timeout_ms: 10_000, ..consumer() };
    let mut waiting = vec![rig.join(&request)];
    // Somebody comes in every delay of three seconds.
    for _ in 0..3 {
        rig.passes(seconds(2));
        waiting.push(rig.join(&request));
        rig.passes(seconds(1));
        assert_eq!(rig.state(), "PreparingRebalance");
    }
    waiting.push(rig.join(&request));
    rig.passes(seconds(1));
    assert_eq!(rig.state(), "CompletingRebalance");
    for answer in &mut waiting {
        assert_eq!(answer.take().unwrap().unwrap().generation, 1);
    }
    let mut alone = Rig::new(&[("group.initial.rebalance.delay.ms", "0")]);
    assert_eq!(alone.joined(&request).generation, 1, "nobody else is waited for");
}

#[test]
fn hostile_33_who_makes_no_sense_is_told_so() {
    let mut rig = Rig::new(&[]);
    let refused = |rig: &mut Rig, request| rig.refused(&request).1;
    let error = refused(&mut rig, JoinRequest { group: "", ..consumer() });
    assert!(matches!(error, GroupError::InvalidGroupId), "{error}");
    for session_timeout_ms in [5_999, 1_800_001, -1] {
        let error = refused(&mut rig, JoinRequest { session_timeout_ms, ..consumer() });
        assert!(matches!(error, GroupError::InvalidSessionTimeout), "{error}");
    }
    let error = refused(&mut rig, JoinRequest { protocols: Vec::new(), ..consumer() });
    assert!(matches!(error, GroupError::InconsistentGroupProtocol), "{error}");
    let error = refused(&mut rig, JoinRequest { protocol_type: "", ..consumer() });
    assert!(matches!(error, GroupError::InconsistentGroupProtocol), "{error}");
    let protocols = vec![("p", T); 33];
    let error = refused(&mut rig, JoinRequest { protocols, ..consumer() });
    assert!(matches!(error, GroupError::InvalidRequest(_)), "{error}");
    assert_eq!(rig.state(), "Dead", "none of them made a group");

    let (ids, _) = rig.stable(&[consumer()]);
    let error = refused(&mut rig, known("stranger"));
    assert!(matches!(error, GroupError::UnknownMemberId(_)), "{error}");
    let error = refused(&mut rig, JoinRequest { protocol_type: "connect", ..consumer() });
    assert!(matches!(error, GroupError::InconsistentGroupProtocol), "{error}");
    let other = JoinRequest { protocols: vec![("sticky", T)], ..known(&ids[0]) };
    let (told, error) = rig.refused(&other);
    assert!(matches!(error, GroupError::InconsistentGroupProtocol), "{error}");
    assert_eq!((*told == *ids[0], rig.state()), (true, "Stable"));
}

#[test]
fn members_vote_for_a_protocol_that_all_of_them_speak() {
    let mut rig = Rig::new(&[]);
    let speaking = |protocols| JoinRequest { protocols, ..consumer() };
    let mut waiting = [
        vec![("sticky", T), ("range", T), ("roundrobin", T)],
        vec![("range", T), ("roundrobin", T)],
        vec![("roundrobin", T), ("range", T), ("range", U)],
        vec![("sticky", T), ("roundrobin", T), ("range", T)],
        vec![("roundrobin", T), ("range", T)],
    ]
    .map(|protocols| rig.join(&speaking(protocols)));
    rig.passes(seconds(6));
    for answer in &mut waiting {
        let joined = answer.take().unwrap().unwrap();
        assert_eq!(joined.protocol.as_deref(), Some("roundrobin"), "three votes of five");
    }
}

#[test]
fn only_the_leader_is_told_who_the_members_are() {
    let mut rig = Rig::new(&[]);
    let other = JoinRequest { protocols: vec![("range", U)], ..consumer() };
    let mut waiting = [rig.join(&consumer()), rig.join(&other)];
    rig.passes(seconds(6));
    let [one, two] = waiting.each_mut().map(|it| it.take().unwrap().unwrap());
    let leads = |it: &super::Joined| it.leader.as_ref() == Some(&it.member_id);
    let (leader, follower) = if leads(&one) { (&one, &two) } else { (&two, &one) };
    assert_eq!((one.generation, &one.leader), (two.generation, &two.leader));
    let mut metadata: Vec<_> =
        leader.members.iter().map(|it| (it.id.clone(), it.metadata.to_vec())).collect();
    metadata.sort();
    let mut expected =
        vec![(one.member_id.clone(), T.to_vec()), (two.member_id.clone(), U.to_vec())];
    expected.sort();
    assert_eq!((metadata, follower.members.len()), (expected, 0));
}

#[test]
fn a_newcomer_waits_for_the_others_and_who_does_not_rejoin_is_thrown_out() {
    let mut rig = Rig::new(&[]);
    let long = JoinRequest { session_timeout_ms: 300_000, ..consumer() };
    let (ids, generation) = rig.stable(&[long.clone(), long.clone()]);
    let mut newcomer = rig.join(&consumer());
    assert_eq!(rig.state(), "PreparingRebalance");
    let told = rig.beat(&ids[0], generation);
    assert!(matches!(told, Err(GroupError::RebalanceInProgress)), "{told:?}");
    let mut back = rig.join(&JoinRequest { member_id: &ids[0], ..long });
    rig.passes(seconds(59));
    assert!(newcomer.take().is_none() && back.take().is_none());
    rig.passes(seconds(1));
    let (newcomer, back) = (newcomer.take().unwrap().unwrap(), back.take().unwrap().unwrap());
    assert_eq!((newcomer.generation, back.generation), (generation + 1, generation + 1));
    assert_eq!(rig.described().members.len(), 2);
    let told = rig.beat(&ids[1], generation);
    assert!(matches!(told, Err(GroupError::UnknownMemberId(_))), "{told:?}");
}

#[test]
fn the_generation_begins_as_soon_as_all_have_come_back() {
    let mut rig = Rig::new(&[]);
    let (ids, generation) = rig.stable(&[consumer(), consumer()]);
    let mut newcomer = rig.join(&consumer());
    let mut one = rig.join(&known(&ids[0]));
    assert!(newcomer.take().is_none());
    let two = rig.joined(&known(&ids[1]));
    assert_eq!(two.generation, generation + 1);
    let leaders = [newcomer.take(), one.take()].map(|it| it.unwrap().unwrap().leader);
    assert_eq!(leaders, [two.leader.clone(), two.leader.clone()]);
    assert!(ids.contains(&two.leader.unwrap()), "who led before still leads");
}

#[test]
fn who_joins_again_as_it_was_disturbs_nobody_unless_it_leads() {
    let mut rig = Rig::new(&[]);
    let (mut ids, generation) = rig.stable(&[consumer(), consumer()]);
    ids.sort();
    let (leader, follower) = (&ids[0], &ids[1]);
    let joined = rig.joined(&known(follower));
    assert_eq!((joined.generation, joined.leader.as_ref()), (generation, Some(leader)));
    assert_eq!((joined.members.len(), rig.state()), (0, "Stable"));

    let _waits = rig.join(&known(leader));
    assert_eq!(rig.state(), "PreparingRebalance");
    assert_eq!(rig.joined(&known(follower)).generation, generation + 1);
    // Also while the leader is still assigning.
    assert_eq!(rig.joined(&known(follower)).generation, generation + 1);
    assert_eq!(rig.joined(&known(leader)).members.len(), 2);
    assert_eq!(rig.state(), "CompletingRebalance");

    let news = JoinRequest { protocols: vec![("range", U)], ..known(follower) };
    let mut waits = rig.join(&news);
    assert_eq!((rig.state(), waits.take().is_none()), ("PreparingRebalance", true));
    assert_eq!(rig.joined(&known(leader)).generation, generation + 2);
}

#[test]
fn who_was_given_an_id_is_waited_for() {
    let mut rig = Rig::new(&[]);
    let (ids, generation) = rig.stable(&[consumer()]);
    let (id, _) = rig.refused(&JoinRequest { requires_member_id: true, ..consumer() });
    assert_eq!(rig.state(), "Stable");
    let mut one = rig.join(&known(&ids[0]));
    assert!(one.take().is_none(), "the pending member is waited for");
    let two = rig.joined(&known(&id));
    assert_eq!(two.generation, generation + 1);
    let one = one.take().unwrap().unwrap();
    assert_eq!(one.generation, generation + 1);
    rig.assign(&[one, two.clone()]);

    let (id, _) = rig.refused(&JoinRequest { requires_member_id: true, ..consumer() });
    let news = |id| JoinRequest { protocols: vec![("range", U)], ..known(id) };
    let mut waiting = [rig.join(&news(&ids[0])), rig.join(&news(&two.member_id))];
    assert!(waiting.iter_mut().all(|it| it.take().is_none()));
    assert!(rig.leave(&[leaves(&id)])[0].is_ok());
    for answer in &mut waiting {
        assert_eq!(answer.take().unwrap().unwrap().generation, generation + 2);
    }
}

#[test]
fn a_newcomer_that_waits_too_long_comes_again_as_somebody_else() {
    let mut rig = Rig::new(&[]);
    let patient = JoinRequest {
        session_timeout_ms: 1_800_000,
        rebalance_timeout_ms: 1_800_000,
        ..consumer()
    };
    rig.stable(&[patient]);
    let mut newcomer = rig.join(&consumer());
    rig.passes(seconds(299));
    assert!(newcomer.take().is_none());
    rig.passes(seconds(1));
    let refused = newcomer.take().unwrap().unwrap_err();
    assert!(matches!(refused.error, GroupError::UnknownMemberId(_)), "{}", refused.error);
    assert_eq!((&*refused.member_id, rig.described().members.len()), ("", 1));
}

#[test]
fn whose_connection_goes_while_it_joins_does_not_hold_up_the_others() {
    let mut rig = Rig::new(&[]);
    drop(rig.join(&consumer()));
    let mut there = rig.join(&consumer());
    rig.passes(seconds(6));
    let joined = there.take().unwrap().unwrap();
    assert_eq!((joined.members.len(), rig.described().members.len()), (1, 1));

    rig.assign(std::slice::from_ref(&joined));
    drop(rig.join(&consumer()));
    assert_eq!(rig.state(), "PreparingRebalance");
    assert_eq!(rig.joined(&known(&joined.member_id)).generation, 2);
    assert_eq!(rig.described().members.len(), 1);

    let mut gone = Rig::new(&[]);
    drop(gone.join(&consumer()));
    gone.passes(seconds(3));
    assert_eq!(gone.state(), "Empty");
}

#[test]
fn a_member_that_asks_twice_is_answered_twice() {
    let mut rig = Rig::new(&[]);
    let (ids, _) = rig.stable(&[consumer(), consumer()]);
    let _newcomer = rig.join(&consumer());
    let mut first = rig.join(&known(&ids[0]));
    let mut second = rig.join(&known(&ids[0]));
    let told = first.take().unwrap().unwrap_err();
    assert!(matches!(told.error, GroupError::RebalanceInProgress), "{}", told.error);
    assert!(second.take().is_none());
    rig.joined(&known(&ids[1]));
    assert!(second.take().unwrap().is_ok());
}

//! What one group may take, and that others do not feel it.

use super::{GroupError, JoinRequest, Rig, consumer, known, seconds};
use crate::limits::PENDING_MEMBERS_MAX;

fn is_full(error: &GroupError) -> bool {
    matches!(error, GroupError::GroupMaxSizeReached(_))
}

#[test]
fn a_group_has_no_more_members_than_it_may() {
    let mut rig = Rig::new(&[("group.max.size", "2")]);
    let (ids, generation) = rig.stable(&[consumer(), consumer()]);
    let (told, error) = rig.refused(&consumer());
    assert!(is_full(&error) && told.is_empty(), "{error}");
    assert_eq!(rig.state(), "Stable");
    let named = JoinRequest { requires_member_id: true, ..consumer() };
    assert!(is_full(&rig.refused(&named).1));
    // Those who are there may come back, in the order in which they do.
    let news = JoinRequest { protocols: vec![("range", b"news")], ..known(&ids[0]) };
    let mut one = rig.join(&news);
    let two = rig.joined(&known(&ids[1]));
    assert_eq!((one.take().unwrap().unwrap().generation, two.generation), (generation + 1, 2));
}

#[test]
fn a_group_that_has_become_too_large_keeps_those_who_come_back_first() {
    let mut rig = Rig::new(&[]);
    let (ids, generation) = rig.stable(&[consumer(), consumer(), consumer()]);
    rig.config.groups.classic.size_max = 2;
    rig.reload();
    assert_eq!(rig.state(), "PreparingRebalance");
    let mut first = [rig.join(&known(&ids[0])), rig.join(&known(&ids[1]))];
    let (told, error) = rig.refused(&known(&ids[2]));
    assert!(is_full(&error) && told.is_empty(), "{error}");
    for answer in &mut first {
        assert_eq!(answer.take().unwrap().unwrap().generation, generation + 1);
    }
    assert_eq!(rig.described().members.len(), 2);
}

#[test]
fn a_static_member_of_a_full_group_can_be_started_anew() {
    let mut rig = Rig::new(&[("group.max.size", "1")]);
    let request = JoinRequest { instance_id: Some("a"), ..consumer() };
    let (_, generation) = rig.stable(std::slice::from_ref(&request));
    assert_eq!(rig.joined(&request).generation, generation);
}

#[test]
fn members_whose_record_could_not_be_written_are_turned_away() {
    let mut rig = Rig::new(&[]);
    let metadata = vec![1; 300 << 10];
    let heavy = JoinRequest { protocols: vec![("range", &metadata)], ..consumer() };
    let (ids, generation) = rig.stable(&[heavy.clone(), heavy.clone(), heavy.clone()]);
    let (_, error) = rig.refused(&heavy);
    assert!(is_full(&error), "{error}");
    assert_eq!(rig.state(), "Stable");
    // One of them becomes too heavy for the group, and loses its place; the others go on.
    let metadata = vec![1; 500 << 10];
    let heavier = JoinRequest { protocols: vec![("range", &metadata)], ..known(&ids[0]) };
    assert!(is_full(&rig.refused(&heavier).1));
    let mut one = rig.join(&JoinRequest { member_id: &ids[1], ..heavy.clone() });
    let two = rig.joined(&JoinRequest { member_id: &ids[2], ..heavy });
    let one = one.take().unwrap().unwrap();
    assert_eq!((one.generation, two.generation), (generation + 1, generation + 1));
    rig.assign(&[one, two]);
    let elsewhere = rig.join(&JoinRequest { group: "other", ..consumer() });
    rig.passes(seconds(3));
    drop(elsewhere);
    assert!(rig.core.get("other").is_some());
}

#[test]
fn hostile_33_a_client_name_of_any_length_makes_a_short_id() {
    let mut rig = Rig::new(&[]);
    let name = "\u{fc}".repeat(16_383);
    let (ids, _) = rig.stable(&[JoinRequest { client_id: &name, ..consumer() }]);
    assert!(ids[0].len() < 300 && ids[0].starts_with('\u{fc}'));
    let named = JoinRequest { requires_member_id: true, client_id: &name, ..consumer() };
    assert!(rig.refused(&named).0.len() < 300, "nor is a promised one longer");
    rig.reload();
    assert_eq!(*rig.described().members[0].id, *ids[0]);
}

#[test]
fn hostile_33_a_flood_of_newcomers_is_bounded_and_passes() {
    let mut rig = Rig::new(&[]);
    let named = JoinRequest { requires_member_id: true, ..consumer() };
    let elsewhere = JoinRequest { group: "another", ..named.clone() };
    let (first, _) = rig.refused(&elsewhere);
    let (second, _) = rig.refused(&named);
    for _ in 2..PENDING_MEMBERS_MAX {
        assert!(matches!(rig.refused(&named).1, GroupError::MemberIdRequired(_)));
    }
    assert!(rig.core.get("another").is_some());
    let (last, error) = rig.refused(&named);
    assert!(matches!(error, GroupError::MemberIdRequired(_)), "{error}");
    // The oldest is forgotten, and its group with it; all others may come.
    assert!(rig.core.get("another").is_none());
    fn comes<'a>(group: &'a str, id: &'a str) -> JoinRequest<'a> {
        JoinRequest { group, ..known(id) }
    }
    assert!(matches!(rig.refused(&comes("another", &first)).1, GroupError::UnknownMemberId(_)));
    let mut joining = [rig.join(&comes("g", &second)), rig.join(&comes("g", &last))];
    rig.passes(seconds(10));
    for joined in &mut joining {
        assert_eq!(joined.take().unwrap().unwrap().generation, 1);
    }
    assert_eq!(rig.described().members.len(), 2);
}

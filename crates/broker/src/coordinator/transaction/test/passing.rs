//! Time passes: transactions run out of it, ids are forgotten. And what people are shown.

use std::{sync::Arc, time::Duration};

use milena_protocol::{ErrorCode, ProducerEpoch, ProducerId};

use super::{Action, ID, Rig, State, Verdict};
use crate::{
    coordinator::{group::regex::TopicPattern, transaction::Filter},
    error_map::ToCode,
};

#[test]
fn a_transaction_that_takes_too_long_is_aborted_and_its_producer_fenced() {
    for version in [0, 2] {
        let mut rig = Rig::new(version, &[]);
        let me = rig.init().unwrap();
        rig.add_in(me, &[("orders", 0)], version);
        rig.passes(Duration::from_secs(59));
        assert_eq!(rig.state(), State::Ongoing);
        rig.reload();
        rig.passes(Duration::from_secs(12));
        assert_eq!(rig.state(), State::PrepareAbort);
        assert_eq!(rig.markers_are_written()[0].epoch.0, me.1 + 1);
        assert_eq!(rig.state(), State::CompleteAbort);
        assert_eq!(rig.add_in(me, &[("orders", 0)], version), ErrorCode::ProducerFenced);
    }
}

#[test]
fn a_transaction_in_two_phases_waits_for_ever() {
    let mut rig = Rig::new(2, &[("transaction.two.phase.commit.enable", "true")]);
    let request = super::InitRequest {
        transactional_id: ID,
        timeout_ms: 1,
        enables_two_phase_commit: true,
        keeps_prepared: false,
        expected: None,
    };
    request.check(&rig.config).unwrap();
    let unused = Some(ProducerId(5));
    rig.happens(|core, scene| core.init(&request, unused, scene)).unwrap();
    rig.add_in((5, 0), &[("orders", 0)], 2);
    rig.passes(Duration::from_secs(3600));
    assert_eq!(rig.state(), State::Ongoing);
}

#[test]
fn the_last_epoch_times_out_with_a_producer_id_that_is_brought() {
    let mut rig = Rig::new(2, &[]);
    let mut me = rig.init().unwrap();
    while me.1 < i16::MAX - 1 {
        me = rig.end_in(me, Verdict::Abort, 2).unwrap().unwrap();
    }
    rig.add_in(me, &[("orders", 0)], 2);
    rig.passes(Duration::from_secs(71));
    assert_eq!(rig.state(), State::Ongoing);
    let Some(Action::BringProducerId { id, producer_id, epoch }) = rig.actions.pop() else {
        panic!("{:?}", rig.actions)
    };
    rig.actions.clear();
    let asked = (producer_id, epoch);
    let bring = |rig: &mut Rig, asked| {
        let unused = Some(ProducerId(77));
        rig.happens(|core, scene| core.abort_timed_out(&id, asked, unused, scene)).unwrap();
    };
    bring(&mut rig, (ProducerId(1), ProducerEpoch(1)));
    assert_eq!(rig.state(), State::Ongoing, "of another producer");
    bring(&mut rig, asked);
    rig.markers_are_written();
    assert_eq!((rig.state(), rig.known().producer_id.0), (State::CompleteAbort, 77));
    assert_eq!(rig.init(), Ok((77, 1)));
}

#[test]
fn an_id_that_is_not_used_for_long_is_forgotten_and_one_in_a_transaction_is_not() {
    let settings = [
        ("transactional.id.expiration.ms", "7200000"),
        ("transaction.max.timeout.ms", "2147483646"),
    ];
    let mut rig = Rig::new(2, &settings);
    let me = rig.init().unwrap();
    rig.passes(Duration::from_secs(7100));
    rig.add_in(me, &[("orders", 0)], 2);
    rig.reload();
    rig.core.ids.get_mut(ID).unwrap().transaction.timeout_ms = 2_147_483_646;
    rig.passes(Duration::from_secs(50_000));
    assert_eq!(rig.state(), State::Ongoing);
    rig.end_in(me, Verdict::Commit, 2).unwrap();
    rig.markers_are_written();
    rig.passes(Duration::from_secs(7100));
    assert_eq!(rig.state(), State::CompleteCommit);
    rig.passes(Duration::from_secs(3700));
    assert!(rig.core.get(ID).is_none());
    assert_eq!(rig.log.last().unwrap().1, None, "a tombstone");
    rig.reload();
    assert!(rig.core.get(ID).is_none());
    let code = rig.core.describe(ID).unwrap_err().code();
    assert_eq!(code, ErrorCode::TransactionalIdNotFound);
}

#[test]
fn transactions_are_listed_by_state_producer_duration_and_name() {
    let mut rig = Rig::new(2, &[]);
    let me = rig.init().unwrap();
    rig.add_in(me, &[("orders", 1)], 2);
    rig.passes(Duration::from_secs(5));
    let now = rig.now.wall_ms;
    let list = |filter: &Filter| rig.core.list(filter, now).len();
    assert_eq!(list(&Filter { lasted_ms: -1, ..Filter::default() }), 1);
    let states = |state| Some([state].into_iter().collect());
    assert_eq!(list(&Filter { states: states(State::Ongoing), ..Filter::default() }), 1);
    assert_eq!(list(&Filter { states: states(State::Empty), ..Filter::default() }), 0);
    assert_eq!(list(&Filter { states: Some([].into()), ..Filter::default() }), 0);
    assert_eq!(list(&Filter { producer_ids: [me.0].into(), ..Filter::default() }), 1);
    assert_eq!(list(&Filter { producer_ids: [me.0 + 1].into(), ..Filter::default() }), 0);
    assert_eq!(list(&Filter { lasted_ms: 4999, ..Filter::default() }), 1);
    assert_eq!(list(&Filter { lasted_ms: 5000, ..Filter::default() }), 0);
    let named = |pattern| {
        let pattern = TopicPattern::new(pattern).ok().map(Arc::new);
        Filter { pattern, ..Filter::default() }
    };
    assert_eq!((list(&named("sh.*")), list(&named("sh")), list(&named(".*p"))), (1, 0, 1));
    let described = rig.core.describe(ID).unwrap();
    assert_eq!((described.state, described.timeout_ms), (State::Ongoing, 60_000));
    assert_eq!(described.start_ms, now - 5000);
    assert!(described.partitions["orders"].contains(&1));
}

#[test]
fn it_is_counted_what_becomes_of_transactions_and_why() {
    let mut rig = Rig::new(2, &[]);
    let me = rig.init().unwrap();
    rig.add_in(me, &[("orders", 0)], 2);
    rig.add_in(me, &[("orders", 1)], 2);
    let next = rig.end_in(me, Verdict::Commit, 2).unwrap().unwrap();
    // The first markers are not all written, and nothing new begins meanwhile.
    rig.add_in(next, &[("orders", 0)], 2);
    let ending = rig.endings().remove(0);
    let failed = [("orders".into(), 1, ErrorCode::NotLeaderOrFollower)];
    rig.happens(|core, scene| core.markers_written(&ending, &failed, scene));
    let census = rig.core.census();
    assert_eq!((census.transactional_ids, census.ongoing), (1, 0));
    assert_eq!((census.markers, census.retries), (1, 1));
    rig.passes(Duration::from_millis(20));
    rig.markers_are_written();
    assert_eq!(rig.add_in(me, &[("orders", 0)], 2), ErrorCode::ProducerFenced);
    rig.add_in(next, &[("orders", 0)], 2);
    let verified = rig.happens(|core, scene| {
        core.verify(&super::producer(next), &[("orders", 0), ("orders", 1)], scene)
    });
    assert_eq!(verified.unwrap(), [true, false]);
    assert_eq!(rig.core.census().ongoing, 1);
    // Whoever comes next finds it open.
    assert_eq!(rig.init(), Err(ErrorCode::ConcurrentTransactions));
    rig.markers_are_written();
    let last = rig.init().unwrap();
    rig.add_in(last, &[("orders", 0)], 2);
    rig.passes(Duration::from_secs(71));
    rig.markers_are_written();
    rig.passes(Duration::from_secs(8 * 24 * 3600));
    assert_eq!(rig.core.census().transactional_ids, 0);
    let expected = [
        ("producer initialized", "a new transactional id", 1),
        ("producer initialized", "the id is known: whoever had it is fenced", 1),
        ("transaction begun", "its first partition", 3),
        ("transaction committed", "by request", 1),
        ("transaction aborted", "its producer was replaced", 1),
        ("transaction aborted", "out of time", 1),
        ("markers asked for", "a decision", 3),
        ("markers asked for", "not all were written", 1),
        ("transaction completed", "all markers are written", 3),
        ("verification failure", "the partition is not part of the transaction", 1),
        ("producer refused", "fenced", 1),
        ("producer put off", "the transaction before is still being ended", 2),
        ("transactional id forgotten", "unused for long", 1),
    ];
    assert_eq!(rig.counted(), expected);
}

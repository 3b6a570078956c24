//! A transaction begins, is decided, and is carried out.

use std::{collections::BTreeSet, time::Duration};

use milena_protocol::ErrorCode;

use super::{ID, Rig, State, Verdict, producer};
use crate::{coordinator::Reply, error_map::ToCode};

const BOTH: [(&str, i32); 2] = [("orders", 0), ("orders", 2)];

#[test]
fn a_transaction_is_decided_before_and_complete_after_its_markers() {
    for (verdict, prepared, completed) in [
        (Verdict::Commit, State::PrepareCommit, State::CompleteCommit),
        (Verdict::Abort, State::PrepareAbort, State::CompleteAbort),
    ] {
        let mut rig = Rig::new(1, &[]);
        let me = rig.init().unwrap();
        assert_eq!(rig.add(me, &BOTH), ErrorCode::None);
        assert_eq!(rig.end_in(me, verdict, 0), Ok(None));
        assert_eq!(rig.state(), prepared);
        // Nothing else happens before all partitions know.
        assert_eq!(rig.end_in(me, verdict, 0), Err(ErrorCode::ConcurrentTransactions));
        assert_eq!(rig.add(me, &BOTH), ErrorCode::ConcurrentTransactions);
        assert_eq!(rig.init(), Err(ErrorCode::ConcurrentTransactions));
        let endings = rig.markers_are_written();
        assert_eq!(endings.len(), 1);
        assert_eq!((endings[0].producer_id.0, endings[0].epoch.0), me);
        let partitions: Vec<_> = endings[0].partitions.iter().map(|(t, p)| (&**t, *p)).collect();
        assert_eq!((endings[0].verdict, &partitions[..]), (verdict, &BOTH[..]));
        assert_eq!(rig.state(), completed);
        assert_eq!(rig.written(1), [State::Ongoing, prepared, completed]);
        assert!(rig.known().partitions.is_empty());
        // The same producer goes on.
        assert_eq!(rig.end_in(me, verdict, 0), Ok(None), "a retry");
        let other = if verdict == Verdict::Commit { Verdict::Abort } else { Verdict::Commit };
        assert_eq!(rig.end_in(me, other, 0), Err(ErrorCode::InvalidTxnState));
        assert_eq!(rig.add(me, &BOTH), ErrorCode::None);
        assert_eq!(rig.state(), State::Ongoing);
    }
}

#[test]
fn only_the_producer_itself_adds_partitions_and_ends() {
    let mut rig = Rig::new(1, &[]);
    let (id, epoch) = rig.init().unwrap();
    for version in [0, 2] {
        let end = |rig: &mut Rig, of| rig.end_in(of, Verdict::Commit, version);
        assert_eq!(end(&mut rig, (id + 1, epoch)), Err(ErrorCode::InvalidProducerIdMapping));
        assert_eq!(end(&mut rig, (id, epoch + 1)), Err(ErrorCode::ProducerFenced));
        assert_eq!(end(&mut rig, (id, epoch - 1)), Err(ErrorCode::ProducerFenced));
        assert_eq!(end(&mut rig, (id, epoch)), Err(ErrorCode::InvalidTxnState), "nothing began");
    }
    assert_eq!(rig.add((id + 1, epoch), &BOTH), ErrorCode::InvalidProducerIdMapping);
    assert_eq!(rig.add((id, epoch + 1), &BOTH), ErrorCode::ProducerFenced);
    assert_eq!(rig.written(1), []);
    let nobody = Rig::new(1, &[]).end_in((id, epoch), Verdict::Commit, 0);
    assert_eq!(nobody, Err(ErrorCode::InvalidProducerIdMapping));
}

#[test]
fn partitions_are_noted_once_and_known_to_be_part() {
    let mut rig = Rig::new(1, &[]);
    let me = rig.init().unwrap();
    assert_eq!(rig.add(me, &BOTH[..1]), ErrorCode::None);
    assert_eq!(rig.add(me, &BOTH[..1]), ErrorCode::None);
    assert_eq!(rig.written(1), [State::Ongoing]);
    let mut verify = |of| rig.happens(|core, scene| core.verify(&producer(of), &BOTH, scene));
    assert_eq!(verify(me).unwrap(), [true, false]);
    let mut code = |of| verify(of).unwrap_err().code();
    assert_eq!(code((me.0 + 1, 0)), ErrorCode::InvalidProducerIdMapping);
    assert_eq!(code((me.0, 1)), ErrorCode::ProducerFenced);
}

#[test]
fn fault_28_each_transaction_of_version_2_has_its_epoch_and_a_late_end_hits_no_other() {
    let mut rig = Rig::new(2, &[]);
    let first = rig.init().unwrap();
    assert_eq!(rig.add_in(first, &BOTH, 2), ErrorCode::None);
    let second = (first.0, first.1 + 1);
    assert_eq!(rig.end_in(first, Verdict::Commit, 2), Ok(Some(second)));
    assert_eq!(rig.end_in(first, Verdict::Commit, 2), Err(ErrorCode::ConcurrentTransactions));
    assert_eq!(rig.markers_are_written()[0].epoch.0, second.1);
    // The same request once more, and one that contradicts it.
    assert_eq!(rig.end_in(first, Verdict::Commit, 2), Ok(Some(second)));
    assert_eq!(rig.end_in(first, Verdict::Abort, 2), Err(ErrorCode::InvalidTxnState));
    assert_eq!(rig.add_in(first, &BOTH, 2), ErrorCode::ProducerFenced);
    // The next transaction has begun: nothing that is late decides it.
    assert_eq!(rig.add_in(second, &BOTH, 2), ErrorCode::None);
    assert_eq!(rig.end_in(first, Verdict::Commit, 2), Err(ErrorCode::ProducerFenced));
    assert_eq!(rig.end_in(first, Verdict::Abort, 2), Err(ErrorCode::ProducerFenced));
    assert_eq!(rig.state(), State::Ongoing);
    rig.reload();
    assert_eq!(rig.end_in(first, Verdict::Commit, 2), Err(ErrorCode::ProducerFenced));
    assert_eq!(rig.end_in(second, Verdict::Abort, 2), Ok(Some((first.0, first.1 + 2))));
}

#[test]
fn who_is_not_sure_that_something_began_may_abort_it_in_version_2() {
    let mut rig = Rig::new(2, &[]);
    let mut me = rig.init().unwrap();
    for _ in 0..2 {
        let from = rig.log.len();
        assert_eq!(rig.end_in(me, Verdict::Commit, 2), Err(ErrorCode::InvalidTxnState));
        let next = (me.0, me.1 + 1);
        assert_eq!(rig.end_in(me, Verdict::Abort, 2), Ok(Some(next)));
        assert!(rig.endings().is_empty(), "no partition, no marker");
        assert_eq!(rig.written(from), [State::PrepareAbort, State::CompleteAbort]);
        me = next;
    }
}

#[test]
fn the_last_epoch_ends_with_another_producer_id_in_version_2() {
    let mut rig = Rig::new(2, &[]);
    let mut me = rig.init().unwrap();
    while me.1 < i16::MAX - 1 {
        me = rig.end_in(me, Verdict::Abort, 2).unwrap().unwrap();
    }
    assert_eq!(rig.add_in(me, &BOTH, 2), ErrorCode::None);
    assert_eq!(rig.end_in(me, Verdict::Commit, 2), Ok(Some((1002, 0))));
    rig.reload();
    let endings = rig.markers_are_written();
    assert_eq!((endings[0].producer_id.0, endings[0].epoch.0), (me.0, i16::MAX));
    assert_eq!(rig.end_in(me, Verdict::Commit, 2), Ok(Some((1002, 0))), "a retry");
    assert_eq!(rig.end_in(me, Verdict::Abort, 2), Err(ErrorCode::InvalidTxnState));
    assert_eq!(rig.add_in((1002, 0), &BOTH, 2), ErrorCode::None);
    assert_eq!(rig.end_in(me, Verdict::Commit, 2), Err(ErrorCode::InvalidProducerIdMapping));
}

#[test]
fn fault_29_a_decision_is_carried_out_by_whoever_reads_it() {
    for verdict in [Verdict::Commit, Verdict::Abort] {
        let mut rig = Rig::new(2, &[]);
        let me = rig.init().unwrap();
        rig.add_in(me, &BOTH, 2);
        rig.end_in(me, verdict, 2).unwrap();
        for _ in 0..3 {
            rig.reload();
            assert_eq!(rig.state(), verdict.prepared());
        }
        let endings = rig.markers_are_written();
        assert_eq!((endings.len(), endings[0].verdict), (1, verdict));
        assert_eq!((endings[0].partitions.len(), rig.state()), (2, verdict.completed()));
        rig.reload();
        assert!(rig.endings().is_empty());
    }
}

#[test]
fn what_has_no_marker_gets_it_again_until_it_is_there_or_deleted() {
    let mut rig = Rig::new(2, &[]);
    let me = rig.init().unwrap();
    rig.add_in(me, &[("orders", 0), ("orders", 1), ("gone", 0)], 2);
    rig.end_in(me, Verdict::Commit, 2).unwrap();
    let failed = |topic: &str, partition, code| (topic.into(), partition, code);
    let mut pauses = BTreeSet::new();
    for _ in 0..10 {
        let ending = rig.endings().pop().unwrap();
        let failed = [
            failed("orders", 1, ErrorCode::NotEnoughReplicas),
            failed("gone", 0, ErrorCode::UnknownTopicOrPartition),
        ];
        rig.happens(|core, scene| core.markers_written(&ending, &failed, scene));
        assert_eq!(rig.state(), State::PrepareCommit);
        let before = rig.now.elapsed;
        while rig.actions.is_empty() {
            rig.passes(Duration::from_millis(1));
        }
        pauses.insert(rig.now.elapsed - before);
    }
    assert_eq!(pauses.first(), Some(&Duration::from_millis(20)));
    assert_eq!(pauses.last(), Some(&Duration::from_secs(1)));
    let ending = rig.endings().pop().unwrap();
    assert_eq!(ending.partitions, [("orders".into(), 1)]);
    rig.happens(|core, scene| core.markers_written(&ending, &[], scene));
    assert_eq!(rig.state(), State::CompleteCommit);
    assert_eq!(rig.core.retries.len(), 0);
}

#[test]
fn who_waits_for_the_end_is_told() {
    let mut rig = Rig::new(2, &[]);
    let me = rig.init().unwrap();
    let ask = |rig: &mut Rig| {
        let (reply, answer) = Reply::new();
        rig.happens(|core, scene| core.when_ended(ID, reply, scene));
        answer
    };
    assert!(ask(&mut rig).try_recv().is_ok(), "nothing to wait for");
    rig.add_in(me, &BOTH, 2);
    rig.end_in(me, Verdict::Commit, 2).unwrap();
    let mut waits = ask(&mut rig);
    assert!(waits.try_recv().is_err());
    rig.markers_are_written();
    assert!(waits.try_recv().is_ok());
}

#[test]
fn what_a_core_that_is_gone_asked_for_is_wanted_no_more() {
    // Before version 2 the next transaction has the same epoch, and may have the same partitions.
    let mut rig = Rig::new(0, &[]);
    let me = rig.init().unwrap();
    rig.add(me, &BOTH);
    rig.end_in(me, Verdict::Commit, 0).unwrap();
    let early = rig.endings().pop().unwrap();
    assert!(rig.core.is_wanted(&early));
    rig.reload();
    assert!(!rig.core.is_wanted(&early));
    rig.markers_are_written();
    rig.add(me, &BOTH);
    rig.end_in(me, Verdict::Commit, 0).unwrap();
    assert!(!rig.core.is_wanted(&early));
    rig.happens(|core, scene| core.markers_written(&early, &[], scene));
    assert_eq!(rig.state(), State::PrepareCommit);
    rig.markers_are_written();
    assert_eq!(rig.state(), State::CompleteCommit);
}

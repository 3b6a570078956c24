//! A member's life, step by step.

use super::{super::classic::*, *};

fn join(reason: &'static str) -> Action<Request> {
    Action::Send(Request::Join { reason })
}

fn nothing_unwanted(_: &TopicPartition) -> bool {
    false
}

fn joined(id: &str, generation: i32) -> Joined {
    Joined { member_id: id.into(), generation, protocol: "range".into(), ..Joined::default() }
}

/// A member that has been given partitions 0 and 1.
fn stable(cooperative: bool, is_static: bool) -> Classic {
    let mut core = Classic::new(times(), cooperative, is_static);
    assert_eq!(core.join("first", nothing_unwanted), [join("first")]);
    let actions = core.joined(seconds(1), Ok(joined("m", 1)));
    assert_eq!(actions, [identify("m", 1), Action::Send(Request::Sync(vec![]))]);
    assert_eq!(core.synced(seconds(1), Ok(partitions(0..2))), [assign(0..2)]);
    assert_eq!(core.assigned(seconds(1)), []);
    assert_eq!(core.owned(), &partitions(0..2));
    core
}

fn rebalance(core: &mut Classic) -> Vec<Action<Request>> {
    core.beaten(Err(error(ErrorCode::RebalanceInProgress)))
}

#[test]
fn a_member_is_named_before_it_joins_and_decides_if_it_leads() {
    let mut core = Classic::new(times(), false, false);
    core.join("first", nothing_unwanted);
    assert_eq!(core.named("m"), [join("need to re-join with the given member-id")]);
    assert_eq!(core.member_id(), "m");
    let lead = Joined { leads: true, ..joined("m", 1) };
    let actions = core.joined(seconds(1), Ok(lead.clone()));
    assert_eq!(actions, [identify("m", 1), Action::Send(Request::Decide(lead))]);
    let decision = vec![("m".into(), vec![1])];
    let actions = core.decided(seconds(1), Ok(decision.clone()));
    assert_eq!(actions, [Action::Send(Request::Sync(decision))]);
}

#[test]
fn a_static_leader_that_comes_back_leaves_the_group_as_it_is() {
    let mut core = Classic::new(times(), false, true);
    core.join("first", nothing_unwanted);
    let back = Joined { leads: true, keeps: true, ..joined("m", 1) };
    let actions = core.joined(seconds(1), Ok(back));
    assert_eq!(actions[1], Action::Send(Request::Sync(vec![])));
}

#[test]
fn an_eager_member_gives_everything_up_before_it_joins_again() {
    let mut core = stable(false, false);
    assert_eq!(rebalance(&mut core), [revoke(0..2, false)]);
    assert_eq!(rebalance(&mut core), [], "it is about to");
    assert_eq!(core.revoked(&partitions(0..2)), [join("the group rebalances")]);
    assert_eq!(core.owned(), &partitions([]));
    assert_eq!(core.last(), (&partitions(0..2), 1), "the sticky assignor is told what was there");
    core.joined(seconds(5), Ok(joined("m", 2)));
    assert_eq!(core.synced(seconds(5), Ok(partitions(1..3))), [assign(1..3)]);
}

#[test]
fn a_cooperative_member_keeps_what_it_has_and_joins_again_after_it_gave_some_up() {
    let mut core = stable(true, false);
    assert_eq!(rebalance(&mut core), [join("the group rebalances")]);
    core.joined(seconds(5), Ok(joined("m", 2)));
    let actions = core.synced(seconds(5), Ok(partitions([1, 5])));
    assert_eq!(actions, [revoke([0], false), assign([5])]);
    assert_eq!(core.revoked(&partitions([0])), []);
    assert_eq!(core.assigned(seconds(5)), [join("others may have what was given up")]);
    core.joined(seconds(6), Ok(joined("m", 3)));
    assert_eq!(core.synced(seconds(6), Ok(partitions([1, 5]))), [assign([])]);
    assert_eq!(core.assigned(seconds(6)), [], "it has come to rest");
}

#[test]
fn a_cooperative_member_gives_up_at_once_what_it_no_longer_subscribes_to() {
    let mut core = stable(true, false);
    let actions = core.join("other topics", |partition| partition.partition == 1);
    assert_eq!(actions, [revoke([1], false)]);
    assert_eq!(core.revoked(&partitions([1])), [join("other topics")]);
}

#[test]
fn a_change_in_the_middle_of_a_rebalance_brings_another_one() {
    let mut core = stable(false, false);
    rebalance(&mut core);
    assert_eq!(core.join("other topics", nothing_unwanted), []);
    core.revoked(&partitions(0..2));
    core.joined(seconds(5), Ok(joined("m", 2)));
    assert_eq!(core.join("more topics", nothing_unwanted), []);
    core.synced(seconds(5), Ok(partitions(0..1)));
    assert_eq!(core.assigned(seconds(5)), [revoke(0..1, false)]);
    assert_eq!(core.revoked(&partitions(0..1)), [join("more topics")]);
}

#[test]
fn who_was_taken_for_dead_has_lost_what_it_had() {
    for (code, id) in [(ErrorCode::UnknownMemberId, ""), (ErrorCode::IllegalGeneration, "m")] {
        let mut core = stable(true, false);
        let actions = core.beaten(Err(error(code)));
        assert_eq!(actions, [identify(id, -1), revoke(0..2, true)]);
        let reason = "the group went on without this member";
        assert_eq!(core.revoked(&partitions(0..2)), [join(reason)]);
    }
}

#[test]
fn a_member_that_is_replaced_stops_and_says_so() {
    let mut core = stable(false, true);
    let actions = core.beaten(Err(error(ErrorCode::FencedInstanceId)));
    let failure = Action::Fail(Failure(error(ErrorCode::FencedInstanceId)));
    assert_eq!(actions, [identify("m", -1), revoke(0..2, true), failure]);
    core.revoked(&partitions(0..2));
    assert_eq!(core.tick(seconds(900), seconds(900)), [], "it does not come back by itself");
    assert_eq!(core.wake_at(seconds(900)), None);
}

#[test]
fn heartbeats_come_in_time_one_after_the_other() {
    let mut core = stable(false, false);
    assert_eq!(core.wake_at(seconds(1)), Some(seconds(4)));
    assert_eq!(core.tick(seconds(3), seconds(1)), []);
    assert_eq!(core.tick(seconds(4), seconds(1)), [Action::Send(Request::Heartbeat)]);
    assert_eq!(core.tick(seconds(8), seconds(1)), [], "the first is not answered yet");
    assert_eq!(core.beaten(Ok(())), []);
    assert_eq!(core.tick(seconds(8), seconds(1)), [Action::Send(Request::Heartbeat)]);
    assert_eq!(core.beaten(Err(error(ErrorCode::NotCoordinator))), []);
}

#[test]
fn heartbeats_go_on_while_partitions_are_given_up() {
    let mut core = stable(false, false);
    rebalance(&mut core);
    assert_eq!(core.tick(seconds(4), seconds(1)), [Action::Send(Request::Heartbeat)]);
}

#[test]
fn who_does_not_poll_leaves_and_comes_back_when_somebody_polls() {
    for is_static in [false, true] {
        let mut core = stable(false, is_static);
        let mut actions = core.tick(seconds(302), seconds(1));
        assert_eq!(actions.remove(0), identify("m", -1));
        let leave = Request::Leave { reason: "nobody polled for max.poll.interval.ms" };
        let leaving = if is_static { vec![] } else { vec![Action::Send(leave)] };
        assert_eq!(actions, leaving, "a static member's seat stays free");
        assert_eq!(core.tick(seconds(400), seconds(1)), []);
        let actions = core.tick(seconds(400), seconds(400));
        assert_eq!(actions, [identify("", -1), revoke(0..2, true)]);
        assert_eq!(core.revoked(&partitions(0..2)), [join("somebody polls again")]);
    }
}

#[test]
fn a_coordinator_that_is_not_there_is_asked_again_with_growing_pauses() {
    let mut core = Classic::new(times(), false, false);
    core.join("first", nothing_unwanted);
    let mut now = seconds(1);
    for pause_ms in [100, 200, 400, 800, 1000, 1000] {
        assert_eq!(core.joined(now, Err(error(ErrorCode::CoordinatorNotAvailable))), []);
        let at = now + Duration::from_millis(pause_ms);
        assert_eq!(core.wake_at(now), Some(at));
        assert_eq!(core.tick(at, at), [join("the coordinator was not there")]);
        now = at;
    }
}

#[test]
fn who_closes_gives_up_and_leaves() {
    let mut core = stable(false, false);
    let leave = Action::Send(Request::Leave { reason: "the consumer is being closed" });
    assert_eq!(core.leave(), [revoke(0..2, false), leave]);
    core.revoked(&partitions(0..2));
    core.left();
    assert_eq!(core.join("again", nothing_unwanted), [join("again")]);
    let mut core = stable(false, true);
    assert_eq!(core.leave(), [revoke(0..2, false)]);
}

/// Whatever happens: never two requests about membership at a time, and when nothing goes wrong any
/// more the member comes to rest and reads what it was given.
#[test]
fn random_lives() {
    let codes = [
        ErrorCode::RebalanceInProgress,
        ErrorCode::UnknownMemberId,
        ErrorCode::IllegalGeneration,
        ErrorCode::NotCoordinator,
        ErrorCode::CoordinatorNotAvailable,
    ];
    for seed in 0..500 {
        let mut random = milena_env::Random::from_seed(seed);
        let mut below = |bound: usize| (random.next_u64() % bound as u64) as usize;
        let mut core = Classic::new(times(), below(2) == 0, below(2) == 0);
        let mut now = seconds(1);
        let (mut requests, mut calls) = (Vec::new(), std::collections::VecDeque::new());
        let mut reading = partitions([]);
        let mut target = partitions([]);
        let mut actions = core.join("first", nothing_unwanted);
        let mut generation = 0;
        for step in 0..400 {
            let is_calm = step >= 300;
            for action in actions.drain(..) {
                match action {
                    Action::Send(Request::Heartbeat | Request::Leave { .. }) if is_calm => {
                        requests.push((core.round(), Request::Heartbeat));
                    }
                    Action::Send(request) => requests.push((core.round(), request)),
                    Action::Revoke { .. } | Action::Assign(_) => calls.push_back(action),
                    Action::Fail(failure) => panic!("seed {seed}: {failure:?}"),
                    Action::Identify { .. } => {}
                }
            }
            // The shell drops answers of earlier rounds.
            requests.retain(|(round, request)| {
                let is_about = !matches!(request, Request::Heartbeat | Request::Leave { .. });
                !is_about || *round == core.round()
            });
            let about = requests.iter().filter(|(_, request)| {
                !matches!(request, Request::Heartbeat | Request::Leave { .. })
            });
            assert!(about.count() <= 1, "seed {seed}: {requests:?}");
            now += Duration::from_millis(below(2000) as u64);
            let fails = !is_calm && below(4) == 0;
            let failure = error(codes[below(codes.len())]);
            actions = match below(4) {
                0 if !calls.is_empty() => match calls.pop_front() {
                    Some(Action::Revoke { partitions, .. }) => {
                        reading.retain(|it| !partitions.contains(it));
                        core.revoked(&partitions)
                    }
                    Some(Action::Assign(partitions)) => {
                        reading.extend(partitions);
                        if calls.is_empty() { core.assigned(now) } else { vec![] }
                    }
                    _ => vec![],
                },
                1 | 2 if !requests.is_empty() => match requests.remove(below(requests.len())).1 {
                    Request::Join { .. } if fails => core.joined(now, Err(failure)),
                    Request::Join { .. } => {
                        generation += 1;
                        let leads = below(2) == 0;
                        core.joined(now, Ok(Joined { leads, ..joined("m", generation) }))
                    }
                    Request::Decide(_) => core.decided(now, Ok(vec![])),
                    Request::Sync(_) if fails => core.synced(now, Err(failure)),
                    Request::Sync(_) => {
                        if !is_calm {
                            target = partitions((0..6).filter(|_| below(2) == 0));
                        }
                        core.synced(now, Ok(target.clone()))
                    }
                    Request::Heartbeat if fails => core.beaten(Err(failure)),
                    Request::Heartbeat => core.beaten(Ok(())),
                    Request::Leave { .. } => vec![],
                },
                3 if !is_calm && below(20) == 0 => core.join("other topics", nothing_unwanted),
                _ => core.tick(now, if below(50) == 0 && !is_calm { seconds(0) } else { now }),
            };
        }
        assert_eq!((core.owned(), &reading), (&target, &target), "seed {seed}");
    }
}

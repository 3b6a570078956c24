//! A member's life, step by step.

use super::{super::modern::*, *};

fn beat(epoch: i32, is_full: bool, owned: Option<std::ops::Range<i32>>) -> Action<Beat> {
    Action::Send(Beat { epoch, is_full, owned: owned.map(partitions) })
}

fn told(epoch: i32, target: impl IntoIterator<Item = i32>) -> Result<Beaten, Error> {
    let (interval, target) = (seconds(5), Some(partitions(target)));
    Ok(Beaten { epoch, interval, target, is_partial: false })
}

fn nothing_new(epoch: i32) -> Result<Beaten, Error> {
    Ok(Beaten { epoch, interval: seconds(5), ..Beaten::default() })
}

/// A member that has been given partitions 0 and 1, and has said so.
fn stable(is_static: bool) -> Modern {
    let mut core = Modern::new(times(), "m".into(), is_static);
    assert_eq!(core.subscribe(seconds(1)), [beat(0, true, Some(0..0))]);
    let actions = core.beaten(seconds(1), told(1, 0..2));
    assert_eq!(actions, [identify("m", 1), assign(0..2)]);
    assert_eq!(core.assigned(seconds(1)), [beat(1, false, Some(0..2))], "it says so at once");
    assert_eq!(core.beaten(seconds(1), nothing_new(1)), []);
    core
}

#[test]
fn a_member_gives_up_then_takes_then_says_so() {
    let mut core = stable(false);
    assert_eq!(core.wake_at(seconds(1)), Some(seconds(6)), "as often as the broker says");
    assert_eq!(core.tick(seconds(6), seconds(6)), [beat(1, false, None)]);
    assert_eq!(core.beaten(seconds(6), told(2, 1..4)), [identify("m", 2), revoke([0], false)]);
    assert_eq!(core.tick(seconds(11), seconds(11)), [beat(2, false, None)], "in the meantime");
    assert_eq!(core.beaten(seconds(11), nothing_new(2)), []);
    assert_eq!(core.revoked(seconds(12), &partitions([0])), [assign(2..4)]);
    assert_eq!(core.assigned(seconds(12)), [beat(2, false, Some(1..4))]);
    assert_eq!(core.owned(), &partitions(1..4));
}

#[test]
fn a_target_that_changes_meanwhile_is_reached_afterwards() {
    let mut core = stable(false);
    core.tick(seconds(6), seconds(6));
    core.beaten(seconds(6), told(2, 1..2));
    core.tick(seconds(11), seconds(11));
    assert_eq!(core.beaten(seconds(11), told(3, 1..3)), [identify("m", 3)]);
    let actions = core.revoked(seconds(12), &partitions([0]));
    assert_eq!(actions, [beat(3, false, Some(1..2)), assign(2..3)]);
}

#[test]
fn who_is_fenced_loses_everything_and_joins_again() {
    let mut core = stable(false);
    core.tick(seconds(6), seconds(6));
    let actions = core.beaten(seconds(6), Err(error(ErrorCode::FencedMemberEpoch)));
    assert_eq!(actions, [identify("m", -1), revoke(0..2, true)]);
    let actions = core.revoked(seconds(7), &partitions(0..2));
    assert_eq!(actions, [beat(0, true, Some(0..0))]);
}

#[test]
fn who_is_fenced_in_the_middle_of_a_change_still_joins_again() {
    let mut core = stable(false);
    core.tick(seconds(6), seconds(6));
    core.beaten(seconds(6), told(2, 1..4));
    core.tick(seconds(11), seconds(11));
    let actions = core.beaten(seconds(11), Err(error(ErrorCode::UnknownMemberId)));
    assert_eq!(actions, [identify("m", -1), revoke(0..4, true)]);
    assert_eq!(core.revoked(seconds(12), &partitions([0])), [], "that was the earlier one");
    let actions = core.revoked(seconds(12), &partitions(0..4));
    assert_eq!(actions, [beat(0, true, Some(0..0))]);
    assert_eq!(core.owned(), &partitions([]));
}

#[test]
fn a_heartbeat_without_answer_is_made_again_in_full() {
    let mut core = stable(false);
    core.tick(seconds(6), seconds(6));
    assert_eq!(core.beaten(seconds(6), Err(error(ErrorCode::NotCoordinator))), []);
    let at = seconds(6) + Duration::from_millis(100);
    assert_eq!(core.wake_at(seconds(6)), Some(at));
    assert_eq!(core.tick(at, at), [beat(1, true, Some(0..2))]);
}

#[test]
fn a_topic_that_is_not_known_yet_is_asked_for_again() {
    let mut core = Modern::new(times(), "m".into(), false);
    core.subscribe(seconds(1));
    let target = Some(partitions(0..1));
    let partial = Beaten { epoch: 1, interval: seconds(5), target, is_partial: true };
    core.beaten(seconds(1), Ok(partial));
    assert_eq!(core.assigned(seconds(1)), [beat(1, true, Some(0..1))]);
    assert_eq!(core.beaten(seconds(1), told(1, 0..2)), [assign(1..2)]);
}

#[test]
fn an_error_that_stays_is_told() {
    let mut core = stable(false);
    core.tick(seconds(6), seconds(6));
    let refused = || error(ErrorCode::UnsupportedAssignor);
    let actions = core.beaten(seconds(6), Err(refused()));
    let failure = Action::Fail(Failure(refused()));
    assert_eq!(actions, [identify("m", -1), revoke(0..2, true), failure]);
    core.revoked(seconds(6), &partitions(0..2));
    assert_eq!(core.tick(seconds(900), seconds(900)), []);
    assert_eq!(core.subscribe(seconds(901)), [beat(0, true, Some(0..0))], "somebody tries again");
}

#[test]
fn who_does_not_poll_leaves_and_comes_back_when_somebody_polls() {
    for (is_static, epoch) in [(false, -1), (true, -2)] {
        let mut core = stable(is_static);
        let actions = core.tick(seconds(302), seconds(1));
        assert_eq!(actions, [identify("m", -1), beat(epoch, false, None)]);
        assert_eq!(core.tick(seconds(400), seconds(1)), []);
        let actions = core.tick(seconds(400), seconds(400));
        assert_eq!(actions, [identify("m", -1), revoke(0..2, true)]);
        let actions = core.revoked(seconds(401), &partitions(0..2));
        assert_eq!(actions, [beat(0, true, Some(0..0))]);
    }
}

#[test]
fn who_closes_gives_up_and_leaves() {
    let mut core = stable(false);
    assert_eq!(core.leave(), [revoke(0..2, false), beat(-1, false, None)]);
    core.revoked(seconds(9), &partitions(0..2));
    core.left();
    assert_eq!(core.subscribe(seconds(9)), [beat(0, true, Some(0..0))]);
    assert_eq!(stable(true).leave()[1], beat(-2, false, None), "for a while");
}

/// Whatever happens: one heartbeat at a time, nothing is read that was not given, and when nothing
/// goes wrong any more the member has what the broker wants it to have, and the broker knows.
#[test]
fn random_lives() {
    let codes = [
        ErrorCode::FencedMemberEpoch,
        ErrorCode::UnknownMemberId,
        ErrorCode::NotCoordinator,
        ErrorCode::CoordinatorLoadInProgress,
    ];
    for seed in 0..500 {
        let mut random = milena_env::Random::from_seed(seed);
        let mut below = |bound: usize| (random.next_u64() % bound as u64) as usize;
        let mut core = Modern::new(times(), "m".into(), below(2) == 0);
        let mut now = seconds(1);
        let (mut beats, mut calls) = (Vec::new(), std::collections::VecDeque::new());
        let (mut reading, mut known, mut target) = (partitions([]), None, partitions([]));
        let mut epoch = 0;
        let mut actions = core.subscribe(now);
        for step in 0..500 {
            let is_calm = step >= 300;
            for action in actions.drain(..) {
                match action {
                    Action::Send(beat) => beats.push(beat),
                    Action::Revoke { .. } | Action::Assign(_) => calls.push_back(action),
                    Action::Fail(failure) => panic!("seed {seed}: {failure:?}"),
                    Action::Identify { .. } => {}
                }
            }
            let staying = beats.iter().filter(|beat: &&Beat| beat.epoch >= 0).count();
            assert!(staying <= 1, "seed {seed}: {beats:?}");
            now += Duration::from_millis(below(3000) as u64);
            let fails = !is_calm && below(5) == 0;
            let failure = error(codes[below(codes.len())]);
            actions = match below(4) {
                0 if !calls.is_empty() => match calls.pop_front() {
                    Some(Action::Revoke { partitions, .. }) => {
                        reading.retain(|it| !partitions.contains(it));
                        core.revoked(now, &partitions)
                    }
                    Some(Action::Assign(partitions)) => {
                        reading.extend(partitions);
                        core.assigned(now)
                    }
                    _ => vec![],
                },
                1 | 2 if !beats.is_empty() => {
                    let beat = beats.remove(below(beats.len()));
                    if beat.epoch < 0 {
                        vec![]
                    } else if fails {
                        core.beaten(now, Err(failure))
                    } else {
                        if beat.owned.is_some() {
                            known = beat.owned;
                        }
                        let changes = beat.epoch == 0 || (!is_calm && below(3) == 0);
                        if changes {
                            target = partitions((0..6).filter(|_| below(2) == 0));
                            epoch += 1;
                        }
                        let tells = changes || beat.is_full;
                        let answer = Beaten {
                            epoch,
                            interval: seconds(5),
                            target: tells.then(|| target.clone()),
                            is_partial: false,
                        };
                        core.beaten(now, Ok(answer))
                    }
                }
                3 if !is_calm && below(20) == 0 => core.subscribe(now),
                _ => core.tick(now, if below(50) == 0 && !is_calm { seconds(0) } else { now }),
            };
        }
        assert_eq!((core.owned(), &reading), (&target, &target), "seed {seed}");
        assert_eq!(known.as_ref(), Some(&target), "seed {seed}: the broker knows");
    }
}

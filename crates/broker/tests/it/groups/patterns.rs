//! Bad input of row 37: patterns that take long to judge.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use milena_protocol::ErrorCode;

use crate::{consumer::Consumer, member::Member, rig::Rig};

const PATTERNS: usize = 8;

/// The worst that is known: a quarter of a second goes by before it is refused.
fn slow(number: usize) -> String {
    format!("(.*a){{1000}}b|{number}")
}

#[test]
fn hostile_37_while_patterns_are_judged_everybody_else_is_served() {
    let rig = Rig::start("num.network.threads=1\ngroup.initial.rebalance.delay.ms=0");
    let mut bystander = rig.client();
    assert_eq!(bystander.create_topic("news", 1, &[]), ErrorCode::None);
    bystander.find_coordinator("g");
    // Of the same group's partition, and on the same thread.
    let mut member = Member::of("g-classic");
    bystander.find_coordinator("g-classic");
    member.join(&mut bystander).unwrap().unwrap();
    member.sync(&mut bystander, &[]).unwrap().unwrap();
    let mut calm = Consumer::of("g");
    calm.topics = Some(vec!["news"]);
    assert_eq!(calm.beat(&mut bystander), ErrorCode::None);

    let is_over = AtomicBool::new(false);
    let (beats, judged) = std::thread::scope(|scope| {
        let judging = scope.spawn(|| {
            let mut clients: Vec<_> = (0..PATTERNS).map(|_| rig.client()).collect();
            let begun = Instant::now();
            for (number, client) in clients.iter_mut().enumerate() {
                let pattern = slow(number);
                let hostile = Consumer { pattern: Some(&pattern), ..Consumer::of("g") };
                hostile.send(client);
            }
            for client in &mut clients {
                let told = Consumer::of("g").receive(client);
                assert_eq!(told, ErrorCode::InvalidRegularExpression);
            }
            is_over.store(true, Ordering::SeqCst);
            begun.elapsed()
        });
        let mut beats = 0;
        while !is_over.load(Ordering::SeqCst) {
            assert_eq!(calm.beat(&mut bystander), ErrorCode::None);
            assert_eq!(member.heartbeat(&mut bystander).unwrap(), ErrorCode::None);
            beats += 1;
        }
        (beats, judging.join().unwrap())
    });
    assert!(judged > Duration::from_millis(200), "that is not slow: {judged:?}");
    // A beat that waits for the judge waits for a whole pattern. How long a beat takes says less:
    // a busy machine may keep the test itself waiting.
    assert!(beats > 5 * PATTERNS, "{beats} beats while {PATTERNS} patterns took {judged:?}");
}

#[test]
fn who_subscribes_by_a_pattern_is_given_topics_that_are_there_and_that_come() {
    let rig = Rig::start("");
    let mut client = rig.client();
    assert_eq!(client.create_topic("news-1", 2, &[]), ErrorCode::None);
    assert_eq!(client.create_topic("olds-1", 2, &[]), ErrorCode::None);
    client.find_coordinator("g");
    let mut reader = Consumer { pattern: Some("news-.*"), ..Consumer::of("g") };
    reader.beat_until(&mut client, |reader| reader.has.len() == 2);
    assert!(reader.has.iter().all(|(topic, _)| *topic == reader.has[0].0));
    assert_eq!(client.create_topic("news-2", 1, &[]), ErrorCode::None);
    reader.beat_until(&mut client, |reader| reader.has.len() == 3);
}

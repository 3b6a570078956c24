//! Stories of groups whose coordinator assigns.

mod fences;
mod members;
mod migration;
mod random;
mod topics;

use std::collections::BTreeSet;

use milena_protocol::Uuid;

use super::Rig;
use crate::coordinator::group::{
    GroupError,
    consumer::{ConsumerDescription, ConsumerHeartbeat, ConsumerHeartbeatAnswer},
    patterns::Resolution,
    regex::TopicPattern,
};

/// A consumer as clients are: it takes what it is given, and gives up what it is no longer given.
#[derive(Clone, Debug, Default)]
pub(super) struct Consumer {
    pub(super) id: String,
    pub(super) instance: Option<String>,
    pub(super) epoch: i32,
    pub(super) topics: Vec<String>,
    pub(super) pattern: Option<String>,
    pub(super) assignor: Option<String>,
    /// What it reads.
    pub(super) has: BTreeSet<(Uuid, i32)>,
    /// What it was told to give up and still reads.
    pub(super) clings_to: BTreeSet<(Uuid, i32)>,
    /// It has not yet told what it has.
    pub(super) has_news: bool,
}

/// A heartbeat in which nothing is new.
pub(super) fn nothing_new<'a>(member_id: &'a str, member_epoch: i32) -> ConsumerHeartbeat<'a> {
    ConsumerHeartbeat {
        version: 1,
        group: "g",
        member_id,
        member_epoch,
        instance_id: None,
        rack_id: None,
        rebalance_timeout_ms: -1,
        topics: None,
        pattern: None,
        assignor: None,
        owned: None,
        client_id: "client",
        client_host: "/127.0.0.1",
        pattern_fault: None,
    }
}

pub(super) fn by_topic(partitions: &BTreeSet<(Uuid, i32)>) -> Vec<(Uuid, Vec<i32>)> {
    let topics: BTreeSet<Uuid> = partitions.iter().map(|(topic, _)| *topic).collect();
    let of = |topic: Uuid| partitions.iter().filter(move |it| it.0 == topic).map(|it| it.1);
    topics.into_iter().map(|topic| (topic, of(topic).collect())).collect()
}

impl Consumer {
    pub(super) fn new(id: &str, topics: &[&str]) -> Self {
        let topics = topics.iter().map(|topic| (*topic).to_owned()).collect();
        Self { id: id.to_owned(), topics, ..Self::default() }
    }

    /// The same under an instance id, which it keeps when it is started anew.
    pub(super) fn of_instance(self, instance: &str) -> Self {
        Self { instance: Some(instance.to_owned()), ..self }
    }

    pub(super) fn with_pattern(self, pattern: &str) -> Self {
        Self { pattern: Some(pattern.to_owned()), ..self }
    }

    fn everything(&self) -> ConsumerHeartbeat<'_> {
        ConsumerHeartbeat {
            instance_id: self.instance.as_deref(),
            rebalance_timeout_ms: 30_000,
            topics: Some(self.topics.iter().map(|topic| &**topic).collect()),
            pattern: self.pattern.as_deref(),
            assignor: self.assignor.as_deref(),
            owned: Some(by_topic(&self.has)),
            ..nothing_new(&self.id, self.epoch)
        }
    }

    /// Joins with nothing, whatever it had.
    pub(super) fn join(&mut self, rig: &mut Rig) -> Result<(), GroupError> {
        self.has.clear();
        self.clings_to.clear();
        self.epoch = 0;
        let answer = send(rig, &self.everything())?;
        self.take(&answer);
        Ok(())
    }

    /// Tells all that there is to tell.
    pub(super) fn tell_all(&mut self, rig: &mut Rig) -> Result<(), GroupError> {
        let answer = send(rig, &self.everything())?;
        self.take(&answer);
        Ok(())
    }

    /// The heartbeat of every few seconds.
    pub(super) fn beat(&mut self, rig: &mut Rig) -> Result<(), GroupError> {
        let owned = self.has_news.then(|| by_topic(&self.has));
        let instance_id = self.instance.as_deref();
        let request = ConsumerHeartbeat { owned, instance_id, ..nothing_new(&self.id, self.epoch) };
        let answer = send(rig, &request)?;
        self.has_news = false;
        self.take(&answer);
        Ok(())
    }

    pub(super) fn leave(&mut self, rig: &mut Rig, epoch: i32) -> Result<(), GroupError> {
        let instance_id = self.instance.as_deref();
        let answer = send(rig, &ConsumerHeartbeat { instance_id, ..nothing_new(&self.id, epoch) })?;
        assert_eq!((answer.member_epoch, answer.assignment), (epoch, None));
        self.has.clear();
        Ok(())
    }

    fn take(&mut self, answer: &ConsumerHeartbeatAnswer) {
        assert!(answer.member_epoch >= self.epoch, "{self:?} went back to {answer:?}");
        self.epoch = answer.member_epoch;
        self.id = answer.member_id.to_string();
        if let Some(assignment) = &answer.assignment {
            let each = |(topic, all): &(Uuid, Vec<i32>)| {
                all.iter().map(|partition| (*topic, *partition)).collect::<Vec<_>>()
            };
            let given: BTreeSet<_> = assignment.iter().flat_map(each).collect();
            self.clings_to = self.has.difference(&given).copied().collect();
            self.has.extend(given);
            self.has_news = true;
        }
    }

    /// Gives up what it does not have to have any more.
    pub(super) fn let_go(&mut self) {
        let clings_to = std::mem::take(&mut self.clings_to);
        self.has_news |= !clings_to.is_empty();
        self.has.retain(|it| !clings_to.contains(it));
    }
}

pub(super) fn send(
    rig: &mut Rig,
    request: &ConsumerHeartbeat<'_>,
) -> Result<ConsumerHeartbeatAnswer, GroupError> {
    let pattern_fault = request.pattern.and_then(|it| TopicPattern::new(it).err());
    let request = ConsumerHeartbeat { pattern_fault, ..request.clone() };
    let answer = rig.happens(|groups, scene| groups.consumer_heartbeat(&request, scene))?;
    resolve(rig, &answer.unresolved);
    Ok(answer)
}

/// What those who ask do beside the core.
fn resolve(rig: &mut Rig, unresolved: &[Box<str>]) {
    let topics = |pattern: &str| {
        let pattern = TopicPattern::new(pattern).unwrap();
        let topics = rig.image.topics.iter().map(|topic| &*topic.name);
        topics.filter(|name| pattern.fits(name)).map(Into::into).collect()
    };
    let patterns: Vec<_> = unresolved.iter().map(|it| (it.clone(), topics(it))).collect();
    if !patterns.is_empty() {
        let found = Resolution { patterns, version: rig.image.position.offset };
        rig.happens(|groups, scene| groups.patterns_resolved("g", found, scene)).unwrap();
    }
}

pub(super) fn describe(rig: &mut Rig) -> Result<ConsumerDescription, GroupError> {
    rig.happens(|groups, scene| groups.describe_consumer("g", scene))
}

/// Lets everybody beat until nothing is left to do.
pub(super) fn settle(rig: &mut Rig, consumers: &mut [&mut Consumer]) {
    for _ in 0..20 {
        rig.passes(std::time::Duration::from_secs(5));
        for consumer in consumers.iter_mut() {
            consumer.let_go();
            consumer.beat(rig).unwrap();
        }
        if describe(rig).unwrap().state == "Stable"
            && consumers.iter().all(|it| it.clings_to.is_empty())
        {
            return;
        }
    }
    panic!("the group does not settle: {:?}", describe(rig));
}

//! What the leader of a classic group does: learns of all topics that members subscribe to, and
//! lets an assignor decide.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use super::{
    super::{
        assignor::{Assignor, Group, Topics},
        shared::Shared,
    },
    classic::{Assignments, Joined},
    messages::{read_subscription, write_assignment},
};
use crate::{
    cluster::View,
    error::{Error, Result},
};

/// What each member gets, and what was known of the topics when that was decided.
#[derive(Debug, Default)]
pub(super) struct Decision {
    pub(super) assignments: Assignments,
    pub(super) partitions: BTreeMap<Box<str>, usize>,
}

pub(super) async fn decide(shared: &Shared, joined: &Joined) -> Result<Decision> {
    let Some(assignor) = Assignor::from_name(&joined.protocol) else {
        let problem =
            format!("the group wants to use {}, which is not known here", joined.protocol);
        return Err(Error::Invalid(problem.into()));
    };
    let members: BTreeMap<_, _> = joined
        .members
        .iter()
        .map(|told| {
            let mut member = read_subscription(assignor, &told.subscription);
            member.instance_id.clone_from(&told.instance_id);
            (told.id.clone(), member)
        })
        .collect();
    let subscribed = || members.values().flat_map(|member| &member.topics);
    let cluster = &shared.cluster;
    cluster.want(subscribed().map(|topic| &**topic), shared.config.allow_auto_create_topics);
    let mut view = cluster.view();
    if subscribed().any(|topic| !view.topics.contains_key(topic)) {
        // A topic that is not there now is given away when it is.
        view = cluster.newer_view(shared.config.client.request_timeout).await?;
        if subscribed().any(|topic| !view.topics.contains_key(topic)) {
            view = cluster.newer_view(shared.config.client.request_timeout).await?;
        }
    }
    let partitions = counts(&view, subscribed().map(|topic| &**topic));
    let topics = topics(&view, partitions.keys());
    let assignments = assignor.assign(&Group { members, topics });
    let assignments = assignments.iter().map(|(id, it)| (id.clone(), write_assignment(it)));
    Ok(Decision { assignments: assignments.collect(), partitions })
}

/// How many partitions topics have; those that nobody knows have none.
pub(super) fn counts<'t>(
    view: &View,
    topics: impl IntoIterator<Item = &'t str>,
) -> BTreeMap<Box<str>, usize> {
    let count = |topic| view.topics.get(topic).map_or(0, |topic| topic.partitions.len());
    topics.into_iter().map(|topic| (topic.into(), count(topic))).collect()
}

fn topics<'t>(view: &View, names: impl Iterator<Item = &'t Box<str>>) -> Topics {
    let rack = |id: &i32| view.brokers.get(id).and_then(|broker| broker.rack.clone());
    names
        .filter_map(|name| view.topics.get(name))
        .map(|topic| {
            let partitions = topic.partitions.iter();
            let racks = partitions.map(|it| it.replicas.iter().filter_map(rack).collect());
            (topic.name.clone(), racks.collect())
        })
        .collect()
}

/// How long to wait for members that take their time to join.
pub(super) fn join_limit(shared: &Arc<Shared>) -> Duration {
    let config = &shared.config;
    let rebalance = config.max_poll_interval.saturating_add(Duration::from_secs(5));
    rebalance.max(config.client.request_timeout)
}

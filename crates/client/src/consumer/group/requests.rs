//! The requests of members and their answers, as the cores know them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use milena_protocol::{
    ErrorCode, Uuid,
    api::{
        ConsumerGroupHeartbeatRequest, HeartbeatRequest, JoinGroupRequest, LeaveGroupRequest,
        SyncGroupRequest, consumer_group_heartbeat::request::TopicPartitions,
        join_group::request::JoinGroupRequestProtocol, leave_group::request::MemberIdentity,
        sync_group::request::SyncGroupRequestAssignment,
    },
};

use super::{
    super::{
        TopicPartition,
        assignor::Assignment,
        fetch::milliseconds,
        offsets::{at_coordinator, at_coordinator_on},
        shared::Shared,
    },
    Subscription,
    classic::{Assignments, Joined, Member},
    lead::join_limit,
    messages::{Said, read_assignment, write_subscription},
    modern::{Beat, Beaten},
};
use crate::{
    cluster::{Lane, Node},
    error::{Error, Result},
    network::{ConsumerGroupHeartbeat, Heartbeat, JoinGroup, LeaveGroup, SyncGroup},
};

const PROTOCOL_TYPE: &str = "consumer";
/// From this version on a member that leaves may be named with its instance.
const LEAVES_FROM: i16 = 3;

/// Who a member of a classic group is.
#[derive(Clone, Debug)]
pub(super) struct Seat {
    pub(super) member_id: Box<str>,
    pub(super) generation: i32,
    pub(super) protocol: Box<str>,
}

/// What a classic member says about itself when it joins.
#[derive(Clone, Debug)]
pub(super) struct About {
    pub(super) topics: Vec<Box<str>>,
    pub(super) owned: Assignment,
    pub(super) last: Assignment,
    pub(super) last_generation: i32,
}

/// What came of joining.
pub(super) enum JoinAnswer {
    Joined(Joined),
    /// The member has an id now, and is to join with it.
    Named(Box<str>),
}

fn group_id(shared: &Shared) -> &str {
    shared.config.group_id.as_deref().unwrap_or_default()
}

pub(super) fn by_topic<'p>(partitions: impl IntoIterator<Item = &'p TopicPartition>) -> Assignment {
    let mut assignment = Assignment::new();
    for partition in partitions {
        let topic = assignment.entry((&*partition.topic).into()).or_default();
        topic.insert(partition.partition);
    }
    assignment
}

fn partitions(assignment: &Assignment) -> BTreeSet<TopicPartition> {
    let mut all = BTreeSet::new();
    for (topic, partitions) in assignment {
        let topic: Arc<str> = (&**topic).into();
        all.extend(partitions.iter().map(|at| TopicPartition::new(Arc::clone(&topic), *at)));
    }
    all
}

pub(super) async fn join(
    shared: &Arc<Shared>,
    seat: &Seat,
    about: &About,
    reason: &str,
) -> Result<JoinAnswer> {
    let config = &shared.config;
    let said = Said {
        topics: &about.topics,
        owned: &about.owned,
        last: &about.last,
        generation: about.last_generation,
        rack: &config.client.client_rack,
    };
    let assignors = config.partition_assignment_strategy.iter();
    let protocols: Vec<_> =
        assignors.map(|it| (it.name(), write_subscription(*it, &said))).collect();
    let request = JoinGroupRequest {
        group_id: group_id(shared),
        session_timeout_ms: milliseconds(config.session_timeout),
        rebalance_timeout_ms: milliseconds(config.max_poll_interval),
        member_id: &seat.member_id,
        group_instance_id: config.group_instance_id.as_deref(),
        protocol_type: PROTOCOL_TYPE,
        protocols: protocols
            .iter()
            .map(|(name, metadata)| JoinGroupRequestProtocol { name, metadata })
            .collect(),
        reason: Some(reason),
    };
    at_coordinator_on(Lane::Joining, &shared.cluster, group_id(shared), async |node: Arc<Node>| {
        let connection = node.connection().await?;
        let version = connection.version::<JoinGroup>()?;
        let limit = join_limit(shared);
        let answer = connection.call_within::<JoinGroup>(&request, version, limit).await?;
        let message = answer.message()?;
        if message.error_code == ErrorCode::MemberIdRequired as i16 {
            return Ok(JoinAnswer::Named(message.member_id.into()));
        }
        let what = format!("join {}", request.group_id);
        Error::check(&what, message.error_code, None)?;
        let members = message.members.iter().map(|member| Member {
            id: member.member_id.into(),
            instance_id: member.group_instance_id.map(Into::into),
            subscription: member.metadata.to_vec(),
        });
        Ok(JoinAnswer::Joined(Joined {
            member_id: message.member_id.into(),
            generation: message.generation_id,
            protocol: message.protocol_name.unwrap_or_default().into(),
            leads: message.leader == message.member_id,
            keeps: message.skip_assignment,
            members: members.collect(),
        }))
    })
    .await
}

pub(super) async fn sync(
    shared: &Arc<Shared>,
    seat: &Seat,
    assignments: &Assignments,
) -> Result<BTreeSet<TopicPartition>> {
    let request = SyncGroupRequest {
        group_id: group_id(shared),
        generation_id: seat.generation,
        member_id: &seat.member_id,
        group_instance_id: shared.config.group_instance_id.as_deref(),
        protocol_type: Some(PROTOCOL_TYPE),
        protocol_name: Some(&seat.protocol),
        assignments: assignments
            .iter()
            .map(|(member_id, assignment)| SyncGroupRequestAssignment { member_id, assignment })
            .collect(),
    };
    at_coordinator_on(Lane::Joining, &shared.cluster, group_id(shared), async |node: Arc<Node>| {
        let connection = node.connection().await?;
        let version = connection.version::<SyncGroup>()?;
        let limit = join_limit(shared);
        let answer = connection.call_within::<SyncGroup>(&request, version, limit).await?;
        let message = answer.message()?;
        let what = format!("sync with {}", request.group_id);
        Error::check(&what, message.error_code, None)?;
        let refuse = || Error::Invalid("the leader's assignment cannot be read".into());
        Ok(partitions(&read_assignment(message.assignment).ok_or_else(refuse)?))
    })
    .await
}

pub(super) async fn heartbeat(shared: &Arc<Shared>, seat: &Seat) -> Result<()> {
    let request = HeartbeatRequest {
        group_id: group_id(shared),
        generation_id: seat.generation,
        member_id: &seat.member_id,
        group_instance_id: shared.config.group_instance_id.as_deref(),
    };
    at_coordinator(&shared.cluster, group_id(shared), async |node: Arc<Node>| {
        let answer = node.call::<Heartbeat>(&request).await?;
        let what = format!("stay in {}", request.group_id);
        Error::check(&what, answer.message()?.error_code, None)
    })
    .await
}

pub(super) async fn leave(shared: &Arc<Shared>, member_id: &str, reason: &str) -> Result<()> {
    at_coordinator(&shared.cluster, group_id(shared), async |node: Arc<Node>| {
        let connection = node.connection().await?;
        let version = connection.version::<LeaveGroup>()?;
        let member = MemberIdentity { member_id, reason: Some(reason), ..Default::default() };
        let request = match version >= LEAVES_FROM {
            true => LeaveGroupRequest {
                members: vec![member],
                group_id: group_id(shared),
                ..Default::default()
            },
            false => {
                LeaveGroupRequest { member_id, group_id: group_id(shared), ..Default::default() }
            }
        };
        let answer = connection.call_at::<LeaveGroup>(&request, version).await?;
        Error::check("leave the group", answer.message()?.error_code, None)
    })
    .await
}

/// One heartbeat of the consumer protocol. Partitions of topics that are not known here yet are
/// left for the next one: what is owned then says that they are not.
pub(super) async fn beat(
    shared: &Arc<Shared>,
    member_id: &str,
    beat: &Beat,
    subscription: &Subscription,
) -> Result<BeatAnswer> {
    let config = &shared.config;
    let view = shared.cluster.view();
    let mut owned: BTreeMap<Uuid, Vec<i32>> = BTreeMap::new();
    for partition in beat.owned.iter().flatten() {
        if let Some(topic) = view.topics.get(&*partition.topic) {
            owned.entry(topic.id).or_default().push(partition.partition);
        }
    }
    let owned = owned.into_iter();
    let owned = owned.map(|(topic_id, partitions)| TopicPartitions { topic_id, partitions });
    let (names, pattern) = match subscription {
        Subscription::Names(names) => (Some(names.iter().map(|name| &**name).collect()), None),
        Subscription::Pattern(pattern) => (Some(Vec::new()), Some(pattern.text())),
        Subscription::None => (Some(Vec::new()), None),
    };
    let mut request = ConsumerGroupHeartbeatRequest {
        group_id: group_id(shared),
        member_id,
        member_epoch: beat.epoch,
        instance_id: config.group_instance_id.as_deref(),
        topic_partitions: beat.owned.as_ref().map(|_| owned.collect()),
        ..Default::default()
    };
    if beat.is_full {
        request.rack_id = Some(&*config.client.client_rack).filter(|rack| !rack.is_empty());
        request.rebalance_timeout_ms = milliseconds(config.max_poll_interval);
        request.subscribed_topic_names = names;
        // An empty pattern takes away one that was there before.
        request.subscribed_topic_regex = pattern.or((beat.epoch > 0).then_some(""));
        request.server_assignor = config.group_remote_assignor.as_deref();
    }
    at_coordinator(&shared.cluster, group_id(shared), async |node: Arc<Node>| {
        let connection = node.connection().await?;
        let version = connection.version::<ConsumerGroupHeartbeat>()?;
        if version == 0 && pattern.is_some() {
            let problem = "this broker resolves no patterns for groups of the consumer protocol";
            return Err(Error::Invalid(problem.into()));
        }
        let answer = connection.call_at::<ConsumerGroupHeartbeat>(&request, version).await?;
        let message = answer.message()?;
        let what = format!("stay in {}", request.group_id);
        Error::check(&what, message.error_code, message.error_message)?;
        let target = message.assignment.as_ref().map(|assignment| {
            let all = assignment.topic_partitions.iter();
            all.map(|it| (it.topic_id, it.partitions.clone())).collect()
        });
        Ok(BeatAnswer {
            epoch: message.member_epoch,
            interval: Duration::from_millis(message.heartbeat_interval_ms.max(0) as u64),
            target,
        })
    })
    .await
}

/// What a heartbeat was answered, with topics as the broker calls them.
#[derive(Debug)]
pub(super) struct BeatAnswer {
    epoch: i32,
    interval: Duration,
    target: Option<Vec<(Uuid, Vec<i32>)>>,
}

/// Puts names to the ids of topics. One that the cluster does not tell in time is deleted again, or
/// so new that the next heartbeat will have it.
pub(super) async fn named(shared: &Arc<Shared>, answer: BeatAnswer) -> Result<Beaten> {
    let BeatAnswer { epoch, interval, target } = answer;
    let Some(target) = target else {
        return Ok(Beaten { epoch, interval, ..Beaten::default() });
    };
    let mut view = shared.cluster.view();
    for _ in 0..2 {
        if target.iter().all(|(id, _)| view.topic_by_id(*id).is_some()) {
            break;
        }
        view = shared.cluster.newer_view(shared.config.client.request_timeout).await?;
    }
    let (mut all, mut is_partial) = (BTreeSet::new(), false);
    for (id, partitions) in target {
        let Some(topic) = view.topic_by_id(id) else {
            is_partial = true;
            continue;
        };
        let name: Arc<str> = (&*topic.name).into();
        all.extend(partitions.iter().map(|at| TopicPartition::new(Arc::clone(&name), *at)));
    }
    Ok(Beaten { epoch, interval, target: Some(all), is_partial })
}

//! Groups: who they are, who is in them, and their end.

use milena_protocol::{
    ErrorCode, Message,
    api::{
        ConsumerGroupDescribeRequest, DeleteGroupsRequest, DescribeGroupsRequest,
        LeaveGroupRequest, ListGroupsRequest,
        consumer_group_describe::response::{Assignment, Member},
        describe_groups::response::DescribedGroupMember,
        leave_group::request::MemberIdentity,
    },
    consumer::ConsumerProtocolAssignment,
};

use super::{Admin, Each, To, done, unless_later};
use crate::{
    TopicPartition,
    error::{Error, Result},
    network::{ConsumerGroupDescribe, DeleteGroups, DescribeGroups, LeaveGroup, ListGroups},
};

/// By which protocol the members of a group agree.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum GroupKind {
    /// One of them assigns.
    Classic,
    /// The broker assigns (KIP-848).
    Consumer,
    /// Another one, by its name.
    Other(Box<str>),
}

/// A group as a broker lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct GroupListing {
    /// Its id.
    pub group: Box<str>,
    /// What its members are to each other, such as `consumer`.
    pub protocol: Box<str>,
    /// Its state; empty from old brokers.
    pub state: Box<str>,
    /// How its members agree.
    pub kind: GroupKind,
    /// Who coordinates it.
    pub coordinator: i32,
}

/// A group and its members.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct GroupDescription {
    /// How its members agree.
    pub kind: GroupKind,
    /// Its state.
    pub state: Box<str>,
    /// Who assigns, as the group knows it.
    pub assignor: Box<str>,
    /// How often it has changed, where the broker assigns.
    pub epoch: Option<i32>,
    /// Its members.
    pub members: Vec<GroupMember>,
}

/// A member of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct GroupMember {
    /// The id that it was given.
    pub id: Box<str>,
    /// The name by which it comes back (`group.instance.id`).
    pub instance: Option<Box<str>>,
    /// Its `client.id`.
    pub client: Box<str>,
    /// Where it is.
    pub host: Box<str>,
    /// The partitions that it has.
    pub assigned: Vec<TopicPartition>,
    /// The partitions that it is to have, where the broker assigns.
    pub target: Option<Vec<TopicPartition>>,
}

impl GroupKind {
    fn from_name(name: &str) -> Self {
        match name {
            // Brokers that know of no kinds know only this one.
            "" | "classic" | "Classic" => Self::Classic,
            "consumer" | "Consumer" => Self::Consumer,
            other => Self::Other(other.into()),
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Classic => "classic",
            Self::Consumer => "consumer",
            Self::Other(name) => name,
        }
    }
}

impl Admin {
    /// All groups, in the order of their ids; those in one of these states, if any is given.
    pub async fn list_groups(&self, states: &[&str]) -> Result<Vec<GroupListing>> {
        let mut groups = Vec::new();
        for coordinator in self.broker_ids().await? {
            let states_filter = states.to_vec();
            let request = ListGroupsRequest { states_filter, types_filter: Vec::new() };
            let (what, to) = ("list groups", To::Broker(coordinator));
            let listed = self.ask::<ListGroups, _>(what, to, &request, |answer| {
                let message = answer.message()?;
                Error::check(what, message.error_code, None)?;
                let groups = message.groups.iter().map(|told| GroupListing {
                    group: told.group_id.into(),
                    protocol: told.protocol_type.into(),
                    state: told.group_state.into(),
                    kind: GroupKind::from_name(told.group_type),
                    coordinator,
                });
                Ok(groups.collect::<Vec<_>>())
            });
            groups.extend(listed.await?);
        }
        groups.sort_by(|one, other| one.group.cmp(&other.group));
        Ok(groups)
    }

    /// Groups with their members.
    pub async fn describe_groups(
        &self,
        groups: &[&str],
    ) -> Result<Each<Box<str>, GroupDescription>> {
        let mut all = Each::new();
        for group in groups {
            let described = match self.describe_consumer_group(group).await {
                // It is a classic one, or the broker knows no others.
                Ok(Err(_)) | Err(Error::Unsupported { .. }) => {
                    self.describe_classic_group(group).await?
                }
                Ok(described) => described,
                Err(error) => return Err(error),
            };
            all.push(((*group).into(), described));
        }
        Ok(all)
    }

    async fn describe_consumer_group(&self, group: &str) -> Result<Result<GroupDescription>> {
        let request = ConsumerGroupDescribeRequest {
            group_ids: vec![group],
            include_authorized_operations: false,
        };
        let what = format!("describe group {group}");
        self.ask::<ConsumerGroupDescribe, _>(&what, To::Group(group), &request, |answer| {
            let message = answer.message()?;
            let Some(told) = message.groups.first() else {
                return Ok(Err(Error::broker(what.clone(), ErrorCode::GroupIdNotFound)));
            };
            only_later(Error::check(&what, told.error_code, told.error_message).map(|()| {
                GroupDescription {
                    kind: GroupKind::Consumer,
                    state: told.group_state.into(),
                    assignor: told.assignor_name.into(),
                    epoch: Some(told.group_epoch),
                    members: told.members.iter().map(GroupMember::of_consumer).collect(),
                }
            }))
        })
        .await
    }

    async fn describe_classic_group(&self, group: &str) -> Result<Result<GroupDescription>> {
        let request =
            DescribeGroupsRequest { groups: vec![group], include_authorized_operations: false };
        let what = format!("describe group {group}");
        self.ask::<DescribeGroups, _>(&what, To::Group(group), &request, |answer| {
            let message = answer.message()?;
            let missing = || Err(Error::broker(what.clone(), ErrorCode::GroupIdNotFound));
            let Some(told) = message.groups.first() else { return Ok(missing()) };
            if told.error_code == 0 && told.group_state == "Dead" {
                return Ok(missing());
            }
            only_later(Error::check(&what, told.error_code, told.error_message).map(|()| {
                GroupDescription {
                    kind: GroupKind::Classic,
                    state: told.group_state.into(),
                    assignor: told.protocol_data.into(),
                    epoch: None,
                    members: told.members.iter().map(GroupMember::of_classic).collect(),
                }
            }))
        })
        .await
    }

    /// Deletes groups with all that they have committed. They must be empty.
    pub async fn delete_groups(&self, groups: &[&str]) -> Result<Each<Box<str>>> {
        let mut all = Each::new();
        for group in groups {
            let request = DeleteGroupsRequest { groups_names: vec![group] };
            let what = format!("delete group {group}");
            let to = To::Group(group);
            let deleted = self.ask::<DeleteGroups, _>(&what, to, &request, |answer| {
                let message = answer.message()?;
                let told = message.results.iter().map(|told| {
                    let what = format!("delete group {}", told.group_id);
                    (told.group_id.into(), done(what, told.error_code, None, ()))
                });
                unless_later(told.collect())
            });
            all.extend(deleted.await?);
        }
        Ok(all)
    }

    /// Sends members away. Those of a name stay away only if they do not come back.
    pub async fn remove_members(
        &self,
        group: &str,
        members: &[GroupMember],
        reason: &str,
    ) -> Result<Each<Box<str>>> {
        let identities = members.iter().map(|member| MemberIdentity {
            // Whoever has a name is known by it.
            member_id: if member.instance.is_some() { "" } else { &member.id },
            group_instance_id: member.instance.as_deref(),
            reason: Some(reason),
        });
        let members = identities.collect();
        let request = LeaveGroupRequest { group_id: group, member_id: "", members };
        let what = format!("remove members of group {group}");
        self.ask::<LeaveGroup, _>(&what, To::Group(group), &request, |answer| {
            let message = answer.message()?;
            Error::check(&what, message.error_code, None)?;
            let told = message.members.iter().map(|told| {
                let name = told.group_instance_id.unwrap_or(told.member_id);
                (name.into(), done(format!("remove member {name}"), told.error_code, None, ()))
            });
            unless_later(told.collect())
        })
        .await
    }
}

impl GroupMember {
    fn of_consumer(told: &Member<'_>) -> Self {
        Self {
            id: told.member_id.into(),
            instance: told.instance_id.map(Into::into),
            client: told.client_id.into(),
            host: told.client_host.into(),
            assigned: partitions(&told.assignment),
            target: Some(partitions(&told.target_assignment)),
        }
    }

    fn of_classic(told: &DescribedGroupMember<'_>) -> Self {
        Self {
            id: told.member_id.into(),
            instance: told.group_instance_id.map(Into::into),
            client: told.client_id.into(),
            host: told.client_host.into(),
            assigned: decoded(told.member_assignment).unwrap_or_default(),
            target: None,
        }
    }
}

fn partitions(assignment: &Assignment<'_>) -> Vec<TopicPartition> {
    let topics = assignment.topic_partitions.iter();
    let partitions = topics.flat_map(|topic| {
        topic.partitions.iter().map(|number| TopicPartition::new(topic.topic_name, *number))
    });
    partitions.collect()
}

/// What a classic member was assigned, if it is a consumer. Others assign in their own words.
fn decoded(assignment: &[u8]) -> Option<Vec<TopicPartition>> {
    let (version, rest) = assignment.split_first_chunk::<2>()?;
    let version = i16::from_be_bytes(*version).min(ConsumerProtocolAssignment::VERSION_MAX);
    let assignment = ConsumerProtocolAssignment::decode(rest, version).ok()?.message;
    let partitions = assignment.assigned_partitions.iter().flat_map(|topic| {
        topic.partitions.iter().map(|number| TopicPartition::new(topic.topic, *number))
    });
    Some(partitions.collect())
}

/// An error that may pass is one of the attempt, any other one of the group.
fn only_later<T>(result: Result<T>) -> Result<Result<T>> {
    match result {
        Err(error) if error.is_retriable() => Err(error),
        result => Ok(result),
    }
}

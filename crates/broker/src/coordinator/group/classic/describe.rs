//! What others may know of a group: DescribeGroups and ListGroups.

use super::{ClassicGroup, Phase, member::Member};

/// A group as DescribeGroups tells of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Description {
    pub(crate) state: &'static str,
    pub(crate) protocol_type: Box<str>,
    /// The one that was chosen, in a stable group.
    pub(crate) protocol: Box<str>,
    pub(crate) members: Vec<DescribedMember>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DescribedMember {
    pub(crate) id: Box<str>,
    pub(crate) instance_id: Option<Box<str>>,
    pub(crate) client_id: Box<str>,
    pub(crate) client_host: Box<str>,
    /// Of the chosen protocol, in a stable group.
    pub(crate) metadata: Box<[u8]>,
    pub(crate) assignment: Box<[u8]>,
}

impl ClassicGroup {
    /// Kafka's name of the state that it is in.
    pub(in super::super) const fn state(&self) -> &'static str {
        match self.phase {
            Phase::Empty => "Empty",
            Phase::PreparingRebalance(_) => "PreparingRebalance",
            Phase::CompletingRebalance => "CompletingRebalance",
            Phase::Stable => "Stable",
        }
    }

    /// Empty where nobody has said.
    pub(in super::super) fn protocol_type(&self) -> &str {
        self.protocol_type.as_deref().unwrap_or_default()
    }

    pub(in super::super) fn describe(&self) -> Description {
        let protocol = self.protocol.as_deref().filter(|_| self.phase == Phase::Stable);
        let metadata = |member: &Member| protocol.map(|it| member.metadata(it)).unwrap_or_default();
        let members = self.members.iter().map(|(id, member)| DescribedMember {
            id: (**id).into(),
            instance_id: member.instance_id.as_deref().map(Box::from),
            client_id: member.client_id.clone(),
            client_host: member.client_host.clone(),
            metadata: (*metadata(member)).into(),
            assignment: (*member.assignment).into(),
        });
        Description {
            state: self.state(),
            protocol_type: self.protocol_type().into(),
            protocol: protocol.unwrap_or_default().into(),
            members: members.collect(),
        }
    }
}

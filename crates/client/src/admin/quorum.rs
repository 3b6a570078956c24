//! Who agrees on the cluster's metadata: who votes and how far they are; who joins, leaves, and is
//! forgotten.

use milena_protocol::{
    Uuid,
    api::{
        AddRaftVoterRequest, DescribeQuorumRequest, RemoveRaftVoterRequest,
        UnregisterBrokerRequest,
        add_raft_voter::request::Listener,
        describe_quorum::{
            request::{PartitionData, TopicData},
            response::ReplicaState,
        },
    },
};

use super::{Admin, To};
use crate::{
    error::{Error, Result},
    network::{AddRaftVoter, DescribeQuorum, RemoveRaftVoter, UnregisterBroker},
};

/// The log that the cluster's metadata are kept in.
const METADATA_TOPIC: &str = "__cluster_metadata";

/// Who agrees on the cluster's metadata.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Quorum {
    /// Who leads.
    pub leader: i32,
    /// In which epoch.
    pub epoch: i32,
    /// How far all is agreed on.
    pub high_watermark: i64,
    /// Who votes.
    pub voters: Vec<QuorumReplica>,
    /// Who only follows.
    pub observers: Vec<QuorumReplica>,
}

/// A node that has the metadata log.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct QuorumReplica {
    /// Which node.
    pub id: i32,
    /// Its directory; zero if it is not known.
    pub directory: Uuid,
    /// How far its log goes.
    pub log_end_offset: i64,
    /// When it last had all, in milliseconds since 1970.
    pub caught_up_ms: Option<i64>,
}

/// Where a voter can be reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VoterEndpoint {
    /// The listener's name, such as `CONTROLLER`.
    pub listener: Box<str>,
    /// Its host.
    pub host: Box<str>,
    /// Its port.
    pub port: u16,
}

impl Admin {
    /// Who agrees on the cluster's metadata, and how far.
    pub async fn describe_quorum(&self) -> Result<Quorum> {
        let partitions = vec![PartitionData { partition_index: 0 }];
        let topics = vec![TopicData { topic_name: METADATA_TOPIC, partitions }];
        let request = DescribeQuorumRequest { topics };
        let what = "describe the quorum";
        self.ask::<DescribeQuorum, _>(what, To::Any, &request, |answer| {
            let message = answer.message()?;
            Error::check(what, message.error_code, message.error_message)?;
            let Some(told) = message.topics.first().and_then(|topic| topic.partitions.first())
            else {
                return Err(Error::Invalid("the answer tells of no quorum".into()));
            };
            Error::check(what, told.error_code, told.error_message)?;
            Ok(Quorum {
                leader: told.leader_id,
                epoch: told.leader_epoch,
                high_watermark: told.high_watermark,
                voters: told.current_voters.iter().map(replica).collect(),
                observers: told.observers.iter().map(replica).collect(),
            })
        })
        .await
    }

    /// Has one more node vote, which keeps the metadata in this directory.
    pub async fn add_voter(
        &self,
        id: i32,
        directory: Uuid,
        endpoints: &[VoterEndpoint],
    ) -> Result<()> {
        let listeners = endpoints.iter().map(|endpoint| Listener {
            name: &endpoint.listener,
            host: &endpoint.host,
            port: endpoint.port,
        });
        let request = AddRaftVoterRequest {
            cluster_id: None,
            timeout_ms: self.request_timeout_ms(),
            voter_id: id,
            voter_directory_id: directory,
            listeners: listeners.collect(),
            ack_when_committed: true,
        };
        let what = format!("let node {id} vote");
        self.ask::<AddRaftVoter, _>(&what, To::Controller, &request, |answer| {
            let message = answer.message()?;
            Error::check(&what, message.error_code, message.error_message)
        })
        .await
    }

    /// Has a node with this directory vote no longer.
    pub async fn remove_voter(&self, id: i32, directory: Uuid) -> Result<()> {
        let request = RemoveRaftVoterRequest {
            cluster_id: None,
            voter_id: id,
            voter_directory_id: directory,
        };
        let what = format!("let node {id} vote no longer");
        self.ask::<RemoveRaftVoter, _>(&what, To::Controller, &request, |answer| {
            let message = answer.message()?;
            Error::check(&what, message.error_code, message.error_message)
        })
        .await
    }

    /// Has the cluster forget a broker that is gone for good.
    pub async fn unregister_broker(&self, id: i32) -> Result<()> {
        let request = UnregisterBrokerRequest { broker_id: id };
        let what = format!("forget broker {id}");
        self.ask::<UnregisterBroker, _>(&what, To::Controller, &request, |answer| {
            let message = answer.message()?;
            Error::check(&what, message.error_code, message.error_message)
        })
        .await
    }
}

fn replica(told: &ReplicaState) -> QuorumReplica {
    QuorumReplica {
        id: told.replica_id,
        directory: told.replica_directory_id,
        log_end_offset: told.log_end_offset,
        caught_up_ms: Some(told.last_caught_up_timestamp).filter(|ms| *ms >= 0),
    }
}

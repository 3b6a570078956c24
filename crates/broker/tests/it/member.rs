//! A member of a classic group, and what a group has committed: the calls, and no more. Nothing is
//! tried again but what is not the group's answer yet.

use std::io;

use milena_protocol::{
    ErrorCode,
    api::{
        ApiKey, FindCoordinatorRequest, FindCoordinatorResponse, HeartbeatRequest,
        HeartbeatResponse, JoinGroupRequest, JoinGroupResponse, OffsetCommitRequest,
        OffsetCommitResponse, OffsetFetchRequest, OffsetFetchResponse, SyncGroupRequest,
        SyncGroupResponse,
        join_group::request::JoinGroupRequestProtocol,
        offset_commit::request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic},
        offset_fetch::request::{OffsetFetchRequestGroup, OffsetFetchRequestTopics},
        sync_group::request::SyncGroupRequestAssignment,
    },
};

use crate::client::{Client, code};

/// What a member says of itself, and what it knows of its group.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    pub(crate) group: String,
    /// Empty until it has one.
    pub(crate) id: String,
    pub(crate) instance_id: Option<&'static str>,
    pub(crate) generation: i32,
    pub(crate) session_ms: i32,
    pub(crate) rebalance_ms: i32,
    pub(crate) protocol_type: &'static str,
    pub(crate) protocols: Vec<(&'static str, Vec<u8>)>,
}

/// What the leader is told; nothing for all others.
pub(crate) type Others = Vec<(String, Vec<u8>)>;

impl Member {
    pub(crate) fn of(group: &str) -> Self {
        Self {
            group: group.to_owned(),
            id: String::new(),
            instance_id: None,
            generation: -1,
            session_ms: 30_000,
            rebalance_ms: 30_000,
            protocol_type: "consumer",
            protocols: vec![("range", b"as I like it".to_vec())],
        }
    }

    pub(crate) fn send_join(&self, client: &mut Client) -> io::Result<()> {
        let protocols = self.protocols.iter();
        let request = JoinGroupRequest {
            group_id: &self.group,
            session_timeout_ms: self.session_ms,
            rebalance_timeout_ms: self.rebalance_ms,
            member_id: &self.id,
            group_instance_id: self.instance_id,
            protocol_type: self.protocol_type,
            protocols: protocols
                .map(|(name, metadata)| JoinGroupRequestProtocol { name, metadata })
                .collect(),
            reason: None,
        };
        client.send(ApiKey::JoinGroup, 9, &request).map(drop)
    }

    /// The answer to one JoinGroup. Whatever it is, its id is the member's from here on.
    pub(crate) fn receive_join(&mut self, client: &mut Client) -> io::Result<Joined> {
        let answer = client.receive(ApiKey::JoinGroup, 9)?;
        let joined: JoinGroupResponse<'_> = answer.read();
        self.id = joined.member_id.to_owned();
        match code(joined.error_code) {
            ErrorCode::None => {}
            refused => return Ok(Err(refused)),
        }
        self.generation = joined.generation_id;
        let others = joined.members.iter();
        Ok(Ok(others.map(|it| (it.member_id.to_owned(), it.metadata.to_vec())).collect()))
    }

    /// Joins, with the id that it is given where it has none.
    pub(crate) fn join(&mut self, client: &mut Client) -> io::Result<Joined> {
        loop {
            self.send_join(client)?;
            match self.receive_join(client)? {
                Err(ErrorCode::MemberIdRequired) => {}
                told => return Ok(told),
            }
        }
    }

    /// Gets its id, and sends the JoinGroup that waits for the others.
    pub(crate) fn begin_join(&mut self, client: &mut Client) {
        if self.instance_id.is_none() && self.id.is_empty() {
            self.send_join(client).unwrap();
            let told = self.receive_join(client).unwrap();
            assert_eq!(told, Err(ErrorCode::MemberIdRequired));
        }
        self.send_join(client).unwrap();
    }

    /// As the leader with assignments, as everybody else without.
    pub(crate) fn send_sync(
        &self,
        client: &mut Client,
        assignments: &[(String, Vec<u8>)],
    ) -> io::Result<()> {
        let assignments = assignments
            .iter()
            .map(|(member_id, assignment)| SyncGroupRequestAssignment { member_id, assignment });
        let request = SyncGroupRequest {
            group_id: &self.group,
            generation_id: self.generation,
            member_id: &self.id,
            group_instance_id: self.instance_id,
            protocol_type: Some(self.protocol_type),
            protocol_name: Some(self.protocols[0].0),
            assignments: assignments.collect(),
        };
        client.send(ApiKey::SyncGroup, 5, &request).map(drop)
    }

    pub(crate) fn receive_sync(&self, client: &mut Client) -> io::Result<Synced> {
        let answer = client.receive(ApiKey::SyncGroup, 5)?;
        let synced: SyncGroupResponse<'_> = answer.read();
        Ok(match code(synced.error_code) {
            ErrorCode::None => Ok(synced.assignment.to_vec()),
            refused => Err(refused),
        })
    }

    pub(crate) fn sync(
        &self,
        client: &mut Client,
        assignments: &[(String, Vec<u8>)],
    ) -> io::Result<Synced> {
        self.send_sync(client, assignments)?;
        self.receive_sync(client)
    }

    pub(crate) fn heartbeat(&self, client: &mut Client) -> io::Result<ErrorCode> {
        let request = HeartbeatRequest {
            group_id: &self.group,
            generation_id: self.generation,
            member_id: &self.id,
            group_instance_id: self.instance_id,
        };
        let answer = client.call(ApiKey::Heartbeat, 4, &request)?;
        Ok(code(answer.read::<HeartbeatResponse>().error_code))
    }

    /// Commits offsets of partitions. All of them have the same answer.
    pub(crate) fn commit(
        &self,
        client: &mut Client,
        topic: &str,
        offsets: &[(i32, i64)],
    ) -> io::Result<ErrorCode> {
        let partition = |&(partition_index, committed_offset)| OffsetCommitRequestPartition {
            partition_index,
            committed_offset,
            ..Default::default()
        };
        let partitions = offsets.iter().map(partition).collect();
        let request = OffsetCommitRequest {
            group_id: &self.group,
            generation_id_or_member_epoch: self.generation,
            member_id: &self.id,
            group_instance_id: self.instance_id,
            topics: vec![OffsetCommitRequestTopic {
                name: topic,
                partitions,
                ..Default::default()
            }],
            ..Default::default()
        };
        let answer = client.call(ApiKey::OffsetCommit, 9, &request)?;
        let committed: OffsetCommitResponse<'_> = answer.read();
        let codes: Vec<_> =
            committed.topics[0].partitions.iter().map(|it| code(it.error_code)).collect();
        assert!(codes.iter().all(|code| *code == codes[0]), "{codes:?}");
        Ok(codes[0])
    }
}

pub(crate) type Joined = Result<Others, ErrorCode>;
pub(crate) type Synced = Result<Vec<u8>, ErrorCode>;

impl Client {
    /// Has the group's coordinator come into being, and waits until it has read its log.
    pub(crate) fn find_coordinator(&mut self, group: &str) {
        let request =
            FindCoordinatorRequest { coordinator_keys: vec![group], ..Default::default() };
        let answer = self.call(ApiKey::FindCoordinator, 4, &request).unwrap();
        let found: FindCoordinatorResponse<'_> = answer.read();
        assert_eq!(code(found.coordinators[0].error_code), ErrorCode::None);
        while self.committed(group, "nowhere", &[0]).unwrap().is_err() {}
    }

    /// What a group has committed of these partitions, -1 for nothing.
    pub(crate) fn committed(
        &mut self,
        group: &str,
        topic: &str,
        partitions: &[i32],
    ) -> io::Result<Result<Vec<i64>, ErrorCode>> {
        let topic = OffsetFetchRequestTopics {
            name: topic,
            partition_indexes: partitions.to_vec(),
            ..Default::default()
        };
        let group = OffsetFetchRequestGroup {
            group_id: group,
            topics: Some(vec![topic]),
            ..Default::default()
        };
        let request = OffsetFetchRequest { groups: vec![group], ..Default::default() };
        let answer = self.call(ApiKey::OffsetFetch, 9, &request)?;
        let fetched: OffsetFetchResponse<'_> = answer.read();
        let group = &fetched.groups[0];
        if group.error_code != 0 {
            return Ok(Err(code(group.error_code)));
        }
        let told = &group.topics[0].partitions;
        assert!(told.iter().all(|it| it.error_code == 0), "{told:?}");
        assert!(told.iter().map(|it| it.partition_index).eq(partitions.iter().copied()));
        Ok(Ok(told.iter().map(|it| it.committed_offset).collect()))
    }
}

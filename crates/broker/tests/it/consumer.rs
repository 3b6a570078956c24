//! A member of a consumer group (KIP-848): its heartbeats, and no more. It takes what it is given,
//! and gives up what it is no longer given.

use std::time::{Duration, Instant};

use milena_protocol::{
    ErrorCode, Uuid,
    api::{
        ApiKey, ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse, OffsetCommitRequest,
        OffsetCommitResponse,
        consumer_group_heartbeat::request::TopicPartitions,
        offset_commit::request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic},
    },
};

use crate::client::{Client, code};

const VERSION: i16 = 1;
const PATIENCE: Duration = Duration::from_secs(30);

/// What a member says of itself, and what it has.
#[derive(Clone, Debug)]
pub(crate) struct Consumer<'a> {
    pub(crate) group: &'a str,
    pub(crate) id: String,
    pub(crate) instance_id: Option<&'a str>,
    /// 0 where it is to join.
    pub(crate) epoch: i32,
    pub(crate) rebalance_ms: i32,
    pub(crate) topics: Option<Vec<&'a str>>,
    pub(crate) pattern: Option<&'a str>,
    pub(crate) assignor: Option<&'a str>,
    pub(crate) has: Vec<(Uuid, i32)>,
}

impl<'a> Consumer<'a> {
    pub(crate) fn of(group: &'a str) -> Self {
        static NUMBER: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        Self {
            group,
            id: format!("member-{number}"),
            instance_id: None,
            epoch: 0,
            rebalance_ms: 30_000,
            topics: None,
            pattern: None,
            assignor: None,
            has: Vec::new(),
        }
    }

    /// Says all that there is to say; that is never wrong.
    pub(crate) fn send(&self, client: &mut Client) {
        let mut owned: Vec<TopicPartitions> = Vec::new();
        for &(topic_id, partition) in &self.has {
            match owned.iter_mut().find(|it| it.topic_id == topic_id) {
                Some(topic) => topic.partitions.push(partition),
                None => owned.push(TopicPartitions { topic_id, partitions: vec![partition] }),
            }
        }
        let request = ConsumerGroupHeartbeatRequest {
            group_id: self.group,
            member_id: &self.id,
            member_epoch: self.epoch,
            instance_id: self.instance_id,
            rebalance_timeout_ms: self.rebalance_ms,
            subscribed_topic_names: self.topics.clone(),
            subscribed_topic_regex: self.pattern,
            server_assignor: self.assignor,
            topic_partitions: Some(owned),
            ..Default::default()
        };
        client.send(ApiKey::ConsumerGroupHeartbeat, VERSION, &request).unwrap();
    }

    pub(crate) fn receive(&mut self, client: &mut Client) -> ErrorCode {
        let answer = client.receive(ApiKey::ConsumerGroupHeartbeat, VERSION).unwrap();
        let told: ConsumerGroupHeartbeatResponse<'_> = answer.read();
        let code = code(told.error_code);
        if code == ErrorCode::None {
            self.epoch = told.member_epoch;
            if let Some(given) = told.assignment {
                let topics = given.topic_partitions.iter();
                let each = topics.flat_map(|it| it.partitions.iter().map(|at| (it.topic_id, *at)));
                self.has = each.collect();
            }
        }
        code
    }

    pub(crate) fn beat(&mut self, client: &mut Client) -> ErrorCode {
        self.send(client);
        self.receive(client)
    }

    /// Beats until it has come to this.
    pub(crate) fn beat_until(&mut self, client: &mut Client, is_there: impl Fn(&Self) -> bool) {
        let begun = Instant::now();
        loop {
            assert_eq!(self.beat(client), ErrorCode::None, "{self:?}");
            if is_there(self) {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "it never comes to it: {self:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Leaves for good.
    pub(crate) fn leave(&mut self, client: &mut Client) -> ErrorCode {
        let leaving = Self { epoch: -1, ..self.clone() };
        leaving.clone().beat(client)
    }

    /// Commits offsets of partitions. All of them have the same answer.
    pub(crate) fn commit(
        &self,
        client: &mut Client,
        topic: &str,
        offsets: &[(i32, i64)],
    ) -> ErrorCode {
        let partition = |&(partition_index, committed_offset)| OffsetCommitRequestPartition {
            partition_index,
            committed_offset,
            ..Default::default()
        };
        let partitions = offsets.iter().map(partition).collect();
        let topic = OffsetCommitRequestTopic { name: topic, partitions, ..Default::default() };
        let request = OffsetCommitRequest {
            group_id: self.group,
            generation_id_or_member_epoch: self.epoch,
            member_id: &self.id,
            group_instance_id: self.instance_id,
            topics: vec![topic],
            ..Default::default()
        };
        let answer = client.call(ApiKey::OffsetCommit, 9, &request).unwrap();
        let committed: OffsetCommitResponse<'_> = answer.read();
        let partitions = committed.topics.iter().flat_map(|it| &it.partitions);
        let codes: Vec<_> = partitions.map(|it| code(it.error_code)).collect();
        assert!(codes.iter().all(|code| *code == codes[0]), "{codes:?}");
        codes[0]
    }
}

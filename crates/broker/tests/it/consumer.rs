//! A member of a consumer group (KIP-848): its heartbeats, and no more. It takes what it is given,
//! and gives up what it is no longer given.

use std::time::{Duration, Instant};

use milena_protocol::{
    ErrorCode, Uuid,
    api::{
        ApiKey, ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse,
        consumer_group_heartbeat::request::TopicPartitions,
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
}

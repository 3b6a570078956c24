//! A member whose coordinator assigns (KIP-848): every heartbeat tells all that it has, and it
//! takes what it is given and gives up the rest at once.

use std::{
    io,
    sync::atomic::{AtomicU32, Ordering},
};

use milena_protocol::{
    ErrorCode, Uuid,
    api::{
        ApiKey, ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse,
        consumer_group_heartbeat::request::TopicPartitions,
    },
};

use super::{
    GROUP,
    consumer::{Consumer, Positions, REBALANCE_MS},
};
use crate::{
    client::{Client, code},
    load::TOPIC,
};

const VERSION: i16 = 1;

/// Nobody has been called so before.
fn new_id() -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    format!("consumer-{}", NUMBER.fetch_add(1, Ordering::SeqCst))
}

impl Consumer {
    /// One membership, from when it joins with nothing, and the code that ended it.
    pub(super) fn be_assigned(&mut self, client: &mut Client) -> io::Result<ErrorCode> {
        if self.member.id.is_empty() {
            self.member.id = new_id();
        }
        self.member.generation = 0;
        let (mut topic_id, mut positions) = (Uuid::ZERO, Positions::new());
        while !self.is_over() {
            let has = positions.keys().copied().collect();
            let mine = match self.beat(client, &mut topic_id, has)? {
                Ok(mine) => mine,
                Err(code) => return Ok(code),
            };
            positions.retain(|partition, _| mine.contains(partition));
            self.history(|history, holder| history.assigned(holder, &mine));
            let is_new = |partition: &i32| !positions.contains_key(partition);
            let new: Vec<i32> = mine.into_iter().filter(is_new).collect();
            match self.begin(client, &new)? {
                Ok(begun) => positions.extend(begun),
                Err(code) => return Ok(code),
            }
            let code = self.consume(client, &mut positions)?;
            if code != ErrorCode::None {
                return Ok(code);
            }
        }
        Ok(ErrorCode::None)
    }

    /// What it is to have.
    fn beat(
        &mut self,
        client: &mut Client,
        topic_id: &mut Uuid,
        partitions: Vec<i32>,
    ) -> io::Result<Result<Vec<i32>, ErrorCode>> {
        let has = TopicPartitions { topic_id: *topic_id, partitions };
        let has_something = !has.partitions.is_empty();
        let request = ConsumerGroupHeartbeatRequest {
            group_id: GROUP,
            member_id: &self.member.id,
            member_epoch: self.member.generation,
            rebalance_timeout_ms: REBALANCE_MS,
            subscribed_topic_names: Some(vec![TOPIC]),
            topic_partitions: Some(Vec::from_iter(has_something.then_some(has))),
            ..Default::default()
        };
        let answer = client.call(ApiKey::ConsumerGroupHeartbeat, VERSION, &request)?;
        let told: ConsumerGroupHeartbeatResponse<'_> = answer.read();
        if told.error_code != 0 {
            return Ok(Err(code(told.error_code)));
        }
        self.member.generation = told.member_epoch;
        let mut mine = Vec::new();
        for topic in told.assignment.unwrap().topic_partitions {
            *topic_id = topic.topic_id;
            mine.extend(topic.partitions);
        }
        Ok(Ok(mine))
    }
}

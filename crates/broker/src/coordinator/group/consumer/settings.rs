//! What groups are set to: their own values over the broker's.

use std::time::Duration;

use milena_config::{ServerConfig, server::Bounded};
use milena_metadata::image::{ConfigResource, ResourceType};

use super::{
    super::super::Scene,
    super::assignor::Assignor,
    ConsumerGroup,
    member::{Member, State},
};

/// The settings of one group.
#[derive(Clone, Copy, Debug)]
pub(super) struct Settings {
    pub(super) session: Duration,
    pub(super) heartbeat_ms: i32,
    pub(super) assignment_interval_ms: i32,
}

impl Settings {
    pub(super) fn of(group: &str, scene: &Scene<'_>) -> Self {
        let broker = &scene.config.groups.consumer.membership;
        let own = scene.image.configs.of(&ConfigResource::new(ResourceType::Group, group));
        let value = |key: &str, broker: Bounded| -> i32 {
            let own = own.get(key).and_then(|value| value.trim().parse().ok());
            own.map_or(broker.default, |own: i32| own.clamp(broker.min, broker.max))
        };
        let session_ms = value("consumer.session.timeout.ms", broker.session_ms);
        Self {
            session: milliseconds(session_ms),
            heartbeat_ms: value("consumer.heartbeat.interval.ms", broker.heartbeat_ms),
            assignment_interval_ms: value("consumer.assignment.interval.ms", broker.assignment_ms),
        }
    }
}

/// The assignors that the broker offers, the one for who does not mind first.
pub(super) fn assignors(config: &ServerConfig) -> impl Iterator<Item = Assignor> {
    let names = config.groups.consumer.assignors.iter();
    // Kafka also takes its assignors by the names of their classes.
    names.filter_map(|name| match name.rsplit('.').next().unwrap_or_default() {
        "UniformAssignor" => Some(Assignor::Uniform),
        "RangeAssignor" => Some(Assignor::Range),
        name => Assignor::from_name(name),
    })
}

pub(super) fn default_assignor(config: &ServerConfig) -> Assignor {
    assignors(config).next().unwrap_or(Assignor::Uniform)
}

pub(super) fn milliseconds(ms: i32) -> Duration {
    Duration::from_millis(ms.max(0).unsigned_abs().into())
}

impl ConsumerGroup {
    /// Gives time to all members that have none yet.
    pub(super) fn begin_sessions(&mut self, scene: &Scene<'_>) {
        let session = Settings::of(&self.id, scene).session;
        for member in self.members.values_mut() {
            if member.deadlines.session.is_none() {
                member.begin_session(session, scene.now.elapsed);
                member.begin_revocation(scene.now.elapsed);
            }
        }
    }
}

impl Member {
    /// It was heard of.
    pub(super) fn begin_session(&mut self, session: Duration, now: Duration) -> Duration {
        let classic = self.metadata.classic.as_ref();
        let session = classic.map_or(session, |classic| milliseconds(classic.session_timeout_ms));
        let until = now + session;
        self.deadlines.session = Some(until);
        until
    }

    /// From now on it is waited for what it is to give up, or no longer.
    pub(super) fn begin_revocation(&mut self, now: Duration) {
        let has_to = self.current.state == State::UnrevokedPartitions;
        let until = (has_to && self.metadata.classic.is_none())
            .then(|| now + self.metadata.rebalance_timeout());
        self.deadlines.revocation = until;
    }
}

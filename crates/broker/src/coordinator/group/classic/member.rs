//! One member of a classic group: what it said of itself, and what it waits for.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;

use super::{
    super::super::{Reply, Scene},
    GroupError, JoinAnswer, JoinRefused, JoinRequest, SyncAnswer,
};

/// What a member takes in the group's record beside its texts and bytes, at most.
const MEMBER_RECORD_BYTES: usize = 32;

#[derive(Debug)]
pub(super) struct Member {
    /// A static member keeps its place under this name when it is started anew.
    pub(super) instance_id: Option<Arc<str>>,
    pub(super) client_id: Box<str>,
    pub(super) client_host: Box<str>,
    pub(super) session_ms: i32,
    pub(super) rebalance_ms: i32,
    /// In the order in which it prefers them.
    pub(super) protocols: Vec<Protocol>,
    /// What the leader gave it in this generation, or in the last one while members gather.
    pub(super) assignment: Bytes,
    /// What it takes of the group's record, but for its assignment.
    pub(super) record_bytes: usize,
    /// When its session ends, unless it shows itself or waits for an answer.
    pub(super) deadline: Duration,
    /// A new member knows no id under which it could show itself: its first JoinGroup is answered
    /// by then, whatever the others do.
    pub(super) new_until: Option<Duration>,
    pub(super) join: Option<Reply<JoinAnswer>>,
    pub(super) sync: Option<Reply<SyncAnswer>>,
    /// It has not yet asked for its assignment in this generation.
    pub(super) must_sync: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Protocol {
    pub(super) name: Arc<str>,
    pub(super) metadata: Bytes,
}

impl Member {
    pub(super) fn new(id_bytes: usize, request: &JoinRequest<'_>) -> Self {
        let mut member = Self {
            instance_id: request.instance_id.map(Arc::from),
            client_id: request.client_id.into(),
            client_host: request.client_host.into(),
            session_ms: 0,
            rebalance_ms: 0,
            protocols: Vec::new(),
            assignment: Bytes::new(),
            record_bytes: 0,
            deadline: Duration::ZERO,
            new_until: None,
            join: None,
            sync: None,
            must_sync: false,
        };
        member.update(id_bytes, request);
        member
    }

    /// Takes over what it says of itself when it joins again.
    pub(super) fn update(&mut self, id_bytes: usize, request: &JoinRequest<'_>) {
        self.session_ms = request.session_timeout_ms;
        self.rebalance_ms = request.rebalance_timeout_ms;
        let protocol = |(name, metadata): (&str, &[u8])| Protocol {
            name: name.into(),
            metadata: Bytes::copy_from_slice(metadata),
        };
        if !self.matches(request) {
            self.protocols = request.distinct_protocols().map(protocol).collect();
        }
        self.record_bytes = record_bytes(id_bytes, self.texts(), request.largest_protocol());
    }

    /// What it takes of the group's record beside its protocol.
    pub(super) fn texts(&self) -> [&str; 3] {
        [self.instance_id.as_deref().unwrap_or_default(), &self.client_id, &self.client_host]
    }

    /// Whether it joins with what it already said.
    pub(super) fn matches(&self, request: &JoinRequest<'_>) -> bool {
        self.protocols.iter().map(|it| (&*it.name, &*it.metadata)).eq(request.distinct_protocols())
    }

    pub(super) fn supports(&self, protocol: &str) -> bool {
        self.protocols.iter().any(|it| *it.name == *protocol)
    }

    /// What it says to those who speak this protocol.
    pub(super) fn metadata(&self, protocol: &str) -> Bytes {
        let spoken = self.protocols.iter().find(|it| *it.name == *protocol);
        spoken.map(|it| it.metadata.clone()).unwrap_or_default()
    }

    pub(super) const fn is_static(&self) -> bool {
        self.instance_id.is_some()
    }

    /// It is alive now.
    pub(super) fn begin_session(&mut self, now: Duration) {
        let end = now + milliseconds(self.session_ms);
        self.deadline = self.new_until.map_or(end, |until| end.min(until));
    }

    /// Whether it has joined and is still there to hear of it.
    pub(super) fn has_rejoined(&self) -> bool {
        self.join.as_ref().is_some_and(|reply| !reply.is_abandoned())
    }

    /// Whether it needs no heartbeat, because it waits for an answer.
    pub(super) fn is_waiting(&self, now: Duration) -> bool {
        self.new_until.is_none_or(|until| now < until)
            && (self.has_rejoined()
                || self.sync.as_ref().is_some_and(|reply| !reply.is_abandoned()))
    }

    /// It waits for the generation from now on; a request of its own that came before is over.
    pub(super) fn wait_to_join(&mut self, reply: Reply<JoinAnswer>, scene: &mut Scene<'_>) {
        if let Some(before) = self.join.replace(reply) {
            let error = GroupError::RebalanceInProgress;
            scene.effects.reply(before, Err(JoinRefused { member_id: "".into(), error }));
        }
    }

    /// The same for its assignment.
    pub(super) fn wait_to_sync(&mut self, reply: Reply<SyncAnswer>, scene: &mut Scene<'_>) {
        if let Some(before) = self.sync.replace(reply) {
            scene.effects.reply(before, Err(GroupError::RebalanceInProgress));
        }
    }

    /// Nothing comes of what it waits for.
    pub(super) fn refuse(&mut self, refused: JoinRefused, scene: &mut Scene<'_>) {
        if let Some(reply) = self.sync.take() {
            scene.effects.reply(reply, Err(refused.error.clone()));
        }
        if let Some(reply) = self.join.take() {
            scene.effects.reply(reply, Err(refused));
        }
    }
}

/// What a member takes of the group's record, whichever protocol is chosen, and as the leader.
/// `texts` are its instance id, client id and host, `largest` is its largest protocol.
pub(super) fn record_bytes(member_id: usize, texts: [&str; 3], largest: usize) -> usize {
    let texts: usize = texts.iter().map(|text| text.len()).sum();
    MEMBER_RECORD_BYTES + 2 * member_id + texts + largest
}

/// A timeout as requests and records tell it. It is never over at once.
pub(super) fn milliseconds(timeout_ms: i32) -> Duration {
    Duration::from_millis(timeout_ms.max(1).unsigned_abs().into())
}

//! Stories of classic groups.

mod bounds;
mod joining;
mod random;
mod static_members;
mod staying;
mod syncing;

use std::{sync::Arc, time::Duration};

use super::{Answer, Groups, Rig};
use crate::coordinator::group::{
    GroupError,
    classic::{
        Description, HeartbeatRequest, JoinAnswer, JoinRequest, Joined, Leaving, SyncAnswer,
        SyncRequest,
    },
    offsets::{CommitRequest, Committer},
};

/// As everybody joins unless the story says otherwise: a consumer of topic `t`.
fn consumer<'a>() -> JoinRequest<'a> {
    JoinRequest {
        group: "g",
        member_id: "",
        instance_id: None,
        client_id: "c",
        client_host: "/127.0.0.1",
        session_timeout_ms: 10_000,
        rebalance_timeout_ms: 60_000,
        protocol_type: "consumer",
        protocols: vec![("range", T)],
        reason: "a story",
        requires_member_id: false,
        supports_skip_assignment: true,
    }
}

/// A subscription to topic `t`, and one to topic `u`.
const T: &[u8] = b"\x00\x00\x00\x00\x00\x01\x00\x01t\xff\xff\xff\xff";
const U: &[u8] = b"\x00\x00\x00\x00\x00\x01\x00\x01u\xff\xff\xff\xff";

fn known(id: &str) -> JoinRequest<'_> {
    JoinRequest { member_id: id, ..consumer() }
}

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

impl Rig {
    fn join(&mut self, request: &JoinRequest<'_>) -> Answer<JoinAnswer> {
        self.asks(|groups, scene, reply| groups.join(request, scene, reply))
    }

    /// Joins, and is told so at once.
    fn joined(&mut self, request: &JoinRequest<'_>) -> Joined {
        self.join(request).take().expect("an answer at once").expect("a place")
    }

    /// Joins, and is refused at once.
    fn refused(&mut self, request: &JoinRequest<'_>) -> (Box<str>, GroupError) {
        let refused = self.join(request).take().expect("an answer at once").unwrap_err();
        (refused.member_id, refused.error)
    }

    fn sync(&mut self, request: &SyncRequest<'_>) -> Answer<SyncAnswer> {
        self.asks(|groups, scene, reply| groups.sync(request, scene, reply))
    }

    fn beat(&mut self, id: &str, generation: i32) -> Result<(), GroupError> {
        let request = HeartbeatRequest { group: "g", member_id: id, instance_id: None, generation };
        self.happens(|groups, scene| groups.heartbeat(&request, scene))
    }

    fn leave(&mut self, leaving: &[Leaving<'_>]) -> Vec<Result<(), GroupError>> {
        self.happens(|groups, scene| groups.leave("g", leaving, scene)).unwrap()
    }

    fn commits(&mut self, id: &str, generation: i32) -> Result<(), GroupError> {
        let committer = Committer { member_id: id, instance_id: None, generation, version: 9 };
        let request = CommitRequest { group: "g", committer, retention_ms: -1, topics: Vec::new() };
        self.happens(|groups, scene| groups.commit(&request, scene))
    }

    fn described(&self) -> Description {
        self.core.get("g").and_then(|group| group.classic()).expect("it is there").describe()
    }

    fn state(&self) -> &'static str {
        self.core.get("g").and_then(|group| group.classic()).map_or("Dead", |it| it.state())
    }

    /// All joined by `requests`, the group synced by its leader: everybody's id, in their order,
    /// and the generation. The assignment of each is its place.
    fn stable(&mut self, requests: &[JoinRequest<'_>]) -> (Vec<Arc<str>>, i32) {
        let mut waiting: Vec<_> = requests.iter().map(|request| self.join(request)).collect();
        self.passes(seconds(6));
        let joined: Vec<Joined> =
            waiting.iter_mut().map(|it| it.take().expect("a generation").unwrap()).collect();
        self.assign(&joined);
        (joined.iter().map(|it| Arc::clone(&it.member_id)).collect(), joined[0].generation)
    }

    /// The leader among them assigns to each its place, and all fetch it.
    fn assign(&mut self, joined: &[Joined]) {
        let places: Vec<String> = (0..joined.len()).map(|place| place.to_string()).collect();
        let assignments = joined.iter().zip(&places);
        let assignments = assignments.map(|(it, place)| (&*it.member_id, place.as_bytes()));
        let assignments: Vec<_> = assignments.collect();
        let mut waiting = Vec::new();
        for it in joined {
            let is_leader = it.leader.as_ref() == Some(&it.member_id);
            let mut request = synced(&it.member_id, it.generation);
            request.assignments = assignments.iter().copied().filter(|_| is_leader).collect();
            waiting.push(self.sync(&request));
        }
        for (answer, place) in waiting.iter_mut().zip(&places) {
            let synced = answer.take().expect("an assignment").unwrap();
            assert_eq!(synced.assignment, place.as_bytes());
        }
        assert_eq!(self.state(), "Stable");
    }

    /// Nothing happens in the group but heartbeats.
    fn calm(&mut self, ids: &[Arc<str>], generation: i32, time: Duration) {
        let until = self.now.elapsed + time;
        while self.now.elapsed < until {
            self.passes(seconds(3).min(until - self.now.elapsed));
            for id in ids {
                self.beat(id, generation).unwrap();
            }
        }
    }
}

/// Somebody fetches its assignment.
fn synced(id: &str, generation: i32) -> SyncRequest<'_> {
    SyncRequest {
        group: "g",
        member_id: id,
        instance_id: None,
        generation,
        protocol_type: Some("consumer"),
        protocol: Some("range"),
        assignments: Vec::new(),
    }
}

fn leaves(id: &str) -> Leaving<'_> {
    Leaving { member_id: id, instance_id: None, reason: "a story" }
}

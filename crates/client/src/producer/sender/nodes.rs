//! The brokers as the sender sees them: who is connected, and who may get another request.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use crate::network::Connection;

#[derive(Debug)]
pub(super) struct Nodes {
    in_flight_max: usize,
    nodes: BTreeMap<i32, Node>,
    /// Those to whom there is something to send, and no connection.
    missed: BTreeSet<i32>,
}

#[derive(Debug, Default)]
struct Node {
    connection: Option<Arc<Connection>>,
    is_connecting: bool,
    in_flight: usize,
    /// It wants to be left alone until then.
    held_until: Duration,
}

impl Nodes {
    pub(super) fn new(in_flight_max: usize) -> Self {
        Self { in_flight_max, nodes: BTreeMap::new(), missed: BTreeSet::new() }
    }

    /// Whether a broker may get a request now.
    pub(super) fn can_take(&mut self, id: i32, now: Duration) -> bool {
        let node = self.nodes.entry(id).or_default();
        if !node.connection.as_ref().is_some_and(|connection| connection.is_open()) {
            node.connection = None;
            if !node.is_connecting {
                self.missed.insert(id);
            }
            return false;
        }
        node.in_flight < self.in_flight_max && node.held_until <= now
    }

    /// Whom to connect to.
    pub(super) fn take_missed(&mut self) -> BTreeSet<i32> {
        for id in &self.missed {
            self.nodes.entry(*id).or_default().is_connecting = true;
        }
        std::mem::take(&mut self.missed)
    }

    pub(super) fn connected(&mut self, id: i32, connection: Option<Arc<Connection>>) {
        let node = self.nodes.entry(id).or_default();
        (node.connection, node.is_connecting) = (connection, false);
    }

    pub(super) fn connection(&self, id: i32) -> Option<Arc<Connection>> {
        self.nodes.get(&id)?.connection.clone()
    }

    pub(super) fn begin(&mut self, id: i32) {
        self.nodes.entry(id).or_default().in_flight += 1;
    }

    pub(super) fn end(&mut self, id: i32, held_until: Duration) {
        let node = self.nodes.entry(id).or_default();
        node.in_flight = node.in_flight.saturating_sub(1);
        node.held_until = node.held_until.max(held_until);
    }

    /// When a broker that wanted to be left alone may be spoken to again.
    pub(super) fn next_free(&self, now: Duration) -> Option<Duration> {
        self.nodes.values().map(|node| node.held_until).filter(|until| *until > now).min()
    }
}

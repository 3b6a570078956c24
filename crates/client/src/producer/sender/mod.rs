//! The one task that sends: it drains the accumulator, keeps as many requests under way to each
//! broker as it may, and gives what was answered back to the accumulator.
//!
//! It decides nothing about batches. Connecting, waiting for answers and learning who the producer
//! is are tasks of their own, which end with an [`Event`].

mod nodes;
mod request;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use milena_env::timer;
use milena_protocol::ErrorCode;
use tokio::{
    sync::watch,
    task::{JoinError, JoinSet},
};

use self::{nodes::Nodes, request::Request};
use super::{
    accumulator::{Done, Finished, Step},
    batch::{Batch, Identity, Place},
    config::{Acks, Compression},
    shared::Shared,
};
use crate::{
    cluster::View,
    error::{Error, Result},
    network::{Answer, Connection, InitProducerId, Produce},
};

/// How often it is said which topics are of interest, within the time in which they are forgotten.
const INTEREST_PARTS: u32 = 4;

/// What a task came to.
#[derive(Debug)]
enum Event {
    Connected(i32, Result<Arc<Connection>>),
    /// By number: what was answered; nothing where no answer is wanted.
    Answered(u64, Result<Option<Answer<Produce>>>),
    Identified(Result<Identity>),
    Added(Result<Vec<Place>>),
}

#[derive(Debug)]
pub(super) struct Sender {
    shared: Arc<Shared>,
    views: watch::Receiver<Arc<View>>,
    nodes: Nodes,
    tasks: JoinSet<Event>,
    requests: BTreeMap<u64, Request>,
    next_request: u64,
    is_identifying: bool,
    is_adding: bool,
    /// When to say again which topics are of interest.
    interest_at: Duration,
}

impl Sender {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        let in_flight_max = match shared.config.acks {
            // Who gets no answers keeps order by one after the other.
            Acks::None => 1,
            _ => shared.config.max_in_flight,
        };
        Self {
            views: shared.cluster.watch(),
            nodes: Nodes::new(in_flight_max),
            shared,
            tasks: JoinSet::new(),
            requests: BTreeMap::new(),
            next_request: 0,
            is_identifying: false,
            is_adding: false,
            interest_at: Duration::ZERO,
        }
    }

    pub(super) async fn run(mut self) {
        while let Some(wake_at) = self.step() {
            let pause = wake_at.map(|at| at.saturating_sub(self.shared.clock().monotonic()));
            tokio::select! {
                Some(event) = self.tasks.join_next() => self.take(event),
                () = self.shared.work.notified() => {}
                Ok(()) = self.views.changed() => self.learn(),
                () = timer::sleep(pause.unwrap_or(Duration::MAX)) => {}
            }
            while let Some(event) = self.tasks.try_join_next() {
                self.take(event);
            }
        }
    }

    /// Does what is to be done now, and says when there will be more: none if never.
    fn step(&mut self) -> Option<Option<Duration>> {
        let now = self.shared.clock().monotonic();
        let mut step = {
            let mut accumulator = self.shared.lock();
            accumulator.drain(now, |leader| self.nodes.can_take(leader, now))
        };
        std::mem::take(&mut step.finished).into_iter().for_each(Finished::tell);
        if step.has_room {
            self.shared.room.notify_one();
        }
        if step.is_over {
            return None;
        }
        for (leader, batches) in std::mem::take(&mut step.requests) {
            self.send(leader, batches);
        }
        for leader in self.nodes.take_missed() {
            self.connect(leader);
        }
        if step.lacks_identity
            && self.shared.config.transactional_id.is_none()
            && !std::mem::replace(&mut self.is_identifying, true)
        {
            self.tasks.spawn(identify(Arc::clone(&self.shared)));
        }
        if !step.to_add.is_empty() && !std::mem::replace(&mut self.is_adding, true) {
            let adding = Arc::clone(&self.shared).add_partitions(std::mem::take(&mut step.to_add));
            self.tasks.spawn(async move { Event::Added(adding.await) });
        }
        if step.lacks_leader {
            self.shared.cluster.refresh();
        }
        self.say_what_is_of_interest(now);
        self.expire(now, &mut step);
        if let Some(at) = self.nodes.next_free(now) {
            step.wake_by(at);
        }
        Some(step.wake_at)
    }

    fn say_what_is_of_interest(&mut self, now: Duration) {
        if now >= self.interest_at {
            self.interest_at = now + self.shared.config.client.metadata_max_idle / INTEREST_PARTS;
            let topics = self.shared.lock().active_topics();
            self.shared.cluster.want(topics.iter().map(|topic| &**topic), true);
        }
    }

    fn learn(&mut self) {
        let view = Arc::clone(&self.views.borrow_and_update());
        let mut accumulator = self.shared.lock();
        let topics: Vec<_> = accumulator.topics().cloned().collect();
        for topic in topics.iter().filter_map(|name| view.topics.get(&**name)) {
            accumulator.learn(topic);
        }
    }

    fn connect(&mut self, leader: i32) {
        let cluster = self.shared.cluster.clone();
        self.tasks.spawn(async move {
            let connected = match cluster.node(leader, crate::cluster::Lane::Data) {
                Ok(node) => node.connection().await,
                Err(error) => Err(error),
            };
            if connected.is_err() {
                cluster.refresh();
                timer::sleep(cluster.retry_pause(0)).await;
            }
            Event::Connected(leader, connected)
        });
    }

    /// Sends one request. What cannot be sent is taken back at once.
    fn send(&mut self, leader: i32, batches: Vec<Batch>) {
        let limit = self.shared.config.client.request_timeout;
        let config = &self.shared.config;
        let connection = self.nodes.connection(leader);
        let topics = self.shared.cluster.view();
        let mut request = Request::new(leader, batches, config.delivery_timeout);
        request.seal(config.compression.codec(), config.level());
        let has_room = config.compression != Compression::None && {
            let mut accumulator = self.shared.lock();
            request.sealed().fold(false, |room, batch| room | accumulator.sealed(batch))
        };
        let number = self.next_request;
        self.next_request += 1;
        let is_implicit = config.transactional_id.is_none() || self.shared.lock().is_implicit();
        let begun = match connection {
            Some(connection) => request.begin(&connection, &topics, config, is_implicit),
            // It was open when the first of the batches was taken, and not for the next.
            None => Err(Error::Connection {
                address: format!("broker {leader}").into(),
                problem: "it broke before anything was sent".into(),
            }),
        };
        self.requests.insert(number, request);
        self.nodes.begin(leader);
        if has_room {
            self.shared.room.notify_one();
        }
        match begun {
            Err(error) => {
                let event = Event::Answered(number, Err(error));
                self.tasks.spawn(std::future::ready(event));
            }
            Ok(begun) => {
                self.tasks.spawn(async move { Event::Answered(number, begun.end(limit).await) });
            }
        }
    }

    fn take(&mut self, event: Result<Event, JoinError>) {
        // A task ends otherwise only if its runtime does, and this one with it.
        let Ok(event) = event else { return };
        match event {
            Event::Connected(leader, connected) => {
                let trouble = connected.as_ref().err().cloned();
                self.shared.lock().set_trouble(trouble);
                self.nodes.connected(leader, connected.ok());
            }
            Event::Identified(identified) => {
                self.is_identifying = false;
                match identified {
                    Ok(identity) => self.shared.lock().identify(identity),
                    Err(error) => self.shared.fail(&error),
                }
            }
            Event::Added(added) => {
                self.is_adding = false;
                match added {
                    Ok(places) => self.shared.lock().add_to_transaction(places),
                    // It was tried for long enough: the transaction is broken, if it was not yet.
                    Err(error) => drop(self.shared.lock().break_transaction(error)),
                }
            }
            Event::Answered(number, answer) => {
                if let Some(request) = self.requests.remove(&number) {
                    self.answered(request, answer);
                }
            }
        }
    }

    fn answered(&mut self, request: Request, answer: Result<Option<Answer<Produce>>>) {
        let now = self.shared.clock().monotonic();
        let answer = answer.and_then(|answer| request.read(answer.as_ref()));
        let held = answer.as_ref().map_or(Duration::ZERO, |answer| answer.throttle);
        self.nodes.end(request.leader, now + held);
        let leaders = answer.as_ref().map(|answer| answer.leaders.clone()).unwrap_or_default();
        let (mut wants_view, mut has_room) = (false, false);
        let mut finished = Vec::new();
        {
            let mut accumulator = self.shared.lock();
            for (place, leader) in leaders {
                accumulator.lead(place, leader);
            }
            for (batch, answered) in request.into_answered(answer) {
                let pause = self.shared.cluster.retry_pause(batch.attempts.saturating_sub(1));
                let done: Done = accumulator.answer(batch, answered, now, pause);
                wants_view |= done.wants_view;
                has_room |= done.has_room;
                finished.extend(done.finished);
            }
        }
        finished.into_iter().for_each(Finished::tell);
        if has_room {
            self.shared.room.notify_one();
        }
        if wants_view {
            self.shared.cluster.refresh();
        }
    }

    /// Tells those whose time runs out while their batch is under way. The batch itself is
    /// waited for: only its answer says which sequence comes next.
    fn expire(&mut self, now: Duration, step: &mut Step) {
        let limit = self.shared.config.delivery_timeout;
        for request in self.requests.values_mut() {
            if let Some(at) = request.expire(now, limit) {
                step.wake_by(at);
            }
        }
    }
}

impl Drop for Sender {
    /// Nobody waits for what nobody sends.
    fn drop(&mut self) {
        self.shared.fail(&Error::Closed);
        self.shared.ended.send_replace(true);
    }
}

/// Asks a broker who this producer is, until one answers.
async fn identify(shared: Arc<Shared>) -> Event {
    for attempt in 0.. {
        match ask_for_identity(&shared, attempt).await {
            Err(error) if error.is_retriable() => {
                tracing::debug!(%error, "nobody says who this producer is");
                shared.lock().set_trouble(Some(error));
                timer::sleep(shared.cluster.retry_pause(attempt as u32)).await;
            }
            done => return Event::Identified(done),
        }
    }
    Event::Identified(Err(Error::Closed))
}

async fn ask_for_identity(shared: &Shared, attempt: usize) -> Result<Identity> {
    let request = milena_protocol::api::InitProducerIdRequest {
        transactional_id: None,
        transaction_timeout_ms: i32::MAX,
        ..Default::default()
    };
    let answer = shared.cluster.any(attempt).call::<InitProducerId>(&request).await?;
    let message = answer.message()?;
    let what = "ask who this producer is";
    match Error::check(what, message.error_code, None) {
        Ok(()) => Ok(Identity {
            id: milena_protocol::ProducerId(message.producer_id),
            epoch: milena_protocol::ProducerEpoch(message.producer_epoch),
        }),
        // A broker that has no ids at hand fetches some.
        Err(error) if error.code() == Some(ErrorCode::BrokerNotAvailable) => {
            Err(Error::broker(what, ErrorCode::CoordinatorNotAvailable))
        }
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod test {
    use milena_protocol::{LeaderEpoch, Uuid};

    use super::*;
    use crate::{
        cluster::{Partition, Topic},
        producer::{ProducerConfig, batch::Fields, shared::Target},
    };

    #[tokio::test]
    async fn batches_whose_connection_is_gone_when_they_are_sent_wait_again() {
        let config = ProducerConfig::new("127.0.0.1:1").enable_idempotence(false);
        let shared = Arc::new(Shared::new(config, None).unwrap());
        let partition = Partition {
            index: 0,
            leader: Some(1),
            leader_epoch: LeaderEpoch(0),
            replicas: vec![1],
            in_sync: vec![1],
            offline: vec![],
        };
        let (name, error) = ("t".into(), ErrorCode::None);
        let partitions = vec![partition];
        let topic = Topic { name, id: Uuid::ZERO, error, is_internal: false, partitions };
        shared.lock().learn(&Arc::new(topic));
        let record = Fields { timestamp: 0, key: None, value: Some(b"x"), headers: &[] };
        let to = Target { topic: "t", partition: Some(0), partitioner: None };
        let delivery = shared.append(&to, &record).unwrap();
        assert!(delivery.is_some());

        let mut sender = Sender::new(Arc::clone(&shared));
        let later = shared.clock().monotonic() + Duration::from_secs(1);
        let step = shared.lock().drain(later, |_| true);
        assert_eq!(step.requests.len(), 1);
        for (leader, batches) in step.requests {
            sender.send(leader, batches);
        }
        let event = sender.tasks.join_next().await.unwrap();
        sender.take(event);
        let again = shared.lock().drain(later + Duration::from_secs(5), |_| true);
        assert_eq!(again.requests.len(), 1, "the batch is lost");
    }
}

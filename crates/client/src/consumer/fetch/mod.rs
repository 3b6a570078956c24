//! Fetching ahead: one task for each broker, with one fetch session and one fetch in flight. What
//! to fetch and what an answer means is decided in `partitions`.

mod session;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use milena_env::timer;
use milena_protocol::{
    ErrorCode, Uuid,
    api::{
        FetchRequest,
        fetch::{
            request::{FetchPartition, FetchTopic, ForgottenTopic},
            response::PartitionData,
        },
    },
};

use self::session::{Plan, Session};
use super::{
    TopicPartition,
    partitions::{Chunk, Fetched},
    shared::Shared,
    types::Watermarks,
};
use crate::{
    cluster::Lane,
    error::{Error, Result},
    network::{Answer, Connection, Fetch},
};

/// From this version on topics are known by their ids.
const IDS_FROM: i16 = 13;

/// Fetches from a broker until the consumer is closed or the broker is gone.
pub(super) async fn fetch_from(shared: Arc<Shared>, node: i32) {
    let mut fetcher = Fetcher { session: Session::default(), version: 0, failures: 0, node };
    let mut changed = shared.changed.subscribe();
    while !shared.is_closed() {
        changed.borrow_and_update();
        let now = shared.now();
        let view = shared.cluster.view();
        if !view.brokers.contains_key(&node) {
            return;
        }
        let (wanted, next) = {
            let partitions = shared.partitions();
            (partitions.fetchable(node, &view, now), partitions.next_attempt(now))
        };
        if wanted.is_empty() {
            let wait = next.map_or(shared.config.client.metadata_max_age, |next| next - now);
            timer::timeout(wait, changed.changed()).await;
            continue;
        }
        let done = tokio::select! {
            done = fetcher.fetch(&shared, wanted) => done,
            () = shared.closed() => break,
        };
        match done {
            Ok(()) => fetcher.failures = 0,
            Err(error) => {
                tracing::debug!(%error, node, "nothing fetched");
                fetcher.session.failed();
                shared.cluster.refresh();
                let pause = shared.cluster.retry_pause(fetcher.failures);
                fetcher.failures = fetcher.failures.saturating_add(1);
                timer::timeout(pause, shared.closed()).await;
            }
        }
    }
    fetcher.end(&shared);
}

struct Fetcher {
    session: Session,
    version: i16,
    failures: u32,
    node: i32,
}

type Wanted = BTreeMap<TopicPartition, super::partitions::Asked>;

impl Fetcher {
    async fn fetch(&mut self, shared: &Shared, wanted: Wanted) -> Result<()> {
        let connection = shared.cluster.node(self.node, Lane::Data)?.connection().await?;
        let mut version = connection.version::<Fetch>()?;
        if wanted.values().any(|asked| asked.topic_id == Uuid::ZERO) {
            version = version.min(IDS_FROM - 1);
        }
        if std::mem::replace(&mut self.version, version) != version {
            self.session.failed();
        }
        let plan = self.session.plan(wanted);
        // A session counts every request. If this one is dropped, the next begins a new session.
        let epoch = std::mem::replace(&mut self.session.epoch, 0);
        let request = request(shared, &plan);
        let limit = shared.config.client.request_timeout;
        let answer = connection.call_within::<Fetch>(&request, version, limit).await?;
        self.session.epoch = epoch;
        self.take(shared, &answer)
    }

    /// Hands an answer to the partitions it is about.
    fn take(&mut self, shared: &Shared, answer: &Answer<Fetch>) -> Result<()> {
        let message = answer.message()?;
        let code = ErrorCode::from_number(message.error_code);
        let code = code.unwrap_or(ErrorCode::UnknownServerError);
        if !self.session.answered(code, message.session_id) {
            let is_about_session = matches!(
                code,
                ErrorCode::FetchSessionIdNotFound
                    | ErrorCode::InvalidFetchSessionEpoch
                    | ErrorCode::FetchSessionTopicIdError
            );
            let what = || format!("fetch from broker {}", self.node);
            return if is_about_session { Ok(()) } else { Err(Error::broker(what(), code)) };
        }
        let by_id: BTreeMap<Uuid, &Arc<str>> =
            self.session.wanted().map(|(it, asked)| (asked.topic_id, &it.topic)).collect();
        let now = shared.now();
        let mut is_outdated = false;
        let mut partitions = shared.partitions();
        for topic in &message.responses {
            let name = match answer.version() >= IDS_FROM {
                true => by_id.get(&topic.topic_id).map(|name| Arc::clone(name)),
                false => Some(topic.topic.into()),
            };
            let Some(name) = name else { continue };
            for data in &topic.partitions {
                let partition = TopicPartition::new(Arc::clone(&name), data.partition_index);
                let Some(asked) = self.session.asked(&partition) else { continue };
                let pause = |failures| shared.cluster.retry_pause(failures);
                let fetched = fetched(answer.bytes(), data);
                is_outdated |= partitions.fetched(&partition, asked, fetched, now, pause);
            }
        }
        drop(partitions);
        if is_outdated {
            shared.cluster.refresh();
        }
        shared.filled.notify_one();
        Ok(())
    }

    /// Tells the broker that it may forget the session.
    fn end(&self, shared: &Shared) {
        let node = shared.cluster.node(self.node, Lane::Data);
        let connection: Option<Arc<Connection>> = node.ok().and_then(|node| node.connected());
        if let Some(connection) = connection.filter(|_| self.session.id != 0) {
            let plan = Plan {
                session_id: self.session.id,
                session_epoch: session::END,
                ..Plan::default()
            };
            // Nobody waits for the answer.
            let _ = connection.begin::<Fetch>(&request(shared, &plan), self.version);
        }
    }
}

fn request<'r>(shared: &'r Shared, plan: &'r Plan) -> FetchRequest<'r> {
    let config = &shared.config;
    let number = |value: u32| i32::try_from(value).unwrap_or(i32::MAX);
    let mut topics: Vec<FetchTopic<'r>> = Vec::new();
    for (partition, asked) in &plan.send {
        let entry = FetchPartition {
            partition: partition.partition,
            current_leader_epoch: asked.leader_epoch.0,
            fetch_offset: asked.offset,
            partition_max_bytes: number(config.max_partition_fetch_bytes),
            ..Default::default()
        };
        match topics.last_mut().filter(|topic| topic.topic == &*partition.topic) {
            Some(topic) => topic.partitions.push(entry),
            None => topics.push(FetchTopic {
                topic: &partition.topic,
                topic_id: asked.topic_id,
                partitions: vec![entry],
            }),
        }
    }
    let forgotten = plan.forget.iter().map(|(partition, topic_id)| ForgottenTopic {
        topic: &partition.topic,
        topic_id: *topic_id,
        partitions: vec![partition.partition],
    });
    FetchRequest {
        max_wait_ms: milliseconds(config.fetch_max_wait),
        min_bytes: number(config.fetch_min_bytes),
        max_bytes: number(config.fetch_max_bytes),
        isolation_level: config.isolation_level as i8,
        session_id: plan.session_id,
        session_epoch: plan.session_epoch,
        topics,
        forgotten_topics_data: forgotten.collect(),
        rack_id: &config.client.client_rack,
        replica_id: -1,
        ..Default::default()
    }
}

/// As Kafka's requests have it.
pub(super) fn milliseconds(duration: Duration) -> i32 {
    i32::try_from(duration.as_millis()).unwrap_or(i32::MAX)
}

fn fetched(body: &Bytes, data: &PartitionData<'_>) -> Fetched {
    let records = data.records.as_ref().and_then(|records| records.as_slice());
    let records = records.filter(|records| !records.is_empty());
    let aborted = data.aborted_transactions.iter().flatten();
    let aborted: BTreeSet<_> = aborted.map(|it| (it.first_offset, it.producer_id)).collect();
    let aborted = aborted.into_iter().map(|(first, producer)| (producer, first)).collect();
    Fetched {
        error: ErrorCode::from_number(data.error_code).unwrap_or(ErrorCode::UnknownServerError),
        chunk: Chunk::new(records.map_or_else(Bytes::new, |it| body.slice_ref(it)), aborted),
        watermarks: Watermarks {
            log_start_offset: data.log_start_offset,
            high_watermark: data.high_watermark,
            last_stable_offset: data.last_stable_offset,
        },
        preferred: Some(data.preferred_read_replica).filter(|id| *id >= 0),
    }
}

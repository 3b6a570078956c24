//! One Produce request: the batches that it carries, how it is written, how its answer is read.

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use milena_protocol::{
    ErrorCode, Uuid,
    api::{
        ProduceRequest,
        produce::{
            request::{PartitionProduceData, TopicProduceData},
            response::PartitionProduceResponse,
        },
    },
    records::{Codec, Level},
    wire::Records,
};

use crate::{
    cluster::View,
    error::{Error, Result},
    network::{Answer, Called, Connection, Produce, Told},
    producer::{
        accumulator::Answered,
        batch::{Batch, Place},
        config::{Acks, ProducerConfig},
        delivery::Outcome,
    },
};

/// From this version on topics are named by their ids.
const TOPIC_IDS_FROM: i16 = 13;
/// From this version on a request says that partitions join a transaction by being written to.
const IMPLICIT_FROM: i16 = 12;

#[derive(Debug)]
pub(super) struct Request {
    pub(super) leader: i32,
    batches: Vec<Sealed>,
    version: i16,
    address: Box<str>,
    /// When the first of the batches has run out of time.
    expires: Duration,
}

#[derive(Debug)]
struct Sealed {
    batch: Batch,
    bytes: Result<Bytes>,
    topic_id: Uuid,
}

/// What an answer says.
#[derive(Debug, Default)]
pub(super) struct Read {
    /// In the order of the batches.
    answered: Vec<Answered>,
    pub(super) leaders: Vec<(Place, i32)>,
    pub(super) throttle: Duration,
}

/// A request on its way.
#[derive(Debug)]
pub(super) enum Begun {
    Called(Called<Produce>),
    /// No answer will come.
    Told(Told),
}

impl Begun {
    pub(super) async fn end(self, limit: Duration) -> Result<Option<Answer<Produce>>> {
        match self {
            Self::Called(called) => called.within(limit).await.map(Some),
            Self::Told(told) => told.written().await.map(|()| None),
        }
    }
}

impl Request {
    pub(super) fn new(leader: i32, batches: Vec<Batch>, delivery_timeout: Duration) -> Self {
        let expires = batches.iter().map(|batch| batch.created + delivery_timeout).min();
        let sealed = batches.into_iter().map(|batch| {
            let bytes = Ok(Bytes::new());
            Sealed { batch, bytes, topic_id: Uuid::ZERO }
        });
        let (version, address) = (0, "".into());
        let expires = expires.unwrap_or(Duration::MAX);
        Self { leader, batches: sealed.collect(), version, address, expires }
    }

    /// Makes the bytes of all batches.
    pub(super) fn seal(&mut self, codec: Codec, level: Level) {
        for sealed in &mut self.batches {
            sealed.bytes = sealed.batch.seal(codec, level);
        }
    }

    /// The batches that have their bytes.
    pub(super) fn sealed(&mut self) -> impl Iterator<Item = &mut Batch> {
        let sealed = self.batches.iter_mut().filter(|sealed| sealed.bytes.is_ok());
        sealed.map(|sealed| &mut sealed.batch)
    }

    /// Queues the request behind those that are under way.
    pub(super) fn begin(
        &mut self,
        connection: &Connection,
        view: &View,
        config: &ProducerConfig,
        is_implicit: bool,
    ) -> Result<Begun> {
        self.address = connection.address().into();
        let ids = self.batches.iter_mut().map(|sealed| {
            let topic = view.topics.get(&**sealed.batch.completion.topic());
            sealed.topic_id = topic.map_or(Uuid::ZERO, |topic| topic.id);
            sealed.topic_id != Uuid::ZERO
        });
        let all_have_ids = ids.fold(true, |all, has| all & has);
        let version = connection.version::<Produce>()?;
        // An old broker, among new ones, told of the topic.
        let version = if is_implicit { version } else { version.min(IMPLICIT_FROM - 1) };
        self.version = if all_have_ids { version } else { version.min(TOPIC_IDS_FROM - 1) };
        let request = self.message(config);
        match config.acks {
            Acks::None => connection.tell::<Produce>(&request, self.version).map(Begun::Told),
            _ => connection.begin::<Produce>(&request, self.version).map(Begun::Called),
        }
    }

    fn message<'m>(&'m self, config: &'m ProducerConfig) -> ProduceRequest<'m> {
        let mut topics = BTreeMap::<usize, TopicProduceData<'_>>::new();
        for sealed in &self.batches {
            let Ok(bytes) = &sealed.bytes else { continue };
            let name = &**sealed.batch.completion.topic();
            let topic = topics.entry(sealed.batch.place.topic).or_insert_with(|| {
                TopicProduceData { name, topic_id: sealed.topic_id, partition_data: Vec::new() }
            });
            topic.partition_data.push(PartitionProduceData {
                index: sealed.batch.completion.partition(),
                records: Some(Records::from(bytes.clone())),
            });
        }
        let timeout = config.client.request_timeout.as_millis();
        ProduceRequest {
            transactional_id: config.transactional_id.as_deref(),
            acks: config.acks.number(),
            timeout_ms: i32::try_from(timeout).unwrap_or(i32::MAX),
            topic_data: topics.into_values().collect(),
        }
    }

    /// What the answer says of each batch.
    pub(super) fn read(&self, answer: Option<&Answer<Produce>>) -> Result<Read> {
        let stored = || Answered::Stored { base_offset: None, append_time: None };
        let Some(answer) = answer else {
            let answered = self.batches.iter().map(|_| stored());
            return Ok(Read { answered: answered.collect(), ..Read::default() });
        };
        let message = answer.message()?;
        let mut words = BTreeMap::new();
        for topic in &message.responses {
            for partition in &topic.partition_responses {
                words.insert((topic.name, topic.topic_id, partition.index), partition);
            }
        }
        let throttle = u64::try_from(message.throttle_time_ms).unwrap_or(0);
        let mut read = Read { throttle: Duration::from_millis(throttle), ..Read::default() };
        for sealed in &self.batches {
            let completion = &sealed.batch.completion;
            let (name, id) = if self.version >= TOPIC_IDS_FROM {
                ("", sealed.topic_id)
            } else {
                (&**completion.topic(), Uuid::ZERO)
            };
            let Some(word) = words.get(&(name, id, completion.partition())) else {
                read.answered.push(self.without_word());
                continue;
            };
            if word.current_leader.leader_id >= 0 && word.error_code != ErrorCode::None as i16 {
                read.leaders.push((sealed.batch.place, word.current_leader.leader_id));
            }
            read.answered.push(answered(&sealed.batch, word));
        }
        Ok(read)
    }

    /// The batches, each with what was said of it.
    pub(super) fn into_answered(
        self,
        answer: Result<Read>,
    ) -> impl Iterator<Item = (Batch, Answered)> {
        let (mut words, error) = match answer {
            Ok(read) => (read.answered.into_iter(), None),
            Err(error) => (Vec::new().into_iter(), Some(error)),
        };
        let failed = |error| Answered::Failed { error, blamed: Vec::new() };
        self.batches.into_iter().map(move |sealed| {
            let word = words.next();
            let answered = match (sealed.bytes, word, &error) {
                (Err(error), _, _) => failed(error),
                (_, Some(word), _) => word,
                (_, None, error) => failed(error.clone().unwrap_or(Error::Closed)),
            };
            (sealed.batch, answered)
        })
    }

    /// Tells those whose time is over, and says when the next one's will be.
    pub(super) fn expire(&mut self, now: Duration, limit: Duration) -> Option<Duration> {
        if self.expires <= now {
            for Sealed { batch, .. } in &self.batches {
                if batch.created + limit <= now {
                    let (what, key) = (batch.what().into(), "delivery.timeout.ms");
                    let error = Error::Timeout { what, limit, key, last: None };
                    batch.completion.finish(Outcome::Failed { error, blamed: Vec::new() });
                }
            }
            let ends = self.batches.iter().map(|sealed| sealed.batch.created + limit);
            self.expires = ends.filter(|end| *end > now).min().unwrap_or(Duration::MAX);
        }
        Some(self.expires).filter(|expires| *expires < Duration::MAX)
    }

    fn without_word(&self) -> Answered {
        let problem = "it says nothing of a partition that it was asked to write to".into();
        let error = Error::Protocol { address: self.address.clone(), problem };
        Answered::Failed { error, blamed: Vec::new() }
    }
}

fn answered(batch: &Batch, word: &PartitionProduceResponse<'_>) -> Answered {
    if word.error_code == ErrorCode::None as i16 {
        return Answered::Stored {
            base_offset: Some(word.base_offset).filter(|offset| *offset >= 0),
            append_time: Some(word.log_append_time_ms).filter(|time| *time >= 0),
        };
    }
    let blamed = word.record_errors.iter().filter_map(|record| {
        let why = record.batch_index_error_message.unwrap_or_default();
        Some((u32::try_from(record.batch_index).ok()?, why.into()))
    });
    Answered::Failed {
        error: Error::Broker {
            what: batch.what().into(),
            code: ErrorCode::from_number(word.error_code).unwrap_or(ErrorCode::UnknownServerError),
            detail: word.error_message.map(Into::into),
        },
        blamed: blamed.collect(),
    }
}

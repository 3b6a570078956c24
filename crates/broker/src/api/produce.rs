//! Produce: appends batches to partitions, and answers when they are where `acks` wants them.
//!
//! The batches stay in the frame that brought them: it is cut into pieces, none is copied. All
//! partitions of a request are appended before anything is waited for.

use std::{rc::Rc, sync::Arc, time::Duration};

use bytes::{Buf, BytesMut};
use milena_env::timer;
use milena_protocol::{
    ErrorCode, Offset, Uuid,
    api::{
        ProduceRequest, ProduceResponse,
        produce::response::{
            BatchIndexAndErrorMessage, PartitionProduceResponse, TopicProduceResponse,
        },
    },
    open_request,
    records::{self, BatchHeader, RecordError},
};
use milena_storage::{AppendError, producers::Origin};

use super::{Call, Outcome, Serving};
use crate::{
    authorizer::{Operation, Resource},
    error_map::ToCode,
    network::{connection::Client, frames::Frame, threads::Worker},
    partition::{Last, Partition, Reach, table::Topic},
    topics,
};

/// What Kafka's own admin tools call themselves; they may write to internal topics.
const ADMIN_CLIENT: &str = "__admin_client";

/// What the request says beside its records.
struct Terms {
    version: i16,
    acks: i16,
    /// Whether it names a transactional id.
    is_transactional: bool,
    timeout: Duration,
}

/// One partition's records, and what becomes of them.
struct Item {
    index: i32,
    /// Where the records lie in the frame.
    records: std::ops::Range<usize>,
    place: Result<Arc<Partition>, ErrorCode>,
    fate: Fate,
}

/// What became of the records of one partition.
enum Fate {
    /// Nothing, with the reason in words where the code does not say it all.
    Refused(Refusal),
    Appended {
        base_offset: Offset,
        end: Offset,
        append_time_ms: i64,
    },
}

/// Why the records of one partition are not taken.
struct Refusal {
    code: ErrorCode,
    message: Option<Box<str>>,
    /// Single records that are to blame, with their reasons.
    records: Vec<(i32, Box<str>)>,
    /// Whether the log was asked: then the answer says where it begins.
    is_from_log: bool,
}

impl From<ErrorCode> for Refusal {
    fn from(code: ErrorCode) -> Self {
        Self { code, message: None, records: Vec::new(), is_from_log: false }
    }
}

/// The items of one topic, in the order of the request.
struct TopicItems {
    name: Box<str>,
    id: Uuid,
    items: Vec<Item>,
}

/// Begins to serve: everything is appended when this returns.
pub(super) fn serve(worker: &Rc<Worker>, client: &Rc<Client>, frame: Frame) -> Serving {
    let Frame { mut bytes, charge } = frame;
    let frame_bytes = bytes.len();
    let opened = match open_request(&bytes) {
        Ok(opened) => opened,
        Err(error) => return Serving::Done(Outcome::close(&error)),
    };
    let call = Call::new(worker, client, &opened);
    let request: ProduceRequest<'_> = match call.decode(opened.body) {
        Ok(request) => request,
        Err(outcome) => return Serving::Done(outcome),
    };
    let terms = Terms {
        version: call.version,
        acks: request.acks,
        is_transactional: request.transactional_id.is_some(),
        timeout: Duration::from_millis(request.timeout_ms.max(0).unsigned_abs().into()),
    };
    let mut topics = place(&call, &request, &bytes);
    let (reply, meter) = (call.reply, call.meter.clone());
    drop(request);
    append(worker, &terms, &mut bytes, &mut topics);
    let busy_ms = meter.as_ref().map_or(0, |meter| meter.answered());
    // The batches count as the journal's from here on.
    drop((bytes, charge));
    if terms.acks == 0 {
        if let Some(meter) = meter {
            meter.produced(frame_bytes);
        }
        return Serving::Done(without_answer(&topics));
    }
    Serving::Waiting(Box::pin(async move {
        settle(&terms, &mut topics).await;
        let sent_ms = meter.map_or(0, |meter| meter.produced(frame_bytes));
        let throttle_time_ms = sent_ms.max(busy_ms);
        reply.answer(&ProduceResponse { throttle_time_ms, ..respond(&topics) })
    }))
}

/// Finds the partitions, and refuses what may not be written.
fn place(call: &Call<'_>, request: &ProduceRequest<'_>, frame: &[u8]) -> Vec<TopicItems> {
    let broker = call.broker();
    let mut topics = Vec::with_capacity(request.topic_data.len());
    for data in &request.topic_data {
        let by_id = call.version >= 13;
        let topic = if by_id {
            broker.partitions.by_id(data.topic_id)
        } else {
            broker.partitions.by_name(data.name)
        };
        let name: Box<str> = topic.as_ref().map_or(data.name, |topic| &topic.name).into();
        let refusal = refuse(call, request, topic.as_deref(), &name, by_id);
        let items = data.partition_data.iter().map(|partition| {
            let records = partition.records.as_ref().and_then(|records| records.as_slice());
            let place = match (refusal, &topic) {
                (Some(code), _) => Err(code),
                (None, Some(topic)) => match topic.partition(partition.index) {
                    Some(partition) => Ok(Arc::clone(partition)),
                    None => Err(ErrorCode::UnknownTopicOrPartition),
                },
                (None, None) => Err(ErrorCode::UnknownTopicOrPartition),
            };
            let code = place.as_ref().err().copied().unwrap_or(ErrorCode::None);
            Item {
                index: partition.index,
                records: range_in(frame, records.unwrap_or_default()),
                place,
                fate: Fate::Refused(code.into()),
            }
        });
        let items = items.collect();
        topics.push(TopicItems { name, id: data.topic_id, items });
    }
    topics
}

/// Why nothing may be written to a topic, if so.
fn refuse(
    call: &Call<'_>,
    request: &ProduceRequest<'_>,
    topic: Option<&Topic>,
    name: &str,
    by_id: bool,
) -> Option<ErrorCode> {
    if by_id && topic.is_none() {
        return Some(ErrorCode::UnknownTopicId);
    }
    if !call.may(Operation::Write, Resource::Topic(name)) {
        return Some(ErrorCode::TopicAuthorizationFailed);
    }
    if topic.is_none() {
        return Some(ErrorCode::UnknownTopicOrPartition);
    }
    if topics::is_internal(name) && call.client_id != Some(ADMIN_CLIENT) {
        return Some(ErrorCode::InvalidTopicException);
    }
    (!matches!(request.acks, -1..=1)).then_some(ErrorCode::InvalidRequiredAcks)
}

/// Where a part of a frame lies in it.
fn range_in(frame: &[u8], part: &[u8]) -> std::ops::Range<usize> {
    if part.is_empty() {
        return 0..0;
    }
    let start = part.as_ptr().addr() - frame.as_ptr().addr();
    start..start + part.len()
}

/// Cuts the batches out of the frame and appends each. They are in the order of the frame.
fn append(worker: &Worker, terms: &Terms, frame: &mut BytesMut, topics: &mut [TopicItems]) {
    let mut at = 0;
    for item in topics.iter_mut().flat_map(|topic| &mut topic.items) {
        let batch = if item.records.is_empty() {
            BytesMut::new()
        } else {
            frame.advance(item.records.start - at);
            at = item.records.end;
            frame.split_to(item.records.len())
        };
        if let Ok(partition) = &item.place {
            item.fate = append_one(worker, terms, partition, batch);
        }
    }
}

fn append_one(
    worker: &Worker,
    terms: &Terms,
    partition: &Arc<Partition>,
    mut batch: BytesMut,
) -> Fate {
    let (epoch, in_sync) = {
        let leader = partition.leader();
        (leader.epoch(), leader.in_sync_count())
    };
    if terms.acks == -1 && in_sync < partition.min_in_sync() {
        return Fate::Refused(ErrorCode::NotEnoughReplicas.into());
    }
    if BatchHeader::read(&batch).is_ok_and(|header| header.attributes.is_transactional()) {
        return refuse_transaction(terms);
    }
    let log = &partition.log;
    let mut scratch = worker.scratch.borrow_mut();
    let origin = records::Origin::Client;
    let validated = match log.prepare(&mut batch, terms.version, origin, &mut scratch) {
        Ok(validated) => validated,
        Err(error) => return refused_records(&error),
    };
    let append_time_ms = if log.config().log_append_time { validated.max_timestamp } else { -1 };
    match log.append_as_leader(batch, &validated, epoch, Origin::Client) {
        Ok(appended) => {
            Fate::Appended { base_offset: appended.base_offset, end: appended.end, append_time_ms }
        }
        Err(error) => {
            if let AppendError::Storage(error) = &error {
                tracing::debug!(partition = %log.name(), %error, "not appended");
            }
            let is_from_log = matches!(error, AppendError::Sequence(_));
            let message = Some(error.to_string().into());
            Fate::Refused(Refusal { message, is_from_log, ..error.code().into() })
        }
    }
}

fn refused_records(error: &RecordError) -> Fate {
    let records = match error {
        RecordError::Rejected(rejected) => {
            let reason = |r: &records::RejectedRecord| (r.index, r.reason.to_string().into());
            rejected.records.iter().map(reason).collect()
        }
        _ => Vec::new(),
    };
    // What is wrong with the batch as a whole is seen before the log is asked.
    let is_from_log = !matches!(
        error,
        RecordError::Length(_)
            | RecordError::Magic(_)
            | RecordError::Crc { .. }
            | RecordError::NoBatch { .. }
            | RecordError::BytesBehindBatch(_)
            | RecordError::OldMagic(_)
            | RecordError::TooLarge { .. }
            | RecordError::ZstdTooEarly
    );
    let message = Some(error.to_string().into());
    Fate::Refused(Refusal { message, records, is_from_log, ..error.code().into() })
}

/// There is no coordinator here that could have begun a transaction, or would ever end it: its
/// records would hold up all readers of committed ones for good.
fn refuse_transaction(terms: &Terms) -> Fate {
    if !terms.is_transactional {
        return Fate::Refused(ErrorCode::TransactionalIdAuthorizationFailed.into());
    }
    let message = "Unable to verify the partition has been added to the transaction. Underlying \
                   error: COORDINATOR_NOT_AVAILABLE";
    let code = ErrorCode::NotEnoughReplicas;
    Fate::Refused(Refusal { message: Some(message.into()), ..code.into() })
}

/// Nobody waits for an answer; an error closes the connection, so that the client looks anew.
fn without_answer(topics: &[TopicItems]) -> Outcome {
    for topic in topics {
        for item in &topic.items {
            if let Fate::Refused(Refusal { code, .. }) = &item.fate {
                let reason = format!(
                    "produce with acks=0 to {}-{} failed with {}",
                    topic.name,
                    item.index,
                    code.name()
                );
                return Outcome::Close(reason.into());
            }
        }
    }
    Outcome::Nothing
}

/// Waits until every batch is where `acks` wants it; the fate of one for which that will not
/// happen is changed.
async fn settle(terms: &Terms, topics: &mut [TopicItems]) {
    let reach = if terms.acks == -1 { Reach::HighWatermark } else { Reach::Durable };
    let appended = |item: &Item| match (&item.place, &item.fate) {
        (Ok(partition), Fate::Appended { end, .. }) => Some((Arc::clone(partition), *end)),
        _ => None,
    };
    let is_settled = |item: &Item| {
        appended(item).is_none_or(|(partition, end)| {
            partition.has_reached(reach, end) || partition.log.is_closed()
        })
    };
    let items = || topics.iter().flat_map(|topic| &topic.items);
    if !items().all(is_settled) {
        let pending: Vec<_> =
            items().filter(|item| !is_settled(item)).filter_map(appended).collect();
        let last = Last::of(pending.len());
        let watch = |(partition, end): (Arc<Partition>, _)| partition.watch(reach, end, &last);
        let _registrations: Vec<_> = pending.into_iter().map(watch).collect();
        let all = async {
            while !items().all(is_settled) {
                last.any().await;
            }
        };
        // A client that waits for ever is no use to anybody.
        timer::timeout(terms.timeout, all).await;
    }
    for item in topics.iter_mut().flat_map(|topic| &mut topic.items) {
        let Some((partition, end)) = appended(item) else { continue };
        if let Err(why) = partition.check_reached(reach, end) {
            item.fate = Fate::Refused(why.code().into());
        }
    }
}

fn respond(topics: &[TopicItems]) -> ProduceResponse<'_> {
    let asked = topics.iter().filter(|topic| !topic.items.is_empty());
    let responses = asked.map(|topic| TopicProduceResponse {
        name: &topic.name,
        topic_id: topic.id,
        partition_responses: topic.items.iter().map(respond_one).collect(),
        ..Default::default()
    });
    ProduceResponse { responses: responses.collect(), ..Default::default() }
}

fn respond_one(item: &Item) -> PartitionProduceResponse<'_> {
    let response = PartitionProduceResponse { index: item.index, ..Default::default() };
    let log_start = || Some(item.place.as_ref().ok()?.log.start_offset().0);
    match &item.fate {
        Fate::Refused(refusal) => PartitionProduceResponse {
            error_code: refusal.code as i16,
            base_offset: -1,
            log_start_offset: log_start().filter(|_| refusal.is_from_log).unwrap_or(-1),
            error_message: refusal.message.as_deref(),
            record_errors: refusal
                .records
                .iter()
                .map(|(index, message)| BatchIndexAndErrorMessage {
                    batch_index: *index,
                    batch_index_error_message: Some(message),
                })
                .collect(),
            ..response
        },
        Fate::Appended { base_offset, append_time_ms, .. } => PartitionProduceResponse {
            base_offset: base_offset.0,
            log_append_time_ms: *append_time_ms,
            log_start_offset: log_start().unwrap_or(-1),
            ..response
        },
    }
}

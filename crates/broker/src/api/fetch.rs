//! Fetch: batches from an offset on. Nothing is copied: pieces of memory go out by a vectored
//! write, ranges of files by sendfile. Where there is nothing yet, one waiter is registered per
//! partition, and the request goes on when `min_bytes` have come or `max_wait_ms` are over.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use milena_env::timer;
use milena_protocol::{
    ErrorCode, LeaderEpoch, Offset, Uuid,
    api::{
        FetchRequest, FetchResponse,
        fetch::response::{
            AbortedTransaction, EpochEndOffset, FetchableTopicResponse, PartitionData,
        },
    },
    wire::{Part, Records},
};
use milena_storage::{Limit, Piece, ReadPlan};
use tokio::sync::Notify;

use super::{Call, Outcome};
use crate::{
    authorizer::{Operation, Resource},
    error_map::ToCode,
    fetch::{Key, Session, SessionError, Told, Update},
    network::outgoing::FileRange,
    partition::{EpochCheck, Partition, Reach, table::Topic},
    quotas::Meter,
};

const READ_COMMITTED: i8 = 1;
/// Instead of a session's epoch: begin a session; end it, or do without.
const BEGIN: i32 = 0;
const NO_SESSION: i32 = -1;

/// One partition that is to be read.
struct Wanted {
    key: Key,
    update: Update,
    place: Result<Arc<Partition>, ErrorCode>,
}

/// What one partition gave.
struct Given {
    code: ErrorCode,
    high_watermark: Offset,
    last_stable: Offset,
    start: Offset,
    /// Where the reader's log ceases to be this one's, if it does.
    diverging: Option<EpochEndOffset>,
    aborted: Option<Vec<AbortedTransaction>>,
    plan: ReadPlan,
}

/// What is remembered between this fetch and the next.
enum Memory {
    None,
    Begin,
    Session(i32, Arc<Mutex<Session>>),
}

pub(super) async fn handle(call: &Call<'_>, mut request: FetchRequest<'_>) -> Outcome {
    let meter = Meter::new(call.broker(), call.client, call.client_id);
    if let Some(most) = meter.as_ref().and_then(Meter::fetch_bytes_max) {
        request.max_bytes = request.max_bytes.min(most);
    }
    let (memory, wanted) = match recall(call, &request) {
        Ok(recalled) => recalled,
        Err(error) => {
            let error_code = error.code() as i16;
            return call.answer(&FetchResponse { error_code, ..Default::default() });
        }
    };
    // Where the followers' ids stand has changed with version 15.
    let replica_id = request.replica_id.max(request.replica_state.replica_id);
    let wanted = find(call, wanted, replica_id);
    let mut given = read_all(&request, &wanted);
    let min_bytes = request.min_bytes.max(0).unsigned_abs() as usize;
    let max_wait = Duration::from_millis(request.max_wait_ms.max(0).unsigned_abs().into());
    let is_enough = |given: &[Given]| {
        let bytes: usize = given.iter().map(|given| given.plan.len).sum();
        bytes >= min_bytes || given.iter().any(Given::is_urgent)
    };
    if !wanted.is_empty() && !max_wait.is_zero() && !is_enough(&given) {
        let wake = Arc::new(Notify::new());
        let watch = |(wanted, given): (&Wanted, &Given)| {
            let partition = wanted.place.as_ref().ok()?;
            let next = given.high_watermark.next();
            Some(partition.watch(Reach::HighWatermark, next, &wake))
        };
        let mut registrations: Vec<_> = wanted.iter().zip(&given).filter_map(watch).collect();
        let more = async {
            loop {
                tokio::select! {
                    () = wake.notified() => {}
                    () = call.worker.draining() => return,
                }
                given = read_all(&request, &wanted);
                if is_enough(&given) {
                    return;
                }
                registrations = wanted.iter().zip(&given).filter_map(watch).collect();
            }
        };
        timer::timeout(max_wait, more).await;
        drop(registrations);
    }
    bring_in_cold(&wanted, &mut given).await;
    let bytes = given.iter().map(|given| given.plan.len).sum();
    let throttle_time_ms = meter.map_or(0, |meter| meter.fetched(bytes));
    if throttle_time_ms > 0 {
        let session_id = if let Memory::Session(id, _) = memory { id } else { 0 };
        return call.answer(&FetchResponse { throttle_time_ms, session_id, ..Default::default() });
    }
    respond(call, memory, wanted, given)
}

/// Has what is not in memory read by a thread that may wait, and proven on the way: a lagging
/// reader holds nobody up, and no batch that rotted on the disk is served.
async fn bring_in_cold(wanted: &[Wanted], given: &mut [Given]) {
    for (wanted, given) in wanted.iter().zip(given) {
        let Ok(partition) = &wanted.place else { continue };
        if given.plan.is_cached() {
            continue;
        }
        let (log, plan) = (Arc::clone(&partition.log), given.plan.clone());
        let brought = tokio::task::spawn_blocking(move || log.bring_in(&plan)).await;
        match brought {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::error!(partition = %partition.log.name(), %error, "cannot be read");
                *given = Given::nothing(error.code());
            }
            // It panicked, which was printed there.
            Err(_) => *given = Given::nothing(ErrorCode::KafkaStorageError),
        }
    }
}

/// What is to be read, in its order: what the request names, or what its session remembers.
fn recall(
    call: &Call<'_>,
    request: &FetchRequest<'_>,
) -> Result<(Memory, Vec<(Key, Update)>), SessionError> {
    let by_id = call.version >= 13;
    let key = |name: &str, id, index| {
        if by_id { Key::Id(id, index) } else { Key::Name(name.into(), index) }
    };
    let named = request.topics.iter().flat_map(|topic| {
        topic.partitions.iter().map(move |partition| {
            let update = Update {
                from: Offset(partition.fetch_offset),
                bytes_max: partition.partition_max_bytes,
                leader_epoch: partition.current_leader_epoch,
                last_fetched_epoch: partition.last_fetched_epoch,
            };
            (key(topic.topic, topic.topic_id, partition.partition), update)
        })
    });
    let sessions = &call.broker().fetch_sessions;
    let (id, epoch) = (request.session_id, request.session_epoch);
    if epoch == BEGIN || epoch == NO_SESSION {
        sessions.remove(id);
        let memory = if epoch == BEGIN { Memory::Begin } else { Memory::None };
        return Ok((memory, named.collect()));
    }
    let shared = sessions.take_up(id, epoch, by_id, call.broker().clock.monotonic())?;
    let mut session = shared.lock().unwrap_or_else(PoisonError::into_inner);
    named.for_each(|(key, update)| session.set(key, update));
    for topic in &request.forgotten_topics_data {
        for index in &topic.partitions {
            session.forget(&key(topic.topic, topic.topic_id, *index));
        }
    }
    sessions.resized(id, session.len());
    let wanted = session.in_turn().map(|cached| (cached.key.clone(), cached.update)).collect();
    drop(session);
    Ok((Memory::Session(id, shared), wanted))
}

/// Finds the partitions.
fn find(call: &Call<'_>, wanted: Vec<(Key, Update)>, replica_id: i32) -> Vec<Wanted> {
    let partitions = &call.broker().partitions;
    // Partitions of one topic mostly come together.
    let mut last: Option<Arc<Topic>> = None;
    let mut find = |(key, update): (Key, Update)| {
        let (known, index) = match &key {
            Key::Id(id, index) => {
                let again = last.take().filter(|topic| topic.id == *id);
                (again.or_else(|| partitions.by_id(*id)), *index)
            }
            Key::Name(name, index) => {
                let again = last.take().filter(|topic| topic.name == *name);
                (again.or_else(|| partitions.by_name(name)), *index)
            }
        };
        let epoch = update.leader_epoch;
        let place = locate(call, &key, known.as_deref(), index, epoch, replica_id);
        last = known;
        Wanted { key, update, place }
    };
    wanted.into_iter().map(&mut find).collect()
}

fn locate(
    call: &Call<'_>,
    key: &Key,
    known: Option<&Topic>,
    index: i32,
    leader_epoch: i32,
    replica_id: i32,
) -> Result<Arc<Partition>, ErrorCode> {
    let name = match (known, key) {
        (Some(known), _) => &known.name,
        (None, Key::Name(name, _)) => name,
        (None, Key::Id(..)) => return Err(ErrorCode::UnknownTopicId),
    };
    if !call.may(Operation::Read, Resource::Topic(name)) {
        return Err(ErrorCode::TopicAuthorizationFailed);
    }
    let partition = known.and_then(|known| known.partition(index));
    let partition = partition.ok_or(ErrorCode::UnknownTopicOrPartition)?;
    // No other broker has a replica of anything that is here.
    if replica_id >= 0 {
        return Err(ErrorCode::NotLeaderOrFollower);
    }
    match partition.check_epoch(leader_epoch) {
        EpochCheck::Current => Ok(Arc::clone(partition)),
        other => Err(other.code()),
    }
}

/// Plans the reads, within the bytes that the whole answer may have. The first batch of all is
/// given however large it is, so that a reader always gets on.
fn read_all(request: &FetchRequest<'_>, wanted: &[Wanted]) -> Vec<Given> {
    let mut left = request.max_bytes.max(0).unsigned_abs() as usize;
    let mut is_first = true;
    let committed = request.isolation_level == READ_COMMITTED;
    let read = |wanted: &Wanted| {
        let bytes_max = wanted.update.bytes_max.max(0).unsigned_abs() as usize;
        let limit = Limit { bytes_max: bytes_max.min(left), at_least_one: is_first };
        let given = match &wanted.place {
            Ok(partition) => read(partition, &wanted.update, committed, limit),
            // Kafka's mark for a partition that it did not even look into.
            Err(code) => {
                let aborted = Some(Vec::new()).filter(|_| is_unknown(*code));
                Given { aborted, ..Given::nothing(*code) }
            }
        };
        left = left.saturating_sub(given.plan.len);
        is_first &= given.plan.len == 0;
        given
    };
    wanted.iter().map(read).collect()
}

fn is_unknown(code: ErrorCode) -> bool {
    use ErrorCode::{TopicAuthorizationFailed, UnknownTopicId, UnknownTopicOrPartition};
    matches!(code, UnknownTopicOrPartition | UnknownTopicId | TopicAuthorizationFailed)
}

impl Given {
    fn told(&self) -> Told {
        let Self { code, high_watermark, start, .. } = *self;
        Told { high_watermark, start, code: code as i16 }
    }

    /// Whether the reader has to hear of it whatever there is to read.
    fn is_urgent(&self) -> bool {
        self.code != ErrorCode::None || self.diverging.is_some()
    }

    fn nothing(code: ErrorCode) -> Self {
        Self {
            code,
            high_watermark: Offset(-1),
            last_stable: Offset(-1),
            start: Offset(-1),
            diverging: None,
            aborted: None,
            plan: ReadPlan::default(),
        }
    }
}

fn read(partition: &Partition, update: &Update, committed: bool, limit: Limit) -> Given {
    let (log, from) = (&partition.log, update.from);
    // Deleted, maybe while somebody waited for more.
    if log.is_closed() {
        return Given::nothing(ErrorCode::UnknownTopicOrPartition);
    }
    let high_watermark = partition.high_watermark();
    let last_stable = log.last_stable_offset(high_watermark);
    let start = log.start_offset();
    if let Some(epoch) = Some(LeaderEpoch(update.last_fetched_epoch)).filter(|epoch| epoch.0 >= 0) {
        match log.end_offset_for(epoch) {
            None => return Given::nothing(ErrorCode::OffsetOutOfRange),
            Some((floor, end)) if floor < epoch || end < from => {
                let diverging = Some(EpochEndOffset {
                    epoch: floor.0,
                    end_offset: end.0,
                    ..Default::default()
                });
                let given = Given::nothing(ErrorCode::None);
                return Given { high_watermark, last_stable, start, diverging, ..given };
            }
            Some(_) => {}
        }
    }
    if from < start || from > high_watermark {
        return Given::nothing(ErrorCode::OffsetOutOfRange);
    }
    let read = if committed {
        log.read_committed(from, last_stable, limit).map(|(plan, aborted)| (plan, Some(aborted)))
    } else {
        log.read(from, high_watermark, limit).map(|plan| (plan, None))
    };
    match read {
        Ok((plan, aborted)) => Given {
            code: ErrorCode::None,
            high_watermark,
            last_stable,
            start,
            diverging: None,
            aborted: aborted.map(|aborted| {
                let name = |one: &milena_storage::index::AbortedTransaction| AbortedTransaction {
                    producer_id: one.producer_id.0,
                    first_offset: one.first_offset.0,
                    ..Default::default()
                };
                aborted.iter().map(name).collect()
            }),
            plan,
        },
        Err(error) => {
            if let milena_storage::ReadError::Storage(error) = &error {
                tracing::error!(partition = %log.name(), %error, "cannot be read");
            }
            Given::nothing(error.code())
        }
    }
}

fn respond(call: &Call<'_>, memory: Memory, wanted: Vec<Wanted>, given: Vec<Given>) -> Outcome {
    let mut session_id = 0;
    let is_told: Vec<bool> = match &memory {
        Memory::None => vec![true; wanted.len()],
        Memory::Begin => {
            session_id = begin(call, &wanted, &given).unwrap_or_default();
            vec![true; wanted.len()]
        }
        Memory::Session(id, session) => {
            session_id = *id;
            let mut session = session.lock().unwrap_or_else(PoisonError::into_inner);
            let tell = |(wanted, given): (&Wanted, &Given)| {
                session.tell(&wanted.key, given.told(), given.plan.len > 0)
            };
            wanted.iter().zip(&given).map(tell).collect()
        }
    };
    let mut ranges = Vec::new();
    let mut responses: Vec<FetchableTopicResponse<'_>> = Vec::new();
    for ((wanted, given), is_told) in wanted.iter().zip(given).zip(is_told) {
        if !is_told {
            continue;
        }
        let (topic, topic_id, partition_index) = match &wanted.key {
            Key::Id(id, index) => ("", *id, *index),
            Key::Name(name, index) => (&**name, Uuid::ZERO, *index),
        };
        let is_same = |last: &&mut FetchableTopicResponse<'_>| {
            last.topic == topic && last.topic_id == topic_id
        };
        let data = PartitionData {
            partition_index,
            error_code: given.code as i16,
            high_watermark: given.high_watermark.0,
            last_stable_offset: given.last_stable.0,
            log_start_offset: given.start.0,
            diverging_epoch: given.diverging.unwrap_or_default(),
            aborted_transactions: given.aborted,
            records: Some(Records::Parts(parts(given.plan, &mut ranges))),
            ..Default::default()
        };
        match responses.last_mut().filter(is_same) {
            Some(last) => last.partitions.push(data),
            None => responses.push(FetchableTopicResponse {
                topic,
                topic_id,
                partitions: vec![data],
                ..Default::default()
            }),
        }
    }
    let response = FetchResponse { session_id, responses, ..Default::default() };
    call.reply.answer_with(&response, ranges)
}

/// Remembers what a client wants and is being told, if there is room.
fn begin(call: &Call<'_>, wanted: &[Wanted], given: &[Given]) -> Option<i32> {
    let mut session = Session::default();
    for (wanted, given) in wanted.iter().zip(given) {
        session.set(wanted.key.clone(), wanted.update);
        session.tell(&wanted.key, given.told(), given.plan.len > 0);
    }
    let broker = call.broker();
    broker.fetch_sessions.insert(session, call.version >= 13, broker.clock.monotonic())
}

/// The parts of a plan; those in files go to `ranges`.
fn parts(plan: ReadPlan, ranges: &mut Vec<FileRange>) -> Vec<Part> {
    let part = |piece| match piece {
        Piece::Memory(bytes) => Some(Part::Bytes(bytes)),
        Piece::File { file, position, len } => {
            let token = ranges.len() as u64;
            ranges.push(FileRange { file, position });
            Some(Part::Range { token, length: u32::try_from(len).ok()? })
        }
        _ => None,
    };
    plan.pieces.into_iter().filter_map(part).collect()
}

//! Fetch: batches from an offset on. Nothing is copied: pieces of memory go out by a vectored
//! write, ranges of files by sendfile. Where there is nothing yet, one waiter is registered per
//! partition, and the request goes on when `min_bytes` have come or `max_wait_ms` are over. The
//! waiters of a session outlive the request, so that the next one looks at what changed alone.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use milena_env::timer;
use milena_protocol::{
    ErrorCode, Offset, Uuid,
    api::{
        FetchRequest, FetchResponse,
        fetch::response::{FetchableTopicResponse, PartitionData},
    },
    wire::{Part, Records},
};
use milena_storage::{Limit, Piece, ReadPlan};

use super::{Call, Outcome};
use crate::{
    authorizer::{Operation, Resource},
    error_map::ToCode,
    fetch::{Changes, Circumstances, Given, Key, Session, SessionError, Slot, Update},
    network::outgoing::FileRange,
    partition::{EpochCheck, Partition, Reach, Registration, Wake, table::Topic},
    quotas::Meter,
};

const READ_COMMITTED: i8 = 1;
/// Instead of a session's epoch: begin a session; end it, or do without.
const BEGIN: i32 = 0;
const NO_SESSION: i32 = -1;

/// A partition by its place in the session, if there is one, and by its name.
type Named = (Slot, Key, Update);

/// One partition that is to be read.
struct Wanted {
    slot: Slot,
    key: Key,
    update: Update,
    place: Result<Arc<Partition>, ErrorCode>,
}

/// What is remembered between this fetch and the next.
enum Memory {
    None,
    Begin,
    Session(i32, Arc<Mutex<Session>>),
}

pub(super) async fn handle(call: &Call<'_>, mut request: FetchRequest<'_>) -> Outcome {
    let meter = call.meter.as_deref();
    let of_quota = meter.and_then(Meter::fetch_bytes_max).unwrap_or(i32::MAX);
    let of_all = i32::try_from(call.broker().config().network.fetch_bytes_max).unwrap_or(i32::MAX);
    request.max_bytes = request.max_bytes.min(of_quota).min(of_all);
    let (memory, wanted) = match recall(call, &request) {
        Ok(recalled) => recalled,
        Err(error) => {
            let error_code = error.code() as i16;
            return call.answer(&FetchResponse { error_code, ..Default::default() });
        }
    };
    // Where the followers' ids stand has changed with version 15.
    let replica_id = request.replica_id.max(request.replica_state.replica_id);
    let mut wanted = find(call, wanted, replica_id);
    let mut given = read_all(&request, &wanted);
    let min_bytes = request.min_bytes.max(0).unsigned_abs() as usize;
    let max_wait = Duration::from_millis(request.max_wait_ms.max(0).unsigned_abs().into());
    let is_enough = |given: &[Given]| {
        let bytes: usize = given.iter().map(|given| given.plan.len).sum();
        bytes >= min_bytes || given.iter().any(Given::is_urgent)
    };
    if !memory.is_of_nothing(&wanted) && !max_wait.is_zero() && !is_enough(&given) {
        let changes = memory.changes();
        let wake: Wake = Arc::clone(&changes) as Wake;
        let mut registrations = memory.watch(&request, &wanted, &given, &wake);
        let more = async {
            loop {
                tokio::select! {
                    () = changes.any() => {}
                    () = call.worker.draining() => return,
                }
                if let Memory::Session(_, session) = &memory {
                    wanted = find(call, awake(call, &request, session), replica_id);
                }
                given = read_all(&request, &wanted);
                if is_enough(&given) {
                    return;
                }
                registrations = memory.watch(&request, &wanted, &given, &wake);
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
    respond(call, &request, memory, wanted, given)
}

impl Memory {
    /// Whether there is nothing to wait for.
    fn is_of_nothing(&self, wanted: &[Wanted]) -> bool {
        match self {
            Self::Session(_, session) => lock(session).len() == 0,
            Self::None | Self::Begin => wanted.is_empty(),
        }
    }

    /// What tells that there is more to read.
    fn changes(&self) -> Arc<Changes> {
        match self {
            Self::Session(_, session) => Arc::clone(&lock(session).changes),
            Self::None | Self::Begin => Arc::default(),
        }
    }

    /// Has every partition watched for more than there is. A session keeps the registrations
    /// itself, and lets those be that have nothing to read.
    fn watch(
        &self,
        request: &FetchRequest<'_>,
        wanted: &[Wanted],
        given: &[Given],
        wake: &Wake,
    ) -> Vec<Registration> {
        let pairs = wanted.iter().zip(given);
        let watched = pairs.filter_map(|(wanted, given)| {
            let partition = wanted.place.as_ref().ok()?;
            let next = given.high_watermark.next();
            Some((wanted, given, move || {
                partition.watch_marked(Reach::HighWatermark, next, wake, wanted.slot)
            }))
        });
        match self {
            Self::Session(_, session) => {
                let mut session = lock(session);
                for (wanted, given, watch) in watched {
                    session.watch(wanted.slot, watch);
                    if given.has_nothing_from(wanted.update.from, is_committed(request)) {
                        session.rest(wanted.slot, given.told());
                    }
                }
                Vec::new()
            }
            Self::None | Self::Begin => watched.map(|(_, _, watch)| watch()).collect(),
        }
    }
}

fn is_committed(request: &FetchRequest<'_>) -> bool {
    request.isolation_level == READ_COMMITTED
}

fn lock(session: &Mutex<Session>) -> MutexGuard<'_, Session> {
    session.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What of a session is to be looked at.
fn awake(call: &Call<'_>, request: &FetchRequest<'_>, session: &Mutex<Session>) -> Vec<Named> {
    let broker = call.broker();
    let circumstances = Circumstances {
        metadata: broker.metadata.look().position.offset,
        committed: is_committed(request),
    };
    let mut session = lock(session);
    session.awaken_changed(broker.clock.monotonic(), circumstances);
    session.in_turn().map(|(slot, cached)| (slot, cached.key.clone(), cached.update)).collect()
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
) -> Result<(Memory, Vec<Named>), SessionError> {
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
        return Ok((memory, named.map(|(key, update)| (0, key, update)).collect()));
    }
    let shared = sessions.take_up(id, epoch, by_id, call.broker().clock.monotonic())?;
    let mut session = lock(&shared);
    for (key, update) in named {
        session.set(key, update);
    }
    for topic in &request.forgotten_topics_data {
        for index in &topic.partitions {
            session.forget(&key(topic.topic, topic.topic_id, *index));
        }
    }
    sessions.resized(id, session.len());
    drop(session);
    let wanted = awake(call, request, &shared);
    Ok((Memory::Session(id, shared), wanted))
}

/// Finds the partitions.
fn find(call: &Call<'_>, wanted: Vec<Named>, replica_id: i32) -> Vec<Wanted> {
    let partitions = &call.broker().partitions;
    // Partitions of one topic mostly come together.
    let mut last: Option<Arc<Topic>> = None;
    let mut find = |(slot, key, update): Named| {
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
        Wanted { slot, key, update, place }
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
    let partition = Topic::find(known, index).map_err(|absent| absent.code())?;
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
    let committed = is_committed(request);
    let read = |wanted: &Wanted| {
        let bytes_max = wanted.update.bytes_max.max(0).unsigned_abs() as usize;
        let limit = Limit { bytes_max: bytes_max.min(left), at_least_one: is_first };
        let given = match &wanted.place {
            Ok(partition) => Given::read(partition, &wanted.update, committed, limit),
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

fn respond(
    call: &Call<'_>,
    request: &FetchRequest<'_>,
    memory: Memory,
    wanted: Vec<Wanted>,
    given: Vec<Given>,
) -> Outcome {
    let mut session_id = 0;
    let is_told: Vec<bool> = match &memory {
        Memory::None => vec![true; wanted.len()],
        Memory::Begin => {
            session_id = begin(call, &wanted, &given).unwrap_or_default();
            vec![true; wanted.len()]
        }
        Memory::Session(id, session) => {
            session_id = *id;
            let tell = |session: &mut Session, wanted: &Wanted, given: &Given| {
                session.tell(wanted.slot, given.told(), given.plan.len > 0)
            };
            let pairs = wanted.iter().zip(&given);
            let mut locked = lock(session);
            let is_told = pairs.map(|(wanted, given)| tell(&mut locked, wanted, given)).collect();
            let wake: Wake = Arc::clone(&locked.changes) as Wake;
            drop(locked);
            memory.watch(request, &wanted, &given, &wake);
            is_told
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
    let throttle_time_ms = call.throttle_ms();
    let response = FetchResponse { throttle_time_ms, session_id, responses, ..Default::default() };
    call.reply.answer_with(&response, ranges)
}

/// Remembers what a client wants and is being told, if there is room.
fn begin(call: &Call<'_>, wanted: &[Wanted], given: &[Given]) -> Option<i32> {
    let mut session = Session::default();
    for (wanted, given) in wanted.iter().zip(given) {
        let slot = session.set(wanted.key.clone(), wanted.update);
        session.tell(slot, given.told(), given.plan.len > 0);
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

//! One connection to one broker.
//!
//! Whoever calls encodes his request, hands it to the task that writes, and waits for the task that
//! reads. Answers come in the order of the requests, so what is in flight is a queue; an answer
//! that is not the next one, is too long or comes too late ends the connection for all. Dropping a
//! call loses nothing but its answer.

use std::{
    collections::VecDeque,
    io,
    marker::PhantomData,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicI32, Ordering},
    },
    time::Duration,
};

use bytes::{Buf, Bytes, BytesMut};
use milena_env::{
    net::{self, OwnedReadHalf, OwnedWriteHalf},
    timer,
};
use milena_protocol::{
    Message,
    header::{RequestHeader, ResponseHeader},
    wire::{LENGTH_PREFIX, Part, Reader, Writer, split_frame},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::{mpsc, oneshot, watch},
};

use super::{Api, Versions, negotiate::negotiate};
use crate::{
    config::ClientConfig,
    error::{Error, Result},
};

/// How many requests may wait to be written.
const QUEUE_MAX: usize = 64;
/// How much room is made for an answer before any of its bytes have come, and at most at once.
const READ_MIN_BYTES: usize = 16 << 10;
const READ_MAX_BYTES: usize = 1 << 20;
/// How many pieces of memory one write takes.
const WRITE_PARTS_MAX: usize = 64;

/// How long and how much a connection bears.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    setup: Duration,
    request: Duration,
    idle: Duration,
    answer_bytes: usize,
    client_id: Box<str>,
}

impl From<&ClientConfig> for Limits {
    fn from(config: &ClientConfig) -> Self {
        Self {
            setup: config.connection_setup_timeout,
            request: config.request_timeout,
            idle: config.connections_max_idle,
            answer_bytes: config.receive_message_max_bytes,
            client_id: config.client_id.clone(),
        }
    }
}

/// A connection that is used by all who speak to this broker.
#[derive(Debug)]
pub(crate) struct Connection {
    shared: Arc<Shared>,
    queue: mpsc::Sender<Outgoing>,
    versions: Versions,
    limits: Limits,
    correlation_id: AtomicI32,
}

/// What both tasks and all callers know.
#[derive(Debug)]
struct Shared {
    address: Box<str>,
    in_flight: Mutex<InFlight>,
    /// Turns true when the connection has ended.
    ended: watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct InFlight {
    waiting: VecDeque<Waiting>,
    /// Why the connection has ended.
    ended: Option<Error>,
}

#[derive(Debug)]
struct Waiting {
    correlation_id: i32,
    reply: oneshot::Sender<Result<Bytes>>,
}

#[derive(Debug)]
struct Outgoing {
    parts: Vec<Bytes>,
    /// None where no answer comes: Produce with acks=0.
    waiting: Option<Waiting>,
}

/// An answer as it came, to be read where it lies.
#[derive(Debug)]
pub(crate) struct Answer<A> {
    body: Bytes,
    version: i16,
    address: Box<str>,
    api: PhantomData<A>,
}

impl<A: Api> Answer<A> {
    /// The answer's fields. They borrow its bytes.
    pub(crate) fn message(&self) -> Result<A::Response<'_>> {
        match A::Response::decode(&self.body, self.version) {
            Ok(decoded) => Ok(decoded.message),
            Err(error) => Err(Error::answer(&self.address, &error)),
        }
    }

    /// Its bytes, for whoever keeps some of them.
    pub(crate) fn body(&self) -> &Bytes {
        &self.body
    }

    /// The version in which the question was asked.
    pub(crate) fn version(&self) -> i16 {
        self.version
    }

    /// The bytes of the answer, so that what was found in them can be kept without a copy.
    pub(crate) fn bytes(&self) -> &Bytes {
        &self.body
    }

    /// The number that some answers begin with, without reading the rest.
    pub(super) fn code_at_start(&self) -> i16 {
        self.body.first_chunk().map_or(-1, |bytes| i16::from_be_bytes(*bytes))
    }
}

impl Connection {
    /// Connects, and asks what the broker speaks.
    pub(crate) async fn open(address: &str, limits: Limits) -> Result<Self> {
        let lost = |problem: String| Error::Connection {
            address: address.into(),
            problem: problem.into(),
        };
        let stream = match timer::timeout(limits.setup, net::connect(address)).await {
            Some(Ok(stream)) => stream,
            Some(Err(error)) => return Err(lost(error.to_string())),
            None => {
                return Err(lost(format!("not connected within {} ms", limits.setup.as_millis())));
            }
        };
        let (reader, writer) = stream.into_split();
        let (queue, outgoing) = mpsc::channel(QUEUE_MAX);
        let shared = Arc::new(Shared {
            address: address.into(),
            in_flight: Mutex::default(),
            ended: watch::Sender::new(false),
        });
        tokio::spawn(write_all(Arc::clone(&shared), writer, outgoing));
        tokio::spawn(read_all(Arc::clone(&shared), reader, limits.clone()));
        let (versions, correlation_id) = (Versions::default(), AtomicI32::new(0));
        let mut connection = Self { shared, queue, versions, limits, correlation_id };
        negotiate(&mut connection).await?;
        Ok(connection)
    }

    pub(super) fn set_versions(&mut self, versions: Versions) {
        self.versions = versions;
    }

    pub(crate) fn versions(&self) -> &Versions {
        &self.versions
    }

    pub(crate) fn address(&self) -> &str {
        &self.shared.address
    }

    /// Whether requests still can be sent.
    pub(crate) fn is_open(&self) -> bool {
        self.shared.lock().ended.is_none()
    }

    /// The version in which an API would be called.
    pub(crate) fn version<A: Api>(&self) -> Result<i16> {
        self.versions.of(A::KEY).ok_or_else(|| Error::Unsupported {
            address: self.shared.address.clone(),
            api: A::KEY.api().name,
        })
    }

    /// Sends a request in the highest version that both sides speak, and waits for its answer.
    pub(crate) async fn call<A: Api>(&self, request: &A::Request<'_>) -> Result<Answer<A>> {
        let version = self.version::<A>()?;
        self.call_at::<A>(request, version).await
    }

    /// The same in a given version.
    pub(crate) async fn call_at<A: Api>(
        &self,
        request: &A::Request<'_>,
        version: i16,
    ) -> Result<Answer<A>> {
        self.call_within::<A>(request, version, self.limits.request).await
    }

    /// The same for a request that the broker may keep for a while before it answers.
    pub(crate) async fn call_within<A: Api>(
        &self,
        request: &A::Request<'_>,
        version: i16,
        limit: Duration,
    ) -> Result<Answer<A>> {
        let permit = self.queue.reserve().await.map_err(|_| self.shared.why())?;
        let (called, outgoing) = self.prepare::<A>(request, version)?;
        permit.send(outgoing);
        called.within(limit).await
    }

    /// Puts a request into the queue at once, so that requests leave in the order of these calls.
    /// Fails if the queue is full: whoever pipelines counts what he has in flight.
    pub(crate) fn begin<A: Api>(
        &self,
        request: &A::Request<'_>,
        version: i16,
    ) -> Result<Called<A>> {
        let (called, outgoing) = self.prepare::<A>(request, version)?;
        self.queue(outgoing)?;
        Ok(called)
    }

    /// Encodes a request that will not be answered.
    pub(crate) fn tell<A: Api>(&self, request: &A::Request<'_>, version: i16) -> Result<Told> {
        let (_, parts) = self.encode::<A>(request, version)?;
        let (shared, queue) = (Arc::clone(&self.shared), self.queue.clone());
        Ok(Told { shared, queue, outgoing: Outgoing { parts, waiting: None } })
    }

    fn prepare<A: Api>(
        &self,
        request: &A::Request<'_>,
        version: i16,
    ) -> Result<(Called<A>, Outgoing)> {
        let (reply, answer) = oneshot::channel();
        let (correlation_id, parts) = self.encode::<A>(request, version)?;
        let waiting = Some(Waiting { correlation_id, reply });
        let shared = Arc::clone(&self.shared);
        Ok((Called { shared, answer, version, api: PhantomData }, Outgoing { parts, waiting }))
    }

    fn queue(&self, outgoing: Outgoing) -> Result<()> {
        match self.queue.try_send(outgoing) {
            Ok(()) => Ok(()),
            Err(mpsc::error::TrySendError::Full(_)) => {
                Err(self.shared.lost(format!("{QUEUE_MAX} requests wait to be sent")))
            }
            Err(mpsc::error::TrySendError::Closed(_)) => Err(self.shared.why()),
        }
    }

    fn encode<A: Api>(&self, request: &A::Request<'_>, version: i16) -> Result<(i32, Vec<Bytes>)> {
        let correlation_id = self.correlation_id.fetch_add(1, Ordering::Relaxed);
        let header = RequestHeader {
            request_api_key: A::KEY.number(),
            request_api_version: version,
            correlation_id,
            client_id: Some(&self.limits.client_id),
            ..Default::default()
        };
        let encode = || {
            let mut writer = Writer::with_capacity(256);
            header.encode(&mut writer, A::KEY.api().request_header_version(version))?;
            request.encode(&mut writer, version)?;
            writer.finish()
        };
        let frame = encode().map_err(|error| Error::Invalid(error.to_string().into()))?;
        let parts = frame.into_parts().filter_map(|part| match part {
            Part::Bytes(bytes) => Some(bytes),
            Part::Range { .. } => None,
        });
        Ok((correlation_id, parts.collect()))
    }
}

/// A request that will not be answered.
#[derive(Debug)]
pub(crate) struct Told {
    shared: Arc<Shared>,
    queue: mpsc::Sender<Outgoing>,
    outgoing: Outgoing,
}

impl Told {
    /// Waits until it may be written.
    pub(crate) async fn written(self) -> Result<()> {
        let permit = self.queue.reserve().await.map_err(|_| self.shared.why())?;
        permit.send(self.outgoing);
        Ok(())
    }
}

/// A request on its way.
#[derive(Debug)]
pub(crate) struct Called<A> {
    shared: Arc<Shared>,
    answer: oneshot::Receiver<Result<Bytes>>,
    version: i16,
    api: PhantomData<A>,
}

impl<A: Api> Called<A> {
    /// Waits for the answer, which comes in its turn. If it is too late for this one, it is for
    /// all behind it, and the connection ends.
    pub(crate) async fn within(self, limit: Duration) -> Result<Answer<A>> {
        let Self { shared, answer, version, .. } = self;
        let frame = match timer::timeout(limit, answer).await {
            Some(Ok(frame)) => frame?,
            Some(Err(_)) => return Err(shared.why()),
            None => {
                let what = format!("{} at {}", A::KEY.api().name, shared.address);
                let (what, key) = (what.into(), "request.timeout.ms");
                let error = Error::Timeout { what, limit, key, last: None };
                shared.end(error.clone());
                return Err(error);
            }
        };
        let header_version = A::KEY.api().response_header_version(version);
        let mut reader = Reader::new(&frame);
        ResponseHeader::decode_from(&mut reader, header_version)
            .map_err(|error| Error::answer(&shared.address, &error))?;
        let body = frame.slice_ref(reader.rest());
        Ok(Answer { body, version, address: shared.address.clone(), api: PhantomData })
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, InFlight> {
        self.in_flight.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lost(&self, problem: impl Into<Box<str>>) -> Error {
        Error::Connection { address: self.address.clone(), problem: problem.into() }
    }

    fn why(&self) -> Error {
        let why = self.lock().ended.clone();
        why.unwrap_or_else(|| self.lost("closed"))
    }

    /// Ends the connection for all who wait. The first reason stays.
    fn end(&self, why: Error) {
        let waiting = {
            let mut in_flight = self.lock();
            in_flight.ended.get_or_insert_with(|| why.clone());
            std::mem::take(&mut in_flight.waiting)
        };
        for Waiting { reply, .. } in waiting {
            // Whoever asked may be gone.
            let _ = reply.send(Err(why.clone()));
        }
        self.ended.send_replace(true);
    }

    /// Notes that an answer will come, unless none ever will.
    fn expect(&self, waiting: Waiting) -> bool {
        let mut in_flight = self.lock();
        match &in_flight.ended {
            None => {
                in_flight.waiting.push_back(waiting);
                true
            }
            Some(why) => {
                let _ = waiting.reply.send(Err(why.clone()));
                false
            }
        }
    }

    /// Gives an answer to whoever is next.
    fn answer(&self, frame: Bytes) -> Result<()> {
        let refuse = |problem: String| Error::Protocol {
            address: self.address.clone(),
            problem: problem.into(),
        };
        let Some(id) = frame.first_chunk().map(|bytes| i32::from_be_bytes(*bytes)) else {
            return Err(refuse(format!("an answer of {} bytes", frame.len())));
        };
        let Some(waiting) = self.lock().waiting.pop_front() else {
            return Err(refuse(format!("answer {id} to no request")));
        };
        if waiting.correlation_id != id {
            let error = refuse(format!("answer {id} to request {}", waiting.correlation_id));
            let _ = waiting.reply.send(Err(error.clone()));
            return Err(error);
        }
        let _ = waiting.reply.send(Ok(frame));
        Ok(())
    }
}

async fn write_all(
    shared: Arc<Shared>,
    mut writer: OwnedWriteHalf,
    mut outgoing: mpsc::Receiver<Outgoing>,
) {
    let mut ended = shared.ended.subscribe();
    let mut batch = Vec::with_capacity(QUEUE_MAX);
    let mut parts = VecDeque::new();
    loop {
        tokio::select! {
            count = outgoing.recv_many(&mut batch, QUEUE_MAX) => if count == 0 { break },
            _ = ended.wait_for(|ended| *ended) => return,
        }
        for Outgoing { parts: bytes, waiting } in batch.drain(..) {
            if waiting.is_none_or(|waiting| shared.expect(waiting)) {
                parts.extend(bytes);
            }
        }
        let written = tokio::select! {
            written = write_parts(&mut writer, &mut parts) => written,
            _ = ended.wait_for(|ended| *ended) => return,
        };
        if let Err(error) = written {
            return shared.end(shared.lost(error.to_string()));
        }
    }
    // Nobody uses the connection any more; what is in flight is still answered.
    let _ = writer.shutdown().await;
}

async fn write_parts(writer: &mut OwnedWriteHalf, parts: &mut VecDeque<Bytes>) -> io::Result<()> {
    while !parts.is_empty() {
        let mut slices = [io::IoSlice::new(&[]); WRITE_PARTS_MAX];
        let count = slices.iter_mut().zip(parts.iter()).map(|(slice, part)| {
            *slice = io::IoSlice::new(part);
        });
        let count = count.count();
        let mut written = writer.write_vectored(slices.get(..count).unwrap_or_default()).await?;
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        while let Some(part) = parts.front_mut() {
            let taken = written.min(part.len());
            part.advance(taken);
            written -= taken;
            if !part.is_empty() {
                break;
            }
            parts.pop_front();
        }
    }
    Ok(())
}

async fn read_all(shared: Arc<Shared>, mut reader: OwnedReadHalf, limits: Limits) {
    let mut ended = shared.ended.subscribe();
    let mut incoming = BytesMut::new();
    let error = loop {
        match split_frame(&mut incoming, limits.answer_bytes) {
            Ok(Some(frame)) => match shared.answer(frame) {
                Ok(()) => continue,
                Err(error) => break error,
            },
            Ok(None) => {}
            Err(error) => {
                let problem = error.to_string().into();
                break Error::Protocol { address: shared.address.clone(), problem };
            }
        }
        make_room(&mut incoming);
        let read = tokio::select! {
            read = timer::timeout(limits.idle, reader.read_buf(&mut incoming)) => read,
            _ = ended.wait_for(|ended| *ended) => return,
        };
        match read {
            Some(Ok(0)) => break shared.lost("the broker closed it"),
            Some(Ok(_)) => {}
            Some(Err(error)) => break shared.lost(error.to_string()),
            None => break shared.lost("nobody used it for connections.max.idle.ms"),
        }
    };
    shared.end(error);
}

/// Room for what comes next. What a frame claims is believed up to a limit, beyond which room
/// grows as bytes arrive.
pub(super) fn make_room(incoming: &mut BytesMut) {
    let claimed = incoming.first_chunk::<LENGTH_PREFIX>().map_or(0, |bytes| {
        usize::try_from(i32::from_be_bytes(*bytes)).unwrap_or(0) + LENGTH_PREFIX
    });
    let missing = claimed.saturating_sub(incoming.len());
    incoming.reserve(missing.clamp(READ_MIN_BYTES, READ_MAX_BYTES.max(incoming.len())));
}

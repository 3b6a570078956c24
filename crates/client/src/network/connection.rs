//! One connection to one broker.
//!
//! Whoever calls encodes his request, hands it to the task that writes, and waits for the task that
//! reads. Answers come in the order of the requests, so what is in flight is a queue; an answer
//! that is not the next one, is too long or comes too late ends the connection for all. Dropping a
//! call loses nothing but its answer.

use std::{
    marker::PhantomData,
    sync::{
        Arc,
        atomic::{AtomicI32, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use milena_env::{net, timer};
use milena_protocol::{
    Message,
    header::RequestHeader,
    wire::{Part, Writer},
};
use tokio::sync::{mpsc, oneshot};

use super::{
    Answer, Api, Versions,
    call::{Called, Told},
    in_flight::{Outgoing, Shared, Waiting},
    negotiate::negotiate,
    tasks::{read_all, write_all},
};
use crate::{
    config::ClientConfig,
    error::{Error, Result},
};

/// How many requests may wait to be written.
pub(super) const QUEUE_MAX: usize = 64;

/// How long and how much a connection bears.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    setup: Duration,
    request: Duration,
    pub(super) idle: Duration,
    pub(super) answer_bytes: usize,
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
        let shared = Arc::new(Shared::new(address));
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

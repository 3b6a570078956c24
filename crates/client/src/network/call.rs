//! A request on its way, and its answer.

use std::{marker::PhantomData, sync::Arc, time::Duration};

use bytes::Bytes;
use milena_env::timer;
use milena_protocol::{Message, header::ResponseHeader, wire::Reader};
use tokio::sync::{mpsc, oneshot};

use super::{
    Api,
    in_flight::{Outgoing, Shared},
};
use crate::error::{Error, Result};

/// An answer as it came, to be read where it lies.
#[derive(Debug)]
pub(crate) struct Answer<A> {
    pub(super) body: Bytes,
    pub(super) version: i16,
    pub(super) address: Box<str>,
    pub(super) api: PhantomData<A>,
}

impl<A: Api> Answer<A> {
    /// The answer's fields. They borrow its bytes.
    pub(crate) fn message(&self) -> Result<A::Response<'_>> {
        match A::Response::decode(&self.body, self.version) {
            Ok(decoded) => Ok(decoded.message),
            Err(error) => Err(Error::answer(&self.address, &error)),
        }
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

/// A request that will not be answered.
#[derive(Debug)]
pub(crate) struct Told {
    pub(super) shared: Arc<Shared>,
    pub(super) queue: mpsc::Sender<Outgoing>,
    pub(super) outgoing: Outgoing,
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
    pub(super) shared: Arc<Shared>,
    pub(super) answer: oneshot::Receiver<Result<Bytes>>,
    pub(super) version: i16,
    pub(super) api: PhantomData<A>,
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

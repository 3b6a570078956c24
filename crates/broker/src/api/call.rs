//! One call of an API: who calls what in which version, and how it is answered.

use std::{fmt::Display, rc::Rc, sync::Arc};

use milena_metadata::controller;
use milena_protocol::{
    EncodeError, ErrorCode, Message, OpenedRequest,
    header::ResponseHeader,
    versions::Api,
    wire::{self, Writer},
};

use crate::{
    authorizer::{Operation, Resource},
    broker::Broker,
    coordinator::{
        self, CoordinatorError, Scene,
        group::{GroupError, Groups},
    },
    error_map::ToCode,
    network::{
        connection::Client,
        outgoing::{Answer, FileRange},
        threads::Worker,
    },
    quotas::Meter,
};

/// Room for an answer of usual length.
const ANSWER_BYTES: usize = 256;

/// What a request came to.
#[derive(Debug)]
pub(crate) enum Outcome {
    Answer(Box<Answer>),
    /// The client wants no answer.
    Nothing,
    /// The connection is to be closed, for this reason.
    Close(Box<str>),
}

impl Outcome {
    pub(crate) fn close(reason: &dyn Display) -> Self {
        Self::Close(reason.to_string().into())
    }
}

/// What an answer needs to know of its request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reply {
    api: &'static Api,
    version: i16,
    correlation_id: i32,
}

#[derive(Clone, Debug)]
pub(crate) struct Call<'a> {
    pub(crate) worker: &'a Rc<Worker>,
    pub(crate) client: &'a Rc<Client>,
    pub(crate) version: i16,
    pub(crate) client_id: Option<&'a str>,
    /// To answer with when the request itself is gone.
    pub(crate) reply: Reply,
    /// None while there is no quota for anybody.
    pub(crate) meter: Option<Rc<Meter>>,
}

impl<'a> Call<'a> {
    pub(crate) fn new(
        worker: &'a Rc<Worker>,
        client: &'a Rc<Client>,
        opened: &OpenedRequest<'a>,
    ) -> Self {
        let header = &opened.header;
        let version = header.request_api_version;
        let correlation_id = header.correlation_id;
        let reply = Reply { api: opened.api.api(), version, correlation_id };
        let meter = Meter::new(&worker.broker, client, header.client_id);
        Self { worker, client, version, client_id: header.client_id, reply, meter }
    }

    pub(crate) fn broker(&self) -> &'a Arc<Broker> {
        &self.worker.broker
    }

    /// Whether the caller may do this.
    pub(crate) fn may(&self, operation: Operation, resource: Resource<'_>) -> bool {
        self.broker().authorizer.authorize(self.client, operation, resource)
    }

    /// The request; one that cannot be read ends the connection.
    pub(crate) fn decode<'b, M: Message<'b>>(&self, body: &'b [u8]) -> Result<M, Outcome> {
        let decoded = M::decode(body, self.version).map_err(|error| Outcome::close(&error))?;
        if decoded.trailing > 0 {
            tracing::debug!(
                peer = %self.client.peer,
                api = self.reply.api.name,
                bytes = decoded.trailing,
                "bytes behind the end of a request are ignored"
            );
        }
        Ok(decoded.message)
    }

    pub(crate) fn answer<'m>(&self, response: &impl Message<'m>) -> Outcome {
        match self.throttle_ms() {
            0 => self.reply.answer(response),
            ms => match response.throttled(ms) {
                Some(throttled) => self.reply.answer(&throttled),
                None => self.reply.answer(response),
            },
        }
    }

    /// How long the client is told to wait, having used more than its quota; to be asked once, when
    /// everything is done.
    pub(crate) fn throttle_ms(&self) -> i32 {
        self.meter.as_ref().map_or(0, |meter| meter.answered())
    }

    /// Whether so many partitions may be created or deleted. Versions from `refused_from` on can be
    /// told that they may not yet.
    pub(crate) fn may_change(&self, partitions: usize, refused_from: i16) -> bool {
        let can_be_refused = self.version >= refused_from;
        self.meter.as_ref().is_none_or(|meter| meter.may_change(partitions, can_be_refused))
    }

    /// What may not be changed yet would have been, if it were not for the quota.
    pub(crate) fn change_refused(&self) -> ErrorCode {
        if let Some(meter) = &self.meter {
            meter.was_refused();
        }
        ErrorCode::ThrottlingQuotaExceeded
    }

    /// So many partitions were not created or deleted in the end.
    pub(crate) fn not_changed(&self, partitions: usize) {
        if let Some(meter) = &self.meter {
            meter.not_changed(partitions);
        }
    }

    /// Has the controller serve the request, and passes its answer on as it is; `refuse` answers
    /// where the controller does not.
    pub(crate) async fn relay<C: controller::Call>(
        &self,
        request: &C::Request<'_>,
        refuse: impl FnOnce(ErrorCode) -> Outcome,
    ) -> Outcome {
        match self.broker().metadata.call::<C>(request).await {
            Ok(answer) => match answer.message() {
                Ok(response) => self.answer(&response),
                Err(error) => Outcome::close(&error),
            },
            Err(error) => refuse(error.code()),
        }
    }
}

impl Call<'_> {
    /// Has the core that keeps a group's state do something; its answer is true when this returns.
    pub(crate) async fn ask_group<T>(
        &self,
        group: &str,
        event: impl FnOnce(&mut Groups, &mut Scene<'_>) -> Result<T, GroupError>,
    ) -> Result<T, GroupError> {
        let broker = self.broker();
        broker.coordinators.ask_group(&broker.image(), group, event).await
    }

    /// The same where the core may answer later. When the broker stops nobody waits any longer.
    pub(crate) async fn wait_for_group<T>(
        &self,
        group: &str,
        event: impl FnOnce(&mut Groups, &mut Scene<'_>, coordinator::Reply<T>),
    ) -> Result<T, GroupError> {
        let broker = self.broker();
        let image = broker.image();
        tokio::select! {
            answer = broker.coordinators.wait_for_group(&image, group, event) => answer,
            () = self.worker.draining() => Err(CoordinatorError::NotAvailable.into()),
        }
    }

    /// Where the client is, as Kafka writes it down.
    pub(crate) fn client_host(&self) -> String {
        format!("/{}", self.client.peer.ip())
    }
}

impl Reply {
    pub(crate) fn answer<'m>(self, response: &impl Message<'m>) -> Outcome {
        self.answer_with(response, Vec::new())
    }

    /// Answers with records from files; the tokens of their parts are places in `ranges`.
    pub(crate) fn answer_with<'m>(
        self,
        response: &impl Message<'m>,
        ranges: Vec<FileRange>,
    ) -> Outcome {
        match self.encode(response) {
            Ok(frame) => Outcome::Answer(Box::new(Answer { frame, ranges })),
            Err(error) => {
                let Self { api, version, .. } = self;
                tracing::error!(api = api.name, version, %error, "no answer possible");
                Outcome::close(&error)
            }
        }
    }

    /// Answers in another version than was asked in: ApiVersions alone does that.
    pub(crate) fn in_version(self, version: i16) -> Self {
        Self { version, ..self }
    }

    fn encode<'m>(self, response: &impl Message<'m>) -> Result<wire::Frame, EncodeError> {
        let mut writer = Writer::with_capacity(ANSWER_BYTES);
        let header = ResponseHeader { correlation_id: self.correlation_id };
        header.encode(&mut writer, self.api.response_header_version(self.version))?;
        response.encode(&mut writer, self.version)?;
        writer.finish()
    }
}

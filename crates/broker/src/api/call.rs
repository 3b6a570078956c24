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
    error_map::ToCode,
    network::{
        connection::Client,
        outgoing::{Answer, FileRange},
        threads::Worker,
    },
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
        Self { worker, client, version, client_id: header.client_id, reply }
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
        self.reply.answer(response)
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

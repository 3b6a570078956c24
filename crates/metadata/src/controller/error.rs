//! Why one thing that a request asked for was not done.

use std::borrow::Cow;

use milena_protocol::ErrorCode;

/// Kafka's code, and the text that its controller sends along.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiError {
    pub code: ErrorCode,
    pub message: Cow<'static, str>,
}

impl ApiError {
    pub fn new(code: ErrorCode, message: impl Into<Cow<'static, str>>) -> Self {
        Self { code, message: message.into() }
    }

    #[must_use]
    pub const fn number(&self) -> i16 {
        self.code as i16
    }

    pub(super) const fn unknown_topic() -> Self {
        Self {
            code: ErrorCode::UnknownTopicOrPartition,
            message: Cow::Borrowed("This server does not host this topic-partition."),
        }
    }

    pub(super) const fn unknown_topic_id() -> Self {
        Self {
            code: ErrorCode::UnknownTopicId,
            message: Cow::Borrowed("This server does not host this topic ID."),
        }
    }
}

/// The code of what came of something.
pub(super) fn code<T>(result: &Result<T, ApiError>) -> i16 {
    result.as_ref().err().map_or(0, ApiError::number)
}

/// The text of what came of something.
pub(super) fn message<T>(result: &Result<T, ApiError>) -> Option<&str> {
    result.as_ref().err().map(|error| &*error.message)
}

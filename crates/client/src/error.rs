//! What can go wrong for a client, and what to do about it.

use std::{sync::Arc, time::Duration};

use milena_protocol::{DecodeError, ErrorCode};

/// What most of this crate's functions give.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why something was not done. It is cheap to copy, since one answer of a broker may concern many
/// records.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A setting cannot be used. Nothing was begun.
    #[error("{key}: {problem}")]
    Config {
        /// Kafka's name of the setting.
        key: Box<str>,
        /// What is wrong, and what would do.
        problem: Box<str>,
    },
    /// A broker answered with an error.
    #[error("{what}: {}{}", code.name(), explained(*code, detail.as_deref()))]
    Broker {
        /// What was asked for.
        what: Box<str>,
        /// Kafka's code.
        code: ErrorCode,
        /// What the broker said beside it.
        detail: Option<Box<str>>,
    },
    /// There is no connection, or it broke before the answer came.
    #[error("no connection to {address}: {problem}")]
    Connection {
        /// Where the broker should be.
        address: Box<str>,
        /// What happened.
        problem: Box<str>,
    },
    /// The other side does not speak Kafka's protocol, or not as it says. The connection is closed.
    #[error("{address} does not speak as a broker does: {problem}")]
    Protocol {
        /// Who it was.
        address: Box<str>,
        /// What it said.
        problem: Box<str>,
    },
    /// It took too long.
    #[error("{what} took longer than the {} ms of {key}{}", limit.as_millis(), attempted(last))]
    Timeout {
        /// What was waited for.
        what: Box<str>,
        /// How long.
        limit: Duration,
        /// The setting that says how long.
        key: &'static str,
        /// Why the last attempt failed, if there were several.
        last: Option<Arc<Self>>,
    },
    /// The broker is too old, or too young, for this.
    #[error("{address} has no version of {api} that this client speaks")]
    Unsupported {
        /// Which broker.
        address: Box<str>,
        /// Kafka's name of the API.
        api: &'static str,
    },
    /// The request cannot be made as it is.
    #[error("{0}")]
    Invalid(Box<str>),
    /// A transaction has failed, or cannot go on.
    #[error("{cause}; {}", remedy.advice())]
    Transaction {
        /// What is to be done.
        remedy: Remedy,
        /// What has gone wrong.
        cause: Arc<Self>,
    },
    /// An interceptor did not let the record through.
    #[error("an interceptor has dropped the record")]
    Dropped,
    /// The client was closed.
    #[error("the client is closed")]
    Closed,
}

/// What can be done about an error of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// Make the same call again.
    Retry,
    /// Abort the transaction, and begin another one.
    Abort,
    /// Close the producer: it is fenced by another one of its name, or not allowed to go on.
    Close,
}

impl Remedy {
    const fn advice(self) -> &'static str {
        match self {
            Self::Retry => "try again",
            Self::Abort => "abort the transaction",
            Self::Close => "this producer is of no more use",
        }
    }
}

fn explained(code: ErrorCode, detail: Option<&str>) -> String {
    match detail {
        Some(detail) => format!(" ({detail})"),
        None => format!(" ({})", code.message()),
    }
}

fn attempted(last: &Option<Arc<Error>>) -> String {
    last.as_ref().map_or_else(String::new, |last| format!("; the last attempt: {last}"))
}

impl Error {
    /// A setting cannot be used.
    pub(crate) fn config(key: &str, problem: impl Into<Box<str>>) -> Self {
        Self::Config { key: key.into(), problem: problem.into() }
    }

    /// A broker answered with an error.
    pub(crate) fn broker(what: impl Into<Box<str>>, code: ErrorCode) -> Self {
        Self::Broker { what: what.into(), code, detail: None }
    }

    /// The code as an answer has it: nothing for success.
    pub(crate) fn check(what: &str, code: i16, detail: Option<&str>) -> Result<()> {
        match ErrorCode::from_number(code) {
            Some(ErrorCode::None) => Ok(()),
            code => Err(Self::Broker {
                what: what.into(),
                code: code.unwrap_or(ErrorCode::UnknownServerError),
                detail: detail.map(Into::into),
            }),
        }
    }

    /// An answer cannot be read.
    pub(crate) fn answer(address: &str, error: &DecodeError) -> Self {
        Self::Protocol { address: address.into(), problem: error.to_string().into() }
    }

    /// The broker's code, if it was a broker that said no.
    #[must_use]
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Broker { code, .. } => Some(*code),
            Self::Transaction { cause, .. } => cause.code(),
            _ => None,
        }
    }

    /// What is to be done if this is about a transaction.
    #[must_use]
    pub fn remedy(&self) -> Option<Remedy> {
        match self {
            Self::Transaction { remedy, .. } => Some(*remedy),
            error if error.is_retriable() => Some(Remedy::Retry),
            _ => None,
        }
    }

    /// Whether the same may succeed when it is tried again, perhaps at another broker. What can be
    /// tried again by the client itself already was, until its time was over.
    #[must_use]
    pub fn is_retriable(&self) -> bool {
        match self {
            Self::Broker { code, .. } => code.is_retriable(),
            Self::Connection { .. } | Self::Timeout { .. } => true,
            // Another broker may make sense, or this one after a restart.
            Self::Protocol { .. } => true,
            Self::Transaction { remedy, .. } => *remedy == Remedy::Retry,
            Self::Config { .. }
            | Self::Unsupported { .. }
            | Self::Invalid(_)
            | Self::Dropped
            | Self::Closed => false,
        }
    }
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn a_message_names_what_was_asked_and_why_it_failed() {
        let error = Error::broker("produce to orders-3", ErrorCode::NotLeaderOrFollower);
        assert_eq!(
            error.to_string(),
            "produce to orders-3: NOT_LEADER_OR_FOLLOWER (This broker is not the leader, or not a \
             replica, of the partition)"
        );
        assert!(error.is_retriable());
        let error = Error::check("create topic x", 36, Some("it is there")).unwrap_err();
        assert_eq!(error.to_string(), "create topic x: TOPIC_ALREADY_EXISTS (it is there)");
        assert!(!error.is_retriable());
        assert!(Error::check("anything", 0, None).is_ok());
        let unknown = Error::check("anything", 12_345, None).unwrap_err();
        assert_eq!(unknown.code(), Some(ErrorCode::UnknownServerError));
    }
}

//! Why a command failed: what to say, what to try, and the code that the process ends with.

use std::{fmt, process::ExitCode};

use milena_client::Error;
use milena_protocol::ErrorCode;

/// What scripts can tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// Something else, such as a disk.
    Failed = 1,
    /// The command line cannot be understood, or a setting not be used.
    Usage = 2,
    /// What was asked for is not there, or was refused.
    Refused = 3,
    /// Nobody answered, or not in time.
    Unreachable = 4,
    /// Some of it was done, and some was not.
    Partial = 5,
    /// Data are damaged.
    Damaged = 6,
}

/// What `milena --help` and the man pages say of them.
pub(crate) const EXIT_CODES: &str = "\
Exit codes: 0 done; 1 failed otherwise; 2 the command line or a setting is wrong; 3 not there, or \
refused; 4 nobody answered in time; 5 done in part; 6 data are damaged.";

#[derive(Debug)]
pub(crate) struct Failure {
    exit: Exit,
    what: String,
    hint: Option<String>,
}

pub(crate) type Result<T, E = Failure> = std::result::Result<T, E>;

impl Failure {
    pub(crate) fn new(exit: Exit, what: impl Into<String>) -> Self {
        Self { exit, what: what.into(), hint: None }
    }

    pub(crate) fn usage(what: impl Into<String>) -> Self {
        Self::new(Exit::Usage, what)
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub(crate) const fn exit(&self) -> Exit {
        self.exit
    }

    /// One failure for several, of which each was told already.
    pub(crate) fn together(failed: usize, all: usize, exit: Exit) -> Self {
        let exit = if failed < all { Exit::Partial } else { exit };
        Self::new(exit, format!("{failed} of {all} failed"))
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        self.hint.as_ref().map_or(Ok(()), |hint| write!(f, "\n  try: {hint}"))
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let exit = match &error {
            Error::Config { .. } | Error::Invalid(_) => Exit::Usage,
            Error::Broker { .. } | Error::Unsupported { .. } => Exit::Refused,
            // It was waited for, since topics may come; they were answered, though.
            Error::Timeout { last: Some(last), .. }
                if last.code() == Some(ErrorCode::UnknownTopicOrPartition) =>
            {
                Exit::Refused
            }
            Error::Connection { .. } | Error::Protocol { .. } | Error::Timeout { .. } => {
                Exit::Unreachable
            }
            _ => Exit::Failed,
        };
        let hint = hint(&error).map(str::to_owned);
        Self { exit, what: error.to_string(), hint }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::new(Exit::Failed, error.to_string())
    }
}

/// What a person may do about it.
fn hint(error: &Error) -> Option<&'static str> {
    let hint = match error {
        Error::Timeout { last: Some(last), .. } => return hint(last),
        Error::Connection { .. } => {
            "start a broker (`milena serve`), or name another one with --bootstrap HOST:PORT or \
             MILENA_BOOTSTRAP"
        }
        Error::Protocol { .. } => "is the port of --bootstrap that of a Kafka listener?",
        Error::Unsupported { .. } => "a newer broker; this one does not have it",
        Error::Broker { code, .. } => match code {
            ErrorCode::UnknownTopicOrPartition => "`milena topic list` shows what there is",
            ErrorCode::TopicAlreadyExists => {
                "`milena topic alter` changes it, --if-not-exists leaves it"
            }
            ErrorCode::InvalidPartitions => "a greater number: partitions are never taken away",
            ErrorCode::InvalidReplicationFactor => {
                "no more replicas than there are brokers (`milena cluster describe`)"
            }
            ErrorCode::InvalidReplicaAssignment => {
                "ids of brokers that are there (`milena cluster describe`)"
            }
            ErrorCode::InvalidTopicException => {
                "letters, digits, dots, dashes and underscores, at most 249 of them"
            }
            ErrorCode::MessageTooLarge => {
                "smaller records, or a greater max.message.bytes (`milena config set topic`)"
            }
            ErrorCode::BrokerIdNotRegistered => "`milena cluster describe` shows the brokers",
            ErrorCode::GroupIdNotFound => "`milena group list` shows what there is",
            ErrorCode::NonEmptyGroup | ErrorCode::UnknownMemberId => {
                "stop the group's members first; `milena group describe` shows them"
            }
            ErrorCode::GroupSubscribedToTopic => "stop the members that read this topic first",
            ErrorCode::InvalidConfig => "`milena config get --all` shows what there is",
            ErrorCode::TopicDeletionDisabled => "set delete.topic.enable=true on the brokers",
            _ => return None,
        },
        _ => return None,
    };
    Some(hint)
}

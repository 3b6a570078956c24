//! What can be wrong with keys and values, in words for whoever wrote them.

use std::fmt;

use crate::definition::Type;

/// A value that its key does not allow. Its text is Kafka's, which clients and their tests know.
#[derive(Clone, Debug, PartialEq)]
pub struct ValueError {
    pub key: String,
    pub value: String,
    pub problem: Problem,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Problem {
    NotABoolean,
    NotANumber(Type),
    Below(f64),
    Above(f64),
    NeitherInNorMinusOne(f64, f64),
    NotOneOf {
        found: String,
        allowed: &'static [&'static str],
    },
    NotOneOfIgnoringCase(&'static [&'static str]),
    Empty,
    /// And what it may hold, where only that.
    EmptyList(&'static [&'static str]),
    BlankElement,
    DuplicateElement,
    NotReplicas,
    NotAnOffsetReset,
    NotAHost,
    NotAVoter,
}

impl ValueError {
    pub(crate) fn new(key: &str, value: &str, problem: Problem) -> Self {
        Self { key: key.to_owned(), value: value.to_owned(), problem }
    }
}

impl std::error::Error for ValueError {}

impl fmt::Display for ValueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, value, problem } = self;
        let reason = match problem {
            Problem::EmptyList(allowed) => {
                let allowed = match allowed {
                    [] => "any non-empty value".to_owned(),
                    some => format!("[{}]", some.join(", ")),
                };
                return write!(
                    f,
                    "Configuration '{key}' must not be empty. Valid values include: {allowed}"
                );
            }
            Problem::BlankElement => {
                return write!(f, "Configuration '{key}' values must not be empty.");
            }
            Problem::DuplicateElement => {
                return write!(f, "Configuration '{key}' values must not be duplicated.");
            }
            Problem::NotOneOf { found, allowed } => {
                return write!(
                    f,
                    "Invalid value {found} for configuration {key}: String must be one of: {}",
                    allowed.join(", ")
                );
            }
            Problem::NotABoolean => "Expected value to be either true or false".to_owned(),
            Problem::NotANumber(kind) => format!("Not a number of type {}", kind.name()),
            Problem::Below(min) => format!("Value must be at least {min}"),
            Problem::Above(max) => format!("Value must be no more than {max}"),
            Problem::NeitherInNorMinusOne(min, max) => {
                format!("Value must be between {min} and {max} or equal to -1")
            }
            Problem::NotOneOfIgnoringCase(allowed) => {
                format!("String must be one of (case insensitive): {}", allowed.join(", "))
            }
            Problem::Empty => "String must be non-empty".to_owned(),
            Problem::NotReplicas => format!(
                "{key} must be the literal '*' or a list of replicas in the following format: \
                 [partitionId]:[brokerId],[partitionId]:[brokerId],..."
            ),
            Problem::NotAnOffsetReset => format!(
                "Invalid value `{value}` for configuration {key}. The value must be either \
                 'earliest', 'latest' or of the format 'by_duration:<PnDTnHnMn.nS>'."
            ),
            Problem::NotAHost => "each entry must be host:port".to_owned(),
            Problem::NotAVoter => "each entry must be id@host:port".to_owned(),
        };
        write!(f, "Invalid value {value} for configuration {key}: {reason}")
    }
}

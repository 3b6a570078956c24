//! What stops a start, and what is only worth a line: each names key, value and line, and what to
//! write instead.

use std::fmt;

use crate::{
    Definition, ValueError,
    definition::{Check, Type},
    keys::{Scope, milena, obsolete::Successor},
    layers::Layers,
    properties::{Entry, Origin},
};

#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ConfigError {
    /// One value, by itself.
    #[error("{origin}: {error}. Allowed is {}", allowed(.definition))]
    Value { origin: Origin, error: Box<ValueError>, definition: &'static Definition },
    /// A key that only we could know, and do not.
    #[error("{origin}: there is no key {key}; the nearest is {nearest}")]
    Unknown { origin: Origin, key: String, nearest: &'static str },
    /// Values that do not go together, or a text inside of one.
    #[error("{}{key}{}: {what}", place(.origin), given(.value))]
    Contradiction { origin: Option<Origin>, key: String, value: String, what: String },
}

pub(crate) fn contradiction(key: &str, what: String) -> ConfigError {
    ConfigError::Contradiction { origin: None, key: key.to_owned(), value: String::new(), what }
}

impl ConfigError {
    pub(super) fn value(entry: &Entry, definition: &'static Definition, error: ValueError) -> Self {
        Self::Value { origin: entry.origin, error: Box::new(error), definition }
    }

    pub(super) fn unknown(entry: &Entry) -> Self {
        let nearest = nearest(&entry.key, |key| key.starts_with(milena::PREFIX));
        Self::Unknown { origin: entry.origin, key: entry.key.clone(), nearest }
    }

    /// With the value that is wrong.
    pub(super) fn with_value(mut self, layers: &Layers) -> Self {
        if let Self::Contradiction { key, value, .. } = &mut self {
            *value = layers.text(key).unwrap_or_default();
        }
        self
    }

    /// With the place at which its key was set last.
    pub(super) fn located(mut self, entries: &[Entry]) -> Self {
        if let Self::Contradiction { key, origin, .. } = &mut self {
            let entry = entries.iter().rev().find(|entry| entry.key == *key);
            *origin = entry.map(|entry| entry.origin);
        }
        self
    }
}

fn place(origin: &Option<Origin>) -> String {
    origin.map_or_else(String::new, |origin| format!("{origin}: "))
}

fn given(value: &str) -> String {
    if value.is_empty() { String::new() } else { format!("={value}") }
}

/// In words, with an example where there is one.
fn allowed(definition: &Definition) -> String {
    let kind = match definition.kind {
        Type::Boolean => return "true or false".to_owned(),
        Type::Short | Type::Int | Type::Long => "a whole number",
        Type::Double => "a number",
        Type::List => "a list with commas between its elements",
        Type::String | Type::Class | Type::Password => "a text",
    };
    let limits = match definition.check {
        Check::Range(min, max) if max.is_finite() => format!(" from {min} to {max}"),
        Check::Range(min, _) => format!(" from {min} up"),
        Check::RangeOrMinusOne(min, max) => format!(" from {min} to {max}, or -1"),
        Check::OneOf(some) | Check::SomeOf(some) | Check::OneOfIgnoringCase(some) => {
            format!(" of {}", some.join(", "))
        }
        Check::HostsAndPorts => " of host:port".to_owned(),
        Check::Voters => " of id@host:port".to_owned(),
        Check::None | Check::NotEmpty | Check::ThrottledReplicas | Check::OffsetReset => {
            String::new()
        }
    };
    let default = definition.default.filter(|default| !default.is_empty());
    let example = default.map_or_else(String::new, |default| format!("; the default is {default}"));
    format!("{kind}{limits}{example}")
}

/// What somebody should know, though the start goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    pub origin: Origin,
    pub key: String,
    what: String,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} {}", self.origin, self.key, self.what)
    }
}

impl Warning {
    fn new(entry: &Entry, what: String) -> Self {
        Self { origin: entry.origin, key: entry.key.clone(), what }
    }

    pub(super) fn unknown(entry: &Entry) -> Self {
        let nearest = nearest(&entry.key, |_| true);
        Self::new(entry, format!("is unknown and has no effect; did you mean {nearest}?"))
    }

    pub(super) fn obsolete(
        entry: &Entry,
        successor: Successor,
        is_set: impl Fn(&str) -> bool,
    ) -> Self {
        let what = match successor {
            Successor::Renamed(key) if is_set(key) => {
                format!("is now called {key}, which is set too; that value counts")
            }
            Successor::Renamed(key) => format!("is now called {key}, which was taken from it"),
            Successor::Use(key) => format!("has no effect any more; use {key}"),
            Successor::Nothing(why) => format!("has no effect any more: {why}"),
        };
        Self::new(entry, what)
    }
}

/// The key of the broker that differs by the fewest letters.
fn nearest(name: &str, is_asked: impl Fn(&str) -> bool) -> &'static str {
    let keys = Scope::Broker.keys().filter(|key| !key.is_hidden && is_asked(key.name));
    let nearest = keys.min_by_key(|key| distance(name, key.name));
    nearest.map_or("none", |key| key.name)
}

/// Letters to insert, remove or replace until one is the other (Levenshtein). A name may be as
/// long as its line: what is beyond any key's length is only counted.
fn distance(one: &str, other: &str) -> usize {
    const LENGTH_MAX: usize = 100;
    let one: Vec<char> = one.chars().take(LENGTH_MAX).collect();
    let mut row: Vec<usize> = (0..=one.len()).collect();
    for (above, letter) in (1..).zip(other.chars()) {
        let mut corner = above - 1;
        let mut left = above;
        for (cell, own) in row.iter_mut().skip(1).zip(&one) {
            let replaced = corner + usize::from(*own != letter);
            corner = *cell;
            *cell = replaced.min(*cell + 1).min(left + 1);
            left = *cell;
        }
        if let Some(first) = row.first_mut() {
            *first = above;
        }
    }
    row.last().copied().unwrap_or_default()
}

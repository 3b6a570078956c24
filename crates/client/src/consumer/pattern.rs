//! Which topics a pattern means. In classic groups the member itself finds them, in groups of the
//! consumer protocol the broker.

use regex::Regex;

use crate::{
    cluster::View,
    error::{Error, Result},
};

#[derive(Debug)]
pub(super) struct Pattern {
    text: Box<str>,
    regex: Regex,
}

impl Pattern {
    /// The whole name has to match, as with Kafka.
    pub(super) fn new(text: &str) -> Result<Self> {
        let regex = Regex::new(&format!("^(?:{text})$"));
        let refuse = |error| Error::Invalid(format!("the pattern {text}: {error}").into());
        Ok(Self { text: text.into(), regex: regex.map_err(refuse)? })
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn topics(&self, view: &View, exclude_internal: bool) -> Vec<Box<str>> {
        let all = view.topics.values().filter(|topic| !(exclude_internal && topic.is_internal));
        let meant = all.filter(|topic| self.regex.is_match(&topic.name));
        meant.map(|topic| topic.name.clone()).collect()
    }
}

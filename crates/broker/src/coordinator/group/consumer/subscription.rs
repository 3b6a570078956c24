//! What the members subscribe to, and when that begins a new epoch of the group.

use std::collections::BTreeSet;

use milena_metadata::image::{MetadataImage, Topic};

use super::{
    super::{
        super::{Scene, Transition},
        GroupError,
        regex::TopicPattern,
    },
    Change, ConsumerGroup, Draft, MaySee, hash,
    member::Metadata,
};

/// What regular expressions stand for is not found out more often, whoever asks.
const PATTERN_PAUSE_MS: i64 = 10_000;

/// The topics that a regular expression stands for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Resolved {
    pub(super) topics: BTreeSet<Box<str>>,
    /// The metadata's offset when it was looked.
    pub(super) version: i64,
    pub(super) at_ms: i64,
}

/// What has become of a member's subscription.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Changed {
    /// The names of topics.
    pub(super) names: bool,
    pub(super) pattern: bool,
    /// To none, or to one that is resolved already.
    pub(super) to_known_pattern: bool,
}

impl Changed {
    pub(super) const fn any(self) -> bool {
        self.names || self.pattern
    }
}

impl ConsumerGroup {
    /// Writes down what a member told of itself, where that is new.
    pub(super) fn subscribe(
        &mut self,
        id: &std::sync::Arc<str>,
        metadata: Metadata,
        draft: &mut Draft,
    ) -> Result<Changed, GroupError> {
        let nothing = Metadata::default();
        let before = self.members.get(id).map_or(&nothing, |member| &member.metadata);
        let pattern = before.pattern != metadata.pattern;
        let names = before.topics != metadata.topics;
        let is_new_pattern = pattern && !self.pattern_members.contains_key(&metadata.pattern);
        if is_new_pattern && !metadata.pattern.is_empty() {
            let refused = |why| {
                let pattern = &metadata.pattern;
                let why = format!("SubscribedTopicRegex `{pattern}` is not valid: {why}");
                GroupError::InvalidRegularExpression(why)
            };
            TopicPattern::new(&metadata.pattern).map_err(refused)?;
        }
        let is_known = metadata.pattern.is_empty() || self.patterns.contains_key(&metadata.pattern);
        self.change(draft, Change::Member(std::sync::Arc::clone(id), Some(metadata)))?;
        self.forget_unused_patterns(draft)?;
        Ok(Changed { names, pattern, to_known_pattern: pattern && is_known })
    }

    pub(super) fn forget_unused_patterns(&mut self, draft: &mut Draft) -> Result<(), GroupError> {
        let is_used = |pattern: &str| self.pattern_members.contains_key(pattern);
        let unused: Vec<_> = self.patterns.keys().filter(|it| !is_used(it)).cloned().collect();
        for pattern in unused {
            self.change(draft, Change::Pattern(pattern, None))?;
        }
        Ok(())
    }

    /// Begins a new epoch if it must, because the members want something else now, or if the topics
    /// have changed.
    pub(super) fn catch_up(
        &mut self,
        must_begin: bool,
        draft: &mut Draft,
        scene: &Scene<'_>,
    ) -> Result<(), GroupError> {
        if !must_begin && self.is_up_to_date {
            return Ok(());
        }
        let hash = self.metadata_hash(scene.image);
        if must_begin {
            self.begin_epoch(hash, Transition::EpochSubscription, draft, scene)?;
        } else if hash != self.epoch.metadata_hash {
            self.begin_epoch(hash, Transition::EpochTopics, draft, scene)?;
        }
        if self.has_legacy_topics {
            self.change(draft, Change::LegacyTopics(false))?;
        }
        self.is_up_to_date = true;
        Ok(())
    }

    /// Of everything that is known of the topics to which somebody subscribes.
    pub(super) fn metadata_hash(&self, image: &MetadataImage) -> i64 {
        hash::of_topics(self.topics.keys().map(|topic| &**topic), image)
    }

    /// Finds out what the regular expressions stand for, all at once and not too often. Whether
    /// that is something else than before.
    pub(super) fn resolve_patterns(
        &mut self,
        may_see: MaySee<'_>,
        draft: &mut Draft,
        scene: &Scene<'_>,
    ) -> Result<bool, GroupError> {
        if self.pattern_members.is_empty() {
            return Ok(false);
        }
        let now = scene.now.wall_ms;
        let last = self.patterns.values().next().map(|resolved| resolved.at_ms);
        let is_over = |ms: i64| last.is_none_or(|last| now > last.saturating_add(ms));
        let refresh_ms = i64::try_from(scene.config.groups.consumer.regex_refresh_ms);
        let is_due = self.patterns.len() != self.pattern_members.len()
            || self.has_new_topics
            || is_over(refresh_ms.unwrap_or(i64::MAX));
        if !is_due || !is_over(PATTERN_PAUSE_MS) {
            return Ok(false);
        }
        let mut changed = false;
        let patterns: Vec<Box<str>> = self.pattern_members.keys().cloned().collect();
        for pattern in patterns {
            let topics = matching(&pattern, may_see, scene.image);
            let before = self.patterns.get(&pattern).map(|resolved| &resolved.topics);
            changed |= before.map_or(!topics.is_empty(), |before| *before != topics);
            let version = scene.image.position.offset;
            let resolved = Resolved { topics, version, at_ms: now };
            self.change(draft, Change::Pattern(pattern, Some(resolved)))?;
        }
        self.has_new_topics = false;
        tracing::debug!(group = %self.id, changed, "regular expressions resolved");
        scene.count(Transition::Patterns);
        Ok(changed)
    }

    /// Whether a member subscribes to a topic, by its name or by an expression.
    pub(super) fn subscribes(&self, metadata: &Metadata, topic: &Topic) -> bool {
        metadata.topics.contains(&*topic.name)
            || self
                .patterns
                .get(&metadata.pattern)
                .is_some_and(|it| it.topics.contains(&*topic.name))
    }
}

fn matching(pattern: &str, may_see: MaySee<'_>, image: &MetadataImage) -> BTreeSet<Box<str>> {
    // Judged when it came; of one that an older broker let pass nothing is known.
    let Ok(pattern) = TopicPattern::new(pattern) else { return BTreeSet::new() };
    let topics = image.topics.iter().map(|topic| &*topic.name);
    topics.filter(|name| pattern.fits(name) && may_see.0(name)).map(Into::into).collect()
}

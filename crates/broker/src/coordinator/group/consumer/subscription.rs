//! What the members subscribe to, and when that begins a new epoch of the group.

use std::{collections::BTreeSet, time::Duration};

use milena_metadata::image::{MetadataImage, Topic};

use super::{
    super::{
        super::{Scene, Transition},
        GroupError, Groups, Members,
        patterns::Resolution,
        regex::PatternError,
    },
    Change, ConsumerGroup, ConsumerHeartbeat, Draft, hash,
    member::Metadata,
};
use crate::limits::{GROUP_PATTERNS_MAX, SHARD_PATTERN_BYTES_MAX};

/// Who was to find out what they stand for has not told, and somebody else is asked.
const RESOLVING_MAX: Duration = Duration::from_secs(60);

/// Said where a bound of the broker is reached.
const TOO_MUCH: &str = "the broker's groups subscribe to as much by expressions as they may";

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
        pattern_fault: Option<&PatternError>,
        draft: &mut Draft,
    ) -> Result<Changed, GroupError> {
        let nothing = Metadata::default();
        let before = self.members.get(id).map_or(&nothing, |member| &member.metadata);
        let pattern = before.pattern != metadata.pattern;
        let names = before.topics != metadata.topics;
        let is_new_pattern = pattern && !self.pattern_members.contains_key(&metadata.pattern);
        if is_new_pattern && let Some(why) = pattern_fault {
            let pattern = &metadata.pattern;
            let why = format!("SubscribedTopicRegex `{pattern}` is not valid: {why}");
            return Err(GroupError::InvalidRegularExpression(why));
        }
        let is_known = metadata.pattern.is_empty() || self.patterns.contains_key(&metadata.pattern);
        self.change(draft, Change::Member(std::sync::Arc::clone(id), Some(metadata)))?;
        if is_new_pattern && self.pattern_members.len() > GROUP_PATTERNS_MAX {
            let why = format!("the group subscribes by {GROUP_PATTERNS_MAX} expressions already");
            return Err(GroupError::InvalidRegularExpression(why));
        }
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

    /// The regular expressions, if it is time to find out what they stand for: all at once and not
    /// too often. Whoever asks does it, and tells ([`Groups::patterns_resolved`]).
    pub(super) fn unresolved_patterns(&mut self, scene: &Scene<'_>) -> Vec<Box<str>> {
        let (wall, elapsed) = (scene.now.wall_ms, scene.now.elapsed);
        let last = self.patterns.values().next();
        let is_over = |ms: i64| last.is_none_or(|last| wall > last.at_ms.saturating_add(ms));
        let refresh_ms = i64::try_from(scene.config.groups.consumer.regex_refresh_ms);
        let is_due = self.patterns.len() != self.pattern_members.len()
            || last.is_some_and(|last| last.version < self.new_topics_at)
            || is_over(refresh_ms.unwrap_or(i64::MAX));
        let is_tried = self.resolving_until.is_some_and(|until| elapsed < until);
        if self.pattern_members.is_empty() || !is_due || is_tried || !is_over(PATTERN_PAUSE_MS) {
            return Vec::new();
        }
        self.resolving_until = Some(elapsed + RESOLVING_MAX);
        self.pattern_members.keys().cloned().collect()
    }

    /// What was found out begins a new epoch where it is something else than before.
    fn patterns_resolved(
        &mut self,
        found: Resolution,
        draft: &mut Draft,
        scene: &Scene<'_>,
    ) -> Result<(), GroupError> {
        let (version, at_ms) = (found.version, scene.now.wall_ms);
        let mut changed = false;
        for (pattern, topics) in found.patterns {
            if !self.pattern_members.contains_key(&pattern) {
                continue;
            }
            let before = self.patterns.get(&pattern).map(|resolved| &resolved.topics);
            changed |= before.map_or(!topics.is_empty(), |before| *before != topics);
            let resolved = Resolved { topics, version, at_ms };
            self.change(draft, Change::Pattern(pattern, Some(resolved)))?;
        }
        tracing::debug!(group = %self.id, changed, "regular expressions resolved");
        scene.count(Transition::Patterns);
        self.catch_up(changed, draft, scene)
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

impl Groups {
    /// A group's regular expressions stand for this.
    pub(crate) fn patterns_resolved(
        &mut self,
        group: &str,
        found: Resolution,
        scene: &mut Scene<'_>,
    ) -> Result<(), GroupError> {
        let others = self.pattern_bytes;
        let told = self.on_group(group, |group| {
            // It may have gone over to the classic protocol meanwhile.
            let Members::Consumer(group) = &mut group.members else { return Ok(()) };
            let topics = found.patterns.iter().flat_map(|(_, topics)| topics);
            let bytes: usize = topics.map(|topic| topic.len()).sum();
            if others + bytes > SHARD_PATTERN_BYTES_MAX {
                return Err(GroupError::InvalidRegularExpression(TOO_MUCH.to_owned()));
            }
            group.event(Draft::default(), scene, |group, draft, scene| {
                group.patterns_resolved(found, draft, scene)
            })?;
            group.resolving_until = None;
            Ok(())
        });
        told.unwrap_or(Ok(()))
    }

    /// Whether what members bring can be kept beside what all others have brought.
    pub(super) fn check_room_for_pattern(
        &self,
        request: &ConsumerHeartbeat<'_>,
    ) -> Result<(), GroupError> {
        let bytes = request.pattern.map_or(0, str::len);
        if bytes > 0 && self.pattern_bytes + bytes > SHARD_PATTERN_BYTES_MAX {
            return Err(GroupError::InvalidRegularExpression(TOO_MUCH.to_owned()));
        }
        Ok(())
    }
}

//! What takes its time with the patterns by which members subscribe: judging a new one, and looking
//! which topics all of a group's fit. It is done by threads that may wait, for one pattern at a
//! time in all of the broker; the core is told what came of it.
//!
//! The last patterns are kept as what they have become: a member brings its pattern when it joins,
//! and its group looks for topics right after.

use std::{
    collections::{BTreeSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use milena_metadata::image::MetadataImage;
use tokio::{sync::Semaphore, task::spawn_blocking};

use super::regex::{PatternError, TopicPattern};
use crate::limits::{PATTERN_TOPICS_BYTES_MAX, PATTERNS_KEPT_MAX};

/// What the patterns of a group stand for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Resolution {
    pub(crate) patterns: Vec<(Box<str>, BTreeSet<Box<str>>)>,
    /// The metadata's offset when it was looked.
    pub(crate) version: i64,
}

/// Why it was not found out what patterns stand for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unresolved {
    #[error("the names of their topics take more than {PATTERN_TOPICS_BYTES_MAX} bytes")]
    TooManyTopics,
    #[error("the broker stops")]
    Stopping,
}

pub(crate) type Judged = Result<Arc<TopicPattern>, PatternError>;

#[derive(Debug)]
pub(crate) struct Patterns {
    /// Whose turn it is to take a processor for as long as a pattern may take.
    turn: Semaphore,
    kept: Mutex<VecDeque<(Box<str>, Judged)>>,
}

impl Default for Patterns {
    fn default() -> Self {
        Self { turn: Semaphore::new(1), kept: Mutex::default() }
    }
}

impl Patterns {
    /// Whether it is a pattern that can be taken.
    pub(crate) async fn judge(&self, pattern: &str) -> Result<(), PatternError> {
        self.get(pattern).await.map(drop)
    }

    /// What the pattern has become.
    pub(crate) async fn get(&self, pattern: &str) -> Judged {
        if let Some(judged) = self.known(pattern) {
            return judged;
        }
        let _turn = self.turn.acquire().await;
        self.take(pattern).await
    }

    /// Which topics each of them fits.
    pub(crate) async fn resolve(
        &self,
        patterns: Vec<Box<str>>,
        image: &Arc<MetadataImage>,
    ) -> Result<Resolution, Unresolved> {
        let mut found = Resolution { version: image.position.offset, ..Resolution::default() };
        let mut room = PATTERN_TOPICS_BYTES_MAX;
        for pattern in patterns {
            let _turn = self.turn.acquire().await;
            // Judged when it came; of one that an older broker let pass nothing is known.
            let topics = match self.take(&pattern).await {
                Err(_) => BTreeSet::new(),
                Ok(judged) => {
                    let image = Arc::clone(image);
                    let matching = spawn_blocking(move || matching(&judged, room, &image)).await;
                    matching.map_err(|_| Unresolved::Stopping)??
                }
            };
            room -= topics.iter().map(|topic| topic.len()).sum::<usize>();
            found.patterns.push((pattern, topics));
        }
        Ok(found)
    }

    /// In its turn.
    async fn take(&self, pattern: &str) -> Judged {
        if let Some(judged) = self.known(pattern) {
            return judged;
        }
        let owned = Box::<str>::from(pattern);
        let judged = spawn_blocking(move || TopicPattern::new(&owned).map(Arc::new)).await;
        // It panicked, which was printed there.
        let judged = judged.unwrap_or(Err(PatternError::TooComplex));
        let mut kept = self.kept();
        kept.truncate(PATTERNS_KEPT_MAX - 1);
        kept.push_front((pattern.into(), judged.clone()));
        judged
    }

    fn known(&self, pattern: &str) -> Option<Judged> {
        self.kept().iter().find(|(kept, _)| **kept == *pattern).map(|(_, judged)| judged.clone())
    }

    fn kept(&self) -> MutexGuard<'_, VecDeque<(Box<str>, Judged)>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn matching(
    pattern: &TopicPattern,
    mut room: usize,
    image: &MetadataImage,
) -> Result<BTreeSet<Box<str>>, Unresolved> {
    let mut topics = BTreeSet::new();
    for topic in image.topics.iter().filter(|topic| pattern.fits(&topic.name)) {
        room = room.checked_sub(topic.name.len()).ok_or(Unresolved::TooManyTopics)?;
        topics.insert((*topic.name).into());
    }
    Ok(topics)
}

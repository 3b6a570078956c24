//! What becomes of a record: a future that shares one place with all records of its batch.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    task::{Context, Poll, Waker},
};

use super::{interceptor::Audience, record::RecordMetadata};
use crate::error::{Error, Result};

/// What became of a batch.
#[derive(Debug)]
pub(super) enum Outcome {
    Stored {
        base_offset: Option<i64>,
        append_time: Option<i64>,
    },
    /// The records that are to blame are named by their place in the batch.
    Failed {
        error: Error,
        blamed: Vec<(u32, Box<str>)>,
    },
    /// It was too large, and went on as several, each beginning with one of its records.
    Split(Vec<(u32, Arc<Completion>)>),
}

/// Where the outcome of a batch is put, and who waits for it.
#[derive(Debug)]
pub(super) struct Completion {
    topic: Arc<str>,
    partition: i32,
    outcome: OnceLock<Outcome>,
    waiting: Mutex<Vec<Waker>>,
    heard: Option<Heard>,
}

/// For those who hear of every record.
#[derive(Debug)]
pub(super) struct Heard {
    pub(super) audience: Arc<dyn Audience>,
    pub(super) timestamps: Mutex<Vec<i64>>,
}

impl Completion {
    pub(super) fn new(
        topic: Arc<str>,
        partition: i32,
        audience: Option<Arc<dyn Audience>>,
    ) -> Arc<Self> {
        let heard = audience.map(|audience| Heard { audience, timestamps: Mutex::default() });
        let (outcome, waiting) = (OnceLock::new(), Mutex::default());
        Arc::new(Self { topic, partition, outcome, waiting, heard })
    }

    /// A place for one more record.
    pub(super) fn delivery(self: &Arc<Self>, index: u32, timestamp: i64) -> Delivery {
        if let Some(heard) = &self.heard {
            heard.timestamps.lock().unwrap_or_else(PoisonError::into_inner).push(timestamp);
        }
        Delivery { completion: Arc::clone(self), index, timestamp, slot: None }
    }

    /// A place for some of its records, after a split.
    pub(super) fn part(&self, first: u32, count: u32) -> Arc<Self> {
        let audience = self.heard.as_ref().map(|heard| Arc::clone(&heard.audience));
        let part = Self::new(Arc::clone(&self.topic), self.partition, audience);
        if let (Some(all), Some(some)) = (&self.heard, &part.heard) {
            let all = all.timestamps.lock().unwrap_or_else(PoisonError::into_inner);
            let mut some = some.timestamps.lock().unwrap_or_else(PoisonError::into_inner);
            some.extend(all.iter().skip(first as usize).take(count as usize));
        }
        part
    }

    pub(super) fn topic(&self) -> &Arc<str> {
        &self.topic
    }

    pub(super) const fn partition(&self) -> i32 {
        self.partition
    }

    pub(super) fn is_done(&self) -> bool {
        self.outcome.get().is_some()
    }

    /// Says what became of the batch; only the first word counts.
    pub(super) fn finish(&self, outcome: Outcome) {
        if self.outcome.set(outcome).is_err() {
            return;
        }
        let waiting = {
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut *waiting)
        };
        for waker in waiting {
            waker.wake();
        }
        let (Some(heard), Some(outcome)) = (&self.heard, self.outcome.get()) else { return };
        if matches!(outcome, Outcome::Split(_)) {
            return;
        }
        let timestamps = heard.timestamps.lock().unwrap_or_else(PoisonError::into_inner);
        for (index, timestamp) in timestamps.iter().enumerate() {
            heard.audience.acknowledged(&self.result(outcome, index as u32, *timestamp));
        }
    }

    fn result(&self, outcome: &Outcome, index: u32, timestamp: i64) -> Result<RecordMetadata> {
        match outcome {
            Outcome::Stored { base_offset, append_time } => Ok(RecordMetadata {
                topic: Arc::clone(&self.topic),
                partition: self.partition,
                offset: base_offset.map(|base| base + i64::from(index)),
                timestamp: append_time.unwrap_or(timestamp),
            }),
            Outcome::Failed { error, blamed } => Err(blame(error, blamed, index)),
            // Whoever asks goes on to the part.
            Outcome::Split(_) => Err(Error::Closed),
        }
    }

    /// The outcome, or a promise to wake.
    fn poll(&self, slot: &mut Option<usize>, context: &mut Context<'_>) -> Poll<&Outcome> {
        if let Some(outcome) = self.outcome.get() {
            return Poll::Ready(outcome);
        }
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(outcome) = self.outcome.get() {
            return Poll::Ready(outcome);
        }
        match slot.and_then(|slot| waiting.get_mut(slot)) {
            Some(waker) => waker.clone_from(context.waker()),
            None => {
                *slot = Some(waiting.len());
                waiting.push(context.waker().clone());
            }
        }
        Poll::Pending
    }

    /// Waits until the batch, or all that it was split into, is done.
    pub(super) async fn done(self: Arc<Self>) {
        let mut left = vec![self];
        while let Some(completion) = left.pop() {
            let mut slot = None;
            let parts = std::future::poll_fn(|context| {
                completion.poll(&mut slot, context).map(|outcome| match outcome {
                    Outcome::Split(parts) => parts.iter().map(|(_, it)| Arc::clone(it)).collect(),
                    _ => Vec::new(),
                })
            });
            left.extend(parts.await);
        }
    }
}

/// What is wrong with one record of a batch of which some were refused.
fn blame(error: &Error, blamed: &[(u32, Box<str>)], index: u32) -> Error {
    let Error::Broker { what, code, detail } = error else { return error.clone() };
    if blamed.is_empty() {
        return error.clone();
    }
    let own = blamed.iter().find(|(at, _)| *at == index).map(|(_, why)| why.clone());
    let why = own.filter(|why| !why.is_empty()).or_else(|| detail.clone());
    let others = || "another record of its batch was refused".into();
    let is_own = blamed.iter().any(|(at, _)| *at == index);
    let detail = if is_own { why } else { Some(others()) };
    Error::Broker { what: what.clone(), code: *code, detail }
}

/// Becomes the place where the record was stored, or why it was not. Dropping it changes nothing
/// for the record.
#[derive(Debug)]
#[must_use = "whether a record was stored is only known when its delivery is awaited"]
pub struct Delivery {
    completion: Arc<Completion>,
    index: u32,
    timestamp: i64,
    /// Where this one's waker is.
    slot: Option<usize>,
}

impl Future for Delivery {
    type Output = Result<RecordMetadata>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        loop {
            let completion = Arc::clone(&this.completion);
            let Poll::Ready(outcome) = completion.poll(&mut this.slot, context) else {
                return Poll::Pending;
            };
            let Outcome::Split(parts) = outcome else {
                return Poll::Ready(completion.result(outcome, this.index, this.timestamp));
            };
            let part = parts.iter().rev().find(|(first, _)| *first <= this.index);
            let Some((first, part)) = part else { return Poll::Ready(Err(Error::Closed)) };
            this.index -= first;
            this.completion = Arc::clone(part);
            this.slot = None;
        }
    }
}

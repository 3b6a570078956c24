//! What a core is told beside the event itself, and where it says what follows.

use std::{fmt, mem};

use milena_config::ServerConfig;
use milena_env::Random;
use milena_metadata::image::MetadataImage;
use milena_protocol::{EncodeError, Offset, records::BatchBuilder};
use tokio::sync::oneshot;

use super::{Counters, Transition};

pub(crate) use milena_metadata::controller::Now;

use super::transaction::Action;

/// What a record takes beside its key and value, at most: lengths, deltas, attributes.
pub(crate) const RECORD_OVERHEAD_BYTES: usize = 40;

/// What a core sees while it handles one event.
#[derive(Debug)]
pub(crate) struct Scene<'a> {
    pub(crate) now: Now,
    pub(crate) image: &'a MetadataImage,
    pub(crate) config: &'a ServerConfig,
    pub(crate) random: &'a mut Random,
    pub(crate) effects: &'a mut Effects,
    pub(crate) counters: &'a Counters,
}

impl Scene<'_> {
    /// This has happened once more.
    pub(crate) fn count(&self, transition: Transition) {
        self.counters.add(transition, 1);
    }
}

/// What follows from one event: records to be appended, answers to those who were waiting, and what
/// is to be done elsewhere.
pub(crate) struct Effects {
    /// Each becomes one batch, and so is there as a whole or not.
    batches: Vec<BatchBuilder>,
    /// Bytes of the last one at most.
    bytes_max: usize,
    /// Those of the last one so far.
    bytes: usize,
    /// Where the next record will lie.
    next_offset: Offset,
    replies: Vec<Told>,
    actions: Vec<Action>,
}

/// Gives an answer out, with the offset that must be committed first.
pub(crate) type Told = Box<dyn FnOnce(Offset) + Send>;

/// The records of one event would not fit into a batch: `max.message.bytes` of the topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the coordinator's records take more than {0} bytes")]
pub(crate) struct TooLarge(pub(crate) usize);

/// Why a record is not pushed.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum WriteError {
    #[error(transparent)]
    TooLarge(#[from] TooLarge),
    /// A string that no length field can tell of; requests hold none.
    #[error(transparent)]
    Encode(#[from] EncodeError),
}

impl Effects {
    /// The log ends at `next_offset`.
    pub(crate) fn new(bytes_max: usize, next_offset: Offset) -> Self {
        Self {
            batches: Vec::new(),
            bytes_max,
            bytes: 0,
            next_offset,
            replies: Vec::new(),
            actions: Vec::new(),
        }
    }

    /// Has a record appended, and says where; without a value it says that the key is no more. One
    /// that does not fit is left out, and what was pushed before it is not: who minds looks first.
    pub(crate) fn push(
        &mut self,
        wall_ms: i64,
        key: &[u8],
        value: Option<&[u8]>,
    ) -> Result<Offset, TooLarge> {
        let size = RECORD_OVERHEAD_BYTES + key.len() + value.map_or(0, <[u8]>::len);
        if self.bytes + size > self.bytes_max {
            return Err(TooLarge(self.bytes_max));
        }
        self.bytes += size;
        if self.batches.is_empty() {
            self.batches.push(BatchBuilder::new(Offset::ZERO));
        }
        if let Some(batch) = self.batches.last_mut() {
            batch.append(wall_ms, Some(key), value, []);
        }
        let offset = self.next_offset;
        self.next_offset = offset.next();
        Ok(offset)
    }

    /// What is pushed from here on need not be there together with what was pushed before: a long
    /// list of records that do not belong together is cut here.
    pub(crate) fn may_cut(&mut self) {
        if self.bytes > self.bytes_max / 2 {
            self.batches.push(BatchBuilder::new(Offset::ZERO));
            self.bytes = 0;
        }
    }

    /// Answers a request that was waiting.
    pub(crate) fn reply<T: Send + 'static>(&mut self, reply: Reply<T>, answer: T) {
        // Who has gone meanwhile needs no answer.
        self.replies.push(Box::new(move |end| drop(reply.0.send((answer, end)))));
    }

    /// Has something done once the records are committed.
    pub(crate) fn act(&mut self, action: Action) {
        self.actions.push(action);
    }

    pub(crate) fn take_actions(&mut self) -> Vec<Action> {
        mem::take(&mut self.actions)
    }

    /// Bytes that still fit with those before them.
    pub(crate) const fn room(&self) -> usize {
        self.bytes_max.saturating_sub(self.bytes)
    }

    pub(crate) fn into_parts(self) -> (Vec<BatchBuilder>, Vec<Told>) {
        (self.batches, self.replies)
    }
}

impl fmt::Debug for Effects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (batches, replies) = (self.batches.len(), self.replies.len());
        f.debug_struct("Effects")
            .field("batches", &batches)
            .field("bytes", &self.bytes)
            .field("replies", &replies)
            .finish()
    }
}

/// Where the answer to a request goes that may have to wait for others. It carries the offset that
/// must be committed before the answer is given out.
#[derive(Debug)]
pub(crate) struct Reply<T>(oneshot::Sender<(T, Offset)>);

impl<T> Reply<T> {
    pub(crate) fn new() -> (Self, oneshot::Receiver<(T, Offset)>) {
        let (send, receive) = oneshot::channel();
        (Self(send), receive)
    }

    /// Whether nobody waits for the answer any more.
    pub(crate) fn is_abandoned(&self) -> bool {
        self.0.is_closed()
    }
}

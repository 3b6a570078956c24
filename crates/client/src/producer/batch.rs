//! One batch: open while records are added, sealed when it is sent.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use milena_protocol::{
    Offset, ProducerEpoch, ProducerId,
    records::{
        self, Batch as Stored, BatchBuilder, Budget, Codec, HEADER_LEN, Header, Level, Scratch,
    },
};

use super::delivery::{Completion, Delivery, Outcome};
use crate::error::{Error, Result};

/// A record as it is written: everything is bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fields<'r> {
    pub(super) timestamp: i64,
    pub(super) key: Option<&'r [u8]>,
    pub(super) value: Option<&'r [u8]>,
    pub(super) headers: &'r [super::record::Header<'r>],
}

impl Fields<'_> {
    /// More bytes than it can take in a batch.
    pub(super) fn len_max(&self) -> usize {
        let headers = self.headers.iter();
        let headers = headers.map(|header| {
            10 + header.key.len() + header.value.as_ref().map_or(0, |value| value.len())
        });
        BatchBuilder::record_len_max(self.key, self.value) + headers.sum::<usize>()
    }
}

/// Who sends, so that brokers tell a retry from a new batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) id: ProducerId,
    pub(super) epoch: ProducerEpoch,
}

/// What an idempotent producer says of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    pub(super) identity: Identity,
    pub(super) sequence: i32,
    pub(super) is_transactional: bool,
}

#[derive(Debug)]
enum Contents {
    Open(BatchBuilder),
    Sealed(Bytes),
    /// Another stamp than before: the bytes are to be changed.
    Stale(Bytes),
}

/// A batch on its way. It is in one place at a time: it waits, or it is in flight.
#[derive(Debug)]
pub(super) struct Batch {
    /// Batches of a partition are sent in this order: they are numbered, and what one was split
    /// into has its number and the place of its first record.
    pub(super) order: (u64, u32),
    /// Where its queue is.
    pub(super) place: Place,
    /// Bytes of memory that it has been charged for.
    pub(super) charged: usize,
    pub(super) count: u32,
    /// Bytes of its records before compression, once it is sealed.
    pub(super) plain: usize,
    pub(super) created: Duration,
    pub(super) attempts: u32,
    pub(super) retry_at: Duration,
    /// It will get no more records.
    pub(super) is_full: bool,
    pub(super) stamp: Option<Stamp>,
    pub(super) completion: Arc<Completion>,
    /// Why the last attempt failed.
    pub(super) last_error: Option<Error>,
    contents: Contents,
}

/// A queue by its numbers: that of its topic in the accumulator, and the partition's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) topic: usize,
    pub(super) partition: usize,
}

impl Batch {
    pub(super) fn new(
        number: u64,
        place: Place,
        capacity: usize,
        created: Duration,
        completion: Arc<Completion>,
    ) -> Self {
        let contents = Contents::Open(BatchBuilder::new(Offset::ZERO).with_capacity(capacity));
        Self {
            order: (number, 0),
            place,
            charged: capacity,
            count: 0,
            plain: 0,
            created,
            attempts: 0,
            retry_at: Duration::ZERO,
            is_full: false,
            stamp: None,
            completion,
            last_error: None,
            contents,
        }
    }

    /// Bytes of its records while it is open, which compression will change.
    pub(super) fn open_len(&self) -> Option<usize> {
        match &self.contents {
            Contents::Open(builder) => Some(builder.plain_len()),
            Contents::Sealed(_) | Contents::Stale(_) => None,
        }
    }

    /// Bytes on the wire; before it is sealed, without compression.
    pub(super) fn len(&self) -> usize {
        match &self.contents {
            Contents::Open(builder) => HEADER_LEN + builder.plain_len(),
            Contents::Sealed(bytes) | Contents::Stale(bytes) => bytes.len(),
        }
    }

    /// Whether it can take so many bytes more within `limit` plain ones, and how much memory it
    /// must have then.
    pub(super) fn room_for(&self, bytes: usize, limit: usize) -> Option<usize> {
        let Contents::Open(builder) = &self.contents else { return None };
        let needed = self.len() + bytes;
        if self.is_full || needed > limit {
            return None;
        }
        let doubled = || builder.capacity().saturating_mul(2).min(limit);
        Some(if needed <= self.charged { self.charged } else { doubled().max(needed) })
    }

    /// Adds a record. The caller has made sure that there is room, and has charged for it.
    pub(super) fn add(&mut self, record: &Fields<'_>, capacity: usize) -> Delivery {
        if let Contents::Open(builder) = &mut self.contents {
            if capacity > self.charged {
                builder.grow_to(capacity);
                self.charged = capacity;
            }
            let headers = record.headers.iter().map(|header| Header {
                key: header.key.as_bytes(),
                value: header.value.as_deref(),
            });
            builder.append(record.timestamp, record.key, record.value, headers);
        }
        let delivery = self.completion.delivery(self.count, record.timestamp);
        self.count += 1;
        delivery
    }

    /// Says who sends it and at which place among his batches.
    pub(super) fn set_stamp(&mut self, stamp: Stamp) {
        if self.stamp == Some(stamp) {
            return;
        }
        self.stamp = Some(stamp);
        if let Contents::Sealed(bytes) = &mut self.contents {
            self.contents = Contents::Stale(std::mem::take(bytes));
        }
    }

    /// The bytes to send. The first time they are compressed and their checksum is counted.
    pub(super) fn seal(&mut self, codec: Codec, level: Level) -> Result<Bytes> {
        let taken = std::mem::replace(&mut self.contents, Contents::Sealed(Bytes::new()));
        let sealed = match taken {
            Contents::Open(builder) => {
                self.plain = builder.plain_len();
                let mut builder = builder.with_codec(codec, level);
                if let Some(Stamp { identity, sequence, is_transactional }) = self.stamp {
                    builder = builder.with_producer(identity.id, identity.epoch, sequence);
                    if is_transactional {
                        builder = builder.with_transactional();
                    }
                }
                Bytes::from(builder.finish().map_err(|error| self.cannot(error))?)
            }
            Contents::Sealed(bytes) => bytes,
            Contents::Stale(bytes) => {
                let mut bytes = Vec::from(bytes);
                if let Some(Stamp { identity, sequence, .. }) = self.stamp {
                    records::assign_producer(&mut bytes, identity.id, identity.epoch, sequence);
                }
                Bytes::from(bytes)
            }
        };
        self.contents = Contents::Sealed(sealed.clone());
        Ok(sealed)
    }

    /// Makes two or more of one that is too large. What they take together is charged to the
    /// first.
    pub(super) fn split(self, batch_size: usize) -> Result<Vec<Self>> {
        let (Contents::Sealed(bytes) | Contents::Stale(bytes)) = &self.contents else {
            return Err(Error::Invalid("a batch that was not sent cannot be split".into()));
        };
        let stored = Stored::check(bytes).map_err(|error| self.cannot(error))?;
        let mut scratch = Scratch::new();
        let all = stored.records(&mut scratch, Budget { ratio_max: usize::MAX, bytes_min: 0 });
        let all = all.map_err(|error| self.cannot(error))?;
        // Half of what was too large may still be too large; it will be split again.
        let part_len = batch_size.min(self.plain / 2);
        let mut parts: Vec<(u32, BatchBuilder)> = Vec::new();
        for (index, record) in all.enumerate() {
            let record = record.map_err(|error| self.cannot(error))?;
            let len = BatchBuilder::record_len_max(record.key, record.value);
            match parts.last_mut() {
                Some((_, part)) if part.plain_len() + len <= part_len => {
                    part.append(record.timestamp, record.key, record.value, record.headers);
                }
                _ => {
                    let mut part = BatchBuilder::new(Offset::ZERO);
                    part.append(record.timestamp, record.key, record.value, record.headers);
                    parts.push((index as u32, part));
                }
            }
        }
        let mut charged = self.charged;
        let batches = parts.into_iter().map(|(first, builder)| {
            let count = builder.record_count() as u32;
            Self {
                order: (self.order.0, self.order.1 + first),
                place: self.place,
                charged: std::mem::take(&mut charged),
                count,
                plain: 0,
                created: self.created,
                attempts: self.attempts,
                retry_at: Duration::ZERO,
                is_full: true,
                stamp: self
                    .stamp
                    .map(|stamp| Stamp { sequence: next_sequence(stamp.sequence, first), ..stamp }),
                completion: self.completion.part(first, count),
                last_error: self.last_error.clone(),
                contents: Contents::Open(builder),
            }
        });
        let batches: Vec<_> = batches.collect();
        let mut first = 0;
        let parts = batches.iter().map(|batch| {
            let part = (first, Arc::clone(&batch.completion));
            first += batch.count;
            part
        });
        self.completion.finish(Outcome::Split(parts.collect()));
        Ok(batches)
    }

    /// What is done with it, for people.
    pub(super) fn what(&self) -> String {
        format!("produce to {}-{}", self.completion.topic(), self.completion.partition())
    }

    fn cannot(&self, error: impl std::fmt::Display) -> Error {
        Error::Invalid(format!("{}: {error}", self.what()).into())
    }
}

/// The sequence that follows so many records; after the largest number comes 0.
pub(super) const fn next_sequence(sequence: i32, records: u32) -> i32 {
    ((sequence as i64 + records as i64) & i32::MAX as i64) as i32
}

//! A broker as far as producers can tell: it keeps records, and the last five batches of every
//! producer, by the rules of Kafka's sequences.

use std::collections::BTreeMap;

use milena_protocol::{
    ErrorCode,
    records::{Batch as Stored, Budget, Scratch},
};

use super::super::Answered;
use super::failed;

const KEPT_BATCHES: usize = 5;

#[derive(Debug, Default)]
pub(super) struct Log {
    pub(super) values: Vec<Vec<u8>>,
    producers: BTreeMap<i64, Producer>,
}

#[derive(Debug, Default)]
struct Producer {
    epoch: i16,
    /// First and last sequence, and the offset of the first.
    batches: Vec<(i32, i32, i64)>,
}

impl Log {
    pub(super) fn append(&mut self, bytes: &[u8]) -> Answered {
        let batch = Stored::check(bytes).unwrap();
        let header = *batch.header();
        let base = self.values.len() as i64;
        let (first, last) = (header.base_sequence, header.last_sequence());
        if header.has_producer_id() {
            let producer = self.producers.entry(header.producer_id.0).or_default();
            let epoch = header.producer_epoch.0;
            if epoch < producer.epoch {
                return failed(ErrorCode::InvalidProducerEpoch);
            }
            if epoch > producer.epoch {
                *producer = Producer { epoch, batches: Vec::new() };
            }
            let again = producer.batches.iter().find(|it| (it.0, it.1) == (first, last));
            if let Some((_, _, offset)) = again {
                return super::stored(*offset);
            }
            let next = producer.batches.last().map_or(0, |it| (it.1 as i64 + 1) & i32::MAX as i64);
            if i64::from(first) != next {
                let is_known = producer.batches.last().is_some_and(|it| last <= it.1);
                let code = match is_known {
                    true => ErrorCode::DuplicateSequenceNumber,
                    false => ErrorCode::OutOfOrderSequenceNumber,
                };
                return failed(code);
            }
            producer.batches.push((first, last, base));
            if producer.batches.len() > KEPT_BATCHES {
                producer.batches.remove(0);
            }
        }
        let mut scratch = Scratch::new();
        for record in batch.records(&mut scratch, Budget::default()).unwrap() {
            self.values.push(record.unwrap().value.unwrap().to_vec());
        }
        super::stored(base)
    }

    /// The head of the log is gone, and with it what was known of producers.
    pub(super) fn forget_producers(&mut self) {
        self.producers.clear();
    }
}

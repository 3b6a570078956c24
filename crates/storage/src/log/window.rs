//! The last batches of a producer, found again after a restart. A snapshot keeps one of the five
//! that a retry may be of, as Kafka's does; the others are looked for where they lie, and only when
//! a producer asks for one.

use milena_protocol::{Offset, records::BatchHeader};

use super::{Log, read::find};
use crate::{
    error::StorageError,
    names::FileKind,
    producers::{ProducedBatch, ProducerStates},
    segment::scan::Scanner,
};

/// Bytes before the oldest batch that is known in which older ones are looked for.
const REACH: u64 = 4 << 20;

impl Log {
    /// Looks for batches of the producer that lie right before `oldest`, the oldest that is known,
    /// and remembers them.
    pub(super) fn recall(
        &self,
        header: &BatchHeader,
        oldest: ProducedBatch,
    ) -> Result<(), StorageError> {
        let segments = self.segments.load_full();
        let to = oldest.first_offset();
        let count = segments.partition_point(|segment| segment.base_offset() < to);
        let mut ranges = Vec::new();
        let mut reach = REACH;
        for segment in segments.iter().take(count).rev().filter(|s| s.written() > 0) {
            let open = self.shared.files.get(segment)?;
            let end = find(&open, segment, to, segment.written())?;
            let end = end.map_or(segment.written(), |batch| batch.position);
            let from = match u32::try_from(end.saturating_sub(reach)) {
                Ok(0) | Err(_) => 0,
                Ok(from) => {
                    let entry = open.indexes().offsets.entries().first_from_position(from);
                    entry.map_or(end, |entry| u64::from(entry.position).min(end))
                }
            };
            ranges.push((segment, open, from, end));
            reach = reach.saturating_sub(end);
            if reach == 0 {
                break;
            }
        }
        let mut found = ProducerStates::new(Offset::ZERO);
        for (segment, open, from, end) in ranges.iter().rev() {
            let path = segment.path(FileKind::Log);
            let mut scanner = Scanner::headers(&open.file, *from, *end);
            while let Ok(batch) = scanner.next().map_err(StorageError::io("read", &path))? {
                let is_its = |found: &BatchHeader| {
                    found.producer_id == header.producer_id
                        && found.producer_epoch == header.producer_epoch
                };
                if let Some(found_header) = batch.header.filter(is_its) {
                    found.update(&found_header);
                }
            }
        }
        let older = found.get(header.producer_id).map_or(&[][..], |entry| entry.batches());
        self.lock().producers.recall(header, oldest, older);
        Ok(())
    }
}

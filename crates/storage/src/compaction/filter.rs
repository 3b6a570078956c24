//! What of one batch stays: all, some records, nothing but its header, or nothing.
//!
//! It sees a batch and writes a batch; files and positions are not its business.

use std::collections::BTreeMap;

use milena_protocol::{
    Offset, ProducerEpoch, ProducerId,
    records::{
        Batch, BatchBuilder, BatchError, BatchHeader, Budget, BuildError, CodecError, ControlType,
        FramingError, LegacyError, LegacyMessage, Record, Records, Scratch,
    },
};

use super::{offset_map::OffsetMap, transactions::CleanedTransactions};

#[derive(Debug, thiserror::Error)]
pub(super) enum FilterError {
    #[error(transparent)]
    Batch(#[from] BatchError),
    #[error(transparent)]
    Codec(#[from] CodecError),
    #[error(transparent)]
    Framing(#[from] FramingError),
    #[error(transparent)]
    Legacy(#[from] LegacyError),
    #[error(transparent)]
    Build(#[from] BuildError),
}

/// The last that an active producer wrote.
#[derive(Clone, Copy, Debug)]
pub(super) struct LastRecord {
    /// `None` where only its marker is known.
    pub offset: Option<Offset>,
    pub epoch: ProducerEpoch,
}

pub(super) struct Filter<'a> {
    pub map: &'a OffsetMap,
    pub transactions: CleanedTransactions,
    /// The batch with a producer's last sequence stays, if only as a header: otherwise its next
    /// one would be refused.
    pub producers: &'a BTreeMap<ProducerId, LastRecord>,
    /// The batch that ends here stays too, so that the cleaned part does not end earlier.
    pub round_end: Offset,
    pub now_ms: i64,
    pub delete_retention_ms: i64,
    pub scratch: &'a mut Scratch,
}

impl Filter<'_> {
    /// Writes behind `out` what stays of the batch in `bytes`.
    pub(super) fn pass(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), FilterError> {
        let batch = Batch::read(bytes)?;
        let header = *batch.header();
        let records = batch.records(self.scratch, Budget::default())?;
        let is_control = header.attributes.is_control();
        let can_go = if is_control {
            self.transactions.pass_control(&header, control_type(&records)?)
        } else {
            self.transactions.pass_data(&header)
        };
        let horizon_ms = header.attributes.has_delete_horizon().then_some(header.base_timestamp);
        let is_due = horizon_ms.is_some_and(|horizon_ms| horizon_ms <= self.now_ms);
        let goes = can_go && (!is_control || is_due);
        let is_wanted = |record: &Record<'_>| {
            // Beyond the map's end nobody knows what is last.
            let is_unknown = is_control || record.offset > self.map.latest();
            let is_due = is_due && record.value.is_none();
            !goes && (is_unknown || is_last(self.map, record) && !is_due)
        };

        let (mut kept, mut has_tombstone) = (0, false);
        for record in records.clone() {
            let record = record?;
            let stays = is_wanted(&record);
            kept += i32::from(stays);
            has_tombstone |= stays && record.value.is_none();
        }
        let needs_horizon = horizon_ms.is_none() && (has_tombstone || is_control && can_go);
        if kept == 0 {
            if self.must_stay(&header) {
                BatchBuilder::in_place_of(&header).build(out)?;
            }
            return Ok(());
        }
        if kept == header.record_count && !needs_horizon {
            out.extend_from_slice(bytes);
            return Ok(());
        }
        let mut builder = BatchBuilder::in_place_of(&header);
        if needs_horizon {
            builder =
                builder.with_delete_horizon(self.now_ms.saturating_add(self.delete_retention_ms));
        }
        for record in records {
            let record = record?;
            if is_wanted(&record) {
                builder.append_record(&record)?;
            }
        }
        builder.build(out)?;
        Ok(())
    }

    /// The same for a message of the formats 0 and 1. We write neither, so it stays or goes as a
    /// whole, and a tombstone stays until its key is written again.
    pub(super) fn pass_legacy(
        &mut self,
        bytes: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), FilterError> {
        let message = LegacyMessage::read(bytes)?;
        for record in message.records(self.scratch, Budget::default())? {
            let record = record?;
            if record.offset > self.map.latest() || is_last(self.map, &record) {
                out.extend_from_slice(bytes);
                break;
            }
        }
        Ok(())
    }

    fn must_stay(&self, header: &BatchHeader) -> bool {
        let is_last_of_producer =
            self.producers.get(&header.producer_id).is_some_and(|last| match last.offset {
                Some(offset) => header.last_offset() == offset,
                None => header.attributes.is_control() && header.producer_epoch == last.epoch,
            });
        header.next_offset() == self.round_end || header.has_producer_id() && is_last_of_producer
    }
}

/// What a control batch says; `None` where it was emptied.
pub(super) fn control_type(records: &Records<'_>) -> Result<Option<ControlType>, FramingError> {
    let first = records.clone().next().transpose()?;
    Ok(first.and_then(|record| record.key).and_then(ControlType::from_key))
}

/// Whether its key was not written again later. A record without a key is of no use in a compacted
/// topic; produce refuses it, but the topic may not always have been compacted.
fn is_last(map: &OffsetMap, record: &Record<'_>) -> bool {
    let known = record.key.map(|key| map.get(key));
    known.is_some_and(|last| last.is_none_or(|last| record.offset >= last))
}

//! What one partition gives to one who reads it: records, or why there are none.

use milena_protocol::{
    ErrorCode, LeaderEpoch, Offset,
    api::fetch::response::{AbortedTransaction, EpochEndOffset},
};
use milena_storage::{Limit, ReadPlan};

use super::{Told, Update};
use crate::{error_map::ToCode, partition::Partition};

/// What one partition gave.
#[derive(Debug)]
pub(crate) struct Given {
    pub(crate) code: ErrorCode,
    pub(crate) high_watermark: Offset,
    pub(crate) last_stable: Offset,
    pub(crate) start: Offset,
    /// Where the reader's log ceases to be this one's, if it does.
    pub(crate) diverging: Option<EpochEndOffset>,
    pub(crate) aborted: Option<Vec<AbortedTransaction>>,
    pub(crate) plan: ReadPlan,
}

impl Given {
    pub(crate) fn told(&self) -> Told {
        let Self { code, high_watermark, start, .. } = *self;
        Told { high_watermark, start, code: code as i16 }
    }

    /// Whether the reader has to hear of it whatever there is to read.
    pub(crate) fn is_urgent(&self) -> bool {
        self.code != ErrorCode::None || self.diverging.is_some()
    }

    /// Whether the reader has to wait for more, rather than for its turn.
    pub(crate) fn has_nothing_from(&self, from: Offset, committed: bool) -> bool {
        let end = if committed { self.last_stable } else { self.high_watermark };
        !self.is_urgent() && self.plan.len == 0 && from >= end
    }

    pub(crate) fn nothing(code: ErrorCode) -> Self {
        Self {
            code,
            high_watermark: Offset(-1),
            last_stable: Offset(-1),
            start: Offset(-1),
            diverging: None,
            aborted: None,
            plan: ReadPlan::default(),
        }
    }

    /// Plans what there is to read within the limit.
    pub(crate) fn read(
        partition: &Partition,
        update: &Update,
        committed: bool,
        limit: Limit,
    ) -> Self {
        let (log, from) = (&partition.log, update.from);
        // Deleted, maybe while somebody waited for more.
        if log.is_closed() {
            return Self::nothing(ErrorCode::UnknownTopicOrPartition);
        }
        let high_watermark = partition.high_watermark();
        let last_stable = log.last_stable_offset(high_watermark);
        let start = log.start_offset();
        if let Some(epoch) =
            Some(LeaderEpoch(update.last_fetched_epoch)).filter(|epoch| epoch.0 >= 0)
        {
            match log.end_offset_for(epoch) {
                None => return Self::nothing(ErrorCode::OffsetOutOfRange),
                Some((floor, end)) if floor < epoch || end < from => {
                    let diverging = Some(EpochEndOffset {
                        epoch: floor.0,
                        end_offset: end.0,
                        ..Default::default()
                    });
                    let given = Self::nothing(ErrorCode::None);
                    return Self { high_watermark, last_stable, start, diverging, ..given };
                }
                Some(_) => {}
            }
        }
        if from < start || from > high_watermark {
            return Self::nothing(ErrorCode::OffsetOutOfRange);
        }
        let read = if committed {
            log.read_committed(from, last_stable, limit)
                .map(|(plan, aborted)| (plan, Some(aborted)))
        } else {
            log.read(from, high_watermark, limit).map(|plan| (plan, None))
        };
        match read {
            Ok((plan, aborted)) => Self {
                code: ErrorCode::None,
                high_watermark,
                last_stable,
                start,
                diverging: None,
                aborted: aborted.map(|aborted| {
                    let name =
                        |one: &milena_storage::index::AbortedTransaction| AbortedTransaction {
                            producer_id: one.producer_id.0,
                            first_offset: one.first_offset.0,
                            ..Default::default()
                        };
                    aborted.iter().map(name).collect()
                }),
                plan,
            },
            Err(error) => {
                if let milena_storage::ReadError::Storage(error) = &error {
                    tracing::error!(partition = %log.name(), %error, "cannot be read");
                }
                Self::nothing(error.code())
            }
        }
    }
}

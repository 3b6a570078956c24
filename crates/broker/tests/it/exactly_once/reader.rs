//! Readers of both isolation levels, and those who look how far a group has come.

use std::time::Instant;

use milena_protocol::ErrorCode;

use super::{
    History,
    history::{Place, Stable, Told},
};
use crate::{client::Client, producer::PASSING};

#[derive(Debug)]
pub(super) struct Reader {
    pub(super) place: Place,
    pub(super) is_committed: bool,
    next: i64,
}

impl Reader {
    pub(super) const fn new(place: Place, is_committed: bool) -> Self {
        Self { place, is_committed, next: 0 }
    }

    /// One fetch from where it stands. Says whether it has come to the end of all there is.
    pub(super) fn read(
        &mut self,
        client: &mut Client,
        history: &mut History,
        since: Instant,
    ) -> bool {
        let (topic, partition) = self.place;
        let told = client.read_once(topic, partition, self.next, i8::from(self.is_committed));
        let Ok(Ok(told)) = told else { return false };
        let seen =
            if self.is_committed { &mut history.committed } else { &mut history.uncommitted };
        seen.entry(self.place).or_default().extend(told.values);
        self.next = told.next;
        if self.is_committed {
            let (stable, high_watermark) = (told.stable, told.high_watermark);
            let elapsed_ms = since.elapsed().as_millis() as u64;
            let now = Stable { stable, high_watermark, elapsed_ms };
            history.stable.entry(self.place).or_default().push(now);
        }
        told.next == told.high_watermark
    }
}

/// Asks how far a group has come, for who wants no offset that may still change.
pub(super) fn look(
    client: &mut Client,
    history: &mut History,
    (group, place): (&str, Place),
) -> Option<i64> {
    let asked_at = history.now();
    let offset = match client.offset_of_once(group, place, true) {
        Ok(Ok(offset)) => Some(offset.max(0)),
        Ok(Err(ErrorCode::UnstableOffsetCommit)) => {
            history.count("unstable offset");
            None
        }
        Ok(Err(passing)) if PASSING.contains(&passing) => return None,
        Ok(Err(refused)) => panic!("{refused:?} for the offset of {place:?}"),
        Err(_) => return None,
    };
    history.told.push(Told { place, asked_at, offset });
    offset
}

//! Control records: what brokers and controllers write among the data and consumers never see.

use super::builder::{BatchBuilder, BuildError};
use crate::{Offset, ProducerEpoch, ProducerId};

/// What a control record says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ControlType {
    Abort,
    Commit,
    LeaderChange,
    SnapshotHeader,
    SnapshotFooter,
    KraftVersion,
    KraftVoters,
    /// Written by a newer Kafka; a reader skips it.
    Unknown(i16),
}

/// Version and type, which are the key of a control record.
const KEY_VERSION: i16 = 0;
const MARKER_VERSION: i16 = 0;

impl ControlType {
    const fn id(self) -> i16 {
        match self {
            Self::Abort => 0,
            Self::Commit => 1,
            Self::LeaderChange => 2,
            Self::SnapshotHeader => 3,
            Self::SnapshotFooter => 4,
            Self::KraftVersion => 5,
            Self::KraftVoters => 6,
            Self::Unknown(id) => id,
        }
    }

    /// Reads a control record's key; `None` where it is too short or its version negative.
    #[must_use]
    pub fn from_key(key: &[u8]) -> Option<Self> {
        let [a, b, c, d] = *key.first_chunk::<4>()?;
        if i16::from_be_bytes([a, b]) < KEY_VERSION {
            return None;
        }
        Some(match i16::from_be_bytes([c, d]) {
            0 => Self::Abort,
            1 => Self::Commit,
            2 => Self::LeaderChange,
            3 => Self::SnapshotHeader,
            4 => Self::SnapshotFooter,
            5 => Self::KraftVersion,
            6 => Self::KraftVoters,
            id => Self::Unknown(id),
        })
    }

    /// The key of a control record of this type.
    #[must_use]
    pub const fn to_key(self) -> [u8; 4] {
        let [a, b] = KEY_VERSION.to_be_bytes();
        let [c, d] = self.id().to_be_bytes();
        [a, b, c, d]
    }
}

/// How a transaction ended, written into every partition that took part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndTransactionMarker {
    pub is_commit: bool,
    pub coordinator_epoch: i32,
}

impl EndTransactionMarker {
    /// Reads a marker from a control record; `None` where it is another kind or too short.
    #[must_use]
    pub fn read(key: &[u8], value: &[u8]) -> Option<Self> {
        let is_commit = match ControlType::from_key(key)? {
            ControlType::Commit => true,
            ControlType::Abort => false,
            _ => return None,
        };
        let [a, b, epoch @ ..] = *value.first_chunk::<6>()?;
        if i16::from_be_bytes([a, b]) < MARKER_VERSION {
            return None;
        }
        Some(Self { is_commit, coordinator_epoch: i32::from_be_bytes(epoch) })
    }

    /// Writes the batch that ends a producer's transaction in a partition behind what `out`
    /// holds.
    pub fn build(
        self,
        base_offset: Offset,
        producer_id: ProducerId,
        producer_epoch: ProducerEpoch,
        now_ms: i64,
        out: &mut Vec<u8>,
    ) -> Result<(), BuildError> {
        let kind = if self.is_commit { ControlType::Commit } else { ControlType::Abort };
        let mut value = Vec::with_capacity(6);
        value.extend_from_slice(&MARKER_VERSION.to_be_bytes());
        value.extend_from_slice(&self.coordinator_epoch.to_be_bytes());
        let mut builder = BatchBuilder::new(base_offset)
            .with_producer(producer_id, producer_epoch, -1)
            .with_transactional()
            .with_control();
        builder.append(now_ms, Some(&kind.to_key()), Some(&value), []);
        builder.build(out).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_as_written_and_newer_ones_are_told_apart() {
        for id in -1..9 {
            let key = ControlType::Unknown(id).to_key();
            let read = ControlType::from_key(&key).unwrap();
            assert_eq!(read.to_key(), key);
            assert_eq!(matches!(read, ControlType::Unknown(_)), !(0..7).contains(&id), "{id}");
        }
        assert_eq!(ControlType::from_key(&[0, 0, 0]), None);
        assert_eq!(ControlType::from_key(&[0xff, 0xff, 0, 1]), None, "a negative version");
        // A newer version may be longer.
        assert_eq!(ControlType::from_key(&[0, 1, 0, 1, 9, 9]), Some(ControlType::Commit));
        let leader = ControlType::LeaderChange.to_key();
        assert_eq!(EndTransactionMarker::read(&leader, &[0; 6]), None);
        assert_eq!(EndTransactionMarker::read(&ControlType::Abort.to_key(), &[0; 5]), None);
    }
}

//! The entries of a round as bytes (`docs/formats/journal.md`).
//!
//! Writing hands out the header alone, so that a batch goes to the disk from where it lies. Reading
//! borrows, and trusts nothing that its checksums do not prove.

use milena_protocol::{
    Offset, Uuid,
    records::{BatchHeader, HEADER_LEN, checksum, crc32c, crc32c_append},
};

use super::round::RoundKey;

pub(super) const ENTRY_HEADER_LEN: usize = 16;
/// An `Append`'s bytes before its batch: entry header, segment and position.
pub(super) const APPEND_HEADER_LEN: usize = ENTRY_HEADER_LEN + 12;
/// What Kafka's own checksum of a batch leaves out.
const UNCOVERED: usize = 21;

/// Where in a log's files something lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub segment: Offset,
    pub position: u32,
}

/// Why a partition leaves the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CloseReason {
    Deleted,
    Moved,
    NotJournalled,
}

/// One thing that happened to one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Entry<'a> {
    Open { topic_id: Uuid, partition: i32, topic: &'a str },
    Append { place: Place, batch: &'a [u8] },
    Truncate { to: Offset, place: Place },
    Reset { start: Offset },
    LogStart { offset: Offset },
    Close(CloseReason),
}

impl Entry<'_> {
    const fn kind(&self) -> u8 {
        match self {
            Self::Open { .. } => 1,
            Self::Append { .. } => 2,
            Self::Truncate { .. } => 3,
            Self::Reset { .. } => 4,
            Self::LogStart { .. } => 5,
            Self::Close(_) => 6,
        }
    }

    /// Writes the entry, but of an `Append` only what stands before its batch.
    pub(super) fn write(&self, alias: u32, key: &RoundKey, out: &mut Vec<u8>) {
        let start = out.len();
        let batch: &[u8] = if let Entry::Append { batch, .. } = self { batch } else { &[] };
        out.extend_from_slice(&[self.kind(), 0, 0, 0]);
        out.extend_from_slice(&alias.to_be_bytes());
        out.extend_from_slice(&[0; 8]);
        match self {
            Self::Open { topic_id, partition, topic } => {
                out.extend_from_slice(&topic_id.to_be_bytes());
                out.extend_from_slice(&partition.to_be_bytes());
                out.extend_from_slice(topic.as_bytes());
            }
            Self::Append { place, .. } => put_place(out, place),
            Self::Truncate { to, place } => {
                out.extend_from_slice(&to.0.to_be_bytes());
                put_place(out, place);
            }
            Self::Reset { start: offset } | Self::LogStart { offset } => {
                out.extend_from_slice(&offset.0.to_be_bytes());
            }
            Self::Close(reason) => out.push(*reason as u8),
        }
        let body = out.len() - start - ENTRY_HEADER_LEN + batch.len();
        fill(out, start + 8, &(body as u32).to_be_bytes());
        let crc = seal(key, out.get(start..).unwrap_or_default(), batch);
        fill(out, start + 12, &crc.to_be_bytes());
    }

    /// Reads the entry at the start of `bytes`: its alias, itself, and how many bytes it took.
    /// `None` where no checksum proves it.
    pub(super) fn read<'a>(bytes: &'a [u8], key: &RoundKey) -> Option<(u32, Entry<'a>, usize)> {
        let header = bytes.first_chunk::<ENTRY_HEADER_LEN>()?;
        let [kind, _, _, _, a0, a1, a2, a3, l0, l1, l2, l3, c0, c1, c2, c3] = *header;
        let alias = u32::from_be_bytes([a0, a1, a2, a3]);
        let len = u32::from_be_bytes([l0, l1, l2, l3]) as usize;
        let body = bytes.get(ENTRY_HEADER_LEN..)?.get(..len)?;
        let (fields, batch) = if kind == 2 { body.split_at_checked(12)? } else { (body, &[][..]) };
        let head = bytes.get(..ENTRY_HEADER_LEN + fields.len())?;
        if seal(key, head, batch) != u32::from_be_bytes([c0, c1, c2, c3]) {
            return None;
        }
        let entry = match kind {
            1 => {
                let (topic_id, rest) = fields.split_first_chunk::<16>()?;
                let (partition, topic) = rest.split_first_chunk::<4>()?;
                Entry::Open {
                    topic_id: Uuid::from_be_bytes(*topic_id),
                    partition: i32::from_be_bytes(*partition),
                    topic: str::from_utf8(topic).ok()?,
                }
            }
            2 if is_whole(batch) => Entry::Append { place: place(fields)?, batch },
            3 => {
                let (to, rest) = fields.split_first_chunk::<8>()?;
                Entry::Truncate { to: Offset(i64::from_be_bytes(*to)), place: place(rest)? }
            }
            4 => Entry::Reset { start: offset(fields)? },
            5 => Entry::LogStart { offset: offset(fields)? },
            6 => Entry::Close(match fields {
                [0] => CloseReason::Deleted,
                [1] => CloseReason::Moved,
                [2] => CloseReason::NotJournalled,
                _ => return None,
            }),
            _ => return None,
        };
        Some((alias, entry, ENTRY_HEADER_LEN + len))
    }
}

/// The entry's checksum: the ring's key, the round's sequence, all of `head` but the checksum
/// itself, and of a batch what its own checksum leaves out.
fn seal(key: &RoundKey, head: &[u8], batch: &[u8]) -> u32 {
    let crc = crc32c_append(crc32c(&key.ring.0), &key.sequence.to_be_bytes());
    let crc = crc32c_append(crc, head.get(..12).unwrap_or_default());
    let crc = crc32c_append(crc, head.get(ENTRY_HEADER_LEN..).unwrap_or_default());
    crc32c_append(crc, batch.get(..UNCOVERED.min(batch.len())).unwrap_or_default())
}

fn is_whole(batch: &[u8]) -> bool {
    BatchHeader::read(batch)
        .is_ok_and(|h| h.size_in_bytes() == batch.len() && h.crc == checksum(batch))
        && batch.len() >= HEADER_LEN
}

fn put_place(out: &mut Vec<u8>, place: &Place) {
    out.extend_from_slice(&place.segment.0.to_be_bytes());
    out.extend_from_slice(&place.position.to_be_bytes());
}

fn place(bytes: &[u8]) -> Option<Place> {
    let (segment, rest) = bytes.split_first_chunk::<8>()?;
    let position = rest.first_chunk::<4>()?;
    Some(Place {
        segment: Offset(i64::from_be_bytes(*segment)),
        position: u32::from_be_bytes(*position),
    })
}

fn offset(bytes: &[u8]) -> Option<Offset> {
    Some(Offset(i64::from_be_bytes(*bytes.first_chunk::<8>()?)))
}

fn fill(out: &mut [u8], at: usize, bytes: &[u8]) {
    if let Some(place) = out.get_mut(at..at + bytes.len()) {
        place.copy_from_slice(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::{super::round::RingKey, *};
    use crate::testing::batch;

    const KEY: RoundKey = RoundKey { ring: RingKey([7; 16]), sequence: 5 };

    fn written(entry: &Entry<'_>) -> Vec<u8> {
        let mut bytes = Vec::new();
        entry.write(9, &KEY, &mut bytes);
        if let Entry::Append { batch, .. } = entry {
            bytes.extend_from_slice(batch);
        }
        bytes
    }

    #[test]
    fn every_entry_reads_back_and_no_flipped_bit_passes() {
        let batch = batch(5, 3);
        let place = Place { segment: Offset(2), position: 77 };
        let entries = [
            Entry::Open { topic_id: Uuid::from_u128(3), partition: 4, topic: "orders" },
            Entry::Append { place, batch: &batch },
            Entry::Truncate { to: Offset(11), place },
            Entry::Reset { start: Offset(12) },
            Entry::LogStart { offset: Offset(13) },
            Entry::Close(CloseReason::Moved),
        ];
        for entry in &entries {
            let mut bytes = written(entry);
            let len = bytes.len();
            assert_eq!(Entry::read(&bytes, &KEY), Some((9, entry.clone(), len)));
            let other = RoundKey { ring: RingKey([8; 16]), ..KEY };
            assert_eq!(Entry::read(&bytes, &other), None, "another ring's entry");
            let before = RoundKey { sequence: 4, ..KEY };
            assert_eq!(Entry::read(&bytes, &before), None, "another round's entry");
            for bit in 0..len * 8 {
                // The three spare bytes are covered too.
                bytes[bit / 8] ^= 1 << (bit % 8);
                assert_eq!(Entry::read(&bytes, &KEY), None, "bit {bit} of {entry:?}");
                bytes[bit / 8] ^= 1 << (bit % 8);
            }
        }
    }
}

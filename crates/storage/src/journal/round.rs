//! The header of a journal file and of a round as bytes (`docs/formats/journal.md`).

use milena_protocol::records::{crc32c, crc32c_append};

/// Rounds start and end on blocks, so that a torn write can hurt nothing but its own round.
pub(crate) const BLOCK: u64 = 4096;
pub(super) const ROUND_HEADER_LEN: usize = 64;
pub(super) const FILE_HEADER_LEN: usize = 52;
const FILE_MAGIC: [u8; 8] = *b"MILENAJ2";
pub(super) const ROUND_MAGIC: [u8; 4] = *b"MJRD";

/// The secret in every checksum of a ring; it keeps a record from posing as a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RingKey(pub [u8; 16]);

/// What the checksums of a round's entries begin with: what an earlier round has left in the same
/// blocks proves nothing in this one, however much alike they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RoundKey {
    pub ring: RingKey,
    pub sequence: u64,
}

/// What block 0 of a journal file says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FileHeader {
    pub directory_id: [u8; 16],
    pub key: RingKey,
    pub len: u64,
}

impl FileHeader {
    pub(super) fn to_bytes(self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(FILE_HEADER_LEN);
        bytes.extend_from_slice(&FILE_MAGIC);
        bytes.extend_from_slice(&self.directory_id);
        bytes.extend_from_slice(&self.key.0);
        bytes.extend_from_slice(&self.len.to_be_bytes());
        let crc = crc32c(&bytes);
        bytes.extend_from_slice(&crc.to_be_bytes());
        bytes
    }

    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let (body, rest) = bytes.split_at_checked(FILE_HEADER_LEN - 4)?;
        let crc = u32::from_be_bytes(*rest.first_chunk()?);
        let (magic, body_rest) = body.split_first_chunk::<8>()?;
        let (directory_id, body_rest) = body_rest.split_first_chunk::<16>()?;
        let (key, body_rest) = body_rest.split_first_chunk::<16>()?;
        let len = u64::from_be_bytes(*body_rest.first_chunk()?);
        (*magic == FILE_MAGIC && crc == crc32c(body)).then_some(Self {
            directory_id: *directory_id,
            key: RingKey(*key),
            len,
        })
    }
}

/// What stands in front of a round's entries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct RoundHeader {
    pub entries: u32,
    pub sequence: u64,
    pub tail: u64,
    pub durable_through: u64,
    pub generation: u64,
    /// Bytes of the entries.
    pub len: u64,
}

impl RoundHeader {
    pub(super) fn to_bytes(self, key: &RingKey) -> [u8; ROUND_HEADER_LEN] {
        let mut bytes = Vec::with_capacity(ROUND_HEADER_LEN);
        bytes.extend_from_slice(&ROUND_MAGIC);
        bytes.extend_from_slice(&self.entries.to_be_bytes());
        for number in [self.sequence, self.tail, self.durable_through, self.generation, self.len] {
            bytes.extend_from_slice(&number.to_be_bytes());
        }
        let crc = crc32c_append(crc32c(&key.0), &bytes);
        bytes.extend_from_slice(&crc.to_be_bytes());
        bytes.resize(ROUND_HEADER_LEN, 0);
        bytes.try_into().unwrap_or([0; ROUND_HEADER_LEN])
    }

    pub(super) fn read(bytes: &[u8], key: &RingKey) -> Option<Self> {
        let (body, rest) = bytes.split_at_checked(48)?;
        let crc = u32::from_be_bytes(*rest.first_chunk()?);
        if !body.starts_with(&ROUND_MAGIC) || bytes.get(52..ROUND_HEADER_LEN)? != [0; 12] {
            return None;
        }
        if crc != crc32c_append(crc32c(&key.0), body) {
            return None;
        }
        let number = |at: usize| Some(u64::from_be_bytes(*body.get(at..)?.first_chunk()?));
        Some(Self {
            entries: u32::from_be_bytes(*body.get(4..)?.first_chunk()?),
            sequence: number(8)?,
            tail: number(16)?,
            durable_through: number(24)?,
            generation: number(32)?,
            len: number(40)?,
        })
    }

    /// Blocks that a round with this many bytes of entries takes, in bytes.
    pub(super) const fn padded(entries_len: u64) -> u64 {
        (ROUND_HEADER_LEN as u64 + entries_len).div_ceil(BLOCK) * BLOCK
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_read_back_and_no_flipped_bit_passes() {
        let key = RingKey([1; 16]);
        let file = FileHeader { directory_id: [2; 16], key, len: 1 << 20 };
        let mut bytes = file.to_bytes();
        assert_eq!(FileHeader::read(&bytes), Some(file));
        for bit in 0..bytes.len() * 8 {
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(FileHeader::read(&bytes), None);
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
        let round = RoundHeader {
            entries: 3,
            sequence: 9,
            tail: 4,
            durable_through: 8,
            generation: 2,
            len: 5000,
        };
        let mut bytes = round.to_bytes(&key);
        assert_eq!(RoundHeader::read(&bytes, &key), Some(round));
        assert_eq!(RoundHeader::padded(round.len), 2 * BLOCK);
        for bit in 0..bytes.len() * 8 {
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(RoundHeader::read(&bytes, &key), None, "bit {bit}");
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
    }
}

//! The 128-bit ids of topics, directories, clusters and members, and Kafka's text form of them.

use std::fmt;
use std::str::FromStr;

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
const TEXT_LENGTH: usize = 22;

/// A 128-bit id. Its text form is base64 in the URL alphabet, without padding, as Kafka prints
/// and reads it.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uuid([u8; 16]);

/// Why a text is not an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an id has 22 characters of A-Z, a-z, 0-9, - and _, of which the last is A, Q, g or w")]
pub struct UuidError;

impl Uuid {
    /// The id that means "none".
    pub const ZERO: Self = Self([0; 16]);
    /// The id of the topic `__cluster_metadata`.
    pub const CLUSTER_METADATA: Self = Self::from_u128(1);

    /// The id with these bits, the highest first.
    #[must_use]
    pub const fn from_u128(bits: u128) -> Self {
        Self(bits.to_be_bytes())
    }

    /// The id as it lies on the wire.
    #[must_use]
    pub const fn from_be_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The bytes as they lie on the wire.
    #[must_use]
    pub const fn to_be_bytes(self) -> [u8; 16] {
        self.0
    }
}

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bits = u128::from_be_bytes(self.0);
        let mut text = [0; TEXT_LENGTH];
        for (at, slot) in text.iter_mut().enumerate() {
            // 22 characters hold 132 bits: the last four are zero.
            let six = match 122_usize.checked_sub(6 * at) {
                Some(shift) => (bits >> shift) & 63,
                None => (bits << 4) & 63,
            };
            *slot = ALPHABET.get(six as usize).copied().unwrap_or_default();
        }
        f.write_str(std::str::from_utf8(&text).unwrap_or_default())
    }
}

impl fmt::Debug for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Uuid {
    type Err = UuidError;

    fn from_str(text: &str) -> Result<Self, UuidError> {
        let (last, head) = text.as_bytes().split_last().ok_or(UuidError)?;
        if text.len() != TEXT_LENGTH {
            return Err(UuidError);
        }
        let mut bits = 0_u128;
        for character in head {
            bits = bits << 6 | six_bits(*character)?;
        }
        let last = six_bits(*last)?;
        if last & 15 != 0 {
            return Err(UuidError);
        }
        Ok(Self::from_u128(bits << 2 | last >> 4))
    }
}

fn six_bits(character: u8) -> Result<u128, UuidError> {
    let place = ALPHABET.iter().position(|known| *known == character).ok_or(UuidError)?;
    Ok(place as u128)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_form_is_kafkas() {
        assert_eq!(Uuid::ZERO.to_string(), "AAAAAAAAAAAAAAAAAAAAAA");
        assert_eq!(Uuid::CLUSTER_METADATA.to_string(), "AAAAAAAAAAAAAAAAAAAAAQ");
        let id = Uuid::from_u128(0x0123_4567_89ab_cdef_fedc_ba98_7654_3210);
        assert_eq!(id.to_string(), "ASNFZ4mrze_-3LqYdlQyEA");
        assert_eq!("ASNFZ4mrze_-3LqYdlQyEA".parse(), Ok(id));
    }

    #[test]
    fn a_text_that_kafka_would_not_print_is_refused() {
        for text in
            ["", "A", "AAAAAAAAAAAAAAAAAAAAAAA", "AAAAAAAAAAAAAAAAAAAAA=", "AAAAAAAAAAAAAAAAAAAAAB"]
        {
            assert_eq!(text.parse::<Uuid>(), Err(UuidError), "{text}");
        }
    }
}

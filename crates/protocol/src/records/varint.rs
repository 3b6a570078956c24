//! Kafka's signed varints inside records: zigzag, seven bits to a byte, at most five bytes for an
//! `i32` and ten for an `i64`.
//!
//! The reader takes a slice and a position and gives the position behind the number, so that a
//! record is walked without any slice being cut. It refuses numbers that are cut off and numbers
//! that do not fit; both are `None`.

/// The longest varint that a record can hold.
pub(super) const VARLONG_LEN_MAX: usize = 10;

/// Reads an `i32` at `at`; lengths of one and two bytes are nearly all there are.
#[inline(always)]
pub(super) fn read_i32(bytes: &[u8], at: usize) -> Option<(i32, usize)> {
    let first = *bytes.get(at)?;
    if first < 0x80 {
        return Some((unzigzag32(u32::from(first)), at + 1));
    }
    let second = *bytes.get(at + 1)?;
    if second < 0x80 {
        let raw = u32::from(first & 0x7f) | u32::from(second) << 7;
        return Some((unzigzag32(raw), at + 2));
    }
    read_long_i32(bytes, at)
}

#[cold]
fn read_long_i32(bytes: &[u8], at: usize) -> Option<(i32, usize)> {
    let (raw, next) = read_u64(bytes, at, 5)?;
    Some((unzigzag32(u32::try_from(raw).ok()?), next))
}

/// Reads an `i64` at `at`.
#[inline(always)]
pub(super) fn read_i64(bytes: &[u8], at: usize) -> Option<(i64, usize)> {
    let first = *bytes.get(at)?;
    if first < 0x80 {
        return Some((unzigzag64(u64::from(first)), at + 1));
    }
    let (raw, next) = read_u64(bytes, at, VARLONG_LEN_MAX)?;
    Some((unzigzag64(raw), next))
}

#[inline]
fn read_u64(bytes: &[u8], at: usize, len_max: usize) -> Option<(u64, usize)> {
    let mut raw = 0u64;
    for index in 0..len_max {
        let byte = *bytes.get(at + index)?;
        let shift = 7 * index as u32;
        // The tenth byte has room for one bit.
        if shift == 63 && byte > 1 {
            return None;
        }
        raw |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some((raw, at + index + 1));
        }
    }
    None
}

pub(super) fn write_i32(out: &mut Vec<u8>, value: i32) {
    write_i64(out, i64::from(value));
}

pub(super) fn write_i64(out: &mut Vec<u8>, value: i64) {
    let mut raw = zigzag64(value);
    while raw >= 0x80 {
        out.push(raw as u8 | 0x80);
        raw >>= 7;
    }
    out.push(raw as u8);
}

/// How many bytes `value` takes; an `i32` takes as many as the same number as `i64`.
pub(super) const fn len_i64(value: i64) -> usize {
    let bits = 64 - zigzag64(value).leading_zeros() as usize;
    if bits == 0 { 1 } else { bits.div_ceil(7) }
}

const fn zigzag64(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

const fn unzigzag64(raw: u64) -> i64 {
    (raw >> 1) as i64 ^ -((raw & 1) as i64)
}

pub(super) const fn unzigzag32(raw: u32) -> i32 {
    (raw >> 1) as i32 ^ -((raw & 1) as i32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_survive_and_know_their_length() {
        let edges = [0, 1, -1, 63, 64, -64, -65, 8191, 8192, i64::from(i32::MAX)];
        for value in edges.into_iter().chain([i64::from(i32::MIN), i64::MAX, i64::MIN]) {
            let mut out = vec![0xee];
            write_i64(&mut out, value);
            assert_eq!(out.len() - 1, len_i64(value), "{value}");
            assert_eq!(read_i64(&out, 1), Some((value, out.len())), "{value}");
            let small = i32::try_from(value).ok().map(|small| (small, out.len()));
            assert_eq!(read_i32(&out, 1), small, "{value}");
        }
    }

    #[test]
    fn too_long_or_cut_off_is_refused() {
        assert_eq!(read_i32(&[0xff, 0xff, 0xff, 0xff, 0x1f], 0), None, "33 bits");
        assert_eq!(read_i32(&[0x80, 0x80, 0x80, 0x80, 0x80, 0], 0), None, "six bytes");
        assert_eq!(read_i32(&[0x80], 0), None);
        let mut long = [0xff; 10];
        assert_eq!(read_i64(&long, 0), None);
        long[9] = 2;
        assert_eq!(read_i64(&long, 0), None, "65 bits");
        long[9] = 1;
        assert_eq!(read_i64(&long, 0), Some((i64::MIN, 10)));
    }
}

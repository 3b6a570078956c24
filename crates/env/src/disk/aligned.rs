//! Memory for writes past the page cache, which the device reads itself: it begins where a block
//! does. Filled by copying, and kept for the next write.

use std::io::IoSlice;

/// Position, length and memory of a write past the page cache are multiples of this. No device or
/// file system in use asks for more.
pub(super) const BLOCK: usize = 4096;

/// A buffer that begins at a block's boundary somewhere within its allocation.
#[derive(Debug, Default)]
pub struct AlignedMemory {
    bytes: Vec<u8>,
}

impl AlignedMemory {
    /// A copy of `slices`, one after the other.
    pub(super) fn copy_of(&mut self, slices: &[IoSlice<'_>]) -> &[u8] {
        let len: usize = slices.iter().map(|slice| slice.len()).sum();
        if self.bytes.len() < len + BLOCK {
            self.bytes = vec![0; len.next_power_of_two() + BLOCK];
        }
        let from = self.bytes.as_ptr().align_offset(BLOCK);
        let whole = self.bytes.get_mut(from..from + len).unwrap_or_default();
        let mut rest = &mut *whole;
        for slice in slices {
            let (to, others) = rest.split_at_mut(slice.len());
            to.copy_from_slice(slice);
            rest = others;
        }
        whole
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_is_aligned_and_whole_whatever_the_slices_are() {
        let mut memory = AlignedMemory::default();
        for pieces in [&[1, 0, 4095][..], &[4096], &[9_000, 3_288], &[], &[64, 3_000, 1_032]] {
            let pieces: Vec<Vec<u8>> =
                pieces.iter().enumerate().map(|(n, len)| vec![n as u8 + 1; *len]).collect();
            let slices: Vec<IoSlice<'_>> = pieces.iter().map(|piece| IoSlice::new(piece)).collect();
            let copy = memory.copy_of(&slices);
            assert_eq!(copy, pieces.concat());
            assert_eq!(copy.as_ptr().align_offset(BLOCK), 0);
        }
    }
}

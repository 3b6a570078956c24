//! The small binary formats are read field by field, in order.

/// The next field of some bytes, which are then behind it; `None` where they end within it.
pub(crate) fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (field, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(*field)
}

//! Which partition of an internal topic a key belongs to.

/// The partition of `key`: its hash as Java computes it, modulo `partitions`. It decides where the
/// state of every group lies on disk, so it is Kafka's for ever.
pub(crate) fn partition_of(key: &str, partitions: i32) -> i32 {
    let hash = key
        .encode_utf16()
        .fold(0_i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)));
    // Java's absolute value of the smallest number is 0 here, as in Kafka.
    let hash = if hash == i32::MIN { 0 } else { hash.abs() };
    hash.checked_rem(partitions).unwrap_or(0)
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn a_group_lies_where_kafka_puts_it() {
        // Java: Math.abs("...".hashCode()) % 50
        assert_eq!(partition_of("", 50), 0);
        assert_eq!(partition_of("a", 50), 47);
        assert_eq!(partition_of("console-consumer-1", 50), 24);
        assert_eq!(partition_of("gr\u{fc}ppe \u{1f600}", 50), 7);
    }

    #[test]
    fn the_smallest_hash_has_a_place_too() {
        assert_eq!(partition_of("polygenelubricants", 50), 0, "its hash is the smallest number");
    }
}

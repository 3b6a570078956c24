//! What a group knows of its topics, as one number: another number, another epoch.
//!
//! The numbers are Kafka's (XXH3 over the same bytes), so that a group that comes from there need
//! not be rebalanced.

use milena_metadata::image::{MetadataImage, Topic};
use twox_hash::XxHash3_64;

/// The first byte of what is hashed: of this way to do it.
const MAGIC: u8 = 0;

/// Over topics in the order of their names; those that are not there do not count.
pub(super) fn of_topics<'a>(names: impl Iterator<Item = &'a str>, image: &MetadataImage) -> i64 {
    let mut bytes = Vec::new();
    for topic in names.filter_map(|name| image.topics.by_name(name)) {
        bytes.extend(of_topic(topic, image).to_le_bytes());
    }
    if bytes.is_empty() { 0 } else { XxHash3_64::oneshot(&bytes).cast_signed() }
}

fn of_topic(topic: &Topic, image: &MetadataImage) -> i64 {
    let mut bytes = vec![MAGIC];
    let (high, low) = split(topic.id.to_be_bytes());
    bytes.extend(high.to_le_bytes());
    bytes.extend(low.to_le_bytes());
    put_text(&mut bytes, &topic.name);
    let count = topic.partition_count() as i32;
    bytes.extend(count.to_le_bytes());
    for index in 0..count {
        bytes.extend(index.to_le_bytes());
        let mut racks: Vec<Vec<u16>> =
            racks_of(topic, index, image).map(|rack| rack.encode_utf16().collect()).collect();
        racks.sort_unstable();
        for rack in racks {
            bytes.extend((rack.len() as i32).to_le_bytes());
            put_units(&mut bytes, rack.into_iter());
        }
    }
    XxHash3_64::oneshot(&bytes).cast_signed()
}

/// The racks in which a partition has replicas, one for each replica whose rack is known.
pub(super) fn racks_of<'a>(
    topic: &'a Topic,
    partition: i32,
    image: &'a MetadataImage,
) -> impl Iterator<Item = &'a str> {
    let replicas = topic.partition(partition).into_iter().flat_map(|it| it.replicas.iter());
    replicas.filter_map(|id| image.cluster.broker(*id)?.rack.as_deref())
}

fn split(id: [u8; 16]) -> (u64, u64) {
    let bits = u128::from_be_bytes(id);
    ((bits >> 64) as u64, bits as u64)
}

/// As Java holds it, with its length behind it.
fn put_text(bytes: &mut Vec<u8>, text: &str) {
    put_units(bytes, text.encode_utf16());
}

fn put_units(bytes: &mut Vec<u8>, units: impl Iterator<Item = u16>) {
    let before = bytes.len();
    bytes.extend(units.flat_map(u16::to_le_bytes));
    let count = (bytes.len() - before) / 2;
    bytes.extend((count as i32).to_le_bytes());
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn text_is_hashed_as_kafka_hashes_it() {
        // Computed by hash4j 0.22, which Kafka uses.
        let mut bytes = Vec::new();
        put_text(&mut bytes, "ab");
        assert_eq!(XxHash3_64::oneshot(&bytes).cast_signed(), 8_853_075_174_099_927_999);
        let mut bytes = vec![MAGIC];
        bytes.extend(1_u64.to_le_bytes());
        bytes.extend(2_u64.to_le_bytes());
        put_text(&mut bytes, "foo");
        bytes.extend([2_i32, 0, 5].iter().flat_map(|it| it.to_le_bytes()));
        put_text(&mut bytes, "rack1");
        bytes.extend(1_i32.to_le_bytes());
        assert_eq!(XxHash3_64::oneshot(&bytes).cast_signed(), 5_981_006_602_373_922_346);
    }
}

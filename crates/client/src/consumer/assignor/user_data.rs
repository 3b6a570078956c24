//! What members of the sticky assignors tell each other inside a subscription, as Kafka's write it:
//! a member of `sticky` what it had and since when, one of `cooperative-sticky` only since when.
//!
//! Read from strangers: what cannot be read is as if it were not there, as with Kafka.

use super::Assignment;

/// What a member of `sticky` has.
pub(crate) fn write_sticky(owned: &Assignment, generation: i32) -> Vec<u8> {
    let mut out = count(owned.len()).to_vec();
    for (topic, partitions) in owned {
        // A topic's name has at most 249 bytes.
        out.extend_from_slice(&i16::try_from(topic.len()).unwrap_or(0).to_be_bytes());
        out.extend_from_slice(topic.as_bytes());
        out.extend_from_slice(&count(partitions.len()));
        partitions.iter().for_each(|at| out.extend_from_slice(&at.to_be_bytes()));
    }
    out.extend_from_slice(&generation.to_be_bytes());
    out
}

/// What a member of `sticky` says it has, and its generation if it is new enough to say it.
pub(crate) fn read_sticky(bytes: &[u8]) -> Option<(Assignment, Option<i32>)> {
    let mut rest = bytes;
    let mut owned = Assignment::new();
    for _ in 0..number(&mut rest)? {
        let length = i16::from_be_bytes(*rest.split_off(..2)?.first_chunk()?);
        let topic = rest.split_off(..usize::try_from(length).ok()?)?;
        let topic = std::str::from_utf8(topic).ok()?;
        let partitions = owned.entry(topic.into()).or_default();
        for _ in 0..number(&mut rest)? {
            partitions.insert(number(&mut rest)?);
        }
    }
    Some((owned, number(&mut rest)))
}

/// The generation of a member of `cooperative-sticky`.
pub(crate) fn write_cooperative(generation: i32) -> Vec<u8> {
    generation.to_be_bytes().to_vec()
}

pub(crate) fn read_cooperative(bytes: &[u8]) -> Option<i32> {
    number(&mut &*bytes)
}

fn number(rest: &mut &[u8]) -> Option<i32> {
    rest.split_off(..4)?.first_chunk().map(|bytes| i32::from_be_bytes(*bytes))
}

fn count(count: usize) -> [u8; 4] {
    i32::try_from(count).unwrap_or(i32::MAX).to_be_bytes()
}

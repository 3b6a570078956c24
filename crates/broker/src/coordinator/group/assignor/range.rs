//! The `range` assignor, which gives exactly what Apache Kafka's gives. What members had before
//! does not count: static members keep theirs because they keep their place in the order.

use std::collections::BTreeMap;

use milena_env::HashMap;
use milena_protocol::Uuid;

use super::{Assignment, Member, Topic};

/// What of a topic is not given yet.
#[derive(Default)]
struct Remainder {
    subscribers: i32,
    next: i32,
    partitions: i32,
}

pub(super) fn assign<'a>(
    members: &BTreeMap<&'a str, Member<'_>>,
    topics: &BTreeMap<Uuid, Topic<'_>>,
) -> BTreeMap<&'a str, Assignment> {
    let mut remainders: HashMap<Uuid, Remainder> = HashMap::default();
    for topic in members.values().flat_map(|member| member.topics) {
        let remainder = remainders.entry(*topic).or_insert_with(|| Remainder {
            partitions: topics.get(topic).map_or(0, |topic| topic.partitions),
            ..Remainder::default()
        });
        remainder.subscribers += 1;
    }
    let mut assignments = BTreeMap::new();
    for (id, member) in in_order(members) {
        let ranges = member.topics.iter().filter_map(|topic| {
            let range = remainders.get_mut(topic)?.next_range();
            (!range.is_empty()).then(|| (*topic, range.collect()))
        });
        assignments.insert(id, ranges.collect());
    }
    assignments
}

/// Static members by their instance, then the others by their id; both as Java compares texts.
fn in_order<'a, 'm>(
    members: &'m BTreeMap<&'a str, Member<'m>>,
) -> impl Iterator<Item = (&'a str, &'m Member<'m>)> {
    let mut order: Vec<_> = members.iter().map(|(id, member)| (*id, member)).collect();
    order.sort_by_cached_key(|(id, member)| {
        let name = member.instance_id.unwrap_or(id);
        (member.instance_id.is_none(), name.encode_utf16().collect::<Vec<u16>>())
    });
    order.into_iter()
}

impl Remainder {
    /// The part of the next subscriber. Where it does not come out even, the first get one more.
    fn next_range(&mut self) -> std::ops::Range<i32> {
        let left = self.partitions - self.next;
        let begin = self.next;
        self.next += left / self.subscribers + i32::from(left % self.subscribers > 0);
        self.subscribers -= 1;
        begin..self.next
    }
}

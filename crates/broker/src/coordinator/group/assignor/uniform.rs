//! The `uniform` assignor: first how many partitions each member is to have, then which ones.
//!
//! Where all members subscribe to the same topics, no two differ by more than one partition, and no
//! assignment as balanced as that moves fewer. Else `balance` says how many of each topic. Racks
//! only decide which ones.

use std::collections::{BTreeMap, BTreeSet};

use milena_protocol::Uuid;

use super::balance::{Shares, balance};
use super::settle::{Owned, Quota, settle};
use super::{Assignment, Member, Topic};

pub(super) fn assign<'a>(
    members: &BTreeMap<&'a str, Member<'_>>,
    topics: &BTreeMap<Uuid, Topic<'_>>,
) -> BTreeMap<&'a str, Assignment> {
    let mut quotas: Vec<_> = members.values().map(|member| Quota::new(member.rack_id)).collect();
    let mut owned: Vec<_> = topics.iter().map(|(id, topic)| Owned::new(*id, topic)).collect();
    if let Some(topics) = the_same_topics(members) {
        owned.retain(|topic| topics.contains(&topic.id));
        keep(&mut owned, members);
        divide(&owned, &mut quotas);
        settle(&mut owned, &mut quotas);
    } else {
        keep(&mut owned, members);
        let mut shares = shares(&owned, members);
        balance(&mut shares, members.len());
        for (topic, shares) in owned.iter_mut().zip(&shares) {
            for part in &shares.parts {
                if let Some(quota) = quotas.get_mut(part.member) {
                    quota.missing = part.wanted as i64 - part.held as i64;
                }
            }
            settle(std::slice::from_mut(topic), &mut quotas);
        }
    }
    assignments(members, &owned)
}

/// What every member subscribes to, where that is the same.
fn the_same_topics<'m>(members: &BTreeMap<&str, Member<'m>>) -> Option<&'m BTreeSet<Uuid>> {
    let mut all = members.values().map(|member| member.topics);
    let first = all.next()?;
    all.all(|topics| std::ptr::eq(topics, first) || topics == first).then_some(first)
}

/// Begins with what members have and still subscribe to.
fn keep(owned: &mut [Owned<'_>], members: &BTreeMap<&str, Member<'_>>) {
    for (place, member) in members.values().enumerate() {
        let subscribed = member.assigned.iter().filter(|(id, _)| member.topics.contains(id));
        for (id, partitions) in subscribed {
            let Some(topic) = find(owned, id).and_then(|at| owned.get_mut(at)) else {
                continue;
            };
            for partition in partitions {
                let at = usize::try_from(*partition).ok();
                if let Some(owner @ None) = at.and_then(|at| topic.owners.get_mut(at)) {
                    *owner = Some(place);
                }
            }
        }
    }
}

fn find(owned: &[Owned<'_>], id: &Uuid) -> Option<usize> {
    owned.binary_search_by_key(id, |topic| topic.id).ok()
}

/// The same for everyone, and one more for as many as it takes: those first who have more now.
fn divide(owned: &[Owned<'_>], quotas: &mut [Quota<'_>]) {
    for owner in owned.iter().flat_map(|topic| &topic.owners).flatten() {
        if let Some(quota) = quotas.get_mut(*owner) {
            quota.missing -= 1;
        }
    }
    let partitions: usize = owned.iter().map(|topic| topic.owners.len()).sum();
    let (Some(fair), Some(over)) =
        (partitions.checked_div(quotas.len()), partitions.checked_rem(quotas.len()))
    else {
        return;
    };
    let fair = fair as i64;
    let has_more = |quota: &Quota<'_>| -quota.missing > fair;
    let mut for_those = over.min(quotas.iter().filter(|quota| has_more(quota)).count());
    let mut for_others = over - for_those;
    for quota in quotas {
        let left = if has_more(quota) { &mut for_those } else { &mut for_others };
        quota.missing += fair + i64::from(*left > 0);
        *left = left.saturating_sub(1);
    }
}

fn shares(owned: &[Owned<'_>], members: &BTreeMap<&str, Member<'_>>) -> Vec<Shares> {
    let mut shares: Vec<_> = owned.iter().map(|topic| Shares::new(topic.owners.len())).collect();
    for (place, member) in members.values().enumerate() {
        for id in member.topics {
            if let Some(topic) = find(owned, id).and_then(|at| shares.get_mut(at)) {
                topic.subscribe(place);
            }
        }
    }
    for (topic, shares) in owned.iter().zip(&mut shares) {
        topic.owners.iter().flatten().for_each(|owner| shares.holds(*owner));
    }
    shares
}

fn assignments<'a>(
    members: &BTreeMap<&'a str, Member<'_>>,
    owned: &[Owned<'_>],
) -> BTreeMap<&'a str, Assignment> {
    let mut assignments = vec![Assignment::new(); members.len()];
    for topic in owned {
        for (partition, owner) in (0..).zip(&topic.owners) {
            if let Some(assignment) = owner.and_then(|owner| assignments.get_mut(owner)) {
                assignment.entry(topic.id).or_default().insert(partition);
            }
        }
    }
    members.keys().copied().zip(assignments).collect()
}

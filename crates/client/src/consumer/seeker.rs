//! The task that finds out where partitions stand, so that they can be fetched: it asks the group
//! and the leaders, and sees to it that every broker in use has a fetcher.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use milena_env::timer;
use tokio::task::JoinHandle;

use super::{
    TopicPartition,
    fetch::fetch_from,
    leaders::{Answers, epoch_ends, list_offsets},
    offsets::fetch_offsets,
    partitions::Wanted,
    shared::Shared,
};
use crate::error::{Error, Result};

pub(super) async fn seek_on(shared: Arc<Shared>) {
    let mut views = shared.cluster.watch();
    let mut changed = shared.changed.subscribe();
    let mut fetchers: BTreeMap<i32, JoinHandle<()>> = BTreeMap::new();
    // How often in vain, and when next, it was looked who leads what.
    let (mut blind, mut look_at) = (0, Duration::ZERO);
    while !shared.is_closed() {
        changed.borrow_and_update();
        let view = Arc::clone(&views.borrow_and_update());
        let (now, wall_ms) = (shared.now(), shared.cluster.clock().now_ms());
        let until = now + shared.config.client.request_timeout;
        let (topics, lookups, next) = {
            let mut partitions = shared.partitions();
            partitions.learn(&view);
            let lookups = partitions.lookups(&view, now, until, wall_ms);
            (partitions.assignment(), lookups, partitions.next_attempt(now))
        };
        let names = topics.iter().map(|partition| &*partition.topic);
        shared.cluster.want(names, shared.config.allow_auto_create_topics);
        for id in view.brokers.keys().filter(|_| !topics.is_empty()) {
            if fetchers.get(id).is_none_or(JoinHandle::is_finished) {
                fetchers.insert(*id, tokio::spawn(fetch_from(Arc::clone(&shared), *id)));
            }
        }
        if !lookups.committed.is_empty() {
            tokio::spawn(find_committed(Arc::clone(&shared), lookups.committed));
        }
        for (node, asked) in lookups.offsets {
            tokio::spawn(find_offsets(Arc::clone(&shared), node, asked));
        }
        for (node, asked) in lookups.epochs {
            tokio::spawn(find_epochs(Arc::clone(&shared), node, asked));
        }
        let mut wait = shared.config.client.metadata_max_idle / 2;
        if lookups.is_blind {
            if now >= look_at {
                shared.cluster.refresh();
                look_at = now + shared.cluster.retry_pause(blind);
                blind += 1;
            }
            wait = wait.min(look_at.saturating_sub(now));
        } else {
            blind = 0;
        }
        wait = next.map_or(wait, |next| wait.min(next - now));
        let something = async {
            tokio::select! {
                _ = changed.changed() => {}
                _ = views.changed() => shared.change(),
                () = shared.closed() => {}
            }
        };
        timer::timeout(wait, something).await;
    }
    for fetcher in fetchers.into_values() {
        // It ends its session by itself; this only waits for that.
        let _ = fetcher.await;
    }
}

async fn find_committed(shared: Arc<Shared>, asked: Vec<(TopicPartition, u64)>) {
    let Some(group_id) = shared.config.group_id.as_deref() else { return };
    let names: Vec<_> = asked.iter().map(|(partition, _)| partition.clone()).collect();
    let member = shared.membership.identity();
    let found = fetch_offsets(&shared.cluster, group_id, &member, &names).await;
    let now = shared.now();
    let mut partitions = shared.partitions();
    for (partition, incarnation) in asked {
        match &found {
            Ok(found) => {
                let committed = found.get(&partition).cloned().flatten();
                partitions.found_committed(&partition, incarnation, committed);
            }
            Err(error) => {
                let error = as_retriable(error);
                let pause = |failures| shared.cluster.retry_pause(failures);
                partitions.not_found(&partition, incarnation, &error, now, pause);
            }
        }
    }
    drop(partitions);
    shared.change();
    shared.filled.notify_one();
}

/// A member that is behind hears so from the group; until then it asks again.
fn as_retriable(error: &Error) -> Error {
    use milena_protocol::ErrorCode::{
        CoordinatorLoadInProgress, StaleMemberEpoch, UnknownMemberId,
    };
    match error {
        Error::Broker { what, code: StaleMemberEpoch | UnknownMemberId, detail } => Error::Broker {
            what: what.clone(),
            code: CoordinatorLoadInProgress,
            detail: detail.clone(),
        },
        error => error.clone(),
    }
}

async fn find_offsets(shared: Arc<Shared>, node: i32, asked: Vec<(TopicPartition, Wanted)>) {
    let isolation = shared.config.isolation_level;
    let answers = list_offsets(&shared.cluster, node, isolation, &asked).await;
    settle(&shared, &asked, answers, |partitions, partition, wanted, found| {
        partitions.found_offset(partition, wanted.incarnation, found);
    });
}

async fn find_epochs(shared: Arc<Shared>, node: i32, asked: Vec<(TopicPartition, Wanted)>) {
    let answers = epoch_ends(&shared.cluster, node, &asked).await;
    settle(&shared, &asked, answers, |partitions, partition, wanted, end| {
        partitions.found_epoch(partition, *wanted, end);
    });
}

/// Hands answers, or the lack of them, to the partitions.
fn settle<T>(
    shared: &Shared,
    asked: &[(TopicPartition, Wanted)],
    answers: Result<Answers<T>>,
    found: impl Fn(&mut super::partitions::Partitions, &TopicPartition, &Wanted, T),
) {
    let (mut answers, failure) = match answers {
        Ok(answers) => (answers, None),
        Err(error) => (Answers::new(), Some(error)),
    };
    let now = shared.now();
    let mut has_failed = false;
    let mut partitions = shared.partitions();
    for (partition, wanted) in asked {
        let answer = answers.remove(partition).unwrap_or_else(|| {
            Err(failure.clone().unwrap_or_else(|| {
                let code = milena_protocol::ErrorCode::UnknownServerError;
                Error::broker(format!("ask about {partition}"), code)
            }))
        });
        match answer {
            Ok(answer) => found(&mut partitions, partition, wanted, answer),
            Err(error) => {
                has_failed = true;
                let pause = |failures| shared.cluster.retry_pause(failures);
                partitions.not_found(partition, wanted.incarnation, &error, now, pause);
            }
        }
    }
    drop(partitions);
    if has_failed {
        shared.cluster.refresh();
    }
    shared.change();
    shared.filled.notify_one();
}

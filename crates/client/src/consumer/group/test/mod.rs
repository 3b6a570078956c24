//! Stories of members, and random lives of them.

mod classic;
mod modern;

use std::{collections::BTreeSet, time::Duration};

use milena_protocol::ErrorCode;

use super::{super::TopicPartition, core::*};
use crate::error::Error;

fn times() -> Times {
    Times { heartbeat: seconds(3), poll_max: seconds(300) }
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn partitions(all: impl IntoIterator<Item = i32>) -> BTreeSet<TopicPartition> {
    all.into_iter().map(|at| TopicPartition::new("t", at)).collect()
}

fn error(code: ErrorCode) -> Error {
    Error::broker("x", code)
}

fn revoke<R>(all: impl IntoIterator<Item = i32>, lost: bool) -> Action<R> {
    Action::Revoke { partitions: partitions(all), lost }
}

fn assign<R>(all: impl IntoIterator<Item = i32>) -> Action<R> {
    Action::Assign(partitions(all))
}

fn identify<R>(id: &str, epoch: i32) -> Action<R> {
    Action::Identify { id: id.into(), epoch }
}

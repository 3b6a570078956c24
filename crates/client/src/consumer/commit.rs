//! Committing how far partitions were read.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use milena_env::timer;
use milena_protocol::ErrorCode;

use super::{CommittedOffset, TopicPartition, offsets::commit_offsets, shared::Shared};
use crate::error::{Error, Result};

pub(super) type Offsets = BTreeMap<TopicPartition, CommittedOffset>;

/// Commits, and tries again until it works, cannot work, or takes too long.
pub(super) async fn commit(shared: &Shared, offsets: &Offsets, limit: Duration) -> Result<()> {
    let Some(group_id) = shared.config.group_id.as_deref() else {
        return Err(Error::config("group.id", "nothing can be committed without a group"));
    };
    if offsets.is_empty() {
        return Ok(());
    }
    let mut last = None;
    let attempts = async {
        let _turn = shared.committing.lock().await;
        for failures in 0.. {
            let member = shared.membership.identity();
            if shared.membership.is_outside() {
                let what = format!("commit for {group_id}, of which this is no member now");
                return Err(Error::broker(what, ErrorCode::RebalanceInProgress));
            }
            match commit_offsets(&shared.cluster, group_id, &member, offsets).await {
                Err(error) if is_again(&error) => {
                    tracing::debug!(%error, "committing again");
                    last = Some(Arc::new(error));
                    timer::sleep(shared.cluster.retry_pause(failures)).await;
                }
                done => return done,
            }
        }
        Err(Error::Closed)
    };
    if let Some(done) = timer::timeout(limit, attempts).await {
        return done;
    }
    let (what, key) = (format!("commit for {group_id}").into(), "default.api.timeout.ms");
    Err(Error::Timeout { what, limit, key, last })
}

/// A member of the consumer protocol hears its new epoch with its next heartbeat, and commits as of
/// that one. What a classic group refuses while it rebalances is for the user to think about.
fn is_again(error: &Error) -> bool {
    match error.code() {
        Some(ErrorCode::StaleMemberEpoch) => true,
        Some(ErrorCode::RebalanceInProgress | ErrorCode::UnknownMemberId) => false,
        _ => error.is_retriable(),
    }
}

/// Commits while somebody else does something else; tells in the log if it fails.
pub(super) fn commit_aside(shared: &Arc<Shared>, offsets: Offsets) {
    let shared = Arc::clone(shared);
    tokio::spawn(async move {
        let limit = shared.config.client.default_api_timeout;
        if let Err(error) = commit(&shared, &offsets, limit).await {
            tracing::warn!(%error, "what was read is not committed");
        }
    });
}

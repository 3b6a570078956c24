//! Offsets that nobody has needed for `offsets.retention.minutes` go, and groups with nothing left.

use std::{collections::BTreeSet, sync::Arc};

use super::{
    super::{
        super::{Scene, Transition},
        Group, Groups,
    },
    Commit,
};

/// From when on a group's offsets are no longer needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expiry {
    /// Its members may come back to them at any time.
    Never,
    /// From each commit on: nobody is a member, or none of them reads the topic.
    SinceCommit,
    /// From the moment on when the group became empty.
    Since(i64),
}

impl Expiry {
    fn has_expired(self, commit: &Commit, now_ms: i64, retention_ms: i64) -> bool {
        if commit.expire_ms != -1 {
            return self != Self::Never && now_ms >= commit.expire_ms;
        }
        let since = match self {
            Self::Never => return false,
            Self::SinceCommit => commit.commit_ms,
            Self::Since(since) => since,
        };
        now_ms.saturating_sub(since) >= retention_ms
    }
}

impl Groups {
    pub(crate) fn expire_offsets(&mut self, scene: &mut Scene<'_>) {
        let ids: Vec<Arc<str>> = self.iter().map(|group| Arc::clone(group.id())).collect();
        for id in ids {
            let pending = self.pending.of_group(&id);
            self.on_group(&id, |group| group.expire_offsets(&pending, scene));
        }
    }
}

impl Group {
    fn expire_offsets(&mut self, pending: &BTreeSet<(Box<str>, i32)>, scene: &mut Scene<'_>) {
        let (now, retention) = (scene.now.wall_ms, scene.config.groups.offsets.retention_ms);
        let expiry = self.expiry();
        let mut gone: Vec<(Box<str>, Vec<i32>)> = Vec::new();
        for (topic, partitions) in &self.offsets.topics {
            if self.is_subscribed_to(topic) {
                continue;
            }
            let is_expired = |commit: &Commit| expiry.has_expired(commit, now, retention);
            // What a transaction is about to change is needed.
            let is_pending = |partition| pending.contains(&(topic.clone(), partition));
            let expired = partitions.iter().filter(|(_, commit)| is_expired(commit));
            let expired = expired.filter(|(partition, _)| !is_pending(**partition));
            gone.push((topic.clone(), expired.map(|(partition, _)| *partition).collect()));
        }
        let count: usize = gone.iter().map(|(_, partitions)| partitions.len()).sum();
        if count > 0 {
            tracing::info!(group = %self.id(), count, "offsets expired");
        }
        self.delete_each(&gone, Transition::OffsetExpired, scene);
        if self.offsets.is_empty() && pending.is_empty() && self.has_no_members() {
            if let Err(error) = self.members.delete(scene) {
                tracing::error!(group = %self.id(), %error, "empty group not deleted");
            }
            scene.effects.may_cut();
        }
    }
}

//! What the leader of a partition decides: who is in sync, and how far everybody has everything.
//! Pure: it is told what happens and says what follows.

use milena_protocol::{LeaderEpoch, Offset};

/// A replica as the leader sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Replica {
    id: i32,
    /// Everything below it is durable there.
    end: Offset,
}

/// Leadership of one partition in one epoch.
#[derive(Clone, Debug)]
pub(crate) struct Leader {
    epoch: LeaderEpoch,
    /// Here.
    local_end: Offset,
    /// The other replicas that are in sync.
    in_sync: Vec<Replica>,
    high_watermark: Offset,
}

/// What a request's leader epoch says about its sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EpochCheck {
    Current,
    /// The sender has missed an election: `FENCED_LEADER_EPOCH`.
    Old,
    /// This broker has missed one: `UNKNOWN_LEADER_EPOCH`.
    Unknown,
}

impl Leader {
    /// A leader whose log is durable up to `local_end`, with these other replicas in sync.
    /// Nothing is known of them yet, so the high watermark stands where it stood.
    pub(crate) fn new(
        epoch: LeaderEpoch,
        others_in_sync: &[i32],
        high_watermark: Offset,
        local_end: Offset,
    ) -> Self {
        let replica = |id: &i32| Replica { id: *id, end: high_watermark };
        let in_sync = others_in_sync.iter().map(replica).collect();
        let mut leader = Self { epoch, local_end, in_sync, high_watermark };
        leader.advance();
        leader
    }

    pub(crate) const fn epoch(&self) -> LeaderEpoch {
        self.epoch
    }

    pub(crate) const fn high_watermark(&self) -> Offset {
        self.high_watermark
    }

    /// How many replicas are in sync, this one among them.
    pub(crate) fn in_sync_count(&self) -> usize {
        self.in_sync.len() + 1
    }

    /// A sender that names no epoch is believed.
    pub(crate) fn check_epoch(&self, epoch: i32) -> EpochCheck {
        match epoch {
            ..0 => EpochCheck::Current,
            _ if epoch < self.epoch.0 => EpochCheck::Old,
            _ if epoch > self.epoch.0 => EpochCheck::Unknown,
            _ => EpochCheck::Current,
        }
    }

    /// The log is durable here up to `end`. The new high watermark, if it moved.
    pub(crate) fn local_durable(&mut self, end: Offset) -> Option<Offset> {
        self.local_end = self.local_end.max(end);
        self.advance()
    }

    /// A follower says that it has everything below `end` on disk.
    #[cfg_attr(not(test), expect(dead_code, reason = "one broker has no followers"))]
    pub(crate) fn follower_durable(&mut self, id: i32, end: Offset) -> Option<Offset> {
        let follower = self.in_sync.iter_mut().find(|replica| replica.id == id)?;
        follower.end = follower.end.max(end);
        self.advance()
    }

    /// The high watermark is the smallest end in the ISR, and never goes back.
    fn advance(&mut self) -> Option<Offset> {
        let ends = self.in_sync.iter().map(|replica| replica.end);
        let smallest = ends.fold(self.local_end, Ord::min);
        (smallest > self.high_watermark).then(|| {
            self.high_watermark = smallest;
            smallest
        })
    }
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn alone_it_follows_the_disk() {
        let mut leader = Leader::new(LeaderEpoch(3), &[], Offset(0), Offset(7));
        assert_eq!((leader.high_watermark(), leader.in_sync_count()), (Offset(7), 1));
        assert_eq!(leader.local_durable(Offset(9)), Some(Offset(9)));
        assert_eq!(leader.local_durable(Offset(8)), None, "news that came late");
        assert_eq!(leader.high_watermark(), Offset(9));
    }

    #[test]
    fn with_others_it_is_the_slowest_of_them() {
        let mut leader = Leader::new(LeaderEpoch(3), &[2, 5], Offset(4), Offset(7));
        assert_eq!(leader.high_watermark(), Offset(4), "nobody else has said anything");
        assert_eq!(leader.follower_durable(2, Offset(7)), None);
        assert_eq!(leader.follower_durable(5, Offset(6)), Some(Offset(6)));
        assert_eq!(leader.follower_durable(5, Offset(9)), Some(Offset(7)), "the leader is behind");
        assert_eq!(
            leader.follower_durable(8, Offset(100)),
            None,
            "who is not in sync is not asked"
        );
        assert_eq!(leader.local_durable(Offset(8)), None, "now the other one is");
    }

    #[test]
    fn hostile_30_old_and_unknown_epochs_are_told_apart() {
        let leader = Leader::new(LeaderEpoch(3), &[], Offset(0), Offset(0));
        let answers = [-2, -1, 2, 3, 4].map(|epoch| leader.check_epoch(epoch));
        use EpochCheck::{Current, Old, Unknown};
        assert_eq!(answers, [Current, Current, Old, Current, Unknown]);
    }
}

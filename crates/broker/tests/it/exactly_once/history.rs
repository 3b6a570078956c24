//! What clients asked for, were told and have read, in the order in which they noticed it.
//! It judges nothing: `invariants` do.

use std::collections::BTreeMap;

use milena_protocol::ErrorCode;

/// A partition.
pub(crate) type Place = (&'static str, i32);

/// Every record of it stays.
pub(crate) const OUT: &str = "out";
/// It is compacted, and all records of a partition have one key.
pub(crate) const LATEST: &str = "latest";

/// A record that a transaction has sent.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) place: Place,
    /// No other record has it.
    pub(crate) value: String,
    /// Of which record it is the copy.
    pub(crate) copy_of: Option<Place>,
    pub(crate) number: i64,
    /// Where it was said to be, each time that somebody was told.
    pub(crate) acknowledged: Vec<i64>,
}

/// How far a transaction says that a group has come.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Commit {
    pub(crate) place: Place,
    pub(crate) offset: i64,
    /// When its producer knew that it is pending.
    pub(crate) is_pending_since: Option<u64>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Transaction {
    pub(crate) transactional_id: String,
    pub(crate) producer: i64,
    pub(crate) epoch: i16,
    pub(crate) sent: Vec<Sent>,
    pub(crate) commit: Option<Commit>,
    /// When somebody first asked that it is committed.
    pub(crate) asked_to_commit: Option<u64>,
    /// As its producer was told.
    pub(crate) was_committed: Option<bool>,
}

/// Whoever came as a transactional id, and was told so.
#[derive(Clone, Debug)]
pub(crate) struct Fence {
    pub(crate) transactional_id: String,
    pub(crate) producer: i64,
    pub(crate) epoch: i16,
    pub(crate) at: u64,
}

/// What somebody was told of a group's offset, `None` that it may still change.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    pub(crate) place: Place,
    pub(crate) asked_at: u64,
    pub(crate) offset: Option<i64>,
}

/// How far readers of committed records could read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stable {
    pub(crate) stable: i64,
    pub(crate) high_watermark: i64,
    pub(crate) elapsed_ms: u64,
}

/// What a reader has seen of a partition, with offsets.
pub(crate) type Seen = BTreeMap<Place, Vec<(i64, String)>>;

#[derive(Clone, Debug, Default)]
pub(crate) struct History {
    now: u64,
    pub(crate) transactions: Vec<Transaction>,
    pub(crate) fences: Vec<Fence>,
    pub(crate) told: Vec<Told>,
    pub(crate) stable: BTreeMap<Place, Vec<Stable>>,
    /// Readers that were there all the time, of committed records and of all.
    pub(crate) committed: Seen,
    pub(crate) uncommitted: Seen,
    /// Readers that came at the end.
    pub(crate) committed_at_last: Seen,
    pub(crate) uncommitted_at_last: Seen,
    /// Records behind a gap, and what became of them.
    pub(crate) gaps: Vec<(String, Option<ErrorCode>)>,
    /// How many records there are to be copied.
    pub(crate) inputs: BTreeMap<Place, i64>,
    pub(crate) counts: BTreeMap<&'static str, u64>,
}

impl History {
    /// The next moment.
    pub(crate) fn now(&mut self) -> u64 {
        self.now += 1;
        self.now
    }

    pub(crate) fn count(&mut self, what: &'static str) {
        *self.counts.entry(what).or_default() += 1;
    }

    /// A batch of one record that was sent before is said to be there.
    pub(crate) fn acknowledged(&mut self, value: &str, offset: i64) {
        let sent = self.transactions.iter_mut().rev().flat_map(|it| &mut it.sent);
        let sent = { sent }.find(|it| it.value == value).expect("it was sent");
        sent.acknowledged.push(offset);
        if sent.acknowledged.len() > 1 {
            self.count("acknowledged again");
        }
    }

    /// Whether readers of committed records ever saw anything of it.
    pub(crate) fn is_seen(&self, transaction: &Transaction) -> bool {
        let readers = [&self.committed, &self.committed_at_last];
        transaction.sent.iter().any(|sent| {
            let seen = readers.iter().filter_map(|it| it.get(&sent.place)).flatten();
            { seen }.any(|(_, value)| *value == sent.value)
        })
    }
}

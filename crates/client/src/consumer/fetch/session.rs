//! An incremental fetch session with one broker (KIP-227): what is wanted is told once, then only
//! what has changed. Pure.

use std::collections::BTreeMap;

use milena_protocol::{ErrorCode, Uuid};

use super::super::{TopicPartition, partitions::Asked};

/// Kafka's epochs for a session that is to begin, and for one that is to end.
const BEGIN: i32 = 0;
pub(super) const END: i32 = -1;

/// What the broker remembers of this client.
#[derive(Debug, Default)]
pub(super) struct Session {
    pub(super) id: i32,
    pub(super) epoch: i32,
    /// As the broker knows them.
    known: BTreeMap<TopicPartition, Asked>,
}

/// One request.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) session_id: i32,
    pub(super) session_epoch: i32,
    pub(super) send: Vec<(TopicPartition, Asked)>,
    pub(super) forget: Vec<(TopicPartition, Uuid)>,
}

impl Session {
    /// What to tell the broker, so that it knows that this is wanted and nothing else.
    pub(super) fn plan(&mut self, wanted: BTreeMap<TopicPartition, Asked>) -> Plan {
        let (session_id, session_epoch) = (self.id, self.epoch);
        let mut plan = Plan { session_id, session_epoch, ..Plan::default() };
        if self.epoch == BEGIN {
            plan.send = wanted.iter().map(|(it, asked)| (it.clone(), *asked)).collect();
        } else {
            for (partition, known) in &self.known {
                // A topic that was made anew is another one.
                if wanted.get(partition).is_none_or(|asked| asked.topic_id != known.topic_id) {
                    plan.forget.push((partition.clone(), known.topic_id));
                }
            }
            for (partition, asked) in &wanted {
                let told = self.known.get(partition).copied();
                let is_told = told.is_some_and(|told| told.with_incarnation(asked) == *asked);
                if !is_told {
                    plan.send.push((partition.clone(), *asked));
                }
            }
        }
        self.known = wanted;
        plan
    }

    /// What was asked of a partition, if it still is in the session.
    pub(super) fn asked(&self, partition: &TopicPartition) -> Option<&Asked> {
        self.known.get(partition)
    }

    pub(super) fn wanted(&self) -> impl Iterator<Item = (&TopicPartition, &Asked)> {
        self.known.iter()
    }

    /// The broker has answered; true if the answer's partitions count.
    pub(super) fn answered(&mut self, error: ErrorCode, session_id: i32) -> bool {
        match error {
            ErrorCode::None if self.epoch == BEGIN => {
                // Without an id the broker has no room for a session.
                (self.id, self.epoch) = (session_id, i32::from(session_id != 0));
                true
            }
            ErrorCode::None => {
                self.epoch = self.epoch.checked_add(1).unwrap_or(1);
                true
            }
            ErrorCode::FetchSessionIdNotFound => {
                (self.id, self.epoch) = (0, BEGIN);
                false
            }
            _ => {
                self.failed();
                false
            }
        }
    }

    /// No answer came, or one that makes no sense: the next request ends this session and begins
    /// another.
    pub(super) fn failed(&mut self) {
        self.epoch = BEGIN;
    }
}

impl Asked {
    /// The broker does not know of incarnations.
    fn with_incarnation(self, other: &Self) -> Self {
        Self { incarnation: other.incarnation, ..self }
    }
}

#[cfg(test)]
mod test {
    use milena_protocol::LeaderEpoch;

    use super::*;

    fn wanted(all: &[(i32, i64)]) -> BTreeMap<TopicPartition, Asked> {
        let asked = |offset| Asked {
            incarnation: offset as u64,
            topic_id: Uuid::from_u128(7),
            offset,
            leader_epoch: LeaderEpoch(1),
        };
        let all = all.iter();
        all.map(|(at, offset)| (TopicPartition::new("t", *at), asked(*offset))).collect()
    }

    fn sent(plan: &Plan) -> (Vec<i32>, Vec<i32>) {
        let sent = plan.send.iter().map(|(it, _)| it.partition).collect();
        (sent, plan.forget.iter().map(|(it, _)| it.partition).collect())
    }

    #[test]
    fn only_what_has_changed_is_told() {
        let mut session = Session::default();
        let plan = session.plan(wanted(&[(0, 5), (1, 5)]));
        assert_eq!((plan.session_id, plan.session_epoch), (0, 0));
        assert_eq!(sent(&plan), (vec![0, 1], vec![]));
        assert!(session.answered(ErrorCode::None, 77));
        let plan = session.plan(wanted(&[(1, 9), (2, 0)]));
        assert_eq!((plan.session_id, plan.session_epoch), (77, 1));
        assert_eq!(sent(&plan), (vec![1, 2], vec![0]));
        assert!(session.answered(ErrorCode::None, 77));
        let plan = session.plan(wanted(&[(1, 9), (2, 0)]));
        assert_eq!((plan.session_epoch, sent(&plan)), (2, (vec![], vec![])));
    }

    #[test]
    fn a_topic_made_anew_is_forgotten_and_told_again() {
        let mut session = Session::default();
        session.plan(wanted(&[(0, 5)]));
        assert!(session.answered(ErrorCode::None, 77));
        let mut anew = wanted(&[(0, 5)]);
        anew.values_mut().for_each(|asked| asked.topic_id = Uuid::from_u128(8));
        let plan = session.plan(anew);
        assert_eq!(sent(&plan), (vec![0], vec![0]));
        assert_eq!(plan.forget[0].1, Uuid::from_u128(7));
    }

    #[test]
    fn what_fails_begins_again_and_ends_what_was() {
        let mut session = Session::default();
        session.plan(wanted(&[(0, 5)]));
        session.answered(ErrorCode::None, 77);
        session.plan(wanted(&[(0, 6)]));
        session.failed();
        let plan = session.plan(wanted(&[(0, 6)]));
        assert_eq!((plan.session_id, plan.session_epoch), (77, 0), "the broker ends the old one");
        assert_eq!(sent(&plan), (vec![0], vec![]));
        assert!(!session.answered(ErrorCode::FetchSessionIdNotFound, 0));
        assert_eq!(session.plan(wanted(&[(0, 6)])).session_id, 0);
        assert!(session.answered(ErrorCode::None, 0), "no room for a session");
        assert_eq!(sent(&session.plan(wanted(&[(0, 6)]))), (vec![0], vec![]), "all is told again");
    }

    #[test]
    fn epochs_wrap() {
        let mut session = Session { id: 7, epoch: i32::MAX, known: BTreeMap::new() };
        assert!(session.answered(ErrorCode::None, 7));
        assert_eq!(session.epoch, 1);
    }
}

//! What a transactional producer asks of coordinators. What it may ask, and when, is decided by
//! the accumulator.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    accumulator::Finished,
    batch::{Identity, Place},
    shared::Shared,
};
use crate::{
    cluster::CoordinatorKind,
    error::{Error, Result},
    network::{
        AddOffsetsToTxn, AddPartitionsToTxn, Answer, Api, EndTxn, InitProducerId, TxnOffsetCommit,
    },
    types::{CommittedOffset, TopicPartition},
};
use milena_env::timer;
use milena_protocol::{
    ErrorCode, ProducerEpoch, ProducerId,
    api::{
        AddOffsetsToTxnRequest, AddPartitionsToTxnRequest, EndTxnRequest, InitProducerIdRequest,
        TxnOffsetCommitRequest,
        add_partitions_to_txn::request::AddPartitionsToTxnTopic,
        txn_offset_commit::request::{
            TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
        },
    },
};

const FEATURE: &str = "transaction.version";
const IMPLICIT_FROM: i16 = 2;
/// From these versions on a request says that partitions are added by being written to.
const END_IMPLICIT: i16 = 5;
const OFFSETS_IMPLICIT: i16 = 5;
/// From this version on only brokers ask to add partitions, and for many producers.
const ADD_BY_BROKERS: i16 = 4;

/// Who commits offsets: a group, and the member of it that has read them.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct GroupMember {
    /// The group.
    pub group_id: Box<str>,
    /// Its generation, or the member's epoch; -1 if no member is named.
    pub generation: i32,
    /// The member.
    pub member_id: Box<str>,
    /// Its own name, if it has one that lasts.
    pub group_instance_id: Option<Box<str>>,
}

impl GroupMember {
    /// A group whose membership is not looked at.
    #[must_use]
    pub fn group(group_id: &str) -> Self {
        let (group_id, member_id) = (group_id.into(), "".into());
        Self { group_id, generation: -1, member_id, group_instance_id: None }
    }

    /// A member in a generation, so that one that was replaced cannot commit any more.
    #[must_use]
    pub fn member(mut self, member_id: &str, generation: i32) -> Self {
        (self.member_id, self.generation) = (member_id.into(), generation);
        self
    }
}

impl Shared {
    fn transactional_id(&self) -> &str {
        self.config.transactional_id.as_deref().unwrap_or_default()
    }

    pub(super) async fn init_transactions(&self) -> Result<()> {
        let _turn = self.transactions.lock().await;
        self.lock().may_init()?;
        let (identity, is_implicit) = self.ask_for_epoch(None).await?;
        self.lock().init_transactions(identity, is_implicit)
    }

    /// The coordinator ends what was left open, and gives an epoch that fences everybody before.
    async fn ask_for_epoch(&self, old: Option<Identity>) -> Result<(Identity, bool)> {
        let id = self.transactional_id();
        let timeout = self.config.transaction_timeout.as_millis();
        let request = InitProducerIdRequest {
            transactional_id: Some(id),
            transaction_timeout_ms: i32::try_from(timeout).unwrap_or(i32::MAX),
            producer_id: old.map_or(-1, |old| old.id.0),
            producer_epoch: old.map_or(-1, |old| old.epoch.0),
            ..Default::default()
        };
        let what = format!("begin as {id}");
        let answered = self.retry(&what, || async {
            let (answer, level) =
                self.ask::<InitProducerId>(CoordinatorKind::Transaction, id, &request, 5).await?;
            let message = answer.message()?;
            self.check(CoordinatorKind::Transaction, id, &what, message.error_code)?;
            let (id, epoch) = (message.producer_id, message.producer_epoch);
            let identity = Identity { id: ProducerId(id), epoch: ProducerEpoch(epoch) };
            Ok((identity, level >= IMPLICIT_FROM))
        });
        answered.await
    }

    pub(super) async fn end_transaction(&self, commits: bool) -> Result<()> {
        let _turn = self.transactions.lock().await;
        let dropped = self.lock().begin_end(commits)?;
        dropped.into_iter().for_each(Finished::tell);
        self.room.notify_one();
        self.work.notify_one();
        let limit = self.config.max_block;
        let word = if commits { "commit" } else { "abort" };
        let what = format!("{word} a transaction of {}", self.transactional_id());
        if timer::timeout(limit, self.flush()).await.is_none() {
            return Err(Error::Timeout {
                what: what.into(),
                limit,
                key: "max.block.ms",
                last: None,
            });
        }
        let (identity, end) = self.lock().prepare_end()?;
        let mut next = None;
        if !end.is_needless {
            let version = if end.is_implicit { i16::MAX } else { END_IMPLICIT - 1 };
            next = self.ask_to_end(&what, identity, commits, version).await?;
        }
        if end.needs_epoch && next.is_none() {
            next = Some(self.ask_for_epoch(Some(identity)).await?.0);
        }
        self.lock().end_transaction(next);
        Ok(())
    }

    async fn ask_to_end(
        &self,
        what: &str,
        identity: Identity,
        commits: bool,
        version: i16,
    ) -> Result<Option<Identity>> {
        let id = self.transactional_id();
        let request = EndTxnRequest {
            transactional_id: id,
            producer_id: identity.id.0,
            producer_epoch: identity.epoch.0,
            committed: commits,
        };
        let ended = self.retry(what, || async {
            let kind = CoordinatorKind::Transaction;
            let (answer, _) = self.ask::<EndTxn>(kind, id, &request, version).await?;
            let message = answer.message()?;
            self.check(kind, id, what, message.error_code)?;
            let next = Identity {
                id: ProducerId(message.producer_id),
                epoch: ProducerEpoch(message.producer_epoch),
            };
            Ok((next.id != ProducerId::NONE).then_some(next))
        });
        ended.await
    }

    pub(super) async fn send_offsets(
        &self,
        offsets: &[(TopicPartition, CommittedOffset)],
        member: &GroupMember,
    ) -> Result<()> {
        let _turn = self.transactions.lock().await;
        let (identity, is_implicit) = self.lock().start_offsets()?;
        if !is_implicit {
            self.add_offsets(identity, &member.group_id).await?;
        }
        let request = TxnOffsetCommitRequest {
            transactional_id: self.transactional_id(),
            group_id: &member.group_id,
            producer_id: identity.id.0,
            producer_epoch: identity.epoch.0,
            generation_id: member.generation,
            member_id: &member.member_id,
            group_instance_id: member.group_instance_id.as_deref(),
            topics: by_topic(offsets),
        };
        let version = if is_implicit { i16::MAX } else { OFFSETS_IMPLICIT - 1 };
        let what = format!("commit offsets of {} in a transaction", member.group_id);
        let committed = self.retry(&what, || async {
            let (kind, group) = (CoordinatorKind::Group, &*member.group_id);
            let (answer, _) = self.ask::<TxnOffsetCommit>(kind, group, &request, version).await?;
            let message = answer.message()?;
            let mut partitions = message.topics.iter().flat_map(|topic| &topic.partitions);
            let failed = partitions.find(|partition| partition.error_code != 0);
            failed.map_or(Ok(()), |it| self.check(kind, group, &what, it.error_code))
        });
        committed.await
    }

    async fn add_offsets(&self, identity: Identity, group: &str) -> Result<()> {
        let (kind, id) = (CoordinatorKind::Transaction, self.transactional_id());
        let request = AddOffsetsToTxnRequest {
            transactional_id: id,
            producer_id: identity.id.0,
            producer_epoch: identity.epoch.0,
            group_id: group,
        };
        let what = format!("add offsets of {group} to a transaction");
        let added = self.retry(&what, || async {
            let (answer, _) = self.ask::<AddOffsetsToTxn>(kind, id, &request, i16::MAX).await?;
            self.check(kind, id, &what, answer.message()?.error_code)
        });
        added.await
    }

    /// Asks for partitions to become part of the transaction, for the sender.
    pub(super) async fn add_partitions(
        self: Arc<Self>,
        partitions: Vec<(Place, TopicPartition)>,
    ) -> Result<Vec<Place>> {
        let identity = self.lock().identity().ok_or(Error::Closed)?;
        let mut topics = BTreeMap::<&str, Vec<i32>>::new();
        for (_, it) in &partitions {
            topics.entry(&it.topic).or_default().push(it.partition);
        }
        let topics = topics.into_iter();
        let (kind, id) = (CoordinatorKind::Transaction, self.transactional_id());
        let request = AddPartitionsToTxnRequest {
            v3_and_below_transactional_id: id,
            v3_and_below_producer_id: identity.id.0,
            v3_and_below_producer_epoch: identity.epoch.0,
            v3_and_below_topics: topics
                .map(|(name, partitions)| AddPartitionsToTxnTopic { name, partitions })
                .collect(),
            ..Default::default()
        };
        let what = "add partitions to a transaction";
        let added = self.retry(what, || async {
            let version = ADD_BY_BROKERS - 1;
            let (answer, _) = self.ask::<AddPartitionsToTxn>(kind, id, &request, version).await?;
            let message = answer.message()?;
            let topics = message.results_by_topic_v3_and_below.iter();
            let codes = topics.flat_map(|topic| &topic.results_by_partition);
            let failed =
                |code: &i16| *code != 0 && *code != ErrorCode::OperationNotAttempted as i16;
            let code = codes.map(|it| it.partition_error_code).find(failed);
            code.map_or(Ok(()), |code| self.check(kind, id, what, code))
        });
        added.await?;
        Ok(partitions.into_iter().map(|(place, _)| place).collect())
    }

    /// One question to a coordinator, in no higher version than was said, and the level of
    /// transactions that the cluster has.
    async fn ask<A: Api>(
        &self,
        kind: CoordinatorKind,
        key: &str,
        request: &A::Request<'_>,
        version_max: i16,
    ) -> Result<(Answer<A>, i16)> {
        let asked = async {
            let connection = self.cluster.coordinator(kind, key).await?.connection().await?;
            let version = connection.version::<A>()?.min(version_max);
            let level = connection.versions().feature(FEATURE);
            Ok((connection.call_at::<A>(request, version).await?, level))
        };
        let asked = asked.await;
        if let Err(error) = &asked {
            self.look_anew(kind, key, error);
        }
        asked
    }

    fn check(&self, kind: CoordinatorKind, key: &str, what: &str, code: i16) -> Result<()> {
        let checked = Error::check(what, code, None);
        if let Err(error) = &checked {
            self.look_anew(kind, key, error);
        }
        checked
    }

    fn look_anew(&self, kind: CoordinatorKind, key: &str, error: &Error) {
        if crate::cluster::Cluster::is_about_coordinator(error) {
            self.cluster.forget_coordinator(kind, key);
        }
    }

    /// Tries again for as long as `max.block.ms`. What failed for good concerns the transaction;
    /// what only took too long may be asked for again.
    async fn retry<T, F>(&self, what: &str, attempt: impl Fn() -> F) -> Result<T>
    where
        F: Future<Output = Result<T>>,
    {
        let limit = self.config.max_block;
        let attempts = async {
            for number in 0_u32.. {
                match attempt().await {
                    Err(error) if error.is_retriable() => {
                        tracing::debug!(%error, what, "trying again");
                    }
                    done => return done,
                }
                timer::sleep(self.cluster.retry_pause(number)).await;
            }
            Err(Error::Closed)
        };
        match timer::timeout(limit, attempts).await {
            Some(Ok(done)) => Ok(done),
            Some(Err(error)) => Err(self.lock().break_transaction(error)),
            None => {
                Err(Error::Timeout { what: what.into(), limit, key: "max.block.ms", last: None })
            }
        }
    }
}

fn by_topic(offsets: &[(TopicPartition, CommittedOffset)]) -> Vec<TxnOffsetCommitRequestTopic<'_>> {
    let mut topics = BTreeMap::<&str, Vec<_>>::new();
    for (partition, committed) in offsets {
        topics.entry(&partition.topic).or_default().push(TxnOffsetCommitRequestPartition {
            partition_index: partition.partition,
            committed_offset: committed.offset,
            committed_leader_epoch: committed.leader_epoch.unwrap_or(-1),
            committed_metadata: Some(&committed.metadata),
        });
    }
    let topics = topics.into_iter();
    topics.map(|(name, partitions)| TxnOffsetCommitRequestTopic { name, partitions }).collect()
}

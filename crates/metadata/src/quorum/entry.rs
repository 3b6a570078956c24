//! Raft's entries as Kafka's batches. The term is the batch's leader epoch, the index is the
//! batch's place in the log and written nowhere.
//!
//! | entry | batch |
//! |---|---|
//! | records | a batch of metadata records |
//! | blank, at the start of a term | control batch: LeaderChange |
//! | membership | control batch: KRaftVersion, then a KRaftVoters for each set of voters |

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use milena_protocol::{
    DecodeError, EncodeError, LeaderEpoch, Message, Offset,
    control::{
        KRaftVersionRecord, LeaderChangeMessage, VotersRecord,
        leader_change_message::value as leader_change,
        voters_record::value::{self as voters, KRaftVersionFeature},
    },
    records::{
        Batch, BatchBuilder, Budget, BuildError, CodecError, ControlType, FramingError, Scratch,
    },
    wire::Writer,
};
use openraft::EntryPayload;

use super::types::{Entry, Membership, Proposal, Voter, epoch_of, log_id};
use crate::{image::Endpoint, records::Records};

/// Why a batch is no entry, or an entry cannot be a batch.
#[derive(Debug, thiserror::Error)]
pub enum EntryError {
    #[error(transparent)]
    Build(#[from] BuildError),
    #[error(transparent)]
    Encode(#[from] EncodeError),
    #[error(transparent)]
    Decode(#[from] DecodeError),
    #[error(transparent)]
    Codec(#[from] CodecError),
    #[error(transparent)]
    Framing(#[from] FramingError),
    #[error("metadata record at offset {0} has no value")]
    NoValue(Offset),
    #[error("learners have no place in a metadata log")]
    Learner,
}

/// Writes an entry as the batch at `base_offset`; a blank one says that `leader` leads.
pub(super) fn to_batch(
    entry: &Entry,
    base_offset: i64,
    leader: i32,
    now_ms: i64,
) -> Result<Vec<u8>, EntryError> {
    let builder = BatchBuilder::new(Offset(base_offset))
        .with_leader_epoch(LeaderEpoch(epoch_of(&entry.log_id)));
    let builder = match &entry.payload {
        EntryPayload::Normal(proposal) => {
            let mut builder = builder;
            for record in proposal.records.iter() {
                builder.append(proposal.timestamp, None, Some(record), []);
            }
            builder
        }
        EntryPayload::Blank => {
            let change = leader_change(leader);
            control(builder.with_control(), ControlType::LeaderChange, &change, 0, now_ms)?
        }
        EntryPayload::Membership(membership) => {
            put_membership(builder.with_control(), membership, now_ms)?
        }
    };
    let mut bytes = Vec::new();
    builder.build(&mut bytes)?;
    Ok(bytes)
}

fn leader_change(leader: i32) -> LeaderChangeMessage {
    let voter = leader_change::Voter { voter_id: leader, ..leader_change::Voter::default() };
    // Whoever reads it takes it for version 0, which is all that Kafka writes.
    LeaderChangeMessage {
        version: 0,
        leader_id: leader,
        voters: vec![voter.clone()],
        granting_voters: vec![voter],
    }
}

fn control<'a>(
    mut builder: BatchBuilder,
    kind: ControlType,
    message: &impl Message<'a>,
    version: i16,
    now_ms: i64,
) -> Result<BatchBuilder, EntryError> {
    let mut writer = Writer::with_capacity(64);
    message.encode(&mut writer, version)?;
    let value = writer.finish()?.into_body().unwrap_or_default();
    builder.append(now_ms, Some(&kind.to_key()), Some(&value), []);
    Ok(builder)
}

/// Adds the control records that say who votes.
pub(super) fn put_membership(
    builder: BatchBuilder,
    membership: &Membership,
    now_ms: i64,
) -> Result<BatchBuilder, EntryError> {
    if membership.learner_ids().next().is_some() {
        return Err(EntryError::Learner);
    }
    let version = KRaftVersionRecord { version: 0, kraft_version: 1 };
    let mut builder = control(builder, ControlType::KraftVersion, &version, 0, now_ms)?;
    for config in membership.get_joint_config() {
        let known = config.iter().filter_map(|id| Some((*id, membership.get_node(id)?)));
        let record = VotersRecord {
            version: 0,
            voters: known.map(|(id, voter)| voter_record(id, voter)).collect(),
        };
        builder = control(builder, ControlType::KraftVoters, &record, 0, now_ms)?;
    }
    Ok(builder)
}

fn voter_record(id: i32, voter: &Voter) -> voters::Voter<'_> {
    let endpoints = voter.endpoints.iter().map(|endpoint| voters::Endpoint {
        name: &endpoint.listener,
        host: &endpoint.host,
        port: endpoint.port,
    });
    voters::Voter {
        voter_id: id,
        voter_directory_id: voter.directory,
        endpoints: endpoints.collect(),
        kraft_version_feature: KRaftVersionFeature {
            min_supported_version: 0,
            max_supported_version: 1,
        },
    }
}

/// Reads the entry at `index`.
pub(super) fn from_batch(batch: &Batch<'_>, index: u64) -> Result<Entry, EntryError> {
    let header = batch.header();
    let mut scratch = Scratch::default();
    let records = batch.records(&mut scratch, Budget::default())?;
    let payload = if header.attributes.is_control() {
        let mut membership = MembershipReader::default();
        for record in records {
            let record = record?;
            membership.take(record.key.unwrap_or_default(), record.value.unwrap_or_default())?;
        }
        membership.finish().map_or(EntryPayload::Blank, EntryPayload::Membership)
    } else {
        let values = records.map(|record| {
            let record = record?;
            let value = record.value.ok_or(EntryError::NoValue(record.offset))?;
            Ok(Bytes::copy_from_slice(value))
        });
        let records = values.collect::<Result<Records, EntryError>>()?;
        EntryPayload::Normal(Proposal { records, timestamp: header.base_timestamp })
    };
    Ok(Entry { log_id: log_id(header.leader_epoch.0, index), payload })
}

/// Gathers the voters that control records speak of.
#[derive(Debug, Default)]
pub(super) struct MembershipReader {
    configs: Vec<BTreeSet<i32>>,
    nodes: BTreeMap<i32, Voter>,
}

impl MembershipReader {
    pub(super) fn take(&mut self, key: &[u8], value: &[u8]) -> Result<(), EntryError> {
        if ControlType::from_key(key) != Some(ControlType::KraftVoters) {
            return Ok(());
        }
        let record = VotersRecord::decode(value, 0)?.message;
        self.configs.push(record.voters.iter().map(|voter| voter.voter_id).collect());
        for voter in record.voters {
            let endpoints = voter.endpoints.iter().map(|endpoint| Endpoint {
                listener: endpoint.name.into(),
                host: endpoint.host.into(),
                port: endpoint.port,
                security_protocol: 0,
            });
            let known =
                Voter { directory: voter.voter_directory_id, endpoints: endpoints.collect() };
            self.nodes.insert(voter.voter_id, known);
        }
        Ok(())
    }

    pub(super) fn finish(self) -> Option<Membership> {
        (!self.configs.is_empty()).then(|| Membership::new(self.configs, self.nodes))
    }
}

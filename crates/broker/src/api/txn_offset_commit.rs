//! TxnOffsetCommit: a producer says how far the group has come from which its transaction reads.

use std::collections::BTreeMap;

use milena_protocol::{
    ErrorCode, ProducerEpoch, ProducerId, Uuid,
    api::{
        TxnOffsetCommitRequest, TxnOffsetCommitResponse,
        txn_offset_commit::{
            request::TxnOffsetCommitRequestTopic,
            response::{TxnOffsetCommitResponsePartition, TxnOffsetCommitResponseTopic},
        },
    },
};

use super::{Call, Outcome};
use crate::{
    authorizer::{Operation, Resource},
    coordinator::{
        Within,
        group::offsets::{CommitRequest, Committer, PartitionCommit, TopicCommit},
    },
    error_map::ToCode,
    topics::CONSUMER_OFFSETS,
    transactions::verification::{self, Manner, Producer, Standing},
};

/// From this version on producers know what it means that a coordinator reads its log.
const LOADING_VERSION: i16 = 2;

pub(super) async fn handle(call: &Call<'_>, request: TxnOffsetCommitRequest<'_>) -> Outcome {
    let transactional_id = Resource::TransactionalId(request.transactional_id);
    let refusal = if !call.may(Operation::Write, transactional_id) {
        Some(ErrorCode::TransactionalIdAuthorizationFailed)
    } else if !call.may(Operation::Read, Resource::Group(request.group_id)) {
        Some(ErrorCode::GroupAuthorizationFailed)
    } else {
        None
    };
    let mut answers = Answers::default();
    if let Some(code) = refusal {
        let all = request.topics.iter().flat_map(|topic| {
            topic.partitions.iter().map(|partition| (topic.name, partition.partition_index))
        });
        all.for_each(|(topic, index)| answers.put(topic, index, code));
        return answers.answer(call);
    }
    let mut accepted = Vec::new();
    let mut verdicts = Vec::new();
    for topic in &request.topics {
        let known = sort(call, topic, &mut answers, &mut verdicts);
        accepted.extend(known);
    }
    let told = if verdicts.is_empty() { Ok(()) } else { commit(call, &request, accepted).await };
    for (topic, index, code) in verdicts {
        answers.put(topic, index, told.err().unwrap_or(code));
    }
    answers.answer(call)
}

/// Looks which partitions of a topic the coordinator is asked about; what it says of the others
/// if all is well is a verdict too.
fn sort<'a>(
    call: &Call<'_>,
    topic: &TxnOffsetCommitRequestTopic<'a>,
    answers: &mut Answers<'a>,
    verdicts: &mut Vec<(&'a str, i32, ErrorCode)>,
) -> Option<TopicCommit<'a>> {
    let broker = call.broker();
    let image = broker.image();
    let metadata_max = broker.config().groups.offsets.metadata_bytes_max;
    let known = image.topics.by_name(topic.name);
    let may = call.may(Operation::Read, Resource::Topic(topic.name));
    let mut partitions = Vec::new();
    for partition in &topic.partitions {
        let index = partition.partition_index;
        let metadata = partition.committed_metadata.unwrap_or_default();
        if !may {
            answers.put(topic.name, index, ErrorCode::TopicAuthorizationFailed);
        } else if known.is_none_or(|known| known.partition(index).is_none()) {
            answers.put(topic.name, index, ErrorCode::UnknownTopicOrPartition);
        } else if metadata.len() > metadata_max && metadata.encode_utf16().count() > metadata_max {
            verdicts.push((topic.name, index, ErrorCode::OffsetMetadataTooLarge));
        } else {
            verdicts.push((topic.name, index, ErrorCode::None));
            partitions.push(PartitionCommit {
                index,
                offset: partition.committed_offset,
                leader_epoch: partition.committed_leader_epoch,
                metadata,
            });
        }
    }
    let id = known.map_or(Uuid::ZERO, |known| known.id);
    (!partitions.is_empty()).then_some(TopicCommit { name: topic.name, id, partitions })
}

/// Has the group's coordinator write it into the transaction, if the transaction's one knows of it.
async fn commit(
    call: &Call<'_>,
    request: &TxnOffsetCommitRequest<'_>,
    topics: Vec<TopicCommit<'_>>,
) -> Result<(), ErrorCode> {
    if request.group_id.is_empty() {
        return Err(ErrorCode::InvalidGroupId);
    }
    let broker = call.broker();
    let index = broker.coordinators.partition_of_group(&broker.image(), request.group_id);
    let topic = broker.partitions.by_name(CONSUMER_OFFSETS);
    let partition = topic.as_ref().and_then(|topic| topic.partition(index));
    let partition = partition.ok_or(ErrorCode::CoordinatorNotAvailable)?;
    let manner = Manner::of_txn_offset_commit(call.version);
    let producer = Producer {
        transactional_id: request.transactional_id,
        id: ProducerId(request.producer_id),
        epoch: ProducerEpoch(request.producer_epoch),
    };
    let standing = verification::begin(broker, &producer, manner, partition, -1);
    let standing = standing.map_err(|error| error.code())?;
    if let Standing::Asking(_) = standing {
        let places = [(CONSUMER_OFFSETS, index)];
        let verdicts = verification::ask(broker, &producer, manner, &places).await;
        verdicts.into_iter().collect::<Result<(), _>>().map_err(|code| told(call, code))?;
    }
    let commit = CommitRequest {
        group: request.group_id,
        committer: Committer {
            member_id: request.member_id,
            instance_id: request.group_instance_id,
            generation: request.generation_id,
            // Whoever commits in a transaction may be of any kind.
            version: i16::MAX,
        },
        retention_ms: -1,
        topics,
    };
    let within = Within {
        producer_id: producer.id,
        producer_epoch: producer.epoch,
        proof: standing.proof(),
    };
    let (groups, limit) = (&broker.coordinators.groups, broker.coordinators.limit());
    let asked = groups.ask_within(index, limit, &within, |groups, scene| {
        groups.commit_in_transaction(producer.id, &commit, scene)
    });
    match asked.await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(told(call, error.code())),
        Err(error) => Err(told(call, error.code())),
    }
}

/// Very old producers give up where they could wait.
fn told(call: &Call<'_>, code: ErrorCode) -> ErrorCode {
    match code {
        ErrorCode::CoordinatorLoadInProgress if call.version < LOADING_VERSION => {
            ErrorCode::CoordinatorNotAvailable
        }
        code => code,
    }
}

/// What became of each partition, topic by topic in the order in which they were first named.
#[derive(Default)]
struct Answers<'a> {
    topics: Vec<TxnOffsetCommitResponseTopic<'a>>,
    places: BTreeMap<&'a str, usize>,
}

impl<'a> Answers<'a> {
    fn put(&mut self, name: &'a str, partition_index: i32, code: ErrorCode) {
        let place = *self.places.entry(name).or_insert(self.topics.len());
        if place == self.topics.len() {
            self.topics.push(TxnOffsetCommitResponseTopic { name, partitions: Vec::new() });
        }
        if let Some(topic) = self.topics.get_mut(place) {
            let error_code = code as i16;
            topic.partitions.push(TxnOffsetCommitResponsePartition { partition_index, error_code });
        }
    }

    fn answer(self, call: &Call<'_>) -> Outcome {
        call.answer(&TxnOffsetCommitResponse { topics: self.topics, ..Default::default() })
    }
}

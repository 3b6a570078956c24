//! AddPartitionsToTxn: partitions become part of a transaction. A client asks so before it writes
//! to them; since version 4 other brokers ask, for many transactions at once, or only whether it is
//! so.

use milena_metadata::image::MetadataImage;
use milena_protocol::{
    ErrorCode, ProducerEpoch, ProducerId,
    api::{
        AddPartitionsToTxnRequest, AddPartitionsToTxnResponse,
        add_partitions_to_txn::{
            request::{AddPartitionsToTxnTopic, AddPartitionsToTxnTransaction},
            response::{
                AddPartitionsToTxnPartitionResult, AddPartitionsToTxnResult,
                AddPartitionsToTxnTopicResult,
            },
        },
    },
};

use super::{Call, Outcome};
use crate::{
    authorizer::{Operation, Resource},
    coordinator::transaction::{Adding, EPOCH_PER_TRANSACTION, Producer, TransactionError},
    error_map::ToCode,
    topics,
};

/// Since this version a client knows that a producer can be fenced.
const KNOWS_FENCED: i16 = 2;

/// From this version on brokers ask.
const FROM_BROKERS: i16 = 4;

/// From this version on they may add for clients of transaction version 2.
const ADDS_FOR_CLIENTS: i16 = 5;

/// A topic's partitions, each with what became of it.
type Judged<'a> = Vec<(&'a str, Vec<(i32, ErrorCode)>)>;

pub(super) async fn handle(call: &Call<'_>, request: AddPartitionsToTxnRequest<'_>) -> Outcome {
    if call.version < FROM_BROKERS {
        let transaction = AddPartitionsToTxnTransaction {
            transactional_id: request.v3_and_below_transactional_id,
            producer_id: request.v3_and_below_producer_id,
            producer_epoch: request.v3_and_below_producer_epoch,
            verify_only: false,
            topics: request.v3_and_below_topics,
        };
        let results = judge(call, &transaction).await;
        return call.answer(&AddPartitionsToTxnResponse {
            results_by_topic_v3_and_below: told(results),
            ..Default::default()
        });
    }
    if !call.may(Operation::ClusterAction, Resource::Cluster) {
        let error_code = ErrorCode::ClusterAuthorizationFailed as i16;
        return call.answer(&AddPartitionsToTxnResponse { error_code, ..Default::default() });
    }
    let mut results = Vec::with_capacity(request.transactions.len());
    for transaction in &request.transactions {
        let topic_results = told(judge(call, transaction).await);
        let transactional_id = transaction.transactional_id;
        results.push(AddPartitionsToTxnResult { transactional_id, topic_results });
    }
    call.answer(&AddPartitionsToTxnResponse {
        results_by_transaction: results,
        ..Default::default()
    })
}

async fn judge<'a>(call: &Call<'_>, transaction: &AddPartitionsToTxnTransaction<'a>) -> Judged<'a> {
    let (id, topics) = (transaction.transactional_id, &transaction.topics);
    let is_client = call.version < FROM_BROKERS;
    if is_client && !call.may(Operation::Write, Resource::TransactionalId(id)) {
        return all(topics, ErrorCode::TransactionalIdAuthorizationFailed);
    }
    let broker = call.broker();
    let image = broker.image();
    let refused = refused(call, topics, &image);
    if refused.iter().flat_map(|(_, judged)| judged).any(|(_, code)| *code != ErrorCode::None) {
        return refused;
    }
    let partitions: Vec<(&str, i32)> = topics
        .iter()
        .flat_map(|topic| topic.partitions.iter().map(|partition| (topic.name, *partition)))
        .collect();
    let producer = Producer {
        transactional_id: id,
        id: ProducerId(transaction.producer_id),
        epoch: ProducerEpoch(transaction.producer_epoch),
    };
    let coordinators = &broker.coordinators;
    if transaction.verify_only {
        let verified = coordinators
            .ask_transaction(&image, id, |core, scene| core.verify(&producer, &partitions, scene));
        return match verified.await {
            Ok(verified) => each(topics, &verified),
            Err(error) => all(topics, error.code()),
        };
    }
    let version = if call.version >= ADDS_FOR_CLIENTS { EPOCH_PER_TRANSACTION } else { 0 };
    let adding = Adding { producer, partitions: &partitions, version };
    let code = match coordinators.add_to_transaction(&image, &adding).await {
        Ok(()) => ErrorCode::None,
        Err(TransactionError::ProducerFenced) if call.version < KNOWS_FENCED => {
            ErrorCode::InvalidProducerEpoch
        }
        Err(error) => error.code(),
    };
    all(topics, code)
}

/// What each partition is refused for; where one is, nothing is done for the others either.
fn refused<'a>(
    call: &Call<'_>,
    topics: &[AddPartitionsToTxnTopic<'a>],
    image: &MetadataImage,
) -> Judged<'a> {
    let mut is_refused = false;
    let judged = topics.iter().map(|asked| {
        let may = call.version >= FROM_BROKERS
            || (!topics::is_internal(asked.name)
                && call.may(Operation::Write, Resource::Topic(asked.name)));
        let topic = image.topics.by_name(asked.name);
        let judge = |partition: &i32| {
            let code = if !may {
                ErrorCode::TopicAuthorizationFailed
            } else if topic.and_then(|topic| topic.partition(*partition)).is_none() {
                ErrorCode::UnknownTopicOrPartition
            } else {
                ErrorCode::None
            };
            is_refused |= code != ErrorCode::None;
            (*partition, code)
        };
        (asked.name, asked.partitions.iter().map(judge).collect())
    });
    let mut judged: Judged<'a> = judged.collect();
    if is_refused {
        for (_, code) in judged.iter_mut().flat_map(|(_, partitions)| partitions) {
            if *code == ErrorCode::None {
                *code = ErrorCode::OperationNotAttempted;
            }
        }
    }
    judged
}

fn all<'a>(topics: &[AddPartitionsToTxnTopic<'a>], code: ErrorCode) -> Judged<'a> {
    let judge = |topic: &AddPartitionsToTxnTopic<'a>| {
        (topic.name, topic.partitions.iter().map(|partition| (*partition, code)).collect())
    };
    topics.iter().map(judge).collect()
}

/// Those that are part of the transaction, in the order in which they were asked about.
fn each<'a>(topics: &[AddPartitionsToTxnTopic<'a>], verified: &[bool]) -> Judged<'a> {
    let mut verified = verified.iter();
    let mut code = || match verified.next() {
        Some(true) => ErrorCode::None,
        _ => TransactionError::TransactionAbortable.code(),
    };
    let judge = |topic: &AddPartitionsToTxnTopic<'a>| {
        (topic.name, topic.partitions.iter().map(|partition| (*partition, code())).collect())
    };
    topics.iter().map(judge).collect()
}

fn told(judged: Judged<'_>) -> Vec<AddPartitionsToTxnTopicResult<'_>> {
    let partition = |(partition_index, code): (i32, ErrorCode)| AddPartitionsToTxnPartitionResult {
        partition_index,
        partition_error_code: code as i16,
    };
    let topic = |(name, partitions): (_, Vec<_>)| AddPartitionsToTxnTopicResult {
        name,
        results_by_partition: partitions.into_iter().map(partition).collect(),
    };
    judged.into_iter().map(topic).collect()
}

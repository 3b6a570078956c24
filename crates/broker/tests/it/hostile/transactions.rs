//! Producers of transactions that make no sense.

use milena_protocol::{
    ErrorCode,
    api::{
        AddOffsetsToTxnRequest, AddOffsetsToTxnResponse, AddPartitionsToTxnRequest,
        AddPartitionsToTxnResponse, ApiKey, DescribeTransactionsRequest,
        DescribeTransactionsResponse, InitProducerIdRequest, InitProducerIdResponse,
        add_partitions_to_txn::request::AddPartitionsToTxnTopic,
    },
};

use crate::{
    client::{Client, code},
    producer::{Producer, patiently},
    rig::Rig,
};

const SETTINGS: &str = "transaction.state.log.num.partitions=1\ntransaction.max.timeout.ms=5000\n";

fn init(client: &mut Client, request: &InitProducerIdRequest<'_>) -> ErrorCode {
    let ask = || {
        let answer = client.call(ApiKey::InitProducerId, 4, request)?;
        let told: InitProducerIdResponse = answer.read();
        assert!(told.error_code == 0 || (told.producer_id, told.producer_epoch) == (-1, -1));
        Ok(code(told.error_code))
    };
    patiently(ask).unwrap()
}

fn started() -> (Rig, Client, Producer) {
    let rig = Rig::start(&SETTINGS.replace("5000", "60000"));
    let mut client = rig.client();
    client.create_topic("t", 1, &[]);
    let mut producer = Producer::new("shop", 0);
    assert_eq!(producer.init(&mut client).unwrap(), ErrorCode::None);
    (rig, client, producer)
}

#[test]
fn hostile_35_a_timeout_that_is_none_or_too_long_and_half_a_producer_are_refused() {
    let rig = Rig::start(SETTINGS);
    let mut client = rig.client();
    // The topic comes with the first who looks for it.
    assert_eq!(
        Producer::new("shop", 0).init(&mut client).unwrap(),
        ErrorCode::InvalidTransactionTimeout,
        "of a minute"
    );
    let good = InitProducerIdRequest {
        transactional_id: Some("shop"),
        transaction_timeout_ms: 5000,
        producer_id: -1,
        producer_epoch: -1,
        ..Default::default()
    };
    for transaction_timeout_ms in [5001, i32::MAX, 0, -1, i32::MIN] {
        let request = InitProducerIdRequest { transaction_timeout_ms, ..good.clone() };
        assert_eq!(init(&mut client, &request), ErrorCode::InvalidTransactionTimeout);
    }
    for request in [
        InitProducerIdRequest { transactional_id: Some(""), ..good.clone() },
        InitProducerIdRequest { producer_id: 5, ..good.clone() },
        InitProducerIdRequest { producer_epoch: 5, ..good.clone() },
    ] {
        assert_eq!(init(&mut client, &request), ErrorCode::InvalidRequest, "{request:?}");
    }
    // The longest id that a request can hold is one like any other.
    let long = "i".repeat(32_767);
    let request = InitProducerIdRequest { transactional_id: Some(&long), ..good.clone() };
    assert_eq!(init(&mut client, &request), ErrorCode::None);
    assert_eq!(init(&mut client, &good), ErrorCode::None);
}

#[test]
fn hostile_35_partitions_that_are_not_there_or_not_ones_own_are_no_part_of_a_transaction() {
    let (_rig, mut client, producer) = started();
    let add = |client: &mut Client, id: &str, topics: &[(&'static str, &[i32])]| {
        let topic = |(name, partitions): &(&'static str, &[i32])| AddPartitionsToTxnTopic {
            name,
            partitions: partitions.to_vec(),
        };
        let request = AddPartitionsToTxnRequest {
            v3_and_below_transactional_id: id,
            v3_and_below_producer_id: producer.id,
            v3_and_below_producer_epoch: producer.epoch,
            v3_and_below_topics: topics.iter().map(topic).collect(),
            ..Default::default()
        };
        let answer = client.call(ApiKey::AddPartitionsToTxn, 3, &request).unwrap();
        let told: AddPartitionsToTxnResponse<'_> = answer.read();
        let topics = told.results_by_topic_v3_and_below.iter();
        let partitions = topics.flat_map(|topic| &topic.results_by_partition);
        partitions.map(|it| code(it.partition_error_code)).collect::<Vec<_>>()
    };
    use ErrorCode::{
        InvalidProducerIdMapping, InvalidRequest, OperationNotAttempted, TopicAuthorizationFailed,
        UnknownTopicOrPartition,
    };
    let unknown = UnknownTopicOrPartition;
    let all: &[(&'static str, &[i32])] =
        &[("t", &[0, 1, -1, i32::MAX]), ("absent", &[0]), ("__consumer_offsets", &[0])];
    assert_eq!(
        add(&mut client, "shop", all),
        [OperationNotAttempted, unknown, unknown, unknown, unknown, TopicAuthorizationFailed]
    );
    assert_eq!(add(&mut client, "nobody", &[("t", &[0])]), [InvalidProducerIdMapping]);
    assert_eq!(add(&mut client, "", &[("t", &[0])]), [InvalidRequest]);
    let state = described(&mut client, &["shop"]);
    assert_eq!(state, [(ErrorCode::None, "Empty".to_owned(), 0)], "nothing has changed");
    // One partition, however often it is named.
    let again = vec![0; 100_000];
    assert!(add(&mut client, "shop", &[("t", &again)]).iter().all(|it| *it == ErrorCode::None));
    let ids = vec!["shop"; 100_000];
    let state = described(&mut client, &ids);
    assert_eq!(state, [(ErrorCode::None, "Ongoing".to_owned(), 1)], "an id is told once");
    let request = AddOffsetsToTxnRequest {
        transactional_id: "shop",
        producer_id: producer.id,
        producer_epoch: producer.epoch + 1,
        group_id: "",
    };
    for (version, expected) in
        [(1, ErrorCode::InvalidProducerEpoch), (2, ErrorCode::ProducerFenced)]
    {
        let answer = client.call(ApiKey::AddOffsetsToTxn, version, &request).unwrap();
        assert_eq!(code(answer.read::<AddOffsetsToTxnResponse>().error_code), expected);
    }
}

/// Code, state and number of partitions of each.
fn described(client: &mut Client, ids: &[&str]) -> Vec<(ErrorCode, String, usize)> {
    let request = DescribeTransactionsRequest { transactional_ids: ids.to_vec() };
    let answer = client.call(ApiKey::DescribeTransactions, 0, &request).unwrap();
    let told: DescribeTransactionsResponse<'_> = answer.read();
    let states = told.transaction_states.iter().map(|it| {
        let partitions = it.topics.iter().map(|topic| topic.partitions.len()).sum();
        (code(it.error_code), it.transaction_state.to_owned(), partitions)
    });
    states.collect()
}

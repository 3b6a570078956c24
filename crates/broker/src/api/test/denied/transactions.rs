//! What transactional producers ask, and what is told of them.

use std::collections::BTreeSet;

use milena_protocol::{
    ErrorCode,
    api::{
        self, ApiKey, FindCoordinatorRequest,
        add_partitions_to_txn::request::{AddPartitionsToTxnTopic, AddPartitionsToTxnTransaction},
    },
};

use super::{ABSENT, CLUSTER, Denied, EXISTS, codes};

const ID: ErrorCode = ErrorCode::TransactionalIdAuthorizationFailed;

pub(super) fn denied(denied: &mut Denied) {
    // Version 0 asks about groups, whatever one means.
    let coordinator = FindCoordinatorRequest {
        key_type: 1,
        coordinator_keys: vec!["some"],
        ..Default::default()
    };
    let found = denied.rig.ask(ApiKey::FindCoordinator, &coordinator);
    assert_eq!(found["coordinators"][0]["errorCode"], ID as i16, "{found}");
    denied.expect(ApiKey::InitProducerId, &[ID], |id| api::InitProducerIdRequest {
        transactional_id: Some(id),
        transaction_timeout_ms: 1000,
        producer_id: -1,
        producer_epoch: -1,
        ..Default::default()
    });
    add_partitions(denied);
    denied.expect(ApiKey::AddOffsetsToTxn, &[ID], |id| api::AddOffsetsToTxnRequest {
        transactional_id: id,
        group_id: id,
        ..Default::default()
    });
    denied.expect(ApiKey::EndTxn, &[ID], |id| api::EndTxnRequest {
        transactional_id: id,
        ..Default::default()
    });
    denied.expect(ApiKey::DescribeTransactions, &[ID], |id| api::DescribeTransactionsRequest {
        transactional_ids: vec![id],
    });
    // Who may see no transaction sees none.
    denied.expect(ApiKey::ListTransactions, &[], |_| api::ListTransactionsRequest::default());
}

/// A client asks about one transaction, from version 4 on another broker about many.
fn add_partitions(denied: &mut Denied) {
    let topics = |name| vec![AddPartitionsToTxnTopic { name, partitions: vec![0] }];
    for version in 0..=5 {
        let [of_one, of_absent] = [EXISTS, ABSENT].map(|name| {
            let request = api::AddPartitionsToTxnRequest {
                v3_and_below_transactional_id: "some",
                v3_and_below_topics: topics(name),
                transactions: vec![AddPartitionsToTxnTransaction {
                    transactional_id: "some",
                    topics: topics(name),
                    ..Default::default()
                }],
                ..Default::default()
            };
            denied.rig.ask_in(ApiKey::AddPartitionsToTxn, version, &request).unwrap()
        });
        let mut found = BTreeSet::new();
        codes(&of_one, &mut found);
        let expected = if version < 4 { ID } else { CLUSTER };
        assert_eq!(found, BTreeSet::from([i64::from(expected as i16)]), "{version}: {of_one}");
        assert_eq!(of_one.to_string().replace(EXISTS, ABSENT), of_absent.to_string());
    }
    denied.asked.insert(ApiKey::AddPartitionsToTxn);
}

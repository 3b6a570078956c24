//! Offsets, sessions and epochs that the broker does not know.

use milena_protocol::{
    ErrorCode,
    api::{
        ApiKey, FetchResponse, ListOffsetsRequest, ListOffsetsResponse,
        list_offsets::request::{ListOffsetsPartition, ListOffsetsTopic},
    },
};

use super::Scene;
use crate::client::{Client, batch, code, fetch_request};

/// A fetch in a session: the code of the whole answer, and the session.
fn in_session(client: &mut Client, id: i32, epoch: i32) -> (ErrorCode, i32) {
    let mut request = fetch_request("t", 0, 0);
    (request.session_id, request.session_epoch) = (id, epoch);
    let answer = client.call(ApiKey::Fetch, 12, &request).unwrap();
    let response: FetchResponse<'_> = answer.read();
    (code(response.error_code), response.session_id)
}

#[test]
fn hostile_28_an_offset_out_of_range_and_limits_below_nothing() {
    let mut scene = Scene::new();
    let mut client = scene.rig.client();
    let large = batch(&[vec![7; 100_000]]);
    for _ in 0..3 {
        client.produce("t", 0, &large);
    }
    for offset in [4, i64::MAX, -1, -2, i64::MIN] {
        assert_eq!(client.fetch("t", 0, offset).code, ErrorCode::OffsetOutOfRange, "{offset}");
    }
    assert!(client.fetch("t", 0, 3).bytes.is_empty());
    for limit in [0, -1, i32::MIN] {
        let mut request = fetch_request("t", 0, 0);
        request.max_bytes = limit;
        request.topics[0].partitions[0].partition_max_bytes = limit;
        (request.min_bytes, request.max_wait_ms) = (limit, limit);
        let fetched = client.fetched(&request).unwrap();
        assert_eq!(fetched.code, ErrorCode::None);
        assert!(fetched.bytes.len() <= large.len(), "one batch at most");
        request.max_bytes = i32::MAX;
        assert!(client.fetched(&request).unwrap().bytes.len() <= large.len());
    }
    scene.all_is_well();
}

#[test]
fn hostile_29_a_session_that_nobody_knows() {
    use ErrorCode::{FetchSessionIdNotFound, InvalidFetchSessionEpoch, None};
    let mut scene = Scene::with("max.incremental.fetch.session.cache.slots=10");
    let mut client = scene.rig.client();
    assert_eq!(in_session(&mut client, 12_345, 1), (FetchSessionIdNotFound, 0));
    assert_eq!(in_session(&mut client, 0, 5).0, FetchSessionIdNotFound);
    let (opened, id) = in_session(&mut client, 0, 0);
    assert_eq!(opened, None);
    assert_ne!(id, 0);
    for epoch in [2, 77, i32::MAX, -5] {
        assert_eq!(in_session(&mut client, id, epoch).0, InvalidFetchSessionEpoch, "{epoch}");
    }
    assert_eq!(in_session(&mut client, id, 1), (None, id));
    // More sessions than are kept: those for whom there is no room do without.
    let ids: Vec<i32> = (0..100).map(|_| in_session(&mut client, 0, 0).1).collect();
    assert!(ids.iter().filter(|id| **id != 0).count() <= 10, "{ids:?}");
    assert_eq!(in_session(&mut client, id, 2), (None, id), "an active session is not driven out");
    scene.all_is_well();
}

#[test]
fn hostile_30_leader_epochs_of_the_past_and_of_the_future() {
    let mut scene = Scene::new();
    scene.rig.stop();
    scene.rig.start_again().unwrap();
    let mut client = scene.rig.client();
    let mut fetch = |epoch| {
        let mut request = fetch_request("t", 0, 0);
        request.topics[0].partitions[0].current_leader_epoch = epoch;
        client.fetched(&request).unwrap().code
    };
    assert_eq!(fetch(1000), ErrorCode::UnknownLeaderEpoch);
    let current = (0..1000).find(|epoch| fetch(*epoch) == ErrorCode::None).unwrap();
    for old in 0..current {
        assert_eq!(fetch(old), ErrorCode::FencedLeaderEpoch);
    }
    assert_eq!(fetch(-1), ErrorCode::None);
    assert_eq!(fetch(current + 1), ErrorCode::UnknownLeaderEpoch);
    let mut list = |epoch| {
        let asked = ListOffsetsPartition {
            current_leader_epoch: epoch,
            timestamp: -1,
            ..Default::default()
        };
        let topics =
            vec![ListOffsetsTopic { name: "t", partitions: vec![asked], ..Default::default() }];
        let request = ListOffsetsRequest { replica_id: -1, topics, ..Default::default() };
        let answer = client.call(ApiKey::ListOffsets, 7, &request).unwrap();
        code(answer.read::<ListOffsetsResponse<'_>>().topics[0].partitions[0].error_code)
    };
    assert_eq!(list(current), ErrorCode::None);
    assert_eq!(list(current + 1), ErrorCode::UnknownLeaderEpoch);
    if current > 0 {
        assert_eq!(list(current - 1), ErrorCode::FencedLeaderEpoch);
    }
    // The old connection ended with the old broker.
    scene.bystander = scene.rig.client();
    scene.all_is_well();
}

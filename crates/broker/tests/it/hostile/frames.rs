//! What is no frame, no header or no body ends its connection.

use std::time::{Duration, Instant};

use milena_protocol::{
    ErrorCode,
    api::{
        ApiKey, ApiVersionsRequest, ApiVersionsResponse, CreateTopicsRequest, FetchRequest,
        MetadataRequest, MetadataResponse, metadata::request::MetadataRequestTopic,
    },
};

use super::{Scene, tampered};
use crate::{
    client::{batch, fetch_request, frame, produce_request, produced, with_length},
    rig::Rig,
};

/// Metadata about all topics.
fn metadata() -> MetadataRequest<'static> {
    MetadataRequest { topics: None, ..Default::default() }
}

/// An uncompact ApiVersions request with this behind its header.
fn request(key: i16, version: i16, behind: &[u8]) -> Vec<u8> {
    let mut bytes = [key.to_be_bytes(), version.to_be_bytes()].concat();
    bytes.extend_from_slice(&[0, 0, 0, 7, 0xff, 0xff]);
    bytes.extend_from_slice(behind);
    with_length(&bytes)
}

#[test]
fn hostile_01_a_negative_length() {
    let mut scene = Scene::new();
    for length in [-1, i32::MIN] {
        scene.closes(&length.to_be_bytes());
    }
}

#[test]
fn hostile_02_too_long_a_frame_or_another_protocol() {
    let mut scene = Scene::new();
    for bytes in [
        &((100 << 20) + 1_u32).to_be_bytes()[..],
        &i32::MAX.to_be_bytes(),
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        &[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3],
    ] {
        scene.closes(bytes);
    }
}

#[test]
fn hostile_03_a_frame_that_never_ends_is_closed_when_it_was_idle_for_too_long() {
    let mut scene = Scene::with("connections.max.idle.ms=400");
    let mut slow = scene.rig.client();
    slow.send_bytes(&(100_u32 << 20).to_be_bytes()).unwrap();
    let since = Instant::now();
    let mut sent = 0;
    // A byte now and then makes no request, so the connection is as idle as before.
    while since.elapsed() < Duration::from_secs(10) {
        scene.all_is_well();
        if slow.is_closed_within(Duration::from_millis(100)) || slow.send_bytes(&[0]).is_err() {
            break;
        }
        sent += 1;
    }
    assert!(since.elapsed() < Duration::from_secs(5), "open after {sent} bytes");
    scene.all_is_well();
}

#[test]
fn hostile_04_a_frame_shorter_than_a_header() {
    let mut scene = Scene::new();
    scene.closes(&with_length(&[]));
    let whole = request(18, 0, &[]);
    for length in 1..whole.len() - 4 {
        scene.closes(&with_length(&whole[4..4 + length]));
    }
}

#[test]
fn hostile_05_an_api_that_is_unknown_or_is_a_controllers() {
    let mut scene = Scene::new();
    for key in [-1, 4, 999, i16::MAX, i16::MIN] {
        scene.closes(&request(key, 0, &[0; 16]));
    }
    let of_controllers =
        [ApiKey::Vote, ApiKey::BrokerRegistration, ApiKey::BrokerHeartbeat, ApiKey::AlterPartition];
    for api in of_controllers {
        let version = api.api().version_min;
        scene.closes(&request(api.number(), version, &[0; 64]));
    }
}

#[test]
fn hostile_06_a_version_that_is_not_served() {
    let mut scene = Scene::new();
    for (api, version) in
        [(ApiKey::Metadata, 99), (ApiKey::Fetch, 3), (ApiKey::Produce, -1), (ApiKey::Produce, 14)]
    {
        scene.closes(&request(api.number(), version, &[0; 32]));
    }
    // Of ApiVersions an answer is had in version 0, whatever was asked.
    for version in [99, -1, i16::MAX] {
        let mut client = scene.rig.client();
        client.send_bytes(&request(ApiKey::ApiVersions.number(), version, &[0; 4])).unwrap();
        let answer = client.receive(ApiKey::ApiVersions, 0).unwrap();
        let versions: ApiVersionsResponse<'_> = answer.read();
        assert_eq!(versions.error_code, ErrorCode::UnsupportedVersion as i16);
        let own = versions.api_keys.iter().find(|api| api.api_key == 18).unwrap();
        assert!((own.min_version, own.max_version) >= (0, 3));
    }
    scene.all_is_well();
}

#[test]
fn hostile_07_a_body_cut_short_ends_the_connection_and_bytes_behind_it_do_not() {
    let mut scene = Scene::new();
    let one = batch(&["one"]);
    let produce = produce_request("t", -1, &[(0, &one)]);
    let whole = frame(ApiKey::Produce, 12, 1, &produce);
    for length in (14..whole.len() - 4).step_by(3) {
        scene.closes(&with_length(&whole[4..4 + length]));
    }
    assert_eq!(scene.bystander.offset_at("t", 0, -1), Ok(0), "no half request has written");

    let mut client = scene.rig.client();
    client.send_bytes(&with_length(&[&whole[4..], &[0xab; 100]].concat())).unwrap();
    let answer = client.receive(ApiKey::Produce, 12).unwrap();
    assert_eq!(produced(&answer)[0].code, ErrorCode::None);
    scene.all_is_well();
}

#[test]
fn hostile_08_a_count_that_no_bytes_stand_behind() {
    let mut scene = Scene::new();
    let nobody = MetadataRequest { topics: Some(Vec::new()), ..Default::default() };
    for count in [i32::MAX, 1 << 28, 1000, -2] {
        scene.closes(&tampered(ApiKey::Metadata, 1, &nobody, |body| {
            body[..4].copy_from_slice(&count.to_be_bytes());
        }));
    }
    let none = CreateTopicsRequest::default();
    for count in [-1, -2, i32::MAX] {
        scene.closes(&tampered(ApiKey::CreateTopics, 4, &none, |body| {
            body[..4].copy_from_slice(&count.to_be_bytes());
        }));
    }
    // A compact count of 2^32 - 1, and the compact null where none is allowed.
    for count in [&[0xff, 0xff, 0xff, 0xff, 0x0f][..], &[0]] {
        scene.closes(&tampered(ApiKey::CreateTopics, 7, &none, |body| {
            body.splice(..1, count.iter().copied());
        }));
    }
}

#[test]
fn hostile_09_a_string_that_is_negative_too_long_or_no_text() {
    let mut scene = Scene::new();
    let topic = MetadataRequestTopic { name: Some("ab"), ..Default::default() };
    let one = MetadataRequest { topics: Some(vec![topic]), ..Default::default() };
    for length in [-1_i16, -2, 3000, i16::MAX] {
        scene.closes(&tampered(ApiKey::Metadata, 1, &one, |body| {
            body[4..6].copy_from_slice(&length.to_be_bytes());
        }));
    }
    // A name that is no UTF-8: closed, or the name is refused.
    let mut client = scene.rig.client();
    let bytes = tampered(ApiKey::Metadata, 1, &one, |body| body[6] = 0xff);
    client.send_bytes(&bytes).unwrap();
    if let Ok(answer) = client.receive(ApiKey::Metadata, 1) {
        let response: MetadataResponse<'_> = answer.read();
        let code = response.topics[0].error_code;
        assert_eq!(code, ErrorCode::InvalidTopicException as i16);
    }
    // Null where records should be is no hanging connection.
    let mut nothing = produce_request("t", -1, &[(0, &[])]);
    nothing.topic_data[0].partition_data[0].records = None;
    let mut client = scene.rig.client();
    let produced = client.produced(&nothing).unwrap();
    assert_eq!(produced[0].code, ErrorCode::InvalidRecord);
    scene.all_is_well();
}

#[test]
fn hostile_10_a_varint_without_end_and_tags_beyond_the_end() {
    let mut scene = Scene::new();
    scene.closes(&tampered(ApiKey::Metadata, 12, &metadata(), |body| {
        body.splice(..1, [0x80; 11]);
    }));
    scene.closes(&tampered(ApiKey::Metadata, 12, &metadata(), |body| {
        body.splice(..1, [0xff; 6]);
    }));
    // The tagged fields are the last byte of the body: one field, number 9, of 100 bytes, and of
    // 2^31 bytes.
    for size in [&[100][..], &[0xff, 0xff, 0xff, 0xff, 0x07]] {
        scene.closes(&tampered(ApiKey::Metadata, 12, &metadata(), |body| {
            body.pop();
            body.extend_from_slice(&[1, 9]);
            body.extend_from_slice(size);
        }));
    }
    // More tagged fields than there are bytes.
    scene.closes(&tampered(ApiKey::Metadata, 12, &metadata(), |body| {
        body.pop();
        body.extend_from_slice(&[0xff, 0xff, 0xff, 0xff, 0x0f]);
    }));
    // Out of order or doubled: an answer, or an end; both leave the others alone.
    for tags in [[2, 9, 1, 0, 8, 1, 0], [2, 9, 1, 0, 9, 1, 0]] {
        let mut client = scene.rig.client();
        let bytes = tampered(ApiKey::Metadata, 12, &metadata(), |body| {
            body.pop();
            body.extend_from_slice(&tags);
        });
        client.send_bytes(&bytes).unwrap();
        if let Ok(answer) = client.receive(ApiKey::Metadata, 12) {
            assert_eq!(answer.correlation_id(), 1);
        }
        scene.all_is_well();
    }
}

#[test]
fn hostile_11_tagged_fields_that_nobody_knows() {
    let mut scene = Scene::new();
    let mut client = scene.rig.client();
    let bytes = tampered(ApiKey::Metadata, 12, &metadata(), |body| {
        body.pop();
        body.extend_from_slice(&[2, 90, 3, 1, 2, 3, 91, 0]);
    });
    client.send_bytes(&bytes).unwrap();
    let answer = client.receive(ApiKey::Metadata, 12).unwrap();
    let response: MetadataResponse<'_> = answer.read();
    assert_eq!(response.topics.len(), 2);
    scene.all_is_well();
}

#[test]
fn hostile_38_thousands_of_requests_at_once_with_one_correlation_id() {
    let mut scene = Scene::new();
    let mut client = scene.rig.client();
    let api_versions = frame(ApiKey::ApiVersions, 0, 77, &ApiVersionsRequest::default());
    let one = batch(&["one"]);
    let produce = frame(ApiKey::Produce, 12, 77, &produce_request("t", -1, &[(0, &one)]));
    let fetch = frame(ApiKey::Fetch, 12, 77, &FetchRequest::default());
    let rounds = 1000;
    let mut all = Vec::new();
    for _ in 0..rounds {
        for bytes in [&produce, &produce, &api_versions, &fetch] {
            all.extend_from_slice(bytes);
        }
    }
    let mut sender = client.another_hand();
    let sending = std::thread::spawn(move || sender.send_bytes(&all));
    for round in 0..rounds {
        for offset in [2 * round, 2 * round + 1] {
            let answer = client.receive(ApiKey::Produce, 12).unwrap();
            assert_eq!(answer.correlation_id(), 77);
            assert_eq!(produced(&answer)[0].base_offset, offset);
        }
        let answer = client.receive(ApiKey::ApiVersions, 0).unwrap();
        assert!(answer.read::<ApiVersionsResponse<'_>>().api_keys.len() > 5);
        assert_eq!(client.receive(ApiKey::Fetch, 12).unwrap().correlation_id(), 77);
        if round % 250 == 0 {
            scene.all_is_well();
        }
    }
    sending.join().unwrap().unwrap();
}

/// The only connection that there may be; the next one is let in when the first one was given up.
#[test]
fn a_client_that_goes_is_noticed_behind_requests_that_wait_for_each_other() {
    let mut rig = Rig::start("max.connections=1");
    rig.client().create_topic("t", 1, &[]);
    let mut gone = loop {
        let mut client = rig.client();
        if client.send(ApiKey::ApiVersions, 0, &ApiVersionsRequest::default()).is_ok()
            && client.receive(ApiKey::ApiVersions, 0).is_ok()
        {
            break client;
        }
    };
    let fetch = FetchRequest { max_wait_ms: 60_000, min_bytes: 1, ..fetch_request("t", 0, 0) };
    for _ in 0..3 {
        gone.send(ApiKey::Fetch, 12, &fetch).unwrap();
    }
    // More than is read of a connection at once.
    for _ in 0..5000 {
        gone.send(ApiKey::ApiVersions, 0, &ApiVersionsRequest::default()).unwrap();
    }
    drop(gone);
    let since = Instant::now();
    loop {
        let mut next = rig.client();
        let is_let_in = next.send(ApiKey::ApiVersions, 0, &ApiVersionsRequest::default()).is_ok()
            && next.receive(ApiKey::ApiVersions, 0).is_ok();
        if is_let_in {
            break;
        }
        assert!(since.elapsed() < Duration::from_secs(10), "nobody noticed");
        std::thread::sleep(Duration::from_millis(20));
    }
    rig.stop();
}

//! The two messages that carry records: reading a Produce request of 10 partitions, writing a
//! Fetch response of 10 partitions, and beside them a plain copy of the same bytes.
#![allow(clippy::unwrap_used, reason = "a bench that cannot go on should stop")]

use std::hint::black_box;

use bytes::Bytes;
use criterion::{Criterion, criterion_group, criterion_main};
use milena_protocol::Uuid;
use milena_protocol::api::fetch::response::{FetchableTopicResponse, PartitionData};
use milena_protocol::api::produce::request::{PartitionProduceData, TopicProduceData};
use milena_protocol::api::{FetchResponse, ProduceRequest};
use milena_protocol::wire::{Message, Records, Writer};

const PARTITIONS: i32 = 10;
const BATCH: usize = 1024;

fn body<'a>(message: &impl Message<'a>, version: i16) -> Vec<u8> {
    let mut writer = Writer::with_capacity(64);
    message.encode(&mut writer, version).unwrap();
    writer.finish().unwrap().into_body().unwrap()
}

fn produce(criterion: &mut Criterion) {
    let batch = vec![7; BATCH];
    let partition = |index| PartitionProduceData { index, records: Some(Records::Slice(&batch)) };
    let request = ProduceRequest {
        transactional_id: None,
        acks: -1,
        timeout_ms: 30_000,
        topic_data: vec![TopicProduceData {
            name: "orders",
            partition_data: (0..PARTITIONS).map(partition).collect(),
            ..TopicProduceData::default()
        }],
    };
    let frame = body(&request, 11);
    criterion.bench_function("produce v11 request, 10 partitions: decode", |bencher| {
        bencher.iter(|| ProduceRequest::decode(black_box(&frame), 11).unwrap());
    });
    copy(criterion, "produce v11 request, 10 partitions: copy of its bytes", &frame);
}

fn fetch(criterion: &mut Criterion) {
    let batch = Bytes::from(vec![7; BATCH]);
    let partition = |partition_index| PartitionData {
        partition_index,
        high_watermark: 1_000,
        last_stable_offset: 1_000,
        log_start_offset: 0,
        aborted_transactions: None,
        records: Some(batch.clone().into()),
        ..PartitionData::default()
    };
    let response = FetchResponse {
        session_id: 1,
        responses: vec![FetchableTopicResponse {
            topic_id: Uuid::from_u128(5),
            partitions: (0..PARTITIONS).map(partition).collect(),
            ..FetchableTopicResponse::default()
        }],
        ..FetchResponse::default()
    };
    criterion.bench_function("fetch v17 response, 10 partitions: encode", |bencher| {
        bencher.iter(|| {
            let mut writer = Writer::with_capacity(1024);
            black_box(&response).encode(&mut writer, 17).unwrap();
            writer.finish().unwrap()
        });
    });
    copy(criterion, "fetch v17 response, 10 partitions: copy of its bytes", &body(&response, 17));
}

/// What any encoder or decoder that copies must pay at least.
fn copy(criterion: &mut Criterion, name: &str, bytes: &[u8]) {
    criterion.bench_function(name, |bencher| bencher.iter(|| black_box(bytes).to_vec()));
}

criterion_group!(benches, produce, fetch);
criterion_main!(benches);

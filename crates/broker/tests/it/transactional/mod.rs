//! What partitions and groups do for transactions, over the wire.
//!
//! `markers`, `readers` and `offsets` ask no coordinator of transactions: partitions are not
//! verified there, and the test itself ends what it began. `writes` has it asked.

mod changes;
mod coordinator;
mod markers;
mod offsets;
mod readers;
mod simulation;
mod writes;

use milena_protocol::{
    ErrorCode, Offset, ProducerEpoch, ProducerId,
    api::{
        ApiKey, DescribeProducersRequest, DescribeProducersResponse, ListOffsetsRequest,
        ListOffsetsResponse, ProduceRequest, WriteTxnMarkersRequest, WriteTxnMarkersResponse,
        describe_producers::request::TopicRequest,
        list_offsets::request::{ListOffsetsPartition, ListOffsetsTopic},
        write_txn_markers::request::{WritableTxnMarker, WritableTxnMarkerTopic},
    },
    records::BatchBuilder,
};

use crate::client::{Client, Produced, built, code, produce_request, produced};

/// Partitions are taken at their producers' word.
const UNVERIFIED: &str = "transaction.partition.verification.enable=false\n";

/// Up to this version of Produce clients add partitions themselves.
const ADDS: i16 = 11;

/// A transactional producer, as partitions see it.
#[derive(Clone, Copy, Debug)]
struct Writer {
    id: i64,
    epoch: i16,
    sequence: i32,
}

impl Writer {
    fn new(client: &mut Client) -> Self {
        let (id, epoch) = client.init_producer_id().unwrap();
        Self { id, epoch, sequence: 0 }
    }

    /// The producer's next batch.
    fn batch(&mut self, values: &[&str]) -> Vec<u8> {
        let builder = BatchBuilder::new(Offset(0))
            .with_producer(ProducerId(self.id), ProducerEpoch(self.epoch), self.sequence)
            .with_transactional();
        self.sequence = self.sequence.wrapping_add(values.len() as i32);
        built(builder, values)
    }

    /// How its transaction ended.
    fn end(&self, is_commit: bool) -> WritableTxnMarker<'static> {
        WritableTxnMarker {
            producer_id: self.id,
            producer_epoch: self.epoch,
            transaction_result: is_commit,
            coordinator_epoch: 3,
            ..Default::default()
        }
    }
}

/// An open producer: its id, epoch, where its transaction began, and its coordinator's epoch.
type Standing = (i64, i32, i64, i32);

impl Client {
    fn produce_within(
        &mut self,
        version: i16,
        id: Option<&str>,
        topic: &str,
        partition: i32,
        batch: &[u8],
    ) -> Produced {
        let request = produce_request(topic, -1, &[(partition, batch)]);
        let request = ProduceRequest { transactional_id: id, ..request };
        produced(&self.call(ApiKey::Produce, version, &request).unwrap()).remove(0)
    }

    /// Writes the marker into partitions; says what became of each.
    fn mark(
        &mut self,
        version: i16,
        marker: &WritableTxnMarker<'_>,
        places: &[(&str, i32)],
    ) -> Vec<ErrorCode> {
        let topic = |(name, index): &(&'static str, i32)| WritableTxnMarkerTopic {
            name,
            partition_indexes: vec![*index],
        };
        let places: Vec<_> = places
            .iter()
            .map(|(name, index)| (String::leak((*name).to_owned()) as _, *index))
            .collect();
        let marker =
            WritableTxnMarker { topics: places.iter().map(topic).collect(), ..marker.clone() };
        let request = WriteTxnMarkersRequest { markers: vec![marker] };
        let answer = self.call(ApiKey::WriteTxnMarkers, version, &request).unwrap();
        let told: WriteTxnMarkersResponse<'_> = answer.read();
        let topics = told.markers.iter().flat_map(|it| &it.topics);
        let partitions = topics.flat_map(|it| &it.partitions);
        partitions.map(|it| code(it.error_code)).collect()
    }

    /// The end of what readers of an isolation level may read.
    fn end_of(&mut self, topic: &str, partition: i32, isolation_level: i8) -> i64 {
        let asked = ListOffsetsPartition {
            partition_index: partition,
            timestamp: -1,
            ..Default::default()
        };
        let topic = ListOffsetsTopic { name: topic, partitions: vec![asked], ..Default::default() };
        let request = ListOffsetsRequest {
            replica_id: -1,
            isolation_level,
            topics: vec![topic],
            ..Default::default()
        };
        let answer = self.call(ApiKey::ListOffsets, 7, &request).unwrap();
        answer.read::<ListOffsetsResponse<'_>>().topics[0].partitions[0].offset
    }

    fn standing_of(&mut self, topic: &str, partition: i32) -> Vec<Standing> {
        let topic = TopicRequest { name: topic, partition_indexes: vec![partition] };
        let request = DescribeProducersRequest { topics: vec![topic] };
        let answer = self.call(ApiKey::DescribeProducers, 0, &request).unwrap();
        let told: DescribeProducersResponse<'_> = answer.read();
        let producers = told.topics[0].partitions[0].active_producers.iter();
        let of = |it: &milena_protocol::api::describe_producers::response::ProducerState| {
            (it.producer_id, it.producer_epoch, it.current_txn_start_offset, it.coordinator_epoch)
        };
        producers.map(of).collect()
    }
}

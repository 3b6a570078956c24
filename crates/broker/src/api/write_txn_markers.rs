//! WriteTxnMarkers: a coordinator, or an administrator in its stead, ends transactions in the
//! partitions that took part in them.

use std::collections::BTreeMap;

use milena_protocol::{
    ErrorCode, ProducerEpoch, ProducerId,
    api::{
        WriteTxnMarkersRequest, WriteTxnMarkersResponse,
        write_txn_markers::{
            request::WritableTxnMarker,
            response::{
                WritableTxnMarkerPartitionResult, WritableTxnMarkerResult,
                WritableTxnMarkerTopicResult,
            },
        },
    },
};

use super::{Call, Outcome};
use crate::{
    authorizer::{Operation, Resource},
    transactions::markers::{self, Marker},
};

pub(super) async fn handle(call: &Call<'_>, request: WriteTxnMarkersRequest<'_>) -> Outcome {
    let may = |operation| call.may(operation, Resource::Cluster);
    if !may(Operation::Alter) && !may(Operation::ClusterAction) {
        return refuse_all(call, &request, ErrorCode::ClusterAuthorizationFailed);
    }
    // A marker without a producer cannot be built, and Kafka then gives up on the whole request.
    let is_nobodys = |it: &WritableTxnMarker<'_>| it.producer_id < 0 || it.producer_epoch < 0;
    if request.markers.iter().any(is_nobodys) {
        return refuse_all(call, &request, ErrorCode::UnknownServerError);
    }
    let markers = request.markers.iter().map(read).collect();
    let mut answers = Answers::default();
    for written in markers::write(call.broker(), markers).await {
        for it in written.partitions {
            let code = it.outcome.err().unwrap_or(ErrorCode::None);
            answers.put(written.producer_id.0, it.topic, it.index, code);
        }
    }
    answers.answer(call)
}

fn read(marker: &WritableTxnMarker<'_>) -> Marker {
    let partitions = marker
        .topics
        .iter()
        .flat_map(|topic| topic.partition_indexes.iter().map(|index| (topic.name.into(), *index)));
    Marker {
        producer_id: ProducerId(marker.producer_id),
        producer_epoch: ProducerEpoch(marker.producer_epoch),
        transaction_version: u8::try_from(marker.transaction_version).unwrap_or_default(),
        is_commit: marker.transaction_result,
        coordinator_epoch: marker.coordinator_epoch,
        partitions: partitions.collect(),
    }
}

fn refuse_all(call: &Call<'_>, request: &WriteTxnMarkersRequest<'_>, code: ErrorCode) -> Outcome {
    let mut answers = Answers::default();
    for marker in request.markers.iter().map(read) {
        for (topic, index) in marker.partitions {
            answers.put(marker.producer_id.0, topic, index, code);
        }
    }
    answers.answer(call)
}

/// What became of each producer's markers, however many there are of one; the last one counts.
#[derive(Default)]
struct Answers(BTreeMap<i64, BTreeMap<Box<str>, BTreeMap<i32, ErrorCode>>>);

impl Answers {
    fn put(&mut self, producer_id: i64, topic: Box<str>, index: i32, code: ErrorCode) {
        self.0.entry(producer_id).or_default().entry(topic).or_default().insert(index, code);
    }

    fn answer(&self, call: &Call<'_>) -> Outcome {
        let markers = self.0.iter().map(|(producer_id, topics)| {
            let topics = topics.iter().map(|(name, partitions)| {
                let partitions = partitions.iter().map(|(partition_index, code)| {
                    let (partition_index, error_code) = (*partition_index, *code as i16);
                    WritableTxnMarkerPartitionResult { partition_index, error_code }
                });
                WritableTxnMarkerTopicResult { name, partitions: partitions.collect() }
            });
            WritableTxnMarkerResult { producer_id: *producer_id, topics: topics.collect() }
        });
        call.answer(&WriteTxnMarkersResponse { markers: markers.collect() })
    }
}

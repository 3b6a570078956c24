//! A message that is chosen by its number is the message of that number.

use milena_protocol::api::{APIS, Request, Response};
use milena_protocol::wire::{DecodeError, Decoded, EncodeError, Flaw, Writer};
use milena_protocol::{control, group, metadata, share, transaction};

use crate::fixture::samples;

fn body(encode: impl FnOnce(&mut Writer) -> Result<(), EncodeError>) -> Vec<u8> {
    let mut writer = Writer::with_capacity(0);
    encode(&mut writer).unwrap();
    writer.finish().unwrap().into_body().unwrap()
}

#[test]
fn every_api_key_reads_its_own_request_and_response() {
    for sample in samples() {
        let key = |side| {
            let name = sample.name.strip_suffix(side)?;
            Some(APIS.iter().find(|api| api.name == name)?.key.number())
        };
        let (bytes, version) = (&sample.bytes, sample.version);
        if let Some(key) = key("Request") {
            let request = Request::decode(key, bytes, version).unwrap().message;
            assert_eq!(request.number(), key);
            assert_eq!(&body(|writer| request.encode(writer, version)), bytes);
        } else if let Some(key) = key("Response") {
            let response = Response::decode(key, bytes, version).unwrap().message;
            assert_eq!(response.number(), key);
            assert_eq!(&body(|writer| response.encode(writer, version)), bytes);
        }
    }
}

/// Asserts that a number reads all samples of a name as a variant of its family.
macro_rules! assert_reads {
    ($($family:ident::$side:ident $number:literal $name:literal => $variant:ident;)*) => { $({
        let mut count = 0;
        for sample in samples().iter().filter(|sample| sample.name == $name) {
            let read: Result<Decoded<$family::$side<'_>>, DecodeError> =
                $family::$side::decode($number, &sample.bytes, sample.version);
            let record = read.unwrap().message;
            assert!(matches!(record, $family::$side::$variant(_)), "{record:?}");
            assert_eq!(record.number(), $number);
            assert_eq!(body(|writer| record.encode(writer, sample.version)), sample.bytes);
            count += 1;
        }
        assert!(count > 0, $name);
    })* };
}

#[test]
fn a_record_type_reads_its_own_record() {
    assert_reads! {
        metadata::Value 0 "RegisterBrokerRecord" => RegisterBrokerRecord;
        metadata::Value 2 "TopicRecord" => TopicRecord;
        metadata::Value 5 "PartitionChangeRecord" => PartitionChangeRecord;
        metadata::Value 28 "ClearElrRecord" => ClearElrRecord;
        group::Key 1 "OffsetCommitKey" => OffsetCommit;
        group::Value 2 "GroupMetadataValue" => GroupMetadata;
        group::Key 16 "ConsumerGroupRegularExpressionKey" => ConsumerGroupRegularExpression;
        group::Value 23 "StreamsGroupTopologyValue" => StreamsGroupTopology;
        transaction::Key 0 "TransactionLogKey" => TransactionLog;
        transaction::Value 0 "TransactionLogValue" => TransactionLog;
        share::Key 1 "ShareUpdateKey" => ShareUpdate;
    }
}

#[test]
fn an_unknown_number_is_an_error() {
    let refused = [
        Request::decode(6, &[], 0).unwrap_err(),
        metadata::Value::decode(6, &[], 0).unwrap_err(),
        control::Value::decode(7, &[], 0).unwrap_err(),
    ];
    let flaws = refused.map(|error| error.flaw);
    assert_eq!(flaws, [6, 6, 7].map(Flaw::UnknownKind));
}

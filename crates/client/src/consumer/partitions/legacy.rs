//! Messages of the formats 0 and 1, which old topics still hold and brokers give out as they are:
//! each is made a batch of today's format, so that nobody else knows of them. Pure.

use bytes::Bytes;
use milena_protocol::{
    LeaderEpoch, ProducerEpoch, ProducerId,
    records::{Attributes, BatchBuilder, BatchHeader, Budget, LegacyMessage, Scratch},
};

/// The message, or the messages that are compressed in it, with the offsets and times that they
/// have.
pub(super) fn as_batch(
    message: &LegacyMessage<'_>,
    scratch: &mut Scratch,
) -> Result<Bytes, Box<str>> {
    let text = |error: &dyn std::fmt::Display| Box::from(error.to_string());
    let records = message.records(scratch, Budget::default()).map_err(|error| text(&error))?;
    let records: Vec<_> = records.collect::<Result<_, _>>().map_err(|error| text(&error))?;
    let base_offset = records.first().map_or(message.offset, |record| record.offset);
    let last_offset_delta = i32::try_from(message.offset.0.saturating_sub(base_offset.0));
    let header = BatchHeader {
        base_offset,
        length: 0,
        leader_epoch: LeaderEpoch::UNKNOWN,
        crc: 0,
        attributes: Attributes(0),
        last_offset_delta: last_offset_delta.unwrap_or(-1),
        base_timestamp: message.timestamp,
        max_timestamp: message.timestamp,
        producer_id: ProducerId::NONE,
        producer_epoch: ProducerEpoch::NONE,
        base_sequence: -1,
        record_count: 0,
    };
    let mut builder = BatchBuilder::in_place_of(&header);
    for record in &records {
        builder.append_record(record).map_err(|error| text(&error))?;
    }
    builder.finish().map(Bytes::from).map_err(|error| text(&error))
}

#[cfg(test)]
mod test {
    use milena_protocol::{Offset, records::BatchBuilder};
    use serde_json::{Value, json};

    use super::super::{
        super::{TopicPartition, record::Records},
        buffer::{Buffer, Chunk, Read, Tools},
    };
    use super::*;

    /// What Kafka's own classes wrote, and the records in it; `tests/oracle/run.sh` asks again.
    const FIXTURE: &[u8] = include_bytes!("../../../../protocol/tests/fixtures/batches.jsonl.zst");

    fn old_lines() -> Vec<Value> {
        let text = zstd::decode_all(FIXTURE).unwrap();
        let lines = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        let lines = lines.map(|line| serde_json::from_slice::<Value>(line).unwrap());
        lines.filter(|line| line["magic"].as_i64() < Some(2)).collect()
    }

    fn unhex(text: &Value) -> Vec<u8> {
        let (pairs, _) = text.as_str().unwrap().as_bytes().as_chunks::<2>();
        let digit = |digit: u8| (digit as char).to_digit(16).unwrap() as u8;
        pairs.iter().map(|[a, b]| digit(*a) << 4 | digit(*b)).collect()
    }

    fn unbase64(text: &Value) -> Option<Vec<u8>> {
        let place = |letter: u8| match letter {
            b'A'..=b'Z' => letter - b'A',
            b'a'..=b'z' => letter - b'a' + 26,
            b'0'..=b'9' => letter - b'0' + 52,
            b'+' => 62,
            _ => 63,
        };
        let (mut bytes, mut bits, mut have) = (Vec::new(), 0_u32, 0);
        for letter in text.as_str()?.bytes().filter(|letter| *letter != b'=') {
            (bits, have) = (bits << 6 | u32::from(place(letter)), have + 6);
            if have >= 8 {
                have -= 8;
                bytes.push((bits >> have) as u8);
            }
        }
        Some(bytes)
    }

    /// All that a chunk gives from an offset on, a few records at a time.
    fn read(bytes: Vec<u8>, from: i64) -> (Vec<Value>, i64) {
        let chunk = Chunk::new(bytes.into(), Vec::new());
        let next = chunk.next_offset().unwrap().unwrap();
        let mut buffer = Buffer::default();
        buffer.push(chunk);
        let mut tools = Tools { is_checking: true, ..Tools::default() };
        let mut at = Read { offset: from, epoch: LeaderEpoch::UNKNOWN };
        let mut all = Vec::new();
        while !buffer.is_empty() {
            let mut records = Records::default();
            let partition = TopicPartition::new("t", 0);
            buffer.take(&partition, &mut at, 2, &mut tools, &mut records).unwrap();
            for record in &records {
                assert_eq!(record.leader_epoch, None);
                let (key, value) = (record.key, record.value);
                all.push(json!([record.offset, record.timestamp, key, value]));
            }
        }
        assert_eq!(at.offset, next, "it goes on behind all of them");
        (all, next)
    }

    #[test]
    fn old_messages_are_read_as_kafka_reads_them() {
        let mut compressed = 0;
        for line in old_lines() {
            let name = format!("{} {} v{}", line["name"], line["codec"], line["magic"]);
            let records = line["records"].as_array().unwrap().iter().map(|record| {
                let (key, value) = (unbase64(&record["key"]), unbase64(&record["value"]));
                json!([record["offset"], record["timestamp"], key, value])
            });
            let records: Vec<_> = records.collect();
            let first = records[0][0].as_i64().unwrap();
            let bytes = unhex(&line["hex"]);
            assert_eq!(read(bytes.clone(), first).0, records, "{name}");
            // From the middle, and with a batch of today behind it.
            let next = records.last().unwrap()[0].as_i64().unwrap() + 1;
            let mut builder = BatchBuilder::new(Offset(next));
            builder.append(5, None, Some(b"new"), []);
            let bytes = [bytes, builder.finish().unwrap()].concat();
            let (read, end) = read(bytes, first + 1);
            assert_eq!(read[..read.len() - 1], records[1..], "{name}");
            assert_eq!(end, next + 1, "{name}");
            compressed += usize::from(line["codec"] != "none");
        }
        assert!(compressed > 10, "{compressed}");
    }

    #[test]
    fn an_old_message_that_is_cut_off_is_left_and_one_that_is_broken_is_told() {
        let line = old_lines().into_iter().find(|line| line["codec"] == "gzip").unwrap();
        let bytes = unhex(&line["hex"]);
        let cut = Chunk::new(bytes[..bytes.len() - 1].to_vec().into(), Vec::new());
        assert_eq!(cut.next_offset().unwrap(), None);
        let mut broken = bytes;
        *broken.last_mut().unwrap() ^= 1;
        let error = Chunk::new(broken.into(), Vec::new()).next_offset().unwrap_err();
        assert!(error.contains("checksum"), "{error}");
    }
}

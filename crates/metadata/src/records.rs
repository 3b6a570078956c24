//! Metadata records as bytes: the value of a record in `__cluster_metadata`.
//!
//! A frame version, the record's type and its version, each an unsigned varint, then its body.

use bytes::Bytes;
use milena_protocol::{DecodeError, EncodeError, metadata::Value, wire::Writer};

const FRAME_VERSION: u32 = 1;

/// Why bytes are no metadata record, or a record cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    #[error("metadata record of {0} bytes has no frame")]
    Truncated(usize),
    #[error("metadata record in frame version {0}, where only {FRAME_VERSION} is known")]
    FrameVersion(u32),
    /// A newer Kafka wrote it: to go on without it would be to forget it.
    #[error(
        "metadata record of type {kind} in version {version} cannot be read: {why}; start the \
         version that wrote it, or a newer one"
    )]
    Body { kind: i16, version: i16, why: DecodeError },
    #[error(transparent)]
    Encode(#[from] EncodeError),
}

/// What one request changes, in order. It becomes one batch, and so is there as a whole or not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Records {
    values: Vec<Bytes>,
}

impl Records {
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    #[must_use]
    pub const fn len(&self) -> usize {
        self.values.len()
    }

    /// Bytes of all values together.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.values.iter().map(Bytes::len).sum()
    }

    /// Each as it lies in the log.
    pub fn iter(&self) -> impl Iterator<Item = &Bytes> {
        self.values.iter()
    }

    pub fn push(&mut self, record: &Value<'_>) -> Result<(), RecordError> {
        self.values.push(encode(record)?);
        Ok(())
    }

    pub fn append(&mut self, mut more: Self) {
        self.values.append(&mut more.values);
    }
}

impl FromIterator<Bytes> for Records {
    fn from_iter<I: IntoIterator<Item = Bytes>>(values: I) -> Self {
        Self { values: values.into_iter().collect() }
    }
}

/// Writes a record in the lowest version that says all of it, for the oldest reader.
pub fn encode(record: &Value<'_>) -> Result<Bytes, RecordError> {
    let version = match record {
        Value::RegisterBrokerRecord(it) if it.cordoned_log_dirs.is_some() => 4,
        Value::RegisterBrokerRecord(_) => 3,
        Value::BrokerRegistrationChangeRecord(it) if it.cordoned_log_dirs.is_some() => 3,
        Value::BrokerRegistrationChangeRecord(_) => 2,
        Value::PartitionRecord(it) => {
            1 + i16::from(it.eligible_leader_replicas.is_some() || it.last_known_elr.is_some())
        }
        Value::PartitionChangeRecord(it) => {
            1 + i16::from(it.eligible_leader_replicas.is_some() || it.last_known_elr.is_some())
        }
        _ => 0,
    };
    let mut writer = Writer::with_capacity(64);
    record.encode(&mut writer, version)?;
    let body = writer.finish()?.into_body().unwrap_or_default();
    let mut bytes = Vec::with_capacity(body.len() + 3);
    for number in [FRAME_VERSION, record.number() as u32, version as u32] {
        put_varint(&mut bytes, number);
    }
    bytes.extend_from_slice(&body);
    Ok(bytes.into())
}

pub fn decode(bytes: &[u8]) -> Result<Value<'_>, RecordError> {
    let truncated = || RecordError::Truncated(bytes.len());
    let mut rest = bytes;
    let frame = take_varint(&mut rest).ok_or_else(truncated)?;
    if frame != FRAME_VERSION {
        return Err(RecordError::FrameVersion(frame));
    }
    let mut number = || {
        let number = take_varint(&mut rest).ok_or_else(truncated)?;
        Ok::<_, RecordError>(i16::try_from(number).unwrap_or(i16::MAX))
    };
    let (kind, version) = (number()?, number()?);
    Value::decode(kind, rest, version)
        .map(|decoded| decoded.message)
        .map_err(|why| RecordError::Body { kind, version, why })
}

fn put_varint(out: &mut Vec<u8>, mut value: u32) {
    while value > 0x7f {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn take_varint(bytes: &mut &[u8]) -> Option<u32> {
    let mut value = 0;
    for shift in [0, 7, 14] {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u32::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod test {
    use milena_protocol::{
        Uuid,
        metadata::{NoOpRecord, TopicRecord},
    };

    use super::*;

    #[test]
    fn a_record_is_read_as_written_and_lies_as_kafka_lays_it() {
        let record = TopicRecord { name: "t", topic_id: Uuid::from_u128(1) };
        let bytes = encode(&Value::TopicRecord(record.clone())).unwrap();
        assert_eq!(&bytes[..5], &[1, 2, 0, 2, b't']);
        assert_eq!(decode(&bytes).unwrap(), Value::TopicRecord(record));
        assert_eq!(&encode(&Value::NoOpRecord(NoOpRecord::default())).unwrap()[..], &[1, 20, 0, 0]);
    }

    #[test]
    fn what_is_unknown_is_refused_and_says_so() {
        assert!(matches!(decode(&[1, 99, 0, 0]), Err(RecordError::Body { kind: 99, .. })));
        assert!(matches!(decode(&[1, 2, 9, 0]), Err(RecordError::Body { version: 9, .. })));
        assert!(matches!(decode(&[2, 2, 0, 0]), Err(RecordError::FrameVersion(2))));
        assert!(matches!(decode(&[1, 2]), Err(RecordError::Truncated(2))));
        assert!(matches!(decode(&[0xff; 9]), Err(RecordError::Truncated(9))));
    }
}

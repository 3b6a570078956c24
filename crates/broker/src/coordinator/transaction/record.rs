//! The records of `__transaction_state` as bytes: the key is its type's number and the id, the
//! value its version and its fields. Byte for byte Kafka's.

use milena_protocol::{
    DecodeError, EncodeError, Message,
    transaction::{TransactionLogKey, TransactionLogValue},
    wire::Writer,
};

const KEY_TYPE: i16 = 0;
const KEY_VERSION: i16 = 0;

pub(super) fn key(transactional_id: &str) -> Result<Vec<u8>, EncodeError> {
    prefixed(KEY_TYPE, &TransactionLogKey { transactional_id }, KEY_VERSION)
}

/// The value as Kafka writes it at this level of `transaction.version`.
pub(super) fn value(
    value: &TransactionLogValue<'_>,
    feature_level: i16,
) -> Result<Vec<u8>, EncodeError> {
    let version = feature_level.clamp(0, 1);
    prefixed(version, value, version)
}

/// A message behind the number that says how to read it.
fn prefixed<'a>(
    number: i16,
    message: &impl Message<'a>,
    version: i16,
) -> Result<Vec<u8>, EncodeError> {
    let mut writer = Writer::with_capacity(128);
    message.encode(&mut writer, version)?;
    let body = writer.finish()?.into_body().unwrap_or_default();
    Ok([&number.to_be_bytes()[..], &body].concat())
}

/// Reads whose record it is; `None` for a type that only a newer Kafka knows, which is skipped.
pub(super) fn read_key(bytes: &[u8]) -> Result<Option<&str>, DecodeError> {
    let Some(([a, b], body)) = bytes.split_first_chunk() else { return Ok(None) };
    match i16::from_be_bytes([*a, *b]) {
        KEY_TYPE => {
            let key = TransactionLogKey::decode(body, KEY_VERSION)?.message;
            Ok(Some(key.transactional_id))
        }
        _ => Ok(None),
    }
}

/// Reads a value; `None` for a version that only a newer Kafka knows, which is skipped.
pub(super) fn read_value(bytes: &[u8]) -> Result<Option<TransactionLogValue<'_>>, DecodeError> {
    let Some(([a, b], body)) = bytes.split_first_chunk() else { return Ok(None) };
    match i16::from_be_bytes([*a, *b]) {
        version @ 0..=1 => Ok(Some(TransactionLogValue::decode(body, version)?.message)),
        _ => Ok(None),
    }
}

//! How keys and values become bytes.

use std::fmt::Debug;

use crate::error::Result;

/// Makes bytes of keys or values of one type.
pub trait Serializer<T: ?Sized>: Debug + Send + Sync + 'static {
    /// The bytes of `value`: those that it consists of, or ones written to `scratch`.
    fn serialize<'v>(
        &self,
        topic: &str,
        value: &'v T,
        scratch: &'v mut Vec<u8>,
    ) -> Result<&'v [u8]>;
}

/// Bytes as they are.
#[derive(Clone, Copy, Debug, Default)]
pub struct BytesSerializer;

impl Serializer<[u8]> for BytesSerializer {
    fn serialize<'v>(&self, _: &str, value: &'v [u8], _: &'v mut Vec<u8>) -> Result<&'v [u8]> {
        Ok(value)
    }
}

/// Text in UTF-8.
#[derive(Clone, Copy, Debug, Default)]
pub struct StringSerializer;

impl Serializer<str> for StringSerializer {
    fn serialize<'v>(&self, _: &str, value: &'v str, _: &'v mut Vec<u8>) -> Result<&'v [u8]> {
        Ok(value.as_bytes())
    }
}

/// Numbers as Kafka's serializers write them: all their bytes, the most significant first.
#[derive(Clone, Copy, Debug, Default)]
pub struct NumberSerializer;

macro_rules! numbers {
    ($($type:ty)*) => { $(
        impl Serializer<$type> for NumberSerializer {
            fn serialize<'v>(
                &self,
                _: &str,
                value: &'v $type,
                scratch: &'v mut Vec<u8>,
            ) -> Result<&'v [u8]> {
                scratch.extend_from_slice(&value.to_be_bytes());
                Ok(scratch)
            }
        }
    )* };
}

numbers!(i32 i64 u32 u64 f64);

/// Anything that serde can write, as JSON.
#[cfg(feature = "json")]
#[derive(Clone, Copy, Debug, Default)]
pub struct JsonSerializer;

#[cfg(feature = "json")]
impl<T: ?Sized + serde::Serialize> Serializer<T> for JsonSerializer {
    fn serialize<'v>(
        &self,
        topic: &str,
        value: &'v T,
        scratch: &'v mut Vec<u8>,
    ) -> Result<&'v [u8]> {
        serde_json::to_writer(&mut *scratch, value).map_err(|error| {
            crate::Error::Invalid(format!("a record of {topic} is no JSON: {error}").into())
        })?;
        Ok(scratch)
    }
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn numbers_are_those_of_java() {
        let mut scratch = Vec::new();
        let bytes = NumberSerializer.serialize("t", &-2_i64, &mut scratch).unwrap();
        assert_eq!(bytes, [255, 255, 255, 255, 255, 255, 255, 254]);
        let mut scratch = Vec::new();
        assert_eq!(NumberSerializer.serialize("t", &258_i32, &mut scratch).unwrap(), [0, 0, 1, 2]);
        assert_eq!(StringSerializer.serialize("t", "é", &mut Vec::new()).unwrap(), [0xc3, 0xa9]);
    }

    #[cfg(feature = "json")]
    #[test]
    fn what_is_no_json_is_an_error() {
        let mut scratch = Vec::new();
        assert_eq!(JsonSerializer.serialize("t", &[1, 2], &mut scratch).unwrap(), b"[1,2]");
        let wrong = std::collections::BTreeMap::from([((1, 2), 3)]);
        let error = JsonSerializer.serialize("orders", &wrong, &mut Vec::new()).unwrap_err();
        assert!(error.to_string().starts_with("a record of orders is no JSON"), "{error}");
    }
}

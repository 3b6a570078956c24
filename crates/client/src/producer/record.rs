//! A record on its way to a topic, and where it was stored.

use std::{borrow::Cow, fmt, sync::Arc};

/// A record to be sent. Key and value may be borrowed or owned; nothing is copied before they are
/// written into a batch.
///
/// ```
/// use milena_client::producer::Record;
///
/// let record: Record = Record::to("orders").key("customer 7").value("three apples");
/// assert_eq!(record.topic, "orders");
/// // Without a value it is a tombstone: it deletes its key from a compacted topic.
/// let tombstone: Record = Record::to("orders").key("customer 7");
/// assert!(tombstone.value.is_none());
/// ```
#[non_exhaustive]
pub struct Record<'a, K: ?Sized + ToOwned = [u8], V: ?Sized + ToOwned = [u8]> {
    /// Where it goes.
    pub topic: Cow<'a, str>,
    /// Which partition; the partitioner chooses if it is left open.
    pub partition: Option<i32>,
    /// Milliseconds since 1970; the time of sending if it is left open.
    pub timestamp: Option<i64>,
    /// What the record is about.
    pub key: Option<Cow<'a, K>>,
    /// What it says. None deletes the key from a compacted topic.
    pub value: Option<Cow<'a, V>>,
    /// What goes with it.
    pub headers: Vec<Header<'a>>,
}

/// What goes with a record.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Header<'a> {
    /// Its name, which several may have.
    pub key: Cow<'a, str>,
    /// What it says.
    pub value: Option<Cow<'a, [u8]>>,
}

impl<'a, K: ?Sized + ToOwned, V: ?Sized + ToOwned> Record<'a, K, V> {
    /// An empty record for a topic.
    #[must_use]
    pub fn to(topic: impl Into<Cow<'a, str>>) -> Self {
        let (topic, headers) = (topic.into(), Vec::new());
        Self { topic, partition: None, timestamp: None, key: None, value: None, headers }
    }

    /// Gives it a key.
    #[must_use]
    pub fn key(mut self, key: impl Field<'a, K>) -> Self {
        self.key = Some(key.into_field());
        self
    }

    /// Gives it a value.
    #[must_use]
    pub fn value(mut self, value: impl Field<'a, V>) -> Self {
        self.value = Some(value.into_field());
        self
    }

    /// Says which partition it goes to.
    #[must_use]
    pub fn partition(mut self, partition: i32) -> Self {
        self.partition = Some(partition);
        self
    }

    /// Says when it happened, in milliseconds since 1970.
    #[must_use]
    pub fn timestamp(mut self, timestamp: i64) -> Self {
        self.timestamp = Some(timestamp);
        self
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, key: impl Into<Cow<'a, str>>, value: impl Field<'a, [u8]>) -> Self {
        self.headers.push(Header { key: key.into(), value: Some(value.into_field()) });
        self
    }

    /// Adds a header that has a name and no value, which is not the same as an empty one.
    #[must_use]
    pub fn null_header(mut self, key: impl Into<Cow<'a, str>>) -> Self {
        self.headers.push(Header { key: key.into(), value: None });
        self
    }
}

impl<K: ?Sized + ToOwned, V: ?Sized + ToOwned> Clone for Record<'_, K, V> {
    fn clone(&self) -> Self {
        Self {
            topic: self.topic.clone(),
            partition: self.partition,
            timestamp: self.timestamp,
            key: self.key.clone(),
            value: self.value.clone(),
            headers: self.headers.clone(),
        }
    }
}

impl<K: ?Sized + ToOwned, V: ?Sized + ToOwned> fmt::Debug for Record<'_, K, V> {
    /// Where it goes. What it says may be large, and secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record")
            .field("topic", &self.topic)
            .field("partition", &self.partition)
            .field("timestamp", &self.timestamp)
            .finish_non_exhaustive()
    }
}

/// What a key or a value can be made of: a reference to it, itself, or what is as good.
pub trait Field<'a, T: ?Sized + ToOwned> {
    /// Borrowed if it is, owned otherwise.
    fn into_field(self) -> Cow<'a, T>;
}

impl<'a, T: ?Sized + ToOwned> Field<'a, T> for &'a T {
    fn into_field(self) -> Cow<'a, T> {
        Cow::Borrowed(self)
    }
}

impl<'a, T: ?Sized + ToOwned> Field<'a, T> for Cow<'a, T> {
    fn into_field(self) -> Self {
        self
    }
}

macro_rules! fields {
    ($($from:ty => $to:ty, $it:ident: $field:expr;)*) => { $(
        impl<'a> Field<'a, $to> for $from {
            fn into_field(self) -> Cow<'a, $to> {
                let $it = self;
                $field
            }
        }
    )* };
}

fields! {
    &'a str => [u8], it: Cow::Borrowed(it.as_bytes());
    &'a String => [u8], it: Cow::Borrowed(it.as_bytes());
    &'a Vec<u8> => [u8], it: Cow::Borrowed(it);
    Vec<u8> => [u8], it: Cow::Owned(it);
    String => [u8], it: Cow::Owned(it.into_bytes());
    String => str, it: Cow::Owned(it);
    &'a String => str, it: Cow::Borrowed(it);
    i32 => i32, it: Cow::Owned(it);
    i64 => i64, it: Cow::Owned(it);
    u32 => u32, it: Cow::Owned(it);
    u64 => u64, it: Cow::Owned(it);
    f64 => f64, it: Cow::Owned(it);
}

impl<'a, const N: usize> Field<'a, [u8]> for &'a [u8; N] {
    fn into_field(self) -> Cow<'a, [u8]> {
        Cow::Borrowed(self)
    }
}

/// Where a record was stored.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecordMetadata {
    /// The topic.
    pub topic: Arc<str>,
    /// Its partition.
    pub partition: i32,
    /// The place in it. None where the broker does not say: with `acks=0`, or if a retry found the
    /// record stored long before.
    pub offset: Option<i64>,
    /// Milliseconds since 1970: the record's own time, or the broker's if the topic wants that.
    pub timestamp: i64,
}

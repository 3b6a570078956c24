//! What a program wants to do with every record that it sends.

use std::{
    fmt::{self, Debug},
    sync::Arc,
};

use super::record::{Record, RecordMetadata};
use crate::error::Error;

/// Sees every record before it is written, and hears what became of it.
///
/// Several make a chain: each gets what the one before it has made. Topic and partition are better
/// left as they are, since others may rely on them.
///
/// ```no_run
/// use milena_client::producer::{Interceptor, Producer, ProducerConfig, Record};
///
/// #[derive(Debug)]
/// struct Stamp;
///
/// impl Interceptor for Stamp {
///     fn before_send<'a>(&self, record: Record<'a>) -> Option<Record<'a>> {
///         Some(record.header("sent-by", "billing"))
///     }
/// }
///
/// # fn example() -> milena_client::Result<()> {
/// let config = ProducerConfig::new("localhost:9092");
/// let producer = Producer::builder(config).interceptor(Stamp).build()?;
/// # Ok(())
/// # }
/// ```
pub trait Interceptor<K = [u8], V = [u8]>: Debug + Send + Sync + 'static
where
    K: ?Sized + ToOwned + 'static,
    V: ?Sized + ToOwned + 'static,
{
    /// Gives on a record: as it is, changed, or not at all, in which case `send` says
    /// [`Error::Dropped`].
    fn before_send<'a>(&self, record: Record<'a, K, V>) -> Option<Record<'a, K, V>> {
        Some(record)
    }

    /// The record was stored, or never will be. It is called by the task that sends, and should
    /// not take long.
    fn acknowledged(&self, outcome: &Result<RecordMetadata, Error>) {
        let _ = outcome;
    }
}

/// All of them, each behind the other.
pub(super) struct Chain<K: ?Sized, V: ?Sized> {
    interceptors: Vec<Arc<dyn Interceptor<K, V>>>,
}

impl<K: ?Sized, V: ?Sized> Debug for Chain<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.interceptors).finish()
    }
}

impl<K, V> Chain<K, V>
where
    K: ?Sized + ToOwned + 'static,
    V: ?Sized + ToOwned + 'static,
{
    pub(super) fn new(interceptors: Vec<Arc<dyn Interceptor<K, V>>>) -> Self {
        Self { interceptors }
    }

    pub(super) fn before_send<'a>(&self, record: Record<'a, K, V>) -> Option<Record<'a, K, V>> {
        self.interceptors.iter().try_fold(record, |record, next| next.before_send(record))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.interceptors.is_empty()
    }
}

/// Hears what became of records, whatever types they had.
pub(super) trait Audience: Debug + Send + Sync {
    fn acknowledged(&self, outcome: &Result<RecordMetadata, Error>);
}

impl<K, V> Audience for Chain<K, V>
where
    K: ?Sized + ToOwned + 'static,
    V: ?Sized + ToOwned + 'static,
{
    fn acknowledged(&self, outcome: &Result<RecordMetadata, Error>) {
        for interceptor in &self.interceptors {
            interceptor.acknowledged(outcome);
        }
    }
}

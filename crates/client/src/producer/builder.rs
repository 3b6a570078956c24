//! Puts a producer together.

use std::sync::Arc;

use super::{
    Producer, ProducerConfig, Serializer,
    interceptor::{Chain, Interceptor},
    partitioner::Partitioner,
    sender::Sender,
    shared::Shared,
};
use crate::error::Result;

/// A producer in the making.
#[derive(Debug)]
pub struct Builder<K: ?Sized + ToOwned, V: ?Sized + ToOwned> {
    config: ProducerConfig,
    key: Box<dyn Serializer<K>>,
    value: Box<dyn Serializer<V>>,
    interceptors: Vec<Arc<dyn Interceptor<K, V>>>,
    partitioner: Option<Box<dyn Partitioner>>,
}

impl<K, V> Builder<K, V>
where
    K: ?Sized + ToOwned + 'static,
    V: ?Sized + ToOwned + 'static,
{
    pub(super) fn new(
        config: ProducerConfig,
        key: Box<dyn Serializer<K>>,
        value: Box<dyn Serializer<V>>,
    ) -> Self {
        Self { config, key, value, interceptors: Vec::new(), partitioner: None }
    }

    /// Adds an interceptor behind those that are there.
    #[must_use]
    pub fn interceptor(mut self, interceptor: impl Interceptor<K, V>) -> Self {
        self.interceptors.push(Arc::new(interceptor));
        self
    }

    /// Says who chooses partitions. Without this it is the hash of the key, and records without
    /// one go where a batch's worth of bytes goes next.
    #[must_use]
    pub fn partitioner(mut self, partitioner: impl Partitioner) -> Self {
        self.partitioner = Some(Box::new(partitioner));
        self
    }

    /// Begins. Nothing is asked of a broker yet. Must be called within a tokio runtime, on which
    /// the producer will live.
    pub fn build(self) -> Result<Producer<K, V>> {
        let chain = Arc::new(Chain::new(self.interceptors));
        let audience = (!chain.is_empty()).then(|| Arc::clone(&chain) as _);
        let shared = Arc::new(Shared::new(self.config, audience)?);
        tokio::spawn(Sender::new(Arc::clone(&shared)).run());
        let (key, value, partitioner) = (self.key, self.value, self.partitioner);
        Ok(Producer { shared, chain, key, value, partitioner })
    }
}

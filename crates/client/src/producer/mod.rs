//! The producer: records go in one by one, and to the brokers in batches.
//!
//! A record's way: [`Interceptor`]s may change it, [`Serializer`]s make it bytes, a [`Partitioner`]
//! chooses its partition, `accumulator` writes it into the partition's batch, and `sender`, one
//! task, sends what is full or has waited for `linger.ms`. Everything up to the batch is done by
//! whoever calls [`Producer::send`], without a copy but the one into the batch.
//!
//! ```no_run
//! use milena_client::producer::{Producer, ProducerConfig, Record};
//!
//! # async fn example() -> milena_client::Result<()> {
//! let producer = Producer::new(ProducerConfig::new("localhost:9092"))?;
//! let delivery = producer.send(Record::to("orders").key("customer 7").value("apples")).await?;
//! let stored = delivery.await?;
//! println!("{}-{} at {:?}", stored.topic, stored.partition, stored.offset);
//! producer.close(std::time::Duration::from_secs(10)).await
//! # }
//! ```

mod accumulator;
mod batch;
mod builder;
mod config;
mod delivery;
mod interceptor;
mod partitioner;
mod record;
mod sender;
mod serializer;
mod shared;
mod transactions;

use std::{sync::Arc, time::Duration};

#[cfg(feature = "json")]
pub use self::serializer::JsonSerializer;
use self::{
    batch::Fields,
    interceptor::Chain,
    shared::{Shared, Target},
};
pub use self::{
    builder::Builder,
    config::{Acks, Compression, ProducerConfig},
    delivery::Delivery,
    interceptor::Interceptor,
    partitioner::{Partitioner, RoundRobin, partition_of},
    record::{Field, Header, Record, RecordMetadata},
    serializer::{BytesSerializer, NumberSerializer, Serializer, StringSerializer},
    transactions::GroupMember,
};
use crate::{
    error::{Error, Result},
    types::{CommittedOffset, TopicPartition},
};

/// Sends records. Many tasks may use one at the same time, behind an `Arc` or a reference.
///
/// When it is dropped, what it has taken is still sent by a task of the runtime on which it was
/// made; [`close`](Self::close) waits for that.
#[derive(Debug)]
pub struct Producer<K: ?Sized + ToOwned = [u8], V: ?Sized + ToOwned = [u8]> {
    shared: Arc<Shared>,
    chain: Arc<Chain<K, V>>,
    key: Box<dyn Serializer<K>>,
    value: Box<dyn Serializer<V>>,
    partitioner: Option<Box<dyn Partitioner>>,
}

impl Producer {
    /// A producer of bytes. Must be called within a tokio runtime, on which it will live.
    pub fn new(config: ProducerConfig) -> Result<Self> {
        Self::builder(config).build()
    }

    /// A producer of bytes with more to say.
    pub fn builder(config: ProducerConfig) -> Builder<[u8], [u8]> {
        Builder::new(config, Box::new(BytesSerializer), Box::new(BytesSerializer))
    }
}

impl<K, V> Producer<K, V>
where
    K: ?Sized + ToOwned + 'static,
    V: ?Sized + ToOwned + 'static,
{
    /// A producer of keys and values of other types.
    ///
    /// ```no_run
    /// use milena_client::producer::{
    ///     NumberSerializer, Producer, ProducerConfig, Record, StringSerializer,
    /// };
    ///
    /// # async fn example() -> milena_client::Result<()> {
    /// let config = ProducerConfig::new("localhost:9092");
    /// let producer: Producer<i64, str> =
    ///     Producer::typed(config, NumberSerializer, StringSerializer).build()?;
    /// let _ = producer.send(Record::to("names").key(7).value("Ana")).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn typed(
        config: ProducerConfig,
        key: impl Serializer<K>,
        value: impl Serializer<V>,
    ) -> Builder<K, V> {
        Builder::new(config, Box::new(key), Box::new(value))
    }

    /// Takes a record. When this is done, the record is in a batch and will be sent; what becomes
    /// of it is the [`Delivery`]'s outcome, which may be awaited or dropped.
    ///
    /// Usually it is done at once. It waits, for no longer than `max.block.ms`, while
    /// `buffer.memory` is used up, and when a topic is sent to for the first time. If it is
    /// dropped before it is done, the record was not taken.
    pub async fn send(&self, record: Record<'_, K, V>) -> Result<Delivery> {
        let record = if self.chain.is_empty() {
            record
        } else {
            self.chain.before_send(record).ok_or(Error::Dropped)?
        };
        let (mut key, mut value) = (Vec::new(), Vec::new());
        let topic = &*record.topic;
        let field = record.key.as_deref();
        let key = field.map(|field| self.key.serialize(topic, field, &mut key)).transpose()?;
        let field = record.value.as_deref();
        let value =
            field.map(|field| self.value.serialize(topic, field, &mut value)).transpose()?;
        let timestamp = record.timestamp.unwrap_or_else(|| self.shared.clock().now_ms());
        let fields = Fields { timestamp, key, value, headers: &record.headers };
        let partitioner = self.partitioner.as_deref();
        let target = Target { topic, partition: record.partition, partitioner };
        if let Some(delivery) = self.shared.append(&target, &fields)? {
            return Ok(delivery);
        }
        // What is rare need not make the future of what is usual large.
        Box::pin(self.shared.append_in_turn(&target, &fields)).await
    }

    /// Sends all that was taken before this call without further delay, and waits until it is
    /// delivered or has failed. The deliveries tell which.
    pub async fn flush(&self) {
        self.shared.flush().await;
    }

    /// Takes no more records and waits until all are delivered. What is not by then has failed
    /// with [`Error::Closed`], and so has this.
    pub async fn close(self, limit: Duration) -> Result<()> {
        self.shared.close(limit).await
    }

    /// Makes this producer the only one of its `transactional.id`, so that it can make
    /// transactions:
    ///
    /// ```no_run
    /// use milena_client::{Remedy, producer::{Producer, ProducerConfig, Record}};
    ///
    /// # async fn example() -> milena_client::Result<()> {
    /// let config = ProducerConfig::new("localhost:9092").transactional_id("billing-1");
    /// let producer = Producer::new(config)?;
    /// producer.init_transactions().await?;
    /// producer.begin()?;
    /// // What becomes of each record need not be awaited: `commit` fails if one of them does.
    /// let _ = producer.send(Record::to("bills").key("customer 7").value("12.50")).await?;
    /// match producer.commit().await {
    ///     Err(error) if error.remedy() == Some(Remedy::Abort) => producer.abort().await,
    ///     done => done,
    /// }
    /// # }
    /// ```
    ///
    /// Whoever had it before is fenced,
    /// and what it left open is aborted. To be called once, before [`begin`](Self::begin).
    ///
    /// Errors of transactions say by [`Error::remedy`] whether the same call may be made again,
    /// the transaction is to be aborted, or this producer is of no more use. A call that is dropped
    /// before it is done is to be made again.
    pub async fn init_transactions(&self) -> Result<()> {
        self.shared.init_transactions().await
    }

    /// Begins a transaction. All that is sent from now on is part of it.
    pub fn begin(&self) -> Result<()> {
        self.shared.lock().begin_transaction()
    }

    /// Makes the offsets of a group part of the transaction: they are committed if it is.
    pub async fn send_offsets_to_transaction(
        &self,
        offsets: &[(TopicPartition, CommittedOffset)],
        member: &GroupMember,
    ) -> Result<()> {
        self.shared.send_offsets(offsets, member).await
    }

    /// Waits until all that was sent is stored, and commits the transaction.
    pub async fn commit(&self) -> Result<()> {
        self.shared.end_transaction(true).await
    }

    /// Aborts the transaction. What was not sent yet never will be.
    pub async fn abort(&self) -> Result<()> {
        self.shared.end_transaction(false).await
    }

    /// How many bytes of `buffer.memory` are free.
    #[must_use]
    pub fn free_memory(&self) -> usize {
        self.shared.free_memory()
    }
}

impl<K: ?Sized + ToOwned, V: ?Sized + ToOwned> Drop for Producer<K, V> {
    fn drop(&mut self) {
        self.shared.begin_close();
    }
}

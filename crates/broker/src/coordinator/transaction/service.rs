//! How the rest of the broker asks transaction coordinators.

use std::time::Duration;

use milena_env::timer;
use milena_metadata::image::MetadataImage;
use milena_protocol::ProducerId;

use super::{
    Adding, Census, EPOCH_PER_TRANSACTION, EndRequest, Ended, InitRequest, Initialized, Producer,
    TransactionError, Transactions,
};
use crate::{
    broker::Broker,
    coordinator::{Coordinators, Scene, partition_of},
    topics::TRANSACTION_STATE,
};

impl Broker {
    /// InitProducerId for a transactional id.
    pub(crate) async fn init_transactional_producer(
        &self,
        request: &InitRequest<'_>,
    ) -> Result<Initialized, TransactionError> {
        request.check(&self.config())?;
        self.ask_with_producer_id(request.transactional_id, |transactions, unused, scene| {
            transactions.init(request, unused, scene)
        })
        .await
    }

    /// EndTxn. What it decides is true when this returns; it is carried out later.
    pub(crate) async fn end_transaction(
        &self,
        request: &EndRequest<'_>,
    ) -> Result<Ended, TransactionError> {
        let id = request.producer.transactional_id;
        self.ask_with_producer_id(id, |transactions, unused, scene| {
            transactions.end(request, unused, scene)
        })
        .await
    }

    /// Asks, and once more with a producer id if one turns out to be needed.
    async fn ask_with_producer_id<T>(
        &self,
        id: &str,
        event: impl Fn(
            &mut Transactions,
            Option<ProducerId>,
            &mut Scene<'_>,
        ) -> Result<T, TransactionError>,
    ) -> Result<T, TransactionError> {
        let (image, event) = (self.image(), &event);
        let ask = |unused| {
            self.coordinators
                .ask_transaction(&image, id, move |core, scene| event(core, unused, scene))
        };
        match ask(None).await {
            Err(TransactionError::NoProducerId) => {
                let unused = self.next_producer_id().await;
                let unused = unused.map_err(|_| TransactionError::NoProducerId)?;
                ask(Some(unused)).await
            }
            answer => answer,
        }
    }
}

impl Coordinators {
    /// What the leader of partitions asks before a transactional batch is written: whether each of
    /// them is part of this producer's transaction. They are made so where that is allowed, which
    /// it is for clients of transaction version 2.
    pub(crate) async fn verify_in_transaction(
        &self,
        image: &MetadataImage,
        producer: &Producer<'_>,
        partitions: &[(&str, i32)],
        can_add: bool,
    ) -> Result<Vec<bool>, TransactionError> {
        if can_add {
            let adding = Adding { producer: *producer, partitions, version: EPOCH_PER_TRANSACTION };
            self.add_to_transaction(image, &adding).await?;
            return Ok(vec![true; partitions.len()]);
        }
        let verify = |core: &mut Transactions, scene: &mut Scene<'_>| {
            core.verify(producer, partitions, scene)
        };
        self.ask_transaction(image, producer.transactional_id, verify).await
    }

    /// Makes partitions part of a transaction. While the one before is being ended this waits a
    /// little, so that a producer need not come again.
    pub(crate) async fn add_to_transaction(
        &self,
        image: &MetadataImage,
        adding: &Adding<'_>,
    ) -> Result<(), TransactionError> {
        let id = adding.producer.transactional_id;
        let add = |core: &mut Transactions, scene: &mut Scene<'_>| core.add(adding, scene);
        match self.ask_transaction(image, id, add).await {
            Err(TransactionError::ConcurrentTransactions) => {
                self.wait_for_end(image, id).await;
                self.ask_transaction(image, id, add).await
            }
            answer => answer,
        }
    }

    /// Waits until the id's decision is carried out, and no longer than a server may that adds a
    /// partition: `add.partitions.to.txn.retry.backoff.max.ms`.
    async fn wait_for_end(&self, image: &MetadataImage, id: &str) {
        let config = self.config();
        let limit = Duration::from_millis(config.transactions.add_partitions_retry_ms_max);
        let partition = self.partition_of_transaction(image, id);
        let ended = self.transactions.hear(partition, |core, scene, reply| {
            core.when_ended(id, reply, scene);
        });
        timer::timeout(limit, ended).await;
    }

    /// Has the core that keeps this transactional id do something, and waits until its answer is
    /// true.
    pub(crate) async fn ask_transaction<T>(
        &self,
        image: &MetadataImage,
        id: &str,
        event: impl FnOnce(&mut Transactions, &mut Scene<'_>) -> Result<T, TransactionError>,
    ) -> Result<T, TransactionError> {
        let partition = self.partition_of_transaction(image, id);
        self.transactions.ask(partition, self.transaction_limit(), event).await?
    }

    /// What is kept here, in all partitions together.
    pub(crate) fn census_of_transactions(&self) -> Census {
        let partitions = self.transactions.partitions().into_iter();
        let each = partitions.filter_map(|it| self.transactions.tell(it, |core, _| core.census()));
        each.fold(Census::default(), Census::plus)
    }

    /// Where the state of the id lies.
    pub(crate) fn partition_of_transaction(&self, image: &MetadataImage, id: &str) -> i32 {
        let topic = image.topics.by_name(TRANSACTION_STATE);
        let partitions = topic.map_or_else(
            || self.config().transactions.topic.partitions,
            |topic| topic.partition_count() as i32,
        );
        partition_of(id, partitions)
    }

    /// `request.timeout.ms`
    pub(crate) fn transaction_limit(&self) -> Duration {
        Duration::from_millis(self.config().network.request_timeout_ms)
    }
}

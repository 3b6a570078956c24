//! Who wants to hear when a group gives partitions, and takes them away.

use std::{fmt, future::Future, pin::Pin};

use super::{ConsumerHandle, TopicPartition};

/// What a listener does, as a future that can be kept.
pub type ListenerFuture<'l> = Pin<Box<dyn Future<Output = ()> + Send + 'l>>;

/// Hears of rebalances. The consumer's user is inside `poll` meanwhile, or closes or unsubscribes:
/// he is done with the records that he was given.
///
/// A listener may commit, seek and pause by the handle, but not wait for the group: it must not
/// unsubscribe.
///
/// ```no_run
/// use milena_client::consumer::{
///     Consumer, ConsumerHandle, ListenerFuture, RebalanceListener, TopicPartition,
/// };
///
/// struct CommitFirst;
///
/// impl RebalanceListener for CommitFirst {
///     fn revoked<'l>(
///         &'l mut self,
///         consumer: &'l ConsumerHandle,
///         partitions: &'l [TopicPartition],
///     ) -> ListenerFuture<'l> {
///         Box::pin(async move {
///             if let Err(error) = consumer.commit().await {
///                 eprintln!("{} partitions go uncommitted: {error}", partitions.len());
///             }
///         })
///     }
/// }
///
/// # fn example(consumer: &Consumer) -> milena_client::Result<()> {
/// consumer.subscribe_with(["orders"], CommitFirst)
/// # }
/// ```
pub trait RebalanceListener: Send + 'static {
    /// Partitions come. Nothing of them is read before this is done.
    fn assigned<'l>(
        &'l mut self,
        consumer: &'l ConsumerHandle,
        partitions: &'l [TopicPartition],
    ) -> ListenerFuture<'l> {
        let _ = (consumer, partitions);
        Box::pin(async {})
    }

    /// Partitions go. Nobody else has them before this is done, so that commits still count.
    fn revoked<'l>(
        &'l mut self,
        consumer: &'l ConsumerHandle,
        partitions: &'l [TopicPartition],
    ) -> ListenerFuture<'l> {
        let _ = (consumer, partitions);
        Box::pin(async {})
    }

    /// Partitions are gone: this member was taken for dead, and somebody else may have them.
    fn lost<'l>(
        &'l mut self,
        consumer: &'l ConsumerHandle,
        partitions: &'l [TopicPartition],
    ) -> ListenerFuture<'l> {
        self.revoked(consumer, partitions)
    }
}

impl fmt::Debug for dyn RebalanceListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RebalanceListener")
    }
}

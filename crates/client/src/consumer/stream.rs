//! Records one by one, as a `Stream`.

use std::{
    collections::BTreeMap,
    fmt,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use futures_core::Stream;

use super::{CommittedOffset, Consumer, OwnedRecord, Records, TopicPartition};
use crate::error::Result;

/// How long one poll waits. The stream waits on and on.
const POLL: Duration = Duration::from_secs(3600);

type Polling<'c> = Pin<Box<dyn Future<Output = (&'c mut Consumer, Result<Records>)> + Send + 'c>>;

/// All records that a consumer reads, without an end. Made by [`Consumer::stream`].
///
/// ```no_run
/// # use milena_client::{Result, consumer::Consumer};
/// # async fn example(mut consumer: Consumer) -> Result<()> {
/// let mut records = consumer.stream();
/// while let Some(record) = records.next().await.transpose()? {
///     println!("{} {}: {:?}", record.partition, record.offset, record.value);
/// }
/// # Ok(())
/// # }
/// ```
pub struct RecordStream<'c> {
    state: State<'c>,
}

enum State<'c> {
    Polling(Polling<'c>),
    Giving { consumer: &'c mut Consumer, records: std::vec::IntoIter<OwnedRecord> },
    Between,
}

impl fmt::Debug for RecordStream<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordStream").finish_non_exhaustive()
    }
}

impl<'c> RecordStream<'c> {
    pub(super) fn new(consumer: &'c mut Consumer) -> Self {
        Self { state: State::Polling(poll(consumer)) }
    }
}

impl RecordStream<'_> {
    /// The next record, or why there is none. It waits until there is one; dropping the future
    /// loses nothing.
    pub async fn next(&mut self) -> Option<Result<OwnedRecord>> {
        std::future::poll_fn(|context| Pin::new(&mut *self).poll_next(context)).await
    }
}

fn poll(consumer: &mut Consumer) -> Polling<'_> {
    Box::pin(async move {
        let records = consumer.poll(POLL).await;
        (consumer, records)
    })
}

impl Stream for RecordStream<'_> {
    type Item = Result<OwnedRecord>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            match std::mem::replace(&mut self.state, State::Between) {
                State::Polling(mut polling) => match polling.as_mut().poll(context) {
                    Poll::Pending => {
                        self.state = State::Polling(polling);
                        return Poll::Pending;
                    }
                    Poll::Ready((consumer, records)) => {
                        let (records, error) = match records {
                            Ok(records) => (records, None),
                            Err(error) => (Records::default(), Some(error)),
                        };
                        let owned: Vec<_> = records.iter().map(|it| it.to_owned()).collect();
                        self.state = State::Giving { consumer, records: owned.into_iter() };
                        if let Some(error) = error {
                            return Poll::Ready(Some(Err(error)));
                        }
                    }
                },
                State::Giving { consumer, mut records } => match records.next() {
                    Some(record) => {
                        self.state = State::Giving { consumer, records };
                        return Poll::Ready(Some(Ok(record)));
                    }
                    None => self.state = State::Polling(poll(consumer)),
                },
                State::Between => return Poll::Ready(None),
            }
        }
    }
}

impl Drop for RecordStream<'_> {
    /// What nobody asked for is read again.
    fn drop(&mut self) {
        let State::Giving { consumer, records } = &mut self.state else { return };
        let mut first: BTreeMap<TopicPartition, CommittedOffset> = BTreeMap::new();
        for record in records {
            first.entry(record.partition).or_insert(CommittedOffset {
                offset: record.offset,
                leader_epoch: record.leader_epoch,
                metadata: "".into(),
            });
        }
        for (partition, to) in first {
            // It may be another's by now.
            let _ = consumer.seek(&partition, to);
        }
    }
}

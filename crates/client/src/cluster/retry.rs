//! Trying again, until it works, cannot work, or takes too long.

use std::{sync::Arc, time::Duration};

use milena_env::timer;

use super::Cluster;
use crate::error::{Error, Result};

impl Cluster {
    /// Makes one attempt after the other, with pauses that grow, and a newer view of the cluster
    /// before each.
    pub(crate) async fn retry<T, F>(
        &self,
        what: &str,
        limit: Duration,
        mut attempt: impl FnMut(usize) -> F,
    ) -> Result<T>
    where
        F: Future<Output = Result<T>>,
    {
        let mut last = None;
        let attempts = async {
            for number in 0.. {
                match attempt(number).await {
                    Err(error) if error.is_retriable() => {
                        tracing::debug!(%error, number, what, "trying again");
                        last = Some(error);
                    }
                    done => return done,
                }
                self.refresh();
                timer::sleep(self.inner.retry.pause(number as u32)).await;
            }
            Err(Error::Closed)
        };
        if let Some(done) = timer::timeout(limit, attempts).await {
            return done;
        }
        let key = "default.api.timeout.ms";
        Err(Error::Timeout { what: what.into(), limit, key, last: last.map(Arc::new) })
    }

    /// The pause before the next attempt after so many failures.
    pub(crate) fn retry_pause(&self, failures: u32) -> Duration {
        self.inner.retry.pause(failures)
    }
}

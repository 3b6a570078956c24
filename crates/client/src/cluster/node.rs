//! A broker as this client reaches it: one connection, opened when it is needed, and again after a
//! growing pause when it cannot be.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use milena_env::{Clock, timer};
use tokio::sync::Mutex as Turn;

use super::backoff::Backoff;
use crate::{
    error::Result,
    network::{Answer, Api, Connection, Limits},
};

/// One broker, or one of the addresses that a client begins with.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) address: Box<str>,
    limits: Limits,
    backoff: Backoff,
    clock: Arc<dyn Clock>,
    open: Mutex<Option<Arc<Connection>>>,
    /// Held by whoever connects; the others wait for what he gets.
    connecting: Turn<Failures>,
}

#[derive(Debug, Default)]
struct Failures {
    count: u32,
    /// Not to be tried again before.
    until: Duration,
}

impl Node {
    pub(crate) fn new(
        address: Box<str>,
        limits: Limits,
        backoff: Backoff,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let (open, connecting) = (Mutex::default(), Turn::default());
        Self { address, limits, backoff, clock, open, connecting }
    }

    /// The connection that stands already.
    pub(crate) fn connected(&self) -> Option<Arc<Connection>> {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.as_ref().filter(|connection| connection.is_open()).cloned()
    }

    /// The connection that stands, or a new one. After failures it waits before it tries again.
    pub(crate) async fn connection(&self) -> Result<Arc<Connection>> {
        if let Some(connection) = self.connected() {
            return Ok(connection);
        }
        let mut failures = self.connecting.lock().await;
        if let Some(connection) = self.connected() {
            return Ok(connection);
        }
        let wait = failures.until.saturating_sub(self.clock.monotonic());
        if !wait.is_zero() {
            timer::sleep(wait).await;
        }
        match Connection::open(&self.address, self.limits.clone()).await {
            Ok(connection) => {
                *failures = Failures::default();
                let connection = Arc::new(connection);
                let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
                *open = Some(Arc::clone(&connection));
                Ok(connection)
            }
            Err(error) => {
                failures.until = self.clock.monotonic() + self.backoff.pause(failures.count);
                failures.count = failures.count.saturating_add(1);
                Err(error)
            }
        }
    }

    /// Connects if need be, and asks.
    pub(crate) async fn call<A: Api>(&self, request: &A::Request<'_>) -> Result<Answer<A>> {
        self.connection().await?.call::<A>(request).await
    }
}

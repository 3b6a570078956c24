//! The port of `milena.metrics.listener`: `GET /metrics` over HTTP/1.1, and nothing else. A thread
//! of its own, so that neither a collector nor somebody hostile takes time from clients; few
//! connections at once, one request each, a bounded time.

use std::{io, net::SocketAddr, rc::Rc, sync::Arc, thread::JoinHandle, time::Duration};

use milena_env::{
    net::{self, TcpListener, TcpStream},
    spawn_thread, timer,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::oneshot,
};

use crate::{
    broker::Broker,
    error::StartError,
    limits::{METRICS_CONNECTIONS_MAX, METRICS_REQUEST_BYTES_MAX, METRICS_TIME_MAX},
};

/// How long nothing is accepted after that failed.
const PAUSE: Duration = Duration::from_millis(100);

/// The port, open but not served yet.
pub(crate) struct Endpoint {
    runtime: tokio::runtime::Runtime,
    listener: TcpListener,
}

/// The port while it is served.
#[derive(Debug)]
pub(crate) struct Served {
    pub(crate) address: Option<SocketAddr>,
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

impl Endpoint {
    pub(crate) fn open(address: &str) -> Result<Self, StartError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        // As with `listeners`, no host is all addresses.
        let host = if address.starts_with(':') { "0.0.0.0" } else { "" };
        let opened = runtime.block_on(net::listen(&format!("{host}{address}")));
        let listener = opened
            .map_err(|source| StartError::MetricsPort { address: address.to_owned(), source })?;
        Ok(Self { runtime, listener })
    }

    pub(crate) fn serve(self, broker: &Arc<Broker>) -> io::Result<Served> {
        let address = self.listener.local_addr().ok();
        let (stop, stopped) = oneshot::channel();
        let broker = Arc::clone(broker);
        let thread = spawn_thread("metrics", move || {
            let local = tokio::task::LocalSet::new();
            let listener = Rc::new(self.listener);
            for _ in 0..METRICS_CONNECTIONS_MAX {
                local.spawn_local(one_by_one(Rc::clone(&listener), Arc::clone(&broker)));
            }
            // Dropping the sender stops it as well.
            let _ = local.block_on(&self.runtime, stopped);
        })?;
        Ok(Served { address, stop, thread })
    }
}

impl Served {
    pub(crate) fn stop(self) {
        let _ = self.stop.send(());
        // A panic there was printed there.
        let _ = self.thread.join();
    }
}

/// Answers one connection after the other, for ever.
async fn one_by_one(listener: Rc<TcpListener>, broker: Arc<Broker>) {
    loop {
        match net::accept(&listener).await {
            // Who goes away or is too slow gets nothing more.
            Ok((stream, _)) => {
                drop(timer::timeout(METRICS_TIME_MAX, answer(stream, &broker)).await)
            }
            Err(error) => {
                tracing::debug!(%error, "no connection of a collector can be accepted");
                timer::sleep(PAUSE).await;
            }
        }
    }
}

async fn answer(mut stream: TcpStream, broker: &Broker) -> io::Result<()> {
    let mut head = Vec::new();
    let mut bytes = [0; 1024];
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        let count = stream.read(&mut bytes).await?;
        if count == 0 || head.len() + count > METRICS_REQUEST_BYTES_MAX {
            return Ok(());
        }
        head.extend_from_slice(bytes.get(..count).unwrap_or_default());
    }
    let (status, text) = match asks_for_metrics(&head) {
        true => ("200 OK", super::exposition(broker)),
        false => ("404 Not Found", "GET /metrics is all there is\n".to_owned()),
    };
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n",
        text.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(text.as_bytes()).await?;
    stream.shutdown().await
}

fn asks_for_metrics(head: &[u8]) -> bool {
    let line = head.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let mut words = line.split(|byte| *byte == b' ');
    let (method, target, version) = (words.next(), words.next(), words.next());
    let path = target.and_then(|target| target.split(|byte| *byte == b'?').next());
    method == Some(b"GET")
        && path == Some(b"/metrics")
        && version.is_some_and(|version| version.starts_with(b"HTTP/1."))
}

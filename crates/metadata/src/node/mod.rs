//! The thin shell around image, controller and quorum: what a broker holds ([`MetadataNode`]), the
//! start, and the thread that serves.

mod error;
mod serving;
mod start;

use std::{
    marker::PhantomData,
    sync::{Arc, Mutex, PoisonError, mpsc as blocking},
    thread::JoinHandle,
};

use arc_swap::{ArcSwap, Guard};
use bytes::Bytes;
use milena_env::{Clock, Disk, Random, spawn_thread};
use milena_protocol::{DecodeError, EncodeError, Message, Uuid, api::ApiKey, wire::Writer};
use milena_storage::LogDirectory;
use tokio::sync::{mpsc, oneshot};

pub use error::{MetadataError, StartError};

use crate::{
    controller::{Call, ConfigSchema, ControllerOptions},
    image::{Endpoint, MetadataImage},
    quorum::{Publisher, QuorumDescription},
};

/// The broker in the same process.
#[derive(Clone, Debug)]
pub struct BrokerOptions {
    /// Another one for every start of the process.
    pub incarnation: Uuid,
    pub endpoints: Vec<Endpoint>,
    pub rack: Option<String>,
    /// The id of each of its log directories.
    pub directories: Vec<Uuid>,
    /// Its epoch before a clean stop; -1 where it did not stop cleanly, or never ran.
    pub previous_epoch: i64,
}

pub struct NodeOptions {
    pub node_id: i32,
    /// Where the metadata log lies.
    pub directory: Arc<LogDirectory>,
    pub disk: Arc<dyn Disk>,
    pub clock: Arc<dyn Clock>,
    pub random: Random,
    /// The voters' addresses: this node's own among them.
    pub controller_endpoints: Vec<Endpoint>,
    pub controller: ControllerOptions,
    pub schema: Arc<dyn ConfigSchema>,
    /// The broker of this process, registered and unfenced before the start is over.
    pub broker: Option<BrokerOptions>,
    pub publisher: Box<dyn Publisher>,
    /// Called once if the metadata log fails: nothing can be decided or believed any more, and
    /// the process had better end.
    pub on_failure: Box<dyn FnOnce(String) + Send>,
    /// Bytes of records after which a snapshot is written.
    pub snapshot_bytes: u64,
    /// The directory has no threads: the metadata thread writes its journal.
    pub drives_directory: bool,
}

impl std::fmt::Debug for NodeOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NodeOptions").field("node_id", &self.node_id).finish_non_exhaustive()
    }
}

/// The response to a call, as it lies on the wire.
#[derive(Clone, Debug)]
pub struct Answer<C> {
    bytes: Bytes,
    call: PhantomData<fn() -> C>,
}

impl<C: Call> Answer<C> {
    /// The response in its newest version.
    pub fn message(&self) -> Result<C::Response<'_>, DecodeError> {
        Ok(C::Response::decode(&self.bytes, version::<C>())?.message)
    }

    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        self.bytes
    }
}

/// The version in which calls are made within the process.
const fn version<C: Call>() -> i16 {
    <C::Request<'static> as Message<'static>>::VERSION_MAX
}

fn encode<C: Call>(request: &C::Request<'_>) -> Result<Bytes, EncodeError> {
    let mut writer = Writer::with_capacity(256);
    request.encode(&mut writer, version::<C>())?;
    Ok(writer.finish()?.into_body().unwrap_or_default().into())
}

/// One request on its way to the metadata thread.
struct Asked {
    api: ApiKey,
    version: i16,
    body: Bytes,
    reply: oneshot::Sender<Result<Bytes, MetadataError>>,
}

enum Command {
    Ask(Asked),
    Describe(oneshot::Sender<QuorumDescription>),
    Snapshot,
    Stop,
}

/// The metadata of this process: reads at once, changes through the controller.
#[derive(Debug)]
pub struct MetadataNode {
    image: Arc<ArcSwap<MetadataImage>>,
    commands: mpsc::UnboundedSender<Command>,
    thread: Mutex<Option<JoinHandle<()>>>,
    broker_epoch: i64,
}

impl MetadataNode {
    /// Replays snapshot and log, elects, registers the own broker, and tells the publisher of all
    /// there is; then serves.
    pub fn start(options: NodeOptions) -> Result<Arc<Self>, StartError> {
        let (commands, asked) = mpsc::unbounded_channel();
        let (started, start) = blocking::channel();
        let thread = spawn_thread("metadata", move || serving::run(options, asked, &started))?;
        let (image, broker_epoch) = start.recv().map_err(|_| StartError::Ended)??;
        let thread = Mutex::new(Some(thread));
        Ok(Arc::new(Self { image, commands, thread, broker_epoch }))
    }

    /// The newest image.
    #[must_use]
    pub fn image(&self) -> Arc<MetadataImage> {
        self.image.load_full()
    }

    /// The newest image for a short look, without counting a reference.
    #[must_use]
    pub fn look(&self) -> Guard<Arc<MetadataImage>> {
        self.image.load()
    }

    /// The epoch in which the broker of this process is registered; -1 where there is none.
    #[must_use]
    pub const fn broker_epoch(&self) -> i64 {
        self.broker_epoch
    }

    /// Asks the controller. When it answers, what it changed is durable, and the image and the
    /// publisher know it. The request is taken in its newest version: a field that it does not
    /// have any more is not sent (topics to delete go into `topics`, not into `topic_names`).
    pub async fn call<C: Call>(
        &self,
        request: &C::Request<'_>,
    ) -> Result<Answer<C>, MetadataError> {
        let body = encode::<C>(request).map_err(|e| MetadataError::Request(e.to_string()))?;
        let bytes = self.forward(C::API, version::<C>(), body).await?;
        Ok(Answer { bytes, call: PhantomData })
    }

    /// Asks the controller with a request as it lies on the wire behind its header; the response's
    /// body comes back in the same version.
    pub async fn forward(
        &self,
        api: ApiKey,
        version: i16,
        body: Bytes,
    ) -> Result<Bytes, MetadataError> {
        let (reply, answer) = oneshot::channel();
        let asked = Command::Ask(Asked { api, version, body, reply });
        self.commands.send(asked).map_err(|_| MetadataError::Stopped)?;
        answer.await.map_err(|_| MetadataError::Stopped)?
    }

    /// How the quorum stands.
    pub async fn describe_quorum(&self) -> Result<QuorumDescription, MetadataError> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(Command::Describe(reply)).map_err(|_| MetadataError::Stopped)?;
        answer.await.map_err(|_| MetadataError::Stopped)
    }

    /// Has a snapshot written; returns before it is.
    pub fn request_snapshot(&self) {
        // Whoever has stopped writes no snapshot.
        let _ = self.commands.send(Command::Snapshot);
    }

    /// Answers what is in flight and ends the thread. Before the log directory is closed.
    pub fn stop(&self) {
        let _ = self.commands.send(Command::Stop);
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the metadata thread panicked");
        }
    }
}

impl Drop for MetadataNode {
    fn drop(&mut self) {
        self.stop();
    }
}

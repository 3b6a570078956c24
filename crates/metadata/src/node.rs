//! The thin shell: one thread that takes requests, asks the controller, has the quorum commit what
//! it decided, and answers. It decides nothing.

use std::{
    marker::PhantomData,
    sync::{Arc, mpsc as blocking},
    thread::JoinHandle,
    time::Duration,
};

use arc_swap::ArcSwap;
use bytes::Bytes;
use milena_env::{Clock, Disk, Random, spawn_thread, timer};
use milena_protocol::{
    DecodeError, EncodeError, Message, Uuid,
    api::{
        ApiKey, BrokerHeartbeatRequest, BrokerRegistrationRequest,
        broker_registration::request::{Feature, Listener},
    },
    metadata::{FeatureLevelRecord, Value},
    wire::Writer,
};
use milena_storage::LogDirectory;
use tokio::sync::{mpsc, oneshot};

use crate::{
    METADATA_VERSION, METADATA_VERSION_LEVEL,
    controller::{
        BrokerHeartbeat, BrokerRegistration, Call, ConfigSchema, Controller, ControllerError,
        ControllerOptions, Now, Outcome,
    },
    image::{Endpoint, MetadataImage, SupportedFeature},
    quorum::{
        MetadataQuorum, Proposal, ProposeError, Publisher, QuorumDescription, QuorumError,
        QuorumOptions, RaftQuorum, Voter,
    },
    records::Records,
};

/// Requests that are committed together at most.
const GROUP_MAX: usize = 256;
/// Bytes of records after which no more requests join a group.
const GROUP_BYTES_MAX: usize = 1 << 20;

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

/// Why the node did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Quorum(#[from] QuorumError),
    #[error("cannot start the metadata thread: {0}")]
    Thread(#[from] std::io::Error),
    #[error(transparent)]
    Controller(#[from] ControllerError),
    #[error(transparent)]
    Propose(#[from] ProposeError),
    #[error("the cluster does not take this broker: {0}")]
    Registration(String),
    #[error("the metadata thread ended while it started")]
    Ended,
}

/// Why a request has no answer.
#[derive(Debug, thiserror::Error)]
pub enum MetadataError {
    #[error("this node is not the active controller; {0:?} may be")]
    NotController(Option<i32>),
    /// A request that cannot be written or read, or that the controller does not know.
    #[error("the controller could not serve the request: {0}")]
    Request(String),
    #[error("the metadata node has stopped")]
    Stopped,
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
    thread: std::sync::Mutex<Option<JoinHandle<()>>>,
    broker_epoch: i64,
}

impl MetadataNode {
    /// Replays snapshot and log, elects, registers the own broker, and tells the publisher of all
    /// there is; then serves.
    pub fn start(options: NodeOptions) -> Result<Arc<Self>, StartError> {
        let (commands, asked) = mpsc::unbounded_channel();
        let (started, start) = blocking::channel();
        let thread = spawn_thread("metadata", move || run(options, asked, &started))?;
        let (image, broker_epoch) = start.recv().map_err(|_| StartError::Ended)??;
        let thread = std::sync::Mutex::new(Some(thread));
        Ok(Arc::new(Self { image, commands, thread, broker_epoch }))
    }

    /// The newest image.
    #[must_use]
    pub fn image(&self) -> Arc<MetadataImage> {
        self.image.load_full()
    }

    /// The newest image for a short look, without counting a reference.
    #[must_use]
    pub fn look(&self) -> arc_swap::Guard<Arc<MetadataImage>> {
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
        let thread = self.thread.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
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

type Started = Result<(Arc<ArcSwap<MetadataImage>>, i64), StartError>;

/// The life of the metadata thread.
fn run(
    options: NodeOptions,
    asked: mpsc::UnboundedReceiver<Command>,
    started: &blocking::Sender<Started>,
) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_time().build() {
        Ok(runtime) => runtime,
        Err(error) => return drop(started.send(Err(error.into()))),
    };
    runtime.block_on(async {
        match Serving::start(options).await {
            Ok((serving, broker_epoch)) => {
                let image = Arc::clone(serving.quorum.image());
                drop(started.send(Ok((image, broker_epoch))));
                serving.serve(asked).await;
            }
            Err(error) => drop(started.send(Err(error))),
        }
    });
}

struct Serving {
    quorum: RaftQuorum,
    controller: Controller,
    clock: Arc<dyn Clock>,
    on_failure: Option<Box<dyn FnOnce(String) + Send>>,
    snapshot_bytes: u64,
    bytes_since_snapshot: u64,
}

impl Serving {
    async fn start(options: NodeOptions) -> Result<(Self, i64), StartError> {
        let directory_id = options.directory.meta().directory_id.unwrap_or_default();
        let own = Voter { directory: directory_id, endpoints: options.controller_endpoints };
        let quorum = RaftQuorum::start(QuorumOptions {
            node_id: options.node_id,
            directory: options.directory,
            disk: options.disk,
            clock: Arc::clone(&options.clock),
            voters: [(options.node_id, own)].into(),
            drives_directory: options.drives_directory,
        })
        .await?;
        let image = MetadataImage::clone(&quorum.image().load());
        let is_new = image.features.level(METADATA_VERSION) == 0;
        let cluster_id = options.controller.cluster_id.clone();
        let features = options.controller.features.clone();
        let controller_options = ControllerOptions {
            own_broker: options.broker.as_ref().map(|_| options.node_id),
            ..options.controller
        };
        let controller = Controller::new(
            image,
            quorum.end_offset(),
            controller_options,
            options.schema,
            options.random,
        );
        let mut serving = Self {
            quorum,
            controller,
            clock: options.clock,
            on_failure: Some(options.on_failure),
            snapshot_bytes: options.snapshot_bytes,
            bytes_since_snapshot: 0,
        };
        let mut records = Records::default();
        if is_new {
            records.append(serving.bootstrap(&features)?);
        }
        let mut broker_epoch = -1;
        if let Some(broker) = options.broker {
            let (more, epoch) =
                serving.register(options.node_id, &cluster_id, &features, &broker)?;
            records.append(more);
            broker_epoch = epoch;
        }
        serving.commit(records).await?;
        serving.quorum.publish_to(options.publisher);
        Ok((serving, broker_epoch))
    }

    /// The first records of a new cluster: the levels at which it begins.
    fn bootstrap(&mut self, features: &[SupportedFeature]) -> Result<Records, StartError> {
        let mut records = Records::default();
        let version = (METADATA_VERSION, METADATA_VERSION_LEVEL);
        let others = features.iter().filter(|it| *it.name != *METADATA_VERSION);
        for (name, level) in [version].into_iter().chain(others.map(|it| (&*it.name, it.max))) {
            let record = FeatureLevelRecord { name, feature_level: level };
            records.push(&Value::FeatureLevelRecord(record)).map_err(ControllerError::from)?;
        }
        Ok(self.controller.add(records)?.records)
    }

    fn now(&self) -> Now {
        Now { wall_ms: self.clock.now_ms(), elapsed: self.clock.monotonic() }
    }

    /// The own broker registers and is unfenced at once: it has seen all there is to see.
    fn register(
        &mut self,
        id: i32,
        cluster_id: &str,
        features: &[SupportedFeature],
        broker: &BrokerOptions,
    ) -> Result<(Records, i64), StartError> {
        let request = BrokerRegistrationRequest {
            broker_id: id,
            cluster_id,
            incarnation_id: broker.incarnation,
            listeners: broker
                .endpoints
                .iter()
                .map(|endpoint| Listener {
                    name: &endpoint.listener,
                    host: &endpoint.host,
                    port: endpoint.port,
                    security_protocol: endpoint.security_protocol,
                })
                .collect(),
            features: features
                .iter()
                .map(|feature| Feature {
                    name: &feature.name,
                    min_supported_version: feature.min,
                    max_supported_version: feature.max,
                })
                .collect(),
            rack: broker.rack.as_deref(),
            is_migrating_zk_broker: false,
            log_dirs: broker.directories.clone(),
            previous_broker_epoch: broker.previous_epoch,
        };
        let (mut records, answer) = self.ask::<BrokerRegistration>(&request)?;
        let answer = answer.message().map_err(ControllerError::from)?;
        refuse(answer.error_code)?;
        let beat = BrokerHeartbeatRequest {
            broker_id: id,
            broker_epoch: answer.broker_epoch,
            current_metadata_offset: i64::MAX,
            want_fence: false,
            ..BrokerHeartbeatRequest::default()
        };
        let (more, beaten) = self.ask::<BrokerHeartbeat>(&beat)?;
        refuse(beaten.message().map_err(ControllerError::from)?.error_code)?;
        records.append(more);
        Ok((records, answer.broker_epoch))
    }

    fn ask<C: Call>(
        &mut self,
        request: &C::Request<'_>,
    ) -> Result<(Records, Answer<C>), ControllerError> {
        let body = encode::<C>(request)?;
        let now = self.now();
        let outcome = self.controller.handle(C::API, version::<C>(), &body, now)?;
        Ok((outcome.records, Answer { bytes: outcome.answer, call: PhantomData }))
    }

    /// Has records committed that the controller has made. When it returns, everybody knows them.
    async fn commit(&mut self, records: Records) -> Result<(), ProposeError> {
        if records.is_empty() {
            return Ok(());
        }
        self.bytes_since_snapshot += records.bytes() as u64;
        let delta = self.controller.take_delta();
        self.quorum.prepare(records.clone(), self.controller.image().clone(), delta);
        let proposal = Proposal { records, timestamp: self.clock.now_ms() };
        self.quorum.propose(proposal).await?;
        if self.bytes_since_snapshot >= self.snapshot_bytes && self.quorum.snapshot().await? {
            self.bytes_since_snapshot = 0;
        }
        Ok(())
    }

    async fn serve(mut self, mut asked: mpsc::UnboundedReceiver<Command>) {
        let failing = self.quorum.clone();
        let failure = failing.failure();
        tokio::pin!(failure);
        loop {
            let (expiry, now) = (self.controller.next_expiry(), self.clock.monotonic());
            let command = tokio::select! {
                command = asked.recv() => command,
                why = &mut failure => return self.fail(why),
                () = until(expiry, now) => {
                    if let Err(error) = self.expire().await {
                        return self.fail(error.to_string());
                    }
                    continue;
                }
            };
            match command {
                Some(Command::Ask(first)) => {
                    let group = gather(first, &mut asked);
                    let next = group.next;
                    if let Err(error) = self.serve_group(group.asked).await {
                        return self.fail(error.to_string());
                    }
                    if let Some(command) = next
                        && !self.serve_other(command).await
                    {
                        break;
                    }
                }
                Some(command) => {
                    if !self.serve_other(command).await {
                        break;
                    }
                }
                None => break,
            }
        }
        self.quorum.stop().await;
    }

    /// Fences whoever was not heard of for too long.
    async fn expire(&mut self) -> Result<(), ProposeError> {
        let records = self.controller.expire(self.now());
        let records = records.map_err(|error| ProposeError::Failed(error.to_string()))?;
        self.commit(records).await
    }

    /// Says whether the node goes on.
    async fn serve_other(&mut self, command: Command) -> bool {
        match command {
            Command::Stop => return false,
            Command::Snapshot => {
                match self.quorum.snapshot().await {
                    Ok(true) => self.bytes_since_snapshot = 0,
                    Ok(false) => {}
                    Err(error) => tracing::warn!(%error, "no metadata snapshot"),
                }
            }
            // Who asked and went away misses nothing.
            Command::Describe(reply) => drop(reply.send(self.quorum.describe())),
            Command::Ask(asked) => drop(asked.reply.send(Err(MetadataError::Stopped))),
        }
        true
    }

    /// Serves requests in their order and has what they change committed together.
    async fn serve_group(&mut self, group: Vec<Asked>) -> Result<(), ProposeError> {
        let now = self.now();
        let mut records = Records::default();
        let mut replies = Vec::with_capacity(group.len());
        for Asked { api, version, body, reply } in group {
            match self.controller.handle(api, version, &body, now) {
                Ok(Outcome { records: more, answer }) => {
                    records.append(more);
                    replies.push((reply, answer));
                }
                // Half of it may be believed by now: nothing may be built on that.
                Err(error @ ControllerError::Apply(_)) => {
                    return Err(ProposeError::Failed(error.to_string()));
                }
                Err(error) => {
                    let error = MetadataError::Request(error.to_string());
                    drop(reply.send(Err(error)));
                }
            }
        }
        let committed = self.commit(records).await;
        for (reply, answer) in replies {
            let answer = match &committed {
                Ok(()) => Ok(answer),
                Err(ProposeError::NotLeader(leader)) => Err(MetadataError::NotController(*leader)),
                Err(ProposeError::Failed(_)) => Err(MetadataError::Stopped),
            };
            drop(reply.send(answer));
        }
        committed
    }

    fn fail(mut self, why: String) {
        tracing::error!(%why, "the metadata log has failed");
        if let Some(on_failure) = self.on_failure.take() {
            on_failure(why);
        }
    }
}

/// Waits until a moment; for ever where there is none.
async fn until(moment: Option<Duration>, now: Duration) {
    match moment {
        Some(moment) => timer::sleep(moment.saturating_sub(now)).await,
        None => std::future::pending().await,
    }
}

struct Group {
    asked: Vec<Asked>,
    /// What came behind them and is of another kind.
    next: Option<Command>,
}

/// Takes what waits already behind a request.
fn gather(first: Asked, waiting: &mut mpsc::UnboundedReceiver<Command>) -> Group {
    let mut bytes = first.body.len();
    let mut asked = vec![first];
    while asked.len() < GROUP_MAX && bytes < GROUP_BYTES_MAX {
        match waiting.try_recv() {
            Ok(Command::Ask(more)) => {
                bytes += more.body.len();
                asked.push(more);
            }
            Ok(other) => return Group { asked, next: Some(other) },
            Err(_) => break,
        }
    }
    Group { asked, next: None }
}

fn refuse(error_code: i16) -> Result<(), StartError> {
    match milena_protocol::ErrorCode::from_number(error_code) {
        Some(milena_protocol::ErrorCode::None) => Ok(()),
        code => Err(StartError::Registration(format!("{code:?}"))),
    }
}

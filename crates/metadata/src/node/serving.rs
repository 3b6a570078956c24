//! The metadata thread: takes requests in their order, asks the controller, has the quorum commit
//! what it decided, and answers. It decides nothing.

use std::{
    sync::{Arc, mpsc as blocking},
    time::Duration,
};

use arc_swap::ArcSwap;
use milena_env::{Clock, timer};
use milena_storage::LogDirectory;
use tokio::sync::mpsc;

use super::{Asked, Command, MetadataError, NodeOptions, StartError};
use crate::{
    controller::{Controller, ControllerError, Now, Outcome},
    image::MetadataImage,
    quorum::{MetadataQuorum, Proposal, ProposeError, RaftQuorum},
    records::Records,
};

/// Requests that are committed together at most.
const GROUP_MAX: usize = 256;
/// Bytes of requests after which no more join a group.
const GROUP_BYTES_MAX: usize = 1 << 20;

pub(super) type Started = Result<(Arc<ArcSwap<MetadataImage>>, i64), StartError>;

/// The life of the metadata thread.
pub(super) fn run(
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

pub(super) struct Serving {
    pub(super) quorum: RaftQuorum,
    pub(super) controller: Controller,
    pub(super) directory: Arc<LogDirectory>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) on_failure: Option<Box<dyn FnOnce(String) + Send>>,
    pub(super) snapshot_bytes: u64,
    pub(super) bytes_since_snapshot: u64,
}

impl Serving {
    pub(super) fn now(&self) -> Now {
        Now { wall_ms: self.clock.now_ms(), elapsed: self.clock.monotonic() }
    }

    /// Has records committed that the controller has made. When it returns, everybody knows them.
    pub(super) async fn commit(&mut self, records: Records) -> Result<(), ProposeError> {
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
            Command::Snapshot => match self.quorum.snapshot().await {
                Ok(true) => self.bytes_since_snapshot = 0,
                Ok(false) => {}
                Err(error) => tracing::warn!(%error, "no metadata snapshot"),
            },
            // Who asked and went away misses nothing.
            Command::Describe(reply) => drop(reply.send(self.quorum.describe())),
            Command::Ask(asked) => drop(asked.reply.send(Err(MetadataError::Stopped))),
        }
        true
    }

    /// Serves requests in their order and has what they change committed together.
    async fn serve_group(&mut self, group: Vec<Asked>) -> Result<(), ProposeError> {
        // What the controller decides cannot be taken back, so it is not asked.
        if self.directory.is_reserve_used() {
            for Asked { reply, .. } in group {
                drop(reply.send(Err(MetadataError::DiskFull)));
            }
            return Ok(());
        }
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

//! One connection: reads requests, has them served, sends the answers in the order of the requests.
//!
//! Produce requests overlap: the next one is begun while earlier ones wait for their records to
//! become durable, though not behind one that has to wait before it can be begun. Any other request
//! begins when all before it are answered, as Kafka's clients may rely on. What is in flight is
//! bounded by not reading.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    future::poll_fn,
    io,
    net::SocketAddr,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use milena_env::timer;
use milena_protocol::api::ApiKey;

use super::{
    frames::{Frame, FrameError, Frames},
    outgoing::Outgoing,
    threads::Worker,
    transport::Transport,
};
use crate::{
    api::{self, Outcome, Serving},
    limits::{IN_FLIGHT_MAX, UNSENT_BYTES_MAX},
};

/// Who is at the other end, as far as handlers care.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) peer: SocketAddr,
    /// The place of the listener, in the configuration, that it came in by.
    pub(crate) listener: usize,
    /// Name and version of its software, as ApiVersions told them.
    pub(crate) software: RefCell<Option<(Box<str>, Box<str>)>>,
    /// It has used more than its quota: nothing is read of it before.
    muted_until: Cell<Duration>,
}

impl Client {
    pub(crate) fn new(peer: SocketAddr, listener: usize) -> Self {
        Self { peer, listener, software: None.into(), muted_until: Cell::default() }
    }

    pub(crate) fn mute_until(&self, time: Duration) {
        self.muted_until.set(self.muted_until.get().max(time));
    }
}

/// What others of the thread may do to a connection.
#[derive(Debug, Default)]
pub(crate) struct Handle {
    last_active: Cell<Duration>,
    ending: Cell<Option<Ending>>,
    held_up: Cell<HeldUp>,
    waker: RefCell<Option<Waker>>,
}

/// How a connection is to end from the outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Nothing new is begun; what is in flight is answered.
    Drain,
    Idle,
}

/// Whether the connection is not read: a request has to wait for others, or the client for its
/// quota.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum HeldUp {
    #[default]
    No,
    Yes,
    /// And it is time to look whether its client is still there.
    Look,
}

impl Handle {
    /// Reading would show that a client has gone. Has a connection that is not read look for it.
    pub(crate) fn look_for_client(&self) {
        if self.held_up.get() == HeldUp::Yes {
            self.held_up.set(HeldUp::Look);
            self.wake();
        }
    }

    fn wake(&self) {
        if let Some(waker) = self.waker.borrow_mut().take() {
            waker.wake();
        }
    }

    pub(crate) fn end(&self, how: Ending) {
        self.ending.set(Some(how));
        self.wake();
    }

    pub(crate) fn last_active(&self) -> Duration {
        self.last_active.get()
    }
}

/// Why a connection is closed by the broker.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CloseReason {
    #[error(transparent)]
    Frame(#[from] FrameError),
    #[error("sending failed: {0}")]
    Send(#[source] io::Error),
    #[error("{0}")]
    Request(Box<str>),
    #[error("it was idle for longer than connections.max.idle.ms")]
    Idle,
}

pub(crate) struct Connection {
    worker: Rc<Worker>,
    client: Rc<Client>,
    handle: Rc<Handle>,
    transport: Transport,
    frames: Frames,
    /// A request that has to wait for those before it.
    next: Option<(ApiKey, Frame)>,
    in_flight: VecDeque<(ApiKey, Serving)>,
    outgoing: Outgoing,
    is_client_gone: bool,
    /// There while nothing is read for a quota's sake.
    muted: Option<Pin<Box<dyn Future<Output = ()>>>>,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").field("client", &self.client).finish_non_exhaustive()
    }
}

impl Connection {
    pub(crate) fn new(
        worker: &Rc<Worker>,
        client: Client,
        handle: &Rc<Handle>,
        transport: Transport,
    ) -> Self {
        let budget = &worker.broker.budget;
        let frame_bytes_max = worker.broker.network.request_bytes_max;
        Self {
            worker: Rc::clone(worker),
            client: Rc::new(client),
            handle: Rc::clone(handle),
            transport,
            frames: Frames::new(budget, frame_bytes_max),
            next: None,
            in_flight: VecDeque::new(),
            outgoing: Outgoing::new(budget.charge()),
            is_client_gone: false,
            muted: None,
        }
    }

    /// Serves the connection until one of both sides ends it.
    pub(crate) async fn run(mut self) {
        self.touch();
        if let Err(reason) = poll_fn(|context| self.poll(context)).await {
            let peer = self.client.peer;
            match reason {
                CloseReason::Frame(FrameError::Io(_) | FrameError::CutShort)
                | CloseReason::Send(_) => {
                    tracing::debug!(%peer, %reason, "connection lost");
                }
                CloseReason::Idle => tracing::debug!(%peer, %reason, "connection closed"),
                reason => tracing::warn!(%peer, %reason, "connection closed"),
            }
        }
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<(), CloseReason>> {
        self.note_waker(context.waker());
        loop {
            self.poll_in_flight(context)?;
            if let Poll::Ready(sent) = self.outgoing.poll_send(context, &mut self.transport) {
                sent.map_err(CloseReason::Send)?;
            }
            match self.handle.ending.get() {
                Some(Ending::Idle) => return Poll::Ready(Err(CloseReason::Idle)),
                Some(Ending::Drain) => {
                    let is_done = self.in_flight.is_empty() && self.outgoing.is_empty();
                    return if is_done { Poll::Ready(Ok(())) } else { Poll::Pending };
                }
                None => {}
            }
            if self.is_muted(context) {
                // What the client still sent is served when it has waited.
                let is_over = self.is_time_to_look() && self.transport.is_over();
                return if is_over { Poll::Ready(Ok(())) } else { Poll::Pending };
            }
            // Also read while requests wait: a client that has gone away is noticed at once.
            if self.next.is_none() && self.has_room() {
                let mut first = self.worker.first_read.borrow_mut();
                let next = self.frames.poll_next(context, &mut self.transport, &mut first);
                drop(first);
                match next {
                    Poll::Ready(Ok(Some(frame))) => {
                        self.touch();
                        self.next = Some((api::key_of(&frame)?, frame));
                    }
                    Poll::Ready(Ok(None)) => return Poll::Ready(Ok(())),
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(error.into())),
                    Poll::Pending => {
                        self.handle.held_up.set(HeldUp::No);
                        return Poll::Pending;
                    }
                }
            }
            if !self.start_next() {
                if !self.is_client_gone() {
                    return Poll::Pending;
                }
                // Nobody hears the answers. What the client still sent is begun, and not waited
                // for, until its end is read.
                self.in_flight.clear();
            }
        }
    }

    /// Answers leave in the order of their requests, so only the first one matters.
    fn poll_in_flight(&mut self, context: &mut Context<'_>) -> Result<(), CloseReason> {
        // Nothing is begun behind one that is not begun itself.
        if let Some((_, serving)) = self.in_flight.back_mut()
            && let Serving::Beginning(future) = serving
            && let Poll::Ready(begun) = future.as_mut().poll(context)
        {
            *serving = begun;
        }
        while let Some((_, serving)) = self.in_flight.front_mut() {
            let outcome = match serving {
                Serving::Waiting(future) => match future.as_mut().poll(context) {
                    Poll::Ready(outcome) => outcome,
                    Poll::Pending => return Ok(()),
                },
                Serving::Beginning(_) => return Ok(()),
                Serving::Done(outcome) => std::mem::replace(outcome, Outcome::Nothing),
            };
            self.in_flight.pop_front();
            self.touch();
            match outcome {
                Outcome::Answer(answer) => self.outgoing.push(*answer),
                Outcome::Nothing => {}
                Outcome::Close(reason) => return Err(CloseReason::Request(reason)),
            }
        }
        Ok(())
    }

    /// Begins the next request, unless it has to wait for others. Says whether it was begun.
    fn start_next(&mut self) -> bool {
        let is_beginning =
            || self.in_flight.back().is_some_and(|(_, it)| matches!(it, Serving::Beginning(_)));
        let only_produce =
            || self.in_flight.iter().all(|(api, _)| *api == ApiKey::Produce) && !is_beginning();
        let may_start = match &self.next {
            Some((ApiKey::Produce, _)) => only_produce(),
            Some(_) => self.in_flight.is_empty(),
            None => false,
        };
        if may_start && let Some((api, frame)) = self.next.take() {
            let serving = api::serve(&self.worker, &self.client, api, frame);
            self.in_flight.push_back((api, serving));
        }
        may_start
    }

    /// Whether the client has ended the connection behind a request that cannot be begun yet.
    fn is_client_gone(&mut self) -> bool {
        if self.next.is_none() {
            return false;
        }
        self.is_client_gone |= self.is_time_to_look() && self.transport.is_hung_up();
        self.is_client_gone
    }

    /// Whether to look if the client is still there. It is not read, so that this would not show.
    fn is_time_to_look(&self) -> bool {
        self.handle.held_up.replace(HeldUp::Yes) == HeldUp::Look
    }

    /// Whether its client has to wait, for having used more than its quota; woken when it is over.
    fn is_muted(&mut self, context: &mut Context<'_>) -> bool {
        while !self.client.muted_until.get().is_zero() {
            let now = self.worker.broker.clock.monotonic();
            let left = self.client.muted_until.get().saturating_sub(now);
            if left.is_zero() {
                self.client.muted_until.set(Duration::ZERO);
                break;
            }
            let over = self.muted.get_or_insert_with(|| Box::pin(timer::sleep(left)));
            if over.as_mut().poll(context).is_pending() {
                return true;
            }
            self.muted = None;
        }
        self.muted = None;
        false
    }

    fn has_room(&self) -> bool {
        self.in_flight.len() < IN_FLIGHT_MAX && self.outgoing.unsent() < UNSENT_BYTES_MAX
    }

    fn touch(&self) {
        self.handle.last_active.set(self.worker.broker.clock.monotonic());
    }

    fn note_waker(&self, waker: &Waker) {
        let mut known = self.handle.waker.borrow_mut();
        if !known.as_ref().is_some_and(|known| known.will_wake(waker)) {
            *known = Some(waker.clone());
        }
    }
}

//! What is in flight on one connection, and the one way in which all of it ends.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use tokio::sync::{oneshot, watch};

use crate::error::{Error, Result};

/// What both tasks and all callers know.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) address: Box<str>,
    in_flight: Mutex<InFlight>,
    /// Turns true when the connection has ended.
    pub(super) ended: watch::Sender<bool>,
}

#[derive(Debug, Default)]
pub(super) struct InFlight {
    pub(super) waiting: VecDeque<Waiting>,
    /// Why the connection has ended.
    pub(super) ended: Option<Error>,
}

#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) correlation_id: i32,
    pub(super) reply: oneshot::Sender<Result<Bytes>>,
}

#[derive(Debug)]
pub(super) struct Outgoing {
    pub(super) parts: Vec<Bytes>,
    /// None where no answer comes: Produce with acks=0.
    pub(super) waiting: Option<Waiting>,
}

impl Shared {
    pub(super) fn new(address: &str) -> Self {
        let (in_flight, ended) = (Mutex::default(), watch::Sender::new(false));
        Self { address: address.into(), in_flight, ended }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, InFlight> {
        self.in_flight.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn lost(&self, problem: impl Into<Box<str>>) -> Error {
        Error::Connection { address: self.address.clone(), problem: problem.into() }
    }

    pub(super) fn why(&self) -> Error {
        let why = self.lock().ended.clone();
        why.unwrap_or_else(|| self.lost("closed"))
    }

    /// Ends the connection for all who wait. The first reason stays.
    pub(super) fn end(&self, why: Error) {
        let waiting = {
            let mut in_flight = self.lock();
            in_flight.ended.get_or_insert_with(|| why.clone());
            std::mem::take(&mut in_flight.waiting)
        };
        for Waiting { reply, .. } in waiting {
            // Whoever asked may be gone.
            let _ = reply.send(Err(why.clone()));
        }
        self.ended.send_replace(true);
    }

    /// Notes that an answer will come, unless none ever will.
    pub(super) fn expect(&self, waiting: Waiting) -> bool {
        let mut in_flight = self.lock();
        match &in_flight.ended {
            None => {
                in_flight.waiting.push_back(waiting);
                true
            }
            Some(why) => {
                let _ = waiting.reply.send(Err(why.clone()));
                false
            }
        }
    }

    /// Gives an answer to whoever is next.
    pub(super) fn answer(&self, frame: Bytes) -> Result<()> {
        let refuse = |problem: String| Error::Protocol {
            address: self.address.clone(),
            problem: problem.into(),
        };
        let Some(id) = frame.first_chunk().map(|bytes| i32::from_be_bytes(*bytes)) else {
            return Err(refuse(format!("an answer of {} bytes", frame.len())));
        };
        let Some(waiting) = self.lock().waiting.pop_front() else {
            return Err(refuse(format!("answer {id} to no request")));
        };
        if waiting.correlation_id != id {
            let error = refuse(format!("answer {id} to request {}", waiting.correlation_id));
            let _ = waiting.reply.send(Err(error.clone()));
            return Err(error);
        }
        let _ = waiting.reply.send(Ok(frame));
        Ok(())
    }
}

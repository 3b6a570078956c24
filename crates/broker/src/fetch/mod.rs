//! Incremental fetch sessions (KIP-227): what a client wants is remembered between its fetches, so
//! that it names only what changes, and is told only what changed.
//!
//! `given` is what one partition gives, with a session or without.

mod cache;
mod given;
mod session;

pub(crate) use cache::{SessionCache, SessionError};
pub(crate) use given::Given;
pub(crate) use session::{Changes, Circumstances, Key, Session, Slot, Told, Update};

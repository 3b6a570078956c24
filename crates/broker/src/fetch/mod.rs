//! Incremental fetch sessions (KIP-227): what a client wants is remembered between its fetches, so
//! that it names only what changes, and is told only what changed.

mod cache;
mod session;

pub(crate) use cache::{SessionCache, SessionError};
pub(crate) use session::{Key, Session, Told, Update};

//! Connections: who accepts them, who serves them, how bytes become requests and answers bytes.
//!
//! One thread per core, each with its own connections; a request is read, served and answered on
//! the thread that read it.

pub(crate) mod budget;
pub(crate) mod connection;
pub(crate) mod frames;
pub(crate) mod listeners;
pub(crate) mod outgoing;
pub(crate) mod ports;
pub(crate) mod threads;
pub(crate) mod transport;

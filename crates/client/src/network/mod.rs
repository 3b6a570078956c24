//! Connections to brokers: requests go out one behind the other, answers come back in the same
//! order.

mod api;
mod connection;
mod negotiate;
#[cfg(test)]
mod test;

pub(crate) use api::*;
pub(crate) use connection::{Answer, Called, Connection, Limits, Told};
pub(crate) use negotiate::Versions;

//! Connections to brokers: requests go out one behind the other, answers come back in the same
//! order.

mod api;
mod call;
mod connection;
mod in_flight;
mod negotiate;
mod tasks;
#[cfg(test)]
mod test;

pub(crate) use api::*;
pub(crate) use call::{Answer, Called, Told};
pub(crate) use connection::{Connection, Limits};
pub(crate) use negotiate::Versions;

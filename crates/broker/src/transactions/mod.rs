//! What partitions have to do with transactions: `markers` ends them.
//!
//! The coordinator of transactions decides, in `coordinator/transaction`; nothing is decided here.

pub(crate) mod markers;

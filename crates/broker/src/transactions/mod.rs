//! What partitions have to do with transactions: `verification` asks whether a batch is part of
//! one, `markers` ends them.
//!
//! The coordinator of transactions decides, in `coordinator/transaction`; nothing is decided here.

pub(crate) mod markers;
pub(crate) mod verification;

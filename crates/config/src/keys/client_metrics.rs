//! Keys of subscriptions to the metrics of clients.

use crate::definition::{Definition, int, list};

#[rustfmt::skip]
pub(super) const KEYS: &[Definition] = &[
    int("interval.ms").or("300000")
        .says("How often clients push their metrics."),
    list("match").or("")
        .says("Clients that are meant, as key=pattern; all where empty."),
    list("metrics").or("")
        .says("Prefixes of the metrics that clients push; * for all."),
];

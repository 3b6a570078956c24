//! Keys of Milena's own; all others are Kafka's.

use crate::definition::{Definition, long, string};

/// What all of them begin with. An unknown one is an error, since nobody else could have meant it.
pub(crate) const PREFIX: &str = "milena.";

#[rustfmt::skip]
pub(super) const KEYS: &[Definition] = &[
    long("milena.journal.bytes").or("134217728").at_least(4_194_304.0)
        .says("How far the journal of each log directory may grow."),
    string("milena.log.format").or("text").one_of(&["text", "json"]).low()
        .says("Form of the lines on standard error: text for people, json for programs."),
    long("milena.memory.budget.bytes").or("33554432").at_least(1_048_576.0).high()
        .says("Memory for requests, answers and fresh records; once spent, sockets are not read."),
    string("milena.metrics.listener").low()
        .says("HOST:PORT where GET /metrics tells what collectors like Prometheus read."),
    long("milena.shutdown.timeout.ms").or("30000").at_least(0.0)
        .says("How long a stop may take to answer what is in flight and to close the logs."),
];

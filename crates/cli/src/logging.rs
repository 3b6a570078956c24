//! Logs go to standard error: readable on a terminal, one JSON object a line when asked.

use std::io::{self, IsTerminal};

use tracing_subscriber::EnvFilter;

/// Which modules log how much, as `MILENA_LOG=debug` or `MILENA_LOG=milena_broker=trace,info`.
const FILTER: &str = "MILENA_LOG";

pub(crate) fn start(json: bool) {
    let filter =
        EnvFilter::try_from_env(FILTER).unwrap_or_else(|_| EnvFilter::new("info,openraft=warn"));
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    if json {
        logs.json().flatten_event(true).init();
    } else {
        logs.with_ansi(io::stderr().is_terminal()).with_target(false).init();
    }
}

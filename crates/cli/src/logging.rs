//! Logs go to standard error: readable on a terminal, one JSON object a line when asked.

use std::io::{self, IsTerminal};

use tracing::level_filters::LevelFilter;
use tracing_subscriber::{filter::Targets, layer::SubscriberExt, util::SubscriberInitExt};

/// Which modules log how much, as `MILENA_LOG=debug` or `MILENA_LOG=milena_broker=trace,info`.
const FILTER: &str = "MILENA_LOG";

pub(crate) fn start(json: bool) {
    let wanted = std::env::var(FILTER).ok().and_then(|text| text.parse::<Targets>().ok());
    let logs = tracing_subscriber::registry().with(wanted.unwrap_or_else(usual));
    let lines = tracing_subscriber::fmt::layer().with_writer(io::stderr);
    if json {
        logs.with(lines.json().flatten_event(true)).init();
    } else {
        logs.with(lines.with_ansi(io::stderr().is_terminal()).with_target(false)).init();
    }
}

/// What a person at night wants to read: openraft tells of each of its steps.
fn usual() -> Targets {
    Targets::new().with_default(LevelFilter::INFO).with_target("openraft", LevelFilter::WARN)
}

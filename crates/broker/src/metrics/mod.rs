//! What a collector such as Prometheus reads of this broker: the metrics that clients push
//! (KIP-714), and what is at hand of the broker itself. `otlp` reads what was pushed, `text` writes
//! what is shown, `endpoint` gives it out. All of it is made when somebody asks; nothing is counted
//! for it on the way of a record.

mod endpoint;
mod otlp;
mod text;

use std::{ops::ControlFlow, path::Path};

use milena_protocol::{
    Uuid,
    records::{Budget, decompress},
};

pub(crate) use self::endpoint::{Endpoint, Served};
use self::{
    otlp::{Kind, Malformed, Number, Point},
    text::{Labels, Text, metric_name},
};
use crate::{
    broker::Broker,
    limits::{METRICS_PLAIN_BYTES_MAX, METRICS_PUSH_BYTES_MAX},
    telemetry::Pushed,
};

/// What all names of the broker's own begin with.
const OWN: &str = "milena_";

/// All metrics as they are now.
fn exposition(broker: &Broker) -> String {
    let mut text = Text::default();
    own(broker, &mut text);
    let (mut shown, mut left_out) = (0, 0);
    let mut plain_left = METRICS_PLAIN_BYTES_MAX;
    for (client, pushed) in broker.telemetry.pushed(broker.clock.monotonic()) {
        match of_client(client, &pushed, &mut plain_left, &mut text) {
            Ok(()) => shown += 1,
            Err(Malformed) => left_out += 1,
        }
    }
    for (state, count) in [("shown", shown), ("left out", left_out)] {
        let labels = Labels::default().and("state", state);
        text.add("milena_telemetry_clients", Kind::Gauge, &labels, Number::Whole(count));
    }
    text.to_string()
}

fn own(broker: &Broker, text: &mut Text) {
    let whole = |number: usize| Number::Whole(i64::try_from(number).unwrap_or(i64::MAX));
    let mut gauge = |name: &str, labels: &Labels, number: usize| {
        text.add(name, Kind::Gauge, labels, whole(number));
    };
    let of_directory = |path: &Path| Labels::default().and("directory", &path.to_string_lossy());
    for path in &broker.closed_directories {
        gauge("milena_log_directory_offline", &of_directory(path), 1);
    }
    for directory in &broker.directories {
        let labels = of_directory(directory.path());
        let is_offline = directory.offline().is_some();
        gauge("milena_log_directory_offline", &labels, is_offline.into());
        if !is_offline {
            let percent = usize::try_from(directory.journal_percent()).unwrap_or(usize::MAX);
            gauge("milena_disk_full", &labels, directory.is_disk_full().into());
            gauge("milena_journal_percent", &labels, percent);
        }
    }
    let topics = broker.partitions.all();
    let partitions = topics.iter().map(|topic| topic.partitions().count()).sum();
    gauge("milena_partitions", &Labels::default(), partitions);
    gauge("milena_connections", &Labels::default(), broker.connections.count());
    for (coordinator, counters) in broker.coordinators.counters() {
        for (event, reason, count) in counters.snapshot() {
            let labels = Labels::default().and("coordinator", coordinator);
            let labels = labels.and("event", event).and("reason", reason);
            let count = Number::Whole(i64::try_from(count).unwrap_or(i64::MAX));
            text.add("milena_coordinator_events_total", Kind::Counter, &labels, count);
        }
    }
}

/// Adds what a client has pushed: all of it, unless there is no more room, or nothing where it
/// cannot be read.
fn of_client(
    client: Uuid,
    pushed: &Pushed,
    plain_left: &mut usize,
    text: &mut Text,
) -> Result<(), Malformed> {
    let budget = METRICS_PUSH_BYTES_MAX.min(*plain_left);
    let plain = decompress(pushed.codec, &pushed.metrics, Budget::bytes(budget));
    // What is refused may have taken all of it.
    *plain_left -= plain.as_ref().map_or(budget, Vec::len);
    let plain = plain.map_err(|_| Malformed)?;
    otlp::points(&plain, &mut |_| ControlFlow::Continue(()))?;
    let client = Labels::default()
        .and("client_instance_id", &client.to_string())
        .and("client_id", &pushed.client_id);
    otlp::points(&plain, &mut |Point { name, suffix, kind, number, attributes }| {
        let name = metric_name(&format!("{name}{suffix}"));
        if text.is_full() {
            return ControlFlow::Break(());
        }
        if !name.starts_with(OWN) {
            let attributes = attributes.into_iter().flatten();
            let labels = attributes.fold(client.clone(), |all, (key, value)| all.and(key, value));
            text.add(&name, kind, &labels, number);
        }
        ControlFlow::Continue(())
    })?;
    if text.is_full() { Err(Malformed) } else { Ok(()) }
}

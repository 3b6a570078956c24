//! Keys of metrics.

use crate::definition::{Definition, int, list, long, string};

#[rustfmt::skip]
pub(super) const KEYS: &[Definition] = &[
    list("config.providers").or("").low().cluster_wide()
        .says("Java classes that resolve variables in values; a broker with one does not start."),
    int("kafka.metrics.polling.interval.secs").or("10").at_least(1.0).low()
        .says("Accepted and ignored: metrics are read when somebody asks."),
    list("kafka.metrics.reporters").or("").low()
        .says("Java classes; accepted and ignored."),
    list("metric.reporters").or("org.apache.kafka.common.metrics.JmxReporter").low().cluster_wide()
        .says("Java classes; accepted and ignored."),
    int("metrics.num.samples").or("2").at_least(1.0).low()
        .says("Accepted and ignored: what is counted is counted from the start on."),
    string("metrics.recording.level").or("INFO").low()
        .says("Accepted and ignored: everything that is counted is kept."),
    long("metrics.sample.window.ms").or("30000").at_least(1.0).low()
        .says("Accepted and ignored: counters have no samples."),
    int("telemetry.max.bytes").or("1048576").at_least(1.0).low()
        .says("Longest push of client metrics that is accepted."),
];

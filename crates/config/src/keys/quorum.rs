//! Keys of the node, the controller and its metadata log.

use crate::definition::{Check, Definition, boolean, int, list, long, string};

#[rustfmt::skip]
pub(super) const KEYS: &[Definition] = &[
    int("broker.heartbeat.interval.ms").or("2000")
        .says("How often a broker reports to the controller."),
    int("broker.id").or("-1").high()
        .says("Another name of node.id."),
    int("broker.session.timeout.ms").or("9000")
        .says("A broker that does not report for so long is fenced."),
    list("controller.listener.names").check(Check::NotEmpty).high()
        .says("Listeners on which the controller is reached; not for clients."),
    long("controller.performance.always.log.threshold.ms").or("2000").at_least(0.0).hidden()
        .says("A controller's step that takes longer is always logged."),
    long("controller.performance.sample.period.ms").or("60000").at_least(100.0).hidden()
        .says("How often the controller's slowest steps are logged."),
    int("controller.quorum.append.linger.ms").or("25").at_least(0.0)
        .says("How long the controller's leader gathers records for one write."),
    boolean("controller.quorum.auto.join.enable").or("false").low()
        .says("Whether a controller joins the voters by itself."),
    list("controller.quorum.bootstrap.servers").or("").check(Check::HostsAndPorts).high()
        .says("Controllers through which the quorum is found, as host:port."),
    int("controller.quorum.election.backoff.max.ms").or("1000").at_least(0.0).high()
        .says("Longest pause of a candidate after a lost election."),
    int("controller.quorum.election.timeout.ms").or("1000").at_least(0.0).high()
        .says("How long an election may take before the next one begins."),
    int("controller.quorum.fetch.max.bytes").or("1048576").at_least(1.0).low()
        .says("Bytes of the metadata log that are fetched at once."),
    int("controller.quorum.fetch.snapshot.max.bytes").or("1048576").at_least(1.0).low()
        .says("Bytes of a metadata snapshot that are fetched at once."),
    int("controller.quorum.fetch.timeout.ms").or("2000").at_least(0.0).high()
        .says("A voter that could not fetch for so long becomes a candidate."),
    int("controller.quorum.request.timeout.ms").or("2000").at_least(0.0)
        .says("How long a controller waits for an answer from another."),
    int("controller.quorum.retry.backoff.ms").or("20").at_least(0.0).low()
        .says("Pause before a failed request to another controller is tried again."),
    list("controller.quorum.voters").or("").check(Check::Voters).high()
        .says("The voters of a fixed quorum, as id@host:port."),
    int("controller.socket.timeout.ms").or("30000")
        .says("How long a broker waits for an answer from the controller."),
    int("initial.broker.registration.timeout.ms").or("60000")
        .says("A broker that cannot register for so long after its start stops."),
    long("internal.metadata.delete.delay.millis").or("60000").low().hidden()
        .says("How long a superseded metadata snapshot is kept."),
    int("internal.metadata.log.segment.bytes").low().hidden()
        .says("Longest segment of the metadata log, without the usual lower limit."),
    int("internal.metadata.max.batch.size.in.bytes").or("8388608").low().hidden()
        .says("Longest batch of metadata records."),
    string("metadata.log.dir").high()
        .says("Directory of the metadata log; the first of log.dirs where unset."),
    long("metadata.log.max.record.bytes.between.snapshots").or("20971520").at_least(1.0).high()
        .says("Bytes of metadata records after which a snapshot is written."),
    long("metadata.log.max.snapshot.interval.ms").or("3600000").at_least(0.0).high()
        .says("Longest time between two metadata snapshots; 0 for no limit."),
    int("metadata.log.segment.bytes").or("1073741824").at_least(8388608.0).high()
        .says("Longest segment of the metadata log."),
    long("metadata.log.segment.ms").or("604800000").high()
        .says("Age at which a segment of the metadata log ends."),
    int("metadata.max.idle.interval.ms").or("500").at_least(0.0).low()
        .says("How often an idle controller writes a record to show that it lives; 0 for never."),
    long("metadata.max.retention.bytes").or("104857600").high()
        .says("Bytes of metadata log and snapshots above which old ones are deleted."),
    long("metadata.max.retention.ms").or("604800000").high()
        .says("Age at which old metadata log and snapshots are deleted."),
    int("node.id").or("1").at_least(0.0).high()
        .says("The number of this node, unique in its cluster."),
    list("process.roles").or("broker,controller").check(Check::SomeOf(&["broker", "controller"]))
        .high()
        .says("What this process is: broker, controller or both."),
    long("server.max.startup.time.ms").or("9223372036854775807").at_least(0.0).hidden()
        .says("A start that takes longer fails."),
    boolean("unstable.api.versions.enable").or("false").high().hidden()
        .says("Whether versions of APIs are offered that may still change."),
    boolean("unstable.feature.versions.enable").or("false").high().hidden()
        .says("Whether versions of features are offered that may still change."),
];

//! Keys of the node, the controller and its metadata log.

use crate::definition::{Check, Definition, boolean, int, list, long, string};

#[rustfmt::skip]
pub(super) const KEYS: &[Definition] = &[
    int("broker.heartbeat.interval.ms").or("2000")
        .says("Accepted and ignored: the controller is in the same process and asks nothing."),
    int("broker.id").or("-1").high()
        .says("Another name of node.id."),
    int("broker.session.timeout.ms").or("9000")
        .says("A broker that does not report for so long is fenced."),
    list("controller.listener.names").check(Check::NotEmpty).high()
        .says("Listeners on which the controller is reached; not for clients."),
    long("controller.performance.always.log.threshold.ms").or("2000").at_least(0.0).hidden()
        .says("Accepted and ignored: the controller's steps are not logged."),
    long("controller.performance.sample.period.ms").or("60000").at_least(100.0).hidden()
        .says("Accepted and ignored: nor are its slowest ones."),
    int("controller.quorum.append.linger.ms").or("25").at_least(0.0)
        .says("Not served yet: how long the controller's leader gathers records for one write."),
    boolean("controller.quorum.auto.join.enable").or("false").low()
        .says("Not served yet: whether a controller joins the voters by itself."),
    list("controller.quorum.bootstrap.servers").or("").check(Check::HostsAndPorts).high()
        .says("Controllers through which the quorum is found, as host:port."),
    int("controller.quorum.election.backoff.max.ms").or("1000").at_least(0.0).high()
        .says("Not served yet: longest pause of a candidate after a lost election."),
    int("controller.quorum.election.timeout.ms").or("1000").at_least(0.0).high()
        .says("Not served yet: how long an election may take before the next one begins."),
    int("controller.quorum.fetch.max.bytes").or("1048576").at_least(1.0).low()
        .says("Not served yet: bytes of the metadata log that are fetched at once."),
    int("controller.quorum.fetch.snapshot.max.bytes").or("1048576").at_least(1.0).low()
        .says("Not served yet: bytes of a metadata snapshot that are fetched at once."),
    int("controller.quorum.fetch.timeout.ms").or("2000").at_least(0.0).high()
        .says("Not served yet: a voter that could not fetch for so long becomes a candidate."),
    int("controller.quorum.request.timeout.ms").or("2000").at_least(0.0)
        .says("Not served yet: how long a controller waits for an answer from another."),
    int("controller.quorum.retry.backoff.ms").or("20").at_least(0.0).low()
        .says("Not served yet: pause before a failed request to another controller is tried \
               again."),
    list("controller.quorum.voters").or("").check(Check::Voters).high()
        .says("The voters of a fixed quorum, as id@host:port."),
    int("controller.socket.timeout.ms").or("30000")
        .says("Not served yet: how long a broker waits for an answer from the controller."),
    int("initial.broker.registration.timeout.ms").or("60000")
        .says("Not served yet: a broker that cannot register for so long after its start stops."),
    long("internal.metadata.delete.delay.millis").or("60000").low().hidden()
        .says("Accepted and ignored: superseded metadata snapshots go at once."),
    int("internal.metadata.log.segment.bytes").low().hidden()
        .says("Accepted and ignored, as metadata.log.segment.bytes is."),
    int("internal.metadata.max.batch.size.in.bytes").or("8388608").low().hidden()
        .says("Accepted and ignored: a batch of metadata records has a bound of its own."),
    string("metadata.log.dir").high()
        .says("Directory of the metadata log; the first of log.dirs where unset."),
    long("metadata.log.max.record.bytes.between.snapshots").or("20971520").at_least(1.0).high()
        .says("Bytes of metadata records after which a snapshot is written."),
    long("metadata.log.max.snapshot.interval.ms").or("3600000").at_least(0.0).high()
        .says("Accepted and ignored: snapshots are written by size alone."),
    int("metadata.log.segment.bytes").or("1073741824").at_least(8388608.0).high()
        .says("Accepted and ignored: segments of the metadata log have a size of their own."),
    long("metadata.log.segment.ms").or("604800000").high()
        .says("Accepted and ignored: segments of the metadata log end by size alone."),
    int("metadata.max.idle.interval.ms").or("500").at_least(0.0).low()
        .says("Accepted and ignored: an idle controller writes nothing."),
    long("metadata.max.retention.bytes").or("104857600").high()
        .says("Accepted and ignored: what a snapshot holds is deleted from the metadata log."),
    long("metadata.max.retention.ms").or("604800000").high()
        .says("Accepted and ignored: old metadata are deleted when there is a snapshot."),
    int("node.id").or("1").at_least(0.0).high()
        .says("The number of this node, unique in its cluster."),
    list("process.roles").or("broker,controller").check(Check::SomeOf(&["broker", "controller"]))
        .high()
        .says("What this process is: broker, controller or both."),
    long("server.max.startup.time.ms").or("9223372036854775807").at_least(0.0).hidden()
        .says("Accepted and ignored: a start takes as long as its logs need."),
    boolean("unstable.api.versions.enable").or("false").high().hidden()
        .says("Accepted and ignored: versions of APIs that may still change are not offered."),
    boolean("unstable.feature.versions.enable").or("false").high().hidden()
        .says("Accepted and ignored: nor are such versions of features."),
];

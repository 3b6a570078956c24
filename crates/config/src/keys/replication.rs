//! Keys of replication and of the choice of leaders.

use crate::definition::{Definition, boolean, int, long, string};

#[rustfmt::skip]
pub(super) const KEYS: &[Definition] = &[
    boolean("auto.leader.rebalance.enable").or("true").high()
        .says("Not served yet: whether preferred leaders get their partitions back by themselves."),
    string("broker.rack")
        .says("Where the broker stands, so that replicas are spread over racks."),
    boolean("controlled.shutdown.enable").or("true")
        .says("Not served yet: whether a broker hands its partitions over before it stops."),
    int("default.replication.factor").or("1")
        .says("Replicas of a topic that is created without saying how many."),
    long("leader.imbalance.check.interval.seconds").or("300").at_least(1.0).high()
        .says("Not served yet: how often is looked for partitions without their preferred leader."),
    int("num.replica.alter.log.dirs.threads").high()
        .says("One thread moves partitions between log directories, however many are asked for."),
    int("num.replica.fetchers").or("1").at_least(1.0).high().cluster_wide()
        .says("Not served yet: connections over which a follower fetches from each leader."),
    int("replica.fetch.backoff.ms").or("1000").at_least(0.0)
        .says("Not served yet: pause of a follower after a fetch that failed."),
    int("replica.fetch.max.bytes").or("1048576").at_least(0.0)
        .says("Not served yet: bytes of one partition that a follower asks for at once."),
    int("replica.fetch.min.bytes").or("1").high()
        .says("Not served yet: bytes for which a leader waits before it answers a follower."),
    int("replica.fetch.response.max.bytes").or("10485760").at_least(0.0)
        .says("Not served yet: bytes of all partitions that a follower asks for at once."),
    int("replica.fetch.wait.max.ms").or("500").high()
        .says("Not served yet: how long a leader waits for those bytes."),
    long("replica.high.watermark.checkpoint.interval.ms").or("5000").high()
        .says("Not served yet: how often high watermarks are written down."),
    long("replica.lag.time.max.ms").or("30000").high()
        .says("Not served yet: a follower that was not up to date for so long leaves the ISR."),
    string("replica.selector.class")
        .says("A Java class; accepted and ignored."),
    int("replica.socket.receive.buffer.bytes").or("65536").high()
        .says("Not served yet: receive buffer of sockets to other brokers; -1 leaves the \
               system's."),
    int("replica.socket.timeout.ms").or("30000").high()
        .says("Not served yet: how long a follower waits for the answer to a fetch."),
    boolean("unclean.leader.election.enable").or("false").high().cluster_wide()
        .says("Whether a replica that lacks records may lead when no other can."),
    long("unclean.leader.election.interval.ms").or("300000").at_least(1.0).hidden()
        .says("Not served yet: how often is looked for partitions that need such a leader."),
];

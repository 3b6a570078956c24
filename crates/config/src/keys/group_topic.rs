//! Keys of single groups, each with the key of the broker that gives its default.

use crate::definition::{Check, Definition, boolean, int, string};

#[rustfmt::skip]
pub(super) const KEYS: &[Definition] = &[
    int("consumer.assignment.interval.ms").or("1000").at_least(0.0)
        .synonyms(&[("group.consumer.assignment.interval.ms", 1)])
        .says("Shortest time between two assignments of the group."),
    int("consumer.heartbeat.interval.ms").or("5000").at_least(1.0)
        .synonyms(&[("group.consumer.heartbeat.interval.ms", 1)])
        .says("How often a member of the consumer group reports."),
    int("consumer.session.timeout.ms").or("45000").at_least(1.0)
        .synonyms(&[("group.consumer.session.timeout.ms", 1)])
        .says("A member of the consumer group that is silent for so long is removed."),
    int("share.assignment.interval.ms").or("1000").at_least(0.0)
        .synonyms(&[("group.share.assignment.interval.ms", 1)])
        .says("Not served yet: shortest time between two assignments of the share group."),
    string("share.auto.offset.reset").or("latest").check(Check::OffsetReset)
        .says("Not served yet: where a share group begins: latest, earliest or by_duration: and a \
               duration."),
    int("share.delivery.count.limit").or("5").at_least(2.0)
        .synonyms(&[("group.share.delivery.count.limit", 1)])
        .says("Not served yet: how often a record is delivered before it is given up."),
    int("share.heartbeat.interval.ms").or("5000").at_least(1.0)
        .synonyms(&[("group.share.heartbeat.interval.ms", 1)])
        .says("Not served yet: how often a member of the share group reports."),
    string("share.isolation.level").or("read_uncommitted")
        .one_of(&["read_committed", "read_uncommitted"])
        .says("Not served yet: whether the share group sees records of open and aborted \
               transactions."),
    int("share.partition.max.record.locks").or("2000").at_least(100.0)
        .synonyms(&[("group.share.partition.max.record.locks", 1)])
        .says("Not served yet: records of one partition that may be acquired at once."),
    int("share.record.lock.duration.ms").or("30000").at_least(1000.0)
        .synonyms(&[("group.share.record.lock.duration.ms", 1)])
        .says("Not served yet: how long an acquired record is kept for its consumer."),
    boolean("share.renew.acknowledge.enable").or("true")
        .says("Not served yet: whether a consumer may prolong its hold of an acquired record."),
    int("share.session.timeout.ms").or("45000").at_least(1.0)
        .synonyms(&[("group.share.session.timeout.ms", 1)])
        .says("Not served yet: a member of the share group that is silent for so long is removed."),
    int("streams.assignment.interval.ms").or("1000").at_least(0.0)
        .synonyms(&[("group.streams.assignment.interval.ms", 1)])
        .says("Not served yet: shortest time between two assignments of the streams group."),
    int("streams.heartbeat.interval.ms").or("5000").at_least(1.0)
        .synonyms(&[("group.streams.heartbeat.interval.ms", 1)])
        .says("Not served yet: how often a member of the streams group reports."),
    int("streams.initial.rebalance.delay.ms").or("3000").at_least(0.0)
        .synonyms(&[("group.streams.initial.rebalance.delay.ms", 1)])
        .says("Not served yet: how long the new streams group waits for more members."),
    int("streams.num.standby.replicas").or("0").at_least(0.0)
        .synonyms(&[("group.streams.num.standby.replicas", 1)])
        .says("Not served yet: standby copies of each task."),
    int("streams.session.timeout.ms").or("45000").at_least(1.0)
        .synonyms(&[("group.streams.session.timeout.ms", 1)])
        .says("Not served yet: a member of the streams group that is silent for so long is \
               removed."),
];

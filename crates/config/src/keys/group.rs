//! Keys of the group and share coordinators, and of the topics in which they keep their state.

use crate::definition::{Check, Definition, int, list, long, short, string};

#[rustfmt::skip]
pub(super) const KEYS: &[Definition] = &[
    int("group.consumer.assignment.interval.ms").or("1000").at_least(0.0).cluster_wide()
        .says("Shortest time between two assignments of a consumer group."),
    list("group.consumer.assignors").or("uniform,range").check(Check::NotEmpty)
        .says("Assignors of consumer groups that run in the broker; the first is the default."),
    int("group.consumer.heartbeat.interval.ms").or("5000").at_least(1.0)
        .says("How often a member of a consumer group reports."),
    int("group.consumer.max.assignment.interval.ms").or("15000").at_least(0.0)
        .says("Largest consumer.assignment.interval.ms that a group may ask for."),
    int("group.consumer.max.heartbeat.interval.ms").or("15000").at_least(1.0)
        .says("Largest consumer.heartbeat.interval.ms that a group may ask for."),
    int("group.consumer.max.session.timeout.ms").or("60000").at_least(1.0)
        .says("Largest consumer.session.timeout.ms that a group may ask for."),
    int("group.consumer.max.size").or("2147483647").at_least(1.0)
        .says("Members of a consumer group at most."),
    string("group.consumer.migration.policy").or("bidirectional")
        .check(Check::OneOfIgnoringCase(&["DISABLED", "DOWNGRADE", "UPGRADE", "BIDIRECTIONAL"]))
        .says("Which groups may change between the classic and the consumer protocol."),
    int("group.consumer.min.assignment.interval.ms").or("0").at_least(0.0)
        .says("Smallest consumer.assignment.interval.ms that a group may ask for."),
    int("group.consumer.min.heartbeat.interval.ms").or("5000").at_least(1.0)
        .says("Smallest consumer.heartbeat.interval.ms that a group may ask for."),
    int("group.consumer.min.session.timeout.ms").or("45000").at_least(1.0)
        .says("Smallest consumer.session.timeout.ms that a group may ask for."),
    int("group.consumer.regex.refresh.interval.ms").or("600000").at_least(10000.0).hidden()
        .says("How often subscriptions by pattern are compared with the topics."),
    int("group.consumer.session.timeout.ms").or("45000").at_least(1.0)
        .says("A member of a consumer group that is silent for so long is removed."),
    int("group.coordinator.append.linger.ms").or("-1").at_least(-1.0)
        .says("Accepted and ignored: the group coordinator writes at once."),
    int("group.coordinator.background.threads").or("2").at_least(1.0).high()
        .says("Accepted and ignored: group work that may block has one thread."),
    int("group.coordinator.cached.buffer.max.bytes").or("1048588").at_least(524288.0).cluster_wide()
        .says("Accepted and ignored: the group coordinator keeps no write buffer."),
    list("group.coordinator.rebalance.protocols").or("classic,consumer,streams")
        .check(Check::SomeOf(&["consumer", "classic", "share", "streams"]))
        .says("Group protocols that are served."),
    int("group.coordinator.threads").or("4").at_least(1.0).high()
        .says("Accepted and ignored: a group is served on the thread that read the request."),
    int("group.initial.rebalance.delay.ms").or("3000")
        .says("How long a new classic group waits for more members."),
    int("group.max.session.timeout.ms").or("1800000")
        .says("Longest session timeout that a classic member may ask for."),
    int("group.max.size").or("2147483647").at_least(1.0)
        .says("Members of a classic group at most."),
    int("group.min.session.timeout.ms").or("6000")
        .says("Shortest session timeout that a classic member may ask for."),
    int("group.share.assignment.interval.ms").or("1000").at_least(0.0).cluster_wide()
        .says("Not served yet: shortest time between two assignments of a share group."),
    list("group.share.assignors").or("simple").check(Check::NotEmpty)
        .says("Not served yet: assignors of share groups that run in the broker."),
    int("group.share.delivery.count.limit").or("5").between(2.0, 10.0)
        .says("Not served yet: how often a record is delivered to a share group before it is \
               given up."),
    int("group.share.heartbeat.interval.ms").or("5000").at_least(1.0)
        .says("Not served yet: how often a member of a share group reports."),
    int("group.share.initialize.retry.interval.ms").or("30000").at_least(1.0).low().hidden()
        .says("Not served yet: pause before a failed initialisation of a share partition is tried \
               again."),
    int("group.share.max.assignment.interval.ms").or("15000").at_least(0.0)
        .says("Not served yet: largest share.assignment.interval.ms that a group may ask for."),
    int("group.share.max.delivery.count.limit").or("10").between(5.0, 25.0)
        .says("Not served yet: largest share.delivery.count.limit that a group may ask for."),
    int("group.share.max.heartbeat.interval.ms").or("15000").at_least(1.0)
        .says("Not served yet: largest share.heartbeat.interval.ms that a group may ask for."),
    int("group.share.max.partition.max.record.locks").or("4000").between(2000.0, 10000.0)
        .says("Not served yet: largest share.partition.max.record.locks that a group may ask for."),
    int("group.share.max.record.lock.duration.ms").or("60000").between(30000.0, 3600000.0)
        .says("Not served yet: largest share.record.lock.duration.ms that a group may ask for."),
    int("group.share.max.session.timeout.ms").or("60000").at_least(1.0)
        .says("Not served yet: largest share.session.timeout.ms that a group may ask for."),
    int("group.share.max.share.sessions").or("2000").at_least(1.0)
        .says("Not served yet: share sessions that are remembered at once."),
    int("group.share.max.size").or("200").between(1.0, 1000.0)
        .says("Not served yet: members of a share group at most."),
    int("group.share.min.assignment.interval.ms").or("0").at_least(0.0)
        .says("Not served yet: smallest share.assignment.interval.ms that a group may ask for."),
    int("group.share.min.delivery.count.limit").or("2").between(2.0, 5.0)
        .says("Not served yet: smallest share.delivery.count.limit that a group may ask for."),
    int("group.share.min.heartbeat.interval.ms").or("5000").at_least(1.0)
        .says("Not served yet: smallest share.heartbeat.interval.ms that a group may ask for."),
    int("group.share.min.partition.max.record.locks").or("100").between(100.0, 2000.0)
        .says("Not served yet: smallest share.partition.max.record.locks that a group may ask \
               for."),
    int("group.share.min.record.lock.duration.ms").or("15000").between(1000.0, 30000.0)
        .says("Not served yet: smallest share.record.lock.duration.ms that a group may ask for."),
    int("group.share.min.session.timeout.ms").or("45000").at_least(1.0)
        .says("Not served yet: smallest share.session.timeout.ms that a group may ask for."),
    int("group.share.partition.max.record.locks").or("2000").between(100.0, 10000.0)
        .says("Not served yet: records of one share partition that may be acquired at once."),
    string("group.share.persister.class.name")
        .or("org.apache.kafka.server.share.persister.DefaultStatePersister").hidden()
        .says("A Java class; accepted and ignored."),
    int("group.share.record.lock.duration.ms").or("30000").between(1000.0, 3600000.0)
        .says("Not served yet: how long an acquired record is kept for its consumer."),
    int("group.share.session.timeout.ms").or("45000").at_least(1.0)
        .says("Not served yet: a member of a share group that is silent for so long is removed."),
    int("group.streams.assignment.interval.ms").or("1000").at_least(0.0).cluster_wide()
        .says("Not served yet: shortest time between two assignments of a streams group."),
    int("group.streams.heartbeat.interval.ms").or("5000").at_least(1.0)
        .says("Not served yet: how often a member of a streams group reports."),
    int("group.streams.initial.rebalance.delay.ms").or("3000").at_least(0.0)
        .says("Not served yet: how long a new streams group waits for more members."),
    int("group.streams.max.assignment.interval.ms").or("15000").at_least(0.0)
        .says("Not served yet: largest streams.assignment.interval.ms that a group may ask for."),
    int("group.streams.max.heartbeat.interval.ms").or("15000").at_least(1.0)
        .says("Not served yet: largest streams.heartbeat.interval.ms that a group may ask for."),
    int("group.streams.max.session.timeout.ms").or("60000").at_least(1.0)
        .says("Not served yet: largest streams.session.timeout.ms that a group may ask for."),
    int("group.streams.max.size").or("2147483647").at_least(1.0)
        .says("Not served yet: members of a streams group at most."),
    int("group.streams.max.standby.replicas").or("2").at_least(0.0)
        .says("Not served yet: largest streams.num.standby.replicas that a group may ask for."),
    int("group.streams.min.assignment.interval.ms").or("0").at_least(0.0)
        .says("Not served yet: smallest streams.assignment.interval.ms that a group may ask for."),
    int("group.streams.min.heartbeat.interval.ms").or("5000").at_least(1.0)
        .says("Not served yet: smallest streams.heartbeat.interval.ms that a group may ask for."),
    int("group.streams.min.session.timeout.ms").or("45000").at_least(1.0)
        .says("Not served yet: smallest streams.session.timeout.ms that a group may ask for."),
    int("group.streams.num.standby.replicas").or("0").at_least(0.0)
        .says("Not served yet: standby copies of each task of a streams group."),
    int("group.streams.session.timeout.ms").or("45000").at_least(1.0)
        .says("Not served yet: a member of a streams group that is silent for so long is removed."),
    int("offset.metadata.max.bytes").or("4096").high()
        .says("Longest text that may be committed with an offset."),
    int("offsets.commit.timeout.ms").or("5000").at_least(1.0).high()
        .says("How long a commit waits for all replicas."),
    int("offsets.load.buffer.size").or("5242880").at_least(1.0).high()
        .says("Bytes that are read at once while committed offsets are loaded."),
    long("offsets.retention.check.interval.ms").or("600000").at_least(1.0).high()
        .says("How often is looked for expired offsets."),
    int("offsets.retention.minutes").or("10080").at_least(1.0).high()
        .says("How long offsets are kept after their group has become empty."),
    int("offsets.topic.compression.codec").or("0").high()
        .says("Accepted and ignored: what a coordinator writes is not compressed."),
    int("offsets.topic.num.partitions").or("50").at_least(1.0).high()
        .says("Partitions of the topic of offsets; fixed once it is there."),
    short("offsets.topic.replication.factor").or("3").at_least(1.0).high()
        .says("Replicas of the topic of offsets; fewer where there are fewer brokers."),
    int("offsets.topic.segment.bytes").or("104857600").at_least(1.0).high()
        .says("Longest segment of the topic of offsets."),
    int("share.coordinator.append.linger.ms").or("-1").at_least(-1.0)
        .says("Not served yet: how long the share coordinator gathers records for one write; -1 \
               adapts itself."),
    int("share.coordinator.cached.buffer.max.bytes").or("1048588").at_least(524288.0).cluster_wide()
        .says("Not served yet: longest write buffer that the share coordinator keeps."),
    int("share.coordinator.cold.partition.snapshot.interval.ms").or("300000").at_least(1.0).low()
        .hidden()
        .says("Not served yet: how often idle share partitions are written down anew."),
    int("share.coordinator.load.buffer.size").or("5242880").at_least(1.0).high()
        .says("Not served yet: bytes that are read at once while share state is loaded."),
    int("share.coordinator.snapshot.update.records.per.snapshot").or("500").between(0.0, 500.0)
        .says("Not served yet: updates of a share partition between two snapshots of it."),
    int("share.coordinator.state.topic.compression.codec").or("0").high()
        .says("Not served yet: codec of the topic of share state, as its number."),
    short("share.coordinator.state.topic.min.isr").or("2").at_least(1.0).high()
        .says("Not served yet: replicas in sync that the topic of share state needs."),
    int("share.coordinator.state.topic.num.partitions").or("50").at_least(1.0).high()
        .says("Not served yet: partitions of the topic of share state; fixed once it is there."),
    int("share.coordinator.state.topic.prune.interval.ms").or("300000").at_least(1.0).low().hidden()
        .says("Not served yet: how often superseded share state is deleted."),
    short("share.coordinator.state.topic.replication.factor").or("3").at_least(1.0).high()
        .says("Not served yet: replicas of the topic of share state; fewer where there are fewer \
               brokers."),
    int("share.coordinator.state.topic.segment.bytes").or("104857600").at_least(1.0).high()
        .says("Not served yet: longest segment of the topic of share state."),
    int("share.coordinator.threads").or("1").at_least(1.0)
        .says("Accepted and ignored: share state is served on the thread that read the request."),
    int("share.coordinator.write.timeout.ms").or("5000").at_least(1.0).high()
        .says("Not served yet: how long a write of share state waits for all replicas."),
];

//! Keys of tiered storage, which is not served yet: known, so that nobody is warned of them.

use crate::definition::{Check, Definition, boolean, double, int, long, string};

#[rustfmt::skip]
pub(super) const KEYS: &[Definition] = &[
    boolean("follower.fetch.last.tiered.offset.enable").or("false").cluster_wide()
        .says("Not served yet: whether a new follower begins at the last tiered offset."),
    int("remote.fetch.max.wait.ms").or("500").at_least(1.0).cluster_wide()
        .says("Not served yet: how long a fetch waits for tiered storage."),
    long("remote.list.offsets.request.timeout.ms").or("30000").at_least(1.0).cluster_wide()
        .says("Not served yet: how long a look-up of an offset waits for tiered storage."),
    long("remote.log.index.file.cache.total.size.bytes").or("1073741824").at_least(1.0).low()
        .cluster_wide()
        .says("Not served yet: disk space for indexes fetched from tiered storage."),
    long("remote.log.index.file.cache.ttl.ms").or("900000").at_least(-1.0).low().hidden()
        .says("Not served yet: how long an unused index from tiered storage is kept."),
    int("remote.log.manager.copier.thread.pool.size").or("10").at_least(1.0).cluster_wide()
        .says("Not served yet: threads that copy segments to tiered storage."),
    long("remote.log.manager.copy.max.bytes.per.second").or("9223372036854775807").at_least(1.0)
        .cluster_wide()
        .says("Not served yet: bytes a second that are copied to tiered storage at most."),
    int("remote.log.manager.copy.quota.window.num").or("11").at_least(1.0)
        .says("Not served yet: samples over which copying to tiered storage is measured."),
    int("remote.log.manager.copy.quota.window.size.seconds").or("1").at_least(1.0)
        .says("Not served yet: length of each such sample of copying."),
    int("remote.log.manager.expiration.thread.pool.size").or("10").at_least(1.0).cluster_wide()
        .says("Not served yet: threads that delete what expired in tiered storage."),
    long("remote.log.manager.fetch.max.bytes.per.second").or("9223372036854775807").at_least(1.0)
        .cluster_wide()
        .says("Not served yet: bytes a second that are read from tiered storage at most."),
    int("remote.log.manager.fetch.quota.window.num").or("11").at_least(1.0)
        .says("Not served yet: samples over which reading from tiered storage is measured."),
    int("remote.log.manager.fetch.quota.window.size.seconds").or("1").at_least(1.0)
        .says("Not served yet: length of each such sample of reading."),
    int("remote.log.manager.follower.thread.pool.size").or("2").at_least(1.0).cluster_wide()
        .says("Not served yet: threads that follow tiered segments of other leaders."),
    long("remote.log.manager.task.interval.ms").or("30000").at_least(1.0).low()
        .says("Not served yet: how often is looked for segments to copy or delete."),
    long("remote.log.manager.task.retry.backoff.max.ms").or("30000").at_least(1.0).low().hidden()
        .says("Not served yet: longest pause before work on tiered storage is tried again."),
    long("remote.log.manager.task.retry.backoff.ms").or("500").at_least(1.0).low().hidden()
        .says("Not served yet: first pause before work on tiered storage is tried again."),
    double("remote.log.manager.task.retry.jitter").or("0.2").between(0.0, 0.5).low().hidden()
        .says("Not served yet: random share of that pause."),
    int("remote.log.manager.thread.pool.size").or("2").at_least(1.0)
        .says("Not served yet: threads of tiered storage that have no pool of their own."),
    int("remote.log.metadata.custom.metadata.max.bytes").or("128").at_least(0.0).low()
        .says("Not served yet: bytes that a plugin may keep with each tiered segment."),
    string("remote.log.metadata.manager.class.name")
        .or("org.apache.kafka.server.log.remote.metadata.storage.\
             TopicBasedRemoteLogMetadataManager").check(Check::NotEmpty)
        .says("A Java class; accepted and ignored."),
    string("remote.log.metadata.manager.class.path")
        .says("A Java class path; accepted and ignored."),
    string("remote.log.metadata.manager.impl.prefix").or("rlmm.config.").check(Check::NotEmpty)
        .says("Not served yet: what keys for the manager of tiered metadata begin with."),
    string("remote.log.metadata.manager.listener.name").check(Check::NotEmpty)
        .says("Not served yet: the listener by which tiered metadata is reached."),
    int("remote.log.reader.max.pending.tasks").or("100").at_least(1.0)
        .says("Not served yet: reads from tiered storage that may wait; more are refused."),
    int("remote.log.reader.threads").or("10").at_least(1.0).cluster_wide()
        .says("Not served yet: threads that read from tiered storage."),
    string("remote.log.storage.manager.class.name").check(Check::NotEmpty)
        .says("A Java class; accepted and ignored."),
    string("remote.log.storage.manager.class.path")
        .says("A Java class path; accepted and ignored."),
    string("remote.log.storage.manager.impl.prefix").or("rsm.config.").check(Check::NotEmpty)
        .says("Not served yet: what keys for the tiered storage begin with."),
    boolean("remote.log.storage.system.enable").or("false")
        .says("Not served yet: whether topics may be tiered at all."),
];

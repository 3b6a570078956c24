//! Keys of quotas.

use crate::definition::{Definition, class, int, long};

#[rustfmt::skip]
pub(super) const KEYS: &[Definition] = &[
    int("alter.log.dirs.replication.quota.window.num").or("11").at_least(1.0).low()
        .says("Accepted and ignored: moves between log directories keep their rate at any time."),
    int("alter.log.dirs.replication.quota.window.size.seconds").or("1").at_least(1.0).low()
        .says("Accepted and ignored: as for the number of these samples."),
    class("client.quota.callback.class").low()
        .says("A Java class; accepted and ignored."),
    int("controller.quota.window.num").or("11").at_least(1.0).low()
        .says("Samples over which changes of topics are measured."),
    int("controller.quota.window.size.seconds").or("1").at_least(1.0).low()
        .says("Length of each such sample of changes."),
    int("quota.window.num").or("11").at_least(1.0).low()
        .says("Samples over which clients are measured."),
    int("quota.window.size.seconds").or("1").at_least(1.0).low()
        .says("Length of each such sample of clients."),
    int("replication.quota.window.num").or("11").at_least(1.0).low()
        .says("Not served yet: samples over which replication is measured."),
    int("replication.quota.window.size.seconds").or("1").at_least(1.0).low()
        .says("Not served yet: length of each such sample of replication."),
    long("leader.replication.throttled.rate").at_least(0.0)
        .cluster_wide().hidden()
        .says("Not served yet: bytes a second that throttled leaders send to followers at most; \
               only dynamic."),
    long("follower.replication.throttled.rate").at_least(0.0)
        .cluster_wide().hidden()
        .says("Not served yet: bytes a second that throttled followers fetch at most; only \
               dynamic."),
    long("replica.alter.log.dirs.io.max.bytes.per.second").at_least(0.0)
        .cluster_wide().hidden()
        .says("Bytes a second that move between log directories at most; only dynamic."),
];

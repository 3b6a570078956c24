//! Keys of transactions.

use crate::definition::{Definition, boolean, int, short};

#[rustfmt::skip]
pub(super) const KEYS: &[Definition] = &[
    int("add.partitions.to.txn.retry.backoff.max.ms").or("100").at_least(0.0).high()
        .says("Longest time for which adding a partition to a busy transaction is tried again."),
    int("add.partitions.to.txn.retry.backoff.ms").or("20").at_least(1.0).high()
        .says("Accepted and ignored: it is added as soon as the transaction before has ended."),
    int("transaction.abort.timed.out.transaction.cleanup.interval.ms").or("10000").at_least(1.0)
        .low()
        .says("How often is looked for transactions that ran out of time."),
    int("transaction.max.timeout.ms").or("900000").at_least(1.0).high()
        .says("Longest timeout that a transactional producer may ask for."),
    boolean("transaction.partition.verification.enable").or("true").low().cluster_wide()
        .says("Whether a transactional write is refused unless its partition was added before."),
    int("transaction.remove.expired.transaction.cleanup.interval.ms").or("3600000").at_least(1.0)
        .low()
        .says("How often is looked for transactional ids to forget."),
    int("transaction.state.log.load.buffer.size").or("5242880").at_least(1.0).high()
        .says("Bytes that are read at once while transactions are loaded."),
    int("transaction.state.log.min.isr").or("2").at_least(1.0).high()
        .says("Replicas in sync that the topic of transactions needs."),
    int("transaction.state.log.num.partitions").or("50").at_least(1.0).high()
        .says("Partitions of the topic of transactions; fixed once it is there."),
    short("transaction.state.log.replication.factor").or("3").at_least(1.0).high()
        .says("Replicas of the topic of transactions; fewer where there are fewer brokers."),
    int("transaction.state.log.segment.bytes").or("104857600").at_least(1.0).high()
        .says("Longest segment of the topic of transactions."),
    boolean("transaction.two.phase.commit.enable").or("false").low()
        .says("Whether producers may take part in a two-phase commit from outside."),
    int("transactional.id.expiration.ms").or("604800000").at_least(1.0).high()
        .says("A transactional id that was unused for so long is forgotten."),
];

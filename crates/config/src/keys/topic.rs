//! Keys of topics, each with the keys of the broker that give its default.

use super::log::{CODECS, FLUSH_MS, RETENTION_MS, ROLL_JITTER_MS, ROLL_MS};
use crate::definition::{Check, Definition, boolean, double, int, list, long, string};

#[rustfmt::skip]
pub(super) const KEYS: &[Definition] = &[
    list("cleanup.policy").or("delete").one_of(&["compact", "delete"])
        .synonyms(&[("log.cleanup.policy", 1)])
        .says("What becomes of old segments: delete, compact, both, or neither."),
    int("compression.gzip.level").or("-1").check(Check::RangeOrMinusOne(1.0, 9.0))
        .synonyms(&[("compression.gzip.level", 1)])
        .says("Level at which batches are compressed anew with gzip; -1 for its own default."),
    int("compression.lz4.level").or("9").between(1.0, 17.0)
        .synonyms(&[("compression.lz4.level", 1)])
        .says("Level at which batches are compressed anew with lz4."),
    string("compression.type").or("producer").one_of(CODECS)
        .synonyms(&[("compression.type", 1)])
        .says("Codec in which batches are stored; producer keeps what was sent."),
    int("compression.zstd.level").or("3").between(-131072.0, 22.0)
        .synonyms(&[("compression.zstd.level", 1)])
        .says("Level at which batches are compressed anew with zstd."),
    long("delete.retention.ms").or("86400000").at_least(0.0)
        .synonyms(&[("log.cleaner.delete.retention.ms", 1)])
        .says("How long a tombstone stays in a compacted log."),
    long("file.delete.delay.ms").or("60000").at_least(0.0)
        .synonyms(&[("log.segment.delete.delay.ms", 1)])
        .says("Accepted and ignored: readers keep what they read, so files go at once."),
    long("flush.messages").or("1").at_least(1.0)
        .synonyms(&[("log.flush.interval.messages", 1)])
        .says("1 syncs the log before every acknowledgement; more, after so many records."),
    long("flush.ms").or("9223372036854775807").at_least(0.0)
        .synonyms(FLUSH_MS)
        .says("Accepted and ignored: the broker's log.flush.scheduler.interval.ms syncs all logs."),
    list("follower.replication.throttled.replicas").or("").check(Check::ThrottledReplicas)
        .says("Not served yet: followers whose fetches are throttled, as partition:broker, or * \
               for all."),
    int("index.interval.bytes").or("4096").at_least(0.0)
        .synonyms(&[("log.index.interval.bytes", 1)])
        .says("Bytes of records between two entries of an index."),
    int("internal.segment.bytes").hidden()
        .says("Longest segment, without the usual lower limit."),
    list("leader.replication.throttled.replicas").or("").check(Check::ThrottledReplicas)
        .says("Not served yet: leaders whose answers to followers are throttled, as \
               partition:broker, or *."),
    long("local.retention.bytes").or("-2").at_least(-2.0)
        .synonyms(&[("log.local.retention.bytes", 1)])
        .says("Not served yet: bytes of a tiered partition that stay on the disk; -2 for \
               retention.bytes."),
    long("local.retention.ms").or("-2").at_least(-2.0)
        .synonyms(&[("log.local.retention.ms", 1)])
        .says("Not served yet: how long tiered segments stay on the disk; -2 for retention.ms."),
    long("max.compaction.lag.ms").or("9223372036854775807").at_least(1.0)
        .synonyms(&[("log.cleaner.max.compaction.lag.ms", 1)])
        .says("Longest time that a record may stay uncompacted."),
    int("max.message.bytes").or("1048588").at_least(0.0)
        .synonyms(&[("message.max.bytes", 1)])
        .says("Longest batch that is accepted."),
    long("message.timestamp.after.max.ms").or("3600000").at_least(0.0)
        .synonyms(&[("log.message.timestamp.after.max.ms", 1)])
        .says("How far a record's timestamp may lie after the broker's clock."),
    long("message.timestamp.before.max.ms").or("9223372036854775807").at_least(0.0)
        .synonyms(&[("log.message.timestamp.before.max.ms", 1)])
        .says("How far a record's timestamp may lie before the broker's clock."),
    string("message.timestamp.type").or("CreateTime").one_of(&["CreateTime", "LogAppendTime"])
        .synonyms(&[("log.message.timestamp.type", 1)])
        .says("Whether records keep their own timestamp or get that of their append."),
    double("min.cleanable.dirty.ratio").or("0.5").between(0.0, 1.0)
        .synonyms(&[("log.cleaner.min.cleanable.ratio", 1)])
        .says("Share of the log that must be uncompacted before it is compacted."),
    long("min.compaction.lag.ms").or("0").at_least(0.0)
        .synonyms(&[("log.cleaner.min.compaction.lag.ms", 1)])
        .says("Shortest time that a record stays uncompacted."),
    int("min.insync.replicas").or("1").at_least(1.0)
        .synonyms(&[("min.insync.replicas", 1)])
        .says("Replicas in sync without which a write with acks=all is refused."),
    boolean("preallocate").or("false")
        .synonyms(&[("log.preallocate", 1)])
        .says("Accepted and ignored: segments grow as they are written."),
    boolean("remote.log.copy.disable").or("false")
        .says("Not served yet: whether nothing more is copied to tiered storage."),
    boolean("remote.log.delete.on.disable").or("false")
        .says("Not served yet: whether tiered segments are deleted when tiering is switched off."),
    boolean("remote.storage.enable").or("false")
        .says("Not served yet: whether the topic is tiered."),
    long("retention.bytes").or("-1")
        .synonyms(&[("log.retention.bytes", 1)])
        .says("Bytes of a partition above which old segments are deleted; -1 without limit."),
    long("retention.ms").or("604800000").at_least(-1.0)
        .synonyms(RETENTION_MS)
        .says("Age at which segments are deleted; -1 for never."),
    int("segment.bytes").or("1073741824").at_least(1048576.0)
        .synonyms(&[("log.segment.bytes", 1)])
        .says("Longest segment."),
    int("segment.index.bytes").or("10485760").at_least(4.0)
        .synonyms(&[("log.index.size.max.bytes", 1)])
        .says("Longest index; a full one ends the segment."),
    long("segment.jitter.ms").or("0").at_least(0.0)
        .synonyms(ROLL_JITTER_MS)
        .says("Random time by which a segment may end earlier than segment.ms says."),
    long("segment.ms").or("604800000").at_least(1.0)
        .synonyms(ROLL_MS)
        .says("Age at which a segment ends although it is not full."),
    boolean("unclean.leader.election.enable").or("false")
        .synonyms(&[("unclean.leader.election.enable", 1)])
        .says("Whether a replica that lacks records may lead when no other can."),
];

//! Keys of the log as the broker knows them; most of them are defaults of topics.

use crate::definition::{
    Check, Definition, HOUR_MS, MINUTE_MS, Synonym, boolean, class, double, int, list, long, string,
};

/// What a batch may be stored in.
pub(super) const CODECS: &[&str] = &["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"];

/// The strongest key first, as everywhere.
pub(super) const RETENTION_MS: &[Synonym] = &[
    ("log.retention.ms", 1),
    ("log.retention.minutes", MINUTE_MS),
    ("log.retention.hours", HOUR_MS),
];
pub(super) const ROLL_MS: &[Synonym] = &[("log.roll.ms", 1), ("log.roll.hours", HOUR_MS)];
pub(super) const ROLL_JITTER_MS: &[Synonym] =
    &[("log.roll.jitter.ms", 1), ("log.roll.jitter.hours", HOUR_MS)];
pub(super) const FLUSH_MS: &[Synonym] =
    &[("log.flush.interval.ms", 1), ("log.flush.scheduler.interval.ms", 1)];

#[rustfmt::skip]
pub(super) const KEYS: &[Definition] = &[
    class("alter.config.policy.class.name").low()
        .says("A Java class that may refuse settings of topics; a broker with one does not start."),
    boolean("auto.create.topics.enable").or("true").high()
        .says("Whether asking for an unknown topic creates it."),
    int("compression.gzip.level").or("-1").check(Check::RangeOrMinusOne(1.0, 9.0)).cluster_wide()
        .says("Level at which batches are compressed anew with gzip; -1 for its own default."),
    int("compression.lz4.level").or("9").between(1.0, 17.0).cluster_wide()
        .says("Level at which batches are compressed anew with lz4."),
    string("compression.type").or("producer").one_of(CODECS).high().cluster_wide()
        .says("Codec in which batches are stored; producer keeps what was sent."),
    int("compression.zstd.level").or("3").between(-131072.0, 22.0).cluster_wide()
        .says("Level at which batches are compressed anew with zstd."),
    list("cordoned.log.dirs").or("").per_broker()
        .says("Not served yet: log directories that get no new partitions; * for all."),
    class("create.topic.policy.class.name").low()
        .says("A Java class that may refuse new topics; a broker with one does not start."),
    boolean("delete.topic.enable").or("true").high()
        .says("Whether topics may be deleted."),
    long("log.cleaner.backoff.ms").or("15000").at_least(0.0).cluster_wide()
        .says("How long the cleaner rests when nothing needs to be compacted."),
    long("log.cleaner.dedupe.buffer.size").or("134217728").cluster_wide()
        .says("Memory in which all cleaner threads together remember keys."),
    long("log.cleaner.delete.retention.ms").or("86400000").at_least(0.0).cluster_wide()
        .says("How long a tombstone stays in a compacted log."),
    boolean("log.cleaner.enable").or("true")
        .says("Whether compacted topics are compacted."),
    double("log.cleaner.io.buffer.load.factor").or("0.9").cluster_wide()
        .says("Accepted and ignored: the cleaner uses all the memory that it has for keys."),
    int("log.cleaner.io.buffer.size").or("524288").at_least(0.0).cluster_wide()
        .says("Accepted and ignored: the cleaner's buffer has a size of its own."),
    double("log.cleaner.io.max.bytes.per.second").or("1.7976931348623157E308").cluster_wide()
        .says("Bytes a second that the cleaner reads and writes at most."),
    long("log.cleaner.max.compaction.lag.ms").or("9223372036854775807").at_least(1.0).cluster_wide()
        .says("Longest time that a record may stay uncompacted."),
    double("log.cleaner.min.cleanable.ratio").or("0.5").between(0.0, 1.0).cluster_wide()
        .says("Share of a log that must be uncompacted before it is compacted."),
    long("log.cleaner.min.compaction.lag.ms").or("0").at_least(0.0).cluster_wide()
        .says("Shortest time that a record stays uncompacted."),
    int("log.cleaner.threads").or("1").at_least(0.0).cluster_wide()
        .says("One thread compacts logs, however many are asked for; 0 is none."),
    list("log.cleanup.policy").or("delete").one_of(&["compact", "delete"]).cluster_wide()
        .says("What becomes of old segments: delete, compact, both, or neither."),
    list("log.dir").or("./milena-data").check(Check::NotEmpty).high()
        .says("A log directory; log.dirs goes before it."),
    long("log.dir.failure.timeout.ms").or("30000").at_least(1.0).low()
        .says("Not served yet: a broker that cannot report a failed log directory for so long \
               stops."),
    list("log.dirs").check(Check::NotEmpty).high()
        .says("Directories that hold the logs, with commas between them."),
    long("log.flush.interval.messages").or("1").at_least(1.0).high().cluster_wide()
        .says("1 syncs a log before every acknowledgement; more, after so many records."),
    long("log.flush.interval.ms").high().cluster_wide()
        .synonyms(FLUSH_MS)
        .says("Accepted and ignored: log.flush.scheduler.interval.ms syncs all logs."),
    int("log.flush.offset.checkpoint.interval.ms").or("60000").at_least(0.0).high()
        .says("Accepted and ignored: the points from which logs recover are written down once a \
               minute."),
    long("log.flush.scheduler.interval.ms").or("9223372036854775807").high()
        .says("How often logs are synced that are not synced at once; once a minute at least."),
    int("log.flush.start.offset.checkpoint.interval.ms").or("60000").at_least(0.0).high()
        .says("Accepted and ignored: the starts of logs are written down as they change."),
    int("log.index.interval.bytes").or("4096").at_least(0.0).cluster_wide()
        .says("Bytes of records between two entries of an index."),
    int("log.index.size.max.bytes").or("10485760").at_least(4.0).cluster_wide()
        .says("Longest index; a full one ends the segment."),
    long("log.initial.task.delay.ms").or("30000").at_least(0.0).low().hidden()
        .says("Accepted and ignored: background work on logs begins after its first interval."),
    long("log.local.retention.bytes").or("-2").at_least(-2.0).cluster_wide()
        .says("Not served yet: bytes of a tiered log that stay on this disk; -2 for \
               log.retention.bytes."),
    long("log.local.retention.ms").or("-2").at_least(-2.0).cluster_wide()
        .says("Not served yet: how long tiered segments stay on this disk; -2 for \
               log.retention.ms."),
    long("log.message.timestamp.after.max.ms").or("3600000").at_least(0.0).cluster_wide()
        .says("How far a record's timestamp may lie after the broker's clock."),
    long("log.message.timestamp.before.max.ms").or("9223372036854775807").at_least(0.0)
        .cluster_wide()
        .says("How far a record's timestamp may lie before the broker's clock."),
    string("log.message.timestamp.type").or("CreateTime").one_of(&["CreateTime", "LogAppendTime"])
        .cluster_wide()
        .says("Whether records keep their own timestamp or get that of their append."),
    boolean("log.preallocate").or("false").cluster_wide()
        .says("Accepted and ignored: segments grow as they are written."),
    long("log.retention.bytes").or("-1").high().cluster_wide()
        .says("Bytes of a partition above which old segments are deleted; -1 without limit."),
    long("log.retention.check.interval.ms").or("300000").at_least(1.0)
        .says("How often is looked for segments to delete."),
    int("log.retention.hours").or("168").high()
        .synonyms(RETENTION_MS)
        .says("As log.retention.ms, in hours."),
    int("log.retention.minutes").high()
        .synonyms(RETENTION_MS)
        .says("As log.retention.ms, in minutes."),
    long("log.retention.ms").high().cluster_wide()
        .synonyms(RETENTION_MS)
        .says("Age at which segments are deleted; -1 for never."),
    int("log.roll.hours").or("168").at_least(1.0).high()
        .synonyms(ROLL_MS)
        .says("As log.roll.ms, in hours."),
    int("log.roll.jitter.hours").or("0").at_least(0.0).high()
        .synonyms(ROLL_JITTER_MS)
        .says("As log.roll.jitter.ms, in hours."),
    long("log.roll.jitter.ms").high().cluster_wide()
        .synonyms(ROLL_JITTER_MS)
        .says("Random time by which a segment may end earlier than log.roll.ms says."),
    long("log.roll.ms").high().cluster_wide()
        .synonyms(ROLL_MS)
        .says("Age at which a segment ends although it is not full."),
    int("log.segment.bytes").or("1073741824").at_least(1048576.0).high().cluster_wide()
        .says("Longest segment."),
    long("log.segment.delete.delay.ms").or("60000").at_least(0.0).high().cluster_wide()
        .says("Accepted and ignored: readers keep what they read, so files go at once."),
    int("message.max.bytes").or("1048588").at_least(0.0).high().cluster_wide()
        .says("Longest batch that is accepted."),
    int("min.insync.replicas").or("1").at_least(1.0).high().cluster_wide()
        .says("Replicas in sync without which a write with acks=all is refused."),
    int("num.partitions").or("1").at_least(1.0)
        .says("Partitions of a topic that is created without saying how many."),
    int("num.recovery.threads.per.data.dir").or("2").at_least(1.0).high().cluster_wide()
        .says("Threads for each log directory that open logs at the start, as the file sets it."),
    int("producer.id.expiration.check.interval.ms").or("600000").at_least(1.0).low().hidden()
        .says("Accepted and ignored: is looked for with log.retention.check.interval.ms."),
    int("producer.id.expiration.ms").or("86400000").at_least(1.0).low().cluster_wide()
        .says("An idempotent producer that was silent for so long is forgotten."),
];

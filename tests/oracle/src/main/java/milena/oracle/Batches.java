package milena.oracle;

import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.compress.Compression;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.message.KRaftVersionRecord;
import org.apache.kafka.common.message.LeaderChangeMessage;
import org.apache.kafka.common.message.SnapshotFooterRecord;
import org.apache.kafka.common.message.SnapshotHeaderRecord;
import org.apache.kafka.common.message.VotersRecord;
import org.apache.kafka.common.record.TimestampType;
import org.apache.kafka.common.record.internal.CompressionType;
import org.apache.kafka.common.record.internal.ControlRecordType;
import org.apache.kafka.common.record.internal.DefaultRecordBatch;
import org.apache.kafka.common.record.internal.EndTransactionMarker;
import org.apache.kafka.common.record.internal.MemoryRecords;
import org.apache.kafka.common.record.internal.MemoryRecordsBuilder;
import org.apache.kafka.common.record.internal.RecordBatch;
import org.apache.kafka.common.record.internal.SimpleRecord;
import org.apache.kafka.common.utils.ByteBufferOutputStream;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;

/**
 * Writes record batches of every kind with Kafka's own builder, beside what Kafka reads from them.
 */
final class Batches {
    private static final long TIME = 1_700_000_000_000L;
    private static final long APPEND_TIME = 1_700_000_123_456L;
    private static final long PRODUCER = 4_711;

    private final JsonLines.Writer out;
    private int count;

    private Batches(JsonLines.Writer out) {
        this.out = out;
    }

    static void write(Path file) throws Exception {
        try (JsonLines.Writer out = new JsonLines.Writer(file)) {
            Batches batches = new Batches(out);
            for (CompressionType type : CompressionType.values()) {
                Compression codec = Compression.of(type).build();
                for (byte magic = 0; magic < RecordBatch.CURRENT_MAGIC_VALUE; magic++) {
                    // zstd is younger than these two.
                    if (type != CompressionType.ZSTD) {
                        batches.legacy(codec, magic);
                    }
                }
                batches.current(codec);
                batches.producers(codec);
                batches.large(type);
                batches.compacted(codec);
            }
            batches.transactionMarkers();
            batches.metadataControl();
            System.out.println(batches.count + " batches");
        }
    }

    private void legacy(Compression codec, byte magic) throws Exception {
        line("plain", builder(codec, magic).records(1_000, mixed(false)));
        line("one record", builder(codec, magic).records(7, mixed(false).subList(0, 1)));
        line(
                "large value",
                builder(codec, magic).records(0, List.of(record(0, "key", text(3_000)))));
        if (magic > RecordBatch.MAGIC_VALUE_V0) {
            line("append time", builder(codec, magic).appendTime().records(5_000, mixed(false)));
        }
    }

    private void current(Compression codec) throws Exception {
        line("plain", builder(codec).records(0, mixed(false)));
        line("headers", builder(codec).records(1L << 40, mixed(true)));
        line("append time", builder(codec).appendTime().records(12, mixed(true)));
        line(
                "one empty record",
                builder(codec).records(3, List.of(new SimpleRecord(TIME, (byte[]) null, null))));
        line(
                "no timestamp",
                builder(codec)
                        .records(
                                3,
                                List.of(
                                        new SimpleRecord(
                                                RecordBatch.NO_TIMESTAMP,
                                                bytes("key"),
                                                bytes("value")))));
        line(
                "times go back",
                builder(codec)
                        .records(
                                0,
                                List.of(
                                        record(1_000, "a", "1"),
                                        record(-5_000_000_000L, "b", "2"),
                                        record(5_000_000_000L, "c", "3"))));
    }

    private void producers(Compression codec) throws Exception {
        line("idempotent", builder(codec).producer(12, false).records(77, mixed(false)));
        line(
                "sequence wraps",
                builder(codec).producer(Integer.MAX_VALUE - 1, false).records(77, mixed(true)));
        line(
                "transactional",
                builder(codec).producer(0, true).leaderEpoch(9).records(1_000_000, mixed(true)));
    }

    private void large(CompressionType type) throws Exception {
        List<SimpleRecord> many = new ArrayList<>();
        for (int i = 0; i < 200; i++) {
            many.add(record(i, "key-" + i % 17, "value " + i + ' ' + text(i)));
        }
        // Larger than the blocks of snappy (32 KiB) and lz4 (64 KiB).
        List<SimpleRecord> big =
                List.of(record(0, "big", text(150_000)), record(1, "small", "after it"));
        Random random = new Random(42);
        byte[] noise = new byte[2_500];
        random.nextBytes(noise);

        Compression codec = Compression.of(type).build();
        line("many", builder(codec).records(0, many));
        line("big value", builder(codec).records(0, big));
        line(
                "noise",
                builder(codec).records(0, List.of(new SimpleRecord(TIME, bytes("noise"), noise))));
        for (Compression leveled : levels(type)) {
            line("many at another level", builder(leveled).records(0, many));
        }
    }

    private static List<Compression> levels(CompressionType type) {
        return switch (type) {
            case GZIP ->
                    List.of(
                            Compression.gzip().level(1).build(),
                            Compression.gzip().level(9).build());
            case LZ4 ->
                    List.of(
                            Compression.lz4().level(1).build(),
                            Compression.lz4().level(17).build());
            case ZSTD ->
                    List.of(
                            Compression.zstd().level(-5).build(),
                            Compression.zstd().level(19).build());
            default -> List.of();
        };
    }

    /**
     * What the cleaner leaves: offsets with gaps, a last offset without its record, a horizon for
     * tombstones.
     */
    private void compacted(Compression codec) throws Exception {
        MemoryRecordsBuilder gaps = builder(codec).producer(40, false).open(500);
        for (long offset : new long[] {500, 503, 504, 600}) {
            gaps.appendWithOffset(offset, record(offset, "key", "value " + offset));
        }
        line("gaps", gaps.build());

        MemoryRecordsBuilder lastGone = builder(codec).producer(40, false).open(500);
        lastGone.appendWithOffset(502, record(2, "key", "value"));
        lastGone.overrideLastOffset(510);
        line("last offset without record", lastGone.build());

        line(
                "delete horizon",
                builder(codec)
                        .deleteHorizon(TIME + 86_400_000)
                        .records(
                                8,
                                List.of(
                                        new SimpleRecord(TIME, bytes("gone"), null),
                                        record(5, "kept", "value"))));

        if (codec.type() == CompressionType.NONE) {
            ByteBuffer empty = ByteBuffer.allocate(DefaultRecordBatch.RECORD_BATCH_OVERHEAD);
            DefaultRecordBatch.writeEmptyHeader(
                    empty,
                    RecordBatch.CURRENT_MAGIC_VALUE,
                    PRODUCER,
                    (short) 3,
                    20,
                    100,
                    109,
                    5,
                    TimestampType.CREATE_TIME,
                    TIME,
                    true,
                    false);
            empty.flip();
            line("all records gone", MemoryRecords.readableRecords(empty));
        }
    }

    private void transactionMarkers() throws Exception {
        for (ControlRecordType type : List.of(ControlRecordType.COMMIT, ControlRecordType.ABORT)) {
            line(
                    type.name().toLowerCase(),
                    MemoryRecords.withEndTransactionMarker(
                            123, TIME, 6, PRODUCER, (short) 3, new EndTransactionMarker(type, 14)));
        }
    }

    private void metadataControl() throws Exception {
        line(
                "leader change",
                MemoryRecords.withLeaderChangeMessage(
                        0,
                        TIME,
                        1,
                        ByteBuffer.allocate(256),
                        new LeaderChangeMessage()
                                .setLeaderId(1)
                                .setVoters(
                                        List.of(new LeaderChangeMessage.Voter().setVoterId(1)))));
        line(
                "snapshot header",
                MemoryRecords.withSnapshotHeaderRecord(
                        0,
                        TIME,
                        1,
                        ByteBuffer.allocate(256),
                        new SnapshotHeaderRecord().setLastContainedLogTimestamp(TIME)));
        line(
                "snapshot footer",
                MemoryRecords.withSnapshotFooterRecord(
                        0, TIME, 1, ByteBuffer.allocate(256), new SnapshotFooterRecord()));
        line(
                "kraft version",
                MemoryRecords.withKRaftVersionRecord(
                        0,
                        TIME,
                        1,
                        ByteBuffer.allocate(256),
                        new KRaftVersionRecord().setKRaftVersion((short) 1)));
        line(
                "kraft voters",
                MemoryRecords.withVotersRecord(
                        0,
                        TIME,
                        1,
                        ByteBuffer.allocate(256),
                        new VotersRecord()
                                .setVoters(
                                        List.of(
                                                new VotersRecord.Voter()
                                                        .setVoterId(1)
                                                        .setVoterDirectoryId(new Uuid(1, 2))))));
    }

    private void line(String name, MemoryRecords records) throws Exception {
        ByteBuffer buffer = records.buffer().duplicate();
        byte[] bytes = new byte[buffer.remaining()];
        buffer.get(bytes);
        out.line(BatchText.describe(name, bytes));
        count++;
    }

    private static List<SimpleRecord> mixed(boolean withHeaders) {
        Header[][] headers =
                withHeaders
                        ? new Header[][] {
                            {
                                new RecordHeader("trace", bytes("id-1")),
                                new RecordHeader("trace", bytes("id-2"))
                            },
                            {
                                new RecordHeader("null", (byte[]) null),
                                new RecordHeader("", new byte[0])
                            },
                            {},
                        }
                        : new Header[][] {{}, {}, {}};
        return List.of(
                new SimpleRecord(TIME, bytes("key"), bytes("value"), headers[0]),
                new SimpleRecord(TIME + 10, null, bytes("no key"), headers[1]),
                new SimpleRecord(TIME + 20, bytes("tombstone"), null, headers[2]),
                new SimpleRecord(TIME + 15, new byte[0], new byte[0], headers[0]),
                new SimpleRecord(TIME + 70_000, bytes("schlüssel"), bytes(text(120)), headers[1]));
    }

    private static SimpleRecord record(long delta, String key, String value) {
        return new SimpleRecord(TIME + delta, bytes(key), bytes(value));
    }

    private static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    private static String text(int length) {
        String sentence = "A record batch goes to the disk without being taken apart. ";
        return sentence.repeat(length / sentence.length() + 1).substring(0, length);
    }

    private static Options builder(Compression codec) {
        return builder(codec, RecordBatch.CURRENT_MAGIC_VALUE);
    }

    private static Options builder(Compression codec, byte magic) {
        return new Options(codec, magic);
    }

    /** What a batch is built with, named instead of Kafka's fourteen arguments in a row. */
    private static final class Options {
        private final Compression codec;
        private final byte magic;
        private TimestampType timestampType = TimestampType.CREATE_TIME;
        private long producer = RecordBatch.NO_PRODUCER_ID;
        private int sequence = RecordBatch.NO_SEQUENCE;
        private boolean transactional;
        private int leaderEpoch = RecordBatch.NO_PARTITION_LEADER_EPOCH;
        private long deleteHorizon = RecordBatch.NO_TIMESTAMP;

        Options(Compression codec, byte magic) {
            this.codec = codec;
            this.magic = magic;
        }

        Options appendTime() {
            timestampType = TimestampType.LOG_APPEND_TIME;
            return this;
        }

        Options producer(int baseSequence, boolean inTransaction) {
            producer = PRODUCER;
            sequence = baseSequence;
            transactional = inTransaction;
            return this;
        }

        Options leaderEpoch(int epoch) {
            leaderEpoch = epoch;
            return this;
        }

        Options deleteHorizon(long time) {
            deleteHorizon = time;
            return this;
        }

        MemoryRecordsBuilder open(long baseOffset) {
            short epoch =
                    producer == RecordBatch.NO_PRODUCER_ID ? RecordBatch.NO_PRODUCER_EPOCH : 3;
            return new MemoryRecordsBuilder(
                    new ByteBufferOutputStream(1024),
                    magic,
                    codec,
                    timestampType,
                    baseOffset,
                    timestampType == TimestampType.LOG_APPEND_TIME
                            ? APPEND_TIME
                            : RecordBatch.NO_TIMESTAMP,
                    producer,
                    epoch,
                    sequence,
                    transactional,
                    false,
                    leaderEpoch,
                    Integer.MAX_VALUE,
                    deleteHorizon);
        }

        MemoryRecords records(long baseOffset, List<SimpleRecord> records) {
            MemoryRecordsBuilder builder = open(baseOffset);
            records.forEach(builder::append);
            return builder.build();
        }
    }
}

package milena.oracle;

import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * Makes a running Kafka fill its data directory with every kind of log.
 *
 * <p>It is called once in each life of the broker (stages 1 to 3), so that each partition sees
 * several leader epochs; stage 4 leaves a tail behind, a transaction open and a topic half deleted,
 * for a broker that is then killed.
 */
final class Directory {
    static final List<String> CODECS = List.of("none", "gzip", "snappy", "lz4", "zstd");
    private static final long TIME = 1_700_000_000_000L;
    private static final long DAY = 86_400_000L;
    private static final long SEGMENT_MS = 60_000;
    private static final long COMPACTION_PATIENCE_MS = 60_000;

    private final String bootstrap;
    private final int stage;
    private final Admin admin;

    private Directory(String bootstrap, int stage, Admin admin) {
        this.bootstrap = bootstrap;
        this.stage = stage;
        this.admin = admin;
    }

    static void write(String bootstrap, int stage, Path data) throws Exception {
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", bootstrap))) {
            Directory directory = new Directory(bootstrap, stage, admin);
            if (stage == 1) {
                directory.createTopics();
            }
            directory.records();
            directory.idempotent();
            directory.transactions();
            directory.compacted();
            if (stage == 2) {
                directory.deleteRecords();
            } else if (stage == 3) {
                directory.awaitCompaction(data);
            } else if (stage == 4) {
                admin.deleteTopics(List.of("deleted")).all().get();
                directory.leaveTransactionOpen();
            }
        }
    }

    private void createTopics() throws Exception {
        List<NewTopic> topics = new ArrayList<>();
        for (String codec : CODECS) {
            topics.add(topic("codec-" + codec, 1, Map.of()));
        }
        topics.add(topic("append-time", 1, Map.of("message.timestamp.type", "LogAppendTime")));
        topics.add(topic("recompressed", 1, Map.of("compression.type", "zstd")));
        topics.add(topic("idempotent", 2, Map.of()));
        topics.add(topic("transactions", 2, Map.of()));
        topics.add(topic("compacted", 1, compaction()));
        topics.add(topic("compacted-transactions", 1, compaction()));
        topics.add(topic("records-deleted", 1, Map.of()));
        topics.add(topic("deleted", 1, Map.of()));
        topics.add(topic("empty", 1, Map.of()));
        admin.createTopics(topics).all().get();
    }

    private static NewTopic topic(String name, int partitions, Map<String, String> more) {
        Map<String, String> configs =
                new HashMap<>(
                        Map.of(
                                "internal.segment.bytes", "3072",
                                "segment.index.bytes", "4096",
                                "index.interval.bytes", "512",
                                "retention.ms", "-1"));
        configs.putAll(more);
        return new NewTopic(name, partitions, (short) 1).configs(configs);
    }

    private static Map<String, String> compaction() {
        return Map.of(
                "cleanup.policy",
                "compact",
                "min.cleanable.dirty.ratio",
                "0.01",
                "segment.ms",
                Long.toString(SEGMENT_MS),
                "internal.segment.bytes",
                "2048");
    }

    /** Plain batches of each codec, by a producer without an id. */
    private void records() throws Exception {
        for (String codec : CODECS) {
            try (KafkaProducer<byte[], byte[]> producer =
                    producer(codec, Map.of("enable.idempotence", "false"))) {
                some(producer, "codec-" + codec, 0, 40);
                if (codec.equals("gzip")) {
                    some(producer, "recompressed", 0, 20);
                } else if (codec.equals("none")) {
                    some(producer, "append-time", 0, 20);
                    some(producer, "records-deleted", 0, 30);
                    if (stage < 4) {
                        some(producer, "deleted", 0, 5);
                    }
                }
            }
        }
    }

    /** Two producers with ids, taking turns. */
    private void idempotent() throws Exception {
        try (KafkaProducer<byte[], byte[]> one = producer("none", Map.of());
                KafkaProducer<byte[], byte[]> other = producer("lz4", Map.of())) {
            for (int turn = 0; turn < 4; turn++) {
                some(one, "idempotent", 0, 8);
                some(other, "idempotent", 0, 6);
                some(other, "idempotent", 1, 3);
            }
        }
    }

    /**
     * Two transactions at a time, whose batches lie between each other: each pair has one that is
     * aborted.
     */
    private void transactions() throws Exception {
        try (KafkaProducer<byte[], byte[]> one = transactional("one");
                KafkaProducer<byte[], byte[]> other = transactional("other");
                KafkaProducer<byte[], byte[]> plain = producer("none", Map.of());
                KafkaConsumer<byte[], byte[]> readers =
                        new KafkaConsumer<>(
                                Map.of("bootstrap.servers", bootstrap, "group.id", "readers"),
                                new ByteArrayDeserializer(),
                                new ByteArrayDeserializer())) {
            for (int pair = 0; pair < 4; pair++) {
                one.beginTransaction();
                some(one, "transactions", 0, 5);
                other.beginTransaction();
                some(other, "transactions", 0, 4);
                some(plain, "transactions", 0, 2);
                some(one, "transactions", 0, 5);
                some(one, "transactions", 1, 2);
                some(other, "compacted-transactions", 0, 6);
                if (pair % 2 == 0) {
                    one.abortTransaction();
                    some(other, "transactions", 0, 3);
                    other.commitTransaction();
                } else {
                    one.sendOffsetsToTransaction(
                            Map.of(
                                    new TopicPartition("codec-none", 0),
                                    new OffsetAndMetadata(10L * pair)),
                            readers.groupMetadata());
                    other.abortTransaction();
                    some(one, "transactions", 0, 3);
                    one.commitTransaction();
                }
            }
        }
    }

    private void compacted() throws Exception {
        try (KafkaProducer<byte[], byte[]> producer = producer("none", Map.of());
                KafkaProducer<byte[], byte[]> packed = producer("snappy", Map.of())) {
            for (int round = 0; round < 12; round++) {
                for (int key = 0; key < 10; key++) {
                    // Some keys die in each stage, and one stays dead.
                    boolean tombstone =
                            round == 11 && key % 4 == stage % 4
                                    || key == 9 && (stage > 1 || round > 5);
                    byte[] value =
                            tombstone
                                    ? null
                                    : bytes(
                                            "stage "
                                                    + stage
                                                    + " round "
                                                    + round
                                                    + " of key "
                                                    + key);
                    (round % 2 == 0 ? producer : packed)
                            .send(
                                    new ProducerRecord<>(
                                            "compacted",
                                            0,
                                            time(round * 10 + key),
                                            bytes("key-" + key),
                                            value,
                                            headers(key)));
                }
                for (int i = 0; i < 3; i++) {
                    packed.send(
                            new ProducerRecord<>(
                                    "compacted",
                                    0,
                                    time(round * 10),
                                    bytes("stage " + stage + " round " + round + " only " + i),
                                    bytes("stays"),
                                    headers(i)));
                }
                producer.flush();
                packed.flush();
            }
        }
    }

    /** Moves the start of the log into the middle of a segment. */
    private void deleteRecords() throws Exception {
        admin.deleteRecords(
                        Map.of(
                                new TopicPartition("records-deleted", 0),
                                RecordsToDelete.beforeOffset(23)))
                .all()
                .get();
    }

    /**
     * Waits until the cleaner says of both compacted logs that it has been there, in this life of
     * the broker.
     */
    private void awaitCompaction(Path data) throws Exception {
        Path checkpoint = data.resolve("cleaner-offset-checkpoint");
        long deadline = System.currentTimeMillis() + COMPACTION_PATIENCE_MS;
        for (String topic : List.of("compacted", "compacted-transactions")) {
            String before = cleaned(checkpoint, topic);
            long time = TIME + stage * DAY + 500_000;
            do {
                // What is active is never cleaned, and segments roll by the time of what is
                // appended to them.
                time += SEGMENT_MS + 1_000;
                try (KafkaProducer<byte[], byte[]> producer = producer("none", Map.of())) {
                    producer.send(
                            new ProducerRecord<>(topic, 0, time, bytes("waiting"), bytes("now")));
                }
                if (System.currentTimeMillis() > deadline) {
                    throw new IllegalStateException("the cleaner never came to " + topic);
                }
                Thread.sleep(1_000);
            } while (cleaned(checkpoint, topic).equals(before));
        }
        // The swap of the segments follows the checkpoint of one log before the next begins.
        Thread.sleep(2_000);
    }

    private static String cleaned(Path checkpoint, String topic) throws Exception {
        return Files.readAllLines(checkpoint).stream()
                .filter(line -> line.startsWith(topic + " 0 "))
                .findFirst()
                .orElse("");
    }

    /** The program ends without closing: the broker has to live with an ongoing transaction. */
    private void leaveTransactionOpen() throws Exception {
        KafkaProducer<byte[], byte[]> producer = transactional("never-ends");
        producer.beginTransaction();
        some(producer, "transactions", 0, 4);
        try (KafkaProducer<byte[], byte[]> plain = producer("none", Map.of())) {
            some(plain, "transactions", 0, 4);
        }
        System.out.flush();
        Runtime.getRuntime().halt(0);
    }

    /** Sends records in batches of one to five, with everything that a record may have or lack. */
    private void some(
            KafkaProducer<byte[], byte[]> producer, String topic, int partition, int count) {
        for (int i = 0, inBatch = 0, batch = 1; i < count; i++) {
            byte[] key = i % 5 == 4 && !topic.startsWith("compacted") ? null : bytes("key-" + i);
            byte[] value =
                    i % 11 == 7
                            ? null
                            : i % 11 == 8
                                    ? new byte[0]
                                    : bytes("stage " + stage + ' ' + "value ".repeat(i % 9) + i);
            producer.send(new ProducerRecord<>(topic, partition, time(i), key, value, headers(i)));
            if (++inBatch == batch) {
                producer.flush();
                inBatch = 0;
                batch = batch % 5 + 1;
            }
        }
        producer.flush();
    }

    /** A day between stages; within one, time sometimes goes back. */
    private long time(int i) {
        return TIME + stage * DAY + 1_000L * i - (i % 7 == 6 ? 3_500 : 0);
    }

    private static List<Header> headers(int i) {
        return switch (i % 4) {
            case 0 ->
                    List.of(
                            new RecordHeader("trace", bytes("id-" + i)),
                            new RecordHeader("null", (byte[]) null));
            case 1 ->
                    List.of(
                            new RecordHeader("twice", bytes("a")),
                            new RecordHeader("twice", bytes("b")));
            default -> List.of();
        };
    }

    private KafkaProducer<byte[], byte[]> transactional(String name) {
        KafkaProducer<byte[], byte[]> producer =
                producer(
                        "none",
                        Map.of("transactional.id", name, "transaction.timeout.ms", "900000"));
        producer.initTransactions();
        return producer;
    }

    private KafkaProducer<byte[], byte[]> producer(String codec, Map<String, Object> more) {
        Map<String, Object> configs =
                new HashMap<>(
                        Map.of(
                                ProducerConfig.BOOTSTRAP_SERVERS_CONFIG,
                                bootstrap,
                                ProducerConfig.COMPRESSION_TYPE_CONFIG,
                                codec,
                                // Only flush ends a batch, so that two runs make the same ones.
                                ProducerConfig.LINGER_MS_CONFIG,
                                "60000",
                                ProducerConfig.DELIVERY_TIMEOUT_MS_CONFIG,
                                "180000"));
        configs.putAll(more);
        return new KafkaProducer<>(configs, new ByteArraySerializer(), new ByteArraySerializer());
    }

    private static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }
}

package milena.oracle;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;

import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.ListTopicsOptions;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.MessageFormatter;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.TopicPartitionInfo;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

import java.io.PrintStream;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * All records that a Kafka serves, as JSON lines: of internal topics too, and without a group that
 * would write more.
 */
final class Consume {
    private static final Duration POLL = Duration.ofMillis(500);
    private static final long PATIENCE_MS = 60_000;
    private static final Comparator<TopicPartition> ORDER =
            Comparator.comparing(TopicPartition::topic).thenComparing(TopicPartition::partition);

    private Consume() {}

    /** What `--formatter` makes kafka-console-consumer print. */
    public static final class Formatter implements MessageFormatter {
        @Override
        public void writeTo(ConsumerRecord<byte[], byte[]> record, PrintStream out) {
            out.println(line(record));
        }
    }

    /**
     * One line a record in {@code records}; one a partition, with where it begins and ends, in
     * {@code partitions}.
     */
    static void write(String bootstrap, Path records, Path partitions) throws Exception {
        List<TopicPartition> all = partitions(bootstrap);
        Map<TopicPartition, Long> stable;
        Set<String> committed = new HashSet<>();
        try (KafkaConsumer<byte[], byte[]> consumer = consumer(bootstrap, "read_committed")) {
            consumer.assign(all);
            stable = consumer.endOffsets(all);
            for (TopicPartition partition : all) {
                for (ConsumerRecord<byte[], byte[]> record :
                        read(consumer, partition, stable.get(partition))) {
                    committed.add(partition + " " + record.offset());
                }
            }
        }
        try (KafkaConsumer<byte[], byte[]> consumer = consumer(bootstrap, "read_uncommitted");
                JsonLines.Writer out = new JsonLines.Writer(records);
                JsonLines.Writer ends = new JsonLines.Writer(partitions)) {
            consumer.assign(all);
            Map<TopicPartition, Long> starts = consumer.beginningOffsets(all);
            Map<TopicPartition, Long> highs = consumer.endOffsets(all);
            int count = 0;
            for (TopicPartition partition : all) {
                for (ConsumerRecord<byte[], byte[]> record :
                        read(consumer, partition, highs.get(partition))) {
                    out.line(
                            line(record)
                                    .put(
                                            "committed",
                                            committed.contains(partition + " " + record.offset())));
                    count++;
                }
                ends.line(
                        JsonLines.JSON
                                .createObjectNode()
                                .put("topic", partition.topic())
                                .put("partition", partition.partition())
                                .put("logStartOffset", starts.get(partition))
                                .put("lastStableOffset", stable.get(partition))
                                .put("highWatermark", highs.get(partition)));
            }
            System.out.println(count + " records of " + all.size() + " partitions");
        }
    }

    static ObjectNode line(ConsumerRecord<byte[], byte[]> record) {
        ObjectNode line =
                JsonLines.JSON
                        .createObjectNode()
                        .put("topic", record.topic())
                        .put("partition", record.partition())
                        .put("offset", record.offset())
                        .put("leaderEpoch", record.leaderEpoch().orElse(-1))
                        .put("timestamp", record.timestamp())
                        .put("timestampType", record.timestampType().name)
                        .put("key", JsonLines.base64(record.key()))
                        .put("value", JsonLines.base64(record.value()));
        ArrayNode headers = line.putArray("headers");
        for (Header header : record.headers()) {
            headers.addArray().add(header.key()).add(JsonLines.base64(header.value()));
        }
        return line;
    }

    private static List<TopicPartition> partitions(String bootstrap) throws Exception {
        List<TopicPartition> all = new ArrayList<>();
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", bootstrap))) {
            Set<String> names =
                    admin.listTopics(new ListTopicsOptions().listInternal(true)).names().get();
            for (TopicDescription topic :
                    admin.describeTopics(names).allTopicNames().get().values()) {
                for (TopicPartitionInfo partition : topic.partitions()) {
                    all.add(new TopicPartition(topic.name(), partition.partition()));
                }
            }
        }
        all.sort(ORDER);
        return all;
    }

    private static List<ConsumerRecord<byte[], byte[]>> read(
            KafkaConsumer<byte[], byte[]> consumer, TopicPartition partition, long end) {
        consumer.assign(List.of(partition));
        consumer.seekToBeginning(List.of(partition));
        List<ConsumerRecord<byte[], byte[]>> records = new ArrayList<>();
        long deadline = System.currentTimeMillis() + PATIENCE_MS;
        // The position moves over markers and aborted records, which are never returned.
        while (consumer.position(partition) < end) {
            consumer.poll(POLL).forEach(records::add);
            if (System.currentTimeMillis() > deadline) {
                throw new IllegalStateException(
                        partition + " stands at " + consumer.position(partition) + ", not " + end);
            }
        }
        return records;
    }

    private static KafkaConsumer<byte[], byte[]> consumer(String bootstrap, String isolation) {
        return new KafkaConsumer<>(
                new HashMap<>(
                        Map.of(
                                "bootstrap.servers",
                                bootstrap,
                                "isolation.level",
                                isolation,
                                "enable.auto.commit",
                                false,
                                "auto.offset.reset",
                                "none")),
                new ByteArrayDeserializer(),
                new ByteArrayDeserializer());
    }
}

// The Java client that Apache Kafka ships: the same story as the other clients'.

import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

public final class Story {
    private static final String TOPIC = "compat-java";
    private static final TopicPartition PARTITION = new TopicPartition(TOPIC, 0);
    private static final long[] TIMES = {1700000000000L, 1700000001000L, 1700000002000L};

    public static void main(String[] arguments) throws Exception {
        var address = arguments[0];
        try (var admin = Admin.create(Map.of("bootstrap.servers", address))) {
            var topic = new NewTopic(TOPIC, 2, (short) 1).configs(Map.of("retention.ms", "-1"));
            admin.createTopics(List.of(topic)).all().get(10, TimeUnit.SECONDS);
            admin.createPartitions(Map.of(TOPIC, NewPartitions.increaseTo(3))).all().get();
            var described = admin.describeTopics(List.of(TOPIC)).allTopicNames().get().get(TOPIC);
            check("partitions", described.partitions().size(), 3);
            var expected = produce(address);
            consume(address, expected);
            administer(admin);
        }
        System.out.println("well");
        System.exit(0);
    }

    private static List<String> produce(String address) throws Exception {
        var expected = new ArrayList<String>();
        for (var codec : List.of("none", "gzip", "snappy", "lz4", "zstd")) {
            for (var acks : List.of("0", "1", "all")) {
                var settings = Map.<String, Object>of(
                    "bootstrap.servers", address, "acks", acks, "compression.type", codec,
                    "enable.idempotence", acks.equals("all"));
                var text = new StringSerializer();
                try (var producer = new KafkaProducer<>(settings, text, text)) {
                    for (int number = 0; number < TIMES.length; number++) {
                        var value = codec + "-" + acks + "-" + number;
                        expected.add(value);
                        var record = new ProducerRecord<>(TOPIC, 0, TIMES[number], "k", value);
                        record.headers().add("h", new byte[] {'1'});
                        producer.send(record).get(10, TimeUnit.SECONDS);
                    }
                }
            }
        }
        return expected;
    }

    private static void consume(String address, List<String> expected) {
        var text = new StringDeserializer();
        var settings = Map.<String, Object>of("bootstrap.servers", address);
        try (var consumer = new KafkaConsumer<>(settings, text, text)) {
            consumer.assign(Set.of(PARTITION));
            consumer.seekToBeginning(Set.of(PARTITION));
            check("from the start", read(consumer, expected.size()), expected);
            consumer.seek(PARTITION, 7);
            check("from a position", read(consumer, 3), expected.subList(7, 10));
            var found = consumer.offsetsForTimes(Map.of(PARTITION, TIMES[1])).get(PARTITION);
            check("by time", found.offset(), 1L);
            check("end", consumer.endOffsets(Set.of(PARTITION)).get(PARTITION), (long) expected.size());
        }
        var committed = new HashMap<>(settings);
        committed.put("isolation.level", "read_committed");
        try (var consumer = new KafkaConsumer<>(committed, text, text)) {
            consumer.assign(Set.of(PARTITION));
            consumer.seekToBeginning(Set.of(PARTITION));
            check("what is committed", read(consumer, expected.size()), expected);
        }
    }

    private static List<String> read(KafkaConsumer<String, String> consumer, int count) {
        var values = new ArrayList<String>();
        while (values.size() < count) {
            var polled = consumer.poll(Duration.ofSeconds(10));
            check("polled", polled.isEmpty(), false);
            for (ConsumerRecord<String, String> record : polled) {
                values.add(record.value());
            }
        }
        return values.subList(0, count);
    }

    private static void administer(Admin admin) throws Exception {
        var resource = new ConfigResource(ConfigResource.Type.TOPIC, TOPIC);
        var entry = new ConfigEntry("retention.ms", "1234567");
        var change = new AlterConfigOp(entry, AlterConfigOp.OpType.SET);
        admin.incrementalAlterConfigs(Map.of(resource, List.of(change))).all().get();
        var settings = admin.describeConfigs(List.of(resource)).all().get().get(resource);
        check("setting", settings.get("retention.ms").value(), "1234567");
        admin.deleteRecords(Map.of(PARTITION, RecordsToDelete.beforeOffset(5))).all().get();
        admin.describeCluster().nodes().get();
        admin.describeMetadataQuorum().quorumInfo().get();
        admin.describeFeatures().featureMetadata().get();
        admin.deleteTopics(List.of(TOPIC)).all().get(10, TimeUnit.SECONDS);
        check("deleted", admin.listTopics().names().get().contains(TOPIC), false);
    }

    private static void check(String what, Object found, Object expected) {
        if (!found.equals(expected)) {
            System.out.println(what + ": " + found + " where " + expected + " is expected");
            System.exit(1);
        }
    }
}

import java.time.Duration;
import java.util.List;
import java.util.Properties;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.PartitionInfo;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/**
 * Reads a topic from its beginning without a group: SERVER TOPIC RECORDS [KEY=VALUE...]. Prints
 * records, bytes and the milliseconds since the first poll.
 */
public class Reader {
    public static void main(String[] arguments) {
        Properties settings = new Properties();
        settings.put("bootstrap.servers", arguments[0]);
        settings.put("key.deserializer", ByteArrayDeserializer.class.getName());
        settings.put("value.deserializer", ByteArrayDeserializer.class.getName());
        for (int i = 3; i < arguments.length; i++) {
            String[] pair = arguments[i].split("=", 2);
            settings.put(pair[0], pair[1]);
        }
        long wanted = Long.parseLong(arguments[2]), records = 0, bytes = 0;
        try (KafkaConsumer<byte[], byte[]> consumer = new KafkaConsumer<>(settings)) {
            List<PartitionInfo> known = consumer.partitionsFor(arguments[1]);
            consumer.assign(
                    known.stream().map(p -> new TopicPartition(p.topic(), p.partition())).toList());
            consumer.seekToBeginning(consumer.assignment());
            long began = System.nanoTime(), last = began;
            while (records < wanted) {
                var polled = consumer.poll(Duration.ofMillis(200));
                long now = System.nanoTime();
                if (polled.isEmpty() && now - last > 30_000_000_000L) {
                    System.err.println("only " + records + " records came");
                    System.exit(1);
                }
                for (var record : polled) {
                    records++;
                    bytes += record.serializedValueSize();
                    last = now;
                }
            }
            System.out.println(
                    records + " " + bytes + " " + (System.nanoTime() - began) / 1_000_000);
        }
    }
}

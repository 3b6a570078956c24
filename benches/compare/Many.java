import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentLinkedQueue;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * create SERVER PARTITIONS: topics of 100 partitions each, ten topics a request. produce SERVER
 * PARTITIONS SECONDS: 1 KiB to each of so many partitions in turn, 5,000 records a second; prints
 * records and the latencies' median and 99th percentile in milliseconds.
 */
public class Many {
    static final int EACH = 100;

    public static void main(String[] arguments) throws Exception {
        String server = arguments[1];
        int partitions = Integer.parseInt(arguments[2]);
        if (arguments[0].equals("create")) {
            try (Admin admin = Admin.create(Map.of("bootstrap.servers", server))) {
                for (int from = 0; from < partitions / EACH; from += 10) {
                    List<NewTopic> topics = new ArrayList<>();
                    for (int i = from; i < Math.min(from + 10, partitions / EACH); i++) {
                        topics.add(new NewTopic("many-" + i, EACH, (short) 1));
                    }
                    admin.createTopics(topics).all().get();
                }
            }
            return;
        }
        Map<String, Object> settings =
                Map.of("bootstrap.servers", server, "acks", "all", "linger.ms", "0");
        var bytes = new ByteArraySerializer();
        var latencies = new ConcurrentLinkedQueue<Long>();
        try (var producer = new KafkaProducer<>(settings, bytes, bytes)) {
            byte[] value = new byte[1024];
            for (int i = 0; i < partitions; i++) {
                producer.send(record(i, value));
            }
            producer.flush();
            long began = System.nanoTime();
            long records = 5_000L * Long.parseLong(arguments[3]);
            for (long i = 0; i < records; i++) {
                long due = began + i * 200_000;
                while (System.nanoTime() < due) {
                    Thread.sleep(1);
                }
                long sent = System.nanoTime();
                producer.send(
                        record((int) (i % partitions), value),
                        (metadata, error) -> {
                            if (error != null) {
                                error.printStackTrace();
                                System.exit(1);
                            }
                            latencies.add(System.nanoTime() - sent);
                        });
            }
            producer.flush();
        }
        long[] sorted = latencies.stream().mapToLong(Long::longValue).sorted().toArray();
        System.out.printf(
                "%d %.2f %.2f%n",
                sorted.length, sorted[sorted.length / 2] / 1e6, sorted[sorted.length * 99 / 100] / 1e6);
    }

    static ProducerRecord<byte[], byte[]> record(int number, byte[] value) {
        return new ProducerRecord<>("many-" + number / EACH, number % EACH, null, value);
    }
}

import java.time.Duration;
import java.util.Arrays;
import java.util.Properties;

import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/**
 * What crates/client/examples/consume_load.rs does, with Kafka's own client. A third of the records
 * is read before anything is measured, so that the machine code is there.
 *
 * <p>ConsumerLoad BOOTSTRAP TOPIC RECORDS [KEY=VALUE ...]
 */
public final class ConsumerLoad {
    public static void main(String[] arguments) throws Exception {
        Properties settings = new Properties();
        settings.put("bootstrap.servers", arguments[0]);
        for (String setting : Arrays.asList(arguments).subList(3, arguments.length)) {
            String[] parts = setting.split("=", 2);
            settings.put(parts[0], parts[1]);
        }
        int records = Integer.parseInt(arguments[2]);
        var bytes = new ByteArrayDeserializer();
        try (KafkaConsumer<byte[], byte[]> consumer = new KafkaConsumer<>(settings, bytes, bytes)) {
            consumer.assign(consumer.partitionsFor(arguments[1]).stream()
                    .map(partition -> new TopicPartition(partition.topic(), partition.partition()))
                    .toList());
            read(consumer, records / 3);
            long from = System.nanoTime();
            double cpu = cpuSeconds();
            int read = read(consumer, records);
            double seconds = (System.nanoTime() - from) / 1e9;
            cpu = cpuSeconds() - cpu;
            System.out.printf(
                    "{\"records\":%d,\"records_per_s\":%.0f,\"cpu_us_per_record\":%.4f}%n",
                    read, read / seconds, cpu * 1e6 / read);
        }
    }

    private static int read(KafkaConsumer<byte[], byte[]> consumer, int records) {
        consumer.seekToBeginning(consumer.assignment());
        int read = 0;
        long bytes = 0;
        while (read < records) {
            for (var record : consumer.poll(Duration.ofSeconds(10))) {
                read++;
                bytes += record.value().length;
            }
        }
        if (bytes == 0) throw new IllegalStateException("empty records");
        return read;
    }

    private static double cpuSeconds() throws Exception {
        String stat = new String(java.nio.file.Files.readAllBytes(java.nio.file.Path.of("/proc/self/stat")));
        String[] fields = stat.substring(stat.lastIndexOf(')') + 2).split(" ");
        return (Long.parseLong(fields[11]) + Long.parseLong(fields[12])) / 100.0;
    }
}

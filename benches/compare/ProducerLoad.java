import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Properties;

import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * What crates/client/examples/produce_load.rs does, with Kafka's own client. A third of the records
 * go before anything is measured, so that the machine code is there.
 *
 * <p>ProducerLoad BOOTSTRAP TOPIC RECORDS BYTES [KEY=VALUE ...]
 */
public final class ProducerLoad {
    private static byte[] text;

    public static void main(String[] arguments) throws Exception {
        Properties settings = new Properties();
        settings.put("bootstrap.servers", arguments[0]);
        for (String setting : Arrays.asList(arguments).subList(4, arguments.length)) {
            String[] parts = setting.split("=", 2);
            settings.put(parts[0], parts[1]);
        }
        int records = Integer.parseInt(arguments[2]);
        int bytes = Integer.parseInt(arguments[3]);
        text = words(bytes + 1024);
        ByteArraySerializer serializer = new ByteArraySerializer();
        try (KafkaProducer<byte[], byte[]> producer = new KafkaProducer<>(settings, serializer, serializer)) {
            send(producer, arguments[1], records / 3, bytes);
            long from = System.nanoTime();
            double cpu = cpuSeconds();
            send(producer, arguments[1], records, bytes);
            double seconds = (System.nanoTime() - from) / 1e9;
            cpu = cpuSeconds() - cpu;
            System.out.printf(
                    "{\"records\":%d,\"records_per_s\":%.0f,\"cpu_us_per_record\":%.4f}%n",
                    records, records / seconds, cpu * 1e6 / records);
        }
    }

    private static void send(KafkaProducer<byte[], byte[]> producer, String topic, int records, int bytes) {
        for (int number = 0; number < records; number++) {
            int at = number % 1024;
            byte[] value = Arrays.copyOfRange(text, at, at + bytes);
            producer.send(new ProducerRecord<>(topic, value), (stored, error) -> {
                if (error != null) throw new IllegalStateException(error);
            });
        }
        producer.flush();
    }

    private static byte[] words(int bytes) {
        StringBuilder words = new StringBuilder();
        for (long seed = 1; words.length() < bytes; words.append((seed >>> 33) % 4096).append(' ')) {
            seed = seed * 6364136223846793005L + 1;
        }
        return words.toString().getBytes(StandardCharsets.US_ASCII);
    }

    private static double cpuSeconds() throws Exception {
        String stat = new String(java.nio.file.Files.readAllBytes(java.nio.file.Path.of("/proc/self/stat")));
        String[] fields = stat.substring(stat.lastIndexOf(')') + 2).split(" ");
        return (Long.parseLong(fields[11]) + Long.parseLong(fields[12])) / 100.0;
    }
}

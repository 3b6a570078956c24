package milena.oracle;

import com.fasterxml.jackson.databind.node.ObjectNode;

import org.apache.kafka.clients.producer.internals.BuiltInPartitioner;

import java.io.IOException;
import java.nio.file.Path;
import java.util.HexFormat;
import java.util.Random;

/** Which partitions Kafka's producer chooses for random keys. */
final class Partitions {
    private static final int KEYS = 1000;
    private static final int KEY_BYTES = 40;
    private static final int PARTITIONS = 200;

    private Partitions() {}

    static void write(Path file) throws IOException {
        Random random = new Random(6);
        try (JsonLines.Writer out = new JsonLines.Writer(file)) {
            for (int number = 0; number < KEYS; number++) {
                byte[] key = new byte[random.nextInt(KEY_BYTES)];
                random.nextBytes(key);
                int partitions = 1 + random.nextInt(PARTITIONS);
                ObjectNode line = JsonLines.JSON.createObjectNode();
                line.put("key", HexFormat.of().formatHex(key)).put("partitions", partitions);
                out.line(line.put("partition", BuiltInPartitioner.partitionForKey(key, partitions)));
            }
        }
    }
}

package milena.oracle;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;

import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.record.internal.MemoryRecords;
import org.apache.kafka.common.record.internal.MutableRecordBatch;
import org.apache.kafka.common.record.internal.Record;
import org.apache.kafka.common.utils.Utils;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;

/** A buffer of batches as one JSON object: the first batch's header, all records, and the bytes. */
final class BatchText {
    private BatchText() {}

    static ObjectNode describe(String name, byte[] bytes) {
        MemoryRecords records = MemoryRecords.readableRecords(ByteBuffer.wrap(bytes));
        ObjectNode line = JsonLines.JSON.createObjectNode().put("name", name);
        ArrayNode list = JsonLines.JSON.createArrayNode();
        boolean first = true;
        for (MutableRecordBatch batch : records.batches()) {
            batch.ensureValid();
            if (first) {
                header(batch, line);
                first = false;
            }
            for (Record record : batch) {
                record.ensureValid();
                list.add(record(record));
            }
        }
        if (first || records.validBytes() != bytes.length) {
            throw new IllegalStateException(
                    name
                            + ": whole batches end after "
                            + records.validBytes()
                            + " of "
                            + bytes.length
                            + " bytes");
        }
        line.set("records", list);
        return line.put("hex", HexFormat.of().formatHex(bytes));
    }

    private static void header(MutableRecordBatch batch, ObjectNode line) {
        line.put("codec", batch.compressionType().name)
                .put("magic", batch.magic())
                .put("timestampType", batch.timestampType().name)
                .put("baseOffset", batch.baseOffset())
                .put("lastOffset", batch.lastOffset())
                .put("maxTimestamp", batch.maxTimestamp())
                .put("partitionLeaderEpoch", batch.partitionLeaderEpoch())
                .put("producerId", batch.producerId())
                .put("producerEpoch", batch.producerEpoch())
                .put("baseSequence", batch.baseSequence())
                .put("lastSequence", batch.lastSequence())
                .put("transactional", batch.isTransactional())
                .put("control", batch.isControlBatch());
        if (batch.deleteHorizonMs().isPresent()) {
            line.put("deleteHorizon", batch.deleteHorizonMs().getAsLong());
        } else {
            line.putNull("deleteHorizon");
        }
    }

    private static ObjectNode record(Record record) {
        ObjectNode text =
                JsonLines.JSON
                        .createObjectNode()
                        .put("offset", record.offset())
                        .put("timestamp", record.timestamp())
                        .put("key", base64(record.key()))
                        .put("value", base64(record.value()));
        ArrayNode headers = text.putArray("headers");
        for (Header header : record.headers()) {
            headers.addArray().add(header.key()).add(JsonLines.base64(header.value()));
        }
        return text;
    }

    private static String base64(ByteBuffer buffer) {
        return JsonLines.base64(Utils.toNullableArray(buffer));
    }

    /** Whether Kafka reads from each line's bytes all else that the line says. */
    static void verify(Path file) throws Exception {
        List<String> complaints = new ArrayList<>();
        int lines =
                JsonLines.read(
                        file,
                        line -> {
                            String name =
                                    line.path("name").asText("a batch")
                                            + ' '
                                            + line.path("codec").asText();
                            try {
                                ObjectNode read =
                                        describe(
                                                name,
                                                HexFormat.of().parseHex(line.path("hex").asText()));
                                complaints.addAll(differences(name, line, read));
                            } catch (RuntimeException error) {
                                complaints.add(name + ": " + error);
                            }
                        });
        complaints.forEach(System.err::println);
        if (lines == 0 || !complaints.isEmpty()) {
            throw new IOException(complaints.size() + " complaints about " + lines + " batches");
        }
        System.out.println("Kafka reads all " + lines + " batches");
    }

    private static List<String> differences(String name, JsonNode said, ObjectNode read) {
        List<String> found = new ArrayList<>();
        if (!said.path("records").isArray()) {
            found.add(name + ": says no records");
        }
        for (String field : (Iterable<String>) said::fieldNames) {
            JsonNode ours = said.get(field);
            // Numbers compare by their text: Jackson thinks that an int and a long differ.
            if (!field.equals("name")
                    && (!read.has(field) || !ours.toString().equals(read.get(field).toString()))) {
                found.add(name + ": " + field + " is " + ours + ", Kafka reads " + read.get(field));
            }
        }
        return found;
    }

    /**
     * Whether two files describe the same batches. What gzip makes of them may differ: Java takes
     * the zlib of the machine, and these differ in their output.
     */
    static void compare(Path fresh, Path committed) throws IOException {
        List<JsonNode> left = new ArrayList<>();
        List<JsonNode> right = new ArrayList<>();
        JsonLines.read(fresh, left::add);
        JsonLines.read(committed, right::add);
        for (List<JsonNode> lines : List.of(left, right)) {
            for (JsonNode line : lines) {
                if (line.path("codec").asText().equals("gzip")) {
                    ((ObjectNode) line).remove("hex");
                }
            }
        }
        if (!left.equals(right)) {
            throw new IOException(fresh + " and " + committed + " describe different batches");
        }
    }
}

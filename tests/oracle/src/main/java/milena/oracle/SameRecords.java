package milena.oracle;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/** Compares records in files of JSON lines, by topic, partition and offset. */
final class SameRecords {
    private static final int COMPLAINTS_SHOWN = 20;

    private SameRecords() {}

    /**
     * Whether the console consumer printed what {@link Consume} wrote; it leaves internal topics
     * out.
     */
    static void console(Path records, Path uncommitted, Path committed) throws IOException {
        Map<String, JsonNode> all = byOffset(records);
        all.values().removeIf(line -> line.path("topic").asText().startsWith("__"));
        Map<String, JsonNode> stable = new TreeMap<>(all);
        stable.values().removeIf(line -> !line.path("committed").asBoolean());
        List<Map<String, JsonNode>> ours = List.of(all, stable);
        List<Map<String, JsonNode>> printed = List.of(byOffset(uncommitted), byOffset(committed));
        // The console consumer never shows which epoch a record is of.
        all.values()
                .forEach(line -> ((ObjectNode) line).remove(List.of("committed", "leaderEpoch")));
        for (int i = 0; i < ours.size(); i++) {
            complain(differences(ours.get(i), printed.get(i)), printed.get(i).size());
        }
    }

    /**
     * Whether what Kafka served is what was expected, field by field that the expectation has, and
     * nothing more.
     */
    static void expected(Path expected, Path served) throws IOException {
        Map<String, JsonNode> wanted = byOffset(expected);
        complain(differences(wanted, byOffset(served)), wanted.size());
    }

    private static List<String> differences(
            Map<String, JsonNode> wanted, Map<String, JsonNode> found) {
        List<String> complaints = new ArrayList<>();
        for (Map.Entry<String, JsonNode> entry : wanted.entrySet()) {
            JsonNode other = found.get(entry.getKey());
            if (other == null) {
                complaints.add(entry.getKey() + ": not served");
                continue;
            }
            for (String field : (Iterable<String>) entry.getValue()::fieldNames) {
                JsonNode value = entry.getValue().get(field);
                if (!value.equals(other.get(field))) {
                    complaints.add(
                            entry.getKey()
                                    + ": "
                                    + field
                                    + " should be "
                                    + value
                                    + ", is "
                                    + other.get(field));
                }
            }
        }
        for (String key : found.keySet()) {
            if (!wanted.containsKey(key)) {
                complaints.add(key + ": served, but not expected");
            }
        }
        return complaints;
    }

    private static void complain(List<String> complaints, int records) throws IOException {
        complaints.stream().limit(COMPLAINTS_SHOWN).forEach(System.err::println);
        if (records == 0 || !complaints.isEmpty()) {
            throw new IOException(complaints.size() + " complaints about " + records + " records");
        }
        System.out.println(records + " records are the same");
    }

    private static Map<String, JsonNode> byOffset(Path file) throws IOException {
        Map<String, JsonNode> lines = new TreeMap<>();
        JsonLines.read(
                file,
                line -> {
                    String key =
                            line.path("topic").asText()
                                    + '-'
                                    + line.path("partition").asInt()
                                    + " offset "
                                    + line.path("offset").asLong();
                    if (lines.put(key, line) != null) {
                        throw new IOException(file + " has " + key + " twice");
                    }
                });
        return lines;
    }
}

package milena.oracle;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.BinaryNode;
import com.fasterxml.jackson.databind.node.ObjectNode;

import org.apache.kafka.common.protocol.ApiMessage;
import org.apache.kafka.common.protocol.ByteBufferAccessor;
import org.apache.kafka.common.protocol.Message;
import org.apache.kafka.common.protocol.ObjectSerializationCache;

import java.io.IOException;
import java.lang.reflect.Method;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.jar.JarEntry;
import java.util.jar.JarFile;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Writes every message that Kafka's jars know, at every version, as bytes and as Kafka's own JSON.
 *
 * <p>Messages are found by their generated JSON converters, so that a new one in a later Kafka
 * joins by itself.
 */
final class Messages {
    /** Of each version: one message as constructed, and this many filled at random. */
    private static final int SEEDS = 7;

    private static final Pattern CONVERTER =
            Pattern.compile(
                    "(org/apache/kafka/"
                            + "(?:common/message|common/metadata|coordinator/[a-z]+/generated)"
                            + "/\\w+)JsonConverter\\.class");

    private Messages() {}

    static void write(Path file) throws Exception {
        int count = 0;
        try (JsonLines.Writer out = new JsonLines.Writer(file)) {
            for (Map.Entry<String, Class<?>> entry : find().entrySet()) {
                count += versions(entry.getKey(), entry.getValue(), out);
            }
        }
        System.out.println(count + " messages");
    }

    private static int versions(String name, Class<?> type, JsonLines.Writer out) throws Exception {
        short lowest = type.getField("LOWEST_SUPPORTED_VERSION").getShort(null);
        short highest = type.getField("HIGHEST_SUPPORTED_VERSION").getShort(null);
        int count = 0;
        for (short version = lowest; version <= highest; version++) {
            for (int seed = 0; seed <= SEEDS; seed++) {
                Filler filler = new Filler(name + ' ' + version + ' ' + seed, seed == 0);
                Message message = (Message) type.getConstructor().newInstance();
                filler.fill(message, version);
                out.line(line(name, type, message, version, filler.records()));
                count++;
            }
        }
        return count;
    }

    private static ObjectNode line(
            String name, Class<?> type, Message message, short version, List<byte[]> records)
            throws Exception {
        byte[] body = encode(message, version);
        checkKafkaReadsItBack(name, type, message, version, body);
        Method write =
                Class.forName(type.getName() + "JsonConverter")
                        .getMethod("write", type, short.class, boolean.class);
        JsonNode json = (JsonNode) write.invoke(null, message, version, true);
        Deque<byte[]> left = new ArrayDeque<>(records);
        if (!records.isEmpty()) {
            putRecords(json, left);
        }
        if (!left.isEmpty()) {
            throw new IllegalStateException(
                    name + " v" + version + ": records that its JSON does not have");
        }
        ObjectNode line = JsonLines.JSON.createObjectNode();
        line.put("name", name).put("version", version).put("hex", HexFormat.of().formatHex(body));
        line.set("json", json);
        return line;
    }

    private static byte[] encode(Message message, short version) {
        ObjectSerializationCache cache = new ObjectSerializationCache();
        ByteBuffer buffer = ByteBuffer.allocate(message.size(cache, version));
        message.write(new ByteBufferAccessor(buffer), cache, version);
        if (buffer.hasRemaining()) {
            throw new IllegalStateException("Kafka measured " + message + " wrongly");
        }
        return buffer.array();
    }

    /**
     * A filler that sets what the version does not carry would write bytes that mean another
     * message.
     */
    private static void checkKafkaReadsItBack(
            String name, Class<?> type, Message message, short version, byte[] body)
            throws Exception {
        Message again = (Message) type.getConstructor().newInstance();
        again.read(new ByteBufferAccessor(ByteBuffer.wrap(body)), version);
        if (!again.equals(message)) {
            throw new IllegalStateException(
                    name + " v" + version + ": wrote " + message + ", read " + again);
        }
    }

    /** Kafka's converters put empty bytes where records stand. */
    private static void putRecords(JsonNode node, Deque<byte[]> records) {
        if (node instanceof ObjectNode object) {
            for (String field : (Iterable<String>) object::fieldNames) {
                boolean ofRecords = field.equals("records") || field.equals("unalignedRecords");
                if (ofRecords && object.get(field) instanceof BinaryNode) {
                    object.replace(field, new BinaryNode(records.removeFirst()));
                }
            }
        }
        node.forEach(child -> putRecords(child, records));
    }

    /** Every top-level message with a version, by Kafka's name for it. */
    private static Map<String, Class<?>> find() throws Exception {
        Map<String, Class<?>> found = new TreeMap<>();
        for (String jar : System.getProperty("java.class.path").split(":")) {
            if (!Path.of(jar).getFileName().toString().matches("kafka.*\\.jar")) {
                continue;
            }
            for (String name : converters(jar)) {
                Class<?> type = Class.forName(name.replace('/', '.'));
                if (!ApiMessage.class.isAssignableFrom(type)
                        && !type.getSimpleName().startsWith("DefaultPrincipal")) {
                    continue;
                }
                String plain =
                        type.getSimpleName().replaceFirst("(Request|Response|Header)Data$", "$1");
                if (found.put(plain, type) != null) {
                    throw new IllegalStateException("two messages are called " + plain);
                }
            }
        }
        if (found.isEmpty()) {
            throw new IllegalStateException("no jar of Kafka on the class path");
        }
        return found;
    }

    private static List<String> converters(String jar) throws IOException {
        List<String> names = new ArrayList<>();
        try (JarFile file = new JarFile(jar)) {
            for (JarEntry entry : (Iterable<JarEntry>) file.stream()::iterator) {
                Matcher matcher = CONVERTER.matcher(entry.getName());
                if (matcher.matches() && !matcher.group(1).contains("$")) {
                    names.add(matcher.group(1));
                }
            }
        }
        return names;
    }
}

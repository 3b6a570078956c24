package milena.oracle;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.github.luben.zstd.ZstdInputStream;
import com.github.luben.zstd.ZstdOutputStream;

import java.io.BufferedReader;
import java.io.BufferedWriter;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.OutputStream;
import java.io.OutputStreamWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Base64;

/** Files of one JSON object a line; a name that ends in .zst is compressed. */
final class JsonLines {
    static final ObjectMapper JSON = new ObjectMapper();
    private static final int COMPRESSION_LEVEL = 19;

    private JsonLines() {}

    interface Sink {
        void accept(JsonNode line) throws IOException;
    }

    static final class Writer implements AutoCloseable {
        private final BufferedWriter out;

        Writer(Path file) throws IOException {
            if (file.toAbsolutePath().getParent() != null) {
                Files.createDirectories(file.toAbsolutePath().getParent());
            }
            OutputStream raw = Files.newOutputStream(file);
            if (file.toString().endsWith(".zst")) {
                raw = new ZstdOutputStream(raw, COMPRESSION_LEVEL);
            }
            out = new BufferedWriter(new OutputStreamWriter(raw, StandardCharsets.UTF_8));
        }

        void line(JsonNode node) throws IOException {
            out.write(JSON.writeValueAsString(node));
            out.write('\n');
        }

        @Override
        public void close() throws IOException {
            out.close();
        }
    }

    static int read(Path file, Sink sink) throws IOException {
        InputStream raw = Files.newInputStream(file);
        if (file.toString().endsWith(".zst")) {
            raw = new ZstdInputStream(raw);
        }
        int lines = 0;
        try (BufferedReader in =
                new BufferedReader(new InputStreamReader(raw, StandardCharsets.UTF_8))) {
            for (String text = in.readLine(); text != null; text = in.readLine()) {
                if (!text.isBlank()) {
                    sink.accept(JSON.readTree(text));
                    lines++;
                }
            }
        }
        return lines;
    }

    /** Base64, or null for null. */
    static String base64(byte[] bytes) {
        return bytes == null ? null : Base64.getEncoder().encodeToString(bytes);
    }
}

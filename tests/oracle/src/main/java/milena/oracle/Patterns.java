package milena.oracle;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.google.re2j.Pattern;
import com.google.re2j.PatternSyntaxException;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Random;

/** Which topics the library by which Kafka resolves subscriptions finds random patterns to mean. */
final class Patterns {
    private static final int PATTERNS = 3000;
    private static final List<String> TOPICS =
            List.of("a", "b", "ab", "aab", "abc", "A", "aB", "a-b", "a.b", "a_b", "a1", "12", "-", "ba.c-1", "Q", "aa");
    private static final List<String> ATOMS =
            List.of(
                    "a", "b", "c", "ab", "1", "-", "_", "\\.", ".", "\\w", "\\d", "\\W", "\\D", "\\S", "\\b", "\\B",
                    "^", "$", "\\A", "\\z", "\\-", "\\_", "\\x61", "\\x{62}", "\\Qa.b\\E", "\\Qa\\E", "\\Q-\\E", "\\Q",
                    "[a-c]", "[^a]", "[]a]", "[^]a]", "[a&&b]", "[[a]", "[a~~b]", "[\\w.]", "[^\\W_]", "[[:alpha:]]",
                    "[[:^digit:]a]", "[a\\]]", "[\\[b]", "[\\Q]", "[a-]", "\\<", "\\E", "(?i)", "(?i:a)", "(?s)", "(?-i)",
                    "(?m)", "(?U)", "é", ")", "(", "");
    private static final List<String> AFTER =
            List.of("", "", "", "", "*", "+", "?", "*?", "+?", "??", "{2}", "{1,2}", "{0,}", "{1,3}?");

    private final Random random = new Random(37);

    private Patterns() {}

    static void write(Path file) throws IOException {
        Patterns patterns = new Patterns();
        try (JsonLines.Writer out = new JsonLines.Writer(file)) {
            for (int number = 0; number < PATTERNS; number++) patterns.one(out);
        }
    }

    private void one(JsonLines.Writer out) throws IOException {
        String text = pattern(2);
        Pattern pattern;
        try {
            pattern = Pattern.compile(text);
        } catch (PatternSyntaxException | IllegalStateException refused) {
            return;
        }
        ObjectNode line = JsonLines.JSON.createObjectNode().put("pattern", text);
        ArrayNode meant = line.putArray("meant");
        ArrayNode others = line.putArray("others");
        for (String topic : TOPICS) (pattern.matches(topic) ? meant : others).add(topic);
        out.line(line);
    }

    private String pattern(int depth) {
        StringBuilder text = new StringBuilder();
        for (int parts = 1 + random.nextInt(4); parts > 0; parts--) {
            boolean group = depth > 0 && random.nextInt(4) == 0;
            String part = group ? group(depth - 1) : ATOMS.get(random.nextInt(ATOMS.size()));
            text.append(part);
            // RE2/J, and nobody else, repeats what only sets flags.
            if (!part.matches("(\\(\\?-?[a-zA-Z]\\))?")) text.append(AFTER.get(random.nextInt(AFTER.size())));
            if (random.nextInt(8) == 0) text.append('|');
        }
        return text.toString();
    }

    private String group(int depth) {
        String begin = List.of("(", "(?:", "(?P<n>", "(?i:").get(random.nextInt(4));
        return begin + pattern(depth) + ")";
    }
}

package milena.oracle;

import java.nio.file.Path;

/** One program, one word for each thing that it can be asked. */
public final class Main {
    private Main() {
    }

    public static void main(String[] arguments) throws Exception {
        String word = arguments.length == 0 ? "" : arguments[0];
        switch (word) {
            case "messages" -> Messages.write(Path.of(arguments[1]));
            case "batches" -> Batches.write(Path.of(arguments[1]));
            case "verify-batches" -> BatchText.verify(Path.of(arguments[1]));
            case "compare-batches" -> BatchText.compare(Path.of(arguments[1]), Path.of(arguments[2]));
            default -> {
                System.err.println("usage: messages FILE | batches FILE | verify-batches FILE | compare-batches FILE FILE");
                System.exit(2);
            }
        }
    }
}

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
            default -> {
                System.err.println("usage: messages FILE");
                System.exit(2);
            }
        }
    }
}

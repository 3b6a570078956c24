package milena.oracle;

import java.nio.file.Path;

/** One program, one word for each thing that it can be asked. */
public final class Main {
    private Main() {}

    public static void main(String[] arguments) throws Exception {
        String word = arguments.length == 0 ? "" : arguments[0];
        switch (word) {
            case "messages" -> Messages.write(Path.of(arguments[1]));
            case "batches" -> Batches.write(Path.of(arguments[1]));
            case "verify-batches" -> BatchText.verify(Path.of(arguments[1]));
            case "compare-batches" ->
                    BatchText.compare(Path.of(arguments[1]), Path.of(arguments[2]));
            case "assignments" -> Assignments.write(Path.of(arguments[1]));
            case "client-assignments" -> ClientAssignments.write(Path.of(arguments[1]));
            case "partitions" -> Partitions.write(Path.of(arguments[1]));
            case "patterns" -> Patterns.write(Path.of(arguments[1]));
            case "decisions" -> Decisions.write(Path.of(arguments[1]));
            case "directory" ->
                    Directory.write(
                            arguments[1], Integer.parseInt(arguments[2]), Path.of(arguments[3]));
            case "consume" ->
                    Consume.write(arguments[1], Path.of(arguments[2]), Path.of(arguments[3]));
            case "adopt" -> Adopt.write(Path.of(arguments[1]), Path.of(arguments[2]));
            case "same-records" ->
                    SameRecords.console(
                            Path.of(arguments[1]), Path.of(arguments[2]), Path.of(arguments[3]));
            case "expected-records" ->
                    SameRecords.expected(Path.of(arguments[1]), Path.of(arguments[2]));
            default -> {
                System.err.println(
                        """
usage:
  messages FILE                        every message of Kafka, as bytes and JSON
  batches FILE                         record batches of every kind, as bytes and JSON
  verify-batches FILE                  whether Kafka reads what such a file says
  compare-batches FILE FILE            whether two such files say the same
  assignments FILE                     what Kafka's assignors make of random groups
  client-assignments FILE              what the assignors of Kafka's client make of random groups
  partitions FILE                      which partitions Kafka's producer chooses for random keys
  patterns FILE                        which topics random patterns mean to Kafka
  decisions FILE                       what Kafka's log decides about random epochs and producers
  directory BOOTSTRAP STAGE DATA       fills the data directory of a running Kafka
  consume BOOTSTRAP RECORDS PARTITIONS all that a running Kafka serves
  adopt DATA METADATA                  lets a formatted controller know the topics of a directory
  same-records RECORDS ALL COMMITTED   whether the console consumer printed the same
  expected-records RECORDS SERVED      whether Kafka served what was expected""");
                System.exit(2);
            }
        }
    }
}

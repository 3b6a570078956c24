// A member of a group, as Kafka's own client plays it; what it is told and says: groups/member.py.

import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.consumer.CommitFailedException;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.errors.ApiException;
import org.apache.kafka.common.errors.WakeupException;
import org.apache.kafka.common.serialization.StringDeserializer;

public final class Member {
    private static final Map<String, String> ASSIGNORS = Map.of(
        "range", "RangeAssignor", "roundrobin", "RoundRobinAssignor",
        "sticky", "StickyAssignor", "cooperative-sticky", "CooperativeStickyAssignor");

    private static Map<String, Object> settings(String[] arguments) {
        var settings = new HashMap<String, Object>(Map.of(
            "bootstrap.servers", arguments[0], "group.id", arguments[2],
            "auto.offset.reset", "earliest", "auto.commit.interval.ms", 200,
            "enable.auto.commit", arguments[3].equals("auto"), "reconnect.backoff.max.ms", 500));
        var assignor = ASSIGNORS.get(arguments[4]);
        if (assignor == null) {
            settings.put("group.protocol", "consumer");
            settings.put("group.remote.assignor", arguments[4].replace("consumer-", ""));
        } else {
            settings.put("session.timeout.ms", 3000);
            settings.put("heartbeat.interval.ms", 300);
            settings.put(
                "partition.assignment.strategy", "org.apache.kafka.clients.consumer." + assignor);
        }
        if (arguments.length > 5) {
            settings.put("group.instance.id", arguments[5]);
            settings.put("session.timeout.ms", 20000);
        }
        return settings;
    }

    public static void main(String[] arguments) throws Exception {
        var text = new StringDeserializer();
        var consumer = new KafkaConsumer<>(settings(arguments), text, text);
        var main = Thread.currentThread();
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            consumer.wakeup();
            try {
                main.join();
            } catch (InterruptedException ended) {
                System.err.println(ended);
            }
            // Java would end with 143.
            Runtime.getRuntime().halt(0);
        }));
        try (consumer) {
            consumer.subscribe(List.of(arguments[1]));
            while (true) {
                consume(consumer, arguments[3].equals("manual"));
            }
        } catch (WakeupException told) {
            // The end, as asked.
        }
    }

    private static void consume(KafkaConsumer<String, String> consumer, boolean commits) {
        var polled = consumer.poll(Duration.ofSeconds(1));
        var lines = new StringBuilder();
        for (ConsumerRecord<String, String> record : polled) {
            lines.append(record.partition()).append(' ').append(record.offset()).append(' ')
                .append(record.value()).append('\n');
        }
        System.out.print(lines);
        System.out.flush();
        if (commits && !polled.isEmpty()) {
            try {
                consumer.commitSync();
            } catch (CommitFailedException | ApiException error) {
                System.err.println(error);
            }
        }
    }
}

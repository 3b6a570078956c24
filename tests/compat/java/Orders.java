// A Kafka Streams application that does all that repartitions and remembers, exactly once: orders
// are joined with the region of their customer, grouped by region, counted and added up. What it is
// told and says: transactions/streams.py.

import java.time.Duration;
import java.util.Properties;
import java.util.concurrent.CountDownLatch;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;
import org.apache.kafka.streams.kstream.Produced;

public final class Orders {
    /** ADDRESS STATE_FOLDER, until SIGTERM. */
    public static void main(String[] arguments) throws Exception {
        var settings = new Properties();
        settings.put("application.id", "compat-orders");
        settings.put("bootstrap.servers", arguments[0]);
        settings.put("state.dir", arguments[1]);
        settings.put("processing.guarantee", StreamsConfig.EXACTLY_ONCE_V2);
        settings.put("default.key.serde", Serdes.StringSerde.class);
        settings.put("default.value.serde", Serdes.StringSerde.class);
        settings.put("commit.interval.ms", 200);
        settings.put("num.stream.threads", 2);
        settings.put("replication.factor", 1);
        settings.put("consumer.session.timeout.ms", 3000);
        settings.put("consumer.heartbeat.interval.ms", 300);
        settings.put("consumer.auto.offset.reset", "earliest");
        settings.put("producer.transaction.timeout.ms", 8000);
        settings.put("reconnect.backoff.max.ms", 500);

        var builder = new StreamsBuilder();
        var regions = builder.<String, String>table("compat-customers");
        // Key: the customer. Value: number of the order, and its amount.
        var joined = builder.<String, String>stream("compat-orders")
                .join(regions, (order, region) -> order + " " + region);
        joined.to("compat-joined");
        joined.map((customer, order) -> KeyValue.pair(order.split(" ")[2], order.split(" ")[1]))
                .groupByKey()
                .aggregate(() -> "0 0", (region, amount, sum) -> {
                    var words = sum.split(" ");
                    return (Long.parseLong(words[0]) + 1) + " "
                            + (Long.parseLong(words[1]) + Long.parseLong(amount));
                })
                .toStream()
                .to("compat-regions", Produced.with(Serdes.String(), Serdes.String()));

        var streams = new KafkaStreams(builder.build(), settings);
        streams.setUncaughtExceptionHandler(error -> {
            System.err.println("a thread is replaced: " + error);
            return StreamThreadExceptionResponse.REPLACE_THREAD;
        });
        var stopped = new CountDownLatch(1);
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            streams.close(Duration.ofSeconds(20));
            stopped.countDown();
        }));
        streams.start();
        stopped.await();
    }
}

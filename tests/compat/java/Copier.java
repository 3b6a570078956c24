// Copies a topic in transactions, as Kafka's own client does; what it is told and says:
// transactions/copies.py.

import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.AuthorizationException;
import org.apache.kafka.common.errors.OutOfOrderSequenceException;
import org.apache.kafka.common.errors.ProducerFencedException;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

public final class Copier {
    private static volatile boolean stopped;

    public static void main(String[] arguments) throws Exception {
        var main = Thread.currentThread();
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            stopped = true;
            try {
                main.join(10_000);
            } catch (InterruptedException ended) {
                System.err.println(ended);
            }
        }));
        var text = new StringDeserializer();
        var consumer = new KafkaConsumer<>(Map.<String, Object>of(
            "bootstrap.servers", arguments[0], "group.id", arguments[3],
            "auto.offset.reset", "earliest", "enable.auto.commit", false,
            "isolation.level", "read_committed", "session.timeout.ms", 3000,
            "heartbeat.interval.ms", 300, "reconnect.backoff.max.ms", 500,
            "max.poll.records", 200), text, text);
        var bytes = new StringSerializer();
        var producer = new KafkaProducer<>(Map.<String, Object>of(
            "bootstrap.servers", arguments[0], "transactional.id", arguments[4],
            "transaction.timeout.ms", 10_000, "reconnect.backoff.max.ms", 500), bytes, bytes);
        try (consumer; producer) {
            producer.initTransactions();
            consumer.subscribe(List.of(arguments[1]));
            for (var count = 0; !stopped; ) {
                var records = consumer.poll(Duration.ofMillis(100));
                if (records.isEmpty()) {
                    continue;
                }
                count++;
                try {
                    producer.beginTransaction();
                    for (ConsumerRecord<String, String> record : records) {
                        producer.send(new ProducerRecord<>(
                            arguments[2], record.partition(), null, record.value()));
                    }
                    producer.sendOffsetsToTransaction(
                        records.nextOffsets(), consumer.groupMetadata());
                    if (count % 5 == 0) {
                        producer.abortTransaction();
                        rewind(consumer);
                    } else {
                        producer.commitTransaction();
                        System.out.println("committed " + records.count());
                    }
                } catch (ProducerFencedException | OutOfOrderSequenceException
                         | AuthorizationException fatal) {
                    throw fatal;
                } catch (KafkaException error) {
                    System.err.println(error);
                    producer.abortTransaction();
                    rewind(consumer);
                }
            }
        }
    }

    /** Reads again what was not committed. */
    private static void rewind(KafkaConsumer<String, String> consumer) {
        var committed = new HashMap<TopicPartition, OffsetAndMetadata>(
            consumer.committed(consumer.assignment()));
        committed.forEach((partition, offset) -> {
            if (offset == null) {
                consumer.seekToBeginning(List.of(partition));
            } else {
                consumer.seek(partition, offset.offset());
            }
        });
    }
}

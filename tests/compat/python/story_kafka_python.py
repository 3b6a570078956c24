"""kafka-python."""
import sys

from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient, NewPartitions, NewTopic

from story import ACKS, CODECS, TIMES, TOPIC, check, done, values

address, topic = sys.argv[1], TOPIC + "-kafka-python"
admin = KafkaAdminClient(bootstrap_servers=address)
admin.create_topics([NewTopic(topic, 2, 1, topic_configs={"retention.ms": "-1"})])
check("partitions", len(admin.describe_topics([topic])[0]["partitions"]), 2)
admin.create_partitions({topic: NewPartitions(3)})
check("partitions made", len(admin.describe_topics([topic])[0]["partitions"]), 3)

for codec in CODECS:
    for acks in ACKS:
        producer = KafkaProducer(
            bootstrap_servers=address, acks=acks if acks == "all" else int(acks), linger_ms=5,
            compression_type=None if codec == "none" else codec, enable_idempotence=acks == "all")
        sent = [
            producer.send(topic, value.encode(), b"k", [("h", b"1")], 0, time)
            for value, time in zip(values(codec, acks), TIMES)
        ]
        producer.flush(10)
        for one in sent:
            one.get(10)
        producer.close()

expected = [value for codec in CODECS for acks in ACKS for value in values(codec, acks)]
consumer = KafkaConsumer(bootstrap_servers=address, group_id=None, consumer_timeout_ms=10000)
partition = TopicPartition(topic, 0)
consumer.assign([partition])


def read(count):
    messages = []
    while len(messages) < count:
        polled = consumer.poll(10000, max_records=count - len(messages))
        check("polled", bool(polled), True)
        messages += polled[partition]
    return [message.value.decode() for message in messages]


consumer.seek_to_beginning(partition)
check("from the start", read(len(expected)), expected)
consumer.seek(partition, 7)
check("from a position", read(3), expected[7:10])
check("by time", consumer.offsets_for_times({partition: TIMES[1]})[partition].offset, 1)
check("end", consumer.end_offsets([partition])[partition], len(expected))
consumer.close()

admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, {"retention.ms": "1234567"})])
told = str(admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)]))
check("setting", "1234567" in told, True)
admin.delete_records({partition: 5})
admin.delete_topics([topic])
check("deleted", topic in admin.list_topics(), False)
admin.close()
done()

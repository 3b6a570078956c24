"""librdkafka, as confluent-kafka wraps it."""
import sys

from confluent_kafka import OFFSET_BEGINNING, Consumer, Producer, TopicPartition
from confluent_kafka.admin import (
    AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, NewPartitions, NewTopic,
)

from story import ACKS, CODECS, TIMES, TOPIC, check, done, values

address, topic = sys.argv[1], TOPIC + "-librdkafka"
admin = AdminClient({"bootstrap.servers": address})
new = NewTopic(topic, num_partitions=2, replication_factor=1, config={"retention.ms": "-1"})
admin.create_topics([new])[topic].result(10)
check("partitions", len(admin.list_topics(topic, 10).topics[topic].partitions), 2)
admin.create_partitions([NewPartitions(topic, 3)])[topic].result(10)
check("partitions made", len(admin.list_topics(topic, 10).topics[topic].partitions), 3)

for codec in CODECS:
    for acks in ACKS:
        failures = []
        producer = Producer({
            "bootstrap.servers": address, "compression.type": codec, "acks": acks, "linger.ms": 5,
            "enable.idempotence": acks == "all",
        })
        for value, time in zip(values(codec, acks), TIMES):
            producer.produce(
                topic, value, key="k", partition=0, timestamp=time, headers={"h": "1"},
                on_delivery=lambda error, _: failures.append(error) if error else None)
        check(f"{codec} acks {acks} left over", producer.flush(10), 0)
        check(f"{codec} acks {acks} failures", failures, [])

expected = [value for codec in CODECS for acks in ACKS for value in values(codec, acks)]
consumer = Consumer({
    "bootstrap.servers": address, "group.id": "unused", "enable.auto.commit": False,
    "check.crcs": True,
})


def read(offset, count):
    consumer.assign([TopicPartition(topic, 0, offset)])
    messages = []
    while len(messages) < count:
        message = consumer.poll(10)
        check("error", message and message.error(), None)
        messages.append(message)
    return [message.value().decode() for message in messages]


check("low and high", consumer.get_watermark_offsets(TopicPartition(topic, 0), 10), (0, len(expected)))
check("from the start", read(OFFSET_BEGINNING, len(expected)), expected)
check("from a position", read(7, 3), expected[7:10])
found = consumer.offsets_for_times([TopicPartition(topic, 0, TIMES[1])], 10)[0].offset
check("by time", found, 1)
consumer.close()

resource = ConfigResource(ConfigResource.Type.TOPIC, topic)
entry = ConfigEntry("retention.ms", "1234567", incremental_operation=AlterConfigOpType.SET)
change = ConfigResource(ConfigResource.Type.TOPIC, topic, incremental_configs=[entry])
admin.incremental_alter_configs([change])[change].result(10)
settings = admin.describe_configs([resource])[resource].result(10)
check("setting", settings["retention.ms"].value, "1234567")
admin.delete_records([TopicPartition(topic, 0, 5)])[TopicPartition(topic, 0, 5)].result(10)
admin.delete_topics([topic])[topic].result(10)
check("deleted", topic in admin.list_topics(timeout=10).topics, False)
done()

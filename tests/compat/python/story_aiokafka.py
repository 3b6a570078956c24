"""aiokafka."""
import asyncio
import sys

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from story import ACKS, CODECS, TIMES, TOPIC, check, done, values

address, topic = sys.argv[1], TOPIC + "-aiokafka"


async def story():
    admin = AIOKafkaAdminClient(bootstrap_servers=address)
    await admin.start()
    await admin.create_topics([NewTopic(topic, 2, 1, topic_configs={"retention.ms": "-1"})])
    check("partitions", len((await admin.describe_topics([topic]))[0]["partitions"]), 2)
    await admin.create_partitions({topic: NewPartitions(3)})
    check("partitions made", len((await admin.describe_topics([topic]))[0]["partitions"]), 3)

    for codec in CODECS:
        for acks in ACKS:
            producer = AIOKafkaProducer(
                bootstrap_servers=address, acks=acks if acks == "all" else int(acks),
                compression_type=None if codec == "none" else codec,
                enable_idempotence=acks == "all")
            await producer.start()
            for value, time in zip(values(codec, acks), TIMES):
                await producer.send_and_wait(
                    topic, value.encode(), b"k", 0, time, headers=[("h", b"1")])
            await producer.stop()

    expected = [value for codec in CODECS for acks in ACKS for value in values(codec, acks)]
    partition = TopicPartition(topic, 0)
    consumer = AIOKafkaConsumer(bootstrap_servers=address, group_id=None)
    await consumer.start()
    consumer.assign([partition])

    async def read(count):
        messages = [await asyncio.wait_for(consumer.getone(), 10) for _ in range(count)]
        return [message.value.decode() for message in messages]

    await consumer.seek_to_beginning(partition)
    check("from the start", await read(len(expected)), expected)
    consumer.seek(partition, 7)
    check("from a position", await read(3), expected[7:10])
    found = await consumer.offsets_for_times({partition: TIMES[1]})
    check("by time", found[partition].offset, 1)
    await consumer.stop()

    change = ConfigResource(ConfigResourceType.TOPIC, topic, {"retention.ms": "1234567"})
    await admin.alter_configs([change])
    told = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)])
    check("setting", "1234567" in str(told), True)
    await admin.delete_topics([topic])
    check("deleted", topic in await admin.list_topics(), False)
    await admin.close()


asyncio.run(story())
done()

"""A member of a group, as librdkafka plays it; what it is told and says: groups/member.py."""
import signal
import sys

from confluent_kafka import Consumer, KafkaException

address, topic, group, commit, protocol, *instance = sys.argv[1:]
settings = {
    "bootstrap.servers": address, "group.id": group, "auto.offset.reset": "earliest",
    "enable.auto.commit": commit == "auto", "auto.commit.interval.ms": 200,
    # Stored once it is printed, not when it is handed out.
    "enable.auto.offset.store": False, "reconnect.backoff.max.ms": 500,
}
if protocol == "consumer":
    settings |= {"group.protocol": "consumer"}
else:
    settings |= {"partition.assignment.strategy": protocol, "session.timeout.ms": 3000,
                 "heartbeat.interval.ms": 300}
if instance:
    settings |= {"group.instance.id": instance[0], "session.timeout.ms": 20000}
stopped = []
signal.signal(signal.SIGTERM, lambda *_: stopped.append(True))
consumer = Consumer(settings)
consumer.subscribe([topic])
while not stopped:
    messages = consumer.consume(100, 0.1)
    records = [one for one in messages if not one.error()]
    for one in messages:
        if one.error():
            print(one.error(), file=sys.stderr)
    for one in records:
        print(one.partition(), one.offset(), one.value().decode())
    sys.stdout.flush()
    for one in records:
        try:
            consumer.store_offsets(one)
        except KafkaException as error:  # the partition was taken away meanwhile
            print(error, file=sys.stderr)
    if records and commit == "manual":
        try:
            consumer.commit(asynchronous=False)
        except KafkaException as error:
            print(error, file=sys.stderr)
consumer.close()

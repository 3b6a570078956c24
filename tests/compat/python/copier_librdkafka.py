"""Copies a topic in transactions, as librdkafka does; what it is told and says:
transactions/copies.py."""
import signal
import sys

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition

address, source, target, group, transactional_id = sys.argv[1:]
stopped = []
signal.signal(signal.SIGTERM, lambda *_: stopped.append(True))
consumer = Consumer({
    "bootstrap.servers": address, "group.id": group, "auto.offset.reset": "earliest",
    "enable.auto.commit": False, "isolation.level": "read_committed", "session.timeout.ms": 3000,
    "heartbeat.interval.ms": 300, "reconnect.backoff.max.ms": 500})
# While it begins anew by its bootstrap servers, librdkafka 2.16 may forget what a transaction waits for,
# and the copies stand still. So they do when Apache Kafka 4.3.1 is killed (3 of 5 times, down for 16 to 30 s);
# with Milena always when it is back at once, also after 20 s, and not after 5 s.
producer = Producer({
    "bootstrap.servers": address, "metadata.recovery.strategy": "none", "transactional.id": transactional_id,
    "transaction.timeout.ms": 10000, "linger.ms": 5, "reconnect.backoff.max.ms": 500})
producer.init_transactions(30)
consumer.subscribe([source])


def again(what):
    """What may be tried again is, as librdkafka's manual asks for."""
    while True:
        try:
            return what()
        except KafkaException as error:
            print(error, file=sys.stderr)
            if not error.args[0].retriable():
                raise


def rewind():
    for one in consumer.committed(consumer.assignment(), 10):
        offset = one.offset if one.offset >= 0 else 0
        consumer.seek(TopicPartition(one.topic, one.partition, offset))


count = 0
while not stopped:
    records = [one for one in consumer.consume(200, 0.1) if not one.error()]
    if not records:
        continue
    count += 1
    try:
        producer.begin_transaction()
        for one in records:
            producer.produce(target, one.value(), partition=one.partition())
            producer.poll(0)
        places = consumer.position(consumer.assignment())
        members = consumer.consumer_group_metadata()
        again(lambda: producer.send_offsets_to_transaction(places, members, 10))
        if count % 5 == 0:
            again(lambda: producer.abort_transaction(10))
            rewind()
        else:
            again(lambda: producer.commit_transaction(10))
            print("committed", len(records), flush=True)
    except KafkaException as error:
        print(error, file=sys.stderr)
        if not error.args[0].txn_requires_abort():
            raise
        again(lambda: producer.abort_transaction(10))
        rewind()
consumer.close()

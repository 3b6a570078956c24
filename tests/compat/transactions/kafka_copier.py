"""Kafka's own TransactionalMessageCopier, killed at random while it copies and aborts at random.

One copier for each of two partitions, each killed KILLS times and started again under its
transactional id; the broker (where it is ours) is killed once, too. Afterwards a reader of
committed records has seen each record exactly once.
"""
import os
import random
import subprocess
import sys
import time

sys.path.insert(1, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "groups"))

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from broker import Broker
from clients import HERE
from flow import QUIET

PARTITIONS, RECORDS, KILLS = 2, 60_000, int(os.environ.get("KILLS", "4"))
PATIENCE_SECONDS = 180
SOURCE, TARGET = "compat-copy-from", "compat-copy-to"


class Copier:
    def __init__(self, partition):
        self.partition, self.kills, self.process = partition, 0, None
        self.log = f"{broker.folder.name}/copier-{partition}.log"

    def start(self):
        with open(self.log, "a") as log:
            self.process = subprocess.Popen(
                [f"{HERE}/../kafka/kafka", "org.apache.kafka.tools.TransactionalMessageCopier",
                 "--input-topic", SOURCE, "--input-partition", str(self.partition),
                 "--output-topic", TARGET, "--broker-list", broker.address,
                 "--consumer-group", "compat-copiers", "--transaction-size", "100",
                 "--transaction-timeout", "10000", "--use-group-metadata",
                 "--transactional-id", f"compat-copier-{self.partition}", "--enable-random-aborts"],
                stdout=log, stderr=log, env=os.environ | {
                    "KAFKA_JAVA_OPTIONS": "-Dkafka.log.level=ERROR -XX:TieredStopAtLevel=1"})
        self.dies_at = time.monotonic() + random.uniform(2, 6)

    def is_done(self):
        """Whether it has copied all there is; it is killed now and then before that."""
        status = self.process.poll()
        if status == 0:
            return True
        if status is not None:
            self.start()
        elif self.kills < KILLS and time.monotonic() > self.dies_at:
            self.kills += 1
            self.process.kill()
            self.process.wait()
            self.start()
        return False

    def said(self):
        with open(self.log) as log:
            return "".join(log.readlines()[-10:])


def fill():
    producer = Producer({"bootstrap.servers": broker.address, "enable.idempotence": True,
                         "queue.buffering.max.messages": RECORDS, **QUIET})
    for number in range(RECORDS):
        producer.produce(SOURCE, str(number), partition=number % PARTITIONS)
    if producer.flush(60):
        raise SystemExit("not everything was produced")


def committed():
    """How often readers of committed records see each of them."""
    consumer = Consumer({"bootstrap.servers": broker.address, "group.id": "reader",
                         "isolation.level": "read_committed", "enable.partition.eof": True, **QUIET})
    consumer.assign([TopicPartition(TARGET, at, 0) for at in range(PARTITIONS)])
    seen, ends = {}, 0
    while ends < PARTITIONS:
        for message in consumer.consume(5000, 1):
            if message.error():
                ends += 1
            else:
                seen[int(message.value())] = seen.get(int(message.value()), 0) + 1
    consumer.close()
    return seen


def tell():
    admin = AdminClient({"bootstrap.servers": broker.address, **QUIET})
    new = [NewTopic(name, num_partitions=PARTITIONS, replication_factor=1)
           for name in (SOURCE, TARGET)]
    for made in admin.create_topics(new).values():
        made.result(10)
    fill()
    for one in copiers:
        one.start()
    began, was_killed = time.monotonic(), not broker.is_ours
    while not all([one.is_done() for one in copiers]):
        if time.monotonic() > began + PATIENCE_SECONDS:
            raise SystemExit("the copiers do not end")
        if not was_killed and time.monotonic() > began + 5:
            was_killed = True
            broker.restart_after_kill()
        time.sleep(0.1)
    seen = committed()
    wrong = [number for number in range(RECORDS) if seen.get(number) != 1]
    if wrong:
        raise SystemExit(f"{len(wrong)} of {RECORDS} not exactly once: "
                         f"{[(number, seen.get(number, 0)) for number in wrong[:10]]}")
    print(f"{RECORDS} records, {sum(one.kills for one in copiers)} kills of copiers: each once")


broker = Broker()
copiers = [Copier(partition) for partition in range(PARTITIONS)]
try:
    tell()
except SystemExit:
    for one in copiers:
        print(one.said(), file=sys.stderr)
    print(broker.log(), file=sys.stderr)
    raise
finally:
    for one in copiers:
        if one.process and one.process.poll() is None:
            one.process.kill()
            one.process.wait()
    broker.stop()
print("well")

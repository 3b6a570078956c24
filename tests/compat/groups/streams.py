"""Kafka Streams counts words, at least once: its own example, by one instance, by two, by the one
that is left when the other is killed, and over a killed broker.

As long as all that came is committed before anybody dies, each count is exact.
"""
import os
import random
import subprocess
import time

from confluent_kafka import OFFSET_BEGINNING, Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from broker import Broker

HERE = os.path.dirname(os.path.abspath(__file__))
PATIENCE_SECONDS = 90
PARTITIONS = 2
# The names are the example's.
INPUT, OUTPUT = "streams-plaintext-input", "streams-wordcount-output"
COMMIT_INTERVAL_SECONDS = 0.2
SETTINGS = """
commit.interval.ms=200
session.timeout.ms=3000
heartbeat.interval.ms=300
num.standby.replicas=1
processing.guarantee=at_least_once
"""
WORDS = [f"word{number}" for number in range(50)]


class Instance:
    def __init__(self, name):
        path = f"{broker.folder.name}/{name}"
        with open(f"{path}.properties", "w") as file:
            file.write(f"{SETTINGS}bootstrap.servers={broker.address}\nstate.dir={path}\n")
        self.log = f"{path}.log"
        with open(self.log, "w") as log:
            self.process = subprocess.Popen(
                [f"{HERE}/../../kafka/kafka",
                 "org.apache.kafka.streams.examples.wordcount.WordCountDemo", f"{path}.properties"],
                stdout=log, stderr=log, env=os.environ | {
                    "KAFKA_JAVA_OPTIONS": "-Dkafka.log.level=WARN -XX:TieredStopAtLevel=1"})
        instances.append(self)

    def kill(self):
        instances.remove(self)
        self.process.kill()
        self.process.wait()

    def said(self):
        with open(self.log) as log:
            return "".join(log.readlines()[-30:])


def client(kind, **settings):
    return kind({"bootstrap.servers": broker.address, "log_level": 2} | settings)


def write(lines):
    producer = client(Producer, **{"enable.idempotence": True})
    for number in range(lines):
        words = random.choices(WORDS, k=5)
        for word in words:
            expected[word] = expected.get(word, 0) + 1
        producer.produce(INPUT, " ".join(words), partition=number % PARTITIONS)
    if producer.flush(30):
        raise SystemExit("not everything was produced")


def counted():
    """The last that was said of each word."""
    consumer = client(Consumer, **{"group.id": "unused", "enable.partition.eof": True})
    consumer.assign([TopicPartition(OUTPUT, one, OFFSET_BEGINNING) for one in range(PARTITIONS)])
    counts, ends = {}, 0
    while ends < PARTITIONS:
        message = consumer.poll(10)
        if message is None:
            raise SystemExit("no output to be read")
        if message.error():
            ends += 1
        else:
            counts[message.key().decode()] = int.from_bytes(message.value(), "big")
    consumer.close()
    return counts


def wait(what, members):
    def failed():
        said = "\n".join(one.said() for one in instances)
        return SystemExit(f"{what}: counted {found}, expected {expected}\n{said}\n{broker.log()}")
    until = time.monotonic() + PATIENCE_SECONDS
    while (found := counted()) != expected or members_of() != members:
        too_many = [word for word in found if found[word] > expected[word]]
        dead = [one for one in instances if one.process.poll() is not None]
        if time.monotonic() > until or too_many or dead:
            raise failed()
        time.sleep(0.3)
    time.sleep(5 * COMMIT_INTERVAL_SECONDS)
    print(f"{what}: {sum(expected.values())} words counted", flush=True)


def members_of():
    group, admin = "streams-wordcount", client(AdminClient)
    told = admin.describe_consumer_groups([group])[group].result(10)
    return len(told.members) if told.state.name == "STABLE" else 0


def tell():
    admin = client(AdminClient)
    new = [NewTopic(name, num_partitions=PARTITIONS, replication_factor=1)
           for name in (INPUT, OUTPUT)]
    for future in admin.create_topics(new).values():
        future.result(10)
    write(500)
    first = Instance("first")
    wait("one instance", 1)
    Instance("second")
    wait("two instances", 2)
    write(500)
    wait("more lines", 2)
    first.kill()
    write(500)
    wait("one was killed", 1)
    if broker.is_ours:
        broker.restart_after_kill()
        write(500)
        wait("the broker was killed", 1)


broker, instances, expected = Broker(), [], {}
try:
    tell()
finally:
    for one in list(instances):
        one.kill()
    broker.stop()
print("well")

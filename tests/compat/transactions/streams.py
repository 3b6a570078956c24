"""Kafka Streams, exactly once: orders are joined with their customers' regions and added up by them.

Two instances of java/Orders.java work while orders come in; one is killed, another one added, and the
broker is killed too. Each order must have been joined exactly once, and each region's sum be what the
orders say, as readers of committed records see it.
"""
import os
import random
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(1, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "groups"))

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from broker import Broker
from clients import BUILT, HERE
from flow import QUIET

PARTITIONS = 4
ORDERS_PER_SECOND = 300
PATIENCE_SECONDS = 120
CUSTOMERS = {f"customer-{number}": f"region-{number % 7}" for number in range(40)}
COMMAND = ["java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx256m",
           f"-Dlog4j2.configurationFile={HERE}/../kafka/log4j2.xml", "-Dkafka.log.level=ERROR",
           "-cp", f"{BUILT}/java:{os.environ.get('KAFKA_LIBS')}/*", "Orders"]


class Instance:
    def __init__(self):
        self.said, self.folder = tempfile.TemporaryFile("w+"), tempfile.TemporaryDirectory()
        self.process = subprocess.Popen([*COMMAND, broker.address, self.folder.name],
                                        stdout=self.said, stderr=self.said, text=True)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def words(self):
        self.said.seek(0)
        return self.said.readlines()


class Orders:
    """Orders that come in all the time, and what they add up to."""

    def __init__(self):
        self.producer = Producer({
            "bootstrap.servers": broker.address, "enable.idempotence": True, "linger.ms": 5,
            "message.timeout.ms": 60000, "reconnect.backoff.max.ms": 500, **QUIET})
        self.count, self.sums, self.flowing = 0, {}, True
        for customer, region in CUSTOMERS.items():
            self.producer.produce("compat-customers", region, customer)
        self.flush()
        self.thread = threading.Thread(target=self.flow, daemon=True)

    def flow(self):
        while self.flowing:
            for _ in range(ORDERS_PER_SECOND // 20):
                customer, amount = random.choice(list(CUSTOMERS)), random.randrange(1000)
                self.producer.produce("compat-orders", f"{self.count} {amount}", customer)
                count, total = self.sums.get(CUSTOMERS[customer], (0, 0))
                self.sums[CUSTOMERS[customer]] = count + 1, total + amount
                self.count += 1
            self.producer.poll(0)
            time.sleep(0.05)

    def flush(self):
        if self.producer.flush(60):
            raise SystemExit("not everything was produced")

    def stop(self):
        self.flowing = False
        self.thread.join()
        self.flush()


class Reader:
    """What readers of committed records see."""

    def __init__(self):
        self.consumer = Consumer({
            "bootstrap.servers": broker.address, "group.id": "reader", "enable.auto.commit": False,
            "isolation.level": "read_committed", "reconnect.backoff.max.ms": 500, **QUIET})
        self.consumer.assign([TopicPartition(topic, at, 0) for at in range(PARTITIONS)
                              for topic in ("compat-joined", "compat-regions")])
        self.joined, self.sums = {}, {}

    def read(self):
        for message in self.consumer.consume(2000, 0.2):
            if message.error():
                continue
            words = message.value().decode().split()
            if message.topic() == "compat-joined":
                self.joined[int(words[0])] = self.joined.get(int(words[0]), 0) + 1
            else:
                self.sums[message.key().decode()] = int(words[0]), int(words[1])


def wait_for(what, is_so):
    until = time.monotonic() + PATIENCE_SECONDS
    while not is_so():
        if time.monotonic() > until:
            for one in instances:
                print("an instance says:", *one.words()[-8:], sep="\n", file=sys.stderr)
            raise SystemExit(f"in vain: {what}; {len(reader.joined)} of {orders.count} were joined, "
                             f"the sums are {reader.sums} where {orders.sums} are expected")
        reader.read()


def wait_for_more(what):
    before = orders.count
    wait_for(what, lambda: reader.joined and max(reader.joined) >= before + ORDERS_PER_SECOND)
    print(f"{what}: {len(reader.joined)} orders", flush=True)


def tell():
    orders.thread.start()
    instances.append(Instance())
    wait_for_more("one instance")
    instances.append(Instance())
    wait_for_more("two instances")
    instances.pop(0).kill()
    wait_for_more("one was killed")
    instances.append(Instance())
    wait_for_more("one was added")
    if broker.is_ours:
        broker.restart_after_kill()
        wait_for_more("the broker was killed")
    orders.stop()
    wait_for("all orders", lambda: len(reader.joined) == orders.count and reader.sums == orders.sums)
    # Whatever comes too often comes now.
    until = time.monotonic() + 3
    while time.monotonic() < until:
        reader.read()
    twice = [number for number, count in reader.joined.items() if count != 1]
    if twice or reader.sums != orders.sums:
        raise SystemExit(f"joined twice: {twice[:20]}; sums {reader.sums}, not {orders.sums}")
    print(f"{orders.count} orders, each joined once; {len(orders.sums)} sums are right")


broker, instances = Broker(), []
try:
    admin = AdminClient({"bootstrap.servers": broker.address, **QUIET})
    new = [NewTopic(name, num_partitions=PARTITIONS, replication_factor=1, config=config)
           for name, config in (("compat-orders", {}), ("compat-joined", {}), ("compat-regions", {}),
                                ("compat-customers", {"cleanup.policy": "compact"}))]
    for made in admin.create_topics(new).values():
        made.result(10)
    orders, reader = Orders(), Reader()
    tell()
except SystemExit:
    print(broker.log(), file=sys.stderr)
    raise
finally:
    for one in instances:
        one.kill()
    broker.stop()
print("well")

"""copies.py CLIENT: a client copies a topic into another, each batch and its offsets in a transaction.

Two copiers share the work (or there is one), and abort every fifth transaction on purpose. One is killed and started
again under its transactional id, and so is the broker (where it is ours). A reader of committed
records has then seen each record exactly once, and no transaction is left open.
A copier is started as PROGRAM ADDRESS FROM TO GROUP TRANSACTIONAL_ID, prints a line for each
transaction that it has committed, and ends on SIGTERM. One that cannot go on ends with an error.
"""
import os
import subprocess
import sys
import tempfile
import time

sys.path.insert(1, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "groups"))

from confluent_kafka import Consumer, IsolationLevel, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic, OffsetSpec

from broker import Broker
from clients import BUILT, HERE
from flow import Flow, PARTITIONS, QUIET

COPIERS = {
    "java": ["java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx128m",
             f"-Dlog4j2.configurationFile={HERE}/../kafka/log4j2.xml", "-Dkafka.log.level=ERROR",
             "-cp", f"{BUILT}/java:{os.environ.get('KAFKA_LIBS')}/*", "Copier"],
    "librdkafka": [sys.executable, "-B", f"{HERE}/python/copier_librdkafka.py"],
    "aiokafka": [sys.executable, "-B", f"{HERE}/python/copier_aiokafka.py"],
    "franz-go": [f"{BUILT}/go/copier-franz-go"],
    "sarama": [f"{BUILT}/go/copier-sarama"],
}
# Their transactions do not say which member's offsets they commit: one that was taken for dead is
# not kept from committing, so a group of theirs can have one copier only.
ALONE = ["aiokafka", "sarama"]
PATIENCE_SECONDS = 60


class Copier:
    def __init__(self, command):
        self.said = tempfile.TemporaryFile("w+")
        self.command, self.process = command, None
        self.start()

    def start(self):
        self.process = subprocess.Popen(self.command, stdout=self.said, stderr=self.said, text=True)

    def look(self):
        """One that ended by itself, as after a fatal error, is started again."""
        if self.process and self.process.poll() is not None:
            self.start()

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process = None

    def stop(self):
        if self.process:
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.kill()

    def words(self):
        self.said.seek(0)
        return self.said.readlines()


class Reader:
    """Counts what readers of committed records see."""

    def __init__(self, address, topic):
        self.seen = {}
        self.consumer = Consumer({
            "bootstrap.servers": address, "group.id": "reader", "enable.auto.commit": False,
            "isolation.level": "read_committed", "reconnect.backoff.max.ms": 500, **QUIET})
        self.consumer.assign([TopicPartition(topic, at, 0) for at in range(PARTITIONS)])

    def read(self):
        for message in self.consumer.consume(1000, 0.2):
            if not message.error():
                number = int(message.value())
                self.seen[number] = self.seen.get(number, 0) + 1


class Story:
    def __init__(self, broker, client):
        self.broker, self.client = broker, client
        self.source, self.target = f"from-{client}", f"to-{client}"
        admin = AdminClient({"bootstrap.servers": broker.address, **QUIET})
        new = [NewTopic(name, num_partitions=PARTITIONS, replication_factor=1)
               for name in (self.source, self.target)]
        for made in admin.create_topics(new).values():
            made.result(10)
        self.flow = Flow(broker.address, self.source)
        self.copiers = [self.copier(at) for at in range(1 if client in ALONE else 2)]
        self.reader = Reader(broker.address, self.target)

    def copier(self, at):
        return Copier([*COPIERS[self.client], self.broker.address, self.source, self.target,
                       f"copy-{self.client}", f"copier-{self.client}-{at}"])

    def wait_for(self, what, is_so):
        until = time.monotonic() + PATIENCE_SECONDS
        while not is_so():
            if time.monotonic() > until:
                for one in self.copiers:
                    print("a copier says:", *one.words()[-6:], sep="\n", file=sys.stderr)
                missing = set(range(self.flow.count)) - set(self.reader.seen)
                raise SystemExit(f"in vain: {what}; {len(missing)} of {self.flow.count} are missing")
            for one in self.copiers:
                one.look()
            self.reader.read()

    def wait_for_more(self, what):
        first = self.flow.count
        of = {(number - first) % PARTITIONS for number in range(first, first + PARTITIONS)}
        self.wait_for(what, lambda: {
            (number - first) % PARTITIONS for number in self.reader.seen if number >= first} == of)

    def is_all_stable(self):
        admin = AdminClient({"bootstrap.servers": self.broker.address, **QUIET})
        places = {TopicPartition(self.target, at): OffsetSpec.latest() for at in range(PARTITIONS)}
        ends = [admin.list_offsets(places, isolation_level=level)
                for level in (IsolationLevel.READ_COMMITTED, IsolationLevel.READ_UNCOMMITTED)]
        stable, all_of_it = ([one.result(10).offset for one in end.values()] for end in ends)
        return stable == all_of_it

    def stop(self):
        for one in self.copiers:
            one.stop()

    def tell(self):
        self.flow.start()
        self.wait_for_more("copies come")
        self.copiers[0].kill()
        if len(self.copiers) > 1:
            self.wait_for_more("the other one copies everything")
        self.copiers[0].start()
        self.wait_for_more("all copy")
        if self.broker.is_ours:
            self.broker.restart_after_kill()
            self.wait_for_more("copies after the broker was killed")
        self.flow.stop()
        numbers = set(range(self.flow.count))
        self.wait_for("every record", lambda: set(self.reader.seen) >= numbers)
        self.wait_for("no transaction is open", self.is_all_stable)
        self.stop()
        self.reader.read()
        twice = [number for number, count in self.reader.seen.items() if count != 1]
        if twice or set(self.reader.seen) != numbers:
            raise SystemExit(f"{len(twice)} of {self.flow.count} came twice: {twice[:20]}")
        committed = sum(word.startswith("committed") for one in self.copiers for word in one.words())
        print(f"{self.client}: {self.flow.count} records, {committed} transactions")
        if committed < 10:
            raise SystemExit("hardly a transaction")


if __name__ == "__main__":
    broker = Broker()
    try:
        story = Story(broker, sys.argv[1])
        try:
            story.tell()
        finally:
            story.stop()
    except SystemExit:
        print(broker.log(), file=sys.stderr)
        raise
    finally:
        broker.stop()
    print("well")

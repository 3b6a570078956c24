"""Kafka Connect copies a file into a topic and the topic into a file: alone, and by two workers.

Lines are added, the broker is killed, and in the end a worker too. Every line must arrive, and as
long as nothing dies none may come twice. In the end a source writes in transactions: there no line
may come twice whatever dies.
"""
import json
import os
import socket
import subprocess
import time
import urllib.request

from confluent_kafka import Consumer, TopicPartition

from broker import Broker

HERE = os.path.dirname(os.path.abspath(__file__))
PATIENCE_SECONDS = 90
WORKER = """
key.converter=org.apache.kafka.connect.storage.StringConverter
value.converter=org.apache.kafka.connect.storage.StringConverter
offset.flush.interval.ms=500
plugin.discovery=service_load
consumer.auto.offset.reset=earliest
"""
DISTRIBUTED = """
group.id=compat-connect
session.timeout.ms=6000
heartbeat.interval.ms=500
scheduled.rebalance.max.delay.ms=1000
config.storage.topic=compat-connect-configs
config.storage.replication.factor=1
offset.storage.topic=compat-connect-offsets
offset.storage.replication.factor=1
offset.storage.partitions=3
status.storage.topic=compat-connect-status
status.storage.replication.factor=1
status.storage.partitions=2
"""


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Worker:
    def __init__(self, program, name, *arguments):
        self.log = f"{folder}/{name}.log"
        with open(self.log, "w") as log:
            self.process = subprocess.Popen(
                [f"{HERE}/../../kafka/kafka", f"org.apache.kafka.connect.cli.{program}",
                 *arguments],
                stdout=log, stderr=log, env=os.environ | {
                    "KAFKA_JAVA_OPTIONS": "-Dkafka.log.level=WARN -XX:TieredStopAtLevel=1"})
        workers.append(self)

    def stop(self):
        self.process.terminate()
        self.process.wait(60)


def properties(name, text, settings):
    path = f"{folder}/{name}.properties"
    with open(path, "w") as file:
        file.write(text + "".join(f"{key}={value}\n" for key, value in settings.items()))
    return path


def connectors(name):
    """The settings of the source and of the sink."""
    source = {"name": f"{name}-source", "file": f"{folder}/{name}.in",
              "connector.class": "FileStreamSource", "topic": name, "tasks.max": 1,
              "topic.creation.default.partitions": 3,
              "topic.creation.default.replication.factor": 1}
    sink = {"name": f"{name}-sink", "file": f"{folder}/{name}.out",
            "connector.class": "FileStreamSink", "topics": name, "tasks.max": 2}
    return source, sink


class Copy:
    def __init__(self, name):
        self.name, self.written = name, 0
        self.add(1000)

    def add(self, count):
        with open(f"{folder}/{self.name}.in", "a") as file:
            for number in range(self.written, self.written + count):
                file.write(f"line {number}\n")
        self.written += count

    def lines(self):
        try:
            with open(f"{folder}/{self.name}.out") as file:
                return file.read().split("\n")[:-1]
        except FileNotFoundError:
            return []

    def wait(self, what):
        expected = {f"line {number}" for number in range(self.written)}
        until = time.monotonic() + PATIENCE_SECONDS
        while not expected <= set(self.lines()):
            if time.monotonic() > until or any(one.process.poll() is not None for one in workers):
                raise SystemExit(f"{self.name}: {what}: {len(set(self.lines()))} lines of "
                                 f"{self.written} arrived\n{logs()}")
            time.sleep(0.3)
        again = len(self.lines()) - self.written
        print(f"{self.name}: {what}: {self.written} lines, {again} of them again", flush=True)
        return again


def logs():
    parts = [subprocess.run(["tail", "-n", "30", one.log], capture_output=True, text=True).stdout
             for one in workers]
    return "\n".join(parts + [broker.log()])


def exactly(again):
    if again:
        raise SystemExit("lines came twice though nothing had died")


def alone():
    copy = Copy("compat-connect-alone")
    worker = properties(
        "alone", WORKER, {"bootstrap.servers": broker.address,
                          "offset.storage.file.filename": f"{folder}/alone.offsets",
                          "listeners": f"http://127.0.0.1:{free_port()}"})
    settings = [properties(one["name"], "", one) for one in connectors(copy.name)]
    started = Worker("ConnectStandalone", "alone", worker, *settings)
    exactly(copy.wait("standalone"))
    copy.add(500)
    exactly(copy.wait("more lines"))
    if broker.is_ours:
        broker.restart_after_kill()
        copy.add(500)
        copy.wait("the broker was killed")
    started.stop()
    workers.remove(started)


def request(port, method, path, body=None):
    asked = urllib.request.Request(
        f"http://127.0.0.1:{port}{path}", method=method,
        headers={"Content-Type": "application/json"},
        data=json.dumps(body).encode() if body else None)
    with urllib.request.urlopen(asked, timeout=60) as answer:
        return json.loads(answer.read() or "null")


def patiently(question):
    until = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return question()
        except OSError as error:  # not there yet, or between two leaders
            if time.monotonic() > until:
                raise SystemExit(f"{error}\n{logs()}") from error
            time.sleep(0.5)


def working(port):
    """The workers on which tasks run."""
    told = patiently(lambda: request(port, "GET", "/connectors?expand=status")).values()
    tasks = [task for one in told for task in one["status"]["tasks"]]
    return {task["worker_id"] for task in tasks if task["state"] == "RUNNING"}


def together():
    copy = Copy("compat-connect-together")
    ports = [free_port(), free_port()]
    started = [
        Worker("ConnectDistributed", f"together-{port}", properties(
            f"together-{port}", WORKER + DISTRIBUTED,
            {"bootstrap.servers": broker.address, "listeners": f"http://127.0.0.1:{port}"}))
        for port in ports]
    for port in ports:
        patiently(lambda: request(port, "GET", "/connectors"))
    for settings in connectors(copy.name):
        path = f"/connectors/{settings['name']}/config"
        text = {key: str(value) for key, value in settings.items()}
        patiently(lambda: request(ports[0], "PUT", path, text))
    copy.wait("two workers")
    if broker.is_ours:
        broker.restart_after_kill()
        copy.add(500)
        copy.wait("the broker was killed")
    until = time.monotonic() + PATIENCE_SECONDS
    while len(working(ports[0])) < 2:
        if time.monotonic() > until:
            raise SystemExit(f"tasks do not run on both workers\n{logs()}")
        time.sleep(0.5)
    workers.remove(started[0])
    started[0].process.kill()
    copy.add(500)
    copy.wait("one worker was killed")
    for settings in connectors(copy.name):
        patiently(lambda: request(ports[1], "DELETE", f"/connectors/{settings['name']}"))
    started[1].stop()
    workers.remove(started[1])


class Committed:
    """What readers of committed records see of a topic."""

    def __init__(self, topic, partitions):
        self.consumer = Consumer({
            "bootstrap.servers": broker.address, "group.id": "unused", "log_level": 2,
            "isolation.level": "read_committed", "reconnect.backoff.max.ms": 500})
        self.consumer.assign([TopicPartition(topic, at, 0) for at in range(partitions)])
        self.seen = {}

    def read(self):
        for message in self.consumer.consume(1000, 0.3):
            if not message.error():
                line = message.value().decode()
                self.seen[line] = self.seen.get(line, 0) + 1

    def wait(self, copy, what):
        expected = {f"line {number}" for number in range(copy.written)}
        until = time.monotonic() + PATIENCE_SECONDS
        while not expected <= set(self.seen):
            if time.monotonic() > until:
                raise SystemExit(f"{copy.name}: {what}: {len(self.seen)} lines of {copy.written} "
                                 f"are committed\n{logs()}")
            self.read()
        twice = [line for line, count in self.seen.items() if count > 1]
        if twice:
            raise SystemExit(f"{copy.name}: {what}: twice: {twice[:10]}\n{logs()}")
        print(f"{copy.name}: {what}: {copy.written} lines, each once", flush=True)


def exactly_once():
    copy = Copy("compat-connect-once")
    ports = [free_port(), free_port()]
    own = {"bootstrap.servers": broker.address, "exactly.once.source.support": "enabled",
           "group.id": copy.name} | {
               f"{kind}.storage.topic": f"{copy.name}-{kind}" for kind in ("config", "offset", "status")}
    started = {port: Worker("ConnectDistributed", f"once-{port}", properties(
        f"once-{port}", WORKER + DISTRIBUTED, own | {"listeners": f"http://127.0.0.1:{port}"}))
        for port in ports}
    for port in ports:
        patiently(lambda: request(port, "GET", "/connectors"))
    source, _ = connectors(copy.name)
    source |= {"exactly.once.support": "required", "transaction.boundary": "poll", "batch.size": 100}
    path = f"/connectors/{source['name']}/config"
    patiently(lambda: request(
        ports[0], "PUT", path, {key: str(value) for key, value in source.items()}))
    until = time.monotonic() + PATIENCE_SECONDS
    while not working(ports[0]):
        if time.monotonic() > until:
            raise SystemExit(f"the task does not run\n{logs()}")
        time.sleep(0.3)
    committed = Committed(copy.name, 3)
    committed.wait(copy, "in transactions")
    if broker.is_ours:
        copy.add(500)
        broker.restart_after_kill()
        copy.add(500)
        committed.wait(copy, "the broker was killed")
    copy.add(2000)
    time.sleep(0.2)
    busy = int(patiently(lambda: working(ports[0])).pop().rsplit(":", 1)[1])
    victim = started.pop(busy)
    workers.remove(victim)
    victim.process.kill()
    copy.add(500)
    committed.wait(copy, "the worker with the task was killed")
    # Whatever comes too often comes now.
    for _ in range(10):
        committed.read()
    committed.wait(copy, "in the end")
    for left in started.values():
        left.stop()
        workers.remove(left)


broker, workers = Broker(), []
folder = broker.folder.name
try:
    alone()
    together()
    exactly_once()
finally:
    for one in workers:
        one.process.kill()
    broker.stop()
print("well")

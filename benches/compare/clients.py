#!/usr/bin/env python3
"""Milena's client beside librdkafka's and Kafka's own, against the same broker.

    benches/compare/clients.py [--system milena|kafka] [--clients milena,rdkafka,java]
                               [--sizes 100,1024] [--codecs none,lz4] [--seconds S] [--rounds N]

What counts is the client's own process time for each record. All produce with batches of 64 KiB,
linger 5 ms, acks=all and idempotence; the topic has 12 partitions, and all read the same one, by
hand-assigned partitions. Each case is run in turn, N times, and the table shows the median. Needs
Java 17 for Kafka's client, and a C compiler for librdkafka.
"""

import argparse
import json
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile

import compare

HERE = pathlib.Path(__file__).resolve().parent
SETTINGS = ["acks=all", "enable.idempotence=true", "linger.ms=5", "batch.size=65536"]
# librdkafka counts a batch's records as well, and its memory by another key.
OF_CLIENT = {
    "milena": ["buffer.memory=67108864"],
    "java": ["buffer.memory=67108864"],
    "rdkafka": ["batch.num.messages=1000000", "queue.buffering.max.kbytes=65536",
                "queue.buffering.max.messages=10000000"],
}
# Kafka's client has to be told how to read, librdkafka who reads and from where.
OF_READER = {
    "milena": ["max.poll.records=5000"],
    "java": [f"{of}.deserializer=org.apache.kafka.common.serialization.ByteArrayDeserializer"
             for of in ("key", "value")] + ["max.poll.records=5000"],
    "rdkafka": ["group.id=unused", "enable.auto.commit=false", "queued.min.messages=1000000"],
}


def built():
    """How each client is started; those in Rust are built first."""
    def cargo(*arguments, cwd):
        subprocess.run(["cargo", "build", "--release", "--locked", *arguments], cwd=cwd, check=True)
        metadata = ["cargo", "metadata", "--format-version", "1", "--no-deps"]
        told = subprocess.run(metadata, cwd=cwd, check=True, capture_output=True, text=True).stdout
        return pathlib.Path(json.loads(told)["target_directory"]) / "release"

    def milena():
        examples = ("--example", "produce_load", "--example", "consume_load")
        folder = cargo("-p", "milena-client", *examples, cwd=compare.ROOT) / "examples"
        return [str(folder / "produce_load")], [str(folder / "consume_load")]

    def rdkafka():
        program = str(cargo(cwd=HERE / "rdkafka") / "rdkafka-load")
        return [program, "produce"], [program, "consume"]

    def java():
        program = ["java", "-Xmx512m", f"-Dlog4j2.configurationFile={compare.RIG}/log4j2.xml", "-cp",
                   f"{compare.RIG}/libs/*"]
        return ([*program, str(HERE / "ProducerLoad.java")],
                [*program, str(HERE / "ConsumerLoad.java")])

    return {"milena": milena, "rdkafka": rdkafka, "java": java}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--system", default="milena", help="whose broker")
    parser.add_argument("--clients", default="milena,rdkafka,java")
    parser.add_argument("--sizes", default="100,1024")
    parser.add_argument("--codecs", default="none,lz4")
    parser.add_argument("--seconds", type=int, default=5, help="about how long a run takes")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    commands = {client: built()[client]() for client in arguments.clients.split(",")}
    folder = pathlib.Path(tempfile.mkdtemp(prefix="clients-"))
    settings = ["num.partitions=12", "auto.create.topics.enable=true"]
    broker = compare.Broker(arguments.system, folder, extra=settings)
    print("| bytes | codec | client | produce: CPU us/record | records/s | consume: CPU us/record "
          "| records/s |\n|---|---|---|---|---|---|---|")
    try:
        for size in map(int, arguments.sizes.split(",")):
            for codec in arguments.codecs.split(","):
                one_case(broker, commands, size, codec, arguments)
    finally:
        broker.stop()
        shutil.rmtree(folder, ignore_errors=True)


def told(client, *run):
    done = subprocess.run([str(word) for word in run], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{client} said:\n{done.stdout[-1000:]}\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def one_case(broker, commands, size, codec, arguments):
    records = arguments.seconds * (1_000_000 if size < 500 else 150_000)
    produced = {client: [] for client in commands}
    consumed = {client: [] for client in commands}
    for number in range(arguments.rounds):
        for client, (produce, _) in commands.items():
            topic = f"{client}-{size}-{codec}-{number}"
            settings = [*SETTINGS, f"compression.type={codec}", *OF_CLIENT[client]]
            run = [*produce, broker.server, topic, records, size, *settings]
            produced[client].append(told(client, *run))
        # What the first of them has written, all read.
        topic = f"{next(iter(commands))}-{size}-{codec}-{number}"
        for client, (_, consume) in commands.items():
            run = [*consume, broker.server, topic, records, *OF_READER[client]]
            consumed[client].append(told(client, *run))
    for client in commands:
        cells = [f"{statistics.median(run[key] for run in runs):{form}}"
                 for runs in (produced[client], consumed[client])
                 for key, form in (("cpu_us_per_record", ".2f"), ("records_per_s", ",.0f"))]
        print(f"| {size} | {codec} | {client} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()

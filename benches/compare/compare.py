#!/usr/bin/env python3
"""Milena beside Apache Kafka: the same load on each, in one run, on one machine.

    benches/compare/compare.py [--cases NAME,...] [--systems milena,milena-lazy,kafka] [--rounds N]
                               [--seconds S] [--out FILE]

Real processes on loopback; the load is Kafka's own perf tools. What a broker costs is its own
process time (user and system, from /proc), not the machine's. Each case is run once to warm up and
then N times, the systems in turn; the table shows the median and, for the milena columns, the
ratio to Kafka's. Kafka runs at its defaults, without fsync; `milena` waits for fsync before every
acknowledgement, `milena-lazy` does what Kafka does.
"""

import argparse
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
RIG = ROOT / "tests" / "kafka"
MILENA = os.environ.get("MILENA", str(ROOT / "target" / "release" / "milena"))
TICK = os.sysconf("SC_CLK_TCK")
PERF = "org.apache.kafka.tools."


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def kafka_tool(*arguments, heap="-Xmx512m", wanted=None):
    """What a tool prints; it must succeed, or at least print `wanted`."""
    environment = dict(os.environ, KAFKA_HEAP=heap)
    command = [str(RIG / "kafka"), *map(str, arguments)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode != 0 and not (wanted and wanted in done.stdout):
        sys.exit(f"{' '.join(command)} failed:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
    return done.stdout


def log_of(folder):
    path = folder / "log"
    return path.read_text(errors="replace") if path.exists() else ""


class Broker:
    """One broker process; `name` says which system."""

    def __init__(self, name, folder, extra=(), port=None):
        self.name, self.folder, self.extra = name, folder, extra
        self.port = port or free_port()
        log = open(folder / "log", "ab")
        if name == "kafka":
            environment = dict(os.environ, KAFKA_HEAP="-Xms1g -Xmx1g",
                               KAFKA_CONFIG="\n".join(extra))
            command = [str(RIG / "broker.sh"), str(folder), str(self.port)]
        else:
            environment = os.environ
            command = [MILENA, "serve"]
            settings = [
                f"listeners=PLAINTEXT://127.0.0.1:{self.port}",
                f"log.dirs={folder / 'data'}",
                "auto.create.topics.enable=true",
                *extra,
            ]
            if name == "milena-lazy":
                settings.append("log.flush.interval.messages=9223372036854775807")
            command += [part for s in settings for part in ("--override", s)]
        started = time.monotonic()
        self.process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        said = len(log_of(folder))
        while not self.is_ready(log_of(folder)[said:]):
            if self.process.poll() is not None:
                sys.exit(f"{name} did not start:\n{log_of(folder)[-2000:]}")
            time.sleep(0.002)
        self.start_seconds = time.monotonic() - started

    def is_ready(self, said):
        """Whether it serves: Milena says so, Kafka is asked."""
        if self.name != "kafka":
            return "ready " in said
        try:
            socket.create_connection(("127.0.0.1", self.port), 0.2).close()
            return True
        except OSError:
            return False

    @property
    def server(self):
        return f"127.0.0.1:{self.port}"

    def cpu_seconds(self):
        # The rig's script has become the broker: it runs it with exec.
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICK

    def memory_mib(self, which="VmHWM"):
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(rf"{which}:\s+(\d+)", status).group(1)) / 1024

    def written_mib(self):
        io = pathlib.Path(f"/proc/{self.process.pid}/io").read_text()
        return int(re.search(r"write_bytes: (\d+)", io).group(1)) / 2**20

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def machine_seconds():
    fields = pathlib.Path("/proc/stat").read_text().splitlines()[0].split()[1:]
    user, nice, system, _idle, _wait, irq, softirq, *_ = map(int, fields)
    return (user + nice + system + irq + softirq) / TICK


def measured(broker, run):
    """What `run` costs the broker: CPU, the whole machine's CPU, bytes to disk."""
    cpu, machine, written = broker.cpu_seconds(), machine_seconds(), broker.written_mib()
    began = time.monotonic()
    result = run()
    result["wall"] = time.monotonic() - began
    result["cpu"] = broker.cpu_seconds() - cpu
    result["machine"] = machine_seconds() - machine
    result["written"] = broker.written_mib() - written
    return result


def create_topic(broker, topic, partitions=12):
    kafka_tool(PERF + "TopicCommand", "--bootstrap-server", broker.server, "--create", "--topic",
               topic, "--partitions", partitions, "--replication-factor", 1)


def produce(broker, topic, records, size, compression="none", rate=-1, linger=5):
    out = kafka_tool(
        PERF + "ProducerPerformance", "--topic", topic, "--num-records", records, "--record-size",
        size, "--throughput", rate, "--producer-props", f"bootstrap.servers={broker.server}",
        "acks=all", f"linger.ms={linger}", "batch.size=65536", f"compression.type={compression}",
        "buffer.memory=67108864")
    last = out.strip().splitlines()[-1]
    found = re.search(r"([\d.]+) records/sec.*?([\d.]+) ms avg latency, ([\d.]+) ms max.*?"
                      r"(\d+) ms 50th, (\d+) ms 95th, (\d+) ms 99th, (\d+) ms 99.9th", last)
    if not found or "error" in out.lower():
        sys.exit(f"producer against {broker.name} said:\n{out[-2000:]}")
    rate, average, _, p50, _, p99, _ = map(float, found.groups())
    return {"records": records, "rate": rate, "average": average, "p50": p50, "p99": p99}


def consume(broker, topic, records):
    """Reads the topic by hand-assigned partitions."""
    command = ["java", "-Xmx512m", f"-Dlog4j2.configurationFile={RIG}/log4j2.xml", "-cp",
               f"{RIG}/libs/*", str(HERE / "Reader.java"), broker.server, topic, str(records)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"reader of {broker.name} said:\n{done.stderr[-2000:]}")
    read, _, milliseconds = map(int, done.stdout.split()[-3:])
    return {"records": read, "rate": read / milliseconds * 1000}


def end_to_end(broker, topic, records):
    # It commits offsets when all is measured, which needs groups: what it printed counts.
    out = kafka_tool(
        PERF + "EndToEndLatency", "--bootstrap-server", broker.server, "--topic", topic,
        "--num-records", records, "--producer-acks", "all", "--record-size", 1024,
        wanted="Percentiles")
    p50, p99 = re.search(r"50th = (\d+), 99th = (\d+)", out).groups()
    return {"records": records, "p50": float(p50), "p99": float(p99)}


def case_produce(size, compression, seconds, pace):
    def prepare(broker):
        create_topic(broker, "warm")
        produce(broker, "warm", pace // 2, size, compression)

    def run(broker, number):
        topic = f"run-{number}"
        create_topic(broker, topic)
        return measured(broker, lambda: produce(broker, topic, pace * seconds, size, compression))

    return prepare, run


def case_paced(seconds):
    def prepare(broker):
        create_topic(broker, "warm")
        produce(broker, "warm", 100_000, 1024)

    def run(broker, number):
        topic = f"run-{number}"
        create_topic(broker, topic)
        records = 20_000 * seconds
        return measured(broker, lambda: produce(broker, topic, records, 1024, rate=20_000))

    return prepare, run


def case_consume(size, seconds, pace):
    records = pace * seconds

    def prepare(broker):
        create_topic(broker, "full")
        produce(broker, "full", records, size)
        consume(broker, "full", records // 2)

    def run(broker, number):
        return measured(broker, lambda: consume(broker, "full", records))

    return prepare, run


# EndToEndLatency counts its own first records, with which its JVM gets warm.
END_TO_END_RECORDS_MIN = 10_000


def case_end_to_end(seconds):
    def prepare(broker):
        create_topic(broker, "warm", 1)
        end_to_end(broker, "warm", 2000)

    def run(broker, number):
        create_topic(broker, "run", 1)
        records = max(1000 * seconds, END_TO_END_RECORDS_MIN)
        return measured(broker, lambda: end_to_end(broker, "run", records))

    return prepare, run


CASES = {
    "produce 1 KiB": lambda s: case_produce(1024, "none", s, 150_000),
    "produce 1 KiB lz4": lambda s: case_produce(1024, "lz4", s, 150_000),
    "produce 100 B": lambda s: case_produce(100, "none", s, 1_000_000),
    "produce 100 B lz4": lambda s: case_produce(100, "lz4", s, 1_000_000),
    "paced 1 KiB at 20000/s": case_paced,
    "consume 1 KiB": lambda s: case_consume(1024, s, 150_000),
    "consume 100 B": lambda s: case_consume(100, s, 1_000_000),
    "end to end 1 KiB": case_end_to_end,
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", default=",".join(CASES))
    parser.add_argument("--systems", default="milena,milena-lazy,kafka")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=5, help="about how long a run takes")
    parser.add_argument("--folder", help="where data go; a fresh one under the working folder")
    parser.add_argument("--out", help="all single results, as JSON")
    arguments = parser.parse_args()
    systems = arguments.systems.split(",")
    if "MILENA" not in os.environ and any(s.startswith("milena") for s in systems):
        subprocess.run(["cargo", "build", "--release", "--locked", "-p", "milena"], cwd=ROOT,
                       check=True)
    folder = pathlib.Path(tempfile.mkdtemp(prefix="compare-", dir=arguments.folder or ROOT / "target"))
    results = {}
    try:
        for case in arguments.cases.split(","):
            prepare, run = CASES[case](arguments.seconds)
            for number in range(arguments.rounds):
                # In turn and one at a time, so that each has the machine, in good times and bad.
                for system in systems:
                    home = folder / f"{system}-{number}"
                    home.mkdir()
                    broker = Broker(system, home)
                    try:
                        prepare(broker)
                        result = run(broker, number)
                        result["memory"] = broker.memory_mib()
                        result["start"] = broker.start_seconds
                    finally:
                        broker.stop()
                        shutil.rmtree(home, ignore_errors=True)
                    results.setdefault(case, {}).setdefault(system, []).append(result)
                    print(f"{case} | {system} | {result}", file=sys.stderr, flush=True)
        report(results, systems)
        if arguments.out:
            pathlib.Path(arguments.out).write_text(json.dumps(results, indent=1))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def report(results, systems):
    print("| case | system | CPU us/record | of Kafka's | records/s | of Kafka's | p50 ms | p99 ms |"
          " machine CPU us/record | written MiB | peak MiB |")
    print("|---|---|---|---|---|---|---|---|---|---|---|")
    for case, by_system in results.items():
        def median(system, key):
            values = [r[key] for r in by_system[system] if key in r]
            return statistics.median(values) if values else None

        def per_record(system, key):
            return statistics.median(r[key] / r["records"] * 1e6 for r in by_system[system])

        for system in systems:
            ratio = lambda ours, theirs: f"{ours / theirs:.2f}" if "kafka" in systems else "-"
            cpu, rate = per_record(system, "cpu"), median(system, "rate")
            kafka = "kafka" if "kafka" in systems else system
            faster = ratio(rate, median(kafka, "rate")) if rate else "-"
            print(f"| {case} | {system} | {cpu:.2f} | {ratio(cpu, per_record(kafka, 'cpu'))} |"
                  f" {rate or 0:,.0f} | {faster} |"
                  f" {median(system, 'p50') or 0:.0f} | {median(system, 'p99') or 0:.0f} |"
                  f" {per_record(system, 'machine'):.2f} | {median(system, 'written'):,.0f} |"
                  f" {median(system, 'memory'):,.0f} |")


if __name__ == "__main__":
    main()

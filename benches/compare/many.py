#!/usr/bin/env python3
"""Many partitions on one small broker: how it starts, what it takes, whether it still answers.

    benches/compare/many.py [PARTITIONS]

Creates them by Kafka's AdminClient; stops the broker, starts it, and produces to 1,000 of them at
once; kills it and does so again. Then the same once more, with a record in every partition.
"""

import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from compare import HERE, RIG, ROOT, Broker


def many(*arguments):
    command = ["java", "-Xmx1g", f"-Dlog4j2.configurationFile={RIG}/log4j2.xml", "-cp",
               f"{RIG}/libs/*", str(HERE / "Many.java"), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)}:\n{done.stderr[-2000:]}")
    return done.stdout


def started(folder):
    """A broker, and how long it took to its one line."""
    broker = Broker("milena", folder)
    return broker, broker.start_seconds


def stopped_and_killed(folder, broker):
    """Stops, then kills the broker; after each start produces to 1,000 partitions at once."""
    for how in (signal.SIGTERM, signal.SIGKILL):
        began = time.monotonic()
        broker.process.send_signal(how)
        broker.process.wait()
        print(f"  {how.name} takes {time.monotonic() - began:.1f} s", flush=True)
        broker, seconds = started(folder)
        print(f"  starts in {seconds:.2f} s, {broker.memory_mib('VmRSS'):.0f} MiB", flush=True)
        records, p50, p99 = many("produce", broker.server, 1000, 10).split()
        print(f"  {records} records to 1000 of them: p50 {p50} ms, p99 {p99} ms, "
              f"{broker.memory_mib():.0f} MiB at most", flush=True)
    return broker


def main():
    partitions = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    subprocess.run([str(RIG / "get-jars.sh")], check=True)
    (ROOT / "target").mkdir(exist_ok=True)
    folder = pathlib.Path(tempfile.mkdtemp(prefix="many-", dir=ROOT / "target"))
    try:
        broker, seconds = started(folder)
        print(f"empty: starts in {seconds * 1000:.0f} ms, {broker.memory_mib('VmRSS'):.0f} MiB")
        began = time.monotonic()
        many("create", broker.server, partitions)
        print(f"{partitions} partitions: created in {time.monotonic() - began:.1f} s, "
              f"{broker.memory_mib('VmRSS'):.0f} MiB", flush=True)
        broker = stopped_and_killed(folder, broker)
        records, p50, p99 = many("produce", broker.server, partitions, 10).split()
        print(f"a record in each of them, then {records}: p50 {p50} ms, p99 {p99} ms", flush=True)
        stopped_and_killed(folder, broker).stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""From process start to the first acknowledged record, and what 1,000 used partitions change.

    benches/compare/start.py [--rounds N] [--systems milena,kafka]

A client asks from before the broker's process begins, every half millisecond. `new` is a folder
that does not exist (Kafka is formatted first, outside of what is measured), `used` one with 1,000
partitions that have records, after a clean stop, `killed` the same after SIGKILL.
"""

import argparse
import pathlib
import shutil
import signal
import statistics
import subprocess
import tempfile
import time

from compare import ROOT, Broker, free_port
from groups import LOAD, get_ready
from many import many


def first_ack_ms(name, folder):
    port = free_port()
    client = subprocess.Popen([str(LOAD), f"127.0.0.1:{port}", "first"], stdout=subprocess.PIPE,
                              text=True)
    time.sleep(0.2)
    began = time.time()
    broker = Broker(name, folder, port=port)
    said, _ = client.communicate(timeout=120)
    return broker, (float(said.split()[1]) - began) * 1000


def measure(name, rounds):
    told = {"new": [], "used": [], "killed": []}
    for _ in range(rounds):
        folder = pathlib.Path(tempfile.mkdtemp(prefix="start-", dir=ROOT / "target"))
        try:
            if name == "kafka":
                Broker(name, folder).stop()
            broker, ms = first_ack_ms(name, folder)
            told["new"].append(ms)
            many("create", broker.server, 1000)
            many("produce", broker.server, 1000, 1)
            for case, how in (("used", signal.SIGTERM), ("killed", signal.SIGKILL)):
                broker.process.send_signal(how)
                broker.process.wait()
                broker, ms = first_ack_ms(name, folder)
                told[case].append(ms)
            broker.stop()
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    return told


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--systems", default="milena,kafka")
    arguments = parser.parse_args()
    get_ready()
    print("| system | new ms | used ms | killed ms |\n|---|---|---|---|")
    for name in arguments.systems.split(","):
        told = measure(name, arguments.rounds)
        cells = " | ".join(f"{statistics.median(times):.0f}" for times in told.values())
        print(f"| {name} | {cells} |", flush=True)


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""What a produced KiB costs a broker, over what it costs at the least.

    benches/compare/keep.py [SECONDS] [--systems bare,bare-durable,milena-lazy,milena,kafka]

At the least: a server that only receives what a producer sends, checks it and writes it to twelve
files (`bare`), or writes it to a ring and syncs that before (`bare-durable`), as Milena does. All of
them warm, at about the same rate, and the producer of the brokers is Kafka's.
"""

import argparse
import pathlib
import shutil
import signal
import subprocess
import tempfile

from compare import ROOT, Broker, create_topic, free_port, measured, produce
from groups import LOAD, get_ready, load

MIB_PER_SECOND = 200


class Bare(Broker):
    """A server that only receives and writes, measured as a broker is."""

    def __init__(self, name, folder):
        self.name, self.port = name, free_port()
        how = "durably" if name == "bare-durable" else "lazily"
        command = [str(LOAD), self.server, "keep", str(folder), how]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.process.stdout.readline()

    def give(self, seconds):
        told = load(self, "give", MIB_PER_SECOND * seconds, MIB_PER_SECOND)
        return {"kib": told["kib"], "rate": told["kib"] / told["seconds"]}


def cost(system, folder, seconds):
    """What each KiB costs the process of this system, once it is warm."""
    if system.startswith("bare"):
        server = Bare(system, folder)
        give = lambda: server.give(seconds)
    else:
        server = Broker(system, folder)
        create_topic(server, "run")
        records = MIB_PER_SECOND * 1024 * seconds

        def give():
            rate = produce(server, "run", records, 1024, rate=MIB_PER_SECOND * 1024)["rate"]
            return {"kib": records, "rate": rate}
    try:
        give()
        told = measured(server, give)
        return told["cpu"] / told["kib"] * 1e6, told["rate"] / 1024, told["written"]
    finally:
        server.process.send_signal(signal.SIGKILL)
        server.process.wait()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("seconds", type=int, nargs="?", default=15)
    parser.add_argument("--systems", default="bare,bare-durable,milena-lazy,milena,kafka")
    arguments = parser.parse_args()
    get_ready()
    costs = {}
    for system in arguments.systems.split(","):
        folder = pathlib.Path(tempfile.mkdtemp(prefix="keep-", dir=ROOT / "target"))
        try:
            costs[system] = cost(system, folder, arguments.seconds)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    print("| system | CPU us/KiB | of Kafka's | MiB/s | written MiB |\n|---|---|---|---|---|")
    for system, (cpu, rate, written) in costs.items():
        ratio = f"{cpu / costs['kafka'][0]:.2f}" if "kafka" in costs else "-"
        print(f"| {system} | {cpu:.2f} | {ratio} | {rate:.0f} | {written:,.0f} |")


if __name__ == "__main__":
    main()

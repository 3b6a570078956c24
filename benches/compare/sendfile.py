#!/usr/bin/env python3
"""What an answer to a reader costs the broker, over what `sendfile` of the same bytes costs.

    benches/compare/sendfile.py [ROUNDS]

Records of 100 bytes in 12 partitions are read through a broker, 1 MiB at a time, and their segments
from a server that does nothing but send ranges of files; in turn, both over loopback and from the
page cache, each for some seconds, since the kernel counts a process's time in steps of 10 ms.
"""

import pathlib
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile

from compare import ROOT, Broker, create_topic, free_port, measured, produce
from groups import LOAD, get_ready, load

RECORDS = 3_000_000
TIMES = 20


class Bare(Broker):
    """A server of files, measured as a broker is."""

    def __init__(self, files):
        self.name, self.port = "sendfile", free_port()
        self.process = subprocess.Popen([str(LOAD), self.server, "send", *map(str, files)],
                                        stdout=subprocess.PIPE, text=True)
        self.process.stdout.readline()


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 6
    get_ready()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="sendfile-", dir=ROOT / "target"))
    broker = bare = None
    try:
        broker = Broker("milena", folder)
        create_topic(broker, "run")
        produce(broker, "run", RECORDS, 100)
        files = sorted(folder.glob("data/run-*/*.log"))
        bare = Bare(files)
        runs = {
            "milena": (broker, ("read", "all", TIMES, "run")),
            "sendfile": (bare, ("receive", len(files), TIMES)),
        }
        costs = {name: [] for name in runs}
        for _ in range(rounds):
            for name, (server, arguments) in runs.items():
                told = measured(server, lambda: load(server, *arguments))
                costs[name].append(told["cpu"] / (RECORDS * TIMES) * 1e9)
        ratios = [ours / theirs for ours, theirs in zip(*costs.values())]
        print("| server | CPU ns/record of 100 bytes |\n|---|---|")
        for name, cost in costs.items():
            print(f"| {name} | {statistics.median(cost):.1f} |")
        print(f"\nratio {statistics.median(ratios):.2f}, from {min(ratios):.2f} to {max(ratios):.2f}")
    finally:
        for server in filter(None, (broker, bare)):
            server.process.send_signal(signal.SIGKILL)
            server.process.wait()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()

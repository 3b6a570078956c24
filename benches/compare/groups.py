#!/usr/bin/env python3
"""Groups on Milena beside Apache Kafka: what a commit and a heartbeat cost, how fast a group settles,
how long a coordinator reads its log, what an idle group takes.

    benches/compare/groups.py [--systems milena,kafka] [--rounds N] [--seconds S] [--cases NAME,...]

The load is `load/`, in Kafka's protocol. Each case starts an empty broker.
"""

import argparse
import pathlib
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile

from compare import HERE, MILENA, RIG, ROOT, Broker, measured

LOAD = HERE / "load" / "target" / "release" / "milena-load"


def get_ready():
    """Kafka's jars, the load, Milena."""
    subprocess.run([str(RIG / "get-jars.sh")], check=True)
    subprocess.run(["cargo", "build", "--release", "--quiet", "--manifest-path",
                    str(HERE / "load" / "Cargo.toml"), "--target-dir",
                    str(HERE / "load" / "target")], check=True)
    if MILENA == str(ROOT / "target" / "release" / "milena"):
        subprocess.run(["cargo", "build", "--release", "--quiet", "-p", "milena"], check=True,
                       cwd=ROOT)
    (ROOT / "target").mkdir(exist_ok=True)


def load(broker, *arguments):
    """The figures that the load prints, by name."""
    done = subprocess.run([str(LOAD), broker.server, *map(str, arguments)], capture_output=True,
                          text=True)
    if done.returncode != 0:
        sys.exit(f"load {arguments} on {broker.name}:\n{done.stderr[-2000:]}")
    words = done.stdout.split()
    return dict(zip(words[::2], map(float, words[1::2])))


def commits(broker, seconds):
    """Single commits, acknowledged, of 32 groups at once."""
    load(broker, "commits", 2, 32)
    told = measured(broker, lambda: load(broker, "commits", seconds, 32))
    return {"commits/s": told["per_second"], "p99 ms": told["p99_ms"],
            "CPU us/commit": told["cpu"] / told["count"] * 1e6}


def heartbeats(broker, seconds):
    """1,000 members in 100 groups over 1,000 partitions beat as fast as they can. What joining
    costs is in it, the same for both."""
    told = measured(broker, lambda: load(broker, "heartbeats", seconds, 100, 10, 1000))
    return {"beats/s": told["per_second"], "CPU us/beat": told["cpu"] / told["count"] * 1e6}


def rebalance(broker, _):
    """100 members over 1,000 partitions settle after one has left."""
    return {"settled ms": load(broker, "rebalance", 100, 1000)["milliseconds"]}


def reload(broker, _):
    """A million live commits in one partition: how long the coordinator reads them at its start."""
    load(broker, "fill", 1000, 1000)
    broker.stop()
    again = Broker(broker.name, broker.folder, broker.extra)
    told = load(again, "loaded", "group-999")
    memory = again.memory_mib("VmRSS")
    again.stop()
    return {"loaded ms": told["milliseconds"], "memory MiB": memory}


def idle(broker, _):
    """100,000 groups with one commit each: what they take."""
    before = broker.memory_mib("VmRSS")
    load(broker, "fill", 100000, 1)
    return {"memory MiB": broker.memory_mib("VmRSS") - before}


CASES = {"commits": commits, "heartbeats": heartbeats, "rebalance": rebalance, "reload": reload,
         "idle": idle}
# All groups of `reload` are to lie in one partition.
SETTINGS = {"reload": ["offsets.topic.num.partitions=1"]}


def run_cases(about, cases, settings):
    """Prints a table: each case on each system in turn, the median of the rounds."""
    parser = argparse.ArgumentParser(description=about.splitlines()[0])
    parser.add_argument("--systems", default="milena,kafka")
    parser.add_argument("--cases", default=",".join(cases))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=8)
    options = parser.parse_args()
    get_ready()
    print("| case | figure | " + " | ".join(options.systems.split(",")) + " | ratio |")
    print("|---|---|" + "---|" * (options.systems.count(",") + 2))
    for case in options.cases.split(","):
        told = {system: [] for system in options.systems.split(",")}
        for _ in range(options.rounds):
            for system, figures in told.items():
                folder = pathlib.Path(tempfile.mkdtemp(prefix="groups-", dir=ROOT / "target"))
                try:
                    broker = Broker(system, folder, settings.get(case, []))
                    try:
                        figures.append(cases[case](broker, options.seconds))
                    finally:
                        broker.process.send_signal(signal.SIGKILL)
                        broker.process.wait()
                finally:
                    shutil.rmtree(folder, ignore_errors=True)
        for figure in next(iter(told.values()))[0]:
            medians = [statistics.median(one[figure] for one in figures)
                       for figures in told.values()]
            ratio = f"{medians[0] / medians[-1]:.2f}" if len(medians) > 1 and medians[-1] else ""
            print(f"| {case} | {figure} | " + " | ".join(f"{it:,.1f}" for it in medians)
                  + f" | {ratio} |", flush=True)


if __name__ == "__main__":
    run_cases(__doc__, CASES, SETTINGS)

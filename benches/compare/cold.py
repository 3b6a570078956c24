#!/usr/bin/env python3
"""Whether somebody who reads old data disturbs somebody who writes new ones.

    benches/compare/cold.py [--gib N] [--seconds S] [--systems milena,kafka]

Fills a topic, drops the page cache (which needs root), and measures a producer's latencies at
20,000 records/s of 1 KiB to another topic: alone, and while a reader replays the whole first topic.
"""

import argparse
import pathlib
import shutil
import subprocess
import tempfile
import threading

from compare import RIG, ROOT, Broker, consume, create_topic, produce

RECORD = 1024


def drop_page_cache():
    subprocess.run(["sync"], check=True)
    pathlib.Path("/proc/sys/vm/drop_caches").write_text("3")


def measure(name, gib, seconds):
    folder = pathlib.Path(tempfile.mkdtemp(prefix="cold-", dir=ROOT / "target"))
    broker = Broker(name, folder)
    try:
        records = int(gib * 2**30 / RECORD)
        create_topic(broker, "old")
        create_topic(broker, "new")
        produce(broker, "old", records, RECORD)
        produce(broker, "new", 5 * 20_000, RECORD, rate=20_000)
        drop_page_cache()
        alone = produce(broker, "new", seconds * 20_000, RECORD, rate=20_000)
        drop_page_cache()
        read = {}
        reader = threading.Thread(target=lambda: read.update(consume(broker, "old", records)))
        reader.start()
        beside = produce(broker, "new", seconds * 20_000, RECORD, rate=20_000)
        is_done = not reader.is_alive()
        reader.join()
        memory = broker.memory_mib()
    finally:
        broker.stop()
        shutil.rmtree(folder, ignore_errors=True)
    ratio = beside["p99"] / max(alone["p99"], 1)
    print(f"| {name} | {alone['p50']:.0f} / {alone['p99']:.0f} | {beside['p50']:.0f} / "
          f"{beside['p99']:.0f} | {ratio:.2f} | {read['rate'] * RECORD / 2**20:.0f} | "
          f"{'before' if is_done else 'after'} the producer | {memory:.0f} |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--gib", type=float, default=10)
    parser.add_argument("--seconds", type=int, default=30)
    parser.add_argument("--systems", default="milena,kafka")
    arguments = parser.parse_args()
    subprocess.run([str(RIG / "get-jars.sh")], check=True)
    (ROOT / "target").mkdir(exist_ok=True)
    print("| system | p50 / p99 ms alone | beside the reader | p99 ratio | MiB/s read | reader ended "
          "| peak MiB |\n|---|---|---|---|---|---|---|")
    for name in arguments.systems.split(","):
        measure(name, arguments.gib, arguments.seconds)


if __name__ == "__main__":
    main()

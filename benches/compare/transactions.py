#!/usr/bin/env python3
"""Transactions beside Apache Kafka: what they cost, how fast they are, how soon they are known.

    benches/compare/transactions.py [--systems milena,kafka] [--cases ...] [--rounds 3]
                                    [--seconds 8]

The load is `load/`: 16 producers with a transactional id each, records of 100 bytes in one
partition, one transaction after the other; `ids` makes 100,000 transactional ids known and starts
the broker again. Milena acknowledges what is synced, Kafka does not sync.
"""

import statistics

from compare import Broker, measured
from groups import load, run_cases

IDS = 100_000


def committed(records):
    def case(broker, seconds):
        load(broker, "transactions", 2, 16, records)
        told = measured(broker, lambda: load(broker, "transactions", seconds, 16, records))
        return {"transactions/s": told["per_second"], "p50 ms": told["p50_ms"],
                "p99 ms": told["p99_ms"],
                "CPU us/transaction": told["cpu"] / told["count"] * 1e6}
    return case


def read(broker, seconds):
    """What readers of the same records cost the broker, those of committed ones and others in
    turn. A pass must last: the kernel counts a process's time in steps of 10 ms."""
    load(broker, "transactions", seconds, 16, 100)
    load(broker, "read", "all", 2)
    ratios = []
    for first, second in (("all", "committed"), ("committed", "all")) * 6:
        cpu = {}
        for what in (first, second):
            told = measured(broker, lambda: load(broker, "read", what, 40))
            cpu[what] = told["cpu"] / told["count"]
        ratios.append(cpu["committed"] / cpu["all"])
    return {"CPU committed / all": statistics.median(ratios), "least": min(ratios),
            "most": max(ratios)}


def ids(broker, _):
    load(broker, "ids", IDS)
    broker.stop()
    again = Broker(broker.name, broker.folder, broker.extra)
    told = load(again, "ids-loaded", IDS)
    memory = again.memory_mib("VmRSS")
    again.stop()
    return {"loaded ms": told["milliseconds"], "memory MiB": memory}


CASES = {
    "1 record": committed(1),
    "10 records": committed(10),
    "100 records": committed(100),
    "read": read,
    "ids": ids,
}

if __name__ == "__main__":
    run_cases(__doc__, CASES, {})

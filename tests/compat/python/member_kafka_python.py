"""A member of a group, as kafka-python plays it; what it is told and says: groups/member.py."""
import logging
import signal
import sys

from kafka import KafkaConsumer
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
from kafka.coordinator.assignors.range import RangePartitionAssignor
from kafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from kafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
from kafka.errors import KafkaError

ASSIGNORS = {
    "range": RangePartitionAssignor, "roundrobin": RoundRobinPartitionAssignor,
    "sticky": StickyPartitionAssignor, "cooperative-sticky": CooperativeStickyAssignor,
}
address, topic, group, commit, protocol = sys.argv[1:]
logging.basicConfig(level=logging.WARNING)
stopped = []
signal.signal(signal.SIGTERM, lambda *_: stopped.append(True))
consumer = KafkaConsumer(
    topic, bootstrap_servers=address, group_id=group, auto_offset_reset="earliest",
    enable_auto_commit=commit == "auto", auto_commit_interval_ms=200, session_timeout_ms=3000,
    heartbeat_interval_ms=300, max_poll_interval_ms=5000, reconnect_backoff_max_ms=500,
    partition_assignment_strategy=[ASSIGNORS[protocol]])
while not stopped:
    polled = consumer.poll(200)
    for records in polled.values():
        for one in records:
            print(one.partition, one.offset, one.value.decode())
    sys.stdout.flush()
    if polled and commit == "manual":
        try:
            consumer.commit()
        except KafkaError as error:
            print(error, file=sys.stderr)
consumer.close()

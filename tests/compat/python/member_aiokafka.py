"""A member of a group, as aiokafka plays it; what it is told and says: groups/member.py."""
import asyncio
import logging
import signal
import sys

from aiokafka import AIOKafkaConsumer
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
from aiokafka.errors import KafkaError

ASSIGNORS = {
    "range": RangePartitionAssignor, "roundrobin": RoundRobinPartitionAssignor,
    "sticky": StickyPartitionAssignor,
}
address, topic, group, commit, protocol = sys.argv[1:]
logging.basicConfig(level=logging.WARNING)


async def consume():
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    consumer = AIOKafkaConsumer(
        topic, bootstrap_servers=address, group_id=group, auto_offset_reset="earliest",
        enable_auto_commit=commit == "auto", auto_commit_interval_ms=200, session_timeout_ms=3000,
        heartbeat_interval_ms=300, max_poll_interval_ms=5000,
        partition_assignment_strategy=[ASSIGNORS[protocol]])
    await consumer.start()
    while not stopped.is_set():
        fetched = await consumer.getmany(timeout_ms=200)
        for records in fetched.values():
            for one in records:
                print(one.partition, one.offset, one.value.decode())
        sys.stdout.flush()
        if fetched and commit == "manual":
            try:
                await consumer.commit()
            except KafkaError as error:
                print(repr(error), file=sys.stderr)
    await consumer.stop()


asyncio.run(consume())

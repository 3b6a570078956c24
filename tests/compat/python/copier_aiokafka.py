"""Copies a topic in transactions, as aiokafka does; what it is told and says:
transactions/copies.py."""
import asyncio
import logging
import signal
import sys

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import KafkaError, ProducerFenced

address, source, target, group, transactional_id = sys.argv[1:]
logging.basicConfig(level=logging.WARNING)


class OnPurpose(Exception):
    pass


async def copy_some(consumer, producer, count):
    fetched = await consumer.getmany(timeout_ms=100, max_records=200)
    if not fetched:
        return False
    try:
        async with producer.transaction():
            for place, records in fetched.items():
                for one in records:
                    await producer.send(target, one.value, partition=place.partition)
            ends = {place: records[-1].offset + 1 for place, records in fetched.items()}
            await producer.send_offsets_to_transaction(ends, group)
            if count % 5 == 0:
                raise OnPurpose
        print("committed", sum(map(len, fetched.values())), flush=True)
    except ProducerFenced:
        raise
    except (KafkaError, OnPurpose) as error:
        print(repr(error), file=sys.stderr)
        for place in consumer.assignment():
            consumer.seek(place, await consumer.committed(place) or 0)
    return True


async def copy():
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    consumer = AIOKafkaConsumer(
        source, bootstrap_servers=address, group_id=group, auto_offset_reset="earliest",
        enable_auto_commit=False, isolation_level="read_committed", session_timeout_ms=3000,
        heartbeat_interval_ms=300, max_poll_interval_ms=5000)
    producer = AIOKafkaProducer(
        bootstrap_servers=address, transactional_id=transactional_id,
        transaction_timeout_ms=10000)
    await producer.start()
    await consumer.start()
    count = 1
    while not stopped.is_set():
        count += await copy_some(consumer, producer, count)
    await consumer.stop()
    await producer.stop()


asyncio.run(copy())

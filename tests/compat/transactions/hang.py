"""hang.py ADDRESS TOPIC TRANSACTIONAL_ID: writes a record of a transaction without saying so to its
coordinator, as the late batch of one that is over does. Says whether it was written."""
import asyncio
import os
import sys

from aiokafka import AIOKafkaProducer, TopicPartition

address, topic, transactional_id = sys.argv[1:]


async def hang():
    producer = AIOKafkaProducer(bootstrap_servers=address, transactional_id=transactional_id)
    await producer.start()
    await producer.begin_transaction()
    # It takes the partition for one that it has added before.
    producer._txn_manager._txn_partitions.add(TopicPartition(topic, 0))
    try:
        await asyncio.wait_for(producer.send_and_wait(topic, b"hangs", partition=0), 20)
        print("written", flush=True)
    except Exception as error:
        print(type(error).__name__, error, flush=True)
    os._exit(0)


asyncio.run(hang())

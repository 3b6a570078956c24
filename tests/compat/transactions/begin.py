"""begin.py ADDRESS TOPIC TRANSACTIONAL_ID: begins a transaction, writes a record, and never ends
it."""
import os
import sys

from confluent_kafka import Producer

address, topic, transactional_id = sys.argv[1:]
producer = Producer({"bootstrap.servers": address, "transactional.id": transactional_id})
producer.init_transactions(30)
producer.begin_transaction()
producer.produce(topic, "never", partition=0)
if producer.flush(30):
    sys.exit("the record was not written")
os._exit(0)

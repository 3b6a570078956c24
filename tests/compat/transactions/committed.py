"""committed.py ADDRESS TOPIC: how many records of a topic with one partition are committed."""
import sys

from confluent_kafka import Consumer, TopicPartition

address, topic = sys.argv[1:]
consumer = Consumer({
    "bootstrap.servers": address, "group.id": "counts", "isolation.level": "read_committed"})
consumer.assign([TopicPartition(topic, 0, 0)])
count = 0
while message := consumer.poll(4):
    count += not message.error()
print(count)

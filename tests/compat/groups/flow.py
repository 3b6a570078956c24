"""Numbered records that flow into a topic while its readers are put through their stories."""
import threading
import time

from confluent_kafka import Producer

PARTITIONS = 6
RECORDS_PER_SECOND = 400
# The broker is killed: that connections break is no news.
QUIET = {"log_level": 2}


class Flow:
    """Numbered records, in turn to each partition: number N is offset N / 6 of partition N % 6."""

    def __init__(self, address, topic):
        self.producer = Producer({
            "bootstrap.servers": address, "enable.idempotence": True, "linger.ms": 5,
            "message.timeout.ms": 60000, "reconnect.backoff.max.ms": 500, **QUIET})
        self.topic, self.count, self.thread = topic, 0, None

    def start(self):
        self.flowing = True
        self.thread = threading.Thread(target=self.produce, daemon=True)
        self.thread.start()

    def produce(self):
        while self.flowing:
            for _ in range(RECORDS_PER_SECOND // 20):
                partition = self.count % PARTITIONS
                self.producer.produce(self.topic, str(self.count), partition=partition)
                self.count += 1
            self.producer.poll(0)
            time.sleep(0.05)

    def stop(self):
        self.flowing = False
        self.thread.join()
        if self.producer.flush(60):
            raise SystemExit("not everything was produced")

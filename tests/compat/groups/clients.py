"""Which stories there are: a client's protocols, each with how its members commit."""
import itertools
import os
import sys

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
# Where run.sh has built what is to be compiled.
BUILT = os.environ.get("BUILT", "")

CLIENTS = {
    "java": [("range", "auto"), ("roundrobin", "manual"), ("sticky", "auto"),
             ("cooperative-sticky", "manual"), ("static-range", "manual")],
    "librdkafka": [("range", "manual"), ("roundrobin", "auto"), ("cooperative-sticky", "auto"),
                   ("static-roundrobin", "auto")],
    "franz-go": [("cooperative-sticky", "auto"), ("range", "manual"), ("static-sticky", "manual")],
    "sarama": [("sticky", "auto"), ("range", "manual")],
    "kafka-go": [("range", "auto"), ("roundrobin", "manual")],
    "kafka-python": [("range", "auto"), ("cooperative-sticky", "manual")],
    "aiokafka": [("roundrobin", "auto"), ("sticky", "manual")],
    "kafkajs": [("roundrobin", "auto"), ("roundrobin", "manual")],
    "milena": [("range", "auto"), ("roundrobin", "manual"), ("sticky", "manual"),
               ("cooperative-sticky", "auto"), ("static-range", "auto")],
    # Our own beside Kafka's: each may lead the other.
    "mixed": [("range", "manual"), ("roundrobin", "auto"), ("sticky", "auto"),
              ("cooperative-sticky", "auto"), ("static-sticky", "manual")],
    # The broker assigns: by these assignors of its own, or by the one that it prefers.
    "java-consumer": [("consumer-uniform", "auto"), ("consumer-range", "manual")],
    "librdkafka-consumer": [("consumer", "manual"), ("consumer", "auto")],
    "franz-go-consumer": [("consumer", "manual")],
    "milena-consumer": [("consumer-uniform", "auto"), ("consumer-range", "manual")],
    "mixed-consumer": [("consumer-uniform", "auto"), ("consumer-range", "manual")],
}

PROGRAMS = {
    "java": ["java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx128m",
             f"-Dlog4j2.configurationFile={HERE}/../kafka/log4j2.xml", "-Dkafka.log.level=WARN",
             "-cp", f"{BUILT}/java:{os.environ.get('KAFKA_LIBS')}/*", "Member"],
    "milena": [f"{BUILT}/milena/release/examples/member"],
    "franz-go": [f"{BUILT}/go/franz-go"],
    "sarama": [f"{BUILT}/go/sarama"],
    "kafka-go": [f"{BUILT}/go/kafka-go"],
    "librdkafka": [sys.executable, "-B", f"{HERE}/python/member_librdkafka.py"],
    "kafka-python": [sys.executable, "-B", f"{HERE}/python/member_kafka_python.py"],
    "aiokafka": [sys.executable, "-B", f"{HERE}/python/member_aiokafka.py"],
    "kafkajs": ["node", f"{BUILT}/node/member.js"],
}


# Who comes next in a mixed group.
MIXED = itertools.cycle(["milena", "java"])


def command(client, *arguments):
    client = client.removesuffix("-consumer")
    return [*PROGRAMS[next(MIXED) if client == "mixed" else client], *arguments]

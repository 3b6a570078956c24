#!/bin/bash
# broker.sh FOLDER [PORT]: one Apache Kafka, broker and controller in one, on loopback, in the foreground.
#
# FOLDER/data is its log directory, FOLDER/metadata the controller's where KAFKA_METADATA_APART is set (else the same).
# KAFKA_CONFIG holds further lines of server.properties, CLUSTER_ID and NODE_ID whom a new directory belongs to.
# The controller listens on PORT + 1. What Kafka logs goes to standard error.
set -euo pipefail
. "$(dirname "$0")/rig.sh"
folder=${1:?folder}
port=${2:-19092}
node=${NODE_ID:-1}
mkdir -p "$folder"
cat >"$folder/server.properties" <<PROPERTIES
process.roles=broker,controller
node.id=$node
controller.quorum.voters=$node@127.0.0.1:$((port + 1))
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://127.0.0.1:$port,CONTROLLER://127.0.0.1:$((port + 1))
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
log.dirs=$folder/data
${KAFKA_METADATA_APART:+metadata.log.dir=$folder/metadata}
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
auto.create.topics.enable=false
${KAFKA_CONFIG:-}
PROPERTIES
"$KAFKA_RIG/kafka" kafka.tools.StorageTool format --ignore-formatted \
    --cluster-id "${CLUSTER_ID:-bWlsZW5hLWFuZC1rYWZrYQ}" --config "$folder/server.properties" >&2
if [ -n "${KAFKA_BOOTSTRAP_HOOK:-}" ]; then
    "$KAFKA_BOOTSTRAP_HOOK" "$folder"
fi
exec "$KAFKA_RIG/kafka" kafka.Kafka "$folder/server.properties"

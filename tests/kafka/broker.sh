#!/bin/bash
# broker.sh FOLDER [PORT]: one Apache Kafka, broker and controller in one, on loopback, in the
# foreground.
#
# FOLDER/data is its log directory, FOLDER/metadata the controller's where KAFKA_METADATA_APART is
# set (else the same). KAFKA_CONFIG holds further lines of server.properties, CLUSTER_ID and NODE_ID
# whom a new directory belongs to. The controller listens on PORT + 1. What Kafka logs goes to
# standard error.
set -euo pipefail
. "$(dirname "$0")/rig.sh"
folder=${1:?folder}
port=${2:-19092}
prepare_broker "$folder" "$port"
exec "$KAFKA_RIG/kafka" kafka.Kafka "$folder/server.properties"

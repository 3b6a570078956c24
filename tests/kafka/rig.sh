# Sourced by the scripts here: where things lie.
# KAFKA_LIBS names a folder of jars that several checkouts can share.
KAFKA_RIG="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
KAFKA_LIBS="${KAFKA_LIBS:-$KAFKA_RIG/libs}"

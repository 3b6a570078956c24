# Sourced by the scripts here: where things lie.
# KAFKA_LIBS names a folder of jars that several checkouts can share.
KAFKA_RIG="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
KAFKA_LIBS="${KAFKA_LIBS:-$KAFKA_RIG/libs}"

# prepare_broker FOLDER PORT: writes FOLDER/server.properties and formats what is not formatted yet;
# see broker.sh.
prepare_broker() {
    local folder=$1 port=$2 node=${NODE_ID:-1}
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
    # shellcheck disable=SC2086 # the options are several words
    "$KAFKA_RIG/kafka" kafka.tools.StorageTool format --ignore-formatted ${KAFKA_FORMAT_OPTIONS:-} \
        --cluster-id "${CLUSTER_ID:-bWlsZW5hLWFuZC1rYWZrYQ}" \
        --config "$folder/server.properties" >&2
}

# start_broker FOLDER PORT: starts broker.sh in the background and returns once it serves; its log
# is FOLDER/server.log.
start_broker() {
    local folder=$1 port=$2
    mkdir -p "$folder"
    KAFKA_JAVA_OPTIONS=-Dkafka.log.level=INFO "$KAFKA_RIG/broker.sh" "$folder" "$port" \
        >"$folder/server.log" 2>&1 &
    BROKER_PID=$!
    for _ in $(seq 240); do
        if grep -q 'Kafka Server started' "$folder/server.log"; then
            return 0
        elif ! kill -0 "$BROKER_PID" 2>/dev/null; then
            break
        fi
        sleep 0.5
    done
    echo "Kafka does not start; the end of $folder/server.log:" >&2
    tail -n 20 "$folder/server.log" >&2
    stop_broker KILL
    return 1
}

# stop_broker SIGNAL: TERM stops it cleanly, KILL does not.
stop_broker() {
    if [ -n "${BROKER_PID:-}" ]; then
        kill -"$1" "$BROKER_PID" 2>/dev/null || true
        wait "$BROKER_PID" 2>/dev/null || true
        BROKER_PID=
    fi
}

# dump_segments DATA OPTIONS...: what Kafka's DumpLogSegments says of every segment below DATA, each
# file by its relative name. The tool falls over the preallocated indexes of a segment without a
# record, so these are left out.
dump_segments() {
    local data log files=()
    data=$(cd "$1" && pwd)
    shift
    while read -r log; do
        for file in "$log" "${log%.log}.index" "${log%.log}.timeindex" "${log%.log}.txnindex"; do
            [ -e "$data/$file" ] && files+=("$data/$file")
        done
    done < <(cd "$data" && find . -name '*.log' -size +0 -printf '%P\n' \
        | grep -v -e '-delete/' | sort)
    while read -r file; do
        files+=("$data/$file")
    done < <(cd "$data" && find . -name '*.snapshot' -printf '%P\n' | grep -v -e '-delete/' | sort)
    KAFKA_JAVA_OPTIONS=-Dkafka.log.level=ERROR \
        "$KAFKA_RIG/kafka" org.apache.kafka.tools.DumpLogSegments "$@" \
        --files "$(IFS=,; echo "${files[*]}")" 2>&1 | sed "s#$data/##g"
}

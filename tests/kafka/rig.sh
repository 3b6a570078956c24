# Sourced by the scripts here: where things lie.
# KAFKA_LIBS names a folder of jars that several checkouts can share.
KAFKA_RIG="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
KAFKA_LIBS="${KAFKA_LIBS:-$KAFKA_RIG/libs}"

# start_broker FOLDER PORT: starts broker.sh in the background and returns once it serves; its log is FOLDER/server.log.
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

# dump_segments DATA OPTIONS...: what Kafka's DumpLogSegments says of every segment below DATA, each file by its relative name.
# The tool falls over the preallocated indexes of a segment without a record, so these are left out.
dump_segments() {
    local data log files=()
    data=$(cd "$1" && pwd)
    shift
    while read -r log; do
        for file in "$log" "${log%.log}.index" "${log%.log}.timeindex" "${log%.log}.txnindex"; do
            [ -e "$data/$file" ] && files+=("$data/$file")
        done
    done < <(cd "$data" && find . -name '*.log' -size +0 -printf '%P\n' | grep -v -e '-delete/' | sort)
    while read -r file; do
        files+=("$data/$file")
    done < <(cd "$data" && find . -name '*.snapshot' -printf '%P\n' | grep -v -e '-delete/' | sort)
    KAFKA_JAVA_OPTIONS=-Dkafka.log.level=ERROR "$KAFKA_RIG/kafka" org.apache.kafka.tools.DumpLogSegments "$@" \
        --files "$(IFS=,; echo "${files[*]}")" 2>&1 | sed "s#$data/##g"
}

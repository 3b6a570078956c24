#!/bin/bash
# take-over.sh [PORT]: whether a directory goes from Apache Kafka to Milena and back.
#
# Kafka makes a topic with records and a group. Milena refuses it while share groups and their like
# are finalised, and changes nothing; then it serves what is there, adds to it, and stops. Kafka has
# to find all of it. MILENA names the binary; without it one is built.
set -euo pipefail
. "$(dirname "$0")/rig.sh"
port=${1:-19392}
server=127.0.0.1:$port
work=$(mktemp -d)
milena_pid=
trap 'stop_broker KILL; [ -z "$milena_pid" ] || kill -KILL "$milena_pid"; rm -rf "$work"' EXIT
if [ -z "${MILENA:-}" ]; then
    cargo build --quiet --release --package milena
    MILENA=${CARGO_TARGET_DIR:-target}/release/milena
fi
fail() {
    echo "FAIL: $1" >&2
    exit 1
}
tool() {
    local class=$1
    shift
    "$KAFKA_RIG/kafka" "org.apache.kafka.tools.$class" --bootstrap-server "$server" "$@" 2>/dev/null
}
milena() {
    "$MILENA" --bootstrap "$server" "$@"
}
start_milena() {
    "$MILENA" serve "$work/server.properties" >"$work/ready" 2>"$work/milena.log" &
    milena_pid=$!
    for _ in $(seq 100); do
        ! grep -q ^ready "$work/ready" || break
        sleep 0.1
    done
}
stop_milena() {
    kill -TERM "$milena_pid"
    wait "$milena_pid" || fail "$(cat "$work/milena.log")"
    milena_pid=
}
values() {
    tool consumer.ConsoleConsumer --topic orders --from-beginning --timeout-ms 8000 | sort -n
}
committed() {
    tool consumer.group.ConsumerGroupCommand --describe --group billing \
        | awk '$2 == "orders" { sum += $4 } END { print sum }'
}

start_broker "$work" "$port"
tool TopicCommand --create --topic orders --partitions 3 --config retention.ms=7200000
seq 1 100 | tool ConsoleProducer --topic orders
tool consumer.ConsoleConsumer --topic orders --group billing --from-beginning --max-messages 40 \
    >/dev/null
stop_broker TERM

# But for what a start and a stop leave, and nobody minds.
listing() {
    (cd "$work/data" && find . -not -name .lock -not -name '*.snapshot' \
        -not -name milena-clean-stop | sort)
}
before=$(listing)
said=$("$MILENA" serve "$work/server.properties" 2>&1) && fail "features that are not served"
lower=$(grep -o 'downgrade [^`]*' <<<"$said") || fail "no word of what to do: $said"
after=$(listing)
[ "$after" = "$before" ] || fail "something is left: $(diff <(echo "$before") <(echo "$after"))"
start_broker "$work" "$port"
# shellcheck disable=SC2086 # the options are several words
tool FeatureCommand $lower
stop_broker TERM

start_milena
milena topic describe orders | grep -q retention.ms=7200000 || fail "the topic's settings"
[ "$(milena consume orders | wc -l)" = 100 ] || fail "not all records are served"
[ "$(milena consume orders --group billing | wc -l)" = 60 ] || fail "the group begins elsewhere"
seq 101 110 | milena produce orders
stop_milena

start_broker "$work" "$port"
[ "$(values)" = "$(seq 1 110)" ] || fail "Kafka does not find all records"
[ "$(committed)" = 100 ] || fail "Kafka finds the group elsewhere"
seq 111 120 | tool ConsoleProducer --topic orders
stop_broker TERM

start_milena
[ "$(milena consume orders --json | wc -l)" = 120 ] || fail "Milena does not see what Kafka added"
[ "$(milena consume orders --group billing | wc -l)" = 20 ] || fail "the group is elsewhere again"
stop_milena
echo "a directory goes from Apache Kafka to Milena and back"

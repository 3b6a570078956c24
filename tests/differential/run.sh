#!/bin/bash
# run.sh: asks Apache Kafka and Milena everything that scripts/ asks, and compares every field of
# the answers. `run.sh --write` also keeps Kafka's answers as the transcript that `cargo test`
# replays. `run.sh milena` compares with the kept transcript and starts no Kafka.
#
# MILENA names the binary; without it a release build is made. See README.md.
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
. "$here/../kafka/rig.sh"
cd "$here/../.."
work=$(mktemp -d)
milena_pid=
stop() {
    stop_broker KILL
    [ -z "$milena_pid" ] || { kill "$milena_pid" 2>/dev/null && wait "$milena_pid"; } || true
    rm -rf "$work"
}
trap stop EXIT

cargo build -q -p milena-differential
target=$(cargo metadata --format-version 1 --no-deps | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')
differential="$target/debug/differential"
if [ -z "${MILENA:-}" ]; then
    cargo build -q --release -p milena
    MILENA="$target/release/milena"
fi

transcript="$here/transcript.jsonl.zst"
if [ "${1:-}" != milena ]; then
    KAFKA_CONFIG=$(grep -v '^#' "$here/server.properties")
    export KAFKA_CONFIG
    start_broker "$work/kafka" 18392
    "$differential" kafka 127.0.0.1:18392 "$work/transcript.jsonl.zst"
    stop_broker TERM
    [ "${1:-}" != --write ] || cp "$work/transcript.jsonl.zst" "$transcript"
    transcript="$work/transcript.jsonl.zst"
fi

"$MILENA" serve "$here/server.properties" --override "log.dirs=$work/milena" \
    --override listeners=PLAINTEXT://127.0.0.1:0 >"$work/ready" 2>"$work/milena.log" &
milena_pid=$!
for _ in $(seq 100); do
    [ ! -s "$work/ready" ] || break
    sleep 0.1
done
address=$(sed -n 's/^ready \([^ ]*\) .*/\1/p' "$work/ready")
"$differential" milena "${address:?Milena does not start: $(tail -n 5 "$work/milena.log")}" "$transcript"

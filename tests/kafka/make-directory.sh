#!/bin/bash
# make-directory.sh [PORT]: has a real Kafka write the data directories that crates/storage is
# tested with, anew.
#
# Unlike the fixtures of tests/oracle these differ from run to run (times, ids, how the cleaner came
# by), so that nothing compares them with the committed ones: run it where Kafka's version or the
# scenario changes, and commit.
set -euo pipefail
. "$(dirname "$0")/rig.sh"
port=${1:-19092}
fixtures="$KAFKA_RIG/../../crates/storage/tests/fixtures/kafka-data"
oracle="$KAFKA_RIG/../oracle/oracle"
work=$(mktemp -d)
trap 'stop_broker KILL; rm -rf "$work"' EXIT
export KAFKA_CONFIG='log.initial.task.delay.ms=500
log.retention.check.interval.ms=1000
log.cleaner.backoff.ms=300
log.index.size.max.bytes=65536'

# save NAME: the data directory as it lies there, and beside it what DumpLogSegments sees in it.
save() {
    local name=$1
    tar --sort=name --owner=0 --group=0 --numeric-owner --format=ustar -C "$work/data" -cf - . \
        | zstd -19 -q -o "$fixtures/$name.tar.zst"
    dump_segments "$work/data" --deep-iteration | zstd -19 -q -o "$fixtures/$name.dump.txt.zst"
}

# consume NAME: what Kafka serves, once through the consumer and once through the console consumer,
# which must agree.
consume() {
    local name=$1 isolation
    for isolation in read_uncommitted read_committed; do
        "$KAFKA_RIG/kafka" org.apache.kafka.tools.consumer.ConsoleConsumer \
            --bootstrap-server "127.0.0.1:$port" --include '.*' --from-beginning \
            --isolation-level "$isolation" --timeout-ms 5000 --formatter 'milena.oracle.Consume$Formatter' \
            >"$work/$isolation.jsonl" 2>"$work/console.log" || true
    done
    "$oracle" consume "127.0.0.1:$port" \
        "$fixtures/$name.records.jsonl.zst" "$fixtures/$name.partitions.jsonl.zst"
    "$oracle" same-records "$fixtures/$name.records.jsonl.zst" \
        "$work/read_uncommitted.jsonl" "$work/read_committed.jsonl"
}

mkdir -p "$fixtures"
rm -f "$fixtures"/*
for stage in 1 2 3; do
    start_broker "$work" "$port"
    "$oracle" directory "127.0.0.1:$port" "$stage" "$work/data"
    if [ "$stage" = 3 ]; then
        consume clean
    fi
    stop_broker TERM
done
save clean

# All of the tail has to lie behind the recovery point, and stay as it was consumed.
KAFKA_CONFIG+='
log.flush.offset.checkpoint.interval.ms=3600000
log.cleaner.backoff.ms=3600000'
start_broker "$work" "$port"
"$oracle" directory "127.0.0.1:$port" 4 "$work/data"
consume unclean
stop_broker KILL
save unclean
ls -l "$fixtures"

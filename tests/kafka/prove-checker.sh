#!/bin/bash
# prove-checker.sh [PORT]: whether check-directory.sh passes what Kafka wrote itself, and fails once
# that is damaged.
set -euo pipefail
. "$(dirname "$0")/rig.sh"
port=${1:-19192}
fixtures="$KAFKA_RIG/../../crates/storage/tests/fixtures/kafka-data"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# fresh NAME: unpacks a fixture into $work/dir, with what is expected of it.
fresh() {
    rm -rf "$work/dir"
    mkdir "$work/dir"
    zstd -dcq "$fixtures/$1.tar.zst" | tar -x -C "$work/dir"
    zstd -dcq "$fixtures/$1.records.jsonl.zst" >"$work/dir/expected.jsonl"
    zstd -dcq "$fixtures/$1.partitions.jsonl.zst" >"$work/dir/partitions.jsonl"
}

passes() {
    "$KAFKA_RIG/check-directory.sh" "$work/dir" "$port" >"$work/out" 2>&1 \
        || { cat "$work/out" >&2; exit 1; }
    echo "ok: $1 passes"
}

fails() {
    if "$KAFKA_RIG/check-directory.sh" "$work/dir" "$port" >"$work/out" 2>&1; then
        echo "the checker does not see $1" >&2
        exit 1
    fi
    echo "ok: $1 fails: $(grep -m1 '^FAIL' "$work/out")"
}

# flip FILE POSITION: turns over one bit of one byte.
flip() {
    local byte
    byte=$(od -An -tu1 -j "$2" -N1 "$work/dir/$1")
    printf "\\x$(printf %x $((byte ^ 1)))" \
        | dd of="$work/dir/$1" bs=1 seek="$2" conv=notrunc status=none
}

fresh clean
passes "a directory that Kafka closed"
fresh unclean
passes "a directory of a killed Kafka"
fresh clean
flip codec-zstd-0/00000000000000000000.log 500
fails "a flipped bit in a batch"
fresh clean
flip codec-none-0/00000000000000000043.index 7
fails "a wrong position in an index"
fresh clean
truncate -s -5 "$work/dir/transactions-0/00000000000000000187.log"
fails "a segment that lacks its end"
fresh clean
rm "$work/dir/codec-lz4-0/00000000000000000050.index"
fails "a lost index"
fresh clean
sed -i '$d' "$work/dir/expected.jsonl"
fails "a record more than expected"
fresh clean
sed -i 's/^topic_id: .*/topic_id: AAAAAAAAAAAAAAAAAAAAKg/' \
    "$work/dir/idempotent-1/partition.metadata"
fails "a partition with another topic's id"

#!/bin/bash
# Makes the fixtures of crates/protocol, crates/broker and crates/client anew with Apache Kafka's
# own classes and fails where they differ from the committed ones. `run.sh --write` replaces the
# committed ones instead.
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
crates="$here/../../crates"
fresh=$(mktemp -d)
trap 'rm -rf "$fresh"' EXIT

mkdir "$fresh/protocol" "$fresh/broker" "$fresh/client"
"$here/oracle" messages "$fresh/protocol/messages.jsonl.zst"
"$here/oracle" batches "$fresh/protocol/batches.jsonl.zst"
"$here/oracle" assignments "$fresh/broker/assignments.jsonl.zst"
"$here/oracle" client-assignments "$fresh/client/assignments.jsonl.zst"
"$here/oracle" partitions "$fresh/client/partitions.jsonl.zst"
"$here/oracle" patterns "$fresh/broker/patterns.jsonl.zst"
status=0
for file in "$fresh"/*/*; do
    name=$(basename "$file")
    committed="$crates/$(basename "$(dirname "$file")")/tests/fixtures/$name"
    if [ "${1:-}" = --write ]; then
        cp "$file" "$committed"
    elif [ "$name" = batches.jsonl.zst ]; then
        "$here/oracle" compare-batches "$file" "$committed" || status=1
    else
        cmp "$file" "$committed" || status=1
    fi
done
exit $status

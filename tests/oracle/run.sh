#!/bin/bash
# Makes the fixtures of crates/protocol anew with Apache Kafka's own classes and fails where they
# differ from the committed ones. `run.sh --write` replaces the committed ones instead.
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
fixtures="$here/../../crates/protocol/tests/fixtures"
fresh=$(mktemp -d)
trap 'rm -rf "$fresh"' EXIT

"$here/oracle" messages "$fresh/messages.jsonl.zst"
"$here/oracle" batches "$fresh/batches.jsonl.zst"
status=0
for file in "$fresh"/*; do
    name=$(basename "$file")
    if [ "${1:-}" = --write ]; then
        cp "$file" "$fixtures/$name"
    elif [ "$name" = batches.jsonl.zst ]; then
        "$here/oracle" compare-batches "$file" "$fixtures/$name" || status=1
    else
        cmp "$file" "$fixtures/$name" || status=1
    fi
done
exit $status

#!/bin/bash
# kcat.sh ADDRESS: the story as kcat (librdkafka) tells it. Topics are made on first use.
set -euo pipefail
address=$1 topic=compat-kcat
kcat() { command kcat -q -b "$address" "$@"; }
expected=
for codec in none gzip snappy lz4 zstd; do
    for acks in 0 1 all; do
        printf 'k:%s-%s\n' "$codec" "$acks" \
            | kcat -P -t "$topic" -p 0 -K : -z "$codec" -X "acks=$acks" -H h=1
        expected+="$codec-$acks"$'\n'
    done
done
same() {
    [ "$2" = "$3" ] || { echo "$1: '$2' where '$3' is expected" >&2; exit 1; }
}
same "from the start" "$(kcat -C -t "$topic" -p 0 -o beginning -e)" "${expected%$'\n'}"
same "from a position" "$(kcat -C -t "$topic" -p 0 -o 3 -c 2)" "$(sed -n 4,5p <<<"$expected")"
same "the last" "$(kcat -C -t "$topic" -p 0 -o -1 -e)" zstd-all
same "keys and headers" "$(kcat -C -t "$topic" -p 0 -o 0 -c 1 -f '%k %h %o')" "k h=1 0"
same "by time" "$(kcat -Q -t "$topic:0:1")" "$topic [0] offset 0"
kcat -L -t "$topic" | grep -q "partition 0, leader 1, replicas: 1, isrs: 1"
echo well

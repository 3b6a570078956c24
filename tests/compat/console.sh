#!/bin/bash
# console.sh ADDRESS: the story as Apache Kafka's own command-line tools tell it.
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
address=$1 topic=compat-console
tool() {
    local class=$1
    shift
    KAFKA_JAVA_OPTIONS=-Dkafka.log.level=ERROR "$here/../kafka/kafka" "$class" --bootstrap-server "$address" "$@"
}
topics() { tool org.apache.kafka.tools.TopicCommand "$@"; }
configs() { tool kafka.admin.ConfigCommand --entity-type topics --entity-name "$topic" "$@"; }
same() {
    [ "$2" = "$3" ] || { echo "$1: '$2' where '$3' is expected" >&2; exit 1; }
}
topics --create --topic "$topic" --partitions 2 --config retention.ms=-1
topics --alter --topic "$topic" --partitions 3
topics --describe --topic "$topic" | grep -q 'PartitionCount: 3'
expected=
for codec in none gzip snappy lz4 zstd; do
    for acks in 0 1 all; do
        [ "$codec" = none ] || [ "$acks" = all ] || continue
        echo "k:$codec-$acks" | tool org.apache.kafka.tools.ConsoleProducer --topic "$topic" \
            --compression-codec "$codec" --command-property "acks=$acks" \
            --reader-property parse.key=true --reader-property key.separator=: >/dev/null
        expected+="$codec-$acks"$'\n'
    done
done
partition=$(tool org.apache.kafka.tools.GetOffsetShell --topic "$topic" --time latest \
    | sed -n 's/.*:\([0-9]*\):7$/\1/p')
consume() {
    tool org.apache.kafka.tools.consumer.ConsoleConsumer --topic "$topic" \
        --partition "${partition:?all records are in one partition}" --timeout-ms 10000 "$@" 2>/dev/null
}
same "from the start" "$(consume --offset earliest --max-messages 7)" "${expected%$'\n'}"
same "from a position" "$(consume --offset 3 --max-messages 2)" "$(sed -n 4,5p <<<"$expected")"
configs --alter --add-config retention.ms=1234567
configs --describe | grep -q 'retention.ms=1234567'
topics --delete --topic "$topic"
! topics --list | grep -qx "$topic"
echo well

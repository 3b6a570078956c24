#!/bin/bash
# console.sh ADDRESS: a group as Apache Kafka's own tools see, move and delete it.
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
address=$1 group=group-console work=$(mktemp -d)
one=$group-one two=$group-two consumer=
trap '[ -z "$consumer" ] || kill "$consumer"; rm -rf "$work"' EXIT
tool() {
    local class=org.apache.kafka.tools.$1
    shift
    KAFKA_JAVA_OPTIONS=-Dkafka.log.level=OFF "$here/../../kafka/kafka" "$class" \
        --bootstrap-server "$address" "$@"
}
groups() { tool consumer.group.ConsumerGroupCommand "$@" 2>&1; }
# expect WHAT PATTERN TEXT: each run of blanks in the text counts as one.
expect() {
    tr -s ' \t' ' ' <<<"$3" | grep -Eq -- "$2" || { echo "$1: no '$2' in: $3" >&2; exit 1; }
}
# reset ONE TWO OPTIONS...: where it says the group is then, in each topic; - where it is not moved.
reset() {
    local to_one=$1 to_two=$2
    shift 2
    local told
    told=$(groups --group "$group" --reset-offsets "$@")
    [ "$to_one" = - ] || expect "reset $*" "^$group $one 0 $to_one ?$" "$told"
    [ "$to_two" = - ] || expect "reset $*" "^$group $two 0 $to_two ?$" "$told"
}

for topic in "$one" "$two"; do
    tool TopicCommand --create --topic "$topic" --partitions 1 >/dev/null
done
seq 10 | tool ConsoleProducer --topic "$one" >/dev/null
seq 5 | tool ConsoleProducer --topic "$two" >/dev/null
KAFKA_JAVA_OPTIONS=-Dkafka.log.level=OFF "$here/../../kafka/kafka" \
    org.apache.kafka.tools.consumer.ConsoleConsumer --bootstrap-server "$address" \
    --include "$group-.*" --group "$group" --from-beginning >"$work/read" \
    --command-property auto.commit.interval.ms=100 &
consumer=$!
for _ in $(seq 300); do
    [ "$(wc -l <"$work/read")" -lt 15 ] || break
    sleep 0.1
done
sleep 1

# With a member.
told=$(groups --describe --group "$group")
expect offsets "^$group $one 0 10 10 0 console-consumer-[^ ]+ /127.0.0.1 console-consumer" "$told"
expect offsets "^$group $two 0 5 5 0 console-consumer" "$told"
told=$(groups --describe --group "$group" --offsets --verbose)
expect "offsets, verbose" "^$group $one 0 (0|-) 10 10 0 console-consumer" "$told"
expect members "^$group console-consumer-[^ ]+ /127.0.0.1 console-consumer 2 ?$" \
    "$(groups --describe --group "$group" --members)"
expect "members, verbose" "$one\(0\), ?$two\(0\)|$one:0[,;] ?$two:0" \
    "$(groups --describe --group "$group" --members --verbose)"
expect state "^$group 127.0.0.1:[0-9]+ \([0-9]+\) range Stable 1 ?$" \
    "$(groups --describe --group "$group" --state)"
expect "reset of a group with members" "inactive.*Stable" \
    "$(groups --group "$group" --reset-offsets --all-topics --to-earliest --execute)"
expect "offsets of a subscribed topic deleted" "GroupSubscribedToTopicException" \
    "$(groups --group "$group" --delete-offsets --topic "$one" || true)"
expect "deletion of a group with members" "not empty|NonEmpty" \
    "$(groups --group "$group" --delete || true)"

# Without.
kill "$consumer" && wait "$consumer" || true
consumer=
expect "list of states" "^$group Empty ?$" "$(groups --list --state)"
reset 0 - --topic "$one" --to-earliest --execute
reset 3 5 --all-topics --shift-by 3 --execute
reset 0 0 --all-topics --shift-by -5 --dry-run
reset 7 - --topic "$one:0" --to-offset 7 --execute
reset 7 5 --all-topics --to-current --dry-run
groups --group "$group" --reset-offsets --all-topics --to-current --dry-run --export \
    >"$work/offsets"
reset 0 0 --all-topics --by-duration PT1H --execute
reset 10 5 --all-topics --to-latest --execute
reset 0 - --topic "$one" --to-datetime 2000-01-01T00:00:00.000 --execute
reset 7 5 --from-file "$work/offsets" --execute
told=$(groups --describe --all-groups)
expect "offsets without members" "^$group $one 0 7 10 3 - - - ?$" "$told"
expect "offsets without members" "^$group $two 0 5 5 0 - - - ?$" "$told"
expect "all groups" "^$group Classic consumer ?$" "$(tool GroupsCommand --list)"
expect "consumers' groups" "^$group Classic consumer ?$" \
    "$(tool GroupsCommand --list --group-type classic --protocol consumer)"
expect "offsets deleted" "$two 0 Successful" \
    "$(groups --group "$group" --delete-offsets --topic "$two")"
told=$(groups --describe --group "$group" --offsets)
expect "what is left" "^$group $one 0 7 10 3" "$told"
! grep -q "$two" <<<"$told"
expect deleted "Deletion of requested consumer groups \('$group'\) was successful" \
    "$(groups --group "$group" --delete)"
! groups --list | grep -qx "$group"
for topic in "$one" "$two"; do
    tool TopicCommand --delete --topic "$topic"
done
echo well

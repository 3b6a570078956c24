#!/bin/bash
# check-directory.sh DIR [PORT]: whether Apache Kafka accepts a log directory that somebody else
# wrote.
#
# DIR is a log directory, and in it expected.jsonl (or .jsonl.zst) with the records that Kafka has
# to serve from it: topic, partition, offset, timestamp, key, value, headers, any further field of
# the fixtures in crates/storage, such as leaderEpoch and committed. partitions.jsonl beside it is
# compared likewise, where there is one. DIR stays as it is.
#
# DumpLogSegments reads every segment, index, transaction index and snapshot, unless DIR was never
# closed (not even the preallocated indexes of a killed Kafka please that tool). Then a broker
# starts on a copy, under a controller that was told of DIR's topics: it must neither warn, nor
# recover what was closed, nor change a log, and must serve exactly the records that were expected.
# Offsets may have gaps in internal topics and where the name begins with "compacted".
set -euo pipefail
. "$(dirname "$0")/rig.sh"
dir=${1:?log directory}
port=${2:-19192}
oracle="$KAFKA_RIG/../oracle/oracle"
work=$(mktemp -d)
trap 'stop_broker KILL; rm -rf "$work"' EXIT
failures=0

fail() {
    echo "FAIL: $1" >&2
    failures=$((failures + 1))
}

# Lines that DumpLogSegments prints of what is well. All others are complaints, save that it calls
# the first offset of every later segment non-consecutive to -1.
well='^(Dumping |Log starting offset: |Snapshot end offset: )'
well+='|^baseOffset: .* isvalid: true$|^\| offset: '
well+='|^offset: [0-9]+ position: [0-9]+$|^timestamp: -?[0-9]+ offset: [0-9]+$'
well+='|^version: 0 producerId: |^producerId: '
well+='| is empty\.$| passed sanity check\.$'
well+='|^Non-consecutive offsets in |^  -1 is followed by [0-9]+$'

dump() {
    local complaints
    dump_segments "$work/dumped" "$@" >"$work/dump.txt" || fail "DumpLogSegments $* does not end well"
    complaints=$(awk '
        /^Non-consecutive offsets in / { compacted = $4 ~ /^(\.\/)?(__|compacted)/ }
        / is followed by / && compacted { next }
        { print }' "$work/dump.txt" | grep -Ev -e "$well" || true)
    if [ -n "$complaints" ]; then
        fail "DumpLogSegments $* complains:"
        head -n 20 <<<"$complaints" >&2
    fi
    grep -q '^Dumping ' "$work/dump.txt" || fail "DumpLogSegments $* found nothing to read"
    echo "DumpLogSegments $*: $(grep -c '^Dumping ' "$work/dump.txt") files," \
        "$(grep -c '^baseOffset: ' "$work/dump.txt" || true) batches"
}

property() {
    sed -n "s/^$1=//p" "$dir/meta.properties"
}

serve() {
    mkdir "$work/data"
    cp -a "$dir/." "$work/data"
    rm -rf "$work"/data/{__cluster_metadata-0,bootstrap.checkpoint}
    rm -f "$work"/data/{expected,partitions}.jsonl*
    export KAFKA_METADATA_APART=1 NODE_ID CLUSTER_ID KAFKA_CONFIG KAFKA_FORMAT_OPTIONS
    # The controller meets this broker for the first time. With eligible leader replicas it would
    # take that for an unclean stop and leave it out of all in-sync replicas.
    KAFKA_FORMAT_OPTIONS='--feature eligible.leader.replicas.version=0'
    NODE_ID=$(property node.id)
    CLUSTER_ID=$(property cluster.id)
    # Nothing in the directory may age while we look, no open transaction either.
    KAFKA_CONFIG='log.retention.ms=-1
transaction.abort.timed.out.transaction.cleanup.interval.ms=3600000
log.initial.task.delay.ms=3600000'
    prepare_broker "$work" "$port" 2>"$work/format.log" \
        || { fail "format: $(tail -n 3 "$work/format.log")"; return 1; }
    "$oracle" adopt "$work/data" "$work/metadata" \
        || { fail "the topics cannot be adopted"; return 1; }
    start_broker "$work" "$port" || { fail "Kafka does not start"; return 1; }
    "$oracle" consume "127.0.0.1:$port" "$work/served.jsonl" "$work/partitions.jsonl" \
        || { fail "Kafka does not serve"; return 1; }
    stop_broker TERM

    local name
    for name in "$dir"/expected.jsonl*; do
        "$oracle" expected-records "$name" "$work/served.jsonl" \
            || fail "Kafka serves other records than expected"
    done
    for name in "$dir"/partitions.jsonl*; do
        [ ! -e "$name" ] || "$oracle" expected-records "$name" "$work/partitions.jsonl" \
            || fail "partitions begin or end elsewhere"
    done
}

# Kafka may add to its own topics and to nothing else.
unchanged() {
    local log size
    while read -r log; do
        size=$(stat -c %s "$dir/$log")
        cmp -s -n "$size" "$dir/$log" "$work/data/$log" || fail "Kafka changed $log"
        [[ $log == __* || $(stat -c %s "$work/data/$log" 2>/dev/null) == "$size" ]] \
            || fail "Kafka changed the size of $log"
    done < <(cd "$dir" && find . -name '*.log' -printf '%P\n' \
        | grep -v -e '^__cluster_metadata' -e '-delete/')
    [ -z "$(find "$work/data" -name '*-stray')" ] || fail "Kafka took partitions for strays"
}

quiet() {
    # One warning of a controller that begins, one of a broker that ends: neither is about the
    # directory.
    local usual='Performing controller activation|NetworkClient that has already been closed'
    local warnings
    warnings=$(grep -E '^[0-9:.]+ (WARN|ERROR|FATAL)' "$work/server.log" | grep -Ev "$usual" || true)
    if [ -n "$warnings" ]; then
        fail "Kafka warns:"
        head -n 20 <<<"$warnings" >&2
    fi
    local recovery='Recovering unflushed segment|recovering segment and rebuilding'
    if [ -e "$dir/.kafka_cleanshutdown" ] && grep -E "$recovery" "$work/server.log" >&2; then
        fail "Kafka recovers what was closed"
    fi
}

if [ -e "$dir/.kafka_cleanshutdown" ]; then
    # That tool makes an index where it misses one.
    cp -a "$dir" "$work/dumped"
    dump --deep-iteration
    dump --index-sanity-check
    dump --verify-index-only
else
    echo "$dir was never closed: DumpLogSegments is left out"
fi
if serve; then
    unchanged
    quiet
fi
if [ "$failures" -gt 0 ]; then
    echo "$failures failures" >&2
    exit 1
fi
echo "Kafka accepts $dir"

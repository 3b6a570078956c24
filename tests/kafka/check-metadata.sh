#!/bin/bash
# check-metadata.sh [PORT]: whether Apache Kafka takes a metadata log and snapshot of ours.
#
# A node writes both, with records of every kind that it makes. DumpLogSegments has to decode every
# batch and every record of log and snapshot without a word of complaint, the metadata shell has to
# show from either what was written, and a broker has to start from them and lead in a new epoch.
set -euo pipefail
. "$(dirname "$0")/rig.sh"
port=${1:-19292}
work=$(mktemp -d)
trap 'stop_broker KILL; rm -rf "$work"' EXIT
dir=$work/data
cargo run --quiet --package milena-metadata --example write_metadata -- "$dir"
log=$dir/__cluster_metadata-0/00000000000000000000.log
snapshot=$(find "$dir/__cluster_metadata-0" -name '*.checkpoint')

"$KAFKA_RIG/kafka" org.apache.kafka.tools.DumpLogSegments --cluster-metadata-decoder \
    --files "$log,$snapshot" >"$work/dump" 2>&1
if ! grep -q 'TOPIC_RECORD.*"after-the-snapshot"' "$work/dump" \
    || ! grep -q 'SnapshotFooter' "$work/dump" || ! grep -q 'LeaderChange' "$work/dump" \
    || grep -iE 'isvalid: false|exception|error|could not|skipping' "$work/dump" >&2; then
    echo "FAIL: DumpLogSegments complains, or does not see everything" >&2
    exit 1
fi

if ! ls "$KAFKA_LIBS"/kafka-shell-*.jar >/dev/null 2>&1; then
    version=$(basename "$KAFKA_LIBS"/kafka-metadata-*.jar .jar)
    cat >"$work/pom.xml" <<POM
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>milena</groupId><artifactId>shell</artifactId><version>1</version>
  <dependencies><dependency>
    <groupId>org.apache.kafka</groupId><artifactId>kafka-shell</artifactId>
    <version>${version#kafka-metadata-}</version>
  </dependency></dependencies>
</project>
POM
    mvn --quiet --file "$work/pom.xml" dependency:copy-dependencies \
        -DincludeArtifactIds=kafka-shell,jline -DoutputDirectory="$KAFKA_LIBS"
fi
for file in "$log" "$snapshot"; do
    # Commands on its command line are carried out before the file is read through.
    shown=$({ sleep 3; echo 'ls /image/topics/byName'; echo 'cat /image/provenance'; sleep 1; } \
        | "$KAFKA_RIG/kafka" org.apache.kafka.shell.MetadataShell --snapshot "$file" 2>/dev/null)
    if ! grep -q 'topic-9' <<<"$shown" || grep -q doomed <<<"$shown"; then
        echo "FAIL: the metadata shell does not show what is in $file" >&2
        exit 1
    fi
done

epoch=$(grep -o '"leaderEpoch":[0-9]*' "$dir/__cluster_metadata-0/quorum-state" | grep -o '[0-9]*$')
start_broker "$work" "$port"
status=$("$KAFKA_RIG/kafka" org.apache.kafka.tools.MetadataQuorumCommand \
    --bootstrap-server "127.0.0.1:$port" describe --status)
topics=$("$KAFKA_RIG/kafka" org.apache.kafka.tools.TopicCommand \
    --bootstrap-server "127.0.0.1:$port" --list)
if [ "$(wc -l <<<"$topics")" != 61 ] || ! grep -q "LeaderEpoch: *$((epoch + 1))$" <<<"$status"; then
    printf 'FAIL: Kafka does not go on where the node stopped:\n%s\n%s\n' "$topics" "$status" >&2
    exit 1
fi
echo "Apache Kafka reads metadata log and snapshot, and goes on from them"

#!/bin/bash
# check-metadata.sh [DIR]: whether Apache Kafka's tools read a metadata log and snapshot of ours.
#
# A node writes both into DIR (or a temporary folder), with records of every kind that it knows.
# DumpLogSegments has to decode every batch and every record of log and snapshot without a word of
# complaint, and the metadata shell has to show from either what was written.
set -euo pipefail
. "$(dirname "$0")/rig.sh"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
dir=${1:-$work/metadata}
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
echo "Apache Kafka's tools read metadata log and snapshot"

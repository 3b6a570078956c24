#!/bin/bash
# Copies Apache Kafka's jars and all that they need from Maven Central to where rig.sh looks for
# them.
set -euo pipefail
cd "$(dirname "$0")"
. ./rig.sh

# Fetched once for each list of what is needed.
if cmp -s ../oracle/pom.xml "$KAFKA_LIBS/.pom.xml"; then
    exit 0
fi
mkdir -p "$KAFKA_LIBS"
# A download that breaks off leaves nothing that looks finished.
staging=$(mktemp -d "$KAFKA_LIBS/.staging-XXXXXX")
trap 'rm -rf "$staging"' EXIT
mvn -q -B -f ../oracle/pom.xml dependency:copy-dependencies \
    -DincludeScope=runtime -DoutputDirectory="$staging"
# Two slf4j backends on one class path quarrel: ours is log4j2.
rm -f "$staging"/slf4j-reload4j-*.jar "$staging"/logback-*.jar
mv "$staging"/*.jar "$KAFKA_LIBS"/
cp ../oracle/pom.xml "$KAFKA_LIBS/.pom.xml"

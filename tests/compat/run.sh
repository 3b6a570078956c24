#!/bin/bash
# run.sh [story...]: real clients, each from its registry, against Milena: each alone (make a topic,
# produce with every codec and acks, read from a position and by time, describe, alter, delete), and
# as members of groups (groups/).
#
# Stories: see `all` below; all of them if none is named. MILENA names the binary (a release build
# is made without it); ADDRESS another broker that runs already.
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
cd "$here"
. ../kafka/rig.sh
all=(kcat librdkafka kafka-python aiokafka franz-go java console rskafka
    groups-{java,librdkafka,franz-go,sarama,kafka-go,kafka-python,aiokafka,kafkajs,console,milena,mixed}
    groups-{java,librdkafka,franz-go,milena,mixed}-consumer
    connect streams
    transactions-{java,librdkafka,franz-go,sarama,aiokafka,console,copier,streams})
[ $# -gt 0 ] || set -- "${all[@]}"
cache="${XDG_CACHE_HOME:-$HOME/.cache}/milena-compat"
mkdir -p "$cache"
work=$(mktemp -d)
milena_pid=
stop() {
    [ -z "$milena_pid" ] || { kill "$milena_pid" 2>/dev/null && wait "$milena_pid"; } || true
    rm -rf "$work"
}
trap stop EXIT

# The stories of groups start and kill their own Milena, unless there is a broker already.
given=${ADDRESS:-}
if [ -z "$given" ]; then
    if [ -z "${MILENA:-}" ]; then
        (cd ../.. && cargo build -q --release -p milena)
        target=$(cargo metadata --manifest-path ../../Cargo.toml --format-version 1 --no-deps \
            | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')
        MILENA="$target/release/milena"
    fi
    "$MILENA" serve --override "log.dirs=$work/data" \
        --override listeners=PLAINTEXT://127.0.0.1:0 >"$work/ready" 2>"$work/milena.log" &
    milena_pid=$!
    for _ in $(seq 100); do
        [ ! -s "$work/ready" ] || break
        sleep 0.1
    done
    ADDRESS=$(sed -n 's/^ready \([^ ]*\) .*/\1/p' "$work/ready")
fi

python() {
    local program=$1
    shift
    if [ ! -x "$cache/python/bin/python" ]; then
        python3 -m venv "$cache/python"
        "$cache/python/bin/pip" install -q -r python/requirements.txt
    fi
    "$cache/python/bin/python" -B "$program" "$@"
}

# What members of groups are made of.
build() {
    case $1 in
        java)
            ../kafka/get-jars.sh >&2
            javac -d "$cache/java" -cp "$KAFKA_LIBS/*" java/Member.java java/Copier.java java/Orders.java
            ;;
        franz-go | sarama | kafka-go) (cd go && go build -o "$cache/go/" "./member/$1") ;;
        milena)
            CARGO_TARGET_DIR="$cache/milena" cargo build -q --release \
                --manifest-path ../../Cargo.toml -p milena-client --example member
            ;;
        mixed) build java && build milena ;;
        kafkajs)
            mkdir -p "$cache/node"
            cp node/* "$cache/node/"
            (cd "$cache/node" && npm ci --silent --no-audit --no-fund)
            ;;
    esac
}

tell() {
    case $1 in
        kcat) ./kcat.sh "$ADDRESS" ;;
        console) ./console.sh "$ADDRESS" ;;
        librdkafka | aiokafka) python "python/story_$1.py" "$ADDRESS" ;;
        kafka-python) python python/story_kafka_python.py "$ADDRESS" ;;
        groups-console) groups/console.sh "$ADDRESS" ;;
        groups-*)
            program=${1#groups-}
            build "${program%-consumer}"
            ADDRESS=$given MILENA=${MILENA:-} BUILT=$cache KAFKA_LIBS=$KAFKA_LIBS \
                python groups/story.py "$program"
            ;;
        transactions-console)
            python -c ''
            transactions/console.sh "$ADDRESS" "$cache/python/bin/python"
            ;;
        transactions-copier | transactions-streams)
            build java
            program=${1#transactions-}
            ADDRESS=$given MILENA=${MILENA:-} BUILT=$cache KAFKA_LIBS=$KAFKA_LIBS \
                python "transactions/${program/copier/kafka_copier}.py"
            ;;
        transactions-*)
            program=${1#transactions-}
            case $program in
                java) build java ;;
                franz-go | sarama)
                    (cd go && go build -o "$cache/go/copier-$program" "./copier/$program")
                    ;;
            esac
            ADDRESS=$given MILENA=${MILENA:-} BUILT=$cache KAFKA_LIBS=$KAFKA_LIBS \
                python transactions/copies.py "$program"
            ;;
        connect | streams)
            ../kafka/get-jars.sh >&2
            ADDRESS=$given MILENA=${MILENA:-} python "groups/$1.py"
            ;;
        franz-go) (cd go && go run . "$ADDRESS") ;;
        rskafka) CARGO_TARGET_DIR="$cache/rust" cargo run -q --manifest-path rust/Cargo.toml "$ADDRESS" ;;
        java)
            ../kafka/get-jars.sh >&2
            java -Dlog4j2.configurationFile=../kafka/log4j2.xml -Dkafka.log.level=ERROR \
                -cp "$KAFKA_LIBS/*" java/Story.java "$ADDRESS"
            ;;
        *) echo "no story is called $1; there are: ${all[*]}" && return 1 ;;
    esac
}

failures=0
for client in "$@"; do
    from=$SECONDS
    # The last word of a story that ends well.
    if tell "$client" >"$work/said" 2>"$work/complaints" \
        && [ "$(tail -n 1 "$work/said")" = well ]; then
        echo "$client: well, after $((SECONDS - from)) s"
    else
        failures=$((failures + 1))
        echo "$client: FAILED"
        tail -n 20 "$work/said" "$work/complaints"
    fi
done
exit $((failures > 0))

#!/bin/bash
# run.sh [ARGUMENTS of cargo test]: the tests of the client against an Apache Kafka that is started
# for them. Without it, `cargo test -p milena-client-tests` runs the same against Milena.
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
. "$here/../kafka/rig.sh"
cd "$here/../.."
work=$(mktemp -d)
stop() {
    stop_broker KILL
    rm -rf "$work"
}
trap stop EXIT
start_broker "$work/kafka" 18492
MILENA_TEST_BOOTSTRAP=127.0.0.1:18492 cargo test -p milena-client-tests "$@"

#!/bin/bash
# run.sh [ARGUMENTS of cargo test]: the tests of the client, and of the commands that use it, against
# an Apache Kafka that is started for them. `cargo test` runs the same against Milena.
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
export MILENA_TEST_BOOTSTRAP=127.0.0.1:18492
cargo test -p milena-client-tests "$@"
cargo test -p milena --test it commands::

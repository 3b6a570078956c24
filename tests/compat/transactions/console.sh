#!/bin/bash
# console.sh ADDRESS PYTHON: transactions that nobody ends, as Apache Kafka's own tool sees and ends
# them; at last one that hangs, as its coordinator knows nothing of it.
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
address=$1 python=$2 topic=transactions-console
tool() {
    local class=$1
    [[ $class == *.* ]] || class=org.apache.kafka.tools.$class
    shift
    KAFKA_JAVA_OPTIONS=-Dkafka.log.level=OFF "$here/../../kafka/kafka" "$class" \
        --bootstrap-server "$address" "$@"
}
transactions() { tool TransactionsCommand "$@" 2>&1; }
# expect WHAT PATTERN TEXT: each run of blanks in the text counts as one.
expect() {
    tr -s ' \t' ' ' <<<"$3" | grep -Eq -- "$2" || { echo "$1: no '$2' in: $3" >&2; exit 1; }
}
# How many records readers of committed ones see.
committed() { "$python" -B "$here/committed.py" "$address" "$topic" 2>/dev/null; }

tool TopicCommand --create --topic "$topic" --partitions 1 >/dev/null
# Each of them begins a transaction, writes a record, and is gone.
"$python" -B "$here/begin.py" "$address" "$topic" console-one
expect "what readers see" "^0$" "$(committed)"
expect list "^console-one 1 [0-9]+ Ongoing ?$" "$(transactions list)"
expect "list by a pattern" "^console-one 1" \
    "$(transactions list --transactional-id-pattern 'console-.*')"
told=$(transactions list --duration-filter 600000)
expect "list of those that took long" "^TransactionalId" "$told"
if grep -q console-one <<<"$told"; then
    echo "it did not take that long: $told" >&2
    exit 1
fi
told=$(transactions describe --transactional-id console-one)
expect describe "^1 console-one [0-9]+ [0-9]+ Ongoing 60000 [0-9]+ [0-9]+ $topic-0 ?$" "$told"
told=$(transactions describe-producers --topic "$topic" --partition 0)
expect describe-producers "^([0-9]+) 0 -1 0 [0-9]+ 0 ?$" "$told"
# The coordinator knows of it, so it does not hang.
told=$(transactions find-hanging --topic "$topic" --max-transaction-timeout 0)
if grep -q "$topic" <<<"$told"; then
    echo "its coordinator knows of it: $told" >&2
    exit 1
fi

transactions abort --topic "$topic" --partition 0 --start-offset 0
expect "abort" "^[0-9]+ 0 0 -?[0-9]+ [0-9]+ None ?$" \
    "$(transactions describe-producers --topic "$topic" --partition 0)"
expect "what readers see after that" "^0$" "$(committed)"
echo one | tool ConsoleProducer --topic "$topic" >/dev/null
expect "a record behind it" "^1$" "$(committed)"

"$python" -B "$here/begin.py" "$address" "$topic" console-two
echo two | tool ConsoleProducer --topic "$topic" >/dev/null
expect "a record behind one that is open" "^1$" "$(committed)"
transactions forceTerminateTransaction --transactionalId console-two
for _ in $(seq 50); do
    told=$(transactions describe --transactional-id console-two)
    ! grep -Eq "CompleteAbort|Empty" <<<"$told" || break
done
expect "force terminate" "CompleteAbort|Empty" "$told"
expect "what readers see at last" "^2$" "$(committed)"

# verification of partitions: whether their leaders ask the coordinator before they take a batch.
verification() {
    tool kafka.admin.ConfigCommand --alter --entity-type brokers --entity-default \
        --add-config "transaction.partition.verification.enable=$1" >/dev/null
}
hang() { "$python" -B "$here/hang.py" "$address" "$topic" "$1" 2>/dev/null; }
hanging() { transactions find-hanging --topic "$topic" --max-transaction-timeout 0; }
nothing_hangs() {
    if grep -q "$topic" <<<"$(hanging)"; then
        echo "it hangs $1" >&2
        exit 1
    fi
}
expect "a batch that its coordinator knows nothing of" "^InvalidTxnState" "$(hang console-three)"
nothing_hangs "though it was refused"
trap 'verification true' EXIT
verification false
expect "a batch that nobody asks about" "^written" "$(hang console-three)"
echo three | tool ConsoleProducer --topic "$topic" >/dev/null
expect "a record behind one that hangs" "^2$" "$(committed)"
told=$(hanging)
expect "what hangs" "^$topic 0 [0-9]+ [0-9]+ -?[0-9]+ [0-9]+ [0-9]+ [0-9]+ ?$" "$told"
start=$(awk -v topic="$topic" '$1 == topic { print $6 }' <<<"$told")
transactions abort --topic "$topic" --partition 0 --start-offset "$start"
nothing_hangs "after it was aborted"
expect "a record behind one that hung" "^3$" "$(committed)"
echo well

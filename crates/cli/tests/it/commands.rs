//! What every command prints.

use crate::session::Session;

#[test]
fn topics() {
    let mut session = Session::start("topics");
    session.run("topic create cli-orders --partitions 2 --config retention.ms=3600000");
    session.run("topic create cli-orders");
    session.run("topic create cli-orders --if-not-exists");
    session.run("topic create cli-notes --partitions 1 --dry-run");
    session.run("topic create cli-notes no/such --partitions 1");
    session.run("topic create cli-many --assign 1,x");
    session.run("topic create cli-copies --replicas 9");
    session.run("topic create cli-placed cli-notes --assign 1,1 --dry-run --json");
    session.run("topic describe cli-orders");
    session.run("topic describe cli-nobody");
    session.run("topic describe cli-orders cli-nobody --json");
    session.run("topic alter cli-orders");
    session.run(
        "topic alter cli-orders --partitions 3 --set cleanup.policy=compact --unset retention.ms",
    );
    session.run("topic alter cli-orders --partitions 3");
    session.run("topic alter cli-orders --set retention.ms=soon");
    session.run("topic describe cli-orders");
    session.run("topic list");
    session.run("topic list --json");
    session.run("topic list --internal --unhealthy");
    session.run("topic alter cli-orders --partitions 5 --assign 1,1 --dry-run --json");
    session.run("topic alter cli-orders --partitions 5 --assign 1,9 --dry-run");
    session.run("topic delete cli-orders cli-nobody");
    session.run("topic delete cli-orders --json");
    session.run("topic delete cli-orders --if-exists");
    session.run("topic delete cli-notes");
    session.check("topics");
}

#[test]
fn settings() {
    let mut session = Session::start("settings");
    session.run("topic create cli-set --partitions 1");
    session.run("config set topic cli-set retention.ms=3600000 cleanup.policy=compact,delete");
    session.run("config get topic cli-set retention.ms cleanup.policy");
    session.run("config set topic cli-set cleanup.policy-=compact --dry-run");
    session.run("config set topic cli-set cleanup.policy-=compact");
    session.run("config get topic cli-set cleanup.policy --json");
    session.run("config unset topic cli-set retention.ms cleanup.policy");
    session.run("config get topic cli-set max.message.bytes --explain");
    session.run("config get topic cli-set no.such");
    session.run("config set topic cli-set retention.ms=soon");
    session.run("config set topic cli-set retention.ms");
    session.run("config set client cli-client producer_byte_rate=1048576");
    session.run("config get client cli-client");
    session.run("config unset client cli-client producer_byte_rate");
    session.run("config get client cli-client --json");
    session.run("config set broker <default> message.max.bytes=2000000");
    session.run("config get broker 1 message.max.bytes");
    session.run("config unset broker <default> message.max.bytes");
    session.run("config set group cli-group consumer.session.timeout.ms=50000");
    session.run("config get group cli-group consumer.session.timeout.ms");
    session.run("config unset group cli-group consumer.session.timeout.ms");
    session.run("config set user cli-user consumer_byte_rate=1048576 --json");
    session.run("config set user <default> request_percentage=200 --dry-run");
    session.run("config get user cli-user");
    session.run("config unset user cli-user consumer_byte_rate --dry-run");
    session.run("config unset user cli-user consumer_byte_rate --json");
    session.run("config set ip 127.0.0.9 connection_creation_rate=10");
    session.run("config get ip 127.0.0.9 --json");
    session.run("config unset ip 127.0.0.9 connection_creation_rate");
    session.run("config set client-metrics cli-metrics interval.ms=60000");
    session.run("config get client-metrics cli-metrics interval.ms");
    session.run("config unset client-metrics cli-metrics interval.ms");
    session.run("config get topic cli-set --all");
    session.run("config set topic cli-nobody retention.ms=1");
    session.run("topic delete cli-set");
    session.check("settings");
}

#[test]
fn cluster() {
    let mut session = Session::start("cluster");
    session.run("cluster describe");
    session.run("cluster describe --json");
    session.check("cluster");
}

#[test]
fn mistakes() {
    let mut session = Session::start("mistakes");
    session.run("");
    session.run("topics list");
    session.run("topic");
    session.run("topic list --bootstrap nowhere");
    session.run("topic list --bootstrap 127.0.0.1:1 --timeout 0.3");
    session.run("topic list --timeout never");
    session.run("topic list --client-config no.such.setting=1");
    session.run("group describe cli-nobody");
    session.run("group reset cli-nobody --to-earliest");
    session.run("group reset cli-nobody");
    session.run("group reset cli-nobody --to-datetime yesterday");
    session.check("mistakes");
}

#[test]
fn groups() {
    let mut session = Session::start("groups");
    session.run("topic create cli-read --partitions 2");
    let file = session.folder().join("offsets.csv");
    std::fs::write(&file, "cli-read,0,0\n\"cli-read\",1,0\n").unwrap();
    session.run(&format!("group reset cli-readers --from-file {} --execute", file.display()));
    session.run("group list");
    session.run("group list --state Stable");
    session.run("group list --json");
    session.run("group describe cli-readers");
    session.run("group describe cli-readers cli-nobody --json");
    for way in [
        "--to-earliest",
        "--to-latest",
        "--to-current",
        "--to-offset 7",
        "--shift-by -3",
        "--to-datetime 2026-01-01T00:00:00Z",
        "--by-duration P1DT2H",
    ] {
        session.run(&format!("group reset cli-readers {way}"));
    }
    session.run("group reset cli-readers --topic cli-read:1 --to-latest --execute --json");
    session.run("group reset cli-readers --topic cli-read:9 --to-latest");
    session.run("group delete cli-readers --offset-of cli-read-1");
    session.run("group delete cli-readers cli-nobody");
    session.run("group delete cli-nobody --json");
    session.run("topic delete cli-read");
    session.check("groups");
}

#[test]
fn producing() {
    let mut session = Session::start("produce");
    session.run("topic create cli-made --partitions 2");
    session.run_with("produce cli-made --partition 0", b"one\ntwo\nthe part of a line");
    session.run_with("produce cli-made -p 1 -K : -H from=test -z lz4 --json", b"k:v\nk:w\n");
    session.run_with("produce cli-made -p 1 -K :", b"k:v\nno separator\n");
    let lines = br#"{"key":"k","value":{"a":1},"partition":1,"headers":[["h","i"]]}"#;
    session.run_with("produce cli-made --json-lines --acks 1", lines);
    session.run_with("produce cli-made --json-lines", b"{\"valeu\":1}");
    let file = session.folder().join("whole.bin");
    std::fs::write(&file, "all\nof\nit").unwrap();
    session.run(&format!("produce cli-made --whole -p 0 {}", file.display()));
    session.run_with("produce cli-made -p 0 -K : -H h=NULL --null NULL", b"gone:NULL\nNULL:v\n");
    let lines = br#"{"key":null,"value":null,"partition":0,"headers":[["h",null],["e",""]]}"#;
    session.run_with("produce cli-made -J", lines);
    session.run("consume cli-made -p 0 --from-offset -3 -T {key}={value}␣{headers}\\n --null -");
    session.run("consume cli-made -p 0 --from-offset -3 --null nothing");
    session.run("consume cli-made -p 0 --from-offset -1 --json");
    session.run("produce cli-made no-such-file");
    session.run_with("produce cli-made -p 0 --rate 1000", b"1\n2\n3\n");
    session.run_with("produce cli-made --rate 0", b"1\n");
    session.run_with("produce cli-made --partition 7 --timeout 0.5", b"1\n");
    session.run_with("produce cli-made -z lz5", b"1\n");
    session.run("topic describe cli-made --json");
    session.run("topic delete cli-made");
    session.check("produce");
}

#[test]
fn consuming() {
    let mut session = Session::start("consume");
    session.quietly("topic create cli-eaten --partitions 2");
    let mut lines = String::new();
    for at in 0..4 {
        let (time, header) = (1_700_000_000_000_i64 + at * 60_000, at % 2);
        lines += &format!("{{\"key\":\"k{at}\",\"value\":\"value {at}\",\"timestamp\":{time},");
        lines += &format!("\"headers\":[[\"odd\",\"{header}\"]]}}\n");
    }
    session.run_with("produce cli-eaten -p 0 --json-lines", lines.as_bytes());
    session.run_with("produce cli-eaten -p 1 --whole", b"\xff\x00 no text");
    session.run("consume cli-eaten -p 0");
    session.run("consume cli-eaten -p 0 --from-offset 2 --json");
    let template = "{topic}-{partition}␣{offset}␣{time}␣{key}:␣{value}␣[{headers}]\\n";
    session.run(&format!("consume cli-eaten -p 0 --from-offset -1 -T {template}"));
    session.run("consume cli-eaten -p 1 -o hex");
    session.run("consume cli-eaten -p 1 -o json -T {nothing}");
    session.run("consume cli-eaten -p 0 --from-time 2023-11-14T22:15:00Z -n 1");
    session.run("consume cli-eaten -p 0 --from-end");
    session.run("consume cli-eaten -p 0 --from-start --count 1");
    session.run("consume cli-eaten --key k2 -o json");
    session.run("consume cli-eaten --value lue␣1");
    session.run("consume cli-eaten --header odd=1 --committed");
    session.run("consume cli-eaten --follow -n 5 -p 0 -p 1 -o hex -T x\\n");
    session.run("consume cli-eaten -p 7");
    session.run("consume cli-nobody");
    session.run("consume cli-eaten --group cli-eaters -n 5 -T x\\n");
    session.run("consume cli-eaten --group cli-eaters");
    session.run("group describe cli-eaters");
    session.run("group reset cli-eaters --topic cli-eaten:0 --shift-by -2 --execute");
    session.run("consume cli-eaten --group cli-eaters");
    session.run("group delete cli-eaters");
    session.run("topic delete cli-eaten");
    session.check("consume");
}

#[test]
fn members_of_groups() {
    let mut session = Session::start("members");
    session.quietly("topic create cli-shared --partitions 2");
    session.run_with("produce cli-shared -p 1", b"one\ntwo\n");
    for (group, protocol) in [("cli-classic", "classic"), ("cli-modern", "consumer")] {
        let settings = format!("-X group.protocol={protocol} -X auto.commit.interval.ms=100");
        let line = format!("consume cli-shared --follow --group {group} {settings}");
        let member = session.begin(&line);
        let describe = format!("group describe {group}");
        // It commits now and then.
        let has_read = |said: &str| said.contains("cli-shared-1          2    2    0");
        session.until(&describe, |said| {
            said.contains("Stable") && has_read(said) && said.contains("cli-shared-0          0")
        });
        session.run(&describe);
        session.run(&format!("group delete {group}"));
        session.run(&format!("group reset {group} --topic cli-shared --to-earliest --execute"));
        // Whoever is interrupted leaves.
        assert_eq!(member.interrupt(), Some(0));
        session.run(&describe);
        session.run(&format!("group delete {group}"));
    }
    session.quietly("topic delete cli-shared");
    session.check("members");
}

#[test]
fn benches() {
    let mut session = Session::start("bench");
    session.numbers_vary();
    session.run("bench produce cli-bench -n 2000 --size 50 -z lz4");
    session.run("bench consume cli-bench -n 2000 --json");
    session.run("bench latency cli-bench -n 20 --rate 200");
    session.run("bench produce cli-benches -p 2 -n 500 --acks 1 --rate 5000 --json");
    session.run("bench latency cli-benches -n 5 --rate 200 -s 10 --acks 1 -z gzip --json");
    session.run("topic delete cli-benches");
    session.run("bench produce cli-bench --rate 0");
    session.run("bench consume cli-nobody");
    session.run("topic delete cli-bench");
    session.check("bench");
}

#[test]
fn logs_without_a_broker() {
    if std::env::var_os("MILENA_TEST_BOOTSTRAP").is_some() {
        return;
    }
    let mut session = Session::kept("log");
    session.quietly("topic create cli-log --partitions 1 --config index.interval.bytes=1");
    for at in 0..6 {
        let line = |value: &str| {
            format!("{{\"key\":\"k{at}\",\"value\":\"{value}\",\"timestamp\":170000000000{at}}}\n")
        };
        let lines = line("a value") + &line("and another");
        session.run_with("produce cli-log -J -z lz4 -X linger.ms=1000", lines.as_bytes());
    }
    let data = session.folder().join("data").display().to_string();
    let ls = session.quietly(&format!("log ls -d {data} --json"));
    assert!(ls.contains("\"in_use\": true"), "{ls}");
    session.stop();
    session.run(&format!("log ls -d {data}"));
    session.run(&format!("log ls -d {data} cli-log-0"));
    session.run(&format!("log dump -d {data} cli-log-0 -n 2"));
    session.run(&format!("log dump -d {data} cli-log-0 --from 9 --records"));
    session.run(&format!("log dump -d {data} cli-log-0 --from 11 --records --json"));
    session.run(&format!("log verify -d {data} cli-log-0"));
    session.run(&format!("log verify -d {data} cli-log-0 --json"));
    session.run(&format!("log explain -d {data} cli-log-0 7"));
    session.run(&format!("log explain -d {data} cli-log-0 7 --json"));
    session.run(&format!("log explain -d {data} cli-log-0 99"));
    session.run(&format!("log explain -d {data} cli-nobody-0 0"));
    // As retention leaves it.
    let empty = session.folder().join("data/cli-empty-0");
    std::fs::create_dir(&empty).unwrap();
    std::fs::write(empty.join("00000000000000000012.log"), "").unwrap();
    session.run(&format!("log explain -d {data} cli-empty-0 12"));
    session.run(&format!("log ls -d {data}/nowhere"));
    // One bit.
    let segment = session.folder().join("data/cli-log-0/00000000000000000000.log");
    let mut bytes = std::fs::read(&segment).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&segment, bytes).unwrap();
    session.run(&format!("log verify -d {data} cli-log-0"));
    session.run(&format!("log dump -d {data} cli-log-0 --from 10"));
    session.check("log");
}

#[test]
fn shells_and_manuals() {
    let mut session = Session::start("shells");
    for (shell, word) in [("bash", "complete"), ("zsh", "#compdef"), ("fish", "complete")] {
        let script = session.quietly(&format!("completions {shell}"));
        assert!(script.contains(word) && script.contains("describe"), "{shell}");
    }
    let folder = session.folder().display().to_string();
    session.run(&format!("man {folder}"));
    let page = std::fs::read_to_string(session.folder().join("milena-topic-create.1")).unwrap();
    assert!(page.contains("partitions"), "{page}");
    session.check("shells");
}

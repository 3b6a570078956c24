//! Replays what Apache Kafka was asked against a Milena in this process, and compares the answers
//! with Kafka's, which `transcript.jsonl.zst` keeps.

#![allow(clippy::disallowed_methods, reason = "the settings of both brokers are a file")]

use std::{sync::Arc, time::Duration};

use milena_broker::{Outside, Server};
use milena_config::{Entry, ServerConfig, properties};
use milena_differential::{
    canon::Rules,
    compare::{self, KnownDifferences},
    encode::Requests,
    home,
    run::{Asking, run},
    script,
};
use milena_env::{Random, RealClock, RealDisk};

/// Fewer would mean that scripts were lost, or that what was served is served no more.
const EXCHANGES_MIN: usize = 3_000;

#[test]
fn milena_answers_as_kafka_does() {
    let data = std::env::temp_dir().join(format!("milena-differential-{}", std::process::id()));
    let properties = std::fs::read(home().join("server.properties")).unwrap();
    let mut entries: Vec<Entry> = properties::parse(&properties).unwrap();
    let log_dirs = format!("log.dirs={}", data.display());
    for (number, text) in [&log_dirs, "listeners=PLAINTEXT://127.0.0.1:0"].iter().enumerate() {
        entries.push(properties::parse_override(number, text).unwrap());
    }
    let (config, _) = ServerConfig::parse(&entries).unwrap();
    let outside = Outside {
        disk: Arc::new(RealDisk),
        clock: Arc::new(RealClock),
        random: Random::from_seed(1),
    };
    let server = Server::start(config, outside).unwrap();
    let asking =
        Asking { address: server.addresses()[0], pause: Duration::ZERO, only_advertised: true };
    let (requests, rules) = (Requests::load().unwrap(), Rules::load().unwrap());
    let scripts = script::all(&requests).unwrap();
    let milena = run(&asking, &scripts, &requests, &rules);
    let stopped = server.stop();
    let _ = std::fs::remove_dir_all(&data);
    let milena = milena.unwrap();
    stopped.unwrap();

    let kafka = compare::read(&home().join("transcript.jsonl.zst")).unwrap();
    let complaints = compare::judge(&kafka, &milena, &KnownDifferences::load().unwrap());
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
    assert!(milena.len() >= EXCHANGES_MIN, "only {} exchanges", milena.len());
}

//! A member of a group as `tests/compat` has them of many clients: it prints what it reads, and
//! leaves when it is told to end.
//!
//! `member BOOTSTRAP TOPIC GROUP auto|manual ASSIGNOR [INSTANCE]`
#![allow(clippy::panic, reason = "an example shows how it ends")]

use std::{
    io::{self, Write},
    time::Duration,
};

use milena_client::{
    Error,
    consumer::{Assignor, Consumer, ConsumerConfig, GroupProtocol, OffsetReset, Records},
};
use tokio::signal::unix::{SignalKind, signal};

#[tokio::main(flavor = "multi_thread", worker_threads = 1)]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [bootstrap, topic, group, commits, assignor, instance @ ..] = &*arguments else {
        panic!("member BOOTSTRAP TOPIC GROUP auto|manual ASSIGNOR [INSTANCE]")
    };
    let is_manual = commits == "manual";
    let mut config = ConsumerConfig::new(bootstrap)
        .group_id(group.as_str())
        .auto_offset_reset(OffsetReset::Earliest)
        .enable_auto_commit(!is_manual)
        .auto_commit_interval(Duration::from_millis(200))
        .session_timeout(Duration::from_secs(3))
        .heartbeat_interval(Duration::from_millis(300));
    match assignor.strip_prefix("consumer") {
        Some(of_broker) => {
            config.group_protocol = GroupProtocol::Consumer;
            let name = of_broker.trim_start_matches('-');
            config.group_remote_assignor = Some(name.into()).filter(|_| !name.is_empty());
        }
        None => {
            let all = Assignor::ALL.into_iter().filter(|it| it.name() == assignor);
            config.partition_assignment_strategy = all.collect();
        }
    }
    if let [instance] = instance {
        config.group_instance_id = Some(instance.as_str().into());
        config.session_timeout = Duration::from_secs(20);
    }
    let mut consumer = Consumer::new(config)?;
    consumer.subscribe([topic])?;
    let mut told_to_end = signal(SignalKind::terminate())?;
    loop {
        let polled = tokio::select! {
            _ = told_to_end.recv() => break,
            polled = consumer.poll(Duration::from_secs(1)) => polled,
        };
        match polled {
            Ok(records) => print(&records)?,
            Err(error) if error.is_retriable() => eprintln!("{error}"),
            Err(error) => return Err(error.into()),
        }
        if is_manual {
            // A group that has gone on will have it read again.
            match consumer.commit().await {
                Err(error @ Error::Config { .. }) => return Err(error.into()),
                Err(error) => eprintln!("{error}"),
                Ok(()) => {}
            }
        }
    }
    Ok(consumer.close().await?)
}

/// Before anything of it can be committed.
fn print(records: &Records) -> io::Result<()> {
    let mut out = io::stdout().lock();
    for record in records {
        let number = String::from_utf8_lossy(record.value.unwrap_or_default());
        writeln!(out, "{} {} {number}", record.partition.partition, record.offset)?;
    }
    out.flush()
}

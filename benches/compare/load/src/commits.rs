//! Commits: as many as go, or as many as shall be there.

use std::{
    thread,
    time::{Duration, Instant},
};

use milena_protocol::api::{
    ApiKey, OffsetCommitRequest, OffsetCommitResponse, OffsetFetchRequest, OffsetFetchResponse,
    offset_commit::request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic},
    offset_fetch::request::{OffsetFetchRequestGroup, OffsetFetchRequestTopics},
};

use crate::{
    Result,
    client::{Client, name},
    latencies::at_once,
};

const TOPIC: &str = "load";

/// Requests that are under way at once while the log is filled.
const WINDOW: usize = 32;

fn request(group: &str, partitions: std::ops::Range<i32>, offset: i64) -> OffsetCommitRequest<'_> {
    let partition = |partition_index| OffsetCommitRequestPartition {
        partition_index,
        committed_offset: offset,
        committed_metadata: Some(""),
        ..Default::default()
    };
    let topic = OffsetCommitRequestTopic {
        name: TOPIC,
        partitions: partitions.map(partition).collect(),
        ..Default::default()
    };
    OffsetCommitRequest { group_id: group, topics: vec![topic], ..Default::default() }
}

fn check(answer: &OffsetCommitResponse<'_>) -> Result<bool> {
    let partitions = answer.topics.iter().flat_map(|topic| &topic.partitions);
    let code = partitions.map(|it| it.error_code).find(|code| *code != 0).unwrap_or(0);
    match name(code) {
        "NONE" => Ok(true),
        "COORDINATOR_LOAD_IN_PROGRESS" | "NOT_COORDINATOR" | "COORDINATOR_NOT_AVAILABLE" => {
            thread::sleep(Duration::from_millis(10));
            Ok(false)
        }
        other => Err(other.into()),
    }
}

/// Each connection is a group of its own that commits one partition after the other.
pub(crate) fn commit(server: &str, time: Duration, connections: usize) -> Result<()> {
    Client::connect(server)?.topic(TOPIC, 12)?;
    at_once(server, time, connections, move |server, number| one(server, number, time))
}

fn one(server: &str, number: usize, time: Duration) -> Result<Vec<Duration>> {
    let mut client = Client::connect(server)?;
    let group = format!("group-{number}");
    client.find(&group)?;
    while !check(&client.call(ApiKey::OffsetCommit, 9, &request(&group, 0..1, 0))?)? {}
    let began = Instant::now();
    let mut latencies = Vec::new();
    while began.elapsed() < time {
        let partition = (latencies.len() % 12) as i32;
        let asked = Instant::now();
        let commit = request(&group, partition..partition + 1, latencies.len() as i64);
        if check(&client.call(ApiKey::OffsetCommit, 9, &commit)?)? {
            latencies.push(asked.elapsed());
        }
    }
    Ok(latencies)
}

/// So many groups, each with commits for so many partitions.
pub(crate) fn fill(server: &str, groups: usize, partitions: usize) -> Result<()> {
    let mut client = Client::connect(server)?;
    client.topic(TOPIC, partitions)?;
    client.find("group-0")?;
    while !check(&client.call(ApiKey::OffsetCommit, 9, &request("group-0", 0..1, 0))?)? {}
    let began = Instant::now();
    let names: Vec<String> = (0..groups).map(|number| format!("group-{number}")).collect();
    for window in names.chunks(WINDOW) {
        for group in window {
            let commit = request(group, 0..partitions as i32, 1);
            client.send(ApiKey::OffsetCommit, 9, &commit)?;
        }
        for group in window {
            let mut done = check(&client.receive(ApiKey::OffsetCommit, 9)?)?;
            while !done && window.len() == 1 {
                let commit = request(group, 0..partitions as i32, 1);
                done = check(&client.call(ApiKey::OffsetCommit, 9, &commit)?)?;
            }
            if !done {
                return Err(format!("{group} has no coordinator yet").into());
            }
        }
    }
    println!("count {} seconds {:.2}", groups * partitions, began.elapsed().as_secs_f64());
    Ok(())
}

/// Asks for a group's offset until its coordinator has read its log.
pub(crate) fn wait_until_loaded(server: &str, group: &str) -> Result<()> {
    let began = Instant::now();
    let mut client = Client::connect(server)?;
    loop {
        let topic = OffsetFetchRequestTopics {
            name: TOPIC,
            partition_indexes: vec![0],
            ..Default::default()
        };
        let asked = OffsetFetchRequestGroup {
            group_id: group,
            topics: Some(vec![topic]),
            ..Default::default()
        };
        let request = OffsetFetchRequest { groups: vec![asked], ..Default::default() };
        let fetched: OffsetFetchResponse<'_> = client.call(ApiKey::OffsetFetch, 9, &request)?;
        let group = fetched.groups.first().ok_or("no answer for the group")?;
        if group.error_code == 0 {
            let offset = group.topics[0].partitions[0].committed_offset;
            println!("offset {offset} milliseconds {:.0}", began.elapsed().as_secs_f64() * 1e3);
            return Ok(());
        }
        thread::sleep(Duration::from_millis(1));
    }
}

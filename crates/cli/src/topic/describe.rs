//! `milena topic describe`

use std::collections::BTreeMap;

use milena_client::{
    TopicPartition,
    admin::{Admin, ConfigResource, ConfigSource, OffsetSpec, ResourceKind, TopicDescription},
};
use serde_json::{Value, json};

use crate::{
    failure::Result,
    output::{Answer, Table},
};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Which topics.
    #[arg(required = true, value_name = "TOPIC")]
    names: Vec<String>,
}

pub(super) async fn run(arguments: &Arguments, admin: &Admin) -> Result<Answer> {
    let names: Vec<&str> = arguments.names.iter().map(String::as_str).collect();
    let mut answer = Answer::default();
    let mut topics = Vec::new();
    for (_, described) in admin.describe_topics(&names).await? {
        topics.extend(answer.take(described));
    }
    let mut about = Table::new(&["topic", "id", "partitions", "replicas", "internal", "settings"]);
    let columns = ["topic", "partition", "leader", "epoch", "replicas", "in_sync", "start", "end"];
    let mut table = Table::new(&columns);
    for topic in &topics {
        let replicas = topic.partitions.iter().map(|partition| partition.replicas.len()).max();
        about.row([
            json!(topic.name),
            json!(topic.id.to_string()),
            json!(topic.partitions.len()),
            json!(replicas.unwrap_or(0)),
            json!(topic.is_internal),
            settings(admin, topic).await?,
        ]);
        let starts = ends(admin, topic, OffsetSpec::Earliest).await?;
        let ends = ends(admin, topic, OffsetSpec::Latest).await?;
        for partition in &topic.partitions {
            table.row([
                json!(topic.name),
                json!(partition.index),
                json!(partition.leader),
                json!(partition.leader_epoch.0),
                json!(partition.replicas),
                json!(partition.in_sync),
                json!(starts.get(&partition.index)),
                json!(ends.get(&partition.index)),
            ]);
        }
    }
    if topics.is_empty() {
        return Ok(answer);
    }
    Ok(Answer::default().with_table("topics", about).with_table("partitions", table).and(answer))
}

/// What is set for the topic itself.
async fn settings(admin: &Admin, topic: &TopicDescription) -> Result<Value> {
    let resource = ConfigResource::new(ResourceKind::Topic, &topic.name);
    let mut all = Vec::new();
    for (_, configs) in admin.describe_configs(&[resource]).await? {
        for config in configs? {
            if config.source == ConfigSource::Topic {
                all.push(format!("{}={}", config.name, config.value.unwrap_or_default()));
            }
        }
    }
    all.sort();
    Ok(json!(all))
}

/// Where the partitions begin or end that somebody leads.
async fn ends(
    admin: &Admin,
    topic: &TopicDescription,
    spec: OffsetSpec,
) -> Result<BTreeMap<i32, i64>> {
    let led = topic.partitions.iter().filter(|partition| partition.leader.is_some());
    let wanted = led.map(|one| (TopicPartition::new(&*topic.name, one.index), spec));
    let found = admin.list_offsets(&wanted.collect::<Vec<_>>(), false).await?;
    let found = found
        .into_iter()
        .filter_map(|(partition, found)| Some((partition.partition, found.ok()?.offset?)));
    Ok(found.collect())
}

//! `milena topic create`

use milena_client::{
    Error,
    admin::{Admin, NewTopic},
};
use milena_protocol::ErrorCode;
use serde_json::json;

use crate::{
    connect::key_value,
    failure::{Failure, Result},
    output::{Answer, Table},
};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Its name.
    #[arg(required = true, value_name = "TOPIC")]
    names: Vec<String>,
    /// How many partitions; the cluster's default if it is not said.
    #[arg(long, short)]
    partitions: Option<i32>,
    /// How many brokers hold each; the cluster's default if it is not said.
    #[arg(long, short)]
    replicas: Option<i16>,
    /// Which brokers hold which partition: those of one joined by colons, as in 1:2,2:3.
    #[arg(long, conflicts_with_all = ["partitions", "replicas"])]
    assign: Option<String>,
    /// A setting of the topic.
    #[arg(long, short, value_name = "KEY=VALUE")]
    config: Vec<String>,
    /// Leave a topic alone that is there.
    #[arg(long)]
    if_not_exists: bool,
    /// Only say what would be made.
    #[arg(long)]
    dry_run: bool,
}

pub(super) async fn run(arguments: &Arguments, admin: &Admin) -> Result<Answer> {
    let topics = arguments.names.iter().map(|name| topic(arguments, name));
    let topics = topics.collect::<Result<Vec<_>>>()?;
    let created = match arguments.dry_run {
        true => admin.validate_topics(&topics).await?,
        false => admin.create_topics(&topics).await?,
    };
    let mut table = Table::new(&["topic", "partitions", "replicas", "is"]);
    let mut answer = Answer::default();
    for (name, created) in created {
        if let Err(Error::Broker { code: ErrorCode::TopicAlreadyExists, .. }) = &created
            && arguments.if_not_exists
        {
            answer.did();
            table.row([json!(name), json!(null), json!(null), json!("there already")]);
            continue;
        }
        let what = if arguments.dry_run { "possible" } else { "created" };
        if let Some(topic) = answer.take(created) {
            let (partitions, replicas) = (topic.partitions, topic.replication_factor);
            table.row([json!(name), json!(partitions), json!(replicas), json!(what)]);
        }
    }
    Ok(Answer::table(table).and(answer))
}

fn topic(arguments: &Arguments, name: &str) -> Result<NewTopic> {
    let mut topic = NewTopic::new(name);
    if let Some(count) = arguments.partitions {
        topic = topic.partitions(count);
    }
    if let Some(count) = arguments.replicas {
        topic = topic.replication_factor(count);
    }
    if let Some(assigned) = &arguments.assign {
        topic = topic.placed(placed(assigned)?);
    }
    for text in &arguments.config {
        let (key, value) = key_value(text, "--config")?;
        topic = topic.config(key, value);
    }
    Ok(topic)
}

/// `1:2,2:3` as the brokers of two partitions.
pub(super) fn placed(text: &str) -> Result<Vec<Vec<i32>>> {
    let brokers = |of_one: &str| of_one.split(':').map(str::parse).collect::<Result<_, _>>();
    let all = text.split(',').map(brokers).collect::<Result<_, std::num::ParseIntError>>();
    all.map_err(|_| {
        Failure::usage(format!("--assign takes broker ids as in 1:2,2:3, not `{text}`"))
    })
}

//! `milena topic list`

use milena_client::{admin::Admin, admin::TopicDescription};
use serde_json::json;

use crate::{
    failure::Result,
    output::{Answer, Table},
};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Also the cluster's own topics.
    #[arg(long)]
    internal: bool,
    /// Only topics with partitions that nobody leads, or that too few brokers hold.
    #[arg(long)]
    unhealthy: bool,
}

pub(super) async fn run(arguments: &Arguments, admin: &Admin) -> Result<Answer> {
    let mut table = Table::new(&["topic", "partitions", "replicas", "healthy"]);
    for topic in admin.list_topics().await? {
        let is_healthy = is_healthy(&topic);
        if (topic.is_internal && !arguments.internal) || (is_healthy && arguments.unhealthy) {
            continue;
        }
        let replicas = topic.partitions.iter().map(|partition| partition.replicas.len()).max();
        table.row([
            json!(topic.name),
            json!(topic.partitions.len()),
            json!(replicas.unwrap_or(0)),
            json!(is_healthy),
        ]);
    }
    Ok(Answer::table(table))
}

fn is_healthy(topic: &TopicDescription) -> bool {
    topic.partitions.iter().all(|partition| {
        partition.leader.is_some() && partition.in_sync.len() == partition.replicas.len()
    })
}

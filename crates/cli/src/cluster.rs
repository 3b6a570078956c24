//! `milena cluster`: the brokers and what they agree on.

use clap::Subcommand;
use milena_client::admin::{Admin, QuorumReplica};
use serde_json::json;

use crate::{
    connect::Cluster,
    failure::Result,
    output::{Answer, Table},
};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show the brokers, who decides, their log directories, and what they can do.
    Describe,
}

pub(crate) fn run(command: &Command, cluster: &Cluster) -> Result<()> {
    let Command::Describe = command;
    let answer = cluster.administer(async |admin| describe(&admin).await);
    answer?.show(cluster.screen())
}

async fn describe(admin: &Admin) -> Result<Answer> {
    let cluster = admin.describe_cluster().await?;
    let mut brokers = Table::new(&["broker", "address", "rack"]);
    for broker in &cluster.brokers {
        brokers.row([json!(broker.id), json!(broker.address()), json!(broker.rack)]);
    }
    let mut directories = Table::new(&["broker", "path", "partitions", "bytes", "free", "error"]);
    for dir in admin.describe_log_dirs().await? {
        let bytes: u64 = dir.replicas.iter().map(|replica| replica.bytes).sum();
        directories.row([
            json!(dir.broker),
            json!(dir.path),
            json!(dir.replicas.len()),
            json!(bytes),
            json!(dir.usable_bytes),
            json!(dir.error.map(|error| error.to_string())),
        ]);
    }
    let mut features = Table::new(&["feature", "level", "lowest", "highest"]);
    for feature in admin.describe_features().await? {
        let (lowest, highest) = feature.supported;
        features.row([
            json!(feature.name),
            json!(feature.finalized),
            json!(lowest),
            json!(highest),
        ]);
    }
    let quorum = admin.describe_quorum().await?;
    let ids = |replicas: &[QuorumReplica]| replicas.iter().map(|it| it.id).collect::<Vec<_>>();
    let about = vec![("cluster", json!(cluster.id)), ("controller", json!(cluster.controller))];
    let agreed = vec![
        ("leader", json!(quorum.leader)),
        ("epoch", json!(quorum.epoch)),
        ("high_watermark", json!(quorum.high_watermark)),
        ("voters", json!(ids(&quorum.voters))),
        ("observers", json!(ids(&quorum.observers))),
    ];
    let answer = Answer::fields(about).with_table("brokers", brokers);
    let answer = answer.with_table("log_directories", directories).with_fields("quorum", agreed);
    Ok(answer.with_table("features", features))
}

//! `milena group delete`

use milena_client::admin::Admin;
use serde_json::json;

use crate::{
    connect::partition,
    failure::Result,
    output::{Answer, Table},
};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Which groups.
    #[arg(required = true, value_name = "GROUP")]
    groups: Vec<String>,
    /// Only forget what they have committed of this partition.
    #[arg(long = "offset-of", value_name = "TOPIC-PARTITION")]
    partitions: Vec<String>,
}

pub(super) async fn run(arguments: &Arguments, admin: &Admin) -> Result<Answer> {
    let mut answer = Answer::default();
    if arguments.partitions.is_empty() {
        let mut table = Table::new(&["group", "is"]);
        let groups: Vec<&str> = arguments.groups.iter().map(String::as_str).collect();
        for (group, deleted) in admin.delete_groups(&groups).await? {
            if answer.take(deleted).is_some() {
                table.row([json!(group), json!("deleted")]);
            }
        }
        return Ok(Answer::table(table).and(answer));
    }
    let partitions = arguments.partitions.iter().map(|text| {
        partition(text).map(|(topic, number)| milena_client::TopicPartition::new(topic, number))
    });
    let partitions = partitions.collect::<Result<Vec<_>>>()?;
    let mut table = Table::new(&["group", "partition", "is"]);
    for group in &arguments.groups {
        for (partition, deleted) in admin.delete_group_offsets(group, &partitions).await? {
            if answer.take(deleted).is_some() {
                table.row([json!(group), json!(partition.to_string()), json!("forgotten")]);
            }
        }
    }
    Ok(Answer::table(table).and(answer))
}

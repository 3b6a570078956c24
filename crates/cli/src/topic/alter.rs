//! `milena topic alter`

use milena_client::admin::{
    Admin, ConfigChange, ConfigOperation, ConfigResource, MorePartitions, ResourceKind,
};

use super::create::placed;
use crate::{
    connect::key_value,
    failure::{Failure, Result},
    output::Answer,
};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Which topic.
    #[arg(value_name = "TOPIC")]
    name: String,
    /// How many partitions it shall have; never fewer than it has.
    #[arg(long, short)]
    partitions: Option<i32>,
    /// Which brokers hold the new partitions: those of one joined by colons, as in 1:2,2:3.
    #[arg(long, requires = "partitions")]
    assign: Option<String>,
    /// Make a setting of the topic.
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Let a setting of the topic be as everywhere.
    #[arg(long, value_name = "KEY")]
    unset: Vec<String>,
    /// Only say whether it is possible.
    #[arg(long)]
    dry_run: bool,
}

pub(super) async fn run(arguments: &Arguments, admin: &Admin) -> Result<Answer> {
    let mut changes = Vec::new();
    for text in &arguments.set {
        let (key, value) = key_value(text, "--set")?;
        let operation = ConfigOperation::Set(value.into());
        changes.push(ConfigChange { name: key.into(), operation });
    }
    for key in &arguments.unset {
        let operation = ConfigOperation::Unset;
        changes.push(ConfigChange { name: key.as_str().into(), operation });
    }
    let Arguments { name, partitions, dry_run, .. } = arguments;
    if partitions.is_none() && changes.is_empty() {
        return Err(Failure::usage("nothing to change")
            .hint("--partitions N, --set KEY=VALUE or --unset KEY"));
    }
    let verb = if *dry_run { "could be" } else { "is" };
    let mut answer = Answer::default();
    if let Some(total) = *partitions {
        let placed = arguments.assign.as_deref().map(placed).transpose()?;
        let wanted = MorePartitions { topic: name.as_str().into(), total, placed };
        for (_, result) in admin.create_partitions(&[wanted], *dry_run).await? {
            if answer.take(result).is_some() {
                answer = answer.note(format!("{name}: {verb} in {total} partitions"));
            }
        }
    }
    if !changes.is_empty() {
        let resource = ConfigResource::new(ResourceKind::Topic, name);
        let count = changes.len();
        for (_, result) in admin.alter_configs(&[(resource, changes)], *dry_run).await? {
            if answer.take(result).is_some() {
                answer = answer.note(format!("{name}: {verb} changed in {count} settings"));
            }
        }
    }
    Ok(answer)
}

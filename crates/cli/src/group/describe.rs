//! `milena group describe`

use std::collections::{BTreeMap, BTreeSet};

use milena_client::{
    TopicPartition,
    admin::{Admin, GroupDescription, OffsetSpec},
};
use serde_json::json;

use crate::{
    failure::Result,
    output::{Answer, Table},
};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Which groups.
    #[arg(required = true, value_name = "GROUP")]
    groups: Vec<String>,
}

pub(super) async fn run(arguments: &Arguments, admin: &Admin) -> Result<Answer> {
    let groups: Vec<&str> = arguments.groups.iter().map(String::as_str).collect();
    let mut answer = Answer::default();
    let mut about = Table::new(&["group", "kind", "state", "assignor", "epoch", "members"]);
    let columns = ["group", "member", "instance", "client", "host", "partitions"];
    let mut members = Table::new(&columns);
    let columns = ["group", "partition", "committed", "end", "lag", "member"];
    let mut offsets = Table::new(&columns);
    let mut found = 0;
    for (group, described) in admin.describe_groups(&groups).await? {
        let Some(described) = answer.take(described) else { continue };
        found += 1;
        about.row([
            json!(group),
            json!(described.kind.name()),
            json!(described.state),
            json!(described.assignor),
            json!(described.epoch),
            json!(described.members.len()),
        ]);
        for member in &described.members {
            let assigned = member.assigned.iter().map(ToString::to_string);
            members.row([
                json!(group),
                json!(member.id),
                json!(member.instance),
                json!(member.client),
                json!(member.host),
                json!(assigned.collect::<Vec<_>>()),
            ]);
        }
        read_so_far(admin, &group, &described, &mut offsets).await?;
    }
    if found == 0 {
        return Ok(answer);
    }
    let shown = Answer::default().with_table("groups", about).with_table("members", members);
    Ok(shown.with_table("offsets", offsets).and(answer))
}

/// One row for each partition that the group has read or is to read.
async fn read_so_far(
    admin: &Admin,
    group: &str,
    described: &GroupDescription,
    table: &mut Table,
) -> Result<()> {
    let mut committed = BTreeMap::new();
    for (partition, offset) in admin.group_offsets(group).await? {
        committed.insert(partition, offset?.offset);
    }
    let mut readers = BTreeMap::<&TopicPartition, &str>::new();
    for member in &described.members {
        readers.extend(member.assigned.iter().map(|partition| (partition, &*member.client)));
    }
    let all: BTreeSet<_> = committed.keys().chain(readers.keys().copied()).cloned().collect();
    let wanted: Vec<_> = all.iter().map(|one| (one.clone(), OffsetSpec::Latest)).collect();
    let ends: BTreeMap<_, _> = admin.list_offsets(&wanted, false).await?.into_iter().collect();
    for partition in &all {
        let end = ends.get(partition).and_then(|end| end.as_ref().ok()?.offset);
        let committed = committed.get(partition).copied();
        let lag = end.zip(committed).map(|(end, committed)| (end - committed).max(0));
        table.row([
            json!(group),
            json!(partition.to_string()),
            json!(committed),
            json!(end),
            json!(lag),
            json!(readers.get(partition)),
        ]);
    }
    Ok(())
}

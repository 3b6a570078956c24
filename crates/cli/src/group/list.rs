//! `milena group list`

use milena_client::admin::Admin;
use serde_json::json;

use crate::{
    failure::Result,
    output::{Answer, Table},
};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Only groups in this state, such as Stable or Empty.
    #[arg(long)]
    state: Vec<String>,
}

pub(super) async fn run(arguments: &Arguments, admin: &Admin) -> Result<Answer> {
    let states: Vec<&str> = arguments.state.iter().map(String::as_str).collect();
    let mut table = Table::new(&["group", "kind", "protocol", "state", "coordinator"]);
    for group in admin.list_groups(&states).await? {
        table.row([
            json!(group.group),
            json!(group.kind.name()),
            json!(group.protocol),
            json!(group.state),
            json!(group.coordinator),
        ]);
    }
    Ok(Answer::table(table))
}

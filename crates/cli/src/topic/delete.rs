//! `milena topic delete`

use milena_client::{Error, admin::Admin};
use milena_protocol::ErrorCode;
use serde_json::json;

use crate::{
    failure::Result,
    output::{Answer, Table},
};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Which topics.
    #[arg(required = true, value_name = "TOPIC")]
    names: Vec<String>,
    /// Say nothing of topics that are not there.
    #[arg(long)]
    if_exists: bool,
}

pub(super) async fn run(arguments: &Arguments, admin: &Admin) -> Result<Answer> {
    let names: Vec<&str> = arguments.names.iter().map(String::as_str).collect();
    let mut table = Table::new(&["topic", "is"]);
    let mut answer = Answer::default();
    for (name, deleted) in admin.delete_topics(&names).await? {
        match deleted {
            Err(Error::Broker { code: ErrorCode::UnknownTopicOrPartition, .. })
                if arguments.if_exists =>
            {
                answer.did();
                table.row([json!(name), json!("not there")]);
            }
            deleted => {
                if answer.take(deleted).is_some() {
                    table.row([json!(name), json!("deleted")]);
                }
            }
        }
    }
    Ok(Answer::table(table).and(answer))
}

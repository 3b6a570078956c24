//! `milena config set`, and what `unset` has in common with it.

use milena_client::admin::{Admin, ConfigChange, ConfigOperation, QuotaChange};
use serde_json::json;

use super::{Target, Whose};
use crate::{
    connect::key_value,
    failure::{Failure, Result},
    output::{Answer, Table},
};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    whose: Whose,
    /// What to set. A list is made longer by KEY+=VALUE and shorter by KEY-=VALUE.
    #[arg(required = true, value_name = "KEY=VALUE")]
    settings: Vec<String>,
    /// Only say whether it is possible.
    #[arg(long)]
    dry_run: bool,
}

pub(super) async fn run(arguments: &Arguments, admin: &Admin) -> Result<Answer> {
    let changes = arguments.settings.iter().map(|text| change(text));
    apply(&arguments.whose, changes.collect::<Result<_>>()?, arguments.dry_run, admin).await
}

fn change(text: &str) -> Result<ConfigChange> {
    let (key, value) = key_value(text, "set")?;
    let (key, operation) = match (key.strip_suffix('+'), key.strip_suffix('-')) {
        (Some(key), _) => (key, ConfigOperation::Append(value.into())),
        (_, Some(key)) => (key, ConfigOperation::Subtract(value.into())),
        _ => (key, ConfigOperation::Set(value.into())),
    };
    Ok(ConfigChange { name: key.into(), operation })
}

/// Makes changes, and shows them.
pub(super) async fn apply(
    whose: &Whose,
    changes: Vec<ConfigChange>,
    dry_run: bool,
    admin: &Admin,
) -> Result<Answer> {
    let mut table = Table::new(&["key", "is"]);
    for change in &changes {
        let is = match &change.operation {
            ConfigOperation::Set(value) => format!("set to {value}"),
            ConfigOperation::Unset => "unset".to_owned(),
            ConfigOperation::Append(value) => format!("longer by {value}"),
            ConfigOperation::Subtract(value) => format!("shorter by {value}"),
        };
        table.row([json!(change.name), json!(is)]);
    }
    match whose.target() {
        Target::Resource(resource) => {
            for (_, result) in admin.alter_configs(&[(resource, changes)], dry_run).await? {
                result?;
            }
        }
        Target::Quota(entity) => {
            let values = changes.iter().map(quota).collect::<Result<_>>()?;
            let change = QuotaChange { entity, values };
            for (_, result) in admin.alter_quotas(&[change], dry_run).await? {
                result?;
            }
        }
    }
    let answer = Answer::table(table);
    Ok(if dry_run { answer.note("Nothing was changed: it is only possible.") } else { answer })
}

fn quota(change: &ConfigChange) -> Result<(Box<str>, Option<f64>)> {
    let value = match &change.operation {
        ConfigOperation::Unset => None,
        ConfigOperation::Set(text) => Some(text.parse().map_err(|_| {
            Failure::usage(format!("{} is a number, and `{text}` is none", change.name))
        })?),
        _ => return Err(Failure::usage(format!("{} is no list", change.name))),
    };
    Ok((change.name.clone(), value))
}

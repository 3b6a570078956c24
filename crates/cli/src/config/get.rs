//! `milena config get`

use milena_client::admin::{Admin, Config, ConfigSource, QuotaEntity};
use serde_json::{Value, json};

use super::{Target, Whose};
use crate::{
    failure::{Exit, Failure, Result},
    output::{Answer, Table},
};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    whose: Whose,
    /// Only these.
    #[arg(value_name = "KEY")]
    keys: Vec<String>,
    /// Also what nobody has set.
    #[arg(long)]
    all: bool,
    /// Also what each does.
    #[arg(long)]
    explain: bool,
}

pub(super) async fn run(arguments: &Arguments, admin: &Admin) -> Result<Answer> {
    let resource = match arguments.whose.target() {
        Target::Resource(resource) => resource,
        Target::Quota(entity) => return quotas(arguments, admin, &entity).await,
    };
    let mut all = Vec::new();
    for (_, configs) in admin.describe_configs(&[resource]).await? {
        all.extend(configs?);
    }
    for key in &arguments.keys {
        if !all.iter().any(|config| *config.name == **key) {
            let what = format!("there is no setting {key}");
            return Err(Failure::new(Exit::Refused, what).hint("--all shows what there is"));
        }
    }
    all.retain(|config| match arguments.keys.is_empty() {
        true => arguments.all || config.source != ConfigSource::Default,
        false => arguments.keys.iter().any(|key| *config.name == **key),
    });
    all.sort_by(|one, other| one.name.cmp(&other.name));
    let mut table = match arguments.explain {
        true => Table::new(&["key", "value", "set_by", "does"]),
        false => Table::new(&["key", "value", "set_by"]),
    };
    for config in &all {
        let (key, value, set_by) = (json!(config.name), value(config), set_by(config.source));
        match arguments.explain {
            true => table.row([key, value, json!(set_by), json!(config.documentation)]),
            false => table.row([key, value, json!(set_by)]),
        }
    }
    Ok(Answer::table(table))
}

fn value(config: &Config) -> Value {
    if config.is_sensitive { json!("(secret)") } else { json!(config.value) }
}

const fn set_by(source: ConfigSource) -> &'static str {
    match source {
        ConfigSource::Topic => "topic",
        ConfigSource::DynamicBroker => "broker",
        ConfigSource::DynamicDefaultBroker => "all brokers",
        ConfigSource::StaticBroker => "file",
        ConfigSource::Default => "nobody",
        ConfigSource::BrokerLogger => "logger",
        ConfigSource::ClientMetrics => "subscription",
        ConfigSource::Group => "group",
        _ => "unknown",
    }
}

async fn quotas(arguments: &Arguments, admin: &Admin, entity: &QuotaEntity) -> Result<Answer> {
    let mut table = Table::new(&["key", "value"]);
    for quota in admin.describe_quotas().await? {
        if quota.entity != *entity {
            continue;
        }
        for (key, value) in quota.values {
            if arguments.keys.is_empty() || arguments.keys.iter().any(|wanted| **wanted == *key) {
                table.row([json!(key), json!(value)]);
            }
        }
    }
    Ok(Answer::table(table))
}

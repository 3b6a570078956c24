//! `milena config`: settings of topics, brokers and groups, and quotas of clients.

mod get;
mod set;
mod unset;

use clap::{Subcommand, ValueEnum};
use milena_client::admin::{ConfigResource, QuotaEntity, ResourceKind};

use crate::{connect::Cluster, failure::Result};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show settings and where each comes from.
    Get(get::Arguments),
    /// Make settings.
    Set(set::Arguments),
    /// Let settings be what they are without this one.
    Unset(unset::Arguments),
}

/// What has settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// A topic
    Topic,
    /// A broker by its id
    Broker,
    /// What a broker logs
    BrokerLogger,
    /// A group
    Group,
    /// A subscription of clients' metrics
    ClientMetrics,
    /// Quotas of clients by their client.id
    Client,
    /// Quotas of users
    User,
    /// Quotas of addresses
    Ip,
}

/// Whose settings.
#[derive(Debug, clap::Args)]
struct Whose {
    /// What it is.
    kind: Kind,
    /// Its name; <default> for all that have none of their own.
    name: String,
}

/// A thing with settings, or one with quotas.
enum Target {
    Resource(ConfigResource),
    Quota(QuotaEntity),
}

impl Whose {
    fn target(&self) -> Target {
        let is_default = self.name == "<default>";
        let name = if is_default { "" } else { self.name.as_str() };
        let resource = |kind| Target::Resource(ConfigResource::new(kind, name));
        let quota = |kind: &str| {
            let name = (!is_default).then(|| self.name.as_str().into());
            Target::Quota(vec![(kind.into(), name)])
        };
        match self.kind {
            Kind::Topic => resource(ResourceKind::Topic),
            Kind::Broker => resource(ResourceKind::Broker),
            Kind::BrokerLogger => resource(ResourceKind::BrokerLogger),
            Kind::Group => resource(ResourceKind::Group),
            Kind::ClientMetrics => resource(ResourceKind::ClientMetrics),
            Kind::Client => quota("client-id"),
            Kind::User => quota("user"),
            Kind::Ip => quota("ip"),
        }
    }
}

pub(crate) fn run(command: &Command, cluster: &Cluster) -> Result<()> {
    let screen = cluster.screen();
    let answer = cluster.administer(async |admin| match command {
        Command::Get(arguments) => get::run(arguments, &admin).await,
        Command::Set(arguments) => set::run(arguments, &admin).await,
        Command::Unset(arguments) => unset::run(arguments, &admin).await,
    });
    answer?.show(screen)
}

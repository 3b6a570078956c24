//! `milena topic`: what topics there are, and how they are.

mod alter;
mod create;
mod delete;
mod describe;
mod list;

use clap::Subcommand;

use crate::{connect::Cluster, failure::Result};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make a topic.
    Create(create::Arguments),
    /// Show all topics.
    List(list::Arguments),
    /// Show topics with their partitions.
    Describe(describe::Arguments),
    /// Give a topic more partitions, or change its settings.
    Alter(alter::Arguments),
    /// Delete topics and all records in them.
    Delete(delete::Arguments),
}

pub(crate) fn run(command: &Command, cluster: &Cluster) -> Result<()> {
    let screen = cluster.screen();
    let answer = cluster.administer(async |admin| match command {
        Command::Create(arguments) => create::run(arguments, &admin).await,
        Command::List(arguments) => list::run(arguments, &admin).await,
        Command::Describe(arguments) => describe::run(arguments, &admin).await,
        Command::Alter(arguments) => alter::run(arguments, &admin).await,
        Command::Delete(arguments) => delete::run(arguments, &admin).await,
    });
    answer?.show(screen)
}

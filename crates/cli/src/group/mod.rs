//! `milena group`: who reads together, and how far they have come.

mod delete;
mod describe;
mod list;
mod reset;

use clap::Subcommand;

use crate::{connect::Cluster, failure::Result};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show all groups.
    List(list::Arguments),
    /// Show the members of groups, and how far each partition has been read.
    Describe(describe::Arguments),
    /// Set how far a group has read. Without --execute it only says what would become of it.
    Reset(reset::Arguments),
    /// Delete groups and all that they have committed.
    Delete(delete::Arguments),
}

pub(crate) fn run(command: &Command, cluster: &Cluster) -> Result<()> {
    let screen = cluster.screen();
    let answer = cluster.administer(async |admin| match command {
        Command::List(arguments) => list::run(arguments, &admin).await,
        Command::Describe(arguments) => describe::run(arguments, &admin).await,
        Command::Reset(arguments) => reset::run(arguments, &admin).await,
        Command::Delete(arguments) => delete::run(arguments, &admin).await,
    });
    answer?.show(screen)
}

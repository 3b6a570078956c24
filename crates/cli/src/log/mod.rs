//! `milena log`: what lies in a log directory, Milena's or Apache Kafka's, without a broker.
//! Nothing is changed and no lock is taken.

mod dump;
mod explain;
mod ls;
mod verify;

use std::{io::ErrorKind, path::PathBuf};

use clap::Subcommand;
use milena_env::{Disk, RealDisk};
use milena_storage::{
    StorageError,
    inspect::{FoundPartition, Survey},
};

use crate::{
    connect::{Cluster, partition},
    failure::{Exit, Failure, Result},
};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show the partitions of a directory, or the segments of one partition.
    Ls(ls::Arguments),
    /// Show the batches of a partition, or its records.
    Dump(dump::Arguments),
    /// Prove every batch: checksums, offsets, records, indexes.
    Verify(verify::Arguments),
    /// Show step by step how an offset is found.
    Explain(explain::Arguments),
}

/// Where to look.
#[derive(Debug, clap::Args)]
struct Place {
    /// The log directory.
    #[arg(long, short, default_value = "./milena-data", value_name = "DIRECTORY")]
    data: PathBuf,
}

pub(crate) fn run(command: &Command, cluster: &Cluster) -> Result<()> {
    let screen = cluster.screen();
    match command {
        Command::Ls(arguments) => ls::run(arguments)?.show(screen),
        Command::Dump(arguments) => dump::run(arguments, screen),
        Command::Verify(arguments) => verify::run(arguments)?.show(screen),
        Command::Explain(arguments) => explain::run(arguments, screen),
    }
}

impl From<StorageError> for Failure {
    fn from(error: StorageError) -> Self {
        let exit = match &error {
            StorageError::Corrupt { .. } => Exit::Damaged,
            StorageError::Io { source, .. } if source.kind() == ErrorKind::NotFound => {
                Exit::Refused
            }
            _ => Exit::Failed,
        };
        Self::new(exit, error.to_string())
    }
}

impl Place {
    fn survey(&self) -> Result<Survey> {
        let survey = Survey::of(disk(), &self.data).map_err(Failure::from)?;
        if survey.meta.is_none() && survey.partitions.is_empty() {
            let what = format!("{} is no log directory", self.data.display());
            return Err(Failure::new(Exit::Refused, what)
                .hint("name one of the broker's log.dirs with --data"));
        }
        Ok(survey)
    }

    /// A partition as `TOPIC-PARTITION` names it.
    fn find<'s>(&self, survey: &'s Survey, name: &str) -> Result<&'s FoundPartition> {
        let (topic, number) = partition(name)?;
        survey.partition(topic, number).ok_or_else(|| {
            let what = format!("{} holds no {topic}-{number}", self.data.display());
            Failure::new(Exit::Refused, what).hint(
                "`milena log ls` shows what it holds; an empty log has no folder before its first \
                 record",
            )
        })
    }
}

/// What is not seen here because it is not in the partitions' folders.
fn unseen(survey: &Survey) -> Option<&'static str> {
    if survey.is_in_use {
        Some("A broker runs on it: what it has not written to segments yet is not seen.")
    } else if !survey.was_clean {
        Some("It was not stopped cleanly: what only the journal has is not seen until a start.")
    } else {
        None
    }
}

fn disk() -> &'static dyn Disk {
    &RealDisk
}

//! What shells and manuals want to know of the command line: `milena completions`, `milena man`.

use std::{
    io::{self, Write},
    path::PathBuf,
};

use clap::{Command, ValueEnum};
use clap_complete::{Shell as Known, generate};
use milena_env::{Disk, RealDisk};

use crate::failure::Result;

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Shell {
    Bash,
    Zsh,
    Fish,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Completions {
    /// For which shell.
    shell: Shell,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Manual {
    /// Where to write them.
    directory: PathBuf,
}

pub(crate) fn completions(arguments: &Completions, mut command: Command) -> Result<()> {
    let shell = match arguments.shell {
        Shell::Bash => Known::Bash,
        Shell::Zsh => Known::Zsh,
        Shell::Fish => Known::Fish,
    };
    let mut script = Vec::new();
    generate(shell, &mut command, "milena", &mut script);
    Ok(io::stdout().write_all(&script)?)
}

pub(crate) fn manual(arguments: &Manual, command: Command) -> Result<()> {
    let disk: &dyn Disk = &RealDisk;
    disk.create_dir_all(&arguments.directory)?;
    Ok(clap_mangen::generate_to(command, &arguments.directory)?)
}

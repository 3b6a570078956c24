//! The binary `milena`: the broker, and the tools of its command line.

mod bench;
mod cluster;
mod config;
mod connect;
mod consume;
mod failure;
mod group;
mod log;
mod logging;
mod output;
mod produce;
mod serve;
mod shell;
mod topic;

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use crate::failure::{EXIT_CODES, Exit, Failure, Result};

/// A message broker that speaks Apache Kafka's protocol, and tools for it and for Apache Kafka.
#[derive(Debug, Parser)]
#[command(name = "milena", version, arg_required_else_help = true, after_help = EXIT_CODES)]
struct Arguments {
    #[command(flatten)]
    cluster: connect::Cluster,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a broker. Without a file: node 1 at 127.0.0.1:9092, data in ./milena-data.
    Serve(serve::Arguments),
    /// Send records: lines, JSON lines, whole files.
    Produce(produce::Arguments),
    /// Read records, and show them as text, JSON or what a template says.
    Consume(consume::Arguments),
    /// Topics: create, list, describe, alter, delete.
    #[command(subcommand)]
    Topic(topic::Command),
    /// Groups: list, describe, reset, delete.
    #[command(subcommand)]
    Group(group::Command),
    /// Settings and quotas: get, set, unset.
    #[command(subcommand)]
    Config(config::Command),
    /// The brokers as a whole.
    #[command(subcommand)]
    Cluster(cluster::Command),
    /// How fast the cluster is: produce, consume, latency.
    #[command(subcommand)]
    Bench(bench::Command),
    /// What lies in a log directory, without a broker: ls, dump, verify, explain.
    #[command(subcommand)]
    Log(log::Command),
    /// Print a script that completes commands in a shell.
    Completions(shell::Completions),
    /// Write man pages into a directory.
    Man(shell::Manual),
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("milena: {failure}");
            failure.exit().into()
        }
    }
}

fn run() -> Result<()> {
    let Arguments { cluster, command } = Arguments::parse();
    match &command {
        Command::Serve(arguments) => {
            let logs_json = cluster.json;
            serve::run(arguments, logs_json)
                .map_err(|error| Failure::new(Exit::Failed, error.to_string()))
        }
        Command::Produce(arguments) => produce::run(arguments, &cluster),
        Command::Consume(arguments) => consume::run(arguments, &cluster),
        Command::Bench(command) => bench::run(command, &cluster),
        Command::Topic(command) => topic::run(command, &cluster),
        Command::Group(command) => group::run(command, &cluster),
        Command::Config(command) => config::run(command, &cluster),
        Command::Cluster(command) => cluster::run(command, &cluster),
        Command::Log(command) => log::run(command, &cluster),
        Command::Completions(arguments) => shell::completions(arguments, Arguments::command()),
        Command::Man(arguments) => shell::manual(arguments, Arguments::command()),
    }
}

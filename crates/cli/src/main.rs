//! The binary `milena`: the broker, and the tools of its command line.

mod logging;
mod serve;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// A message broker that speaks Apache Kafka's protocol.
#[derive(Debug, Parser)]
#[command(name = "milena", version, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a broker. Without a file: node 1 at 127.0.0.1:9092, data in ./milena-data.
    Serve(serve::Arguments),
}

fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Serve(arguments) => serve::run(&arguments),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("milena: {error}");
            ExitCode::FAILURE
        }
    }
}

//! `differential kafka ADDRESS FILE` writes what Apache Kafka answers; `differential milena ADDRESS
//! FILE` compares what Milena answers with such a file. `run.sh` does both.

use std::{net::SocketAddr, path::Path, process::ExitCode, time::Duration};

use milena_differential::{
    canon::Rules,
    compare::{self, KnownDifferences},
    encode::Requests,
    run::{Asking, run},
    script,
};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let result = match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["kafka", address, file] => ask_kafka(address, Path::new(file)),
        ["milena", address, file] => ask_milena(address, Path::new(file)),
        _ => Err("differential kafka|milena ADDRESS FILE".to_owned()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn address_of(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| format!("{text} is no address"))
}

fn ask_kafka(address: &str, file: &Path) -> Result<(), String> {
    let (requests, rules) = (Requests::load()?, Rules::load()?);
    let asking = Asking {
        address: address_of(address)?,
        pause: Duration::from_millis(200),
        only_advertised: false,
    };
    let exchanges = run(&asking, &script::all(&requests)?, &requests, &rules)?;
    println!("Kafka: {} exchanges", exchanges.len());
    compare::write(file, &exchanges)
}

fn ask_milena(address: &str, file: &Path) -> Result<(), String> {
    let (requests, rules) = (Requests::load()?, Rules::load()?);
    let asking =
        Asking { address: address_of(address)?, pause: Duration::ZERO, only_advertised: true };
    let exchanges = run(&asking, &script::all(&requests)?, &requests, &rules)?;
    let complaints = compare::judge(&compare::read(file)?, &exchanges, &KnownDifferences::load()?);
    println!("Milena: {} exchanges, {} complaints", exchanges.len(), complaints.len());
    if complaints.is_empty() { Ok(()) } else { Err(complaints.join("\n")) }
}

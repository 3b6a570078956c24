//! Faults that want a real process: signals under load, and more clients than a broker can serve.

mod client;
mod copies;
mod exactly_once;
mod groups;
mod overload;
mod signals;
mod transactions;

fn number_from(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable).map_or(otherwise, |text| text.parse().unwrap())
}

//! What an append, an acknowledgement, a recovery and an idle partition cost, on a real disk,
//! beside the bare system calls that they cannot do without.
//!
//! `cargo bench -p milena-storage --bench cpu` runs everything briefly; a name runs one part, and
//! `sustained 60` runs for that many seconds. `MILENA_BENCH_DIR` says where the files go.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod acknowledge;
mod append;
mod bare;
mod many;
mod recover;
mod rig;
mod ring;
mod sustained;

fn main() {
    // Cargo itself adds `--bench`.
    let words: Vec<String> = std::env::args().skip(1).filter(|w| w != "--bench").collect();
    let part = words.first().map_or("all", String::as_str);
    let number = words.get(1).and_then(|w| w.parse().ok());
    let all = part == "all";
    if part == "die" {
        recover::die(&words);
    }
    if all || part == "append" {
        append::run();
    }
    if all || part == "threads" {
        append::run_threads();
    }
    if all || part == "ring" {
        ring::run();
    }
    if all || part == "acknowledge" {
        acknowledge::run();
    }
    if all || part == "sustained" {
        sustained::run(number.unwrap_or(5));
    }
    if all || part == "recover" {
        recover::run();
    }
    if all || part == "many" {
        many::run(number.unwrap_or(if all { 10_000 } else { 100_000 }) as usize);
    }
}

//! The fuzzer's corpus, valid traffic of every API, and random mutations of it against a whole
//! broker. `MILENA_FUZZ_SECONDS=600 cargo test -p milena-broker --test it mutations` goes on for
//! ten minutes; `MILENA_SEED` chooses other mutations.

use std::{
    fs,
    time::{Duration, Instant},
};

use milena_env::Random;

#[path = "../../../../fuzz/checks/broker.rs"]
mod broker;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/corpus/broker");

fn corpus() -> Vec<Vec<u8>> {
    let mut paths: Vec<_> =
        fs::read_dir(FOLDER).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

fn number_from(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable).map_or(otherwise, |text| text.parse().unwrap())
}

#[test]
fn the_corpus_of_traffic_harms_no_broker() {
    let corpus = corpus();
    assert!(corpus.len() > 20, "only {} files", corpus.len());
    corpus.iter().for_each(|bytes| broker::check(bytes));
}

#[test]
fn random_mutations_of_valid_traffic_harm_no_broker() {
    let corpus = corpus();
    let seed = number_from("MILENA_SEED", 1);
    let seconds = Duration::from_secs(number_from("MILENA_FUZZ_SECONDS", 2));
    let (mut random, since) = (Random::from_seed(seed), Instant::now());
    let mut count = 0;
    while since.elapsed() < seconds {
        let mut bytes = pick(&corpus, &mut random).clone();
        for _ in 0..=random.below(6) {
            mutate(&mut bytes, &corpus, &mut random);
        }
        count += 1;
        let result = std::panic::catch_unwind(|| broker::check(&bytes));
        assert!(result.is_ok(), "seed {seed}, input {count}: {bytes:?}");
    }
    println!("{count} inputs");
    assert!(count > 10);
}

fn pick<'a>(corpus: &'a [Vec<u8>], random: &mut Random) -> &'a Vec<u8> {
    &corpus[random.below(corpus.len() as u64) as usize]
}

fn mutate(bytes: &mut Vec<u8>, corpus: &[Vec<u8>], random: &mut Random) {
    let at = random.below(bytes.len() as u64 + 1) as usize;
    let some = random.below(9) as usize;
    let end = (at + some).min(bytes.len());
    match random.below(6) {
        0 => bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 1 << random.below(8)),
        1 => {
            let value = [0, 1, 0x7f, 0x80, 0xff][random.below(5) as usize];
            bytes[at..end].fill(value);
        }
        2 => drop(bytes.drain(at..end)),
        3 => drop(bytes.splice(at..at, (0..some).map(|_| random.below(256) as u8))),
        4 => {
            let again = bytes[at..end].to_vec();
            drop(bytes.splice(at..at, again));
        }
        // Another request, whole, behind this one or inside it.
        _ => {
            let other = pick(corpus, random).clone();
            let at = if random.chance(1, 2) { bytes.len() } else { at };
            drop(bytes.splice(at..at, other));
        }
    }
    bytes.truncate(1 << 16);
}

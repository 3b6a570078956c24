//! A broker inside a process, as a test would have it: `cargo run -p milena-broker --example
//! embedded` starts one, says how long that took, and shows where it is.

use milena_broker::EmbeddedError;
use milena_env::{Clock, RealClock};

fn main() -> Result<(), EmbeddedError> {
    let began = RealClock.monotonic();
    let broker = milena_broker::embedded().set("num.partitions", "3").start()?;
    let took = RealClock.monotonic() - began;
    println!("a broker at {} in {took:.1?}", broker.bootstrap());
    println!("its data are in {} until it stops", broker.directory().display());
    // Any client of Kafka's can be given `broker.bootstrap()` here.
    broker.stop()
}

//! The same work on many connections at once, and how long each piece of it took.

use std::{thread, time::Duration};

use crate::Result;

/// Has each connection work for a while, and prints how often and how quickly they were done.
pub(crate) fn at_once(
    server: &str,
    time: Duration,
    connections: usize,
    work: impl Fn(&str, usize) -> Result<Vec<Duration>> + Copy + Send + 'static,
) -> Result<()> {
    let workers: Vec<_> = (0..connections)
        .map(|number| {
            let server = server.to_owned();
            thread::spawn(move || work(&server, number))
        })
        .collect();
    let mut latencies = Vec::new();
    for worker in workers {
        latencies.append(&mut worker.join().map_err(|_| "a thread panicked")??);
    }
    latencies.sort_unstable();
    let at = |share: f64| latencies[(latencies.len() as f64 * share) as usize].as_secs_f64() * 1e3;
    println!(
        "count {} per_second {:.0} p50_ms {:.2} p99_ms {:.2}",
        latencies.len(),
        latencies.len() as f64 / time.as_secs_f64(),
        at(0.5),
        at(0.99)
    );
    Ok(())
}

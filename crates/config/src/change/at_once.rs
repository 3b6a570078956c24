//! How far settings may go from what a running broker has to what it gets.

use super::ChangeError;
use crate::layers::Layers;

/// Kafka makes its pools of threads at most twice as large, or half as small, at once.
const THREADS: [&str; 6] = [
    "background.threads",
    "log.cleaner.threads",
    "num.io.threads",
    "num.network.threads",
    "num.recovery.threads.per.data.dir",
    "num.replica.fetchers",
];
/// What may be zero in a file, and not be made zero.
const NOT_ZERO: [&str; 3] =
    ["log.cleaner.threads", "max.connection.creation.rate", "max.connections"];
const KEY_MEMORY: &str = "log.cleaner.dedupe.buffer.size";
const KEY_MEMORY_OF_THREAD: i64 = 1 << 20;
const PER_IP: &str = "max.connections.per.ip";
const PER_IP_OVERRIDES: &str = "max.connections.per.ip.overrides";

/// Judges what is set after a change by what is set before it.
pub(super) fn judge(before: &Layers, after: &Layers) -> Result<(), ChangeError> {
    let number = |layers: &Layers, key: &str| layers.text(key)?.trim().parse::<i64>().ok();
    let changed = |key: &'static str| {
        let (was, is) = (number(before, key)?, number(after, key)?);
        (was != is).then_some((key, was, is))
    };
    let refuse = |why: String| Err(ChangeError::Contradiction(why));
    if let Some((key, _, _)) = NOT_ZERO.into_iter().filter_map(changed).find(|(.., is)| *is == 0) {
        return refuse(format!("Invalid {key} 0"));
    }
    for (key, was, is) in THREADS.into_iter().filter_map(changed) {
        let should = match is {
            _ if is > was.saturating_mul(2) => "not be greater than double",
            _ if is < was / 2 => "be at least half",
            _ => continue,
        };
        return refuse(format!(
            "Dynamic thread count update validation failed for {key}={is}, value should {should} \
             the current value {was}"
        ));
    }
    let threads = number(after, "log.cleaner.threads").unwrap_or(1);
    if let Some((key, _, is)) = changed(KEY_MEMORY)
        && is / threads.max(1) <= KEY_MEMORY_OF_THREAD
    {
        return refuse(format!("{key} must be at least 1MB per cleaner thread."));
    }
    let has_overrides = after.text(PER_IP_OVERRIDES).is_some_and(|text| !text.trim().is_empty());
    if changed(PER_IP).is_some_and(|(.., is)| is == 0) && !has_overrides {
        let why =
            format!("{PER_IP} can be set to zero only if {PER_IP_OVERRIDES} property is set.");
        return refuse(why);
    }
    Ok(())
}

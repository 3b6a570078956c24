//! Which metrics the administrators want of a client: what all subscriptions that fit it ask for.

use milena_config::change::CLIENT_PATTERNS;
use milena_metadata::image::{Config, MetadataImage, ResourceType};
use milena_protocol::{Uuid, records::crc32c};
use regex::RegexBuilder;

/// How often a client pushes if nothing else is said.
const INTERVAL_MS: i32 = 300_000;

/// A pattern may not take more than this when it is compiled.
const PATTERN_BYTES_MAX: usize = 1 << 18;

/// What a subscription may know a client by, in the order of [`CLIENT_PATTERNS`].
pub(super) type Traits = [String; CLIENT_PATTERNS.len()];

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Subscription {
    pub(crate) id: i32,
    pub(crate) interval_ms: i32,
    /// Prefixes of names; an empty one is all.
    pub(crate) metrics: Vec<String>,
}

impl Subscription {
    /// What a client with these traits is asked for.
    pub(super) fn of(image: &MetadataImage, client: Uuid, traits: &Traits) -> Self {
        let mut interval_ms = INTERVAL_MS;
        let mut metrics = Vec::new();
        for (resource, config) in image.configs.sorted() {
            if resource.kind != ResourceType::ClientMetrics || !fits(config, traits) {
                continue;
            }
            let interval = config.get("interval.ms").and_then(|text| text.trim().parse().ok());
            interval_ms = interval_ms.min(interval.unwrap_or(INTERVAL_MS));
            let wanted = config.get("metrics").map_or("", |list| list);
            metrics.extend(elements(wanted).map(str::to_owned));
        }
        if metrics.iter().any(|prefix| prefix == "*") {
            metrics = vec![String::new()];
        }
        metrics.sort_unstable();
        metrics.dedup();
        let said = format!("{metrics:?} {interval_ms} {client}");
        let id = crc32c(said.as_bytes()).cast_signed();
        Self { id, interval_ms, metrics }
    }
}

fn elements(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').map(str::trim).filter(|element| !element.is_empty())
}

/// Whether every pattern fits; without any, every client does.
fn fits(config: &Config, traits: &Traits) -> bool {
    let patterns = config.get("match").map_or("", |list| list);
    elements(patterns).all(|pattern| {
        let Some((name, pattern)) = pattern.split_once('=') else { return false };
        let known = CLIENT_PATTERNS.iter().position(|known| *known == name.trim());
        let Some(value) = known.and_then(|at| traits.get(at)) else { return false };
        let whole = format!("^(?:{})$", pattern.trim());
        let compiled = RegexBuilder::new(&whole).size_limit(PATTERN_BYTES_MAX).build();
        compiled.is_ok_and(|pattern| pattern.is_match(value))
    })
}

#[cfg(test)]
mod test {
    use milena_metadata::image::Replay;
    use milena_protocol::metadata::{ConfigRecord, Value};

    use super::*;

    fn image(set: &[(&str, &str, &str)]) -> MetadataImage {
        let mut replay = Replay::new(MetadataImage::default());
        for (resource_name, name, value) in set {
            let record = ConfigRecord {
                resource_type: ResourceType::ClientMetrics.number(),
                resource_name,
                name,
                value: Some(value),
            };
            replay.apply(&Value::ConfigRecord(record)).unwrap();
        }
        replay.image
    }

    fn traits(client_id: &str) -> Traits {
        ["id", client_id, "java", "4.3", "127.0.0.1", "5000"].map(str::to_owned)
    }

    #[test]
    fn all_that_fit_are_taken_together() {
        let image = image(&[
            ("a", "metrics", "org.apache.kafka.producer.,org.apache"),
            ("a", "interval.ms", "5000"),
            ("a", "match", "client_id=order-.*, client_software_name=java"),
            ("b", "metrics", "*"),
            ("b", "match", "client_id=audit"),
            ("c", "match", "client_id=((("),
        ]);
        let of = |client_id: &str| Subscription::of(&image, Uuid::ZERO, &traits(client_id));
        let fits = of("order-7");
        assert_eq!((fits.interval_ms, fits.metrics.len()), (5000, 2));
        assert_eq!(of("audit").metrics, [""]);
        let other = of("my-order-7");
        assert_eq!((other.interval_ms, other.metrics.len()), (INTERVAL_MS, 0));
        assert_ne!(fits.id, other.id);
    }
}

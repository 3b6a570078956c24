//! The features that this broker can finalise, and whether the cluster's have been left behind.

use milena_metadata::{
    GROUP_VERSION, TRANSACTION_VERSION,
    controller::ControllerOptions,
    image::{MetadataImage, SupportedFeature},
};

/// Those of the controller, and those of the coordinators.
pub(crate) fn supported() -> Vec<SupportedFeature> {
    let mut features = ControllerOptions::default().features;
    features.push(SupportedFeature { name: GROUP_VERSION.into(), min: 0, max: 1 });
    features.push(SupportedFeature { name: TRANSACTION_VERSION.into(), min: 0, max: 2 });
    features
}

/// What to say of a cluster that began with an older version, and was never told to use more.
pub(crate) fn behind(image: &MetadataImage, address: &str) -> Option<String> {
    let level = |it: &SupportedFeature| image.features.level(&it.name);
    let supported = supported();
    let lower: Vec<_> = supported.iter().filter(|it| level(it) < it.max).collect();
    if lower.is_empty() {
        return None;
    }
    let levels: Vec<String> =
        lower.iter().map(|it| format!("{} is {} of {}", it.name, level(it), it.max)).collect();
    let raise: Vec<String> =
        lower.iter().map(|it| format!("--feature {}={}", it.name, it.max)).collect();
    Some(format!(
        "{}: this directory is older than what the broker can do; `kafka-features \
         --bootstrap-server {address} upgrade {}` raises it, once nothing older shall read it \
         again",
        levels.join(", "),
        raise.join(" ")
    ))
}

#[cfg(test)]
mod test {
    use milena_metadata::image::Replay;
    use milena_protocol::metadata::{FeatureLevelRecord, Value};

    use super::*;

    #[test]
    fn what_an_older_directory_is_behind_in_is_told_with_the_command_that_raises_it() {
        let mut replay = Replay::new(MetadataImage::default());
        let mut raise = |name: &str, feature_level| {
            let record = FeatureLevelRecord { name, feature_level };
            replay.apply(&Value::FeatureLevelRecord(record)).unwrap();
            behind(&replay.image, "127.0.0.1:9092")
        };
        let new = supported();
        assert_eq!(new.len(), 3);
        raise(&new[0].name, new[0].max);
        let warning = raise(TRANSACTION_VERSION, 1).unwrap();
        assert!(warning.starts_with("group.version is 0 of 1, transaction.version is 1 of 2: "));
        let command = "kafka-features --bootstrap-server 127.0.0.1:9092 upgrade --feature \
                       group.version=1 --feature transaction.version=2`";
        assert!(warning.contains(command), "{warning}");
        raise(GROUP_VERSION, 1).unwrap();
        assert_eq!(raise(TRANSACTION_VERSION, 2), None);
    }
}

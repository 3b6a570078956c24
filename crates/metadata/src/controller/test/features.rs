//! Features are finalised.

use milena_protocol::api::{UpdateFeaturesRequest, update_features::request::FeatureUpdateKey};

use super::Story;
use crate::{controller::UpdateFeatures, image::SupportedFeature};

const UPGRADE: i8 = 1;
const SAFE_DOWNGRADE: i8 = 2;

fn update(story: &mut Story, feature: &str, level: i16, upgrade_type: i8) -> Option<String> {
    let update = FeatureUpdateKey {
        feature,
        max_version_level: level,
        upgrade_type,
        ..FeatureUpdateKey::default()
    };
    let request = UpdateFeaturesRequest { feature_updates: vec![update], ..Default::default() };
    story.ask::<UpdateFeatures, _>(&request, |it| it.error_message.map(str::to_owned))
}

#[test]
fn a_feature_goes_up_and_down_as_far_as_everybody_can() {
    let elr = "eligible.leader.replicas.version";
    let mut story = Story::with(1, |it| {
        it.features.push(SupportedFeature { name: elr.into(), min: 0, max: 1 });
    });
    assert_eq!(update(&mut story, elr, 1, UPGRADE), None);
    assert_eq!(story.image().features.level(elr), 1);
    let prefix =
        "The update failed for all features since the following feature had an error: Invalid ";
    let refused = |text: &str| Some(format!("{prefix}{text}"));
    assert_eq!(
        update(&mut story, elr, 2, UPGRADE),
        refused(
            "update version 2 for feature eligible.leader.replicas.version. Local controller only \
             supports versions 0-1"
        )
    );
    assert_eq!(
        update(&mut story, elr, 0, UPGRADE),
        refused(
            "update version 0 for feature eligible.leader.replicas.version. Can't downgrade the \
             version of this feature without setting the upgrade type to either safe or unsafe \
             downgrade."
        )
    );
    assert_eq!(update(&mut story, elr, 0, SAFE_DOWNGRADE), None);
    assert_eq!(story.image().features.level(elr), 0);
    assert_eq!(
        update(&mut story, "nothing", 1, UPGRADE),
        refused(
            "update version 1 for feature nothing. Local controller does not support this feature."
        )
    );
    assert!(update(&mut story, crate::METADATA_VERSION, 29, SAFE_DOWNGRADE).unwrap().ends_with(
        "Unsupported metadata.version downgrade from 30 to 29. Refusing to perform the requested \
         downgrade because it might delete metadata information."
    ));
    assert!(update(&mut story, elr, -1, UPGRADE).is_some());
    assert!(update(&mut story, elr, 1, 9).is_some());
}

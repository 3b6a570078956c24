//! Settings are changed.

use milena_protocol::{
    ErrorCode,
    api::{
        AlterConfigsRequest, IncrementalAlterConfigsRequest,
        alter_configs::request as old,
        incremental_alter_configs::request::{AlterConfigsResource, AlterableConfig},
    },
};

use super::Story;
use crate::{
    controller::{AlterConfigs, IncrementalAlterConfigs},
    image::{ConfigResource, ResourceType},
};

const SET: i8 = 0;
const DELETE: i8 = 1;

type Change<'a> = (&'a str, i8, Option<&'a str>);

fn alter(
    story: &mut Story,
    kind: i8,
    name: &str,
    changes: &[Change<'_>],
) -> Result<(), (ErrorCode, String)> {
    let configs = changes.iter().map(|(name, config_operation, value)| AlterableConfig {
        name,
        config_operation: *config_operation,
        value: *value,
    });
    let configs = configs.collect();
    let resource = AlterConfigsResource { resource_type: kind, resource_name: name, configs };
    let request =
        IncrementalAlterConfigsRequest { resources: vec![resource], validate_only: false };
    story.ask::<IncrementalAlterConfigs, _>(&request, |answer| {
        let it = &answer.responses[0];
        super::code(it.error_code)
            .map_err(|code| (code, it.error_message.unwrap_or_default().to_owned()))
    })
}

fn value(story: &Story, key: &str) -> Option<String> {
    story.image().configs.value(&ConfigResource::topic("a"), key).map(str::to_owned)
}

#[test]
fn keys_are_set_and_deleted() {
    let mut story = Story::of(1);
    story.topic("a", &[&[1]]);
    alter(&mut story, 2, "a", &[("retention.ms", SET, Some("7"))]).unwrap();
    alter(&mut story, 2, "a", &[("cleanup.policy", SET, Some("compact"))]).unwrap();
    assert_eq!(value(&story, "retention.ms").as_deref(), Some("7"));
    assert_eq!(value(&story, "cleanup.policy").as_deref(), Some("compact"));
    alter(&mut story, 2, "a", &[("retention.ms", DELETE, None)]).unwrap();
    assert_eq!(value(&story, "retention.ms"), None);
}

#[test]
fn what_cannot_be_is_refused_as_kafka_words_it() {
    let mut story = Story::of(1);
    story.topic("a", &[&[1]]);
    let cases: [(i8, &str, &[Change<'_>], ErrorCode, &str); 6] = [
        (2, "b", &[], ErrorCode::UnknownTopicOrPartition, "The topic 'b' does not exist."),
        (2, "", &[], ErrorCode::InvalidRequest, "Default topic resources are not allowed."),
        (4, "9", &[], ErrorCode::BrokerIdNotRegistered, "No node with id 9 found."),
        (
            4,
            "x",
            &[],
            ErrorCode::InvalidRequest,
            "Unable to parse broker name as a base 10 number.",
        ),
        (1, "x", &[], ErrorCode::InvalidRequest, "Unknown resource type 1"),
        (
            2,
            "a",
            &[("x", SET, Some("1"))],
            ErrorCode::InvalidConfig,
            "Unknown topic config name: x",
        ),
    ];
    for (kind, name, changes, code, text) in cases {
        let refused = alter(&mut story, kind, name, changes).unwrap_err();
        assert_eq!(refused, (code, text.to_owned()), "{kind} {name} {changes:?}");
    }
    assert!(story.image().configs.sorted().is_empty());
}

#[test]
fn brokers_groups_and_subscriptions_are_configured_too() {
    let mut story = Story::of(1);
    for (kind, name) in [(4, ""), (4, "1"), (16, "subscription"), (32, "group")] {
        alter(&mut story, kind, name, &[("some.key", SET, Some("1"))]).unwrap();
        let kind = ResourceType::from_number(kind).unwrap();
        let resource = ConfigResource::new(kind, name);
        assert_eq!(story.image().configs.value(&resource, "some.key"), Some("1"));
    }
}

#[test]
fn the_old_way_replaces_everything() {
    let mut story = Story::of(1);
    story.topic("a", &[&[1]]);
    alter(&mut story, 2, "a", &[("retention.ms", SET, Some("7"))]).unwrap();
    let configs = vec![old::AlterableConfig { name: "cleanup.policy", value: Some("compact") }];
    let resource =
        |configs| old::AlterConfigsResource { resource_type: 2, resource_name: "a", configs };
    let mut request =
        AlterConfigsRequest { resources: vec![resource(configs)], validate_only: true };
    story.ask::<AlterConfigs, _>(&request, |it| assert_eq!(it.responses[0].error_code, 0));
    assert_eq!(value(&story, "retention.ms").as_deref(), Some("7"), "only validated");
    request.validate_only = false;
    story.ask::<AlterConfigs, _>(&request, |it| assert_eq!(it.responses[0].error_code, 0));
    assert_eq!(value(&story, "retention.ms"), None);
    assert_eq!(value(&story, "cleanup.policy").as_deref(), Some("compact"));

    request.resources = vec![resource(Vec::new()), resource(Vec::new())];
    story.ask::<AlterConfigs, _>(&request, |answer| {
        assert_eq!(answer.responses.len(), 1);
        assert_eq!(answer.responses[0].error_message, Some("Duplicate resource."));
    });
}

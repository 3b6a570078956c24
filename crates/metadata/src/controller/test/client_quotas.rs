//! Quotas are set, told and removed.

use milena_protocol::{
    ErrorCode,
    api::{
        AlterClientQuotasRequest, DescribeClientQuotasRequest,
        alter_client_quotas::request::{EntityData, EntryData, OpData},
        describe_client_quotas::request::ComponentData,
    },
};

use super::Story;
use crate::controller::{AlterClientQuotas, describe_client_quotas};

type Part<'a> = (&'a str, Option<&'a str>);

fn alter(
    story: &mut Story,
    entity: &[Part<'_>],
    key: &str,
    value: Option<f64>,
) -> Result<(), (ErrorCode, String)> {
    let entity =
        entity.iter().map(|(kind, name)| EntityData { entity_type: kind, entity_name: *name });
    let operation = OpData { key, value: value.unwrap_or(0.0), remove: value.is_none() };
    let entry = EntryData { entity: entity.collect(), ops: vec![operation] };
    let request = AlterClientQuotasRequest { entries: vec![entry], validate_only: false };
    story.ask::<AlterClientQuotas, _>(&request, |answer| {
        let it = &answer.entries[0];
        super::code(it.error_code)
            .map_err(|code| (code, it.error_message.unwrap_or_default().to_owned()))
    })
}

/// How many entities a filter finds.
fn describe(
    story: &Story,
    filter: &[(&str, i8, Option<&str>)],
    strict: bool,
) -> Result<usize, ErrorCode> {
    let components = filter.iter().map(|(kind, match_type, name)| ComponentData {
        entity_type: kind,
        match_type: *match_type,
        r#match: *name,
    });
    let request = DescribeClientQuotasRequest { components: components.collect(), strict };
    let answer = describe_client_quotas(story.image(), &request).map_err(|error| error.code)?;
    Ok(answer.entries.unwrap().len())
}

#[test]
fn quotas_are_set_found_and_removed() {
    let mut story = Story::of(1);
    let rate = "producer_byte_rate";
    alter(&mut story, &[("user", Some("ann"))], rate, Some(1024.0)).unwrap();
    alter(&mut story, &[("user", None)], rate, Some(512.0)).unwrap();
    let both = [("user", Some("ann")), ("client-id", Some("app"))];
    alter(&mut story, &both, "request_percentage", Some(1.5)).unwrap();
    alter(&mut story, &[("ip", Some("10.0.0.1"))], "connection_creation_rate", Some(3.0)).unwrap();
    assert_eq!(describe(&story, &[], false), Ok(4));
    assert_eq!(describe(&story, &[("user", 0, Some("ann"))], false), Ok(2));
    assert_eq!(describe(&story, &[("user", 0, Some("ann"))], true), Ok(1));
    assert_eq!(describe(&story, &[("user", 1, None)], true), Ok(1));
    assert_eq!(describe(&story, &[("user", 2, None)], false), Ok(3));
    assert_eq!(describe(&story, &[("ip", 2, None)], false), Ok(1));
    alter(&mut story, &[("user", None)], rate, None).unwrap();
    assert_eq!(describe(&story, &[("user", 1, None)], true), Ok(0));
}

#[test]
fn what_makes_no_sense_is_refused() {
    let mut story = Story::of(1);
    let user = [("user", Some("ann"))];
    let rate = "producer_byte_rate";
    let cases: [(&[Part<'_>], &str, f64, &str); 7] = [
        (&[], rate, 1.0, "Invalid empty client quota entity"),
        (&[("group", None)], rate, 1.0, "Unhandled client quota entity type: group"),
        (&user, "x", 1.0, "Invalid configuration key x"),
        (&user, rate, 0.0, "Quota producer_byte_rate must be greater than 0"),
        (&user, rate, 1.5, "producer_byte_rate cannot be a fractional value."),
        (&user, rate, 1e30, "Proposed value for producer_byte_rate is too large for a LONG."),
        (
            &[("ip", Some("no host"))],
            "connection_creation_rate",
            1.0,
            "no host is not a valid IP or resolvable host.",
        ),
    ];
    for (entity, key, value, text) in cases {
        let refused = alter(&mut story, entity, key, Some(value)).unwrap_err();
        assert_eq!(refused, (ErrorCode::InvalidRequest, text.to_owned()));
    }
    let mixed = [("ip", None), ("user", None)];
    assert!(alter(&mut story, &mixed, "connection_creation_rate", Some(1.0)).is_err());
    assert_eq!(describe(&story, &[], false), Ok(0));
    assert_eq!(describe(&story, &[("x", 2, None)], false), Err(ErrorCode::UnsupportedVersion));
    assert_eq!(describe(&story, &[("user", 0, None)], false), Err(ErrorCode::InvalidRequest));
    let twice = [("user", 2, None), ("user", 2, None)];
    assert_eq!(describe(&story, &twice, false), Err(ErrorCode::InvalidRequest));
    let mixed = [("user", 2, None), ("ip", 2, None)];
    assert_eq!(describe(&story, &mixed, false), Err(ErrorCode::InvalidRequest));
}

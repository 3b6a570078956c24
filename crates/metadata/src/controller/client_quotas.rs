//! Limits on what clients may use: stored and told here, enforced by brokers.

use std::collections::{BTreeMap, BTreeSet};

use milena_protocol::{
    ErrorCode,
    api::{
        AlterClientQuotasRequest, AlterClientQuotasResponse, DescribeClientQuotasRequest,
        DescribeClientQuotasResponse,
        alter_client_quotas::{
            request::{EntityData as AskedPart, OpData},
            response::{EntityData as AnsweredPart, EntryData as Answered},
        },
        describe_client_quotas::response::{EntityData, EntryData, ValueData},
    },
    metadata::{ClientQuotaRecord, Value},
};

use super::{
    ApiError, ControllerError,
    error::{code, message},
    scene::Scene,
};
use crate::{
    image::{MetadataImage, QuotaEntity, entity_data},
    records::Records,
};

const USER: &str = "user";
const CLIENT_ID: &str = "client-id";
const IP: &str = "ip";

/// What a limit is counted in.
#[derive(Clone, Copy)]
enum Kind {
    Double,
    Long,
    Int,
}

const CLIENT_KEYS: [(&str, Kind); 4] = [
    ("producer_byte_rate", Kind::Long),
    ("consumer_byte_rate", Kind::Long),
    ("request_percentage", Kind::Double),
    ("controller_mutation_rate", Kind::Double),
];
const IP_KEYS: [(&str, Kind); 1] = [("connection_creation_rate", Kind::Int)];

fn invalid(message: impl Into<std::borrow::Cow<'static, str>>) -> ApiError {
    ApiError::new(ErrorCode::InvalidRequest, message)
}

pub(super) fn alter(
    scene: &mut Scene<'_>,
    request: &AlterClientQuotasRequest<'_>,
) -> Result<(), ControllerError> {
    let mut seen = BTreeSet::new();
    let mut results = Vec::with_capacity(request.entries.len());
    for entry in &request.entries {
        let result = judge_entity(&entry.entity).and_then(|(entity, keys)| {
            if !seen.insert(entity.clone()) {
                let message = format!("Ignoring duplicate entity {}", show(&entity));
                return Err(invalid(message));
            }
            Ok((judge_limits(&entry.ops, keys, &entity)?, entity))
        });
        let result = match result {
            Ok((limits, entity)) => Ok(put_limits(scene, &entity, &limits)?),
            Err(error) => Err(error),
        };
        results.push((&entry.entity, result));
    }
    if request.validate_only {
        scene.outcome.records = Records::default();
    }
    let entries = results.iter().map(|(entity, result)| Answered {
        error_code: code(result),
        error_message: message(result),
        entity: entity
            .iter()
            .map(|part| AnsweredPart {
                entity_type: part.entity_type,
                entity_name: part.entity_name,
            })
            .collect(),
    });
    let entries = entries.collect();
    scene.answer(&AlterClientQuotasResponse { throttle_time_ms: 0, entries })
}

type Keys = &'static [(&'static str, Kind)];

fn judge_entity(parts: &[AskedPart<'_>]) -> Result<(QuotaEntity, Keys), ApiError> {
    let mut entity = QuotaEntity::new();
    for part in parts {
        if ![USER, CLIENT_ID, IP].contains(&part.entity_type) {
            let kind = part.entity_type;
            return Err(invalid(format!("Unhandled client quota entity type: {kind}")));
        }
        if part.entity_name == Some("") {
            let kind = part.entity_type;
            return Err(invalid(format!("Empty {kind} not supported")));
        }
        let name = part.entity_name.map(Into::into);
        if entity.insert(part.entity_type.into(), name).is_some() {
            let kind = part.entity_type;
            let message = format!("Invalid client quota entity, duplicate entity entry {kind}");
            return Err(invalid(message));
        }
    }
    let keys: Keys = match entity.get(IP) {
        None if entity.is_empty() => return Err(invalid("Invalid empty client quota entity")),
        None => &CLIENT_KEYS,
        Some(_) if entity.len() > 1 => {
            return Err(invalid(
                "Invalid quota entity combination, IP entity shouldnot be combined with User or \
                 ClientId",
            ));
        }
        Some(Some(ip)) if !may_be_host(ip) => {
            return Err(invalid(format!("{ip} is not a valid IP or resolvable host.")));
        }
        Some(_) => &IP_KEYS,
    };
    Ok((entity, keys))
}

/// An address, or a name that could be looked up; nobody is asked.
fn may_be_host(name: &str) -> bool {
    let is_label = |label: &str| {
        !label.is_empty() && label.bytes().all(|it| it.is_ascii_alphanumeric() || it == b'-')
    };
    name.parse::<std::net::IpAddr>().is_ok() || name.split('.').all(is_label)
}

fn judge_limits<'a>(
    operations: &[OpData<'a>],
    keys: Keys,
    entity: &QuotaEntity,
) -> Result<BTreeMap<&'a str, Option<f64>>, ApiError> {
    let mut limits = BTreeMap::new();
    for operation in operations {
        let key = operation.key;
        let value = (!operation.remove).then_some(operation.value);
        if limits.insert(key, value).is_some() {
            return Err(invalid(format!("Ignoring duplicate entity {}", show(entity))));
        }
        let Some(value) = value else { continue };
        let Some((_, kind)) = keys.iter().find(|(known, _)| *known == key) else {
            return Err(invalid(format!("Invalid configuration key {key}")));
        };
        if value <= 0.0 {
            return Err(invalid(format!("Quota {key} must be greater than 0")));
        }
        let (max, name) = match kind {
            Kind::Double => continue,
            Kind::Long => (i64::MAX as f64, "a LONG"),
            Kind::Int => (f64::from(i32::MAX), "an INT"),
        };
        if value > max {
            return Err(invalid(format!("Proposed value for {key} is too large for {name}.")));
        }
        if (value % 1.0).abs() > 1e-6 {
            return Err(invalid(format!("{key} cannot be a fractional value.")));
        }
    }
    Ok(limits)
}

/// An entity as Kafka's messages show it.
fn show(entity: &QuotaEntity) -> String {
    let name = |name: &Option<Box<str>>| name.as_deref().unwrap_or("null").to_owned();
    let parts: Vec<_> =
        entity.iter().map(|(kind, value)| format!("{kind}={}", name(value))).collect();
    format!("ClientQuotaEntity(entries={{{}}})", parts.join(", "))
}

fn put_limits(
    scene: &mut Scene<'_>,
    entity: &QuotaEntity,
    limits: &BTreeMap<&str, Option<f64>>,
) -> Result<(), ControllerError> {
    let image = scene.image;
    let current = image.client_quotas.of(entity);
    for (key, value) in limits {
        if current.and_then(|limits| limits.get(*key)).copied() == *value {
            continue;
        }
        scene.put(&Value::ClientQuotaRecord(ClientQuotaRecord {
            entity: entity_data(entity),
            key,
            value: value.unwrap_or_default(),
            remove: value.is_none(),
        }))?;
    }
    Ok(())
}

/// How a filter wants one kind of name to be.
enum Wanted<'a> {
    Exactly(Option<&'a str>),
    Any,
}

const MATCH_EXACT: i8 = 0;
const MATCH_DEFAULT: i8 = 1;
const MATCH_ANY: i8 = 2;

/// Answers DescribeClientQuotas from an image.
pub fn describe<'i>(
    image: &'i MetadataImage,
    request: &DescribeClientQuotasRequest<'_>,
) -> Result<DescribeClientQuotasResponse<'i>, ApiError> {
    let filter = judge_filter(request)?;
    let fits = |entity: &QuotaEntity| {
        let has = |(kind, wanted): (&&str, &Wanted<'_>)| match (entity.get(*kind), wanted) {
            (Some(name), Wanted::Exactly(wanted)) => name.as_deref() == *wanted,
            (Some(_), Wanted::Any) => true,
            (None, _) => false,
        };
        filter.iter().all(has) && (!request.strict || entity.len() == filter.len())
    };
    let found = image.client_quotas.iter().filter(|(entity, _)| fits(entity));
    let entries = found.map(|(entity, limits)| EntryData {
        entity: entity
            .iter()
            .map(|(kind, name)| EntityData { entity_type: kind, entity_name: name.as_deref() })
            .collect(),
        values: limits.iter().map(|(key, value)| ValueData { key, value: *value }).collect(),
    });
    Ok(DescribeClientQuotasResponse {
        throttle_time_ms: 0,
        error_code: 0,
        error_message: Some(""),
        entries: Some(entries.collect()),
    })
}

fn judge_filter<'a>(
    request: &DescribeClientQuotasRequest<'a>,
) -> Result<BTreeMap<&'a str, Wanted<'a>>, ApiError> {
    let mut filter = BTreeMap::new();
    for component in &request.components {
        let kind = component.entity_type;
        if kind.is_empty() {
            return Err(invalid("Invalid empty entity type."));
        }
        if filter.contains_key(kind) {
            let message = format!("Entity type {kind} cannot appear more than once in the filter.");
            return Err(invalid(message));
        }
        if ![USER, CLIENT_ID, IP].contains(&kind) {
            let message = format!("Unsupported entity type {kind}");
            return Err(ApiError::new(ErrorCode::UnsupportedVersion, message));
        }
        let needless = |name: &str| {
            invalid(format!("Request specified {name}, but also specified a match string."))
        };
        let wanted = match (component.match_type, component.r#match) {
            (MATCH_EXACT, Some(name)) => Wanted::Exactly(Some(name)),
            (MATCH_EXACT, None) => {
                let message = "Request specified MATCH_TYPE_EXACT, but set match string to null.";
                return Err(invalid(message));
            }
            (MATCH_DEFAULT, None) => Wanted::Exactly(None),
            (MATCH_DEFAULT, Some(_)) => return Err(needless("MATCH_TYPE_DEFAULT")),
            (MATCH_ANY, None) => Wanted::Any,
            (MATCH_ANY, Some(_)) => return Err(needless("MATCH_TYPE_SPECIFIED")),
            (other, _) => return Err(invalid(format!("Unknown match type {other}"))),
        };
        filter.insert(kind, wanted);
    }
    if filter.contains_key(IP) && filter.len() > 1 {
        return Err(invalid(
            "Invalid entity filter component combination. IP filter component should not be used \
             with user or clientId filter component.",
        ));
    }
    Ok(filter)
}

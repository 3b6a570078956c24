//! What clients may use.

use milena_protocol::api::{
    AlterClientQuotasRequest, DescribeClientQuotasRequest,
    alter_client_quotas::request::{EntityData, EntryData, OpData},
    describe_client_quotas::request::ComponentData,
};

use super::{Admin, Each, To, done};
use crate::{
    error::{Error, Result},
    network::{AlterClientQuotas, DescribeClientQuotas},
};

/// Whose quota: pairs of a kind (`user`, `client-id`, `ip`) and a name; none is the default of the
/// kind.
pub type QuotaEntity = Vec<(Box<str>, Option<Box<str>>)>;

/// The quotas of one entity.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Quota {
    /// Whose.
    pub entity: QuotaEntity,
    /// What, such as `producer_byte_rate`, and how much.
    pub values: Vec<(Box<str>, f64)>,
}

/// How the quotas of one entity are to be changed.
#[derive(Clone, Debug, PartialEq)]
pub struct QuotaChange {
    /// Whose.
    pub entity: QuotaEntity,
    /// What, and how much; nothing is no quota of its own.
    pub values: Vec<(Box<str>, Option<f64>)>,
}

/// Which names of a kind of entity are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QuotaFilter {
    /// This one.
    Name(Box<str>),
    /// That for all that have no quota of their own.
    Default,
    /// Any.
    Any,
}

impl QuotaFilter {
    /// As Kafka numbers it, with the name.
    fn wire(&self) -> (i8, Option<&str>) {
        match self {
            Self::Name(name) => (0, Some(name)),
            Self::Default => (1, None),
            Self::Any => (2, None),
        }
    }
}

impl Admin {
    /// All quotas of clients.
    pub async fn describe_quotas(&self) -> Result<Vec<Quota>> {
        self.describe_quotas_of(&[], false).await
    }

    /// The quotas of entities that have each of these kinds; if it is strict, and no others.
    pub async fn describe_quotas_of(
        &self,
        filters: &[(&str, QuotaFilter)],
        strict: bool,
    ) -> Result<Vec<Quota>> {
        let components = filters.iter().map(|(entity_type, filter)| {
            let (match_type, r#match) = filter.wire();
            ComponentData { entity_type, match_type, r#match }
        });
        let request = DescribeClientQuotasRequest { components: components.collect(), strict };
        let what = "describe quotas";
        self.ask::<DescribeClientQuotas, _>(what, To::Any, &request, |answer| {
            let message = answer.message()?;
            Error::check(what, message.error_code, message.error_message)?;
            let entries = message.entries.iter().flatten().map(|entry| Quota {
                entity: entry
                    .entity
                    .iter()
                    .map(|it| (it.entity_type.into(), it.entity_name.map(Into::into)))
                    .collect(),
                values: entry.values.iter().map(|it| (it.key.into(), it.value)).collect(),
            });
            Ok(entries.collect())
        })
        .await
    }

    /// Changes quotas, each entity as a whole or not at all.
    pub async fn alter_quotas(
        &self,
        changes: &[QuotaChange],
        validate_only: bool,
    ) -> Result<Each<QuotaEntity>> {
        let entries = changes.iter().map(|change| EntryData {
            entity: change
                .entity
                .iter()
                .map(|(kind, name)| EntityData { entity_type: kind, entity_name: name.as_deref() })
                .collect(),
            ops: change
                .values
                .iter()
                .map(|(key, value)| OpData {
                    key,
                    value: value.unwrap_or(0.0),
                    remove: value.is_none(),
                })
                .collect(),
        });
        let request = AlterClientQuotasRequest { entries: entries.collect(), validate_only };
        let what = "change quotas";
        self.ask::<AlterClientQuotas, _>(what, To::Controller, &request, |answer| {
            let message = answer.message()?;
            let entries = message.entries.iter().map(|entry| {
                let entity = entry.entity.iter();
                let entity =
                    entity.map(|it| (it.entity_type.into(), it.entity_name.map(Into::into)));
                let result = done(what.to_owned(), entry.error_code, entry.error_message, ());
                (entity.collect(), result)
            });
            super::unless_later(entries.collect())
        })
        .await
    }
}

//! Limits on what clients may use, by user, client id and address.

use std::{collections::BTreeMap, sync::Arc};

use milena_protocol::metadata::client_quota::value::EntityData;

/// Whom a quota is for: `user`, `client-id` or `ip` with a name, where `None` is the default for
/// all that have none of their own.
pub type QuotaEntity = BTreeMap<Box<str>, Option<Box<str>>>;

#[derive(Clone, Debug, Default, PartialEq)]
pub struct ClientQuotas(Arc<BTreeMap<QuotaEntity, BTreeMap<Box<str>, f64>>>);

impl ClientQuotas {
    pub fn iter(&self) -> impl Iterator<Item = (&QuotaEntity, &BTreeMap<Box<str>, f64>)> {
        self.0.iter()
    }

    #[must_use]
    pub fn of(&self, entity: &QuotaEntity) -> Option<&BTreeMap<Box<str>, f64>> {
        self.0.get(entity)
    }

    pub(super) fn set(&mut self, entity: &QuotaEntity, key: &str, value: Option<f64>) {
        let quotas = Arc::make_mut(&mut self.0);
        match value {
            Some(value) => {
                quotas.entry(entity.clone()).or_default().insert(key.into(), value);
            }
            None => {
                if let Some(limits) = quotas.get_mut(entity) {
                    limits.remove(key);
                    if limits.is_empty() {
                        quotas.remove(entity);
                    }
                }
            }
        }
    }
}

pub(super) fn entity(parts: &[EntityData<'_>]) -> QuotaEntity {
    parts.iter().map(|part| (part.entity_type.into(), part.entity_name.map(Into::into))).collect()
}

pub(crate) fn entity_data(entity: &QuotaEntity) -> Vec<EntityData<'_>> {
    entity
        .iter()
        .map(|(kind, name)| EntityData { entity_type: kind, entity_name: name.as_deref() })
        .collect()
}

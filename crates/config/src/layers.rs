//! Where a broker's values come from: its file, and what was changed since for all brokers or for
//! this one. The stronger layer wins, and in a layer the stronger synonym.

use std::collections::BTreeMap;

use crate::{
    definition::Definition,
    error::{Problem, ValueError},
    keys::Scope,
    value::Typed,
};

/// Values by their keys.
pub type Entries = BTreeMap<String, String>;

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Layers {
    /// Of the file and the command line.
    pub fixed: Entries,
    /// Changed for all brokers.
    pub cluster: Entries,
    /// Changed for this one.
    pub broker: Entries,
}

impl Layers {
    /// From the strongest.
    fn all(&self) -> [&Entries; 3] {
        [&self.broker, &self.cluster, &self.fixed]
    }

    /// The canonical value of a broker's key; without one, its default. A layer in which one of
    /// its synonyms is set hides those below.
    pub(crate) fn text(&self, key: &str) -> Option<String> {
        let definition = Scope::Broker.find(key)?;
        let speaks = |layer: &&Entries| {
            layer.contains_key(key)
                || definition.synonyms.iter().any(|(name, _)| layer.contains_key(*name))
        };
        let given = self.all().into_iter().find(speaks).and_then(|layer| layer.get(key));
        let given = given.and_then(|written| definition.canonical(written).ok());
        given.or_else(|| definition.default.map(str::to_owned))
    }

    /// What stands for a key of a topic or a group: the first of its synonyms that is set, in the
    /// strongest layer that has one; none where nothing is set.
    pub(crate) fn synonym(&self, definition: &Definition) -> Option<String> {
        for layer in self.all() {
            for (name, factor) in definition.synonyms {
                let Some(written) = layer.get(*name) else { continue };
                let value = Scope::Broker.find(name)?.canonical(written).ok()?;
                let has_units = definition.synonyms.len() > 1;
                return Some(match value.parse::<i64>() {
                    // Below 0 means never, in whatever unit.
                    Ok(number) if has_units && number < 0 => "-1".to_owned(),
                    Ok(number) if has_units => number.saturating_mul(*factor).to_string(),
                    _ => value,
                });
            }
        }
        None
    }

    pub(crate) fn get<T: Typed>(&self, key: &str) -> Result<T, ValueError> {
        let missing = || ValueError::new(key, "", Problem::Empty);
        self.find(key)?.ok_or_else(missing)
    }

    /// None where the key has neither value nor default. What is read as a number without sign must
    /// not be negative.
    pub(crate) fn find<T: Typed>(&self, key: &str) -> Result<Option<T>, ValueError> {
        let Some(text) = self.text(key) else { return Ok(None) };
        match T::read(&text) {
            Some(value) => Ok(Some(value)),
            None => Err(ValueError::new(key, &text, Problem::Below(0.0))),
        }
    }
}

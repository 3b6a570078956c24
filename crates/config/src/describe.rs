//! What DescribeConfigs tells of every key: its value, where that comes from, and what else could
//! have given it.

use std::collections::BTreeSet;

use crate::{
    Definition, ServerConfig,
    definition::{Type, UpdateMode},
    keys::{Scope, of_listener},
    layers::{Entries, Layers},
};

/// Where a value comes from; the numbers are those of DescribeConfigs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    Topic = 1,
    Broker = 2,
    AllBrokers = 3,
    /// The file or the command line of the broker.
    Static = 4,
    Default = 5,
    ClientMetrics = 7,
    Group = 8,
}

/// One key of one resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Described {
    pub name: String,
    /// Never that of a sensitive key.
    pub value: Option<String>,
    pub source: Source,
    pub is_read_only: bool,
    pub is_sensitive: bool,
    /// `None` for a key that nobody knows.
    pub kind: Option<Type>,
    /// The value's own source first.
    pub synonyms: Vec<DescribedSynonym>,
    pub documentation: Option<&'static str>,
}

impl Described {
    /// The number of its type in DescribeConfigs.
    #[must_use]
    pub fn kind_number(&self) -> i8 {
        self.kind.map_or(0, |kind| kind as i8)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribedSynonym {
    pub name: String,
    pub value: Option<String>,
    pub source: Source,
}

/// All keys of a topic with these values of its own, in the order of their names.
#[must_use]
pub fn topic(overrides: &Entries, server: &ServerConfig) -> Vec<Described> {
    let describe = |key: &'static Definition| {
        let own = own_value(key, overrides, Source::Topic);
        let value = match &own {
            Some(own) => own.value.clone(),
            None => {
                let broker = server.layers.synonym(key);
                broker.or_else(|| key.default.map(str::to_owned))
            }
        };
        // Kafka asks for the synonyms of the strongest one.
        let of_broker = key.synonyms.first().map(|(name, _)| {
            let definition = Scope::Broker.find(name);
            broker_synonyms(&server.layers, name, definition)
        });
        let synonyms = own.into_iter().chain(of_broker.unwrap_or_default()).collect();
        described(key.name, Some(key), value, synonyms, false)
    };
    listed(Scope::Topic, overrides).map(describe).collect()
}

/// All keys of a group with these values of its own.
#[must_use]
pub fn group(own: &Entries, server: &ServerConfig) -> Vec<Described> {
    let describe = |key: &'static Definition| {
        let given = own_value(key, own, Source::Group);
        let inherited = server.layers.synonym(key).or_else(|| key.default.map(str::to_owned));
        let value = given.as_ref().map_or(inherited, |given| given.value.clone());
        let below = match key.synonyms.first() {
            Some((name, _)) => broker_synonyms(&server.layers, name, Scope::Broker.find(name)),
            None => key.default.map(|default| default_value(key, default)).into_iter().collect(),
        };
        let synonyms = given.into_iter().chain(below).collect();
        described(key.name, Some(key), value, synonyms, false)
    };
    listed(Scope::Group, own).map(describe).collect()
}

/// All keys of a subscription to the metrics of clients.
#[must_use]
pub fn client_metrics(own: &Entries) -> Vec<Described> {
    let describe = |key: &'static Definition| {
        let given = own_value(key, own, Source::ClientMetrics);
        let default = key.default.map(str::to_owned);
        let value = given.as_ref().map_or(default, |given| given.value.clone());
        described(key.name, Some(key), value, given.into_iter().collect(), false)
    };
    listed(Scope::ClientMetrics, own).map(describe).collect()
}

/// All keys of the broker, with what it was given that nobody knows.
#[must_use]
pub fn broker(server: &ServerConfig) -> Vec<Described> {
    let layers = &server.layers;
    let given = || [&layers.broker, &layers.cluster, &layers.fixed].into_iter().flatten();
    let listed = Scope::Broker.keys().filter(|key| !key.is_hidden).map(|key| key.name);
    let names: BTreeSet<&str> = listed.chain(given().map(|(name, _)| name.as_str())).collect();
    let describe = |name: &str| {
        let key = Scope::Broker.find(name);
        let synonyms = broker_synonyms(layers, name, key);
        let value = layers.text(name);
        described(name, key, value, synonyms, is_read_only(name, key))
    };
    names.into_iter().map(describe).collect()
}

/// What was changed for all brokers, and nothing else.
#[must_use]
pub fn all_brokers(cluster: &Entries) -> Vec<Described> {
    let describe = |(name, written): (&String, &String)| {
        let key = Scope::Broker.find(name);
        let value = shown(key, written, Form::Canonical);
        let synonym = DescribedSynonym {
            name: name.clone(),
            value: shown(key, written, Form::AsWritten),
            source: Source::AllBrokers,
        };
        described(name, key, value, vec![synonym], is_read_only(name, key))
    };
    cluster.iter().map(describe).collect()
}

/// Keys that are told of, and hidden ones that are set.
fn listed(scope: Scope, own: &Entries) -> impl Iterator<Item = &'static Definition> {
    scope.keys().filter(|key| !key.is_hidden || own.contains_key(key.name))
}

fn is_read_only(name: &str, key: Option<&Definition>) -> bool {
    let may_change = key.is_some_and(|key| key.update_mode != UpdateMode::ReadOnly);
    !may_change || of_listener(name).is_some()
}

fn described(
    name: &str,
    key: Option<&'static Definition>,
    value: Option<String>,
    synonyms: Vec<DescribedSynonym>,
    is_read_only: bool,
) -> Described {
    // What nobody knows may be a secret.
    let is_sensitive = key.is_none_or(Definition::is_sensitive);
    Described {
        name: name.to_owned(),
        value: value.filter(|_| !is_sensitive),
        source: synonyms.first().map_or(Source::Default, |first| first.source),
        is_read_only,
        is_sensitive,
        kind: key.map(|key| key.kind),
        synonyms,
        documentation: key.map(|key| key.documentation),
    }
}

fn own_value(key: &Definition, own: &Entries, source: Source) -> Option<DescribedSynonym> {
    let written = own.get(key.name)?;
    let value = shown(Some(key), written, Form::Canonical);
    Some(DescribedSynonym { name: key.name.to_owned(), value, source })
}

fn default_value(key: &Definition, default: &str) -> DescribedSynonym {
    let value = Some(default.to_owned());
    DescribedSynonym { name: key.name.to_owned(), value, source: Source::Default }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Canonical,
    AsWritten,
}

/// Never a secret.
fn shown(key: Option<&Definition>, written: &str, form: Form) -> Option<String> {
    let key = key.filter(|key| !key.is_sensitive())?;
    let canonical = key.canonical(written).ok().filter(|_| form == Form::Canonical);
    Some(canonical.unwrap_or_else(|| written.to_owned()))
}

/// Layer by layer, in each the strongest name first; what is stronger than the key itself, and
/// before its first value, belongs to others.
fn broker_synonyms(
    layers: &Layers,
    name: &str,
    key: Option<&'static Definition>,
) -> Vec<DescribedSynonym> {
    let names: Vec<&str> = match (of_listener(name), key) {
        (Some(of_all), _) => vec![name, of_all],
        (None, Some(key)) if !key.synonyms.is_empty() => {
            key.synonyms.iter().map(|(name, _)| *name).collect()
        }
        (None, _) => vec![name],
    };
    let mut synonyms = Vec::new();
    for (layer, source) in [
        (&layers.broker, Source::Broker),
        (&layers.cluster, Source::AllBrokers),
        (&layers.fixed, Source::Static),
    ] {
        for name in &names {
            if let Some(written) = layer.get(*name) {
                let value = shown(Scope::Broker.find(name), written, Form::AsWritten);
                synonyms.push(DescribedSynonym { name: (*name).to_owned(), value, source });
            }
        }
    }
    for name in &names {
        let key = Scope::Broker.find(name).filter(|key| key.name == *name);
        if let Some((key, default)) = key.and_then(|key| Some((key, key.default?))) {
            synonyms.push(default_value(key, default));
        }
    }
    let first = synonyms.iter().position(|synonym| synonym.name == name);
    synonyms.split_off(first.unwrap_or(synonyms.len()))
}

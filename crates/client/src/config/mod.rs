//! Settings by the names of Kafka's client keys.
//!
//! A configuration is a plain struct with Kafka's defaults. Each field can be set by a method of
//! its name, or by Kafka's key and a text, as a properties file has it.

mod client;
mod value;

pub use client::ClientConfig;
pub(crate) use value::Value;

use crate::error::{Error, Result};

/// A group of settings that can be made by their keys.
pub(crate) trait Keys {
    /// Kafka's names of the settings.
    fn keys() -> Vec<&'static str>;

    /// Makes one setting; none if it is not of this group.
    fn try_set(&mut self, key: &str, value: &str) -> Option<Result<()>>;
}

/// Makes a struct of settings: each with its documentation, Kafka's key, name, type and default.
/// It may begin with another such struct, whose settings are its own as well. `names` are texts
/// of which there is none unless somebody gives one.
macro_rules! settings {
    (
        $(#[$doc:meta])*
        pub struct $name:ident {
            $( with $nested:ident: $nested_type:ty; )?
            $( $(#[$field_doc:meta])* $key:literal $field:ident: $type:ty = $default:expr; )*
            $( names { $( $(#[$name_doc:meta])* $name_key:literal $name_field:ident; )* } )?
        }
    ) => {
        $(#[$doc])*
        #[derive(Clone, Debug)]
        #[non_exhaustive]
        pub struct $name { $(
            /// How to reach the cluster.
            pub $nested: $nested_type, )? $(
            $(#[$field_doc])*
            #[doc = concat!("\n\nKafka's key: `", $key, "`.")]
            pub $field: $type,
        )* $($(
            $(#[$name_doc])*
            #[doc = concat!("\n\nKafka's key: `", $name_key, "`.")]
            pub $name_field: Option<Box<str>>,
        )*)? }

        impl Default for $name {
            fn default() -> Self {
                Self {
                    $($nested: Default::default(),)?
                    $($field: $default,)*
                    $($($name_field: None,)*)?
                }
            }
        }

        impl $name { $(
            $(#[$field_doc])*
            #[doc = concat!("\n\nKafka's key: `", $key, "`.")]
            #[must_use]
            pub fn $field(mut self, value: impl Into<$type>) -> Self {
                self.$field = value.into();
                self
            }
        )* $($(
            $(#[$name_doc])*
            #[doc = concat!("\n\nKafka's key: `", $name_key, "`.")]
            #[must_use]
            pub fn $name_field(mut self, value: impl Into<Box<str>>) -> Self {
                self.$name_field = Some(value.into());
                self
            }
        )*)? }

        impl $crate::config::Keys for $name {
            fn keys() -> Vec<&'static str> {
                let own = vec![$($key,)* $($($name_key,)*)?];
                [own $(, <$nested_type as $crate::config::Keys>::keys())?].concat()
            }

            fn try_set(&mut self, key: &str, value: &str) -> Option<$crate::error::Result<()>> {
                match key {
                    $($key => Some(
                        <$type as $crate::config::Value>::parse(value)
                            .map(|value| self.$field = value)
                            .map_err(|problem| $crate::error::Error::config(key, problem)),
                    ),)*
                    // An empty text takes the name away.
                    $($($name_key => {
                        self.$name_field = Some(value.into()).filter(|_| !value.is_empty());
                        Some(Ok(()))
                    })*)?
                    _ => None $(.or_else(|| self.$nested.try_set(key, value)))?,
                }
            }
        }
    };
}
pub(crate) use settings;

/// Why no group of settings has this key, with the one that was probably meant.
pub(crate) fn unknown_key<'k>(key: &str, keys: impl IntoIterator<Item = &'k str>) -> Error {
    let nearest = keys.into_iter().map(|known| (distance(key, known), known)).min();
    let problem = match nearest {
        Some((distance, nearest)) if distance <= key.len().div_ceil(3) => {
            format!("there is no such setting; {nearest} was perhaps meant")
        }
        _ => "there is no such setting".to_owned(),
    };
    Error::config(key, problem)
}

/// How many letters must be changed, put in or left out to make one word of the other.
fn distance(one: &str, other: &str) -> usize {
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, a) in one.bytes().enumerate() {
        let mut left = i + 1;
        let mut diagonal = std::mem::replace(row.first_mut().unwrap_or(&mut 0), left);
        for (b, cell) in other.bytes().zip(row.iter_mut().skip(1)) {
            let cost = (diagonal + usize::from(a != b)).min(left + 1).min(*cell + 1);
            diagonal = std::mem::replace(cell, cost);
            left = cost;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod test {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_setting_is_made_by_its_key_or_by_its_method() {
        let config = ClientConfig::new("a:1").client_id("me");
        let config = config.set("request.timeout.ms", "250").unwrap();
        assert_eq!(config.request_timeout, Duration::from_millis(250));
        assert_eq!(&*config.client_id, "me");
        assert_eq!(config.bootstrap_servers, ["a:1"]);
    }

    #[test]
    fn a_wrong_setting_names_its_key_and_the_fix() {
        let error = ClientConfig::new("a:1").set("request.timeout.ms", "soon").unwrap_err();
        assert_eq!(error.to_string(), "request.timeout.ms: \"soon\" is no number of milliseconds");
        let error = ClientConfig::new("a:1").set("requst.timeout.ms", "1").unwrap_err();
        assert_eq!(
            error.to_string(),
            "requst.timeout.ms: there is no such setting; request.timeout.ms was perhaps meant"
        );
        let error = ClientConfig::new("a:1").set("colour", "blue").unwrap_err();
        assert_eq!(error.to_string(), "colour: there is no such setting");
    }

    #[test]
    fn distances_are_those_of_levenshtein() {
        for (one, other, far) in
            [("", "", 0), ("a", "", 1), ("kitten", "sitting", 3), ("ab", "ba", 2)]
        {
            assert_eq!((distance(one, other), distance(other, one)), (far, far), "{one} {other}");
        }
    }
}

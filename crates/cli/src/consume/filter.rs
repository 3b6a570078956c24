//! Which records to show.

use milena_client::consumer::Record;

use crate::{connect::key_value, failure::Result};

/// All that are given must hold.
#[derive(Debug, clap::Args)]
pub(super) struct Filter {
    /// Only records with this key.
    #[arg(long, short)]
    key: Option<String>,
    /// Only records whose value contains this text.
    #[arg(long, value_name = "TEXT")]
    value: Option<String>,
    /// Only records with this header.
    #[arg(long = "header", short = 'H', value_name = "NAME=VALUE")]
    headers: Vec<String>,
}

/// The same, as bytes.
#[derive(Debug)]
pub(super) struct Compiled {
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Filter {
    pub(super) fn compiled(&self) -> Result<Compiled> {
        let headers = self.headers.iter().map(|text| {
            let (name, value) = key_value(text, "--header")?;
            Ok((name.as_bytes().to_vec(), value.as_bytes().to_vec()))
        });
        Ok(Compiled {
            key: self.key.clone().map(String::into_bytes),
            value: self.value.clone().map(String::into_bytes),
            headers: headers.collect::<Result<_>>()?,
        })
    }
}

impl Compiled {
    pub(super) fn takes(&self, record: &Record<'_>) -> bool {
        let has_key = self.key.as_deref().is_none_or(|key| record.key == Some(key));
        let has_value = self
            .value
            .as_deref()
            .is_none_or(|wanted| record.value.is_some_and(|value| contains(value, wanted)));
        let has = |(name, value): &(Vec<u8>, Vec<u8>)| {
            record.headers().any(|it| it.key == &**name && it.value == Some(&**value))
        };
        has_key && has_value && self.headers.iter().all(has)
    }
}

fn contains(bytes: &[u8], wanted: &[u8]) -> bool {
    wanted.is_empty() || bytes.windows(wanted.len()).any(|window| window == wanted)
}

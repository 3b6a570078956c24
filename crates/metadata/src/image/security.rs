//! Records about access that nobody acts on yet. They are kept as they came, so that a snapshot
//! loses nothing.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use milena_protocol::metadata::Value;

use crate::records::encode;

/// What a record is about: its type, and the name or id by which a later one replaces it.
type Key = (i16, Box<[u8]>);

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Security(Arc<BTreeMap<Key, Bytes>>);

impl Security {
    /// Keeps or drops what the record says; `false` if it is about something else.
    pub(super) fn apply(&mut self, record: &Value<'_>) -> bool {
        const TOKEN: i16 = 10;
        const RULE: i16 = 18;
        let (kind, key, is_removal) = match record {
            Value::DelegationTokenRecord(it) => (TOKEN, it.token_id.as_bytes().to_vec(), false),
            Value::RemoveDelegationTokenRecord(it) => {
                (TOKEN, it.token_id.as_bytes().to_vec(), true)
            }
            Value::AccessControlEntryRecord(it) => (RULE, it.id.to_be_bytes().to_vec(), false),
            Value::RemoveAccessControlEntryRecord(it) => (RULE, it.id.to_be_bytes().to_vec(), true),
            _ => return false,
        };
        let kept = Arc::make_mut(&mut self.0);
        let key = (kind, key.into_boxed_slice());
        if is_removal {
            kept.remove(&key);
        } else if let Ok(bytes) = encode(record) {
            kept.insert(key, bytes);
        }
        true
    }

    pub(super) fn records(&self) -> impl Iterator<Item = &Bytes> {
        self.0.values()
    }
}

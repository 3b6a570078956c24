//! What users prove themselves by: salted and hashed, by user and mechanism.

use std::{collections::BTreeMap, fmt, sync::Arc};

use milena_protocol::metadata::UserScramCredentialRecord;

/// One credential. Nobody can log in with it, but passwords can be guessed against it: it is shown
/// to nobody.
#[derive(Clone, PartialEq, Eq)]
pub struct ScramCredential {
    pub salt: Box<[u8]>,
    pub stored_key: Box<[u8]>,
    pub server_key: Box<[u8]>,
    pub iterations: i32,
}

impl fmt::Debug for ScramCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ScramCredential")
    }
}

/// By the user's name and Kafka's number of the mechanism.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScramCredentials(Arc<BTreeMap<Box<str>, BTreeMap<i8, ScramCredential>>>);

impl ScramCredentials {
    #[must_use]
    pub fn get(&self, user: &str, mechanism: i8) -> Option<&ScramCredential> {
        self.0.get(user)?.get(&mechanism)
    }

    /// All of one user, by mechanism.
    pub fn of(&self, user: &str) -> impl Iterator<Item = (i8, &ScramCredential)> {
        let all = self.0.get(user).into_iter().flatten();
        all.map(|(mechanism, credential)| (*mechanism, credential))
    }

    /// Everybody who has one, in order.
    pub fn users(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(|user| &**user)
    }

    pub(super) fn set(&mut self, record: &UserScramCredentialRecord<'_>) {
        let credential = ScramCredential {
            salt: record.salt.into(),
            stored_key: record.stored_key.into(),
            server_key: record.server_key.into(),
            iterations: record.iterations,
        };
        let of_user = Arc::make_mut(&mut self.0).entry(record.name.into()).or_default();
        of_user.insert(record.mechanism, credential);
    }

    pub(super) fn remove(&mut self, user: &str, mechanism: i8) {
        let users = Arc::make_mut(&mut self.0);
        if let Some(of_user) = users.get_mut(user) {
            of_user.remove(&mechanism);
            if of_user.is_empty() {
                users.remove(user);
            }
        }
    }

    pub(super) fn records(&self) -> impl Iterator<Item = UserScramCredentialRecord<'_>> {
        self.0.iter().flat_map(|(name, of_user)| {
            of_user.iter().map(move |(mechanism, credential)| UserScramCredentialRecord {
                name,
                mechanism: *mechanism,
                salt: &credential.salt,
                stored_key: &credential.stored_key,
                server_key: &credential.server_key,
                iterations: credential.iterations,
            })
        })
    }
}

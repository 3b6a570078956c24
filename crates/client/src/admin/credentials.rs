//! Credentials by which users log in (SCRAM, RFC 5802). A broker is told a salted password, and
//! never the password itself.

use hmac::{Hmac, Mac, digest::KeyInit};
use milena_env::Random;
use milena_protocol::api::{
    AlterUserScramCredentialsRequest, DescribeUserScramCredentialsRequest,
    alter_user_scram_credentials::request::{ScramCredentialDeletion, ScramCredentialUpsertion},
    describe_user_scram_credentials::request::UserName,
};
use sha2::{Sha256, Sha512};

use super::{Admin, Each, To, done, unless_later};
use crate::{
    error::{Error, Result},
    network::{AlterUserScramCredentials, DescribeUserScramCredentials},
};

const SALT_BYTES: usize = 32;

/// By which hash a user logs in, by Kafka's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(i8)]
pub enum ScramMechanism {
    /// SCRAM-SHA-256
    Sha256 = 1,
    /// SCRAM-SHA-512
    Sha512 = 2,
}

/// How a user can log in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ScramCredential {
    /// By which hash; nothing if it is one that this client does not know.
    pub mechanism: Option<ScramMechanism>,
    /// How often it is applied, so that guessing takes long.
    pub iterations: i32,
}

/// How the ways in which a user can log in are to be changed.
#[derive(Clone)]
pub struct CredentialChange {
    user: Box<str>,
    mechanism: ScramMechanism,
    /// Iterations, salt and salted password; none to take the credential away.
    secret: Option<(i32, [u8; SALT_BYTES], Vec<u8>)>,
}

impl std::fmt::Debug for CredentialChange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = f.debug_struct("CredentialChange");
        shown.field("user", &self.user).field("mechanism", &self.mechanism).finish_non_exhaustive()
    }
}

impl CredentialChange {
    /// The user can log in by this password. Salting it takes a while, as it is meant to.
    pub fn set(
        user: &str,
        mechanism: ScramMechanism,
        password: &str,
        iterations: i32,
    ) -> Result<Self> {
        let no_random = |error| Error::Invalid(format!("no random numbers: {error}").into());
        let mut salt = [0; SALT_BYTES];
        Random::from_os().map_err(no_random)?.fill(&mut salt);
        let salted = mechanism.salted(password.as_bytes(), &salt, iterations);
        Ok(Self { user: user.into(), mechanism, secret: Some((iterations, salt, salted)) })
    }

    /// The user cannot log in by this hash any more.
    #[must_use]
    pub fn delete(user: &str, mechanism: ScramMechanism) -> Self {
        Self { user: user.into(), mechanism, secret: None }
    }
}

impl ScramMechanism {
    fn from_number(number: i8) -> Option<Self> {
        [Self::Sha256, Self::Sha512].into_iter().find(|mechanism| *mechanism as i8 == number)
    }

    /// `Hi` of RFC 5802.
    fn salted(self, password: &[u8], salt: &[u8], iterations: i32) -> Vec<u8> {
        match self {
            Self::Sha256 => salted::<Hmac<Sha256>>(password, salt, iterations),
            Self::Sha512 => salted::<Hmac<Sha512>>(password, salt, iterations),
        }
    }
}

fn salted<M: Mac + KeyInit + Clone>(password: &[u8], salt: &[u8], iterations: i32) -> Vec<u8> {
    // A key of any length is good.
    let Ok(keyed) = <M as Mac>::new_from_slice(password) else { return Vec::new() };
    let first = keyed.clone().chain_update(salt).chain_update(1_u32.to_be_bytes());
    let mut last = first.finalize().into_bytes();
    let mut sum = last.to_vec();
    for _ in 1..iterations {
        last = keyed.clone().chain_update(&last).finalize().into_bytes();
        sum.iter_mut().zip(&last).for_each(|(sum, byte)| *sum ^= byte);
    }
    sum
}

impl Admin {
    /// How users can log in: all that can, or these.
    pub async fn describe_credentials(
        &self,
        users: Option<&[&str]>,
    ) -> Result<Each<Box<str>, Vec<ScramCredential>>> {
        let users = users.map(|users| users.iter().map(|name| UserName { name }).collect());
        let request = DescribeUserScramCredentialsRequest { users };
        let what = "describe credentials";
        self.ask::<DescribeUserScramCredentials, _>(what, To::Any, &request, |answer| {
            let message = answer.message()?;
            Error::check(what, message.error_code, message.error_message)?;
            let told = message.results.iter().map(|told| {
                let credentials = told.credential_infos.iter().map(|one| ScramCredential {
                    mechanism: ScramMechanism::from_number(one.mechanism),
                    iterations: one.iterations,
                });
                let credentials = credentials.collect();
                let what = format!("describe the credentials of {}", told.user);
                (told.user.into(), done(what, told.error_code, told.error_message, credentials))
            });
            unless_later(told.collect())
        })
        .await
    }

    /// Changes how users can log in.
    pub async fn alter_credentials(&self, changes: &[CredentialChange]) -> Result<Each<Box<str>>> {
        let (mut deletions, mut upsertions) = (Vec::new(), Vec::new());
        for change in changes {
            let (name, mechanism) = (&*change.user, change.mechanism as i8);
            match &change.secret {
                None => deletions.push(ScramCredentialDeletion { name, mechanism }),
                Some((iterations, salt, salted)) => upsertions.push(ScramCredentialUpsertion {
                    name,
                    mechanism,
                    iterations: *iterations,
                    salt,
                    salted_password: salted,
                }),
            }
        }
        let request = AlterUserScramCredentialsRequest { deletions, upsertions };
        let (what, to) = ("change credentials", To::Controller);
        self.ask::<AlterUserScramCredentials, _>(what, to, &request, |answer| {
            let message = answer.message()?;
            let told = message.results.iter().map(|told| {
                let what = format!("change the credentials of {}", told.user);
                (told.user.into(), done(what, told.error_code, told.error_message, ()))
            });
            unless_later(told.collect())
        })
        .await
    }
}

#[cfg(test)]
mod test {
    use super::*;

    /// Salt and password of RFC 7677; the results are those of Python's `hashlib.pbkdf2_hmac`.
    #[test]
    fn a_password_is_salted_as_everybody_does_it() {
        let salt = [
            0x5b, 0x6d, 0x99, 0x68, 0x9d, 0x12, 0x35, 0x8e, 0xec, 0xa0, 0x4b, 0x14, 0x12, 0x36,
            0xfa, 0x81,
        ];
        let hex = |bytes: Vec<u8>| bytes.iter().map(|it| format!("{it:02x}")).collect::<String>();
        let salted = ScramMechanism::Sha256.salted(b"pencil", &salt, 4096);
        let expected = "c4a49510323ab4f952cac1fa99441939e78ea74d6be81ddf7096e87513dc615d";
        assert_eq!(hex(salted), expected);
        let salted = ScramMechanism::Sha512.salted(b"pencil", &salt, 4096);
        let expected = "f16efe1be67f1d09502ebd5ed9262fddffba5a377ab4f0b687e5ed5ba0f50686\
             b8a4ae166476da8ab3b951d2fa9238b63998f45461bc33a464814949cec9631d";
        assert_eq!(hex(salted), expected);
        let change = CredentialChange::set("ana", ScramMechanism::Sha256, "pencil", 4096).unwrap();
        assert!(!format!("{change:?}").contains("salt"), "{change:?}");
    }
}

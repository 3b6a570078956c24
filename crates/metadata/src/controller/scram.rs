//! SCRAM credentials: stored and told here, used where somebody logs in.

use std::collections::BTreeMap;

use hmac::{Hmac, Mac};
use milena_protocol::{
    ErrorCode,
    api::{
        AlterUserScramCredentialsRequest, AlterUserScramCredentialsResponse,
        DescribeUserScramCredentialsRequest, DescribeUserScramCredentialsResponse,
        alter_user_scram_credentials::{
            request::{ScramCredentialDeletion, ScramCredentialUpsertion},
            response::AlterUserScramCredentialsResult,
        },
        describe_user_scram_credentials::response::{
            CredentialInfo, DescribeUserScramCredentialsResult,
        },
    },
    metadata::{RemoveUserScramCredentialRecord, UserScramCredentialRecord, Value},
};
use sha2::{Digest, Sha256, Sha512};

use super::{
    ApiError, ControllerError,
    error::{code, message},
    scene::Scene,
};
use crate::{METADATA_VERSION, image::MetadataImage};

/// The first level of `metadata.version` whose records can hold credentials: that of Kafka 3.5.
const LEVEL_MIN: i16 = 11;
const ITERATIONS_MIN: i32 = 4096;
const ITERATIONS_MAX: i32 = 16_384;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mechanism {
    Sha256,
    Sha512,
}

impl Mechanism {
    const fn from_number(number: i8) -> Option<Self> {
        match number {
            1 => Some(Self::Sha256),
            2 => Some(Self::Sha512),
            _ => None,
        }
    }

    /// What a broker keeps of a salted password: with the first key it checks a client's proof,
    /// with the second one it proves itself.
    fn keys(self, salted: &[u8]) -> (Vec<u8>, Vec<u8>) {
        let client_key = self.authenticate(salted, b"Client Key");
        let stored_key = match self {
            Self::Sha256 => Sha256::digest(&client_key).to_vec(),
            Self::Sha512 => Sha512::digest(&client_key).to_vec(),
        };
        (stored_key, self.authenticate(salted, b"Server Key"))
    }

    fn authenticate(self, key: &[u8], text: &[u8]) -> Vec<u8> {
        fn with<M: Mac + hmac::digest::KeyInit>(key: &[u8], text: &[u8]) -> Vec<u8> {
            // A key of any length is good.
            let Ok(mac) = <M as Mac>::new_from_slice(key) else { return Vec::new() };
            mac.chain_update(text).finalize().into_bytes().to_vec()
        }
        match self {
            Self::Sha256 => with::<Hmac<Sha256>>(key, text),
            Self::Sha512 => with::<Hmac<Sha512>>(key, text),
        }
    }
}

/// What a request wants for one user.
enum Change<'r, 'a> {
    Delete(&'r ScramCredentialDeletion<'a>),
    Set(&'r ScramCredentialUpsertion<'a>, Mechanism),
}

pub(super) fn alter(
    scene: &mut Scene<'_>,
    request: &AlterUserScramCredentialsRequest<'_>,
) -> Result<(), ControllerError> {
    let deletions = request.deletions.iter().map(|it| (it.name, judge_deletion(scene, it)));
    let upsertions = request.upsertions.iter().map(|it| (it.name, judge_upsertion(scene, it)));
    let mut judged: BTreeMap<&str, Result<Change<'_, '_>, ApiError>> = BTreeMap::new();
    for (user, change) in deletions.chain(upsertions) {
        let twice = "A user credential cannot be altered twice in the same request";
        judged
            .entry(user)
            .and_modify(|first| {
                // The first thing that is wrong is told.
                if first.is_ok() {
                    *first = Err(ApiError::new(ErrorCode::DuplicateResource, twice));
                }
            })
            .or_insert(change);
    }
    for change in judged.values().flatten() {
        put(scene, change)?;
    }
    let results = judged.iter().map(|(user, result)| AlterUserScramCredentialsResult {
        user,
        error_code: code(result),
        error_message: message(result),
    });
    let results = results.collect();
    scene.answer(&AlterUserScramCredentialsResponse { throttle_time_ms: 0, results })
}

fn put(scene: &mut Scene<'_>, change: &Change<'_, '_>) -> Result<(), ControllerError> {
    match change {
        Change::Delete(it) => {
            let (name, mechanism) = (it.name, it.mechanism);
            let record = RemoveUserScramCredentialRecord { name, mechanism };
            scene.put(&Value::RemoveUserScramCredentialRecord(record))
        }
        Change::Set(it, mechanism) => {
            let (stored_key, server_key) = mechanism.keys(it.salted_password);
            scene.put(&Value::UserScramCredentialRecord(UserScramCredentialRecord {
                name: it.name,
                mechanism: it.mechanism,
                salt: it.salt,
                stored_key: &stored_key,
                server_key: &server_key,
                iterations: it.iterations,
            }))
        }
    }
}

fn judge_name(scene: &Scene<'_>, user: &str, mechanism: i8) -> Result<Mechanism, ApiError> {
    if scene.image.features.level(METADATA_VERSION) < LEVEL_MIN {
        let message = "The current metadata.version does not support SCRAM";
        return Err(ApiError::new(ErrorCode::UnsupportedVersion, message));
    }
    if user.is_empty() {
        return Err(unacceptable("Username must not be empty"));
    }
    Mechanism::from_number(mechanism).ok_or_else(|| {
        ApiError::new(ErrorCode::UnsupportedSaslMechanism, "Unknown SCRAM mechanism")
    })
}

fn judge_deletion<'r, 'a>(
    scene: &Scene<'_>,
    asked: &'r ScramCredentialDeletion<'a>,
) -> Result<Change<'r, 'a>, ApiError> {
    judge_name(scene, asked.name, asked.mechanism)?;
    if scene.image.scram.get(asked.name, asked.mechanism).is_none() {
        let message = "Attempt to delete a user credential that does not exist";
        return Err(ApiError::new(ErrorCode::ResourceNotFound, message));
    }
    Ok(Change::Delete(asked))
}

fn judge_upsertion<'r, 'a>(
    scene: &Scene<'_>,
    asked: &'r ScramCredentialUpsertion<'a>,
) -> Result<Change<'r, 'a>, ApiError> {
    let mechanism = judge_name(scene, asked.name, asked.mechanism)?;
    match asked.iterations {
        ..ITERATIONS_MIN => Err(unacceptable("Too few iterations")),
        ITERATIONS_MIN..=ITERATIONS_MAX if asked.salted_password.is_empty() => {
            Err(unacceptable("The salted password is empty"))
        }
        ITERATIONS_MIN..=ITERATIONS_MAX => Ok(Change::Set(asked, mechanism)),
        _ => Err(unacceptable("Too many iterations")),
    }
}

fn unacceptable(message: &'static str) -> ApiError {
    ApiError::new(ErrorCode::UnacceptableCredential, message)
}

/// Hands over the answer to DescribeUserScramCredentials, which tells no secrets.
pub fn describe<T>(
    image: &MetadataImage,
    request: &DescribeUserScramCredentialsRequest<'_>,
    take: impl FnOnce(&DescribeUserScramCredentialsResponse<'_>) -> T,
) -> T {
    let asked = request.users.iter().flatten().map(|user| user.name);
    // How often each is asked for.
    let mut users: BTreeMap<&str, usize> = BTreeMap::new();
    asked.for_each(|user| *users.entry(user).or_default() += 1);
    if users.is_empty() {
        users.extend(image.scram.users().map(|user| (user, 1)));
    }
    let described: Vec<_> =
        users.into_iter().map(|(user, times)| (user, describe_one(image, user, times))).collect();
    let results = described.iter().map(|(user, result)| DescribeUserScramCredentialsResult {
        user,
        error_code: code(result),
        error_message: message(result).or(Some("")),
        credential_infos: result.as_ref().cloned().unwrap_or_default(),
    });
    let results = results.collect();
    take(&DescribeUserScramCredentialsResponse { results, ..Default::default() })
}

fn describe_one(
    image: &MetadataImage,
    user: &str,
    times: usize,
) -> Result<Vec<CredentialInfo>, ApiError> {
    if times > 1 {
        let why = "Cannot describe SCRAM credentials for the same user twice in a single request: ";
        return Err(ApiError::new(ErrorCode::DuplicateResource, format!("{why}{user}")));
    }
    let info = |(mechanism, credential): (i8, &crate::image::ScramCredential)| CredentialInfo {
        mechanism,
        iterations: credential.iterations,
    };
    let infos: Vec<_> = image.scram.of(user).map(info).collect();
    if infos.is_empty() {
        let why = "Attempt to describe a user credential that does not exist: ";
        return Err(ApiError::new(ErrorCode::ResourceNotFound, format!("{why}{user}")));
    }
    Ok(infos)
}

//! AlterUserScramCredentials: no listener authenticates by SCRAM, and so no credential is kept.
//! What Kafka would refuse is refused in its words.

use std::collections::BTreeMap;

use milena_protocol::{
    ErrorCode,
    api::{
        AlterUserScramCredentialsRequest, AlterUserScramCredentialsResponse,
        alter_user_scram_credentials::{
            request::ScramCredentialUpsertion, response::AlterUserScramCredentialsResult,
        },
    },
};

use super::{Call, Outcome};
use crate::authorizer::{Operation, Resource};

/// SCRAM-SHA-256 and SCRAM-SHA-512.
const MECHANISMS: std::ops::RangeInclusive<i8> = 1..=2;
const ITERATIONS: std::ops::RangeInclusive<i32> = 4096..=16_384;

type Refusal = (ErrorCode, &'static str);

pub(super) async fn handle(
    call: &Call<'_>,
    request: AlterUserScramCredentialsRequest<'_>,
) -> Outcome {
    let denied = (!call.may(Operation::Alter, Resource::Cluster)).then(|| {
        let code = ErrorCode::ClusterAuthorizationFailed;
        (code, code.message())
    });
    let mut refusals: BTreeMap<&str, Refusal> = BTreeMap::new();
    let deletions =
        request.deletions.iter().map(|it| (it.name, why_not_deleted(it.name, it.mechanism)));
    let upsertions = request.upsertions.iter().map(|it| (it.name, why_not_kept(it)));
    for (user, why) in deletions.chain(upsertions) {
        let twice = "A user credential cannot be altered twice in the same request";
        refusals
            .entry(user)
            .and_modify(|refusal| *refusal = (ErrorCode::DuplicateResource, twice))
            .or_insert(why);
    }
    let results = refusals.iter().map(|(user, refusal)| {
        let (code, why) = denied.unwrap_or(*refusal);
        AlterUserScramCredentialsResult { user, error_code: code as i16, error_message: Some(why) }
    });
    call.answer(&AlterUserScramCredentialsResponse {
        results: results.collect(),
        ..Default::default()
    })
}

fn why_not_named(user: &str, mechanism: i8) -> Option<Refusal> {
    if user.is_empty() {
        return Some((ErrorCode::UnacceptableCredential, "Username must not be empty"));
    }
    let unknown = (ErrorCode::UnsupportedSaslMechanism, "Unknown SCRAM mechanism");
    (!MECHANISMS.contains(&mechanism)).then_some(unknown)
}

fn why_not_deleted(user: &str, mechanism: i8) -> Refusal {
    let why = "Attempt to delete a user credential that does not exist";
    why_not_named(user, mechanism).unwrap_or((ErrorCode::ResourceNotFound, why))
}

fn why_not_kept(credential: &ScramCredentialUpsertion<'_>) -> Refusal {
    if let Some(why) = why_not_named(credential.name, credential.mechanism) {
        return why;
    }
    if credential.iterations < *ITERATIONS.start() {
        return (ErrorCode::UnacceptableCredential, "Too few iterations");
    }
    if credential.iterations > *ITERATIONS.end() {
        return (ErrorCode::UnacceptableCredential, "Too many iterations");
    }
    (ErrorCode::UnsupportedSaslMechanism, "No listener of this broker authenticates by SCRAM")
}

//! DescribeUserScramCredentials: no listener authenticates by SCRAM, and so nobody has credentials.

use std::collections::BTreeSet;

use milena_protocol::{
    ErrorCode,
    api::{
        DescribeUserScramCredentialsRequest, DescribeUserScramCredentialsResponse,
        describe_user_scram_credentials::response::DescribeUserScramCredentialsResult,
    },
};

use super::{Call, Outcome};
use crate::authorizer::{Operation, Resource};

pub(super) async fn handle(
    call: &Call<'_>,
    request: DescribeUserScramCredentialsRequest<'_>,
) -> Outcome {
    if !call.may(Operation::Describe, Resource::Cluster) {
        let code = ErrorCode::ClusterAuthorizationFailed;
        return call.answer(&DescribeUserScramCredentialsResponse {
            error_code: code as i16,
            error_message: Some(code.message()),
            ..Default::default()
        });
    }
    let (mut seen, mut twice) = (BTreeSet::new(), BTreeSet::new());
    for user in request.users.iter().flatten() {
        if !seen.insert(user.name) {
            twice.insert(user.name);
        }
    }
    let answers: Vec<(&str, ErrorCode, String)> = seen
        .iter()
        .map(|user| match twice.contains(user) {
            true => {
                let why = "Cannot describe SCRAM credentials for the same user twice in a single \
                           request: ";
                (*user, ErrorCode::DuplicateResource, format!("{why}{user}"))
            }
            false => {
                let why = "Attempt to describe a user credential that does not exist: ";
                (*user, ErrorCode::ResourceNotFound, format!("{why}{user}"))
            }
        })
        .collect();
    let results = answers.iter().map(|(user, code, why)| DescribeUserScramCredentialsResult {
        user,
        error_code: *code as i16,
        error_message: Some(why),
        ..Default::default()
    });
    call.answer(&DescribeUserScramCredentialsResponse {
        results: results.collect(),
        ..Default::default()
    })
}

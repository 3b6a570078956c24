//! Delegation tokens, with which others log in on behalf of somebody. Only who has logged in can
//! have them made.

use milena_protocol::api::{
    CreateDelegationTokenRequest, DescribeDelegationTokenRequest, ExpireDelegationTokenRequest,
    RenewDelegationTokenRequest, create_delegation_token::request::CreatableRenewers,
    describe_delegation_token::request::DescribeDelegationTokenOwner,
};

use super::{Admin, To};
use crate::{
    error::{Error, Result},
    network::{
        CreateDelegationToken, DescribeDelegationToken, ExpireDelegationToken, RenewDelegationToken,
    },
};

/// Somebody, by a kind such as `User` and a name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Principal {
    /// What it is.
    pub kind: Box<str>,
    /// Its name.
    pub name: Box<str>,
}

/// A token. Times are milliseconds since 1970.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DelegationToken {
    /// Its id, which whoever logs in with it says first.
    pub id: Box<str>,
    /// The secret.
    pub hmac: Box<[u8]>,
    /// On whose behalf it is.
    pub owner: Principal,
    /// Who asked for it.
    pub requester: Principal,
    /// Who may renew it, besides the owner.
    pub renewers: Vec<Principal>,
    /// Since when there is one.
    pub issued_ms: i64,
    /// When it ends, if it is not renewed.
    pub expires_ms: i64,
    /// When it ends at the latest.
    pub expires_ms_max: i64,
}

impl std::fmt::Debug for DelegationToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = f.debug_struct("DelegationToken");
        shown.field("id", &self.id).field("owner", &self.owner).finish_non_exhaustive()
    }
}

impl Principal {
    /// Somebody by kind and name.
    #[must_use]
    pub fn new(kind: &str, name: &str) -> Self {
        Self { kind: kind.into(), name: name.into() }
    }
}

impl Admin {
    /// Has a token made for an owner, or for whoever this is. Without a `lifetime_ms` it lives as
    /// long as the cluster allows.
    pub async fn create_delegation_token(
        &self,
        owner: Option<&Principal>,
        renewers: &[Principal],
        lifetime_ms: Option<i64>,
    ) -> Result<DelegationToken> {
        let request = CreateDelegationTokenRequest {
            owner_principal_type: owner.map(|owner| &*owner.kind),
            owner_principal_name: owner.map(|owner| &*owner.name),
            renewers: renewers
                .iter()
                .map(|one| CreatableRenewers {
                    principal_type: &one.kind,
                    principal_name: &one.name,
                })
                .collect(),
            max_lifetime_ms: lifetime_ms.unwrap_or(-1),
        };
        let what = "create a delegation token";
        self.ask::<CreateDelegationToken, _>(what, To::Any, &request, |answer| {
            let told = answer.message()?;
            Error::check(what, told.error_code, None)?;
            Ok(DelegationToken {
                id: told.token_id.into(),
                hmac: told.hmac.into(),
                owner: Principal::new(told.principal_type, told.principal_name),
                requester: Principal::new(
                    told.token_requester_principal_type,
                    told.token_requester_principal_name,
                ),
                renewers: renewers.to_vec(),
                issued_ms: told.issue_timestamp_ms,
                expires_ms: told.expiry_timestamp_ms,
                expires_ms_max: told.max_timestamp_ms,
            })
        })
        .await
    }

    /// Lets a token live for so much longer, and says until when.
    pub async fn renew_delegation_token(&self, hmac: &[u8], period_ms: i64) -> Result<i64> {
        let request = RenewDelegationTokenRequest { hmac, renew_period_ms: period_ms };
        let what = "renew a delegation token";
        self.ask::<RenewDelegationToken, _>(what, To::Any, &request, |answer| {
            let told = answer.message()?;
            Error::check(what, told.error_code, None)?;
            Ok(told.expiry_timestamp_ms)
        })
        .await
    }

    /// Ends a token after so long, or at once if that is negative, and says when.
    pub async fn expire_delegation_token(&self, hmac: &[u8], period_ms: i64) -> Result<i64> {
        let request = ExpireDelegationTokenRequest { hmac, expiry_time_period_ms: period_ms };
        let what = "end a delegation token";
        self.ask::<ExpireDelegationToken, _>(what, To::Any, &request, |answer| {
            let told = answer.message()?;
            Error::check(what, told.error_code, None)?;
            Ok(told.expiry_timestamp_ms)
        })
        .await
    }

    /// The tokens of these owners, or all that one may see.
    pub async fn describe_delegation_tokens(
        &self,
        owners: Option<&[Principal]>,
    ) -> Result<Vec<DelegationToken>> {
        let owners = owners.map(|owners| {
            let owners = owners.iter().map(|one| DescribeDelegationTokenOwner {
                principal_type: &one.kind,
                principal_name: &one.name,
            });
            owners.collect()
        });
        let request = DescribeDelegationTokenRequest { owners };
        let what = "describe delegation tokens";
        self.ask::<DescribeDelegationToken, _>(what, To::Any, &request, |answer| {
            let message = answer.message()?;
            Error::check(what, message.error_code, None)?;
            let tokens = message.tokens.iter().map(|told| DelegationToken {
                id: told.token_id.into(),
                hmac: told.hmac.into(),
                owner: Principal::new(told.principal_type, told.principal_name),
                requester: Principal::new(
                    told.token_requester_principal_type,
                    told.token_requester_principal_name,
                ),
                renewers: told
                    .renewers
                    .iter()
                    .map(|one| Principal::new(one.principal_type, one.principal_name))
                    .collect(),
                issued_ms: told.issue_timestamp,
                expires_ms: told.expiry_timestamp,
                expires_ms_max: told.max_timestamp,
            });
            Ok(tokens.collect())
        })
        .await
    }
}

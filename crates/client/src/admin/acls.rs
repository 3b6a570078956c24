//! Access rules: who may do what with which resource. A cluster without an authorizer answers all
//! of this with `SECURITY_DISABLED`.

use milena_protocol::api::{
    CreateAclsRequest, DeleteAclsRequest, DescribeAclsRequest, create_acls::request::AclCreation,
    delete_acls::request::DeleteAclsFilter,
};

use super::{Admin, To, done};
use crate::{
    error::{Error, Result},
    network::{CreateAcls, DeleteAcls, DescribeAcls},
};

macro_rules! numbered {
    (
        $(#[$doc:meta])*
        $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $number:literal,)* }
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        #[repr(i8)]
        #[non_exhaustive]
        pub enum $name {
            /// One that this client does not know.
            Unknown = 0,
            /// Any at all; in filters only.
            Any = 1,
            $($(#[$variant_doc])* $variant = $number,)*
        }

        impl $name {
            const fn from_number(number: i8) -> Self {
                match number {
                    1 => Self::Any,
                    $($number => Self::$variant,)*
                    _ => Self::Unknown,
                }
            }
        }
    };
}

numbered! {
    /// What a rule is about, by Kafka's numbers.
    AclResourceType {
        /// A topic.
        Topic = 2,
        /// A group.
        Group = 3,
        /// The cluster, whose name is `kafka-cluster`.
        Cluster = 4,
        /// A transactional id.
        TransactionalId = 5,
        /// A delegation token.
        DelegationToken = 6,
        /// A user, by `User:name`.
        User = 7,
    }
}

numbered! {
    /// How a rule names what it is about, by Kafka's numbers.
    AclPatternType {
        /// In filters only: whatever applies to the name.
        Match = 2,
        /// The name itself; `*` is all names.
        Literal = 3,
        /// All names that begin so.
        Prefixed = 4,
    }
}

numbered! {
    /// What somebody may do, by Kafka's numbers.
    #[allow(missing_docs, reason = "Kafka's names say it")]
    AclOperation {
        All = 2,
        Read = 3,
        Write = 4,
        Create = 5,
        Delete = 6,
        Alter = 7,
        Describe = 8,
        ClusterAction = 9,
        DescribeConfigs = 10,
        AlterConfigs = 11,
        IdempotentWrite = 12,
        CreateTokens = 13,
        DescribeTokens = 14,
        TwoPhaseCommit = 15,
    }
}

numbered! {
    /// Whether somebody may, or may not, by Kafka's numbers.
    AclPermission {
        /// Not, whatever other rules say.
        Deny = 2,
        /// If no rule denies it.
        Allow = 3,
    }
}

/// One rule.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Acl {
    /// What it is about.
    pub resource_type: AclResourceType,
    /// By which name.
    pub resource_name: Box<str>,
    /// How that is meant.
    pub pattern_type: AclPatternType,
    /// Who, such as `User:ana`.
    pub principal: Box<str>,
    /// From where; `*` is from everywhere.
    pub host: Box<str>,
    /// Does what.
    pub operation: AclOperation,
    /// May, or may not.
    pub permission: AclPermission,
}

/// Which rules are meant. What is left open is anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AclFilter {
    /// What they are about.
    pub resource_type: AclResourceType,
    /// By which name.
    pub resource_name: Option<Box<str>>,
    /// How that is meant.
    pub pattern_type: AclPatternType,
    /// Who.
    pub principal: Option<Box<str>>,
    /// From where.
    pub host: Option<Box<str>>,
    /// Does what.
    pub operation: AclOperation,
    /// May, or may not.
    pub permission: AclPermission,
}

impl Default for AclFilter {
    /// All rules.
    fn default() -> Self {
        Self {
            resource_type: AclResourceType::Any,
            resource_name: None,
            pattern_type: AclPatternType::Any,
            principal: None,
            host: None,
            operation: AclOperation::Any,
            permission: AclPermission::Any,
        }
    }
}

impl Admin {
    /// The rules that a filter matches.
    pub async fn describe_acls(&self, filter: &AclFilter) -> Result<Vec<Acl>> {
        let request = DescribeAclsRequest {
            resource_type_filter: filter.resource_type as i8,
            resource_name_filter: filter.resource_name.as_deref(),
            pattern_type_filter: filter.pattern_type as i8,
            principal_filter: filter.principal.as_deref(),
            host_filter: filter.host.as_deref(),
            operation: filter.operation as i8,
            permission_type: filter.permission as i8,
        };
        let what = "describe access rules";
        self.ask::<DescribeAcls, _>(what, To::Any, &request, |answer| {
            let message = answer.message()?;
            Error::check(what, message.error_code, message.error_message)?;
            let rules = message.resources.iter().flat_map(|resource| {
                resource.acls.iter().map(|told| Acl {
                    resource_type: AclResourceType::from_number(resource.resource_type),
                    resource_name: resource.resource_name.into(),
                    pattern_type: AclPatternType::from_number(resource.pattern_type),
                    principal: told.principal.into(),
                    host: told.host.into(),
                    operation: AclOperation::from_number(told.operation),
                    permission: AclPermission::from_number(told.permission_type),
                })
            });
            Ok(rules.collect())
        })
        .await
    }

    /// Adds rules; each has its own result, in their order.
    pub async fn create_acls(&self, rules: &[Acl]) -> Result<Vec<Result<()>>> {
        let creations = rules.iter().map(|rule| AclCreation {
            resource_type: rule.resource_type as i8,
            resource_name: &rule.resource_name,
            resource_pattern_type: rule.pattern_type as i8,
            principal: &rule.principal,
            host: &rule.host,
            operation: rule.operation as i8,
            permission_type: rule.permission as i8,
        });
        let request = CreateAclsRequest { creations: creations.collect() };
        let what = "create access rules";
        self.ask::<CreateAcls, _>(what, To::Controller, &request, |answer| {
            let message = answer.message()?;
            let told = message.results.iter();
            Ok(told
                .map(|told| done(what.to_owned(), told.error_code, told.error_message, ()))
                .collect())
        })
        .await
    }

    /// Takes away the rules that filters match: for each filter those that are gone, in their
    /// order.
    pub async fn delete_acls(&self, filters: &[AclFilter]) -> Result<Vec<Result<Vec<Acl>>>> {
        let filters = filters.iter().map(|filter| DeleteAclsFilter {
            resource_type_filter: filter.resource_type as i8,
            resource_name_filter: filter.resource_name.as_deref(),
            pattern_type_filter: filter.pattern_type as i8,
            principal_filter: filter.principal.as_deref(),
            host_filter: filter.host.as_deref(),
            operation: filter.operation as i8,
            permission_type: filter.permission as i8,
        });
        let request = DeleteAclsRequest { filters: filters.collect() };
        let what = "delete access rules";
        self.ask::<DeleteAcls, _>(what, To::Controller, &request, |answer| {
            let message = answer.message()?;
            let told = message.filter_results.iter().map(|told| {
                Error::check(what, told.error_code, told.error_message)?;
                let gone = told.matching_acls.iter().map(|told| {
                    let rule = Acl {
                        resource_type: AclResourceType::from_number(told.resource_type),
                        resource_name: told.resource_name.into(),
                        pattern_type: AclPatternType::from_number(told.pattern_type),
                        principal: told.principal.into(),
                        host: told.host.into(),
                        operation: AclOperation::from_number(told.operation),
                        permission: AclPermission::from_number(told.permission_type),
                    };
                    done(what.to_owned(), told.error_code, told.error_message, rule)
                });
                gone.collect()
            });
            Ok(told.collect())
        })
        .await
    }
}

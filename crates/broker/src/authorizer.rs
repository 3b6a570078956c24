//! Who may do what. Every handler asks; today everybody may do everything, as with Kafka when no
//! `authorizer.class.name` is set.

use crate::network::connection::Client;

/// What is to be done to a resource: Kafka's ACL operations, with their codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Operation {
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
}

/// What it is to be done to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Resource<'a> {
    Topic(&'a str),
    Group(&'a str),
    Cluster,
    TransactionalId(&'a str),
    /// Some topic, whichever.
    AnyTopic,
}

pub(crate) trait Authorizer: std::fmt::Debug + Send + Sync {
    fn authorize(&self, client: &Client, operation: Operation, resource: Resource<'_>) -> bool;
}

/// The authorizer of a broker that has none.
#[derive(Debug)]
pub(crate) struct Everybody;

impl Authorizer for Everybody {
    fn authorize(&self, _: &Client, _: Operation, _: Resource<'_>) -> bool {
        true
    }
}

/// What may be done to the cluster as a whole.
pub(crate) const CLUSTER_OPERATIONS: [Operation; 7] = [
    Operation::Create,
    Operation::ClusterAction,
    Operation::DescribeConfigs,
    Operation::AlterConfigs,
    Operation::IdempotentWrite,
    Operation::Alter,
    Operation::Describe,
];

/// Kafka's mark for operations that were not asked for.
pub(crate) const NOT_ASKED: i32 = i32::MIN;

/// What may be done to a group.
pub(crate) const GROUP_OPERATIONS: [Operation; 5] = [
    Operation::Read,
    Operation::Delete,
    Operation::Describe,
    Operation::DescribeConfigs,
    Operation::AlterConfigs,
];

/// The operations that are allowed, as the bits of an answer.
pub(crate) fn operations(all: &[Operation], may: impl Fn(Operation) -> bool) -> i32 {
    all.iter().filter(|operation| may(**operation)).fold(0, |bits, one| bits | 1 << *one as u8)
}

/// The principal of whoever has not said who they are.
pub(crate) const USER: &str = "User";
pub(crate) const ANONYMOUS: &str = "ANONYMOUS";

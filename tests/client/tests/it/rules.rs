//! What a cluster without an authorizer says of rules and tokens, one with voters of its own of
//! theirs, and a single broker of moving things about. Kafka's words are the measure.

use milena_client::{
    Error, Result, TopicPartition,
    admin::{
        Acl, AclFilter, AclOperation, AclPatternType, AclPermission, AclResourceType, Admin,
        LogDir, NewTopic, PartitionDescription, Principal, VoterEndpoint,
    },
};
use milena_client_tests::Cluster;
use milena_protocol::Uuid;

fn code<T: std::fmt::Debug>(result: Result<T>) -> &'static str {
    let error = result.unwrap_err();
    error.code().unwrap_or_else(|| panic!("no broker said {error}")).name()
}

fn admin(cluster: &Cluster) -> Admin {
    Admin::connect(&cluster.config()).unwrap()
}

#[tokio::test]
async fn without_an_authorizer_rules_are_refused_with_that_reason() {
    let cluster = Cluster::start().unwrap();
    let admin = admin(&cluster);
    let rule = Acl {
        resource_type: AclResourceType::Topic,
        resource_name: "orders".into(),
        pattern_type: AclPatternType::Prefixed,
        principal: "User:ana".into(),
        host: "*".into(),
        operation: AclOperation::Read,
        permission: AclPermission::Allow,
    };
    let described = admin.describe_acls(&AclFilter::default()).await;
    assert_eq!(code(described), "SECURITY_DISABLED");
    let mut created = admin.create_acls(&[rule.clone(), rule]).await.unwrap();
    assert_eq!(created.len(), 2);
    let error = created.remove(0).unwrap_err();
    assert!(!error.is_retriable(), "{error}");
    assert_eq!(error.code().map(|code| code.name()), Some("SECURITY_DISABLED"));
    let named = AclFilter { resource_name: Some("orders".into()), ..AclFilter::default() };
    let mut deleted = admin.delete_acls(&[named]).await.unwrap();
    assert_eq!((deleted.len(), code(deleted.remove(0))), (1, "SECURITY_DISABLED"));
}

#[tokio::test]
async fn tokens_are_for_those_who_have_logged_in() {
    let cluster = Cluster::start().unwrap();
    let admin = admin(&cluster);
    let ana = Principal::new("User", "ana");
    let made =
        admin.create_delegation_token(Some(&ana), std::slice::from_ref(&ana), Some(60_000)).await;
    assert_eq!(code(made), "DELEGATION_TOKEN_REQUEST_NOT_ALLOWED");
    let seen = admin.describe_delegation_tokens(Some(&[ana])).await;
    assert_eq!(code(seen), "DELEGATION_TOKEN_REQUEST_NOT_ALLOWED");
    let renewed = admin.renew_delegation_token(b"secret", 60_000).await;
    assert_eq!(code(renewed), "DELEGATION_TOKEN_REQUEST_NOT_ALLOWED");
    let ended = admin.expire_delegation_token(b"secret", -1).await;
    assert_eq!(code(ended), "DELEGATION_TOKEN_REQUEST_NOT_ALLOWED");
}

#[tokio::test]
async fn voters_of_the_configuration_stay_and_who_was_never_there_is_not_forgotten() {
    let cluster = Cluster::start().unwrap();
    let admin = admin(&cluster);
    let endpoint =
        VoterEndpoint { listener: "CONTROLLER".into(), host: "127.0.0.1".into(), port: 1 };
    let directory = Uuid::from_u128(7);
    let added = admin.add_voter(9, directory, &[endpoint]).await;
    assert_eq!(code(added), "UNSUPPORTED_VERSION");
    let removed = admin.remove_voter(9, directory).await;
    assert_eq!(code(removed), "UNSUPPORTED_VERSION");
    assert_eq!(code(admin.unregister_broker(99).await), "BROKER_ID_NOT_REGISTERED");
    match admin.client_instance_id().await {
        Ok(id) => assert_ne!(id, Uuid::ZERO),
        // Kafka has no such API unless somebody configures a place for metrics.
        Err(error) => {
            assert!(!cluster.is_embedded(), "{error}");
            assert!(matches!(error, Error::Unsupported { .. }), "{error}");
        }
    }
}

#[tokio::test]
async fn partitions_are_told_page_by_page() {
    let cluster = Cluster::start().unwrap();
    let (admin, large) = (admin(&cluster), cluster.name("large"));
    let (small, missing) = (cluster.name("small"), cluster.name("missing"));
    // More than one answer holds; Kafka makes files for each, so there are fewer.
    let count = if cluster.is_embedded() { 2_500 } else { 25 };
    let topics = [NewTopic::new(&large).partitions(count), NewTopic::new(&small).partitions(3)];
    admin.create_topics(&topics).await.unwrap();
    let told = loop {
        let told = admin.describe_partitions(&[&small, &missing, &large]).await.unwrap();
        let led =
            |all: &Vec<PartitionDescription>| all.iter().all(|it| it.partition.leader.is_some());
        if told.iter().all(|(_, all)| all.as_ref().map_or(true, led)) && told[2].1.is_ok() {
            break told;
        }
    };
    let counts: Vec<_> =
        told.iter().map(|(name, all)| (&**name, all.as_ref().map_or(0, Vec::len))).collect();
    assert_eq!(counts, [(&*large, count as usize), (&*missing, 0), (&*small, 3)]);
    assert_eq!(
        told[1].1.as_ref().unwrap_err().code().unwrap().name(),
        "UNKNOWN_TOPIC_OR_PARTITION"
    );
    let all = told[0].1.as_ref().unwrap();
    assert!(all.iter().zip(0..).all(|(it, index)| it.partition.index == index));
    assert!(all.iter().all(|it| it.eligible.is_empty() && it.partition.in_sync.len() == 1));
    admin.delete_topics(&[&large, &small]).await.unwrap();
}

#[tokio::test]
async fn partitions_stay_where_they_can_be() {
    let cluster = Cluster::start().unwrap();
    let (admin, name) = (admin(&cluster), cluster.name("placed"));
    admin.create_topics(&[NewTopic::new(&name).partitions(1)]).await.unwrap();
    let partition = TopicPartition::new(name.as_str(), 0);
    let broker = admin.describe_cluster().await.unwrap().brokers[0].id;

    let reassign = async |replicas: Option<Vec<i32>>| {
        let mut each = admin.reassign_partitions(&[(partition.clone(), replicas)]).await.unwrap();
        assert_eq!((each.len(), &each[0].0), (1, &partition));
        each.remove(0).1
    };
    reassign(Some(vec![broker])).await.unwrap();
    assert_eq!(code(reassign(Some(vec![99])).await), "INVALID_REPLICA_ASSIGNMENT");
    assert_eq!(code(reassign(None).await), "NO_REASSIGNMENT_IN_PROGRESS");

    let path = loop {
        let dirs = admin.describe_log_dirs().await.unwrap();
        let is_here = |dir: &&LogDir| dir.replicas.iter().any(|one| one.partition == partition);
        if let Some(dir) = dirs.iter().find(is_here) {
            break dir.path.clone();
        }
    };
    let mut moved =
        admin.move_replicas(broker, &path, std::slice::from_ref(&partition)).await.unwrap();
    moved.remove(0).1.unwrap();
    let mut moved = admin.move_replicas(broker, "/no/such/path", &[partition]).await.unwrap();
    assert_eq!(code(moved.remove(0).1), "LOG_DIR_NOT_FOUND");
}

//! Managing a cluster.

use std::time::Duration;

use milena_client::{
    CommittedOffset, Error, TopicPartition,
    admin::{
        Admin, ConfigChange, ConfigOperation, ConfigResource, ConfigSource, CredentialChange, Each,
        GroupKind, MorePartitions, NewTopic, OffsetSpec, QuotaChange, QuotaFilter, ResourceKind,
        ScramMechanism,
    },
};
use milena_client_tests::Cluster;

/// The code of the error that the only result is.
fn refused<K, T: std::fmt::Debug>(mut each: Each<K, T>) -> &'static str {
    assert_eq!(each.len(), 1);
    let error = each.remove(0).1.unwrap_err();
    error.code().unwrap_or_else(|| panic!("no broker said {error}")).name()
}

fn granted<K: std::fmt::Debug, T>(mut each: Each<K, T>) -> T {
    assert_eq!(each.len(), 1);
    let (key, result) = each.remove(0);
    result.unwrap_or_else(|error| panic!("{key:?}: {error}"))
}

fn admin(cluster: &Cluster) -> Admin {
    Admin::connect(&cluster.config()).unwrap()
}

/// Whatever was changed is known to the broker that changed it, but Kafka's metadata cache follows
/// a moment later.
async fn until<T, F: Future<Output = Option<T>>>(mut look: impl FnMut() -> F) -> T {
    for _ in 0..200 {
        if let Some(seen) = look().await {
            return seen;
        }
        milena_env::timer::sleep(Duration::from_millis(50)).await;
    }
    panic!("it never came");
}

#[tokio::test]
async fn topics_are_made_seen_enlarged_and_deleted() {
    let cluster = Cluster::start().unwrap();
    let (admin, name) = (admin(&cluster), cluster.name("topics"));
    let topic = NewTopic::new(&name).partitions(2).config("retention.ms", "3600000");
    let topics = [topic.clone()];
    assert_eq!(granted(admin.validate_topics(&topics).await.unwrap()).partitions, 2);
    assert_eq!(granted(admin.create_topics(&topics).await.unwrap()).partitions, 2);
    assert_eq!(refused(admin.create_topics(&topics).await.unwrap()), "TOPIC_ALREADY_EXISTS");

    let seen = until(async || {
        let listed = admin.list_topics().await.unwrap();
        listed.into_iter().find(|topic| *topic.name == *name)
    })
    .await;
    assert_eq!(seen.partitions.len(), 2);
    assert!(seen.partitions.iter().all(|partition| partition.leader.is_some()));

    let more = [MorePartitions { topic: name.as_str().into(), total: 3, placed: None }];
    granted(admin.create_partitions(&more, false).await.unwrap());
    assert_eq!(refused(admin.create_partitions(&more, false).await.unwrap()), "INVALID_PARTITIONS");
    until(async || {
        let topic = granted(admin.describe_topics(&[&name]).await.unwrap());
        (topic.partitions.len() == 3).then_some(())
    })
    .await;

    granted(admin.delete_topics(&[&name]).await.unwrap());
    until(async || {
        let described = admin.describe_topics(&[&name]).await.unwrap();
        described[0].1.is_err().then(|| refused(described))
    })
    .await;
    let unknown = refused(admin.delete_topics(&[&name]).await.unwrap());
    assert_eq!(unknown, "UNKNOWN_TOPIC_OR_PARTITION");
}

#[tokio::test]
async fn one_item_that_fails_does_not_hide_the_others() {
    let cluster = Cluster::start().unwrap();
    let (admin, name) = (admin(&cluster), cluster.name("good"));
    let created = admin
        .create_topics(&[NewTopic::new("no/such name").partitions(1), NewTopic::new(&name)])
        .await
        .unwrap();
    let of = |wanted: &str| created.iter().find(|(name, _)| **name == *wanted).unwrap().1.clone();
    assert_eq!(of("no/such name").unwrap_err().code().unwrap().name(), "INVALID_TOPIC_EXCEPTION");
    assert_eq!(of(&name).unwrap().partitions, 1);
    until(async || {
        let both = admin.describe_topics(&[&name, "nobody-made-this"]).await.unwrap();
        assert!(both[1].1.is_err(), "{both:?}");
        both[0].1.is_ok().then_some(())
    })
    .await;
}

#[tokio::test]
async fn offsets_are_found_and_records_deleted() {
    let cluster = Cluster::start().unwrap();
    let (admin, name) = (admin(&cluster), cluster.name("offsets"));
    granted(admin.create_topics(&[NewTopic::new(&name).partitions(1)]).await.unwrap());
    let here = TopicPartition::new(name.as_str(), 0);
    let missing = TopicPartition::new(name.as_str(), 7);
    until(async || admin.describe_topics(&[&name]).await.unwrap()[0].1.is_ok().then_some(())).await;
    for spec in [OffsetSpec::Earliest, OffsetSpec::Latest] {
        let found = admin.list_offsets(&[(here.clone(), spec)], false).await.unwrap();
        assert_eq!(granted(found).offset, Some(0));
    }
    let since = OffsetSpec::Timestamp(1_000);
    let found = admin.list_offsets(&[(here.clone(), since)], true).await.unwrap();
    assert_eq!(granted(found).offset, None, "there is no record yet");
    let found = admin.list_offsets(&[(missing.clone(), since)], false).await.unwrap();
    assert_eq!(refused(found), "UNKNOWN_TOPIC_OR_PARTITION");
    let deleted = admin.delete_records(&[(here.clone(), -1)]).await.unwrap();
    assert_eq!(granted(deleted), 0);
    assert_eq!(
        refused(admin.delete_records(&[(here.clone(), 5)]).await.unwrap()),
        "OFFSET_OUT_OF_RANGE"
    );
    let producers = admin.describe_producers(&[here]).await.unwrap();
    assert!(granted(producers).is_empty());
}

#[tokio::test]
async fn settings_are_changed_and_tell_where_they_come_from() {
    let cluster = Cluster::start().unwrap();
    let (admin, name) = (admin(&cluster), cluster.name("settings"));
    granted(admin.create_topics(&[NewTopic::new(&name).partitions(1)]).await.unwrap());
    let topic = ConfigResource::new(ResourceKind::Topic, &name);
    let look = async || {
        let configs = granted(admin.describe_configs(std::slice::from_ref(&topic)).await.unwrap());
        let config = configs.into_iter().find(|config| &*config.name == "retention.ms").unwrap();
        (config.value.unwrap(), config.source)
    };
    let change = async |operation, validate_only| {
        let change = ConfigChange { name: "retention.ms".into(), operation };
        admin.alter_configs(&[(topic.clone(), vec![change])], validate_only).await.unwrap()
    };
    let (default, source) = until(async || Some(look().await)).await;
    assert!(matches!(source, ConfigSource::Default | ConfigSource::StaticBroker), "{source:?}");
    granted(change(ConfigOperation::Set("7000".into()), true).await);
    assert_eq!(look().await.0, default, "that was only a question");
    granted(change(ConfigOperation::Set("7000".into()), false).await);
    until(async || (look().await == ("7000".into(), ConfigSource::Topic)).then_some(())).await;
    granted(change(ConfigOperation::Unset, false).await);
    until(async || (look().await.0 == default).then_some(())).await;
    let wrong = change(ConfigOperation::Set("soon".into()), false).await;
    assert_eq!(refused(wrong), "INVALID_CONFIG");
    let listed = admin.list_config_resources(&[ResourceKind::Topic]).await.unwrap();
    assert!(listed.contains(&topic));
    let broker = admin.describe_cluster().await.unwrap().brokers[0].id.to_string();
    let broker = ConfigResource::new(ResourceKind::Broker, &broker);
    let configs = granted(admin.describe_configs(&[broker]).await.unwrap());
    let config = configs.iter().find(|config| &*config.name == "node.id").unwrap();
    assert!(config.is_read_only && config.documentation.is_some());
}

#[tokio::test]
async fn offsets_of_groups_are_set_seen_and_forgotten() {
    let cluster = Cluster::start().unwrap();
    let (admin, topic, group) = (admin(&cluster), cluster.name("read"), cluster.name("group"));
    granted(admin.create_topics(&[NewTopic::new(&topic).partitions(2)]).await.unwrap());
    let at = |number| TopicPartition::new(topic.as_str(), number);
    let committed =
        |offset| CommittedOffset { offset, leader_epoch: None, metadata: "by hand".into() };
    let set = admin
        .alter_group_offsets(&group, &[(at(0), committed(3)), (at(1), committed(4))])
        .await
        .unwrap();
    assert!(set.iter().all(|(_, result)| result.is_ok()), "{set:?}");
    let seen = admin.group_offsets(&group).await.unwrap();
    let seen: Vec<_> = seen.into_iter().map(|(at, offset)| (at, offset.unwrap())).collect();
    assert_eq!(seen, [(at(0), committed(3)), (at(1), committed(4))]);

    let listed = admin.list_groups(&[]).await.unwrap();
    let listed = listed.iter().find(|listing| *listing.group == *group).unwrap();
    assert_eq!((&*listed.state, &listed.kind), ("Empty", &GroupKind::Classic));
    let described = granted(admin.describe_groups(&[&group]).await.unwrap());
    assert_eq!((&*described.state, described.members.len()), ("Empty", 0));
    assert_eq!(
        refused(admin.describe_groups(&[&cluster.name("nobody")]).await.unwrap()),
        "GROUP_ID_NOT_FOUND"
    );

    granted(admin.delete_group_offsets(&group, &[at(0)]).await.unwrap());
    assert_eq!(admin.group_offsets(&group).await.unwrap().len(), 1);
    granted(admin.delete_groups(&[&group]).await.unwrap());
    assert_eq!(refused(admin.delete_groups(&[&group]).await.unwrap()), "GROUP_ID_NOT_FOUND");
    assert!(admin.group_offsets(&group).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_cluster_tells_of_itself() {
    let cluster = Cluster::start().unwrap();
    let (admin, name) = (admin(&cluster), cluster.name("held"));
    granted(admin.create_topics(&[NewTopic::new(&name).partitions(1)]).await.unwrap());
    let described = admin.describe_cluster().await.unwrap();
    assert_eq!(described.id.len(), 22, "{}", described.id);
    let broker = &described.brokers[0];
    assert_eq!(broker.address(), cluster.bootstrap());
    let quorum = admin.describe_quorum().await.unwrap();
    assert_eq!(quorum.voters.len(), 1);
    assert!(quorum.high_watermark > 0);
    let features = admin.describe_features().await.unwrap();
    let version = features.iter().find(|it| &*it.name == "metadata.version").unwrap();
    assert!(version.finalized > 0 && version.finalized <= version.supported.1, "{version:?}");
    let dirs = until(async || {
        let dirs = admin.describe_log_dirs().await.unwrap();
        let held = |topic: &str| {
            let replicas = dirs.iter().flat_map(|dir| &dir.replicas);
            replicas.filter(|replica| &*replica.partition.topic == topic).count()
        };
        (held(&name) == 1).then_some(dirs)
    })
    .await;
    assert!(dirs[0].error.is_none() && dirs[0].total_bytes > dirs[0].usable_bytes);
    let partition = [TopicPartition::new(name.as_str(), 0)];
    let elected = admin.elect_leaders(Some(&partition), false).await.unwrap();
    assert!(elected.iter().all(|(_, result)| result.is_ok()), "{elected:?}");
    assert_eq!(admin.list_reassignments().await.unwrap(), []);
}

#[tokio::test]
async fn quotas_are_set_and_taken_back() {
    let cluster = Cluster::start().unwrap();
    let (admin, user) = (admin(&cluster), cluster.name("user"));
    let entity = vec![("user".into(), Some(user.as_str().into()))];
    let change = async |value| {
        let values = vec![("producer_byte_rate".into(), value)];
        let change = QuotaChange { entity: entity.clone(), values };
        granted(admin.alter_quotas(&[change], false).await.unwrap());
    };
    let look = async || {
        let quotas = admin.describe_quotas().await.unwrap();
        quotas.into_iter().find(|quota| quota.entity == entity).map(|quota| quota.values)
    };
    change(Some(1e6)).await;
    let values = until(async || look().await).await;
    assert_eq!(values, [("producer_byte_rate".into(), 1e6)]);
    let named = |filter| [("user", filter)];
    let by_name = named(QuotaFilter::Name(user.as_str().into()));
    let found = admin.describe_quotas_of(&by_name, true).await.unwrap();
    assert_eq!(found.iter().map(|quota| &quota.entity).collect::<Vec<_>>(), [&entity]);
    let others = admin.describe_quotas_of(&named(QuotaFilter::Default), false).await.unwrap();
    assert!(others.iter().all(|quota| quota.entity != entity), "{others:?}");
    let any = admin.describe_quotas_of(&named(QuotaFilter::Any), false).await.unwrap();
    assert!(any.iter().any(|quota| quota.entity == entity), "{any:?}");
    change(None).await;
    until(async || look().await.is_none().then_some(())).await;
}

#[tokio::test]
async fn users_get_credentials_and_lose_them() {
    let cluster = Cluster::start().unwrap();
    let (admin, user) = (admin(&cluster), cluster.name("user"));
    let mechanism = ScramMechanism::Sha512;
    let set = CredentialChange::set(&user, mechanism, "pencil", 4096).unwrap();
    granted(admin.alter_credentials(&[set]).await.unwrap());
    let credentials = until(async || {
        let described = admin.describe_credentials(None).await.unwrap();
        let mut described = described.into_iter();
        described.find(|(name, _)| **name == *user).map(|(_, credentials)| credentials.unwrap())
    })
    .await;
    assert_eq!(credentials.len(), 1);
    assert_eq!((credentials[0].mechanism, credentials[0].iterations), (Some(mechanism), 4096));
    let weak = CredentialChange::set(&user, mechanism, "pencil", 1).unwrap();
    assert_eq!(refused(admin.alter_credentials(&[weak]).await.unwrap()), "UNACCEPTABLE_CREDENTIAL");
    let delete = [CredentialChange::delete(&user, mechanism)];
    granted(admin.alter_credentials(&delete).await.unwrap());
    until(async || {
        let described = admin.describe_credentials(Some(&[&user])).await.unwrap();
        described[0].1.is_err().then_some(())
    })
    .await;
}

#[tokio::test]
async fn transactions_that_are_not_there_are_named() {
    let cluster = Cluster::start().unwrap();
    let (admin, id) = (admin(&cluster), cluster.name("nobody"));
    let listed =
        admin.list_transactions(&milena_client::admin::TransactionFilter::default()).await.unwrap();
    assert!(listed.iter().all(|listing| *listing.transactional_id != *id), "{listed:?}");
    let described = admin.describe_transactions(&[&id]).await.unwrap();
    assert_eq!(refused(described), "TRANSACTIONAL_ID_NOT_FOUND");
}

#[tokio::test]
async fn whoever_is_not_there_is_named_and_waited_for_no_longer_than_said() {
    let config = milena_client::ClientConfig::new("127.0.0.1:1");
    let config = config.set("default.api.timeout.ms", "300").unwrap();
    let error = Admin::connect(&config).unwrap().list_topics().await.unwrap_err();
    assert!(matches!(error, Error::Timeout { .. }), "{error}");
    assert!(error.to_string().contains("no connection to 127.0.0.1:1"), "{error}");
}

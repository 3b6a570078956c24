//! Producing in transactions.

use std::time::Duration;

use milena_broker::embedded;
use milena_client::{
    ClientConfig, CommittedOffset, Error, Remedy, TopicPartition,
    admin::{AbortTransaction, Admin, FeatureChange, TransactionFilter},
    producer::{GroupMember, Producer, ProducerConfig, Record},
};
use milena_client_tests::{Cluster, Proxy, Stored, Weather, Wire};
use milena_env::{Random, timer};

fn config(bootstrap: &str, id: &str) -> ProducerConfig {
    ProducerConfig::new(bootstrap).set("transactional.id", id).unwrap()
}

async fn send(producer: &Producer, topic: &str, value: &str) {
    drop(producer.send(Record::to(topic).value(value).partition(0)).await.unwrap());
}

fn values(stored: &[Stored]) -> Vec<&str> {
    let values = stored.iter().map(|it| it.value.as_deref().unwrap());
    values.map(|value| std::str::from_utf8(value).unwrap()).collect()
}

#[tokio::test]
async fn what_is_committed_is_seen_and_what_is_aborted_is_not() {
    let cluster = Cluster::start().unwrap();
    let (topic, id) = (cluster.name("committed"), cluster.name("id"));
    let mut wire = Wire::connect(cluster.bootstrap()).await.unwrap();
    wire.create(&topic, 1, &[]).await.unwrap();
    let producer = Producer::new(config(cluster.bootstrap(), &id)).unwrap();
    let early = producer.send(Record::to(&topic).value("early")).await.unwrap_err();
    // The topic is not known yet, so it was asked for first.
    assert!(early.to_string().contains("call init_transactions first"), "{early}");
    producer.init_transactions().await.unwrap();
    for (value, commits) in [("a", true), ("b", false), ("c", true), ("d", false), ("e", true)] {
        producer.begin().unwrap();
        send(&producer, &topic, value).await;
        if commits {
            producer.commit().await.unwrap();
        } else {
            // Part of it is there already.
            producer.flush().await;
            send(&producer, &topic, "never sent").await;
            producer.abort().await.unwrap();
        }
    }
    // One in which nothing was sent is nothing to the coordinator.
    producer.begin().unwrap();
    producer.commit().await.unwrap();
    let error = producer.commit().await.unwrap_err();
    assert!(error.to_string().contains("none is open; begin one"), "{error}");
    let stored = wire.read_committed(&topic, 0).await.unwrap();
    assert_eq!(values(&stored), ["a", "c", "e"]);
    assert_eq!(wire.read(&topic, 0).await.unwrap().len(), 5, "b and d are there for others");
}

#[tokio::test]
async fn an_open_transaction_is_listed_by_all_that_is_known_of_it() {
    let cluster = Cluster::start().unwrap();
    let (topic, id) = (cluster.name("listed"), cluster.name("open"));
    let mut wire = Wire::connect(cluster.bootstrap()).await.unwrap();
    wire.create(&topic, 1, &[]).await.unwrap();
    let producer = Producer::new(config(cluster.bootstrap(), &id)).unwrap();
    producer.init_transactions().await.unwrap();
    producer.begin().unwrap();
    send(&producer, &topic, "a").await;
    producer.flush().await;
    timer::sleep(Duration::from_millis(5)).await;
    let admin = Admin::connect(&ClientConfig::new(cluster.bootstrap())).unwrap();
    let by_id = TransactionFilter { id_pattern: Some(&id), ..TransactionFilter::default() };
    let listed = admin.list_transactions(&by_id).await.unwrap();
    let [only] = &listed[..] else { panic!("{listed:?}") };
    assert_eq!((&*only.transactional_id, &*only.state), (&*id, "Ongoing"));
    let (ours, others) = ([only.producer_id], [only.producer_id + 1_000_000]);
    for (filter, is_listed) in [
        (TransactionFilter { states: &["Ongoing"], ..by_id }, true),
        (TransactionFilter { states: &["Empty"], ..by_id }, false),
        (TransactionFilter { producer_ids: &ours, ..by_id }, true),
        (TransactionFilter { producer_ids: &others, ..by_id }, false),
        (TransactionFilter { open_for: Some(Duration::from_millis(1)), ..by_id }, true),
        (TransactionFilter { open_for: Some(Duration::from_hours(1)), ..by_id }, false),
        (TransactionFilter { id_pattern: Some(&id[1..]), ..by_id }, false),
    ] {
        let listed = admin.list_transactions(&filter).await.unwrap();
        assert_eq!(!listed.is_empty(), is_listed, "{filter:?}: {listed:?}");
    }
    producer.abort().await.unwrap();
}

#[tokio::test]
async fn whoever_takes_the_name_over_fences_whoever_had_it() {
    let cluster = Cluster::start().unwrap();
    let (topic, id) = (cluster.name("fenced"), cluster.name("fence"));
    let mut wire = Wire::connect(cluster.bootstrap()).await.unwrap();
    wire.create(&topic, 1, &[]).await.unwrap();
    let old = Producer::new(config(cluster.bootstrap(), &id)).unwrap();
    old.init_transactions().await.unwrap();
    old.begin().unwrap();
    send(&old, &topic, "old").await;
    old.flush().await;
    let new = Producer::new(config(cluster.bootstrap(), &id)).unwrap();
    new.init_transactions().await.unwrap();
    new.begin().unwrap();
    send(&new, &topic, "new").await;
    new.commit().await.unwrap();
    let error = old.commit().await.unwrap_err();
    assert_eq!(error.remedy(), Some(Remedy::Close), "{error}");
    let error = old.begin().unwrap_err();
    assert_eq!(error.remedy(), Some(Remedy::Close), "{error}");
    assert_eq!(values(&wire.read_committed(&topic, 0).await.unwrap()), ["new"]);
}

#[tokio::test]
async fn whoever_manages_a_cluster_may_fence_a_producer_and_end_what_holds_readers_up() {
    let cluster = Cluster::start().unwrap();
    let (topic, id) = (cluster.name("held"), cluster.name("holder"));
    let mut wire = Wire::connect(cluster.bootstrap()).await.unwrap();
    wire.create(&topic, 1, &[]).await.unwrap();
    let admin = Admin::connect(&cluster.config()).unwrap();
    let producer = Producer::new(config(cluster.bootstrap(), &id)).unwrap();
    producer.init_transactions().await.unwrap();
    producer.begin().unwrap();
    send(&producer, &topic, "open").await;
    producer.flush().await;

    let partition = TopicPartition::new(topic.as_str(), 0);
    let open = async || {
        let mut told = admin.describe_producers(std::slice::from_ref(&partition)).await.unwrap();
        let all = told.remove(0).1.unwrap();
        all.into_iter().find(|producer| producer.transaction_start.is_some())
    };
    let held = open().await.unwrap();
    assert_eq!(held.transaction_start, Some(0));
    let mut fenced = admin.fence_producers(&[&id]).await.unwrap();
    let fenced = fenced.remove(0).1.unwrap();
    assert!(fenced.id == held.id && i32::from(fenced.epoch) > held.epoch, "{fenced:?} {held:?}");
    let error = producer.commit().await.unwrap_err();
    assert_eq!(error.remedy(), Some(Remedy::Close), "{error}");
    while open().await.is_some() {
        timer::sleep(Duration::from_millis(20)).await;
    }

    // By force, in one partition: readers get past it.
    let producer = Producer::new(config(cluster.bootstrap(), &id)).unwrap();
    producer.init_transactions().await.unwrap();
    producer.begin().unwrap();
    send(&producer, &topic, "open again").await;
    producer.flush().await;
    let held = open().await.unwrap();
    let abort = AbortTransaction {
        partition: partition.clone(),
        producer_id: held.id,
        producer_epoch: i16::try_from(held.epoch).unwrap(),
        coordinator_epoch: held.coordinator_epoch,
    };
    admin.abort_transaction(&abort).await.unwrap();
    assert_eq!(open().await, None);
    let stored = wire.read_committed(&topic, 0).await.unwrap();
    assert!(stored.is_empty(), "{stored:?}");
    let nowhere = TopicPartition::new(cluster.name("nowhere"), 0);
    let error = admin.abort_transaction(&AbortTransaction { partition: nowhere, ..abort }).await;
    assert_eq!(error.unwrap_err().code().unwrap().name(), "UNKNOWN_TOPIC_OR_PARTITION");
}

#[tokio::test]
async fn offsets_are_committed_with_the_transaction_or_not_at_all() {
    let cluster = Cluster::start().unwrap();
    let (topic, group) = (cluster.name("input"), cluster.name("readers"));
    let mut wire = Wire::connect(cluster.bootstrap()).await.unwrap();
    wire.create(&topic, 1, &[]).await.unwrap();
    let admin = Admin::connect(&cluster.config()).unwrap();
    let producer = Producer::new(config(cluster.bootstrap(), &cluster.name("id"))).unwrap();
    producer.init_transactions().await.unwrap();
    let member = GroupMember::group(&group);
    for (offset, commits) in [(5, true), (9, false)] {
        producer.begin().unwrap();
        let offsets = [(TopicPartition::new(topic.as_str(), 0), CommittedOffset::from(offset))];
        producer.send_offsets_to_transaction(&offsets, &member).await.unwrap();
        if commits {
            producer.commit().await.unwrap()
        } else {
            producer.abort().await.unwrap()
        }
        // The group's coordinator learns of the end a moment later.
        let seen = loop {
            let seen = admin.group_offsets(&group).await.unwrap();
            if let Some((_, Ok(seen))) = seen.into_iter().next() {
                break seen;
            }
            timer::sleep(Duration::from_millis(20)).await;
        };
        assert_eq!(seen.offset, 5);
    }
    producer.begin().unwrap();
    let offsets = [(TopicPartition::new(topic.as_str(), 0), CommittedOffset::from(7))];
    let stranger = member.member("nobody", 3);
    let error = producer.send_offsets_to_transaction(&offsets, &stranger).await.unwrap_err();
    assert_eq!(error.remedy(), Some(Remedy::Abort), "{error}");
    producer.abort().await.unwrap();
}

#[tokio::test]
async fn a_transaction_of_which_a_record_fails_can_only_be_aborted_and_the_next_one_is_whole() {
    for level in [2, 1, 0] {
        let broker = embedded().start().unwrap();
        let bootstrap = broker.bootstrap();
        if level < 2 {
            let admin = Admin::connect(&ClientConfig::new(&bootstrap)).unwrap();
            lower(&admin, level).await;
        }
        let mut wire = Wire::connect(&bootstrap).await.unwrap();
        wire.create("t", 1, &[("max.message.bytes", "500")]).await.unwrap();
        let producer = Producer::new(config(&bootstrap, "id")).unwrap();
        producer.init_transactions().await.unwrap();
        for round in 0..3 {
            producer.begin().unwrap();
            send(&producer, "t", &format!("lost {round}")).await;
            producer.flush().await;
            let large = Record::to("t").value(vec![b'x'; 600]).partition(0);
            let large = producer.send(large).await.unwrap();
            let error = producer.commit().await.unwrap_err();
            assert_eq!(error.remedy(), Some(Remedy::Abort), "{level}: {error}");
            assert_eq!(error.code().unwrap().name(), "MESSAGE_TOO_LARGE");
            assert!(large.await.is_err());
            let error = producer.send(Record::to("t").value("more")).await.unwrap_err();
            assert_eq!(error.remedy(), Some(Remedy::Abort), "{level}: {error}");
            producer.abort().await.unwrap();

            producer.begin().unwrap();
            send(&producer, "t", &format!("kept {round}")).await;
            producer.commit().await.unwrap();
        }
        let stored = wire.read_committed("t", 0).await.unwrap();
        assert_eq!(values(&stored), ["kept 0", "kept 1", "kept 2"], "{level}");
    }
}

async fn lower(admin: &Admin, level: i16) {
    let change = FeatureChange { name: "transaction.version".into(), level, upgrade_type: 2 };
    let done = admin.update_features(&[change], false).await.unwrap();
    done.into_iter().for_each(|(_, done)| done.unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn transactions_are_whole_through_connections_that_break_and_answers_that_are_lost() {
    let proxy = Proxy::start().await.unwrap();
    let advertised = format!("PLAINTEXT://{}", proxy.address());
    let broker = embedded().set("advertised.listeners", &advertised).start().unwrap();
    proxy.lead_to(broker.address());
    let mut wire = Wire::connect(&broker.bootstrap()).await.unwrap();
    wire.create("t", 2, &[]).await.unwrap();
    let config = config(&proxy.address().to_string(), "id")
        .set("request.timeout.ms", "1000")
        .and_then(|config| config.set("retry.backoff.ms", "10"))
        .unwrap();
    let producer = Producer::new(config).unwrap();
    producer.init_transactions().await.unwrap();
    let storm = tokio::spawn(async move {
        let mut random = Random::from_seed(12);
        for _ in 0..25 {
            timer::sleep(Duration::from_millis(10 + random.below(50))).await;
            proxy.set(Weather::LosesAnswers);
            timer::sleep(Duration::from_millis(random.below(20))).await;
            proxy.cut();
            proxy.set(Weather::Fair);
        }
        proxy
    });
    let (mut number, mut committed) = (0, Vec::new());
    while !storm.is_finished() {
        producer.begin().unwrap();
        let value = number.to_string();
        for partition in 0..2 {
            let record = Record::to("t").partition(partition).value(&value);
            drop(producer.send(record).await.unwrap());
        }
        if number % 3 == 2 {
            producer.abort().await.unwrap();
        } else {
            match producer.commit().await {
                Ok(()) => committed.push(value),
                Err(Error::Transaction { remedy: Remedy::Abort, .. }) => {
                    producer.abort().await.unwrap();
                }
                Err(error) => panic!("{error}"),
            }
        }
        number += 1;
    }
    assert!(committed.len() > 10, "{} of {number}", committed.len());
    for partition in 0..2 {
        let stored = wire.read_committed("t", partition).await.unwrap();
        assert_eq!(values(&stored), committed, "partition {partition} of {number} transactions");
    }
    drop(storm.await.unwrap());
}

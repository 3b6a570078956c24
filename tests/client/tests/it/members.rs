//! What a member of a group can see and do besides reading, and who can send it away.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use milena_client::{
    TopicPartition,
    admin::Admin,
    consumer::{
        Consumer, ConsumerConfig, ConsumerHandle, GroupProtocol, ListenerFuture, RebalanceListener,
    },
    producer::Compression,
};
use milena_client_tests::Cluster;

use crate::consume::{PATIENCE, config, read, send, topic};

fn member(cluster: &Cluster, group: &str, protocol: GroupProtocol) -> ConsumerConfig {
    config(cluster)
        .group_id(group)
        .group_protocol(protocol)
        .heartbeat_interval(Duration::from_millis(300))
        .enable_auto_commit(false)
}

async fn committed(consumer: &Consumer, partition: &TopicPartition, offset: i64) {
    let begun = Instant::now();
    loop {
        let seen = consumer.committed(std::slice::from_ref(partition)).await.unwrap();
        if seen.get(partition).map(|seen| seen.offset) == Some(offset) {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "{seen:?}, not {offset}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_commits_aside_says_who_it_is_and_leaves_when_it_wants() {
    for protocol in [GroupProtocol::Classic, GroupProtocol::Consumer] {
        let cluster = Cluster::start().unwrap();
        let name = topic(&cluster, &format!("aside-{protocol:?}"), 1).await;
        send(&cluster, &name, 0, 0..20, Compression::None).await;
        let group = cluster.name(&format!("aside-{protocol:?}"));
        let mut consumer = Consumer::new(member(&cluster, &group, protocol)).unwrap();
        consumer.subscribe([&name]).unwrap();
        assert_eq!(read(&mut consumer, 20).await.len(), 20);
        let partition = TopicPartition::new(name.as_str(), 0);
        assert_eq!(consumer.positions()[&partition].offset, 20);
        let marks = consumer.watermarks(&partition).unwrap();
        assert_eq!((marks.log_start_offset, marks.high_watermark), (0, 20));
        consumer.commit_async();
        committed(&consumer, &partition, 20).await;
        assert!(consumer.group_member().is_some());

        consumer.unsubscribe().await;
        assert!(consumer.assignment().is_empty() && consumer.positions().is_empty());
        let admin = Admin::connect(&cluster.config()).unwrap();
        let described = admin.describe_groups(&[&group]).await.unwrap().remove(0).1.unwrap();
        assert!(described.members.is_empty(), "{described:?}");
        // It may come back, and begins where it was.
        send(&cluster, &name, 0, 20..21, Compression::None).await;
        consumer.subscribe([&name]).unwrap();
        let again = read(&mut consumer, 1).await;
        assert_eq!(again[0].offset, 20);
        consumer.close().await.unwrap();
    }
}

/// Writes down what it has to give up, and how.
#[derive(Clone, Default)]
struct Losses(Arc<Mutex<Vec<&'static str>>>);

impl RebalanceListener for Losses {
    fn lost<'l>(
        &'l mut self,
        _: &'l ConsumerHandle,
        _: &'l [TopicPartition],
    ) -> ListenerFuture<'l> {
        self.0.lock().unwrap().push("lost");
        Box::pin(std::future::ready(()))
    }

    fn revoked<'l>(
        &'l mut self,
        _: &'l ConsumerHandle,
        _: &'l [TopicPartition],
    ) -> ListenerFuture<'l> {
        self.0.lock().unwrap().push("revoked");
        Box::pin(std::future::ready(()))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_sent_away_has_lost_all_and_comes_back() {
    for protocol in [GroupProtocol::Classic, GroupProtocol::Consumer] {
        let cluster = Cluster::start().unwrap();
        let name = topic(&cluster, &format!("away-{protocol:?}"), 1).await;
        send(&cluster, &name, 0, 0..10, Compression::None).await;
        let group = cluster.name(&format!("away-{protocol:?}"));
        let losses = Losses::default();
        let mut consumer = Consumer::new(member(&cluster, &group, protocol)).unwrap();
        let pattern = name.replace("away", "(away|nowhere)");
        consumer.subscribe_pattern_with(&pattern, losses.clone()).unwrap();
        assert_eq!(read(&mut consumer, 10).await.len(), 10);
        let admin = Admin::connect(&cluster.config()).unwrap();
        let described = admin.describe_groups(&[&group]).await.unwrap().remove(0).1.unwrap();
        assert_eq!(described.members.len(), 1);
        let away = admin.remove_members(&group, &described.members, "for a test").await.unwrap();
        assert!(away.len() == 1 && away[0].1.is_ok(), "{away:?}");
        let begun = Instant::now();
        while !losses.0.lock().unwrap().contains(&"lost") {
            assert!(begun.elapsed() < PATIENCE, "{protocol:?}: {:?}", losses.0.lock().unwrap());
            consumer.poll(Duration::from_millis(50)).await.unwrap();
        }
        // Nothing was committed: it reads all of it again.
        assert_eq!(read(&mut consumer, 10).await[0].offset, 0);
        consumer.close().await.unwrap();
    }
}

//! Members of groups, of both protocols: who reads what, what is committed, who comes and goes.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::Duration,
};

use milena_client::{
    TopicPartition,
    consumer::{
        Assignor, Consumer, ConsumerConfig, ConsumerHandle, GroupProtocol, ListenerFuture,
        RebalanceListener,
    },
    producer::Compression,
};
use milena_client_tests::Cluster;
use tokio::{
    runtime::{Builder, Runtime},
    sync::oneshot,
    task::JoinHandle,
};

use crate::consume::{PATIENCE, config, number, read, send, topic};

const PROTOCOLS: [GroupProtocol; 2] = [GroupProtocol::Classic, GroupProtocol::Consumer];

fn member(cluster: &Cluster, group: &str, protocol: GroupProtocol) -> ConsumerConfig {
    config(cluster)
        .group_id(group)
        .group_protocol(protocol)
        .session_timeout(Duration::from_secs(6))
        .heartbeat_interval(Duration::from_millis(200))
}

/// What members of a group have read, and how often.
type Seen = Arc<Mutex<BTreeMap<(i32, i64), Vec<usize>>>>;

/// A member that reads on a runtime of its own until it is told to stop.
struct Reader {
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
    runtime: Runtime,
    handle: ConsumerHandle,
}

impl Reader {
    fn start(name: usize, settings: ConsumerConfig, topic: &str, seen: &Seen) -> Self {
        let (stop, mut stopped) = oneshot::channel();
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let guard = runtime.enter();
        let mut consumer = Consumer::new(settings).unwrap();
        drop(guard);
        consumer.subscribe([topic]).unwrap();
        let (handle, seen) = (consumer.handle(), Arc::clone(seen));
        let task = runtime.spawn(async move {
            loop {
                let records = tokio::select! {
                    _ = &mut stopped => break,
                    records = consumer.poll(PATIENCE) => records.unwrap(),
                };
                let mut seen = seen.lock().unwrap();
                for record in &records {
                    let place = (record.partition.partition, record.offset);
                    seen.entry(place).or_default().push(name);
                }
            }
            consumer.close().await.unwrap();
        });
        Self { stop: Some(stop), task, runtime, handle }
    }

    async fn close(mut self) {
        let _ = self.stop.take().unwrap().send(());
        self.task.await.unwrap();
        self.runtime.shutdown_background();
    }

    /// Without a word to the group, as if its process were gone.
    fn kill(self) {
        self.runtime.shutdown_background();
    }
}

async fn until(what: &str, mut is_true: impl FnMut() -> bool) {
    let begun = std::time::Instant::now();
    while !is_true() {
        assert!(begun.elapsed() < PATIENCE, "{what}");
        milena_env::timer::sleep(Duration::from_millis(20)).await;
    }
}

/// Whether the readers share all partitions evenly.
fn is_shared(readers: &[&Reader], partitions: usize) -> bool {
    let all: Vec<BTreeSet<TopicPartition>> =
        readers.iter().map(|reader| reader.handle.assignment()).collect();
    let least = partitions / readers.len();
    all.iter().map(BTreeSet::len).sum::<usize>() == partitions
        && all.iter().all(|mine| (least..=least + 1).contains(&mine.len()))
        && all.iter().flatten().collect::<BTreeSet<_>>().len() == partitions
}

async fn three_one_killed_one_added(protocol: GroupProtocol, assignors: Vec<Assignor>) {
    let cluster = Cluster::start().unwrap();
    let (name, seen) = (topic(&cluster, "three", 6).await, Seen::default());
    let settings = member(&cluster, &cluster.name("g"), protocol)
        .partition_assignment_strategy(assignors)
        .auto_commit_interval(Duration::from_millis(100));
    let start = |number| Reader::start(number, settings.clone(), &name, &seen);
    let total = |records: usize| {
        let seen = Arc::clone(&seen);
        move || seen.lock().unwrap().len() == records
    };
    let (first, second, third) = (start(1), start(2), start(3));
    until("three share", || is_shared(&[&first, &second, &third], 6)).await;
    for partition in 0..6 {
        send(&cluster, &name, partition, 0..500, Compression::Lz4).await;
    }
    until("all was read", total(3000)).await;
    assert!(seen.lock().unwrap().values().all(|readers| readers.len() == 1), "each by one");
    second.kill();
    until("two share", || is_shared(&[&first, &third], 6)).await;
    let fourth = start(4);
    for partition in 0..6 {
        send(&cluster, &name, partition, 500..1000, Compression::None).await;
    }
    until("three share again", || is_shared(&[&first, &third, &fourth], 6)).await;
    until("all was read", total(6000)).await;
    for partition in 0..6 {
        send(&cluster, &name, partition, 1000..1100, Compression::None).await;
    }
    until("all was read", total(6600)).await;
    for reader in [first, third, fourth] {
        reader.close().await;
    }
    let partitions: Vec<_> = (0..6).map(|at| TopicPartition::new(name.as_str(), at)).collect();
    let committed = Consumer::new(settings).unwrap().committed(&partitions).await.unwrap();
    assert!(partitions.iter().all(|it| committed[it].offset == 1100), "{committed:?}");
    let seen = seen.lock().unwrap();
    let again: Vec<_> = seen.iter().filter(|(_, readers)| readers.len() > 1).collect();
    // Only what the killed one had read, and could not commit any more, may come twice.
    assert!(again.iter().all(|(_, readers)| readers.contains(&2)), "{again:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_eager_classic_group_reads_everything_while_members_come_and_go() {
    let assignors = vec![Assignor::Range, Assignor::CooperativeSticky];
    three_one_killed_one_added(GroupProtocol::Classic, assignors).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sticky_classic_group_reads_everything_while_members_come_and_go() {
    three_one_killed_one_added(GroupProtocol::Classic, vec![Assignor::Sticky]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cooperative_classic_group_reads_everything_while_members_come_and_go() {
    three_one_killed_one_added(GroupProtocol::Classic, vec![Assignor::CooperativeSticky]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_of_the_consumer_protocol_reads_everything_while_members_come_and_go() {
    three_one_killed_one_added(GroupProtocol::Consumer, vec![Assignor::Range]).await;
}

/// Writes down what it hears, and commits by hand before it gives partitions away.
struct Diary {
    heard: Arc<Mutex<Vec<String>>>,
}

impl Diary {
    fn note(&self, what: &str, partitions: &[TopicPartition]) {
        let numbers: Vec<_> = partitions.iter().map(|it| it.partition.to_string()).collect();
        self.heard.lock().unwrap().push(format!("{what} {}", numbers.join(",")));
    }
}

impl RebalanceListener for Diary {
    fn assigned<'l>(
        &'l mut self,
        consumer: &'l ConsumerHandle,
        partitions: &'l [TopicPartition],
    ) -> ListenerFuture<'l> {
        Box::pin(async move {
            self.note("assigned", partitions);
            for partition in partitions.iter().filter(|it| it.partition == 0) {
                if consumer.committed(std::slice::from_ref(partition)).await.unwrap().is_empty() {
                    consumer.seek(partition, 90).unwrap();
                }
            }
        })
    }

    fn revoked<'l>(
        &'l mut self,
        consumer: &'l ConsumerHandle,
        partitions: &'l [TopicPartition],
    ) -> ListenerFuture<'l> {
        Box::pin(async move {
            self.note("revoked", partitions);
            consumer.commit().await.unwrap();
        })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listener_hears_of_everything_and_may_seek_and_commit() {
    for protocol in PROTOCOLS {
        let cluster = Cluster::start().unwrap();
        let name = topic(&cluster, &format!("listener-{protocol:?}"), 2).await;
        for partition in 0..2 {
            send(&cluster, &name, partition, 0..100, Compression::None).await;
        }
        let group = cluster.name(&format!("g-{protocol:?}"));
        let settings = member(&cluster, &group, protocol)
            .enable_auto_commit(false)
            .partition_assignment_strategy(vec![Assignor::CooperativeSticky]);
        let heard = Arc::new(Mutex::new(Vec::new()));
        let mut first = Consumer::new(settings.clone()).unwrap();
        first.subscribe_with([&name], Diary { heard: Arc::clone(&heard) }).unwrap();
        let all = read(&mut first, 110).await;
        assert_eq!(all.len(), 110, "partition 0 from offset 90, partition 1 from its start");
        assert_eq!(*heard.lock().unwrap(), ["assigned 0,1"]);
        let mut second = Consumer::new(settings).unwrap();
        second.subscribe([&name]).unwrap();
        let begun = std::time::Instant::now();
        while first.assignment().len() != 1 || second.assignment().len() != 1 {
            assert!(begun.elapsed() < PATIENCE);
            assert!(first.poll(Duration::from_millis(50)).await.unwrap().is_empty());
            assert!(second.poll(Duration::from_millis(50)).await.unwrap().is_empty());
        }
        let gone = second.assignment().pop_first().unwrap();
        let heard_of = format!("revoked {}", gone.partition);
        assert!(heard.lock().unwrap().contains(&heard_of), "{:?}", heard.lock().unwrap());
        let partition = gone.partition;
        send(&cluster, &name, partition, 100..101, Compression::None).await;
        assert_eq!(number(&read(&mut second, 1).await[0]), 100, "from what was committed");
        first.close().await.unwrap();
        second.close().await.unwrap();
        let heard = heard.lock().unwrap();
        assert_eq!(heard.last().unwrap(), &format!("revoked {}", 1 - partition), "{heard:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pattern_finds_topics_that_come_later() {
    for protocol in PROTOCOLS {
        let cluster = Cluster::start().unwrap();
        let group = cluster.name(&format!("g-{protocol:?}"));
        let mut settings = member(&cluster, &group, protocol);
        settings.client.metadata_max_age = Duration::from_millis(200);
        let first = topic(&cluster, &format!("pattern-{protocol:?}-1"), 1).await;
        let mut consumer = Consumer::new(settings).unwrap();
        let suffix = cluster.name("");
        consumer.subscribe_pattern(&format!("pattern-{protocol:?}-[12]{suffix}")).unwrap();
        send(&cluster, &first, 0, 0..10, Compression::None).await;
        assert_eq!(read(&mut consumer, 10).await.len(), 10);
        let second = topic(&cluster, &format!("pattern-{protocol:?}-2"), 1).await;
        topic(&cluster, &format!("pattern-{protocol:?}-3"), 1).await;
        send(&cluster, &second, 0, 0..10, Compression::None).await;
        let all = read(&mut consumer, 10).await;
        assert!(all.iter().all(|record| *record.partition.topic == *second));
        assert_eq!(consumer.assignment().len(), 2);
        consumer.close().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_static_member_that_comes_back_has_what_it_had() {
    for protocol in PROTOCOLS {
        let cluster = Cluster::start().unwrap();
        let name = topic(&cluster, &format!("static-{protocol:?}"), 4).await;
        let group = cluster.name(&format!("g-{protocol:?}"));
        let seen = Seen::default();
        let settings =
            |instance: &str| member(&cluster, &group, protocol).group_instance_id(instance);
        let first = Reader::start(1, settings("one"), &name, &seen);
        let second = Reader::start(2, settings("two"), &name, &seen);
        until("two share", || is_shared(&[&first, &second], 4)).await;
        let (before, others) = (first.handle.assignment(), second.handle.assignment());
        first.close().await;
        let first = Reader::start(3, settings("one"), &name, &seen);
        until("it has what it had", || first.handle.assignment() == before).await;
        assert_eq!(second.handle.assignment(), others, "the other one saw nothing of it");
        first.close().await;
        second.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_poll_loses_his_partitions_and_gets_them_back() {
    for protocol in PROTOCOLS {
        let cluster = Cluster::start().unwrap();
        let name = topic(&cluster, &format!("stuck-{protocol:?}"), 2).await;
        for partition in 0..2 {
            send(&cluster, &name, partition, 0..10, Compression::None).await;
        }
        let group = cluster.name(&format!("g-{protocol:?}"));
        let settings = member(&cluster, &group, protocol).enable_auto_commit(false);
        let stuck = settings.clone().max_poll_interval(Duration::from_millis(1500));
        let mut stuck = Consumer::new(stuck).unwrap();
        stuck.subscribe([&name]).unwrap();
        assert_eq!(read(&mut stuck, 20).await.len(), 20);
        let seen = Seen::default();
        let other = Reader::start(1, settings, &name, &seen);
        // The other one gets all, though nobody takes them from the stuck one.
        until("the other has all", || seen.lock().unwrap().len() == 20).await;
        let error = stuck.commit().await.unwrap_err();
        assert_eq!(error.code().unwrap().name(), "REBALANCE_IN_PROGRESS", "{error}");
        let begun = std::time::Instant::now();
        while stuck.assignment().len() != 1 || other.handle.assignment().len() != 1 {
            assert!(begun.elapsed() < PATIENCE);
            stuck.poll(Duration::from_millis(50)).await.unwrap();
        }
        stuck.close().await.unwrap();
        other.close().await;
    }
}

//! Every future may be dropped at any time: nothing is lost that was acknowledged, nothing is done
//! twice, and whoever asks again is served. Where a future is dropped is drawn by chance.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use milena_client::{
    CommittedOffset, TopicPartition,
    admin::{Admin, NewTopic, OffsetSpec},
    consumer::Consumer,
    producer::{Compression, GroupMember, Producer, ProducerConfig, Record},
};
use milena_client_tests::{Cluster, Wire};
use milena_env::{Random, timer};

use crate::consume::{PATIENCE, config, number, read, send, topic};

/// Decides how long anybody waits.
struct Impatience(Random);

impl Impatience {
    fn new() -> Self {
        let seed = std::env::var("MILENA_SEED").ok().and_then(|seed| seed.parse().ok());
        let seed = seed.unwrap_or_else(|| Random::from_os().unwrap().next_u64());
        println!("MILENA_SEED={seed}");
        Self(Random::from_seed(seed))
    }

    /// Waits for something, or loses patience and drops it.
    async fn wait<F: Future>(&mut self, future: F) -> Option<F::Output> {
        let patience = [0, 20, 100, 500, 2_000, 10_000, 50_000][self.0.below(7) as usize];
        timer::timeout(Duration::from_micros(patience), future).await
    }

    /// Asks anew whenever patience is lost, until there is an answer.
    async fn insist<F: Future>(&mut self, mut ask: impl FnMut() -> F) -> F::Output {
        loop {
            if let Some(done) = self.wait(ask()).await {
                return done;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_producer() {
    let (cluster, mut impatience) = (Cluster::start().unwrap(), Impatience::new());
    let name = topic(&cluster, "cancelled", 1).await;
    // Little memory, so that sending has something to wait for.
    let settings =
        ProducerConfig::new(cluster.bootstrap()).batch_size(1_000_usize).buffer_memory(4_000_usize);
    let producer = Arc::new(Producer::new(settings).unwrap());
    let (mut taken, mut dropped, mut deliveries) = (Vec::new(), 0, Vec::new());
    for number in 0..3_000 {
        let value = format!("{number:>100}");
        let record = Record::to(&name).value(value.as_str());
        match impatience.wait(producer.send(record)).await {
            Some(delivery) => {
                taken.push(number);
                deliveries.push(delivery.unwrap());
            }
            None => dropped += 1,
        }
        if number % 50 == 0 {
            impatience.wait(producer.flush()).await;
            // Whoever does not want to know changes nothing.
            if let Some(delivery) = deliveries.pop() {
                impatience.wait(delivery).await;
            }
        }
    }
    assert!(dropped > 0 && taken.len() > 100, "{dropped} dropped, {} taken", taken.len());
    for delivery in deliveries {
        delivery.await.unwrap();
    }
    producer.flush().await;
    assert_eq!(producer.free_memory(), 4_000);
    let mut wire = Wire::connect(cluster.bootstrap()).await.unwrap();
    let stored = wire.read(&name, 0).await.unwrap().into_iter().map(|record| {
        let value = String::from_utf8(record.value.unwrap()).unwrap();
        value.trim().parse::<u32>().unwrap()
    });
    assert_eq!(stored.collect::<Vec<_>>(), taken, "all that was taken, once, in order");
    // A close that nobody waits for goes on.
    let last = producer.send(Record::to(&name).value("0")).await.unwrap();
    let producer = Arc::into_inner(producer).unwrap();
    drop(timer::timeout(Duration::ZERO, producer.close(PATIENCE)).await);
    last.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_transactions() {
    let (cluster, mut impatience) = (Cluster::start().unwrap(), Impatience::new());
    let name = topic(&cluster, "cancelled-transactions", 2).await;
    let group = cluster.name("cancelled-transactions");
    let settings =
        ProducerConfig::new(cluster.bootstrap()).transactional_id(cluster.name("cancelled"));
    let producer = Producer::new(settings).unwrap();
    impatience.insist(|| producer.init_transactions()).await.unwrap();
    let (mut expected, member) = ([const { Vec::new() }; 2], GroupMember::group(&group));
    let mut committed = None;
    for round in 0..25_i64 {
        producer.begin().unwrap();
        for partition in 0..2 {
            let value = format!("{round}");
            let record = || Record::to(&name).partition(partition).value(value.as_str());
            // A `send` that was dropped has not taken the record.
            drop(impatience.insist(|| producer.send(record())).await.unwrap());
        }
        let partition = TopicPartition::new(name.as_str(), 0);
        let offsets = [(partition, CommittedOffset::from(round))];
        let done = impatience.insist(|| producer.send_offsets_to_transaction(&offsets, &member));
        done.await.unwrap();
        if round % 3 == 0 {
            impatience.insist(|| producer.abort()).await.unwrap();
        } else {
            impatience.insist(|| producer.commit()).await.unwrap();
            committed = Some(round);
            expected.iter_mut().for_each(|values| values.push(format!("{round}")));
        }
    }
    let mut wire = Wire::connect(cluster.bootstrap()).await.unwrap();
    for (partition, expected) in (0..).zip(&expected) {
        let stored = wire.read_committed(&name, partition).await.unwrap().into_iter();
        let stored = stored.map(|it| String::from_utf8(it.value.unwrap()).unwrap());
        assert_eq!(stored.collect::<Vec<_>>(), *expected, "partition {partition}");
    }
    let admin = Admin::connect(&cluster.config()).unwrap();
    let begun = std::time::Instant::now();
    loop {
        let seen = admin.group_offsets(&group).await.unwrap();
        let seen = seen.into_iter().next().and_then(|(_, seen)| seen.ok());
        if seen.as_ref().map(|seen| seen.offset) == committed {
            break;
        }
        assert!(begun.elapsed() < PATIENCE, "{seen:?}");
    }
    producer.close(PATIENCE).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_consumer() {
    let (cluster, mut impatience) = (Cluster::start().unwrap(), Impatience::new());
    let name = topic(&cluster, "cancelled-reads", 2).await;
    for partition in 0..2 {
        send(&cluster, &name, partition, 0..2_000, Compression::Lz4).await;
    }
    let partitions: Vec<_> = (0..2).map(|at| TopicPartition::new(name.as_str(), at)).collect();
    let settings = config(&cluster)
        .group_id(cluster.name("cancelled-readers"))
        .enable_auto_commit(false)
        .max_poll_records(23_usize);
    let mut consumer = Consumer::new(settings.clone()).unwrap();
    consumer.subscribe([&name]).unwrap();
    let mut next = [0; 2];
    let begun = std::time::Instant::now();
    while next != [2_000; 2] {
        assert!(begun.elapsed() < PATIENCE, "{next:?}");
        let polled = impatience.wait(consumer.poll(Duration::from_millis(20))).await;
        for record in &polled.map(Result::unwrap).unwrap_or_default() {
            let next = &mut next[record.partition.partition as usize];
            assert_eq!(number(&record.to_owned()), *next, "{}", record.partition);
            *next += 1;
        }
        let handle = consumer.handle();
        match impatience.0.below(8) {
            0 => drop(impatience.wait(handle.commit()).await),
            1 => drop(impatience.wait(handle.committed(&partitions)).await),
            2 => drop(impatience.wait(handle.position(&partitions[0])).await),
            3 => drop(impatience.wait(handle.end_offsets(&partitions)).await),
            4 => drop(impatience.wait(handle.beginning_offsets(&partitions)).await),
            5 => {
                let times: BTreeMap<_, _> =
                    partitions.iter().map(|it| (it.clone(), 1_000)).collect();
                drop(impatience.wait(handle.offsets_for_times(&times)).await);
            }
            _ => {}
        }
    }
    let offsets: BTreeMap<_, _> =
        partitions.iter().map(|it| (it.clone(), CommittedOffset::from(2_000))).collect();
    let handle = consumer.handle();
    impatience.insist(|| handle.commit_offsets(offsets.clone())).await.unwrap();
    let seen = impatience.insist(|| handle.committed(&partitions)).await.unwrap();
    assert!(seen.values().all(|seen| seen.offset == 2_000), "{seen:?}");
    // Who is not waited for when he leaves has left nevertheless: the next one has all at once.
    impatience.wait(consumer.close()).await;
    let mut next = Consumer::new(settings).unwrap();
    next.subscribe([&name]).unwrap();
    send(&cluster, &name, 1, 2_000..2_001, Compression::None).await;
    assert_eq!(number(&read(&mut next, 1).await[0]), 2_000);
    impatience.insist(|| next.unsubscribe()).await;
    assert!(next.assignment().is_empty());
    next.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_an_admin() {
    let (cluster, mut impatience) = (Cluster::start().unwrap(), Impatience::new());
    let admin = Admin::connect(&cluster.config()).unwrap();
    for round in 0..20 {
        let name = cluster.name(&format!("cancelled-{round}"));
        let topics = [NewTopic::new(&name).partitions(1)];
        // Whether it was made is open if nobody waited; who asks again hears it.
        let made = impatience.insist(|| admin.create_topics(&topics)).await.unwrap().remove(0).1;
        let code = made.err().and_then(|error| error.code()).map(|code| code.name());
        assert!([None, Some("TOPIC_ALREADY_EXISTS")].contains(&code), "{code:?}");
        let wanted = [(TopicPartition::new(name.as_str(), 0), OffsetSpec::Latest)];
        let begun = std::time::Instant::now();
        loop {
            let found = impatience.insist(|| admin.list_offsets(&wanted, false)).await;
            let found = found.ok().and_then(|mut found| found.remove(0).1.ok());
            if let Some(found) = found {
                assert_eq!(found.offset, Some(0));
                break;
            }
            assert!(begun.elapsed() < PATIENCE, "{name} never came");
        }
        impatience.insist(|| admin.describe_cluster()).await.unwrap();
        let names = [name.as_str()];
        let gone = impatience.insist(|| admin.delete_topics(&names)).await.unwrap().remove(0).1;
        let code = gone.err().and_then(|error| error.code()).map(|code| code.name());
        assert!([None, Some("UNKNOWN_TOPIC_OR_PARTITION")].contains(&code), "{code:?}");
    }
}

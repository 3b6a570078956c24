//! What a consumer does when a leader has lost what was read (KIP-320), and when it is sent to a
//! replica nearby (KIP-392): told by brokers that follow a script.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use milena_client::{
    TopicPartition,
    consumer::{Consumer, ConsumerConfig, OffsetReset},
};
use milena_client_tests::{Request, Scripted};
use milena_protocol::{
    LeaderEpoch, Offset, Uuid,
    api::{
        ApiKey, FetchRequest, FetchResponse, ListOffsetsRequest, ListOffsetsResponse,
        MetadataResponse, OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse,
        fetch::response::{FetchableTopicResponse, PartitionData},
        list_offsets::response::{ListOffsetsPartitionResponse, ListOffsetsTopicResponse},
        metadata::response::{
            MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
        },
        offset_for_leader_epoch::response::{EpochEndOffset, OffsetForLeaderTopicResult},
    },
    records::BatchBuilder,
    wire::Records,
};

use crate::consume::PATIENCE;

/// The last version of Fetch that names topics keeps the script short.
const APIS: [(ApiKey, i16); 4] = [
    (ApiKey::Metadata, 12),
    (ApiKey::Fetch, 12),
    (ApiKey::ListOffsets, 7),
    (ApiKey::OffsetForLeaderEpoch, 4),
];
const OFFSET_OUT_OF_RANGE: i16 = 1;
const FENCED_LEADER_EPOCH: i16 = 74;

/// What the scripted cluster is like at the moment, and what it was asked.
#[derive(Debug, Default)]
struct State {
    brokers: Vec<SocketAddr>,
    /// Leader epochs of the log's records, by offset.
    log: Vec<i32>,
    leader_epoch: i32,
    /// Where readers with a rack are sent to by broker 1.
    preferred: Option<i32>,
    /// Whether broker 2 has the records.
    follower_has_it: bool,
    /// The epochs whose ends were asked for.
    epochs_asked: Vec<i32>,
    /// Fetches with records in their answers, by broker.
    gave: Vec<i32>,
}

type Cluster = Arc<Mutex<State>>;

impl State {
    fn metadata(&self, request: &Request) -> Vec<u8> {
        let hosts: Vec<_> = self.brokers.iter().map(|at| at.ip().to_string()).collect();
        let brokers = self.brokers.iter().zip(&hosts).zip(1..);
        let brokers = brokers.map(|((at, host), node_id)| MetadataResponseBroker {
            node_id,
            host,
            port: i32::from(at.port()),
            rack: None,
        });
        let partition = MetadataResponsePartition {
            leader_id: 1,
            leader_epoch: self.leader_epoch,
            replica_nodes: vec![1, 2],
            isr_nodes: vec![1, 2],
            ..Default::default()
        };
        let topic = MetadataResponseTopic {
            name: Some("t"),
            topic_id: Uuid::from_u128(7),
            partitions: vec![partition],
            ..Default::default()
        };
        let answer = MetadataResponse {
            brokers: brokers.collect(),
            controller_id: 1,
            topics: vec![topic],
            ..Default::default()
        };
        request.answer(&answer).unwrap()
    }

    fn fetch(&mut self, request: &Request, broker: i32) -> Vec<u8> {
        let asked = request.message::<FetchRequest<'_>>().unwrap();
        let end = self.log.len();
        let mut data = PartitionData {
            high_watermark: end as i64,
            last_stable_offset: end as i64,
            preferred_read_replica: -1,
            ..Default::default()
        };
        // A session would leave out what has not changed; there is none here.
        let Some(wanted) = asked.topics.first().and_then(|topic| topic.partitions.first()) else {
            return request.answer(&FetchResponse::default()).unwrap();
        };
        let from = wanted.fetch_offset as usize;
        if wanted.current_leader_epoch < self.leader_epoch {
            data.error_code = FENCED_LEADER_EPOCH;
        } else if broker == 2 && !self.follower_has_it {
            data.error_code = OFFSET_OUT_OF_RANGE;
        } else if let (1, Some(preferred), "near") = (broker, self.preferred, asked.rack_id) {
            data.preferred_read_replica = preferred;
        } else if let Some(epoch) = self.log.get(from) {
            let mut builder = BatchBuilder::new(Offset(from as i64));
            for offset in from..end {
                if self.log[offset] == *epoch {
                    builder.append(1, None, Some(format!("{offset} of {epoch}").as_bytes()), []);
                }
            }
            let batch = builder.with_leader_epoch(LeaderEpoch(*epoch)).finish().unwrap();
            data.records = Some(Records::from(bytes::Bytes::from(batch)));
            self.gave.push(broker);
        }
        let topic =
            FetchableTopicResponse { topic: "t", partitions: vec![data], ..Default::default() };
        let answer = FetchResponse { responses: vec![topic], ..Default::default() };
        request.answer(&answer).unwrap()
    }

    fn list_offsets(&self, request: &Request) -> Vec<u8> {
        let asked = request.message::<ListOffsetsRequest<'_>>().unwrap();
        let offset = if asked.topics[0].partitions[0].timestamp == -1 { self.log.len() } else { 0 };
        let told = ListOffsetsPartitionResponse {
            offset: offset as i64,
            timestamp: -1,
            leader_epoch: self.leader_epoch,
            ..Default::default()
        };
        let topics = vec![ListOffsetsTopicResponse { name: "t", partitions: vec![told] }];
        request.answer(&ListOffsetsResponse { topics, ..Default::default() }).unwrap()
    }

    fn epoch_end(&mut self, request: &Request) -> Vec<u8> {
        let asked = request.message::<OffsetForLeaderEpochRequest<'_>>().unwrap();
        let asked = &asked.topics[0].partitions[0];
        self.epochs_asked.push(asked.leader_epoch);
        let end = self.log.iter().take_while(|epoch| **epoch <= asked.leader_epoch).count();
        let told = EpochEndOffset {
            leader_epoch: asked.leader_epoch,
            end_offset: end as i64,
            ..Default::default()
        };
        let topics = vec![OffsetForLeaderTopicResult { topic: "t", partitions: vec![told] }];
        request.answer(&OffsetForLeaderEpochResponse { topics, ..Default::default() }).unwrap()
    }
}

/// Two brokers, of which the first leads the only partition.
async fn cluster(state: State) -> (Cluster, String) {
    let cluster = Arc::new(Mutex::new(state));
    let mut bootstrap = String::new();
    for broker in 1..=2 {
        let scripted = Scripted::listen().await.unwrap();
        let address = scripted.address().unwrap();
        cluster.lock().unwrap().brokers.push(address);
        if broker == 1 {
            bootstrap = address.to_string();
        }
        let cluster = Arc::clone(&cluster);
        scripted.serve(&APIS, move |request| {
            let mut state = cluster.lock().unwrap();
            match request.api {
                ApiKey::Metadata => Some(state.metadata(request)),
                ApiKey::Fetch => {
                    let answer = state.fetch(request, broker);
                    drop(state);
                    // Nobody shall ask as fast as he can.
                    std::thread::sleep(Duration::from_millis(2));
                    Some(answer)
                }
                ApiKey::ListOffsets => Some(state.list_offsets(request)),
                ApiKey::OffsetForLeaderEpoch => Some(state.epoch_end(request)),
                other => panic!("{other:?}"),
            }
        });
    }
    (cluster, bootstrap)
}

fn consumer(bootstrap: &str, reset: OffsetReset, rack: &str) -> Consumer {
    let mut config = ConsumerConfig::new(bootstrap).auto_offset_reset(reset);
    config.client.metadata_max_age = Duration::from_millis(100);
    config.client.client_rack = rack.into();
    let consumer = Consumer::new(config).unwrap();
    consumer.assign([partition()]).unwrap();
    if reset == OffsetReset::None {
        consumer.seek(&partition(), 0).unwrap();
    }
    consumer
}

fn partition() -> TopicPartition {
    TopicPartition::new("t", 0)
}

async fn values(consumer: &mut Consumer, count: usize) -> Vec<String> {
    let all = crate::consume::read(consumer, count).await;
    all.iter().map(|it| String::from_utf8(it.value.as_deref().unwrap().to_vec()).unwrap()).collect()
}

async fn until(cluster: &Cluster, is_true: impl Fn(&State) -> bool) {
    let begun = Instant::now();
    while !is_true(&cluster.lock().unwrap()) {
        assert!(begun.elapsed() < PATIENCE, "{:?}", cluster.lock().unwrap());
        milena_env::timer::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_new_leader_has_lost_is_read_again_as_it_is_now() {
    let state = State { log: vec![1; 10], leader_epoch: 1, ..State::default() };
    let (cluster, bootstrap) = cluster(state).await;
    let mut consumer = consumer(&bootstrap, OffsetReset::Earliest, "");
    assert_eq!(values(&mut consumer, 10).await[9], "9 of 1");
    {
        // Another one leads, which had only 7 of them, and has got 4 others since.
        let mut state = cluster.lock().unwrap();
        state.leader_epoch = 2;
        state.log = [vec![1; 7], vec![2; 4]].concat();
    }
    let again = values(&mut consumer, 4).await;
    assert_eq!(again, ["7 of 2", "8 of 2", "9 of 2", "10 of 2"]);
    assert!(cluster.lock().unwrap().epochs_asked.contains(&1), "it asked where epoch 1 has ended");
    assert_eq!(consumer.position(&partition()).await.unwrap(), 11);
    consumer.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_wants_no_reset_is_told_what_was_lost() {
    let state = State { log: vec![1; 10], leader_epoch: 1, ..State::default() };
    let (cluster, bootstrap) = cluster(state).await;
    let mut consumer = consumer(&bootstrap, OffsetReset::None, "");
    assert_eq!(values(&mut consumer, 10).await.len(), 10);
    {
        let mut state = cluster.lock().unwrap();
        state.leader_epoch = 2;
        state.log = [vec![1; 7], vec![2; 4]].concat();
    }
    let begun = Instant::now();
    let error = loop {
        assert!(begun.elapsed() < PATIENCE);
        match consumer.poll(Duration::from_secs(1)).await {
            Ok(records) => assert!(records.is_empty(), "{records:?}"),
            Err(error) => break error,
        }
    };
    assert!(error.to_string().contains("cut back to offset 7"), "{error}");
    // Whoever was told may go on where he wants.
    consumer.seek(&partition(), 7).unwrap();
    assert_eq!(values(&mut consumer, 4).await[0], "7 of 2");
    consumer.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_has_lost_nothing_costs_nothing() {
    let state = State { log: vec![1; 10], leader_epoch: 1, ..State::default() };
    let (cluster, bootstrap) = cluster(state).await;
    let mut consumer = consumer(&bootstrap, OffsetReset::Earliest, "");
    assert_eq!(values(&mut consumer, 10).await.len(), 10);
    {
        let mut state = cluster.lock().unwrap();
        state.leader_epoch = 2;
        state.log = [vec![1; 10], vec![2; 2]].concat();
    }
    assert_eq!(values(&mut consumer, 2).await, ["10 of 2", "11 of 2"]);
    assert_eq!(cluster.lock().unwrap().epochs_asked, [1]);
    consumer.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn when_no_broker_is_left_where_it_was_it_begins_anew_where_it_began() {
    let state = State { log: vec![1; 10], leader_epoch: 1, ..State::default() };
    let (cluster, _) = cluster(state).await;
    // Whoever is asked first is none of the brokers.
    let first = Scripted::listen().await.unwrap();
    let bootstrap = first.address().unwrap().to_string();
    let told = Arc::clone(&cluster);
    first.serve(&APIS, move |request| match request.api {
        ApiKey::Metadata => Some(told.lock().unwrap().metadata(request)),
        other => panic!("{other:?}"),
    });
    // All brokers are where nobody is any more, as after a move to other addresses.
    let nobody = Scripted::listen().await.unwrap().address().unwrap();
    let here = std::mem::replace(&mut cluster.lock().unwrap().brokers, vec![nobody; 2]);
    let mut consumer = consumer(&bootstrap, OffsetReset::Earliest, "");
    let polled = consumer.poll(Duration::from_millis(300)).await.unwrap();
    assert!(polled.is_empty());
    cluster.lock().unwrap().brokers = here;
    assert_eq!(values(&mut consumer, 10).await[9], "9 of 1");
    consumer.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_goes_to_the_replica_nearby_and_back_when_that_has_not_got_it() {
    let state = State {
        log: vec![1; 10],
        leader_epoch: 1,
        preferred: Some(2),
        follower_has_it: true,
        ..State::default()
    };
    let (cluster, bootstrap) = cluster(state).await;
    let mut consumer = consumer(&bootstrap, OffsetReset::Earliest, "near");
    assert_eq!(values(&mut consumer, 10).await[0], "0 of 1");
    assert_eq!(cluster.lock().unwrap().gave, [2], "only the follower was read from");
    {
        // The follower falls behind: the leader is asked, and gives it itself.
        let mut state = cluster.lock().unwrap();
        (state.follower_has_it, state.preferred) = (false, None);
        state.log.extend([1; 3]);
    }
    assert_eq!(values(&mut consumer, 3).await, ["10 of 1", "11 of 1", "12 of 1"]);
    assert_eq!(cluster.lock().unwrap().gave, [2, 1]);
    consumer.close().await.unwrap();

    // Who says not where he is stays with the leader.
    let mut consumer = self::consumer(&bootstrap, OffsetReset::Earliest, "");
    cluster.lock().unwrap().preferred = Some(2);
    assert_eq!(values(&mut consumer, 13).await.len(), 13);
    until(&cluster, |state| state.gave.len() > 2).await;
    assert!(cluster.lock().unwrap().gave[2..].iter().all(|broker| *broker == 1));
    consumer.close().await.unwrap();
}

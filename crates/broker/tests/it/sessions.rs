//! Fetch sessions over very many partitions: what is idle costs nothing.
//! `MILENA_PARTITIONS=9990 cargo test --release -p milena-broker --test it idle_partitions --
//! --nocapture` measures it.

use std::time::{Duration, Instant};

use milena_protocol::{
    ErrorCode,
    api::{
        ApiKey, FetchRequest, FetchResponse,
        fetch::request::{FetchPartition, FetchTopic},
    },
};

use crate::{
    client::{Client, batch},
    rig::Rig,
};

const FETCHES: usize = 50;

struct Reader {
    client: Client,
    session_id: i32,
    session_epoch: i32,
}

impl Reader {
    /// Begins a session over all partitions of these topics, from their beginning.
    fn begin(rig: &Rig, topics: &[String], partitions: i32) -> Self {
        let mut reader = Self { client: rig.client(), session_id: 0, session_epoch: 0 };
        reader.fetch(topics, 0..partitions, 0, 0);
        // All are looked at once more, and found idle.
        assert_eq!(reader.fetch(&[], 0..0, 0, 0), []);
        reader
    }

    /// Which partitions are told of, and their high watermarks.
    fn fetch(
        &mut self,
        topics: &[String],
        partitions: std::ops::Range<i32>,
        fetch_offset: i64,
        max_wait_ms: i32,
    ) -> Vec<(String, i32, i64)> {
        let wanted = |partition| FetchPartition {
            partition,
            fetch_offset,
            partition_max_bytes: 1 << 20,
            ..Default::default()
        };
        let topics = topics.iter().map(|topic| FetchTopic {
            topic,
            partitions: partitions.clone().map(wanted).collect(),
            ..Default::default()
        });
        let request = FetchRequest {
            max_wait_ms,
            min_bytes: 1,
            max_bytes: 1 << 20,
            session_id: self.session_id,
            session_epoch: self.session_epoch,
            topics: topics.collect(),
            ..Default::default()
        };
        let answer = self.client.call(ApiKey::Fetch, 12, &request).unwrap();
        let response: FetchResponse<'_> = answer.read();
        assert_eq!(response.error_code, 0);
        (self.session_id, self.session_epoch) = (response.session_id, self.session_epoch + 1);
        let topics = response.responses.iter().flat_map(|topic| {
            let name = topic.topic.to_owned();
            let told = topic.partitions.iter();
            told.map(move |it| (name.clone(), it.partition_index, it.high_watermark))
        });
        topics.collect()
    }
}

/// What a fetch takes, in the middle of many, while one of the partitions gets records.
fn median(rig: &Rig, topics: &[String], partitions: i32) -> Duration {
    let mut reader = Reader::begin(rig, topics, partitions);
    let mut writer = rig.client();
    let busy = &topics[0];
    let mut times: Vec<Duration> = (0..FETCHES)
        .map(|_| {
            let written = writer.produce(busy, 0, &batch(&["x"])).base_offset;
            let since = Instant::now();
            let told = reader.fetch(&topics[..1], 0..1, written, 0);
            let idle = reader.fetch(&topics[..1], 0..1, written + 1, 0);
            let took = since.elapsed() / 2;
            assert_eq!((told, idle), (vec![(busy.clone(), 0, written + 1)], Vec::new()));
            took
        })
        .collect();
    times.sort();
    times[FETCHES / 2]
}

#[test]
fn idle_partitions_of_a_session_cost_nothing() {
    let partitions: i32 =
        std::env::var("MILENA_PARTITIONS").map_or(2000, |text| text.parse().unwrap());
    let rig = Rig::start("");
    let topics = ["few", "many"].map(str::to_owned);
    let mut client = rig.client();
    for (topic, partitions) in topics.iter().zip([10, partitions]) {
        assert_eq!(client.create_topic(topic, partitions, &[]), ErrorCode::None);
    }
    let few = median(&rig, &topics[..1], 10);
    let many = median(&rig, &topics[1..], partitions);
    println!("a fetch of 10 partitions takes {few:?}, one of {partitions} takes {many:?}");
    assert!(many < few * 10, "{many:?} of {partitions} partitions, {few:?} of 10");
}

#[test]
fn a_fetch_that_waits_hears_of_the_one_partition_that_changes() {
    let rig = Rig::start("");
    let topics = ["t".to_owned()];
    rig.client().create_topic("t", 50, &[]);
    let mut reader = Reader::begin(&rig, &topics, 50);
    for round in 0..3 {
        let mut writer = rig.client();
        let write = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(50));
            writer.produce("t", 7, &batch(&["x"]));
        });
        let told = reader.fetch(&[], 0..0, 0, 10_000);
        assert_eq!(told, [("t".to_owned(), 7, round + 1)]);
        write.join().unwrap();
        // Where the reader stands now.
        assert_eq!(reader.fetch(&topics, 7..8, round + 1, 0), []);
    }
    // A topic that goes is told of although nobody wrote to it.
    rig.client().delete_topic("t");
    assert_eq!(reader.fetch(&[], 0..0, 0, 0).len(), 50);
}

//! Stories of partitions: what is asked for, what is given out, and what is found out in between.

use milena_protocol::{
    Offset, ProducerEpoch, ProducerId,
    api::{
        MetadataResponse,
        metadata::response::{
            MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
        },
    },
    records::{BatchBuilder, Codec, EndTransactionMarker},
};

use super::*;

const NOW: Duration = Duration::from_secs(10);

fn rules() -> Rules {
    Rules {
        reset: OffsetReset::Earliest,
        has_group: false,
        partition_bytes_max: 1000,
        bytes_max: 2500,
        records_max: 5,
        preferred_max: Duration::from_secs(300),
    }
}

/// Partitions 0 to 2 of topic t, all led by broker 1.
fn view(leader_epoch: i32) -> View {
    let broker = |node_id| MetadataResponseBroker { node_id, host: "a", port: 9, rack: None };
    let partition = |partition_index| MetadataResponsePartition {
        partition_index,
        leader_id: 1,
        leader_epoch,
        ..Default::default()
    };
    let topic = MetadataResponseTopic {
        name: Some("t"),
        topic_id: Uuid::from_u128(7),
        partitions: (0..3).map(partition).collect(),
        ..Default::default()
    };
    let (brokers, topics) = (vec![broker(1), broker(2)], vec![topic]);
    View::default().updated(&MetadataResponse { brokers, topics, ..Default::default() }, |_| true)
}

fn t(partition: i32) -> TopicPartition {
    TopicPartition::new("t", partition)
}

/// A batch of so many records of 100 bytes or so.
fn batch(base: i64, count: usize, epoch: i32) -> Vec<u8> {
    let mut builder = BatchBuilder::new(Offset(base)).with_leader_epoch(LeaderEpoch(epoch));
    for _ in 0..count {
        builder.append(1, None, Some(&[7; 100]), []);
    }
    finish(builder)
}

fn finish(builder: BatchBuilder) -> Vec<u8> {
    let mut bytes = Vec::new();
    builder.build(&mut bytes).unwrap();
    bytes
}

struct Scene {
    partitions: Partitions,
    view: View,
    tools: Tools,
}

impl Scene {
    /// Reads partitions from offset 0.
    fn reading(rules: Rules, all: std::ops::Range<i32>) -> Self {
        let mut partitions = Partitions::new(rules);
        partitions.assign(all.clone().map(t).collect());
        let tools = Tools { is_checking: true, ..Tools::default() };
        let mut scene = Self { partitions, view: view(1), tools };
        scene.partitions.learn(&scene.view);
        for at in all {
            scene.partitions.seek(&t(at), &0.into()).unwrap();
        }
        scene
    }

    fn asked(&self) -> BTreeMap<TopicPartition, Asked> {
        self.partitions.fetchable(1, &self.view, NOW)
    }

    /// A fetch brings something for a partition that was asked for.
    fn brings(&mut self, partition: i32, bytes: Vec<u8>, aborted: Vec<(i64, i64)>) {
        self.answers(partition, ErrorCode::None, bytes, aborted, None);
    }

    fn answers(
        &mut self,
        partition: i32,
        error: ErrorCode,
        bytes: Vec<u8>,
        aborted: Vec<(i64, i64)>,
        preferred: Option<i32>,
    ) -> bool {
        let asked = self.asked()[&t(partition)];
        self.answers_to(&asked, partition, error, bytes, aborted, preferred)
    }

    fn answers_to(
        &mut self,
        asked: &Asked,
        partition: i32,
        error: ErrorCode,
        bytes: Vec<u8>,
        aborted: Vec<(i64, i64)>,
        preferred: Option<i32>,
    ) -> bool {
        let chunk = Chunk::new(bytes.into(), aborted);
        let watermarks = Watermarks::default();
        let fetched = Fetched { error, chunk, watermarks, preferred };
        let pause = |_| Duration::from_millis(100);
        self.partitions.fetched(&t(partition), asked, fetched, NOW, pause)
    }

    /// What a poll gives: partitions and offsets.
    fn gives(&mut self) -> Vec<(i32, i64)> {
        let (records, _) = self.partitions.take(&mut self.tools);
        records.iter().map(|record| (record.partition.partition, record.offset)).collect()
    }

    fn position(&self, partition: i32) -> i64 {
        self.partitions.position(&t(partition)).unwrap().unwrap().offset
    }
}

fn offsets(partition: i32, range: std::ops::Range<i64>) -> Vec<(i32, i64)> {
    range.map(|offset| (partition, offset)).collect()
}

#[test]
fn records_are_given_in_order_and_no_more_than_wanted_at_once() {
    let mut scene = Scene::reading(rules(), 0..2);
    scene.brings(0, [batch(0, 3, 1), batch(3, 4, 1)].concat(), vec![]);
    assert_eq!(scene.gives(), offsets(0, 0..5));
    assert_eq!((scene.position(0), scene.asked()[&t(0)].offset), (5, 7), "it is fetched ahead");
    scene.brings(1, batch(0, 4, 1), vec![]);
    assert_eq!(scene.gives(), [offsets(0, 5..7), offsets(1, 0..3)].concat(), "both have a turn");
    assert_eq!(scene.gives(), offsets(1, 3..4));
    assert_eq!(scene.gives(), vec![]);
}

#[test]
fn a_broker_is_left_alone_while_there_is_enough_of_it() {
    let mut scene = Scene::reading(rules(), 0..2);
    scene.brings(0, batch(0, 9, 1), vec![]);
    assert_eq!(scene.asked(), BTreeMap::new(), "a fetch of the other one would hold this one up");
    scene.gives();
    assert_eq!(scene.asked(), BTreeMap::new());
    let (records, may_fetch) = scene.partitions.take(&mut scene.tools);
    assert_eq!((records.len(), may_fetch), (4, true));
    assert_eq!(scene.asked().len(), 2);
    scene.partitions.pause([&t(1)], true).unwrap();
    assert_eq!(scene.asked().into_keys().collect::<Vec<_>>(), [t(0)]);
    assert_eq!(scene.partitions.fetchable(2, &scene.view, NOW), BTreeMap::new());
}

#[test]
fn what_begins_before_the_position_is_passed_over() {
    let mut scene = Scene::reading(rules(), 0..1);
    scene.partitions.seek(&t(0), &2.into()).unwrap();
    scene.brings(0, [batch(0, 4, 1), batch(10, 1, 1)].concat(), vec![]);
    assert_eq!(scene.gives(), [offsets(0, 2..4), offsets(0, 10..11)].concat());
    assert_eq!(scene.position(0), 11);
}

#[test]
fn an_answer_to_an_earlier_question_is_dropped() {
    let mut scene = Scene::reading(rules(), 0..1);
    let asked = scene.asked()[&t(0)];
    scene.partitions.seek(&t(0), &0.into()).unwrap();
    scene.answers_to(&asked, 0, ErrorCode::None, batch(0, 1, 1), vec![], None);
    assert_eq!(scene.gives(), vec![], "somebody has sought since");
    scene.partitions.remove(&[t(0)]);
    scene.answers_to(&asked, 0, ErrorCode::None, batch(0, 1, 1), vec![], None);
    assert_eq!((scene.gives(), scene.partitions.bytes), (vec![], 0));
}

#[test]
fn records_of_aborted_transactions_and_markers_are_left_out() {
    let mut scene = Scene::reading(Rules { records_max: 50, ..rules() }, 0..1);
    let of = |base, producer| {
        let id = ProducerId(producer);
        let mut builder = BatchBuilder::new(Offset(base)).with_transactional();
        builder = builder.with_producer(id, ProducerEpoch(0), 0).with_codec(Codec::Lz4, None);
        builder.append(1, None, Some(b"v"), []);
        finish(builder)
    };
    let ends = |base, producer, is_commit| {
        let (mut out, marker) =
            (Vec::new(), EndTransactionMarker { is_commit, coordinator_epoch: 0 });
        marker.build(Offset(base), ProducerId(producer), ProducerEpoch(0), 1, &mut out).unwrap();
        out
    };
    let log = [
        of(0, 5),
        of(1, 6),
        batch(2, 1, 1),
        ends(3, 5, false),
        // The same producer begins another one, which it commits.
        of(4, 5),
        ends(5, 6, true),
        ends(6, 5, true),
        batch(7, 1, 1),
        ends(8, 9, false),
    ];
    scene.brings(0, log.concat(), vec![(5, 0)]);
    assert_eq!(scene.gives(), [(0, 1), (0, 2), (0, 4), (0, 7)]);
    assert_eq!(scene.position(0), 9, "the marker at the end is passed over, too");
}

#[test]
fn a_damaged_batch_is_told_and_stays_until_somebody_seeks() {
    let mut scene = Scene::reading(rules(), 0..1);
    let mut damaged = batch(1, 1, 1);
    *damaged.last_mut().unwrap() ^= 1;
    scene.brings(0, [batch(0, 1, 1), damaged, batch(2, 1, 1)].concat(), vec![]);
    assert_eq!(scene.gives(), offsets(0, 0..1));
    for _ in 0..2 {
        let error = scene.partitions.error().unwrap().to_string();
        assert!(error.starts_with("t-0 at offset 1: checksum is"), "{error}");
    }
    assert_eq!(scene.asked(), BTreeMap::new());
    scene.partitions.seek(&t(0), &2.into()).unwrap();
    assert!(scene.partitions.error().is_none());
    assert_eq!(scene.asked()[&t(0)].offset, 2);
    assert_eq!(scene.partitions.bytes, 0);
}

#[test]
fn an_answer_may_end_in_the_middle_of_a_batch_but_not_of_its_first() {
    let mut scene = Scene::reading(rules(), 0..1);
    let cut = [batch(0, 2, 1), batch(2, 2, 1)].concat();
    scene.brings(0, cut[..cut.len() - 1].to_vec(), vec![]);
    assert_eq!(scene.gives(), offsets(0, 0..2));
    assert_eq!(scene.asked()[&t(0)].offset, 2);
    scene.brings(0, batch(2, 2, 1)[..100].to_vec(), vec![]);
    let error = scene.partitions.error().unwrap().to_string();
    assert!(error.contains("max.partition.fetch.bytes"), "{error}");
}

#[test]
fn an_offset_that_is_not_there_sends_the_reader_where_the_policy_says() {
    let mut scene = Scene::reading(rules(), 0..1);
    scene.brings(0, batch(0, 1, 1), vec![]);
    scene.answers(0, ErrorCode::OffsetOutOfRange, vec![], vec![], None);
    assert_eq!(scene.gives(), offsets(0, 0..1), "what was there before is given out first");
    let later = NOW + Duration::from_secs(1);
    let asked = scene.partitions.fetchable(1, &scene.view, later)[&t(0)];
    scene.answers_to(&asked, 0, ErrorCode::OffsetOutOfRange, vec![], vec![], None);
    let lookups = scene.partitions.lookups(&scene.view, NOW, later, 0);
    let (partition, wanted) = lookups.offsets[&1][0].clone();
    assert_eq!(wanted.value, EARLIEST);
    let found = Found { offset: 40, timestamp: -1, epoch: LeaderEpoch(1) };
    scene.partitions.found_offset(&partition, wanted.incarnation, found);
    assert_eq!((scene.position(0), scene.asked()[&t(0)].offset), (40, 40));
    // An answer that comes late changes nothing.
    let found = Found { offset: 50, timestamp: -1, epoch: LeaderEpoch(1) };
    scene.partitions.found_offset(&partition, wanted.incarnation, found);
    assert_eq!(scene.position(0), 40);
}

#[test]
fn a_follower_is_read_from_until_it_has_not_got_what_is_wanted() {
    let mut scene = Scene::reading(rules(), 0..1);
    scene.answers(0, ErrorCode::None, vec![], vec![], Some(2));
    assert_eq!(scene.asked(), BTreeMap::new());
    let asked = scene.partitions.fetchable(2, &scene.view, NOW)[&t(0)];
    scene.answers_to(&asked, 0, ErrorCode::OffsetOutOfRange, vec![], vec![], None);
    assert_eq!(scene.asked()[&t(0)].offset, 0, "the leader may have it");
}

#[test]
fn a_look_up_is_made_once_at_a_time() {
    let mut partitions = Partitions::new(Rules { has_group: true, ..rules() });
    partitions.assign([t(0)].into());
    let (view, until) = (view(1), NOW + Duration::from_secs(30));
    let first = partitions.lookups(&view, NOW, until, 0);
    assert_eq!(first.committed.len(), 1);
    assert!(partitions.lookups(&view, NOW, until, 0).committed.is_empty());
    let (partition, incarnation) = &first.committed[0];
    let error = Error::broker("x", ErrorCode::CoordinatorLoadInProgress);
    partitions.not_found(partition, *incarnation, &error, NOW, |_| Duration::from_secs(1));
    assert_eq!(partitions.next_attempt(NOW), Some(NOW + Duration::from_secs(1)));
    let again = partitions.lookups(&view, NOW + Duration::from_secs(1), until, 0);
    assert_eq!(again.committed.len(), 1);
    assert!(partitions.error().is_none(), "it is only to be tried again");
    partitions.found_committed(partition, *incarnation, None);
    let lookups = partitions.lookups(&view, NOW, until, 0);
    assert_eq!(lookups.offsets[&1][0].1.value, EARLIEST, "nothing was committed");
}

/// What the leader of a new epoch has of the old one decides where to go on (KIP-320).
fn after_a_new_leader(rules: Rules, end: EpochEnd) -> Scene {
    let mut scene = Scene::reading(rules, 0..1);
    scene.brings(0, batch(0, 5, 1), vec![]);
    assert_eq!(scene.gives(), offsets(0, 0..5));
    scene.brings(0, batch(5, 2, 1), vec![]);
    scene.view = view(2);
    scene.partitions.learn(&scene.view);
    assert_eq!(scene.asked(), BTreeMap::new(), "nothing is fetched before it is known");
    let lookups = scene.partitions.lookups(&scene.view, NOW, NOW, 0);
    let (partition, wanted) = lookups.epochs[&1][0].clone();
    assert_eq!((wanted.value, wanted.leader_epoch), (1, LeaderEpoch(2)));
    scene.partitions.found_epoch(&partition, wanted, end);
    scene
}

#[test]
fn nothing_was_cut_off() {
    let mut scene = after_a_new_leader(rules(), EpochEnd { epoch: 1, offset: 7 });
    assert_eq!(scene.gives(), offsets(0, 5..7));
    assert_eq!(scene.asked()[&t(0)].offset, 7);
}

#[test]
fn what_was_only_fetched_is_cut_off() {
    let mut scene = after_a_new_leader(rules(), EpochEnd { epoch: 1, offset: 6 });
    assert_eq!(scene.gives(), vec![], "it may be something else by now");
    assert_eq!((scene.position(0), scene.asked()[&t(0)].offset), (5, 5));
}

#[test]
fn what_was_read_is_cut_off() {
    let mut scene = after_a_new_leader(rules(), EpochEnd { epoch: 1, offset: 3 });
    assert_eq!((scene.position(0), scene.asked()[&t(0)].offset), (3, 3));
    assert_eq!(scene.gives(), vec![]);
    let rules = Rules { reset: OffsetReset::None, ..rules() };
    let mut scene = after_a_new_leader(rules, EpochEnd { epoch: 1, offset: 3 });
    scene.gives();
    let error = scene.partitions.error().unwrap();
    assert_eq!(error.code(), Some(ErrorCode::OffsetOutOfRange));
    assert!(error.to_string().contains("cut back to offset 3"), "{error}");
}

/// Whatever comes in whatever pieces, what is given out is the log.
#[test]
fn random_answers_and_polls_give_the_whole_log() {
    for seed in 0..200 {
        let mut random = milena_env::Random::from_seed(seed);
        let mut below = |bound: u64| random.next_u64() % bound;
        let mut scene = Scene::reading(rules(), 0..3);
        let mut logs: Vec<(Vec<Vec<u8>>, Vec<i64>)> = Vec::new();
        for _ in 0..3 {
            let (mut batches, mut offsets, mut next) = (Vec::new(), Vec::new(), 0);
            for _ in 0..below(12) {
                // Compaction leaves gaps.
                next += i64::try_from(below(3)).unwrap();
                let count = 1 + i64::try_from(below(9)).unwrap();
                batches.push(batch(next, count as usize, 1));
                offsets.extend(next..next + count);
                next += count;
            }
            logs.push((batches, offsets));
        }
        let mut given = vec![Vec::new(); 3];
        for _ in 0..2000 {
            for (at, asked) in scene.asked() {
                if below(2) == 0 {
                    continue;
                }
                let log = &logs[at.partition as usize].0;
                let rest = log.iter().filter(|batch| {
                    Chunk::new(batch.to_vec().into(), vec![]).next_offset().unwrap()
                        > Some(asked.offset)
                });
                let some: Vec<u8> = rest.take(1 + below(3) as usize).flatten().copied().collect();
                scene.brings_to(&asked, at.partition, some);
            }
            let held = t(below(3) as i32);
            scene.partitions.hold([&held], below(2) == 0);
            for (partition, offset) in scene.gives() {
                given[partition as usize].push(offset);
            }
            let all: usize = scene.partitions.all.values().map(|it| it.buffer.bytes()).sum();
            assert_eq!(scene.partitions.bytes, all, "seed {seed}");
        }
        for at in 0..3 {
            scene.partitions.hold([&t(at)], false);
        }
        for _ in 0..100 {
            for (at, asked) in scene.asked() {
                let log = logs[at.partition as usize].0.iter();
                let rest = log.filter(|batch| {
                    Chunk::new(batch.to_vec().into(), vec![]).next_offset().unwrap()
                        > Some(asked.offset)
                });
                let some: Vec<u8> = rest.take(1).flatten().copied().collect();
                scene.brings_to(&asked, at.partition, some);
            }
            for (partition, offset) in scene.gives() {
                given[partition as usize].push(offset);
            }
        }
        for (given, (_, log)) in given.iter().zip(&logs) {
            assert_eq!(given, log, "seed {seed}");
        }
    }
}

impl Scene {
    fn brings_to(&mut self, asked: &Asked, partition: i32, bytes: Vec<u8>) {
        self.answers_to(asked, partition, ErrorCode::None, bytes, vec![], None);
    }
}

//! Transactions from their beginning to their end: producers that ask their coordinator, and what
//! readers of committed records see then.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use milena_env::{Random, RealClock, SimulatedDisk};
use milena_protocol::{
    ErrorCode,
    api::{
        ApiKey, ApiVersionsRequest, ApiVersionsResponse, DescribeTransactionsRequest,
        DescribeTransactionsResponse, ListTransactionsRequest, ListTransactionsResponse,
        UpdateFeaturesRequest, UpdateFeaturesResponse, update_features::request::FeatureUpdateKey,
    },
};

use crate::{
    client::{Client, code},
    producer::{Producer, patiently},
    rig::Rig,
};

const SETTINGS: &str = "transaction.state.log.num.partitions=2\n";
const PARTITIONS: i32 = 3;

/// What readers of committed records see of each partition, once all that is open has ended.
fn settled(client: &mut Client) -> Vec<Vec<String>> {
    let begin = Instant::now();
    let seen = |partition| loop {
        let (values, stable) = client.read_committed("t", partition);
        if stable == client.end_of("t", partition, 0) {
            return values;
        }
        assert!(begin.elapsed() < Duration::from_secs(20), "{partition} stays open at {stable}");
        std::thread::sleep(Duration::from_millis(5));
    };
    (0..PARTITIONS).map(seen).collect()
}

pub(super) fn state_of(client: &mut Client, id: &str) -> Result<String, ErrorCode> {
    let request = DescribeTransactionsRequest { transactional_ids: vec![id] };
    let answer = client.call(ApiKey::DescribeTransactions, 0, &request).unwrap();
    let told: DescribeTransactionsResponse<'_> = answer.read();
    match code(told.transaction_states[0].error_code) {
        ErrorCode::None => Ok(told.transaction_states[0].transaction_state.to_owned()),
        refused => Err(refused),
    }
}

/// Waits until what is decided is carried out: until then a marker may come once more.
pub(super) fn carried_out(client: &mut Client, id: &str) {
    let over = || {
        Ok(match state_of(client, id) {
            Ok(state) if state.starts_with("Prepare") => ErrorCode::ConcurrentTransactions,
            Ok(_) => ErrorCode::None,
            Err(code) => code,
        })
    };
    assert_eq!(patiently(over).unwrap(), ErrorCode::None);
}

fn started(version: i16) -> (Rig, Client, Producer) {
    let rig = Rig::start(SETTINGS);
    let mut client = rig.client();
    client.create_topic("t", PARTITIONS, &[]);
    let mut producer = Producer::new("shop", version);
    assert_eq!(producer.init(&mut client).unwrap(), ErrorCode::None);
    (rig, client, producer)
}

#[test]
fn a_transaction_is_seen_on_all_partitions_or_on_none() {
    for version in [0, 2] {
        let (_rig, mut client, mut producer) = started(version);
        for (value, committed) in [("one", true), ("two", false), ("three", true)] {
            for partition in 0..PARTITIONS {
                let told = producer.produce(&mut client, "t", partition, value).unwrap();
                assert_eq!(told, ErrorCode::None);
            }
            assert_eq!(state_of(&mut client, "shop").unwrap(), "Ongoing");
            assert_eq!(producer.end(&mut client, committed).unwrap(), ErrorCode::None);
        }
        assert_eq!(settled(&mut client), vec![["one", "three"]; 3]);
        assert_eq!(state_of(&mut client, "nobody"), Err(ErrorCode::TransactionalIdNotFound));
        let state = |client: &mut Client| state_of(client, "shop").unwrap();
        let begin = Instant::now();
        while state(&mut client) != "CompleteCommit" {
            assert!(begin.elapsed() < Duration::from_secs(10));
        }
        let request = ListTransactionsRequest {
            state_filters: vec!["CompleteCommit", "Odd"],
            duration_filter: -1,
            transactional_id_pattern: Some("s.*p"),
            ..Default::default()
        };
        let answer = client.call(ApiKey::ListTransactions, 2, &request).unwrap();
        let told: ListTransactionsResponse<'_> = answer.read();
        assert_eq!(told.unknown_state_filters, ["Odd"]);
        let listed: Vec<_> = told.transaction_states.iter().map(|it| it.transactional_id).collect();
        assert_eq!(listed, ["shop"]);
    }
}

/// The level at which `transaction.version` is finalised, and the highest one that is served.
fn transaction_version(client: &mut Client) -> (Option<i16>, i16) {
    let request = ApiVersionsRequest {
        client_software_name: "test",
        client_software_version: "1",
        ..Default::default()
    };
    let answer = client.call(ApiKey::ApiVersions, 4, &request).unwrap();
    let told: ApiVersionsResponse<'_> = answer.read();
    let name = "transaction.version";
    let finalised = told.finalized_features.iter().find(|it| it.name == name);
    let supported = told.supported_features.iter().find(|it| it.name == name).unwrap();
    assert_eq!(supported.min_version, 0);
    (finalised.map(|it| it.max_version_level), supported.max_version)
}

#[test]
fn transaction_version_is_2_at_first_and_goes_down_and_up_under_an_open_transaction() {
    let (_rig, mut client, mut producer) = started(2);
    assert_eq!(transaction_version(&mut client), (Some(2), 2));
    for (level, upgrade_type, told) in [(0, 2, None), (1, 1, Some(1)), (2, 1, Some(2))] {
        let value = format!("before {level}");
        assert_eq!(producer.produce(&mut client, "t", 0, &value).unwrap(), ErrorCode::None);
        let update = FeatureUpdateKey {
            feature: "transaction.version",
            max_version_level: level,
            upgrade_type,
            ..Default::default()
        };
        let request = UpdateFeaturesRequest {
            timeout_ms: 1000,
            feature_updates: vec![update],
            ..Default::default()
        };
        let answer = client.call(ApiKey::UpdateFeatures, 2, &request).unwrap();
        assert_eq!(answer.read::<UpdateFeaturesResponse<'_>>().error_code, 0);
        assert_eq!(transaction_version(&mut client), (told, 2));
        assert_eq!(producer.end(&mut client, true).unwrap(), ErrorCode::None);
    }
    assert_eq!(settled(&mut client)[0], ["before 0", "before 1", "before 2"]);
}

#[test]
fn fault_26_a_producer_that_was_replaced_writes_nothing_more() {
    for version in [0, 2] {
        let (_rig, mut client, mut old) = started(version);
        assert_eq!(old.produce(&mut client, "t", 0, "old").unwrap(), ErrorCode::None);
        let mut new = Producer::new("shop", version);
        // The old transaction is aborted before the new producer gets its epoch.
        assert_eq!(new.init_once(&mut client).unwrap(), ErrorCode::ConcurrentTransactions);
        assert_eq!(new.init(&mut client).unwrap(), ErrorCode::None);
        assert_eq!((new.id, new.epoch), (old.id, old.epoch + 2));
        let end = client.end_of("t", 0, 0);
        for partition in 0..PARTITIONS {
            let told = old.produce(&mut client, "t", partition, "late").unwrap();
            let fenced = [ErrorCode::InvalidProducerEpoch, ErrorCode::ProducerFenced];
            assert!(fenced.contains(&told), "{told:?}");
        }
        assert_eq!(old.end(&mut client, true).unwrap(), ErrorCode::ProducerFenced);
        assert_eq!(client.end_of("t", 0, 0), end, "nothing was written");
        assert_eq!(new.produce(&mut client, "t", 0, "new").unwrap(), ErrorCode::None);
        assert_eq!(new.end(&mut client, true).unwrap(), ErrorCode::None);
        assert_eq!(settled(&mut client)[0], ["new"]);
    }
}

#[test]
fn what_an_abandoned_transaction_holds_back_is_free_within_its_timeout() {
    let settings = format!(
        "{SETTINGS}transaction.max.timeout.ms=60000\n\
         transaction.abort.timed.out.transaction.cleanup.interval.ms=50\n"
    );
    for (version, ending) in [(0, None), (2, None), (2, Some(Rig::kill as fn(&mut Rig)))] {
        let mut rig = Rig::start(&settings);
        let mut client = rig.client();
        client.create_topic("t", PARTITIONS, &[]);
        let mut producer = Producer::new("shop", version).with_timeout(700);
        assert_eq!(producer.init(&mut client).unwrap(), ErrorCode::None);
        let begin = Instant::now();
        assert_eq!(producer.produce(&mut client, "t", 0, "one").unwrap(), ErrorCode::None);
        if let Some(ending) = ending {
            ending(&mut rig);
            rig.start_again().unwrap();
            client = rig.client();
        }
        assert_eq!(client.read_committed("t", 0).1, 0, "it is open");
        assert_eq!(settled(&mut client)[0].len(), 0);
        let took = begin.elapsed();
        assert!(took > Duration::from_millis(700) && took < Duration::from_secs(5), "{took:?}");
        let fenced = [ErrorCode::InvalidProducerEpoch, ErrorCode::ProducerFenced];
        assert!(fenced.contains(&producer.produce(&mut client, "t", 0, "two").unwrap()));
        assert_eq!(producer.init(&mut client).unwrap(), ErrorCode::None);
    }
}

#[test]
fn fault_27_what_comes_after_the_end_begins_nothing() {
    let (_rig, mut client, mut producer) = started(2);
    assert_eq!(producer.produce(&mut client, "t", 0, "one").unwrap(), ErrorCode::None);
    let mut late = producer.clone();
    assert_eq!(producer.end(&mut client, false).unwrap(), ErrorCode::None);
    settled(&mut client);
    let ends: Vec<i64> = (0..PARTITIONS).map(|it| client.end_of("t", it, 0)).collect();
    for partition in 0..PARTITIONS {
        let told = late.produce(&mut client, "t", partition, "late").unwrap();
        assert_eq!(told, ErrorCode::InvalidProducerEpoch);
    }
    let now: Vec<i64> = (0..PARTITIONS).map(|it| client.end_of("t", it, 0)).collect();
    assert_eq!(now, ends);
    settled(&mut client);
}

#[test]
fn fault_28_an_end_that_is_late_or_doubled_decides_nothing_else() {
    let (_rig, mut client, mut producer) = started(2);
    let mut expected = Vec::new();
    for (value, committed) in [("one", true), ("two", false), ("three", true), ("four", false)] {
        let before = producer.clone();
        assert_eq!(producer.produce(&mut client, "t", 0, value).unwrap(), ErrorCode::None);
        assert_eq!(producer.end(&mut client, committed).unwrap(), ErrorCode::None);
        let mut doubled = before.clone();
        assert_eq!(doubled.end(&mut client, committed).unwrap(), ErrorCode::None);
        assert_eq!((doubled.id, doubled.epoch), (producer.id, producer.epoch));
        let other = before.clone().end(&mut client, !committed).unwrap();
        assert_eq!(other, ErrorCode::InvalidTxnState);
        // The next one has begun when it comes again.
        assert_eq!(producer.produce(&mut client, "t", 1, value).unwrap(), ErrorCode::None);
        for late in [committed, !committed] {
            let told = before.clone().end(&mut client, late).unwrap();
            assert_eq!(told, ErrorCode::ProducerFenced);
        }
        assert_eq!(state_of(&mut client, "shop").unwrap(), "Ongoing");
        assert_eq!(producer.end(&mut client, true).unwrap(), ErrorCode::None);
        if committed {
            expected.push(value);
        }
    }
    let seen = settled(&mut client);
    assert_eq!(seen[0], expected);
    assert_eq!(seen[1], ["one", "two", "three", "four"]);
}

#[test]
fn fault_30_no_partition_has_a_record_of_a_transaction_that_its_coordinator_does_not_know() {
    let (mut known, mut unknown) = (0, 0);
    for steps in 0..16 {
        for version in [0, 2] {
            let (mut rig, mut client, mut producer) = started(version);
            rig.disk.crash_after(steps);
            let added = match version {
                0 => producer.add_once(&mut client, "t", 0).is_ok_and(|it| it == ErrorCode::None),
                _ => true,
            };
            let written = added.then(|| producer.produce_once(&mut client, "t", 0, "first"));
            rig.cut_power();
            rig.start_again().unwrap();
            client = rig.client();
            let settled_state = || match state_of(&mut client, "shop") {
                Ok(state) => Ok(state),
                Err(ErrorCode::CoordinatorLoadInProgress | ErrorCode::NotCoordinator) => Err(()),
                Err(other) => panic!("{other:?}"),
            };
            let state = std::iter::repeat_with(settled_state).find_map(Result::ok).unwrap();
            let is_there = client.end_of("t", 0, 0) > 0;
            let is_acknowledged = matches!(written, Some(Ok(ErrorCode::None)));
            let what = format!("{steps} steps, version {version}: {state}");
            assert!(!is_there || state == "Ongoing", "{what}");
            assert!(!is_acknowledged || is_there, "{what}");
            // Its end is refused, or is that of all there is.
            let ended = producer.end(&mut client, true).unwrap();
            assert_eq!(ended == ErrorCode::None, state == "Ongoing", "{what}: {ended:?}");
            assert_eq!(settled(&mut client)[0].len(), usize::from(is_there), "{what}");
            *(if state == "Ongoing" { &mut known } else { &mut unknown }) += 1;
        }
    }
    assert!(known > 0 && unknown > 0, "{known} and {unknown}: the power failed at other moments");
}

/// One life of a broker whose power fails somewhere: what was told of the transaction's records,
/// and of its end.
struct Told {
    value: String,
    written: Vec<ErrorCode>,
    end: Option<ErrorCode>,
    committed: bool,
}

/// A transaction on all partitions, as far as the broker lives.
fn transaction(client: &mut Client, producer: &mut Producer, value: &str, committed: bool) -> Told {
    let mut told = Told { value: value.to_owned(), written: Vec::new(), end: None, committed };
    for partition in 0..PARTITIONS {
        match producer.produce_once(client, "t", partition, value) {
            Ok(code) => told.written.push(code),
            Err(_) => return told,
        }
    }
    told.end = producer.end_once(client, committed).ok();
    told
}

#[test]
fn fault_29_the_power_fails_at_any_moment_and_all_partitions_tell_the_same() {
    let one = std::env::var("MILENA_SEED").ok().and_then(|seed| seed.parse().ok());
    for seed in one.map_or(0..30, |seed: u64| seed..seed + 1) {
        let mut random = Random::from_seed(seed);
        let mut rig = Rig::start_on(SimulatedDisk::new(seed), Arc::new(RealClock), SETTINGS);
        let mut client = rig.client();
        client.create_topic("t", PARTITIONS, &[]);
        let mut producer = Producer::new("shop", 2);
        assert_eq!(producer.init(&mut client).unwrap(), ErrorCode::None);
        let mut all = Vec::new();
        for life in 0..4 {
            rig.disk.crash_after(random.below(40));
            for number in 0..30 {
                let committed = random.below(3) > 0;
                let value = format!("{life}-{number}");
                let before = producer.clone();
                let mut told = transaction(&mut client, &mut producer, &value, committed);
                let is_over = rig.disk.is_power_off() || told.end.is_none();
                if is_over {
                    rig.cut_power();
                    rig.start_again().unwrap_or_else(|error| panic!("seed {seed}: {error}"));
                    client = rig.client();
                    // The producer lives, and asks once more, as the answer may be lost.
                    if told.written.len() == PARTITIONS as usize {
                        producer = before;
                        told.end = Some(producer.end(&mut client, committed).unwrap());
                    }
                    all.push(told);
                    assert_eq!(producer.init(&mut client).unwrap(), ErrorCode::None);
                    break;
                }
                all.push(told);
                // It goes on where the last transaction is over, or the power.
                let over = || {
                    Ok(match state_of(&mut client, "shop") {
                        Ok(state) if state.starts_with("Prepare") && !rig.disk.is_power_off() => {
                            ErrorCode::ConcurrentTransactions
                        }
                        _ => ErrorCode::None,
                    })
                };
                patiently(over).unwrap();
            }
        }
        check(seed, &all, &settled(&mut client));
    }
}

fn check(seed: u64, all: &[Told], seen: &[Vec<String>]) {
    for told in all {
        let at = seen.iter().filter(|values| values.contains(&told.value)).count();
        let what = format!("seed {seed}: {} is on {at} partitions", told.value);
        let has_all = told.written == [ErrorCode::None; PARTITIONS as usize];
        if told.committed && told.end == Some(ErrorCode::None) {
            let acknowledged = told.written.iter().filter(|it| **it == ErrorCode::None).count();
            assert!(at >= acknowledged, "{what}, and {acknowledged} were acknowledged");
        } else if told.end == Some(ErrorCode::None) {
            assert_eq!(at, 0, "{what}, and it was aborted");
        } else {
            assert!(
                at == 0 || at == PARTITIONS as usize && has_all,
                "{what}: neither all nor none"
            );
        }
    }
    assert!(all.iter().any(|it| it.end == Some(ErrorCode::None)), "seed {seed}: nothing ended");
}

//! Readers of committed records, while transactions come, go and stay open.

use std::time::{Duration, Instant};

use milena_protocol::ErrorCode;

use super::{ADDS, UNVERIFIED, Writer};
use crate::{client::Client, rig::Rig};

fn write(client: &mut Client, writer: &mut Writer, value: &str) -> i64 {
    let batch = writer.batch(&[value]);
    let told = client.produce_within(ADDS, Some("id"), "t", 0, &batch);
    assert_eq!(told.code, ErrorCode::None);
    told.base_offset
}

fn end(client: &mut Client, writer: &Writer, is_commit: bool) {
    assert_eq!(client.mark(1, &writer.end(is_commit), &[("t", 0)]), [ErrorCode::None]);
}

/// Values that readers see, and how far they may read.
fn seen(client: &mut Client) -> (Vec<String>, i64) {
    let (values, stable) = client.read_committed("t", 0);
    assert_eq!(client.end_of("t", 0, 1), stable, "ListOffsets says the same");
    (values, stable)
}

#[test]
fn fault_32_readers_see_what_is_committed_up_to_the_oldest_open_transaction() {
    let mut rig = Rig::start(UNVERIFIED);
    let mut client = rig.client();
    client.create_topic("t", 1, &[]);
    let [mut one, mut two, mut three] = [(); 3].map(|()| Writer::new(&mut client));
    write(&mut client, &mut one, "one");
    write(&mut client, &mut two, "two");
    let third = write(&mut client, &mut three, "three");
    assert_eq!(seen(&mut client), (vec![], 0));
    end(&mut client, &two, true);
    assert_eq!(seen(&mut client), (vec![], 0), "the oldest is open");
    end(&mut client, &one, false);
    for ending in [None, Some(Rig::stop as fn(&mut Rig)), Some(Rig::kill), Some(Rig::cut_power)] {
        if let Some(ending) = ending {
            ending(&mut rig);
            rig.start_again().unwrap();
            client = rig.client();
        }
        assert_eq!(seen(&mut client), (vec!["two".to_owned()], third));
        let all: Vec<_> = client.read_all("t", 0, 0).unwrap();
        assert_eq!(all.len(), 5, "three records and two markers");
        let open: Vec<_> = client.standing_of("t", 0).into_iter().filter(|it| it.2 != -1).collect();
        assert_eq!(open[..], [(three.id, three.epoch.into(), third, -1)]);
        assert_eq!(client.end_of("t", 0, 0), 5);
    }
    end(&mut client, &three, true);
    let (values, stable) = seen(&mut client);
    assert_eq!((values, stable), (vec!["two".to_owned(), "three".to_owned()], 6));
}

#[test]
fn fault_32_the_last_stable_offset_never_goes_back_and_nothing_aborted_shows() {
    let mut rig = Rig::start(UNVERIFIED);
    let mut client = rig.client();
    client.create_topic("t", 1, &[("segment.bytes", "1048576")]);
    let mut writers: Vec<_> = (0..4).map(|_| Writer::new(&mut client)).collect();
    let mut stable = 0;
    let mut open: Vec<Option<Vec<String>>> = vec![None; 4];
    let mut committed = Vec::new();
    let mut random = milena_env::Random::from_seed(32);
    for step in 0..400 {
        let at = (random.next_u64() % 4) as usize;
        match random.next_u64() % 3 {
            0 if open[at].is_some() => {
                let is_commit = random.next_u64() % 2 == 0;
                end(&mut client, &writers[at], is_commit);
                let values = open[at].take().unwrap();
                if is_commit {
                    committed.extend(values);
                }
            }
            _ => {
                let value = format!("{at}-{step}");
                write(&mut client, &mut writers[at], &value);
                open[at].get_or_insert_default().push(value);
            }
        }
        if step % 50 == 49 {
            rig.kill();
            rig.start_again().unwrap();
            client = rig.client();
        }
        let now = client.end_of("t", 0, 1);
        assert!(now >= stable, "step {step}: {stable}, then {now}");
        stable = now;
        if step % 20 == 0 {
            let (values, _) = seen(&mut client);
            assert!(values.iter().all(|value| committed.contains(value)), "step {step}");
        }
    }
    for (writer, _) in writers.iter().zip(&open).filter(|(_, open)| open.is_some()) {
        end(&mut client, writer, false);
    }
    let (mut values, last) = seen(&mut client);
    assert_eq!(last, client.end_of("t", 0, 0));
    values.sort();
    committed.sort();
    assert_eq!(values, committed);
}

#[test]
fn fault_32_compaction_keeps_committed_values_and_brings_no_aborted_one_back() {
    let settings = format!(
        "{UNVERIFIED}log.cleaner.backoff.ms=15\nlog.cleaner.min.compaction.lag.ms=0\n\
         log.roll.ms=600000\n"
    );
    let rig = Rig::start(&settings);
    let mut client = rig.client();
    let configs = [
        ("cleanup.policy", "compact"),
        ("segment.bytes", "1048576"),
        ("min.cleanable.dirty.ratio", "0.001"),
        ("delete.retention.ms", "0"),
    ];
    client.create_topic("t", 1, &configs);
    let (mut good, mut bad) = (Writer::new(&mut client), Writer::new(&mut client));
    let large = "x".repeat(200_000);
    // All have one key; the last one that counts is among them.
    for round in 0..12 {
        write(&mut client, &mut good, &format!("good {round} {large}"));
        end(&mut client, &good, true);
        write(&mut client, &mut bad, &format!("bad {round} {large}"));
        end(&mut client, &bad, false);
    }
    let began = Instant::now();
    loop {
        let (values, _) = seen(&mut client);
        assert!(values.iter().all(|value| value.starts_with("good")), "an aborted value shows");
        let last = values.last().unwrap();
        assert!(last.starts_with("good 11"), "{}", &last[..10]);
        if values.len() < 8 {
            return;
        }
        assert!(began.elapsed() < Duration::from_secs(30), "nothing is compacted");
    }
}

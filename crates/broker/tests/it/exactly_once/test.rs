//! Each invariant sees what breaks it.

use std::time::Duration;

use milena_protocol::ErrorCode;

use super::history::{Commit, Fence, History, LATEST, OUT, Place, Sent, Stable, Told, Transaction};

const INPUT: Place = ("in", 0);

fn sent(place: Place, value: &str, offset: i64) -> Sent {
    let value = value.to_owned();
    Sent { place, value, copy_of: None, number: 0, acknowledged: vec![offset] }
}

/// Everybody reads the same from the beginning to the end.
fn all_read(history: &mut History, is_committed: bool, place: Place, seen: &[(i64, &str)]) {
    let seen: Vec<_> = seen.iter().map(|(offset, value)| (*offset, (*value).to_owned())).collect();
    let readers = match is_committed {
        true => [&mut history.committed, &mut history.committed_at_last],
        false => [&mut history.uncommitted, &mut history.uncommitted_at_last],
    };
    readers.into_iter().for_each(|it| drop(it.insert(place, seen.clone())));
}

/// One transaction copies a record and commits, one writes and is aborted, one is left open by
/// whoever is fenced then.
fn sound() -> History {
    let mut history = History::default();
    let copy = Sent { copy_of: Some(INPUT), ..sent((OUT, 0), "copy", 0) };
    let of = |id: &str, sent| Transaction {
        transactional_id: id.to_owned(),
        sent,
        ..Transaction::default()
    };
    history.transactions = vec![
        Transaction {
            commit: Some(Commit { place: INPUT, offset: 1, is_pending_since: Some(1) }),
            asked_to_commit: Some(4),
            was_committed: Some(true),
            ..of("copier", vec![copy, sent((OUT, 1), "other", 0), sent((LATEST, 0), "first", 0)])
        },
        Transaction {
            was_committed: Some(false),
            ..of("writer", vec![sent((OUT, 0), "aborted", 2), sent((LATEST, 0), "last", 2)])
        },
        Transaction { asked_to_commit: Some(8), ..of("zombie", vec![sent((OUT, 1), "late", 2)]) },
    ];
    let fence = Fence { transactional_id: "zombie".to_owned(), producer: 0, epoch: 1, at: 7 };
    history.fences.push(fence);
    let told = |asked_at, offset| Told { place: INPUT, asked_at, offset };
    history.told = vec![told(0, Some(0)), told(2, None), told(6, Some(1))];
    let stable = |stable, elapsed_ms| Stable { stable, high_watermark: 4, elapsed_ms };
    history
        .stable
        .insert((OUT, 0), vec![stable(0, 0), stable(0, 10), stable(2, 20), stable(4, 30)]);
    all_read(&mut history, true, (OUT, 0), &[(0, "copy")]);
    all_read(&mut history, true, (OUT, 1), &[(0, "other")]);
    all_read(&mut history, true, (LATEST, 0), &[(0, "first")]);
    all_read(&mut history, false, (OUT, 0), &[(0, "copy"), (2, "aborted")]);
    all_read(&mut history, false, (OUT, 1), &[(0, "other"), (2, "late")]);
    all_read(&mut history, false, (LATEST, 0), &[(0, "first"), (2, "last")]);
    history.inputs.insert(INPUT, 1);
    history.gaps.push(("gap".to_owned(), Some(ErrorCode::OutOfOrderSequenceNumber)));
    history
}

/// With which words it is refused.
fn refusal(break_it: impl FnOnce(&mut History)) -> Option<String> {
    let mut history = sound();
    break_it(&mut history);
    let refused = std::panic::catch_unwind(|| history.check(Duration::from_secs(1))).err()?;
    Some(refused.downcast_ref::<String>().cloned().unwrap_or_default())
}

fn breaks(words: &str, break_it: impl FnOnce(&mut History)) {
    let refusal = refusal(break_it);
    assert!(refusal.as_ref().is_some_and(|it| it.contains(words)), "{words}: {refusal:?}");
}

#[test]
fn each_invariant_of_transactions_sees_what_breaks_it() {
    assert_eq!(refusal(|_| {}), None);

    let stable = |it: &mut History, change: fn(&mut Vec<Stable>)| {
        change(it.stable.get_mut(&(OUT, 0)).unwrap());
    };
    breaks("after", |it| stable(it, |told| told[3].stable = 1));
    breaks("stays at", |it| stable(it, |told| told[1].elapsed_ms = 2000));
    breaks("open in the end", |it| stable(it, |told| told[3].stable = 3));

    let both = |it: &mut History, values: &[(i64, &str)]| all_read(it, false, (OUT, 0), values);
    breaks("too", |it| both(it, &[(0, "copy"), (2, "aborted"), (3, "copy")]));
    breaks("there is None", |it| both(it, &[(2, "aborted")]));
    breaks("there is Some", |it| both(it, &[(0, "aborted"), (2, "copy")]));
    breaks("elsewhere", |it| it.transactions[0].sent[0].acknowledged.push(5));

    breaks("was taken", |it| it.gaps[0].1 = Some(ErrorCode::None));
    breaks("gap is there", |it| both(it, &[(0, "copy"), (1, "gap"), (2, "aborted")]));

    let shown = |it: &mut History, at, seen: &[(i64, &str)]| all_read(it, true, (OUT, at), seen);
    breaks("1 records are seen", |it| shown(it, 1, &[]));
    breaks("1 records are seen", |it| shown(it, 0, &[(0, "copy"), (2, "aborted")]));
    breaks("and still", |it| shown(it, 1, &[(0, "other"), (2, "late")]));
    // Without the fence it may be committed.
    assert_eq!(
        refusal(|it| {
            it.fences.clear();
            shown(it, 1, &[(0, "other"), (2, "late")]);
        }),
        None
    );

    breaks("offsets go back", |it| {
        let both = [(0, "copy".to_owned()), (0, "copy".to_owned())];
        it.committed.insert((OUT, 0), both.to_vec());
    });
    breaks("records, ", |it| drop(it.committed.insert((OUT, 1), Vec::new())));
    breaks("does not count", |it| all_read(it, true, (LATEST, 0), &[(0, "first"), (2, "last")]));
    breaks("the last value", |it| all_read(it, true, (LATEST, 0), &[]));

    breaks("and then", |it| it.told[1].offset = Some(0));
    breaks("after 1", |it| {
        it.transactions[0].commit.as_mut().unwrap().is_pending_since = None;
        it.told[1].offset = Some(1);
        it.told[2].offset = Some(0);
    });
    breaks("nobody has committed", |it| it.told[2].offset = Some(7));

    breaks("copies of record 0", |it| it.transactions[0].sent[0].copy_of = None);
    breaks("copies of record 0", |it| it.transactions[0].sent[1].copy_of = Some(INPUT));
    breaks("copies of nothing", |it| it.inputs.clear());
}

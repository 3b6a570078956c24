//! The last stable offset never goes back, and what is open does not hold readers up for ever.

use std::time::Duration;

use crate::exactly_once::history::History;

pub(super) fn check(history: &History, patience: Duration) {
    for (place, told) in &history.stable {
        let mut since = None;
        for (before, now) in told.iter().zip(told.iter().skip(1)) {
            assert!(now.stable >= before.stable, "{place:?}: {now:?} after {before:?}");
            let is_held_up = before.stable == now.stable && now.stable < now.high_watermark;
            if !is_held_up {
                since = None;
                continue;
            }
            let since = *since.get_or_insert(before.elapsed_ms);
            let held_up = Duration::from_millis(now.elapsed_ms - since);
            assert!(held_up < patience, "{place:?} stays at {} for {held_up:?}", now.stable);
        }
        let last = told.last();
        let is_open = last.is_some_and(|it| it.stable < it.high_watermark);
        assert!(!is_open, "{place:?} is open in the end: {last:?}");
    }
}

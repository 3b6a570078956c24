//! What must hold of a topic after whatever was done to its broker: one file each.

mod acknowledged_is_there;
mod none_is_twice;
mod nothing_is_invented;
mod order_is_kept;

/// A batch that was acknowledged at an offset.
#[derive(Clone, Debug)]
pub(crate) struct Acknowledged {
    pub(crate) producer: u32,
    pub(crate) partition: i32,
    pub(crate) first: i32,
    pub(crate) count: i32,
    pub(crate) offset: i64,
}

/// A record that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Found {
    pub(crate) offset: i64,
    pub(crate) producer: u32,
    pub(crate) number: i32,
}

impl Found {
    /// What a producer writes as its record of that number, for a start.
    pub(crate) fn value(producer: u32, number: i32) -> Vec<u8> {
        format!("{producer} {number} ").into_bytes()
    }

    pub(crate) fn parse(offset: i64, value: &[u8]) -> Self {
        let text = std::str::from_utf8(value).unwrap();
        let mut words = text.split(' ');
        let mut number = || words.next().unwrap().parse().unwrap();
        let (producer, number): (u32, u32) = (number(), number());
        Self { offset, producer, number: i32::try_from(number).unwrap() }
    }
}

/// What the producers sent and were told, and what the partitions hold.
#[derive(Debug, Default)]
pub(crate) struct Story {
    /// How many records each producer sent to every partition.
    pub(crate) sent: Vec<i32>,
    pub(crate) acknowledged: Vec<Acknowledged>,
    pub(crate) found: Vec<Vec<Found>>,
}

impl Story {
    pub(crate) fn check(&self) {
        assert!(!self.acknowledged.is_empty(), "nothing was ever acknowledged");
        acknowledged_is_there::check(self);
        none_is_twice::check(self);
        order_is_kept::check(self);
        nothing_is_invented::check(self);
    }
}

#[cfg(test)]
mod test {
    use super::*;

    fn sound() -> Story {
        let found = |offset, number| Found { offset, producer: 0, number };
        let acknowledged =
            Acknowledged { producer: 0, partition: 0, first: 1, count: 2, offset: 1 };
        Story {
            sent: vec![4],
            acknowledged: vec![acknowledged],
            found: vec![vec![found(0, 0), found(1, 1), found(2, 2)]],
        }
    }

    fn is_refused(break_it: impl FnOnce(&mut Story)) -> bool {
        let mut story = sound();
        break_it(&mut story);
        std::panic::catch_unwind(|| story.check()).is_err()
    }

    #[test]
    fn each_invariant_sees_what_breaks_it() {
        sound().check();
        assert!(is_refused(|story| story.found[0].truncate(2)), "lost");
        assert!(is_refused(|story| story.found[0][1].offset = 7), "elsewhere");
        assert!(is_refused(|story| story.acknowledged[0].offset = 0), "at another offset");
        let again = |number| Found { offset: 3, producer: 0, number };
        assert!(is_refused(|story| story.found[0].push(again(0))), "twice");
        assert!(is_refused(|story| story.found[0].push(again(4))), "never sent");
        assert!(is_refused(|story| story.found[0].push(Found { producer: 1, ..again(0) })), "who?");
        assert!(
            is_refused(|story| {
                story.sent[0] = 9;
                story.found[0].push(again(5));
            }),
            "a gap"
        );
    }
}

//! The journal's writer: takes all that came meanwhile, writes it durably as one round,
//! tells the logs, and only then puts the bytes into the segments.
//!
//! One thread calls [`Writer::step`] for ever; a test calls it by hand. It never syncs a segment of
//! a log that is journalled, and after a failed write or sync of the ring it never acknowledges
//! anything again.

use std::time::Duration;

use super::{
    entry::{APPEND_HEADER_LEN, ENTRY_HEADER_LEN, Entry},
    queue::{Append, Task, What},
    ring::Ring,
    round::RoundKey,
    segments,
};
use crate::{directory::Shared, error::StorageError};

/// How long a full ring or disk is left alone before it is tried again.
const RETRY: Duration = Duration::from_millis(20);
const IDLE: Duration = Duration::from_secs(1);
/// Of what is kept free, this part is for the directory's own small files and nobody else.
const RESERVE_LEFT: u64 = 8;
/// How often the room on the disk is looked at.
const LOOK_AT_ROOM: Duration = Duration::from_millis(100);

/// What came of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Worked,
    Idle,
    /// The ring or the disk is full.
    Blocked,
}

#[derive(Debug)]
pub(crate) struct Writer {
    ring: Ring,
    /// Taken from the queue, not in a round yet.
    pending: Vec<Task>,
    /// In a durable round, refused by a full disk: its sequence and what is left of it.
    backlog: Vec<(u64, Vec<Task>)>,
    /// The entries of a round but for their batches; kept for its capacity.
    heads: Vec<u8>,
    /// When the room on the disk was last looked at, and whether it was too little.
    looked: Option<Duration>,
    room_is_low: bool,
    reserve_is_low: bool,
}

/// The writer's thread: rounds, until the directory stops and nothing is left to write.
pub(crate) fn run(shared: &Shared) {
    loop {
        let nap = match shared.step() {
            Step::Worked => continue,
            Step::Idle => IDLE,
            Step::Blocked => {
                shared.clock.sleep(RETRY);
                Duration::ZERO
            }
        };
        if !shared.queue.wait(nap) {
            return;
        }
    }
}

impl Writer {
    pub(crate) fn new(ring: Ring) -> Self {
        Self {
            ring,
            pending: Vec::new(),
            backlog: Vec::new(),
            heads: Vec::new(),
            looked: None,
            room_is_low: false,
            reserve_is_low: false,
        }
    }

    /// One round, if anything waits for one.
    pub(crate) fn step(&mut self, shared: &Shared) -> Step {
        if shared.is_offline() {
            self.abandon(shared);
            return Step::Idle;
        }
        shared.queue.take(&mut self.pending);
        match self.try_step(shared) {
            Ok(step) => step,
            Err(error) => {
                shared.go_offline(&error);
                self.abandon(shared);
                Step::Idle
            }
        }
    }

    fn try_step(&mut self, shared: &Shared) -> Result<Step, StorageError> {
        self.retry_backlog(shared)?;
        self.look_at_room(shared);
        if self.pending.is_empty() {
            return Ok(if self.backlog.is_empty() { Step::Idle } else { Step::Blocked });
        }
        let (count, len) = self.choose(shared);
        if len > 0 && !self.make_room(shared, len)? {
            shared.checkpoint_wanted();
            return Ok(Step::Blocked);
        }
        let later = self.pending.split_off(count);
        let tasks = std::mem::replace(&mut self.pending, later);
        if len > 0 {
            if let Err(error) = self.write_round(shared, &tasks) {
                // Whoever waits for them is still to be told.
                self.pending.extend(tasks);
                return Err(error);
            }
            segments::publish_durable(&tasks);
        }
        let sequence = self.ring.next_sequence() - 1;
        self.backlog.push((sequence, tasks));
        self.retry_backlog(shared)?;
        self.look_at_room(shared);
        let (capacity, used) = self.ring.usage();
        shared.set_ring_usage(capacity, used);
        Ok(Step::Worked)
    }

    /// Appends are welcome while there is room for what waits to be written, and a reserve.
    fn look_at_room(&mut self, shared: &Shared) {
        let now = shared.clock.monotonic();
        if self.looked.is_none_or(|looked| now >= looked + LOOK_AT_ROOM) {
            self.looked = Some(now);
            let (waiting, reserve) = (shared.queue.unwritten_bytes(), shared.config.free_bytes_min);
            // Where nobody can tell, the write itself will.
            let free = shared.disk.space(&shared.path).map_or(u64::MAX, |space| space.free);
            self.room_is_low = free < waiting + reserve;
            self.reserve_is_low = free < waiting + reserve / RESERVE_LEFT;
        }
        shared.set_disk_full(self.room_is_low || !self.backlog.is_empty());
        shared.set_reserve_used(self.reserve_is_low || !self.backlog.is_empty());
    }

    /// How many of the pending tasks the next round takes, and an upper bound of their bytes.
    fn choose(&self, shared: &Shared) -> (usize, u64) {
        let limit = shared.config.round_bytes_max.min(self.ring.largest_round());
        let mut len = 0;
        for (index, task) in self.pending.iter().enumerate() {
            let task_len = if task.journalled { entry_len_max(task) } else { 0 };
            if index > 0 && len + task_len > limit {
                return (index, len);
            }
            len += task_len;
        }
        (self.pending.len(), len)
    }

    fn make_room(&mut self, shared: &Shared, len: u64) -> Result<bool, StorageError> {
        if len > self.ring.largest_round() {
            // A batch larger than any file: rare, and better slow than refused.
            match self.ring.files.make(len.next_multiple_of(1 << 20) + (1 << 20)) {
                Err(error) if error.is_no_space() => return Ok(false),
                made => made?,
            }
        }
        if self.ring.make_room(len) {
            return Ok(true);
        }
        self.hand_empty_rounds(shared);
        let tail = shared.tail();
        if self.ring.would_free(tail) {
            self.ring.write(tail, 0, &[])?;
            if self.ring.make_room(len) {
                return Ok(true);
            }
        }
        // Only the file in use is large enough, or its last block is used up: it is left, so that
        // the next checkpoint sets it free.
        self.ring.leave_active();
        Ok(false)
    }

    fn write_round(&mut self, shared: &Shared, tasks: &[Task]) -> Result<(), StorageError> {
        let key = RoundKey { ring: self.ring.key(), sequence: self.ring.next_sequence() };
        self.heads.clear();
        // Where each entry's head ends, and the batch that follows it.
        let mut cuts: Vec<(usize, &[u8])> = Vec::with_capacity(tasks.len());
        for task in tasks.iter().filter(|t| t.journalled) {
            self.reopen(task, &key, &mut cuts);
            if let Some(entry) = entry(task) {
                entry.write(task.log.alias(), &key, &mut self.heads);
                let batch: &[u8] =
                    if let Entry::Append { batch, .. } = entry { batch } else { &[] };
                cuts.push((self.heads.len(), batch));
            }
        }
        let mut slices = Vec::with_capacity(cuts.len() * 2);
        let mut from = 0;
        for (to, batch) in &cuts {
            slices.push(self.heads.get(from..*to).unwrap_or_default());
            slices.push(batch);
            from = *to;
        }
        let entries = cuts.len() as u32;
        self.ring.write(shared.tail(), entries, &slices)
    }

    /// An alias holds within one file: names its partition at its first use there.
    fn reopen(&mut self, task: &Task, key: &RoundKey, cuts: &mut Vec<(usize, &[u8])>) {
        if !task.log.opened_in(self.ring.file_use()) {
            open_entry(&task.log).write(task.log.alias(), key, &mut self.heads);
            cuts.push((self.heads.len(), &[]));
        }
    }

    /// Puts durable rounds into their segments, in order; what a full disk refuses stays.
    fn retry_backlog(&mut self, shared: &Shared) -> Result<(), StorageError> {
        while let Some((sequence, tasks)) = self.backlog.first_mut() {
            let sequence = *sequence;
            match segments::write(shared, tasks) {
                Ok(()) => {
                    self.backlog.remove(0);
                    shared.handed_to_segments(sequence);
                }
                Err(error) if error.is_no_space() => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Lets go of everything, after the directory went offline.
    fn abandon(&mut self, shared: &Shared) {
        shared.queue.take(&mut self.pending);
        let backlog = self.backlog.drain(..).flat_map(|(_, tasks)| tasks);
        for task in self.pending.drain(..).chain(backlog) {
            if let What::Append(Append { bytes, .. }) = &task.what {
                shared.queue.written(bytes.len() as u64);
            }
        }
    }

    /// The last round: whatever is in a segment by now came with it or before.
    pub(crate) fn last_sequence(&self, shared: &Shared) -> u64 {
        self.hand_empty_rounds(shared);
        self.ring.next_sequence() - 1
    }

    /// A round without entries has nothing to be put into segments, and nobody else says so: a
    /// file that ends with it would never be free again.
    fn hand_empty_rounds(&self, shared: &Shared) {
        if self.backlog.is_empty() {
            shared.handed_to_segments(self.ring.next_sequence() - 1);
        }
    }

    /// Lets a round say that rounds up to `sequence` are not needed, unless one has said so.
    /// `false` where they still are, or the ring is full.
    pub(crate) fn carry_tail(&mut self, tail: u64, sequence: u64) -> Result<bool, StorageError> {
        if tail <= sequence {
            return Ok(false);
        }
        if self.ring.carried_tail() <= sequence {
            if !self.ring.make_room(0) {
                return Ok(false);
            }
            self.ring.write(tail, 0, &[])?;
        }
        Ok(true)
    }

    /// Says that nothing in the ring is needed: everything is in synced segments.
    pub(crate) fn seal(&mut self) -> Result<(), StorageError> {
        assert!(self.pending.is_empty() && self.backlog.is_empty(), "nothing may be left behind");
        let tail = self.ring.next_sequence() + 1;
        if !self.ring.has_reserve() {
            self.ring.make_room(0);
        }
        self.ring.write(tail, 0, &[])
    }

    /// Removes the sealed ring.
    pub(crate) fn remove(self) -> Result<(), StorageError> {
        self.ring.remove()
    }
}

fn open_entry(log: &crate::log::Log) -> Entry<'_> {
    let name = log.name();
    Entry::Open { topic_id: log.topic_id(), partition: name.partition, topic: &name.topic }
}

/// What the journal says of a task, beyond the `Open` that comes before it.
fn entry(task: &Task) -> Option<Entry<'_>> {
    Some(match &task.what {
        What::Roll { .. } => return None,
        What::Append(append) => Entry::Append { place: append.place(), batch: &append.bytes },
        What::Truncate { to, segment, position, .. } => Entry::Truncate {
            to: *to,
            place: super::entry::Place { segment: segment.base_offset(), position: *position },
        },
        What::Reset { start, .. } => Entry::Reset { start: *start },
        What::LogStart { offset, .. } => Entry::LogStart { offset: *offset },
        What::Close(reason) => Entry::Close(*reason),
    })
}

/// The most bytes that a task can add to a round.
fn entry_len_max(task: &Task) -> u64 {
    let open = ENTRY_HEADER_LEN + 20 + task.log.name().topic.len();
    let own = match &task.what {
        What::Roll { .. } => 0,
        What::Append(append) => APPEND_HEADER_LEN + append.bytes.len(),
        _ => ENTRY_HEADER_LEN + 20,
    };
    (open + own) as u64
}

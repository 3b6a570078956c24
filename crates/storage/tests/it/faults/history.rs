//! All that was done to the partitions of a directory, in order, and what they hold after any first
//! part of it. The journal keeps one order for all of them, so a crash may only take away an end.

use std::{collections::BTreeMap, sync::Arc};

use bytes::{Bytes, BytesMut};
use milena_protocol::Uuid;

/// A batch as it lies in a log.
#[derive(Debug)]
pub(crate) struct Stored {
    pub(crate) base: i64,
    pub(crate) next: i64,
    pub(crate) epoch: i32,
    pub(crate) bytes: Bytes,
    /// As the producer sent it, to be sent again.
    pub(crate) sent: BytesMut,
    /// Its producer and first sequence.
    pub(crate) producer: Option<(i64, i32)>,
}

/// Something that was done.
#[derive(Clone, Debug)]
pub(crate) enum Deed {
    Create(Uuid),
    Append(Arc<Stored>),
    Truncate(i64),
    Reset(i64),
    DeleteRecords(i64),
    Delete,
}

/// What a partition holds.
#[derive(Clone, Debug)]
pub(crate) struct Life {
    pub(crate) topic_id: Uuid,
    pub(crate) start: i64,
    pub(crate) end: i64,
    /// Also those that end below the start.
    pub(crate) batches: Vec<Arc<Stored>>,
    /// Epochs and where they began.
    pub(crate) epochs: Vec<(i32, i64)>,
    /// It was cut inside of a batch, so that an epoch may seem to begin before its first batch.
    pub(crate) cut_inside: bool,
}

impl Life {
    fn new(topic_id: Uuid) -> Self {
        Self {
            topic_id,
            start: 0,
            end: 0,
            batches: Vec::new(),
            epochs: Vec::new(),
            cut_inside: false,
        }
    }

    /// Batches that hold a record that may be read.
    pub(crate) fn live(&self) -> impl DoubleEndedIterator<Item = &Arc<Stored>> {
        self.batches.iter().filter(|batch| batch.next > self.start)
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.live().flat_map(|batch| batch.bytes.iter().copied()).collect()
    }

    /// Where the last batch ends: a cut inside of a batch takes it away as a whole.
    pub(crate) fn filled_end(&self) -> i64 {
        self.batches.last().map_or(self.start, |batch| batch.next.max(self.start))
    }

    pub(crate) fn next_sequence(&self, producer_id: i64) -> i32 {
        let mut own = self.batches.iter().rev().filter_map(|batch| {
            let (id, first) = batch.producer.filter(|(id, _)| *id == producer_id)?;
            (id == producer_id).then(|| first + (batch.next - batch.base) as i32)
        });
        own.next().unwrap_or(0)
    }

    /// The greatest epoch at or below `epoch`, and where it ended.
    pub(crate) fn end_offset_for(&self, epoch: i32) -> Option<(i32, i64)> {
        if self.epochs.last().is_some_and(|last| last.0 == epoch) {
            return Some((epoch, self.end));
        }
        let next = self.epochs.iter().find(|(other, _)| *other > epoch)?;
        let own = self.epochs.iter().rev().find(|(other, _)| *other <= epoch);
        Some((own.map_or(epoch, |own| own.0), next.1))
    }

    fn apply(&mut self, deed: &Deed) {
        match deed {
            Deed::Append(batch) => {
                if self.epochs.last().is_none_or(|last| last.0 < batch.epoch) {
                    self.epochs.push((batch.epoch, batch.base));
                }
                self.end = batch.next;
                self.batches.push(Arc::clone(batch));
            }
            Deed::Truncate(to) if *to >= self.end => {}
            Deed::Truncate(to) if *to >= self.start => {
                self.end = *to;
                self.cut_inside |= self.batches.iter().any(|b| b.base < *to && b.next > *to);
                self.batches.retain(|batch| batch.next <= *to);
                self.epochs.retain(|(_, start)| start < to);
            }
            Deed::Truncate(to) | Deed::Reset(to) => {
                (self.start, self.end) = (*to, *to);
                self.batches.clear();
                self.epochs.clear();
            }
            Deed::DeleteRecords(to) => {
                self.start = self.start.max(*to.min(&self.end));
                let ended = self.epochs.iter().filter(|(_, start)| *start <= self.start).count();
                self.epochs.drain(..ended.saturating_sub(1));
                if ended > 0 {
                    self.epochs[0].1 = self.start;
                }
            }
            Deed::Create(_) | Deed::Delete => unreachable!("a whole partition's"),
        }
    }
}

/// What a directory holds.
pub(crate) type World = BTreeMap<String, Life>;

#[derive(Debug, Default)]
pub(crate) struct History {
    /// What there was when the directory was opened.
    before: World,
    deeds: Vec<(String, Deed)>,
    /// How many deeds are known to outlive a power failure.
    durable: usize,
    /// What there is now.
    now: World,
}

impl History {
    pub(crate) fn starting_with(world: World) -> Self {
        Self { now: world.clone(), before: world, deeds: Vec::new(), durable: 0 }
    }

    pub(crate) fn now(&self) -> &World {
        &self.now
    }

    pub(crate) fn push(&mut self, topic: &str, deed: Deed) {
        apply(&mut self.now, topic, &deed);
        self.deeds.push((topic.to_owned(), deed));
    }

    /// Everything so far outlives a power failure.
    pub(crate) fn all_durable(&mut self) {
        self.durable = self.deeds.len();
    }

    /// Looks at how far logs are durable: an append that is, and all that was done before it.
    pub(crate) fn observe(&mut self, durable_end: impl Fn(&str) -> Option<i64>) {
        let mut cut: BTreeMap<&str, ()> = BTreeMap::new();
        for (index, (topic, deed)) in self.deeds.iter().enumerate().skip(self.durable).rev() {
            match deed {
                Deed::Append(batch) if !cut.contains_key(topic.as_str()) => {
                    if durable_end(topic).is_some_and(|end| end >= batch.next) {
                        self.durable = index + 1;
                        return;
                    }
                }
                Deed::Append(_) | Deed::DeleteRecords(_) => {}
                // What was before is another log's: the end that is seen now says nothing of it.
                _ => drop(cut.insert(topic, ())),
            }
        }
    }

    /// Everything that a crash may leave: the world after each first part of the deeds that holds
    /// all durable ones; the longest first.
    pub(crate) fn survivors(&self) -> Vec<World> {
        let mut world = self.before.clone();
        let mut worlds = Vec::new();
        for (index, (topic, deed)) in self.deeds.iter().enumerate() {
            if index >= self.durable {
                worlds.push(world.clone());
            }
            apply(&mut world, topic, deed);
        }
        worlds.push(world);
        worlds.reverse();
        worlds
    }

    /// Tells the story where one seed is looked at.
    pub(crate) fn tell(&self) {
        if std::env::var("MILENA_SEED").is_ok() {
            eprintln!("what was done:\n{}", self.story());
        }
    }

    /// The deeds, for whoever wonders what went wrong.
    pub(crate) fn story(&self) -> String {
        let line = |(index, (topic, deed)): (usize, &(String, Deed))| {
            let mark = if index < self.durable { "durable" } else { "       " };
            let deed = match deed {
                Deed::Append(b) => {
                    let (base, next, epoch) = (b.base, b.next, b.epoch);
                    format!("append {base}..{next} epoch {epoch}, {} bytes", b.bytes.len())
                }
                other => format!("{other:?}"),
            };
            format!("  {index:3} {mark} {topic}: {deed}\n")
        };
        self.deeds.iter().enumerate().map(line).collect()
    }
}

fn apply(world: &mut World, topic: &str, deed: &Deed) {
    match deed {
        Deed::Create(id) => drop(world.insert(topic.to_owned(), Life::new(*id))),
        Deed::Delete => drop(world.remove(topic)),
        other => world.get_mut(topic).expect("the partition exists").apply(other),
    }
}

//! Finds the rounds of a ring that was left behind, and tells a torn tail from corruption.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::Arc,
};

use milena_env::{Disk, DiskFile, disk::Open};

use super::{
    entry::Entry,
    ring::{RingFile, RingIdentity},
    round::{BLOCK, FileHeader, ROUND_HEADER_LEN, ROUND_MAGIC, RoundHeader, RoundKey},
};
use crate::{error::StorageError, names};

/// One sound round header.
#[derive(Clone, Copy, Debug)]
struct Place {
    file: usize,
    position: u64,
    header: RoundHeader,
}

/// A ring as a crash, or a stop that was cut short, left it.
#[derive(Debug)]
pub(super) struct Found {
    pub identity: RingIdentity,
    pub files: Vec<RingFile>,
    /// Files that were being made when the process died: nothing was ever written to them.
    pub unfinished: Vec<PathBuf>,
    pub next_number: u32,
    /// By sequence: the rounds from the tail to the last, all of them sound.
    rounds: BTreeMap<u64, Place>,
    /// Rounds before the tail in the same files: nothing in them is needed but what aliases mean.
    before: BTreeMap<u64, Place>,
    pub last_sequence: u64,
    /// Where a round that follows the last one would begin.
    pub next: (usize, u64),
    /// Where it is, if it cannot be read: torn, unless a segment has its batches.
    damaged: Option<(usize, u64)>,
}

impl Found {
    /// Looks for a ring; `None` where the last stop was clean, or nobody was ever here.
    pub(super) fn look(
        disk: &dyn Disk,
        directory: &Path,
        directory_id: [u8; 16],
    ) -> Result<Option<Self>, StorageError> {
        let entries = disk.list(directory).map_err(StorageError::io("list", directory))?;
        let mut numbers: Vec<u32> =
            entries.iter().filter_map(|e| names::parse_journal_file(&e.name)).collect();
        numbers.sort_unstable();
        let next_number = numbers.last().map_or(0, |n| n + 1);
        let mut identity = None;
        let mut files = Vec::new();
        let mut unfinished = Vec::new();
        for number in numbers {
            let path = directory.join(names::journal_file(number));
            let file = disk
                .open_past_cache(&path, Open::ReadWrite)
                .map_err(StorageError::io("open", &path))?;
            let Some(header) = read_file_header(&*file, &path)? else {
                if was_used(&*file, &path)? {
                    let reason = "the header of a journal file that holds rounds cannot be read; \
                                  acknowledged records may be in it. Restore the disk, or take \
                                  the replicas on other brokers and remove this log directory";
                    return Err(StorageError::corrupt(&path, 0, reason));
                }
                unfinished.push(path);
                continue;
            };
            let own = RingIdentity { directory_id: header.directory_id, key: header.key };
            let of_ring: RingIdentity = *identity.get_or_insert(own);
            if own.directory_id != directory_id || own.key != of_ring.key {
                return Err(StorageError::Foreign {
                    path: directory.to_owned(),
                    reason: format!(
                        "holds {}, which was written in another log directory; \
                         put the directory back as it was, or remove that file if it is a copy",
                        path.display()
                    ),
                });
            }
            files.push(RingFile { file, path, len: header.len, generation: 0, last_sequence: 0 });
        }
        let Some(identity) = identity else {
            for path in unfinished {
                disk.remove_file(&path).map_err(StorageError::io("remove", &path))?;
            }
            return Ok(None);
        };
        let mut found = Self {
            identity,
            files,
            unfinished,
            next_number,
            rounds: BTreeMap::new(),
            before: BTreeMap::new(),
            last_sequence: 0,
            next: (0, BLOCK),
            damaged: None,
        };
        found.find_rounds()?;
        Ok(Some(found))
    }

    fn find_rounds(&mut self) -> Result<(), StorageError> {
        let key = self.identity.key;
        let mut durable_through = 0;
        for (index, file) in self.files.iter_mut().enumerate() {
            let bytes = read_all(file)?;
            let at = |position: u64| {
                let rest = bytes.get(position as usize..)?;
                RoundHeader::read(rest.get(..ROUND_HEADER_LEN)?, &key)
            };
            let mut position = BLOCK;
            let mut before: Option<RoundHeader> = None;
            while let Some(header) = at(position) {
                let follows = before.is_none_or(|b| {
                    header.generation == b.generation && header.sequence == b.sequence + 1
                });
                if !follows {
                    break;
                }
                file.generation = header.generation;
                file.last_sequence = header.sequence;
                self.rounds.insert(header.sequence, Place { file: index, position, header });
                before = Some(header);
                position += RoundHeader::padded(header.len);
            }
            // Any round anywhere is a witness of what was synced before it.
            let blocks = (BLOCK..file.len).step_by(BLOCK as usize);
            for witness in blocks.filter_map(at) {
                durable_through = durable_through.max(witness.durable_through);
                file.generation = file.generation.max(witness.generation);
            }
        }
        self.drop_torn_tail(durable_through)?;
        self.keep_needed(durable_through)
    }

    /// The last round may be torn: then it was never acknowledged.
    fn drop_torn_tail(&mut self, durable_through: u64) -> Result<(), StorageError> {
        if let Some((&sequence, &place)) = self.rounds.last_key_value()
            && sequence > durable_through
            && self.entries(&place)?.is_none()
        {
            self.rounds.remove(&sequence);
            if let Some(file) = self.files.get_mut(place.file) {
                file.last_sequence = sequence - 1;
            }
            self.next = (place.file, place.position);
            self.damaged = Some(self.next);
        }
        Ok(())
    }

    /// Whether a round begins there whose header does not prove itself.
    fn is_begun(&self, (file, position): (usize, u64)) -> Result<bool, StorageError> {
        let Some(file) = self.files.get(file) else { return Ok(false) };
        let mut header = [0; ROUND_HEADER_LEN];
        let read = file.file.read_at(&mut header, position);
        let read = read.map_err(StorageError::io("read", &file.path))?;
        let is_whole = read == ROUND_HEADER_LEN;
        Ok(is_whole
            && header.starts_with(&ROUND_MAGIC)
            && RoundHeader::read(&header, &self.identity.key).is_none())
    }

    /// Says that the round behind the last one was synced, where it cannot be read.
    pub(super) fn damaged_end(&self) -> Option<StorageError> {
        let (file, position) = self.damaged?;
        Some(self.corrupt(file, position, self.last_sequence + 1))
    }

    /// Keeps the rounds from the tail on; all of them must be there.
    fn keep_needed(&mut self, durable_through: u64) -> Result<(), StorageError> {
        let Some((&last, &place)) = self.rounds.last_key_value() else {
            return if durable_through == 0 { Ok(()) } else { Err(self.corrupt(0, BLOCK, 1)) };
        };
        self.last_sequence = last;
        self.next = (place.file, place.position + RoundHeader::padded(place.header.len));
        // Behind the last one, or the first in another file.
        let first = (0..self.files.len()).map(|file| (file, BLOCK));
        for begins in [self.next].into_iter().chain(first) {
            if self.damaged.is_none() && self.is_begun(begins)? {
                self.damaged = Some(begins);
            }
        }
        let needed = self.rounds.split_off(&place.header.tail);
        self.before = std::mem::replace(&mut self.rounds, needed);
        let files: BTreeSet<usize> = self.rounds.values().map(|place| place.file).collect();
        self.before.retain(|_, place| files.contains(&place.file));
        if last < durable_through {
            return Err(self.corrupt(self.next.0, self.next.1, last + 1));
        }
        let missing = (place.header.tail..=last).find(|s| !self.rounds.contains_key(s));
        if let Some(sequence) = missing {
            let before = self.rounds.range(..sequence).next_back();
            let (file, position) = before.map_or((0, BLOCK), |(_, place)| {
                (place.file, place.position + RoundHeader::padded(place.header.len))
            });
            return Err(self.corrupt(file, position, sequence));
        }
        Ok(())
    }

    fn corrupt(&self, file: usize, position: u64, sequence: u64) -> StorageError {
        let path = self.files.get(file).map_or_else(PathBuf::new, |f| f.path.clone());
        let mut partitions = BTreeSet::new();
        for place in self.rounds.values() {
            let Ok(Some(bytes)) = self.entries(place) else { continue };
            let _ = self.visit_entries(place, &bytes, |_, entry| {
                if let Entry::Open { topic, partition, .. } = entry {
                    partitions.insert(format!("{topic}-{partition}"));
                }
                Ok(())
            });
        }
        let partitions: Vec<String> = partitions.into_iter().collect();
        let reason = format!(
            "round {sequence} of the journal was synced and cannot be read any more; acknowledged \
             records of these partitions may be in it: {}. Restore the disk, or take the replicas \
             on other brokers and remove this log directory",
            if partitions.is_empty() { "unknown".to_owned() } else { partitions.join(", ") }
        );
        StorageError::Corrupt { path, position, reason }
    }

    /// The bytes of a round's entries, if every one of them proves itself.
    fn entries(&self, place: &Place) -> Result<Option<Vec<u8>>, StorageError> {
        let Some(file) = self.files.get(place.file) else { return Ok(None) };
        let from = place.position + ROUND_HEADER_LEN as u64;
        if from.saturating_add(place.header.len) > file.len {
            return Ok(None);
        }
        let mut bytes = vec![0; place.header.len as usize];
        let read = file.file.read_exact_at(&mut bytes, from);
        read.map_err(StorageError::io("read", &file.path))?;
        let mut count = 0;
        let whole = self.visit_entries(place, &bytes, |_, _| {
            count += 1;
            Ok(())
        })?;
        Ok((whole && count == place.header.entries).then_some(bytes))
    }

    /// Visits entries until the bytes end (`true`), or one does not prove itself (`false`).
    fn visit_entries(
        &self,
        place: &Place,
        bytes: &[u8],
        mut visit: impl FnMut(u32, Entry<'_>) -> Result<(), StorageError>,
    ) -> Result<bool, StorageError> {
        let key = RoundKey { ring: self.identity.key, sequence: place.header.sequence };
        let mut rest = bytes;
        while !rest.is_empty() {
            let Some((alias, entry, len)) = Entry::read(rest, &key) else {
                return Ok(false);
            };
            visit(alias, entry)?;
            rest = rest.get(len..).unwrap_or_default();
        }
        Ok(true)
    }

    /// Visits every entry from the tail on, in order, and before them (as not needed) the `Open`s
    /// that stand before the tail in the same files. A round that is not what it was is
    /// corruption: all here were synced.
    pub(super) fn visit(
        &self,
        mut visit: impl FnMut(u32, Entry<'_>, bool) -> Result<(), StorageError>,
    ) -> Result<(), StorageError> {
        for (sequence, place) in self.before.iter().chain(&self.rounds) {
            let Some(bytes) = self.entries(place)? else {
                return Err(self.corrupt(place.file, place.position, *sequence));
            };
            let is_needed = self.rounds.contains_key(sequence);
            self.visit_entries(place, &bytes, |alias, entry| {
                if is_needed || matches!(entry, Entry::Open { .. }) {
                    visit(alias, entry, is_needed)
                } else {
                    Ok(())
                }
            })?;
        }
        Ok(())
    }

    /// Whether there is nothing to replay.
    pub(super) fn is_empty(&self) -> bool {
        self.rounds.values().all(|place| place.header.entries == 0)
    }
}

fn read_file_header(file: &dyn DiskFile, path: &Path) -> Result<Option<FileHeader>, StorageError> {
    let mut block = [0; BLOCK as usize];
    let read = file.read_at(&mut block, 0).map_err(StorageError::io("read", path))?;
    let len = file.size().map_err(StorageError::io("look at", path))?;
    let header = FileHeader::read(block.get(..read).unwrap_or_default());
    Ok(header.filter(|header| header.len == len))
}

/// Whether anything but zeros lies behind the header: then the file was whole once.
fn was_used(file: &dyn DiskFile, path: &Path) -> Result<bool, StorageError> {
    let len = file.size().map_err(StorageError::io("look at", path))?;
    let mut bytes = vec![0; len.saturating_sub(BLOCK) as usize];
    file.read_exact_at(&mut bytes, BLOCK).map_err(StorageError::io("read", path))?;
    Ok(bytes.iter().any(|byte| *byte != 0))
}

fn read_all(file: &RingFile) -> Result<Vec<u8>, StorageError> {
    let file_of: &Arc<dyn DiskFile> = &file.file;
    let mut bytes = vec![0; file.len as usize];
    let read = file_of.read_exact_at(&mut bytes, 0);
    read.map_err(StorageError::io("read", &file.path))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use milena_env::disk::SimulatedDisk;
    use milena_protocol::Offset;

    use super::{
        super::{
            ring::{Ring, RingFiles},
            round::RingKey,
        },
        *,
    };

    /// Writes a round of one entry; they all are of one shape.
    fn write(ring: &mut Ring, offset: i64) {
        let sequence = ring.next_sequence();
        let key = RoundKey { ring: ring.key(), sequence };
        let mut entry = Vec::new();
        Entry::LogStart { offset: Offset(offset) }.write(0, &key, &mut entry);
        assert!(ring.make_room(entry.len() as u64));
        ring.write(sequence, 1, &[&entry]).unwrap();
    }

    #[test]
    fn fault_13_a_torn_round_does_not_pass_for_what_an_earlier_one_left_in_its_blocks() {
        let disk: Arc<dyn Disk> = SimulatedDisk::new(13);
        let directory = Path::new("/data");
        disk.create_dir_all(directory).unwrap();
        let identity = RingIdentity { directory_id: [1; 16], key: RingKey([2; 16]) };
        let files = RingFiles::new(Arc::clone(&disk), directory, identity, 0, 0);
        let files = Arc::new(files);
        (0..2).for_each(|_| files.make(4 * BLOCK).unwrap());
        let mut ring = Ring::fresh(files).unwrap();
        // Two in each file, so the first one is used again.
        (1..=5).for_each(|offset| write(&mut ring, offset));
        let path = directory.join(names::journal_file(1));
        let file = disk.open(&path, Open::ReadWrite).unwrap();
        let block = || {
            let mut bytes = vec![0; BLOCK as usize];
            file.read_exact_at(&mut bytes, 2 * BLOCK).unwrap();
            bytes
        };
        let mut torn = block();
        write(&mut ring, 6);
        let whole = block();
        let last = || Found::look(&*disk, directory, [1; 16]).unwrap().unwrap().last_sequence;
        assert_eq!(last(), 6);
        torn[..ROUND_HEADER_LEN].copy_from_slice(&whole[..ROUND_HEADER_LEN]);
        file.write_all_at(&[std::io::IoSlice::new(&torn)], 2 * BLOCK).unwrap();
        assert_eq!(last(), 5, "the entries are those of round 2");
    }
}

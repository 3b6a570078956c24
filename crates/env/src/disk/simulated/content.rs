//! The bytes of one file: what readers see, and what the device holds where the two differ.
//!
//! Pages are shared and sparse: a page of zeros costs a map entry, a hole costs nothing. What a
//! crash leaves of the difference is decided in `crash.rs`.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    io::IoSlice,
    ops::RangeInclusive,
    sync::Arc,
    time::SystemTime,
};

use crate::Random;

pub(super) const PAGE: usize = 4096;
pub(super) const SECTOR: usize = 512;
const PAGE_LEN: u64 = PAGE as u64;

/// One page; `None` is allocated and all zeros.
pub(super) type Page = Option<Arc<[u8; PAGE]>>;

/// The pages of a file; one that is missing is a hole.
pub(super) type Pages = BTreeMap<u64, Page>;

pub(super) struct Content {
    /// What readers see.
    pub(super) pages: Pages,
    pub(super) len: u64,
    pub(super) modified: SystemTime,
    /// The pages that the device alone has: a read of them has to wait for it.
    cold: BTreeSet<u64>,
    /// The device's version of each page that was written since the last sync.
    pub(super) dirty: BTreeMap<u64, Option<Page>>,
    /// The device's version of each page that a failed sync gave up: no later sync writes it.
    pub(super) given_up: BTreeMap<u64, Option<Page>>,
    /// The length on the device, and the smallest one that the file has had since the last sync.
    pub(super) durable_len: u64,
    pub(super) len_min: u64,
    /// The file's own chance, so that threads on other files do not change what happens here.
    pub(super) random: Random,
}

impl fmt::Debug for Content {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Content").field("len", &self.len).finish_non_exhaustive()
    }
}

impl Content {
    pub(super) fn new(random: Random, modified: SystemTime) -> Self {
        Self {
            pages: Pages::new(),
            len: 0,
            modified,
            cold: BTreeSet::new(),
            dirty: BTreeMap::new(),
            given_up: BTreeMap::new(),
            durable_len: 0,
            len_min: 0,
            random,
        }
    }

    pub(super) fn read(&mut self, buffer: &mut [u8], position: u64) -> usize {
        let available = self.len.saturating_sub(position);
        let count = buffer.len().min(usize::try_from(available).unwrap_or(usize::MAX));
        self.warm(position, count as u64);
        let buffer = buffer.get_mut(..count).unwrap_or_default();
        let mut rest = buffer;
        let mut at = position;
        while !rest.is_empty() {
            let (page, within) = split(at);
            let (chunk, others) = rest.split_at_mut(rest.len().min(PAGE - within));
            match self.pages.get(&page).and_then(Option::as_ref) {
                Some(bytes) => {
                    let from = bytes.get(within..within + chunk.len()).unwrap_or_default();
                    chunk.copy_from_slice(from);
                }
                None => chunk.fill(0),
            }
            at += chunk.len() as u64;
            rest = others;
        }
        count
    }

    /// Whether a range can be read without the device.
    pub(super) fn is_cached(&self, position: u64, len: u64) -> bool {
        len == 0 || self.cold.range(pages(position, len)).next().is_none()
    }

    /// Nothing is in memory any more.
    pub(super) fn cool(&mut self) {
        self.cold = self.pages.keys().copied().collect();
    }

    fn warm(&mut self, position: u64, len: u64) {
        if !self.cold.is_empty() && len > 0 {
            for page in pages(position, len) {
                self.cold.remove(&page);
            }
        }
    }

    /// Writes the first `room_pages` new pages and everything that needs none; whether all fitted.
    pub(super) fn write(&mut self, slices: &[IoSlice<'_>], position: u64, room: u64) -> bool {
        let mut room = room;
        let mut at = position;
        for slice in slices {
            let mut rest: &[u8] = slice;
            while !rest.is_empty() {
                let (page, within) = split(at);
                let (chunk, others) = rest.split_at(rest.len().min(PAGE - within));
                if !self.pages.contains_key(&page) {
                    if room == 0 {
                        return false;
                    }
                    room -= 1;
                }
                self.write_within(page, within, chunk);
                at += chunk.len() as u64;
                self.len = self.len.max(at);
                rest = others;
            }
        }
        true
    }

    /// Writes some of the sectors and never all of them.
    pub(super) fn write_torn(&mut self, slices: &[IoSlice<'_>], position: u64) {
        let bytes: Vec<u8> = slices.iter().flat_map(|slice| slice.iter().copied()).collect();
        let mut pieces = Vec::new();
        let mut rest: &[u8] = &bytes;
        let mut at = position;
        while !rest.is_empty() {
            let room = SECTOR - split(at).1 % SECTOR;
            let (piece, others) = rest.split_at(rest.len().min(room));
            pieces.push((at, piece));
            at += piece.len() as u64;
            rest = others;
        }
        let missing = self.random.below(pieces.len() as u64);
        for (index, (at, piece)) in pieces.into_iter().enumerate() {
            if index as u64 != missing && self.random.chance(1, 2) {
                self.write(&[IoSlice::new(piece)], at, u64::MAX);
            }
        }
    }

    fn write_within(&mut self, page: u64, within: usize, chunk: &[u8]) {
        self.remember(page);
        self.cold.remove(&page);
        let bytes = self.pages.entry(page).or_insert(None);
        if bytes.is_none() && is_zero(chunk) {
            return;
        }
        let bytes = Arc::make_mut(bytes.get_or_insert_with(|| Arc::new([0; PAGE])));
        if let Some(to) = bytes.get_mut(within..within + chunk.len()) {
            to.copy_from_slice(chunk);
        }
    }

    /// Keeps the device's version of a page that is about to change.
    fn remember(&mut self, page: u64) {
        let before = self.pages.get(&page);
        match self.dirty.get_mut(&page) {
            // Now and then the kernel had already written back what is about to change again.
            Some(device) if self.random.chance(1, 8) => *device = before.cloned(),
            Some(_) => {}
            None => {
                let device = self.given_up.remove(&page).unwrap_or_else(|| before.cloned());
                self.dirty.insert(page, device);
            }
        }
    }

    pub(super) fn set_len(&mut self, len: u64) {
        if len < self.len {
            let gone: Vec<u64> =
                self.pages.range(len / PAGE_LEN..).map(|(page, _)| *page).collect();
            for page in gone {
                self.remember(page);
            }
            self.len_min = self.len_min.min(len);
        }
        self.cut(len);
    }

    /// Changes the length and clears what lies beyond it, without a thought for the device.
    pub(super) fn cut(&mut self, len: u64) {
        let (last, within) = split(len);
        drop(self.pages.split_off(&(last + u64::from(within > 0))));
        if let Some(Some(bytes)) = self.pages.get_mut(&last) {
            Arc::make_mut(bytes).get_mut(within..).unwrap_or_default().fill(0);
        }
        self.len = len;
    }

    /// A sync that worked: the device holds what readers see, save what an earlier one gave up.
    pub(super) fn sync(&mut self) {
        self.dirty.clear();
        self.durable_len = self.len;
        self.len_min = self.len;
    }

    /// A sync that failed: the pages count as clean from now on, and never reached the device.
    pub(super) fn fail_sync(&mut self) {
        self.given_up.append(&mut self.dirty);
    }

    /// Drops what is cached, so that what a failed sync gave up is read as the device has it.
    pub(super) fn evict(&mut self) {
        self.cool();
        for (page, device) in std::mem::take(&mut self.given_up) {
            restore(&mut self.pages, page, device);
        }
        self.cut(self.len);
    }

    /// Starts writing back: some of the pages are on the device before anybody waits for it.
    pub(super) fn start_write_back(&mut self, position: u64, len: u64) {
        for (page, device) in self.dirty.range_mut(pages(position, len)) {
            if self.random.chance(1, 2) {
                *device = self.pages.get(page).cloned();
            }
        }
    }

    /// Turns one bit of a byte over, in memory and on the device.
    pub(super) fn flip_bit(&mut self, position: u64) {
        let (page, within) = split(position);
        let bit = 1 << self.random.below(8);
        let device = self.dirty.get_mut(&page).and_then(Option::as_mut);
        for bytes in [self.pages.get_mut(&page), device].into_iter().flatten() {
            let bytes = Arc::make_mut(bytes.get_or_insert_with(|| Arc::new([0; PAGE])));
            if let Some(byte) = bytes.get_mut(within) {
                *byte ^= bit;
            }
        }
    }
}

/// Puts the device's version of a page in its place.
pub(super) fn restore(pages: &mut Pages, page: u64, device: Option<Page>) {
    match device {
        Some(bytes) => drop(pages.insert(page, bytes)),
        None => drop(pages.remove(&page)),
    }
}

/// The pages that a range touches; one page where it is empty.
fn pages(position: u64, len: u64) -> RangeInclusive<u64> {
    position / PAGE_LEN..=position.saturating_add(len.saturating_sub(1)) / PAGE_LEN
}

fn split(position: u64) -> (u64, usize) {
    (position / PAGE_LEN, (position % PAGE_LEN) as usize)
}

fn is_zero(bytes: &[u8]) -> bool {
    let (words, rest) = bytes.as_chunks::<16>();
    words.iter().all(|word| u128::from_ne_bytes(*word) == 0) && rest.iter().all(|byte| *byte == 0)
}

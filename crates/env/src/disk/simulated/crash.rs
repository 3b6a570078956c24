//! What is left after the power failed.
//!
//! Of a file, each page written since its last sync is on the device or not, or only some of its
//! sectors are; a new length is there, or not, or part of the way. Of a folder, the changes since
//! its last sync are there up to some point, as ext4 would have it, or each for itself.

use std::sync::Arc;

use super::{
    content::{Content, PAGE, Page, SECTOR, restore},
    folder::{Change, Folder, FolderNode, Names, Node, lock},
};
use crate::Random;

/// How much of what was not synced outlives a power failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Survival {
    /// Whatever the seed decides, for each page and each name.
    BySeed,
    /// All of it, save what a failed sync gave up.
    Everything,
    /// None of it.
    Nothing,
}

/// A power failure under way.
#[derive(Debug)]
pub(super) struct Crash {
    pub(super) survival: Survival,
    /// Whether each change of a folder is kept or lost for itself.
    pub(super) names_in_any_order: bool,
    pub(super) random: Random,
}

impl Crash {
    /// Leaves of a folder, and of all below it, what is on the device.
    pub(super) fn strike(&mut self, folder: &FolderNode) {
        let mut folder = lock(folder);
        self.strike_names(&mut folder);
        for node in folder.names.values() {
            match node {
                Node::File(file) => self.strike_content(&mut lock(file)),
                Node::Folder(inner) => self.strike(inner),
            }
        }
    }

    fn strike_names(&mut self, folder: &mut Folder) {
        let changes = std::mem::take(&mut folder.changes);
        let count = changes.len() as u64;
        let kept = match self.survival {
            Survival::Everything => count,
            Survival::Nothing => 0,
            Survival::BySeed if self.names_in_any_order => count,
            Survival::BySeed => self.random.below(count + 1),
        };
        let each_for_itself = self.names_in_any_order && self.survival == Survival::BySeed;
        for change in changes.into_iter().take(usize::try_from(kept).unwrap_or(usize::MAX)) {
            if !each_for_itself || self.random.chance(1, 2) {
                apply(&mut folder.durable, change);
            }
        }
        folder.names = folder.durable.clone();
    }

    fn strike_content(&mut self, content: &mut Content) {
        let Content { pages, dirty, given_up, .. } = content;
        for (page, device) in std::mem::take(given_up) {
            restore(pages, page, device);
        }
        let dirty = std::mem::take(dirty);
        let (len, durable_len) = (content.len, content.durable_len);
        let (some_lost, len_left) = match self.fate() {
            Survival::Everything => (false, len),
            Survival::Nothing => {
                for (page, device) in dirty.clone() {
                    restore(pages, page, device);
                }
                (false, durable_len)
            }
            Survival::BySeed => (true, self.choose_len(content)),
        };
        if some_lost {
            for (page, device) in dirty {
                self.strike_page(content, page, device);
            }
        }
        // Nothing that lay beyond the end may show when the file grows again.
        content.cut(len_left);
        content.sync();
        content.cool();
    }

    /// A quarter of the files keep all, a quarter lose all, the rest is mixed.
    fn fate(&mut self) -> Survival {
        match self.survival {
            Survival::BySeed => match self.random.below(4) {
                0 => Survival::Everything,
                1 => Survival::Nothing,
                _ => Survival::BySeed,
            },
            decided => decided,
        }
    }

    fn choose_len(&mut self, content: &Content) -> u64 {
        let longest = content.len.max(content.durable_len);
        let between = longest - content.len_min.min(longest);
        match self.random.below(8) {
            0..3 => content.durable_len,
            3..6 => content.len,
            _ => longest - self.random.below(between.saturating_add(1)),
        }
    }

    fn strike_page(&mut self, content: &mut Content, page: u64, device: Option<Page>) {
        match self.random.below(4) {
            0 => {}
            1 => restore(&mut content.pages, page, device),
            _ => {
                let written = content.pages.get(&page).cloned().flatten();
                let torn = self.tear(written, device.flatten());
                content.pages.insert(page, torn);
            }
        }
    }

    /// Some sectors as they were written, the others as the device had them.
    fn tear(&mut self, written: Page, device: Page) -> Page {
        let mut torn = *written.unwrap_or_else(|| Arc::new([0; PAGE]));
        let device = *device.unwrap_or_else(|| Arc::new([0; PAGE]));
        for (to, from) in torn.chunks_mut(SECTOR).zip(device.chunks(SECTOR)) {
            if self.random.chance(1, 2) {
                to.copy_from_slice(from);
            }
        }
        Some(Arc::new(torn))
    }
}

fn apply(names: &mut Names, change: Change) {
    match change {
        Change::Put { name, node, .. } => {
            // Its earlier names are gone, even where the changes between were lost.
            names.retain(|_, other| !other.is(&node));
            names.insert(name, node);
        }
        Change::Remove { name, node } => {
            if names.get(&name).is_some_and(|other| other.is(&node)) {
                names.remove(&name);
            }
        }
    }
}

//! Names: what a folder holds, what of it the device knows, and the changes between the two.

use std::{
    collections::BTreeMap,
    io,
    path::{Component, Path},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::content::Content;

pub(super) type FileNode = Arc<Mutex<Content>>;
pub(super) type FolderNode = Arc<Mutex<Folder>>;

#[derive(Clone, Debug)]
pub(super) enum Node {
    File(FileNode),
    Folder(FolderNode),
}

impl Node {
    pub(super) fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::File(one), Self::File(other)) => Arc::ptr_eq(one, other),
            (Self::Folder(one), Self::Folder(other)) => Arc::ptr_eq(one, other),
            _ => false,
        }
    }
}

/// A change of names since the folder's last sync.
#[derive(Debug)]
pub(super) enum Change {
    /// A node came to a name, and left its earlier one if it was renamed.
    Put { name: String, node: Node, from: Option<String> },
    /// A name was taken from its node.
    Remove { name: String, node: Node },
}

pub(super) type Names = BTreeMap<String, Node>;

#[derive(Debug, Default)]
pub(super) struct Folder {
    /// What readers see.
    pub(super) names: Names,
    /// What the device knows.
    pub(super) durable: Names,
    pub(super) changes: Vec<Change>,
    /// Which of all changes on the machine was the last of its names.
    pub(super) changed_at: u64,
}

impl Folder {
    pub(super) fn put(&mut self, name: &str, node: Node, now: u64) {
        self.changed_at = now;
        self.names.insert(name.to_owned(), node.clone());
        self.changes.push(Change::Put { name: name.to_owned(), node, from: None });
    }

    pub(super) fn remove(&mut self, name: &str, now: u64) {
        self.changed_at = now;
        if let Some(node) = self.names.remove(name) {
            self.changes.push(Change::Remove { name: name.to_owned(), node });
        }
    }

    pub(super) fn rename(&mut self, from: &str, to: &str, now: u64) -> io::Result<()> {
        let node = self.names.get(from).ok_or(io::ErrorKind::NotFound)?.clone();
        if from == to {
            return Ok(());
        }
        match (&node, self.names.get(to)) {
            (Node::File(_), Some(Node::Folder(_))) => Err(io::ErrorKind::IsADirectory)?,
            (Node::Folder(_), Some(Node::File(_))) => Err(io::ErrorKind::NotADirectory)?,
            (_, Some(Node::Folder(replaced))) if !lock(replaced).names.is_empty() => {
                Err(io::ErrorKind::DirectoryNotEmpty)?;
            }
            _ => {}
        }
        self.changed_at = now;
        self.names.remove(from);
        self.names.insert(to.to_owned(), node.clone());
        let from = Some(from.to_owned());
        self.changes.push(Change::Put { name: to.to_owned(), node, from });
        Ok(())
    }

    /// Takes everything out, from the leaves up.
    pub(super) fn empty(&mut self, now: u64) {
        let names: Vec<String> = self.names.keys().cloned().collect();
        for name in names {
            if let Some(Node::Folder(folder)) = self.names.get(&name) {
                lock(folder).empty(now);
            }
            self.remove(&name, now);
        }
    }

    /// A sync that worked: the device knows every name that changed since the last one.
    pub(super) fn sync(&mut self) {
        for change in self.changes.drain(..) {
            let touched = match change {
                Change::Put { name, from, .. } => [Some(name), from],
                Change::Remove { name, .. } => [Some(name), None],
            };
            for name in touched.into_iter().flatten() {
                match self.names.get(&name) {
                    Some(node) => drop(self.durable.insert(name, node.clone())),
                    None => drop(self.durable.remove(&name)),
                }
            }
        }
    }

    /// A sync that failed: the changes count as synced from now on, and never were.
    pub(super) fn fail_sync(&mut self) {
        self.changes.clear();
    }
}

/// Calls `on_file` for every file below a folder and `on_folder` for every folder, itself included.
pub(super) fn walk(
    folder: &FolderNode,
    on_folder: &mut impl FnMut(&mut Folder),
    on_file: &mut impl FnMut(&mut Content),
) {
    let nodes: Vec<Node> = {
        let mut folder = lock(folder);
        on_folder(&mut folder);
        folder.names.values().cloned().collect()
    };
    for node in nodes {
        match node {
            Node::File(file) => on_file(&mut lock(&file)),
            Node::Folder(folder) => walk(&folder, on_folder, on_file),
        }
    }
}

/// The node of a path. `..` is refused: nobody needs it.
pub(super) fn find(root: &FolderNode, path: &Path) -> io::Result<Node> {
    let mut node = Node::Folder(Arc::clone(root));
    for name in components(path)? {
        let Node::Folder(folder) = node else {
            return Err(io::ErrorKind::NotADirectory.into());
        };
        node = lock(&folder).names.get(name).ok_or(io::ErrorKind::NotFound)?.clone();
    }
    Ok(node)
}

pub(super) fn find_folder(root: &FolderNode, path: &Path) -> io::Result<FolderNode> {
    match find(root, path)? {
        Node::Folder(folder) => Ok(folder),
        Node::File(_) => Err(io::ErrorKind::NotADirectory.into()),
    }
}

/// The folder that a path's last name stands in, and that name.
pub(super) fn find_parent<'a>(
    root: &FolderNode,
    path: &'a Path,
) -> io::Result<(FolderNode, &'a str)> {
    let name = components(path)?.pop().ok_or(io::ErrorKind::InvalidInput)?;
    Ok((find_folder(root, path.parent().unwrap_or(Path::new("")))?, name))
}

pub(super) fn components(path: &Path) -> io::Result<Vec<&str>> {
    let mut names = Vec::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => {
                names.push(name.to_str().ok_or(io::ErrorKind::InvalidInput)?)
            }
            Component::RootDir | Component::CurDir => {}
            Component::ParentDir | Component::Prefix(_) => Err(io::ErrorKind::InvalidInput)?,
        }
    }
    Ok(names)
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

//! Whose directory it is: the cluster, the node and the directory itself (`meta.properties`).
//! Data under a foreign name is refused, never adopted and never deleted.

use std::path::{Path, PathBuf};

use milena_env::Disk;
use milena_protocol::Uuid;

use crate::{
    error::StorageError,
    meta_properties::MetaProperties,
    names::{self, PartitionFolder},
};

/// Who opens a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirectoryIdentity {
    /// `None` takes the directory's own, or `new_cluster_id` where it is new.
    pub cluster_id: Option<String>,
    pub new_cluster_id: String,
    pub node_id: i32,
    /// What the directory is called if it is new.
    pub new_directory_id: Uuid,
}

impl DirectoryIdentity {
    /// Reads the directory's name, or gives it one; refuses another cluster's or node's.
    pub(super) fn claim(
        &self,
        disk: &dyn Disk,
        directory: &Path,
    ) -> Result<MetaProperties, StorageError> {
        let path = directory.join(names::META_PROPERTIES);
        let Some(mut meta) = MetaProperties::load(disk, &path)? else {
            let meta = MetaProperties {
                cluster_id: self.cluster_id.clone().unwrap_or_else(|| self.new_cluster_id.clone()),
                node_id: self.node_id,
                directory_id: Some(self.new_directory_id),
            };
            meta.store(disk, &path)?;
            return Ok(meta);
        };
        judge(directory, &meta, self.cluster_id.as_deref(), self.node_id)?;
        if meta.directory_id.is_none() {
            meta.directory_id = Some(self.new_directory_id);
            meta.store(disk, &path)?;
        }
        Ok(meta)
    }
}

/// Whether all of these can be one node's log directories, asked before any of them is changed;
/// gives back the cluster that they belong to, if one is not new. One that cannot be looked at is
/// left to whoever opens it.
pub fn check_directories(
    disk: &dyn Disk,
    directories: &[PathBuf],
    node_id: i32,
) -> Result<Option<String>, StorageError> {
    let mut cluster: Option<String> = None;
    for directory in directories {
        if disk.is_locked(&directory.join(names::LOCK)).unwrap_or(false) {
            return Err(StorageError::InUse(directory.clone()));
        }
        match MetaProperties::load(disk, &directory.join(names::META_PROPERTIES)) {
            Ok(Some(meta)) => {
                judge(directory, &meta, cluster.as_deref(), node_id)?;
                cluster.get_or_insert(meta.cluster_id);
            }
            Ok(None) => refuse_nameless(disk, directory)?,
            Err(StorageError::Io { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(cluster)
}

/// Refuses another cluster's directory, and another node's.
fn judge(
    directory: &Path,
    meta: &MetaProperties,
    cluster_id: Option<&str>,
    node_id: i32,
) -> Result<(), StorageError> {
    let refuse = |what: &str, theirs: &str, ours: &str| StorageError::Foreign {
        path: directory.to_owned(),
        reason: format!(
            "belongs to {what} {theirs}, and this is {what} {ours}; choose another log.dirs, or \
             remove the directory if its data are of no use"
        ),
    };
    if let Some(ours) = cluster_id.filter(|id| **id != meta.cluster_id) {
        return Err(refuse("cluster", &meta.cluster_id, ours));
    }
    if meta.node_id != node_id {
        return Err(refuse("node", &meta.node_id.to_string(), &node_id.to_string()));
    }
    Ok(())
}

/// Refuses what nobody has named and yet seems to hold somebody's records: taken for new, all of
/// them would be strangers, and set aside.
fn refuse_nameless(disk: &dyn Disk, directory: &Path) -> Result<(), StorageError> {
    let Ok(entries) = disk.list(directory) else { return Ok(()) };
    let is_data = |name: &str| {
        PartitionFolder::parse(name).is_some() || names::parse_journal_file(name).is_some()
    };
    let Some(entry) = entries.iter().find(|entry| is_data(&entry.name)) else { return Ok(()) };
    Err(StorageError::Foreign {
        path: directory.to_owned(),
        reason: format!(
            "holds {} but no {}, so that nobody knows whose it is; choose another log.dirs, or put \
             that file back",
            entry.name,
            names::META_PROPERTIES
        ),
    })
}

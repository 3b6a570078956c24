//! Whose directory it is: the cluster, the node and the directory itself (`meta.properties`).
//! Data under a foreign name is refused, never adopted and never deleted.

use std::path::Path;

use milena_env::Disk;
use milena_protocol::Uuid;

use crate::{error::StorageError, meta_properties::MetaProperties, names};

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
        let found = MetaProperties::load(disk, &path)?;
        let refuse = |what: &str, theirs: &str, ours: &str| StorageError::Foreign {
            path: directory.to_owned(),
            reason: format!(
                "belongs to {what} {theirs}, and this is {what} {ours}; choose another log.dirs, \
                 or remove the directory if its data are of no use"
            ),
        };
        let Some(mut meta) = found else {
            let meta = MetaProperties {
                cluster_id: self.cluster_id.clone().unwrap_or_else(|| self.new_cluster_id.clone()),
                node_id: self.node_id,
                directory_id: Some(self.new_directory_id),
            };
            meta.store(disk, &path)?;
            return Ok(meta);
        };
        if let Some(ours) = self.cluster_id.as_ref().filter(|id| **id != meta.cluster_id) {
            return Err(refuse("cluster", &meta.cluster_id, ours));
        }
        if meta.node_id != self.node_id {
            return Err(refuse("node", &meta.node_id.to_string(), &self.node_id.to_string()));
        }
        if meta.directory_id.is_none() {
            meta.directory_id = Some(self.new_directory_id);
            meta.store(disk, &path)?;
        }
        Ok(meta)
    }
}

//! OffsetCommit: a member, or a tool, says how far the group has come.

use milena_protocol::{
    ProducerId, Uuid,
    group::{Key, OffsetCommitKey, OffsetCommitValue, Value},
};

use super::{
    super::{
        super::{Scene, TooLarge, Transition, WriteError},
        Group, GroupError, Groups, record,
    },
    Commit,
};

/// What a commit's record takes beside its strings, at most.
const COMMIT_BYTES: usize = 128;

/// Who commits: a member of the group, or somebody with no part in it (no id, generation below 0).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Committer<'a> {
    pub(crate) member_id: &'a str,
    pub(crate) instance_id: Option<&'a str>,
    /// Or the member's epoch.
    pub(crate) generation: i32,
    /// Of the request: what old clients are told depends on it.
    pub(crate) version: i16,
}

#[derive(Clone, Debug)]
pub(crate) struct CommitRequest<'a> {
    pub(crate) group: &'a str,
    pub(crate) committer: Committer<'a>,
    /// How long the offsets are to be kept, where an old client says so; else -1.
    pub(crate) retention_ms: i64,
    pub(crate) topics: Vec<TopicCommit<'a>>,
}

#[derive(Clone, Debug)]
pub(crate) struct TopicCommit<'a> {
    pub(crate) name: &'a str,
    pub(crate) id: Uuid,
    pub(crate) partitions: Vec<PartitionCommit<'a>>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct PartitionCommit<'a> {
    pub(crate) index: i32,
    pub(crate) offset: i64,
    pub(crate) leader_epoch: i32,
    pub(crate) metadata: &'a str,
}

impl Groups {
    /// All of it is committed, or nothing.
    pub(crate) fn commit(
        &mut self,
        request: &CommitRequest<'_>,
        scene: &mut Scene<'_>,
    ) -> Result<(), GroupError> {
        let commit = |group: &mut Group| group.commit(request, scene);
        let committer = &request.committer;
        // Who is no member may keep offsets under a name that no group has.
        let done = if committer.generation < 0 {
            self.on_new_group(request.group, commit)
        } else {
            self.on_group(request.group, commit)
        };
        let done = done.unwrap_or_else(|| {
            Err(if committer.version >= 9 {
                GroupError::GroupIdNotFound(request.group.to_owned())
            } else {
                GroupError::IllegalGeneration
            })
        });
        let is_member = committer.generation >= 0;
        let by =
            if is_member { Transition::CommittedByMember } else { Transition::CommittedByOther };
        done.inspect(|()| scene.count(by)).map_err(|error| error.counted(scene))
    }
}

impl Groups {
    /// TxnOffsetCommit: the same, as part of a producer's transaction. It counts when that ends.
    pub(crate) fn commit_in_transaction(
        &mut self,
        producer: ProducerId,
        request: &CommitRequest<'_>,
        scene: &mut Scene<'_>,
    ) -> Result<(), GroupError> {
        let commit = |group: &mut Group| {
            group.check_commit_in_transaction(request)?;
            check_room(request, scene)?;
            let mut commits = Vec::new();
            for topic in &request.topics {
                for partition in &topic.partitions {
                    // Kafka leaves out which topic of the name it is.
                    let id = Uuid::ZERO;
                    let commit = push(request, topic.name, id, partition, scene)?;
                    commits.push((topic.name, partition.index, commit));
                }
            }
            Ok(commits)
        };
        let done = if request.committer.generation < 0 {
            self.on_new_group(request.group, commit)
        } else {
            self.on_group(request.group, commit)
        };
        for (topic, partition, commit) in done.unwrap_or(Err(GroupError::IllegalGeneration))? {
            self.pending.put(producer, request.group, topic, partition, commit);
        }
        self.on_new_group(request.group, |_| ());
        Ok(())
    }
}

impl Group {
    fn commit(
        &mut self,
        request: &CommitRequest<'_>,
        scene: &mut Scene<'_>,
    ) -> Result<(), GroupError> {
        self.check_commit(request, scene)?;
        check_room(request, scene)?;
        for topic in &request.topics {
            for partition in &topic.partitions {
                let commit = push(request, topic.name, topic.id, partition, scene)?;
                self.offsets.put(topic.name, partition.index, commit);
            }
        }
        Ok(())
    }
}

/// Whether all of it fits into one batch.
fn check_room(request: &CommitRequest<'_>, scene: &Scene<'_>) -> Result<(), GroupError> {
    let size = |topic: &TopicCommit<'_>| {
        let names = request.group.len() + topic.name.len();
        let each = |it: &PartitionCommit<'_>| COMMIT_BYTES + names + it.metadata.len();
        topic.partitions.iter().map(each).sum::<usize>()
    };
    let room = scene.effects.room();
    if request.topics.iter().map(size).sum::<usize>() > room {
        return Err(WriteError::from(TooLarge(room)).into());
    }
    Ok(())
}

/// Has a commit written down, and says what it is.
fn push(
    request: &CommitRequest<'_>,
    topic: &str,
    topic_id: Uuid,
    partition: &PartitionCommit<'_>,
    scene: &mut Scene<'_>,
) -> Result<Commit, GroupError> {
    let now = scene.now.wall_ms;
    let value = OffsetCommitValue {
        offset: partition.offset,
        leader_epoch: partition.leader_epoch,
        metadata: partition.metadata,
        commit_timestamp: now,
        expire_timestamp: match request.retention_ms {
            -1 => -1,
            retention => now.saturating_add(retention),
        },
        topic_id,
    };
    let (group, partition) = (request.group, partition.index);
    let key = Key::OffsetCommit(OffsetCommitKey { group, topic, partition });
    let at = record::push(scene, &key, Some(&Value::OffsetCommit(value.clone())))?;
    Ok(Commit::read(at, &value))
}

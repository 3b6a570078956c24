//! Whom this node voted for, in Kafka's `quorum-state`.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use milena_env::Disk;
use serde_json::{Value, json};

use super::types::Vote;

const FILE: &str = "quorum-state";

#[derive(Debug)]
pub(super) struct VoteFile {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    node_id: i32,
    last: Option<Vote>,
}

impl VoteFile {
    pub(super) fn open(disk: Arc<dyn Disk>, folder: &Path, node_id: i32) -> std::io::Result<Self> {
        let path = folder.join(FILE);
        let last = match disk.read(&path) {
            Ok(bytes) => Some(parse(&bytes).ok_or_else(|| {
                let message = format!("{} is not a quorum state", path.display());
                std::io::Error::new(std::io::ErrorKind::InvalidData, message)
            })?),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        Ok(Self { disk, path, node_id, last })
    }

    /// The vote, never as won: whoever led before has to win again, in a new epoch, since what it
    /// appended last may be lost.
    pub(super) const fn last(&self) -> Option<Vote> {
        self.last
    }

    /// Returns when a crash cannot undo it.
    pub(super) fn save(&mut self, vote: &Vote) -> std::io::Result<()> {
        let uncommitted = Vote { committed: false, ..*vote };
        // That it was won makes no difference to a restart.
        if self.last == Some(uncommitted) {
            return Ok(());
        }
        self.disk.replace(&self.path, &format(&uncommitted, self.node_id))?;
        self.last = Some(uncommitted);
        Ok(())
    }
}

fn format(vote: &Vote, node_id: i32) -> Vec<u8> {
    let voted = vote.leader_id.voted_for.unwrap_or(-1);
    let state = json!({
        // Apache Kafka would go on in an epoch that it only stood for; of one that it led, as it
        // reads here, it begins the next.
        "leaderId": if voted == node_id { voted } else { -1 },
        "leaderEpoch": vote.leader_id.term,
        "votedId": voted,
        "votedDirectoryId": milena_protocol::Uuid::ZERO.to_string(),
        "data_version": 1,
    });
    state.to_string().into_bytes()
}

fn parse(bytes: &[u8]) -> Option<Vote> {
    let state: Value = serde_json::from_slice(bytes).ok()?;
    let number = |name: &str| state.get(name).and_then(Value::as_i64);
    let epoch = u64::try_from(number("leaderEpoch")?).ok()?;
    // Kafka writes the one or the other.
    let voted = [number("votedId"), number("leaderId")].into_iter().flatten().find(|id| *id >= 0);
    let mut vote = Vote::new(epoch, 0);
    vote.leader_id.voted_for = voted.and_then(|id| i32::try_from(id).ok());
    Some(vote)
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn a_vote_is_read_as_written_and_as_kafka_writes_it() {
        let vote = Vote::new(7, 3);
        assert_eq!(parse(&format(&vote, 3)), Some(vote));
        assert_eq!(parse(&format(&vote, 1)), Some(vote));
        let old = br#"{"clusterId":"","leaderId":1,"leaderEpoch":2,"votedId":-1,"appliedOffset":0,
            "currentVoters":[{"voterId":1}],"data_version":0}"#;
        assert_eq!(parse(old), Some(Vote::new(2, 1)));
        let nobody = br#"{"leaderId":-1,"leaderEpoch":2,"votedId":-1,"data_version":1}"#;
        assert_eq!(parse(nobody).unwrap().leader_id.voted_for, None);
        assert_eq!(parse(b"{}"), None);
        assert_eq!(parse(b"x"), None);
    }
}

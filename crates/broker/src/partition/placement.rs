//! Where each partition lies, told to the controller (AssignReplicasToDirs) by a broker with
//! several log directories. A partition whose directory cannot be opened at the next start must not
//! be begun anew in another one, and what the metadata say of it decides that.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use milena_metadata::controller::AssignReplicasToDirs;
use milena_protocol::{
    Uuid,
    api::{
        AssignReplicasToDirsRequest,
        assign_replicas_to_dirs::request::{DirectoryData, PartitionData, TopicData},
    },
};

use crate::broker::Broker;

/// How soon it is told that a partition lies elsewhere.
pub(crate) const LOOK: Duration = Duration::from_secs(1);
/// So many at once, as Kafka's brokers do it.
const PARTITIONS_MAX: usize = 2250;

/// Partitions by directory and topic.
type Places = BTreeMap<Uuid, BTreeMap<Uuid, Vec<i32>>>;

/// What is known to be told.
#[derive(Debug, Default)]
pub(crate) struct Told {
    /// How often the partitions had changed when all of them were where the metadata say.
    changes: Option<u64>,
}

impl Told {
    /// Tells the controller what it does not know yet; what fails is told the next time.
    pub(crate) async fn tell(&mut self, broker: &Arc<Broker>) {
        let changes = broker.partitions.changes();
        if self.changes == Some(changes) {
            return;
        }
        let Some(places) = unknown(broker) else { return };
        if places.is_empty() {
            self.changes = Some(changes);
            return;
        }
        let request = AssignReplicasToDirsRequest {
            broker_id: broker.node_id,
            broker_epoch: broker.metadata.broker_epoch(),
            directories: places.into_iter().map(directory).collect(),
        };
        match broker.metadata.call::<AssignReplicasToDirs>(&request).await {
            Ok(answer) => match answer.message().map(|answer| answer.error_code) {
                Ok(0) => {}
                refused => tracing::warn!(?refused, "where partitions lie was not taken in"),
            },
            Err(error) => tracing::warn!(%error, "where partitions lie cannot be told"),
        }
    }
}

/// The partitions that lie elsewhere than the metadata say; `None` where these do not know of one.
fn unknown(broker: &Broker) -> Option<Places> {
    let image = broker.image();
    let (mut places, mut count) = (Places::new(), 0);
    for topic in broker.partitions.all() {
        let known = image.topics.by_id(topic.id)?;
        for partition in topic.partitions() {
            let index = partition.index();
            let assigned = known.partition(index)?.directory(broker.node_id);
            let lies = broker.directory_of(&partition.log).and_then(|it| it.meta().directory_id);
            if let Some(lies) = lies.filter(|lies| assigned != Some(*lies))
                && count < PARTITIONS_MAX
            {
                count += 1;
                places.entry(lies).or_default().entry(topic.id).or_default().push(index);
            }
        }
    }
    Some(places)
}

fn directory((id, topics): (Uuid, BTreeMap<Uuid, Vec<i32>>)) -> DirectoryData {
    let partition = |partition_index| PartitionData { partition_index };
    let topics = topics.into_iter().map(|(topic_id, partitions)| TopicData {
        topic_id,
        partitions: partitions.into_iter().map(partition).collect(),
    });
    DirectoryData { id, topics: topics.collect() }
}

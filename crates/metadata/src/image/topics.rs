//! Topics by name and by id, and the names that would collide with them.

use std::sync::Arc;

use milena_protocol::Uuid;

use super::{partition::Partition, shard_map::ShardMap};

/// Partitions are kept in chunks, of which a change copies one.
const CHUNK: usize = 64;

/// No cluster has a topic of so many partitions; a record that says so is not believed.
const PARTITION_ID_MAX: usize = 10_000_000;

#[derive(Clone, Debug, PartialEq)]
pub struct Topic {
    pub name: Arc<str>,
    pub id: Uuid,
    chunks: Vec<Arc<Vec<Option<Partition>>>>,
    partition_count: u32,
}

impl Topic {
    fn new(name: Arc<str>, id: Uuid) -> Self {
        Self { name, id, chunks: Vec::new(), partition_count: 0 }
    }

    #[must_use]
    pub const fn partition_count(&self) -> usize {
        self.partition_count as usize
    }

    #[must_use]
    pub fn partition(&self, id: i32) -> Option<&Partition> {
        let at = usize::try_from(id).ok()?;
        self.chunks.get(at / CHUNK)?.get(at % CHUNK)?.as_ref()
    }

    /// Every partition with its number, in the order of the numbers.
    pub fn partitions(&self) -> impl Iterator<Item = (i32, &Partition)> {
        let numbered = self.chunks.iter().enumerate().flat_map(|(chunk, partitions)| {
            partitions
                .iter()
                .enumerate()
                .map(move |(at, partition)| (chunk * CHUNK + at, partition))
        });
        numbered.filter_map(|(id, partition)| Some((id as i32, partition.as_ref()?)))
    }

    /// The replicas of most partitions: how often the topic is replicated.
    #[must_use]
    pub fn replication_factor(&self) -> usize {
        self.partition(0).map_or(0, |partition| partition.replicas.len())
    }

    fn set_partition(&mut self, id: i32, partition: Partition) -> bool {
        let Some(at) = usize::try_from(id).ok().filter(|id| *id <= PARTITION_ID_MAX) else {
            return false;
        };
        if self.chunks.len() <= at / CHUNK {
            self.chunks.resize_with(at / CHUNK + 1, Arc::default);
        }
        let Some(chunk) = self.chunks.get_mut(at / CHUNK).map(Arc::make_mut) else { return false };
        if chunk.len() <= at % CHUNK {
            chunk.reserve_exact(at % CHUNK + 1 - chunk.len());
            chunk.resize_with(at % CHUNK + 1, || None);
        }
        let Some(place) = chunk.get_mut(at % CHUNK) else { return false };
        self.partition_count += u32::from(place.is_none());
        *place = Some(partition);
        true
    }

    fn partition_mut(&mut self, id: i32) -> Option<&mut Partition> {
        self.partition(id)?;
        let at = usize::try_from(id).ok()?;
        Arc::make_mut(self.chunks.get_mut(at / CHUNK)?).get_mut(at % CHUNK)?.as_mut()
    }
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Topics {
    by_id: ShardMap<Uuid, Arc<Topic>>,
    ids: ShardMap<Arc<str>, Uuid>,
    /// Names with a dot or an underscore, by what they become in metrics.
    colliding: ShardMap<Box<str>, Vec<Arc<str>>>,
    partition_count: usize,
}

impl Topics {
    #[must_use]
    pub const fn len(&self) -> usize {
        self.by_id.len()
    }

    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.by_id.len() == 0
    }

    /// The partitions of all topics together.
    #[must_use]
    pub const fn partition_count(&self) -> usize {
        self.partition_count
    }

    #[must_use]
    pub fn by_name(&self, name: &str) -> Option<&Arc<Topic>> {
        self.by_id.get(self.ids.get(name)?)
    }

    #[must_use]
    pub fn by_id(&self, id: Uuid) -> Option<&Arc<Topic>> {
        self.by_id.get(&id)
    }

    #[must_use]
    pub fn id(&self, name: &str) -> Option<Uuid> {
        self.ids.get(name).copied()
    }

    #[must_use]
    pub fn partition(&self, topic: Uuid, partition: i32) -> Option<&Partition> {
        self.by_id(topic)?.partition(partition)
    }

    /// Every topic, in no order that means anything.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Topic>> {
        self.by_id.iter().map(|(_, topic)| topic)
    }

    /// Every topic, in the order of the names.
    #[must_use]
    pub fn sorted(&self) -> Vec<&Arc<Topic>> {
        let mut all: Vec<_> = self.iter().collect();
        all.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        all
    }

    /// A topic whose name would be the same in metrics, where `.` and `_` are one.
    #[must_use]
    pub fn colliding_with(&self, name: &str) -> Option<&Arc<str>> {
        self.colliding.get(metric_name(name)?.as_str())?.first()
    }

    pub(super) fn insert(&mut self, name: &str, id: Uuid) -> bool {
        if self.ids.get(name).is_some() || self.by_id.get(&id).is_some() {
            return false;
        }
        let name: Arc<str> = name.into();
        if let Some(metric) = metric_name(&name) {
            match self.colliding.get_mut(metric.as_str()) {
                Some(names) => names.push(Arc::clone(&name)),
                None => drop(self.colliding.insert(metric.into(), vec![Arc::clone(&name)])),
            }
        }
        self.by_id.insert(id, Arc::new(Topic::new(Arc::clone(&name), id)));
        self.ids.insert(name, id);
        true
    }

    pub(super) fn remove(&mut self, id: Uuid) -> Option<Arc<Topic>> {
        let topic = self.by_id.remove(&id)?;
        self.ids.remove(&topic.name);
        self.partition_count -= topic.partition_count();
        if let Some(metric) = metric_name(&topic.name)
            && let Some(names) = self.colliding.get_mut(metric.as_str())
        {
            names.retain(|name| *name != topic.name);
            if names.is_empty() {
                self.colliding.remove(metric.as_str());
            }
        }
        Some(topic)
    }

    /// Says whether there is such a topic and the number can be believed.
    pub(super) fn set_partition(&mut self, id: Uuid, number: i32, partition: Partition) -> bool {
        let Some(topic) = self.by_id.get_mut(&id).map(Arc::make_mut) else { return false };
        let before = topic.partition_count();
        let is_set = topic.set_partition(number, partition);
        self.partition_count += topic.partition_count() - before;
        is_set
    }

    pub(super) fn partition_mut(&mut self, id: Uuid, number: i32) -> Option<&mut Partition> {
        self.partition(id, number)?;
        Arc::make_mut(self.by_id.get_mut(&id)?).partition_mut(number)
    }
}

/// What a name becomes in metrics, if it has a character that is lost there.
fn metric_name(name: &str) -> Option<String> {
    name.contains(['.', '_']).then(|| name.replace('.', "_"))
}

//! Topics: made, listed, described, deleted.

use milena_protocol::{
    ErrorCode, Uuid,
    api::{
        CreateTopicsRequest, DeleteTopicsRequest, MetadataRequest,
        create_topics::request::{
            CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig,
        },
        delete_topics::request::DeleteTopicState,
        metadata::request::MetadataRequestTopic,
    },
};

use super::{Admin, Each, To, done, unless_later};
use crate::{
    Topic,
    cluster::View,
    error::{Error, Result},
    network::{CreateTopics, DeleteTopics, Metadata},
};

/// A topic to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewTopic {
    name: Box<str>,
    placement: TopicPlacement,
    configs: Vec<(Box<str>, Box<str>)>,
}

/// Where the partitions of a new topic are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TopicPlacement {
    /// The controller chooses; what is not given is the cluster's default.
    Chosen {
        /// How many partitions.
        partitions: Option<i32>,
        /// How many brokers hold each.
        replication_factor: Option<i16>,
    },
    /// The brokers of each partition, the preferred leader first.
    Given(Vec<Vec<i32>>),
}

/// A topic that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CreatedTopic {
    /// Its id; zero from old brokers.
    pub id: Uuid,
    /// How many partitions it has; -1 if the broker does not say.
    pub partitions: i32,
    /// How many brokers hold each; -1 if the broker does not say.
    pub replication_factor: i16,
}

/// A topic with its partitions.
pub type TopicDescription = Topic;

impl NewTopic {
    /// A topic of this name, all else as is the cluster's default.
    #[must_use]
    pub fn new(name: &str) -> Self {
        let placement = TopicPlacement::Chosen { partitions: None, replication_factor: None };
        Self { name: name.into(), placement, configs: Vec::new() }
    }

    /// How many partitions it has.
    #[must_use]
    pub fn partitions(mut self, count: i32) -> Self {
        let replication_factor = match self.placement {
            TopicPlacement::Chosen { replication_factor, .. } => replication_factor,
            TopicPlacement::Given(_) => None,
        };
        let partitions = Some(count);
        self.placement = TopicPlacement::Chosen { partitions, replication_factor };
        self
    }

    /// How many brokers hold each partition.
    #[must_use]
    pub fn replication_factor(mut self, count: i16) -> Self {
        let partitions = match self.placement {
            TopicPlacement::Chosen { partitions, .. } => partitions,
            TopicPlacement::Given(_) => None,
        };
        let replication_factor = Some(count);
        self.placement = TopicPlacement::Chosen { partitions, replication_factor };
        self
    }

    /// Which brokers hold each partition, the preferred leader first.
    #[must_use]
    pub fn placed(mut self, replicas: Vec<Vec<i32>>) -> Self {
        self.placement = TopicPlacement::Given(replicas);
        self
    }

    /// Makes one setting of the topic.
    #[must_use]
    pub fn config(mut self, key: &str, value: &str) -> Self {
        self.configs.push((key.into(), value.into()));
        self
    }

    fn request(&self) -> CreatableTopic<'_> {
        let (num_partitions, replication_factor, assignments) = match &self.placement {
            TopicPlacement::Chosen { partitions, replication_factor } => {
                (partitions.unwrap_or(-1), replication_factor.unwrap_or(-1), Vec::new())
            }
            TopicPlacement::Given(replicas) => {
                let of_one = |(partition_index, broker_ids): (i32, &Vec<i32>)| {
                    CreatableReplicaAssignment { partition_index, broker_ids: broker_ids.clone() }
                };
                (-1, -1, (0..).zip(replicas).map(of_one).collect())
            }
        };
        let configs = self.configs.iter();
        let configs =
            configs.map(|(name, value)| CreatableTopicConfig { name, value: Some(value) });
        CreatableTopic {
            name: &self.name,
            num_partitions,
            replication_factor,
            assignments,
            configs: configs.collect(),
        }
    }
}

impl Admin {
    /// Makes topics.
    pub async fn create_topics(&self, topics: &[NewTopic]) -> Result<Each<Box<str>, CreatedTopic>> {
        self.creating(topics, false).await
    }

    /// Says what would become of these topics, and makes none.
    pub async fn validate_topics(
        &self,
        topics: &[NewTopic],
    ) -> Result<Each<Box<str>, CreatedTopic>> {
        self.creating(topics, true).await
    }

    async fn creating(
        &self,
        topics: &[NewTopic],
        validate_only: bool,
    ) -> Result<Each<Box<str>, CreatedTopic>> {
        let request = CreateTopicsRequest {
            topics: topics.iter().map(NewTopic::request).collect(),
            timeout_ms: self.request_timeout_ms(),
            validate_only,
        };
        self.ask::<CreateTopics, _>("create topics", To::Controller, &request, |answer| {
            let message = answer.message()?;
            let topics = message.topics.iter().map(|topic| {
                let created = CreatedTopic {
                    id: topic.topic_id,
                    partitions: topic.num_partitions,
                    replication_factor: topic.replication_factor,
                };
                let what = format!("create topic {}", topic.name);
                let result = done(what, topic.error_code, topic.error_message, created);
                (topic.name.into(), result)
            });
            unless_later(topics.collect())
        })
        .await
    }

    /// Deletes topics and all that is in them.
    pub async fn delete_topics(&self, names: &[&str]) -> Result<Each<Box<str>>> {
        let topics = names.iter();
        let topics = topics.map(|name| DeleteTopicState { name: Some(name), topic_id: Uuid::ZERO });
        let request = DeleteTopicsRequest {
            topics: topics.collect(),
            topic_names: names.to_vec(),
            timeout_ms: self.request_timeout_ms(),
        };
        self.ask::<DeleteTopics, _>("delete topics", To::Controller, &request, |answer| {
            let message = answer.message()?;
            let topics = message.responses.iter().map(|topic| {
                let name = topic.name.unwrap_or_default();
                let what = format!("delete topic {name}");
                (name.into(), done(what, topic.error_code, topic.error_message, ()))
            });
            unless_later(topics.collect())
        })
        .await
    }

    /// All topics, in the order of their names.
    pub async fn list_topics(&self) -> Result<Vec<TopicDescription>> {
        let topics = self.topics(None).await?;
        Ok(topics.into_iter().filter_map(|(_, topic)| topic.ok()).collect())
    }

    /// These topics with their partitions. One that is not there is not created.
    pub async fn describe_topics(
        &self,
        names: &[&str],
    ) -> Result<Each<Box<str>, TopicDescription>> {
        if names.is_empty() {
            return Ok(Vec::new());
        }
        let mut found = self.topics(Some(names)).await?;
        let rank = |name: &str| names.iter().position(|asked| *asked == name);
        found.sort_by_key(|(name, _)| rank(name));
        Ok(found)
    }

    async fn topics(&self, names: Option<&[&str]>) -> Result<Each<Box<str>, TopicDescription>> {
        let topic = |name| MetadataRequestTopic { name: Some(name), topic_id: Uuid::ZERO };
        let request = MetadataRequest {
            topics: names.map(|names| names.iter().map(|name| topic(*name)).collect()),
            // To look is not to make.
            allow_auto_topic_creation: false,
            ..Default::default()
        };
        self.ask::<Metadata, _>("describe topics", To::Any, &request, |answer| {
            let message = answer.message()?;
            Error::check("describe topics", message.error_code, None)?;
            let view = View::default().updated(&message, |_| true);
            let topics = view.topics.into_iter().map(|(name, topic)| {
                let topic = match topic.error {
                    ErrorCode::None => Ok((*topic).clone()),
                    code => Err(Error::broker(format!("describe topic {name}"), code)),
                };
                (name, topic)
            });
            unless_later(topics.collect())
        })
        .await
    }
}

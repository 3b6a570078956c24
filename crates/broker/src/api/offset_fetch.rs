//! OffsetFetch: how far have groups come?

use milena_env::HashSet;
use milena_metadata::image::MetadataImage;
use milena_protocol::{
    ErrorCode, Uuid,
    api::{
        OffsetFetchRequest, OffsetFetchResponse,
        offset_fetch::response::{
            OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions,
            OffsetFetchResponseTopic, OffsetFetchResponseTopics,
        },
    },
};

use super::{Call, Outcome};
use crate::{
    authorizer::{Operation, Resource},
    coordinator::group::offsets::{Commit, Committed, PendingCommits},
    error_map::ToCode,
    limits::OFFSET_FETCH_PARTITIONS_MAX,
};

/// One group that is asked about, whatever version asks.
struct Question<'a> {
    group: &'a str,
    member_id: Option<&'a str>,
    member_epoch: i32,
    /// What a transaction may still change is not to be told.
    must_be_stable: bool,
    /// Without any, all that there is.
    topics: Option<Vec<Wanted<'a>>>,
}

struct Wanted<'a> {
    name: &'a str,
    id: Uuid,
    partitions: &'a [i32],
}

struct Found {
    name: Box<str>,
    id: Uuid,
    partitions: Vec<FoundPartition>,
}

struct FoundPartition {
    index: i32,
    /// Boxed, because most that is asked about has none.
    commit: Option<Box<Commit>>,
    code: ErrorCode,
}

impl FoundPartition {
    const fn refused(index: i32, code: ErrorCode) -> Self {
        Self { index, commit: None, code }
    }
}

pub(super) async fn handle(call: &Call<'_>, request: OffsetFetchRequest<'_>) -> Outcome {
    let image = call.broker().image();
    let asks_too_much = partition_count(&request) > OFFSET_FETCH_PARTITIONS_MAX;
    if call.version < 8 {
        if asks_too_much && call.version < 2 {
            // There is no code for the whole of it.
            return Outcome::close(&"too many partitions in an OffsetFetch");
        }
        let topics = request.topics.as_ref().map(|topics| {
            let wanted = topics.iter().map(|topic| Wanted {
                name: topic.name,
                id: Uuid::ZERO,
                partitions: &topic.partition_indexes,
            });
            wanted.collect()
        });
        let question = Question {
            group: request.group_id,
            member_id: None,
            member_epoch: -1,
            must_be_stable: request.require_stable,
            topics,
        };
        let found = match asks_too_much {
            true => Err(ErrorCode::InvalidRequest),
            false => fetch(call, &image, &question).await,
        };
        return answer_old(call, &question, found);
    }
    let mut found = Vec::with_capacity(request.groups.len());
    let mut seen = HashSet::default();
    for group in &request.groups {
        // A short request shall not make an answer of any length.
        if asks_too_much || !seen.insert(group.group_id) {
            found.push((group.group_id, Err(ErrorCode::InvalidRequest)));
            continue;
        }
        let topics = group.topics.as_ref().map(|topics| {
            let wanted = topics.iter().map(|topic| {
                let known = image.topics.by_id(topic.topic_id).filter(|_| call.version >= 10);
                Wanted {
                    name: known.map_or(topic.name, |known| &known.name),
                    id: topic.topic_id,
                    partitions: &topic.partition_indexes,
                }
            });
            wanted.collect()
        });
        let question = Question {
            group: group.group_id,
            member_id: group.member_id,
            member_epoch: group.member_epoch,
            must_be_stable: request.require_stable,
            topics,
        };
        found.push((group.group_id, fetch(call, &image, &question).await));
    }
    let groups = found.iter().map(|(group_id, found)| OffsetFetchResponseGroup {
        group_id,
        topics: found.as_ref().map_or_else(|_| Vec::new(), |found| tell(found)),
        error_code: found.as_ref().err().copied().unwrap_or(ErrorCode::None) as i16,
    });
    call.answer(&OffsetFetchResponse { groups: groups.collect(), ..Default::default() })
}

fn partition_count(request: &OffsetFetchRequest<'_>) -> usize {
    let topics = request.topics.iter().flatten().map(|it| it.partition_indexes.len());
    let of_groups = request.groups.iter().flat_map(|group| group.topics.iter().flatten());
    topics.chain(of_groups.map(|it| it.partition_indexes.len())).sum()
}

async fn fetch(
    call: &Call<'_>,
    image: &MetadataImage,
    question: &Question<'_>,
) -> Result<Vec<Found>, ErrorCode> {
    if !call.may(Operation::Describe, Resource::Group(question.group)) {
        return Err(ErrorCode::GroupAuthorizationFailed);
    }
    let may = |topic: &str| call.may(Operation::Describe, Resource::Topic(topic));
    let mut refused = Vec::new();
    let mut wanted = Vec::new();
    for topic in question.topics.iter().flatten() {
        let code = if call.version >= 10 && topic.name.is_empty() {
            ErrorCode::UnknownTopicId
        } else if !may(topic.name) {
            ErrorCode::TopicAuthorizationFailed
        } else {
            wanted.push(topic);
            continue;
        };
        let partitions = topic.partitions.iter().map(|it| FoundPartition::refused(*it, code));
        let (name, id) = (topic.name.into(), topic.id);
        refused.push(Found { name, id, partitions: partitions.collect() });
    }
    let all = question.topics.is_none();
    let look = |committed: &Committed, pending: &PendingCommits| {
        let mut found = if all { everything(committed) } else { some(committed, &wanted) };
        if question.must_be_stable {
            refuse_pending(question.group, &mut found, pending);
        }
        found
    };
    let asked = call.ask_group(question.group, |groups, _| {
        groups.fetch(question.group, question.member_id, question.member_epoch, look)
    });
    let found = asked.await.map_err(|error| error.code())?;
    // A group that nobody has heard of has committed nothing.
    let mut found = found.unwrap_or_else(|| some(&Committed::default(), &wanted));
    if all {
        found.retain_mut(|topic| {
            if call.version >= 10 {
                topic.id = image.topics.id(&topic.name).unwrap_or_default();
            }
            may(&topic.name) && (call.version < 10 || topic.id != Uuid::ZERO)
        });
    }
    found.append(&mut refused);
    Ok(found)
}

fn refuse_pending(group: &str, found: &mut [Found], pending: &PendingCommits) {
    for topic in found {
        for partition in &mut topic.partitions {
            if pending.is_pending(group, &topic.name, partition.index) {
                let code = ErrorCode::UnstableOffsetCommit;
                *partition = FoundPartition::refused(partition.index, code);
            }
        }
    }
}

fn everything(committed: &Committed) -> Vec<Found> {
    let mut found: Vec<Found> = Vec::new();
    for (topic, index, commit) in committed.iter() {
        let partition =
            FoundPartition { index, commit: Some(commit.clone().into()), code: ErrorCode::None };
        match found.last_mut().filter(|last| &*last.name == topic) {
            Some(last) => last.partitions.push(partition),
            None => found.push(Found {
                name: topic.into(),
                id: Uuid::ZERO,
                partitions: vec![partition],
            }),
        }
    }
    found
}

fn some<'a>(committed: &Committed, wanted: &[&Wanted<'a>]) -> Vec<Found> {
    let mut seen = HashSet::default();
    let of_topic = |topic: &&Wanted<'a>| {
        let partitions = topic.partitions.iter().map(|index| {
            let commit = committed.get(topic.name, *index);
            // It may carry much metadata: the same holds here.
            if commit.is_some() && !seen.insert((topic.name, *index)) {
                return FoundPartition::refused(*index, ErrorCode::InvalidRequest);
            }
            let commit = commit.filter(|commit| commit.is_of(topic.id)).cloned().map(Box::new);
            FoundPartition { index: *index, commit, code: ErrorCode::None }
        });
        Found { name: topic.name.into(), id: topic.id, partitions: partitions.collect() }
    };
    wanted.iter().map(of_topic).collect()
}

fn tell(found: &[Found]) -> Vec<OffsetFetchResponseTopics<'_>> {
    let partition = |it: &'_ FoundPartition| {
        let commit = it.commit.as_ref();
        OffsetFetchResponsePartitions {
            partition_index: it.index,
            committed_offset: commit.map_or(-1, |commit| commit.offset),
            committed_leader_epoch: commit.map_or(-1, |commit| commit.leader_epoch),
            metadata: Some(""),
            error_code: it.code as i16,
        }
    };
    let topics = found.iter().map(|topic| OffsetFetchResponseTopics {
        name: &topic.name,
        topic_id: topic.id,
        partitions: topic
            .partitions
            .iter()
            .map(|it| OffsetFetchResponsePartitions {
                metadata: Some(metadata(it)),
                ..partition(it)
            })
            .collect(),
    });
    topics.collect()
}

fn metadata(partition: &FoundPartition) -> &str {
    partition.commit.as_ref().map_or("", |commit| &commit.metadata)
}

/// Before version 8 one group was asked about; the oldest have no code for the whole of it.
fn answer_old(
    call: &Call<'_>,
    question: &Question<'_>,
    found: Result<Vec<Found>, ErrorCode>,
) -> Outcome {
    let (found, code) = match found {
        Ok(found) => (found, ErrorCode::None),
        Err(code) if call.version >= 2 => (Vec::new(), code),
        Err(code) => {
            let refused = |topic: &Wanted<'_>| {
                let partitions = topic.partitions.iter();
                let partitions = partitions.map(|it| FoundPartition::refused(*it, code)).collect();
                Found { name: topic.name.into(), id: topic.id, partitions }
            };
            (question.topics.iter().flatten().map(refused).collect(), code)
        }
    };
    let topics = found.iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|it| OffsetFetchResponsePartition {
            partition_index: it.index,
            committed_offset: it.commit.as_ref().map_or(-1, |commit| commit.offset),
            committed_leader_epoch: it.commit.as_ref().map_or(-1, |commit| commit.leader_epoch),
            metadata: Some(metadata(it)),
            error_code: it.code as i16,
        });
        OffsetFetchResponseTopic { name: &topic.name, partitions: partitions.collect() }
    });
    call.answer(&OffsetFetchResponse {
        topics: topics.collect(),
        error_code: code as i16,
        ..Default::default()
    })
}

//! A transactional producer of a few lines, and what readers of committed records see of its work.
//!
//! It tries again what Kafka's clients try again, and hides nothing else.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    time::{Duration, Instant},
};

use milena_protocol::{
    ErrorCode, Offset, ProducerEpoch, ProducerId,
    api::{
        AddOffsetsToTxnRequest, AddOffsetsToTxnResponse, AddPartitionsToTxnRequest,
        AddPartitionsToTxnResponse, ApiKey, EndTxnRequest, EndTxnResponse, FetchRequest,
        FetchResponse, FindCoordinatorRequest, FindCoordinatorResponse, InitProducerIdRequest,
        InitProducerIdResponse, OffsetFetchRequest, OffsetFetchResponse, ProduceRequest,
        TxnOffsetCommitRequest, TxnOffsetCommitResponse,
        add_partitions_to_txn::request::AddPartitionsToTxnTopic,
        offset_fetch::request::{OffsetFetchRequestGroup, OffsetFetchRequestTopics},
        txn_offset_commit::request::{
            TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
        },
    },
    records::{BatchBuilder, Batches, Budget, ControlType, Scratch},
};

use crate::{
    client::{Client, Produced, built, code, fetch_request, produce_request, produced},
    member::Member,
};

/// How long something is tried again before a test gives up on it.
const PATIENCE: Duration = Duration::from_secs(30);

/// What passes by itself.
pub(crate) const PASSING: [ErrorCode; 6] = [
    ErrorCode::ConcurrentTransactions,
    ErrorCode::CoordinatorLoadInProgress,
    ErrorCode::CoordinatorNotAvailable,
    ErrorCode::NotCoordinator,
    ErrorCode::NotEnoughReplicas,
    ErrorCode::NotLeaderOrFollower,
];

#[derive(Clone, Debug)]
pub(crate) struct Producer {
    pub(crate) transactional_id: String,
    /// The transaction version that it speaks: 0 or 2.
    version: i16,
    timeout_ms: i32,
    pub(crate) id: i64,
    pub(crate) epoch: i16,
    sequences: BTreeMap<(String, i32), i32>,
    /// Partitions that its transaction has, where it has to say so itself.
    added: BTreeSet<(String, i32)>,
}

/// Asks until the answer is one that stays.
pub(crate) fn patiently(mut ask: impl FnMut() -> io::Result<ErrorCode>) -> io::Result<ErrorCode> {
    let begin = Instant::now();
    loop {
        let code = ask()?;
        if !PASSING.contains(&code) {
            return Ok(code);
        }
        assert!(begin.elapsed() < PATIENCE, "{code:?} does not pass");
        std::thread::sleep(Duration::from_millis(5));
    }
}

impl Producer {
    pub(crate) fn new(transactional_id: &str, version: i16) -> Self {
        Self {
            transactional_id: transactional_id.to_owned(),
            version,
            timeout_ms: 60_000,
            id: -1,
            epoch: -1,
            sequences: BTreeMap::new(),
            added: BTreeSet::new(),
        }
    }

    pub(crate) fn with_timeout(self, timeout_ms: i32) -> Self {
        Self { timeout_ms, ..self }
    }

    /// Comes under its transactional id, whoever was there before.
    pub(crate) fn init(&mut self, client: &mut Client) -> io::Result<ErrorCode> {
        patiently(|| {
            let request = FindCoordinatorRequest {
                key_type: 1,
                coordinator_keys: vec![&self.transactional_id],
                ..Default::default()
            };
            let answer = client.call(ApiKey::FindCoordinator, 4, &request)?;
            let found: FindCoordinatorResponse<'_> = answer.read();
            Ok(code(found.coordinators[0].error_code))
        })?;
        patiently(|| self.init_once(client))
    }

    pub(crate) fn init_once(&mut self, client: &mut Client) -> io::Result<ErrorCode> {
        let request = InitProducerIdRequest {
            transactional_id: Some(&self.transactional_id),
            transaction_timeout_ms: self.timeout_ms,
            producer_id: -1,
            producer_epoch: -1,
            ..Default::default()
        };
        let answer = client.call(ApiKey::InitProducerId, 4, &request)?;
        let told: InitProducerIdResponse = answer.read();
        if told.error_code == 0 {
            self.is_now(told.producer_id, told.producer_epoch);
        }
        Ok(code(told.error_code))
    }

    fn is_now(&mut self, id: i64, epoch: i16) {
        (self.id, self.epoch) = (id, epoch);
        self.sequences.clear();
        self.added.clear();
    }

    pub(crate) fn produce(
        &mut self,
        client: &mut Client,
        topic: &str,
        partition: i32,
        value: &str,
    ) -> io::Result<ErrorCode> {
        let added = patiently(|| self.add_where_wanted_once(client, topic, partition))?;
        if added != ErrorCode::None {
            return Ok(added);
        }
        patiently(|| self.produce_once(client, topic, partition, value))
    }

    /// Whether the partition is to be added before it is written to.
    pub(crate) fn wants_to_add(&self, topic: &str, partition: i32) -> bool {
        self.version < 2 && !self.added.contains(&(topic.to_owned(), partition))
    }

    /// Whether the partition has a batch of its epoch.
    pub(crate) fn has_written(&self, topic: &str, partition: i32) -> bool {
        let is_added = !self.wants_to_add(topic, partition);
        let sequence = self.sequences.get(&(topic.to_owned(), partition));
        is_added && sequence.is_some_and(|sequence| *sequence > 0)
    }

    pub(crate) fn add_where_wanted_once(
        &mut self,
        client: &mut Client,
        topic: &str,
        partition: i32,
    ) -> io::Result<ErrorCode> {
        if !self.wants_to_add(topic, partition) {
            return Ok(ErrorCode::None);
        }
        let told = self.add_once(client, topic, partition)?;
        if told == ErrorCode::None {
            self.added.insert((topic.to_owned(), partition));
        }
        Ok(told)
    }

    pub(crate) fn add_once(
        &self,
        client: &mut Client,
        name: &str,
        partition: i32,
    ) -> io::Result<ErrorCode> {
        let request = AddPartitionsToTxnRequest {
            v3_and_below_transactional_id: &self.transactional_id,
            v3_and_below_producer_id: self.id,
            v3_and_below_producer_epoch: self.epoch,
            v3_and_below_topics: vec![AddPartitionsToTxnTopic {
                name,
                partitions: vec![partition],
            }],
            ..Default::default()
        };
        let answer = client.call(ApiKey::AddPartitionsToTxn, 3, &request)?;
        let told: AddPartitionsToTxnResponse<'_> = answer.read();
        let topic = &told.results_by_topic_v3_and_below[0];
        Ok(code(topic.results_by_partition[0].partition_error_code))
    }

    /// Sends the next batch; if it is refused the same one is next again.
    pub(crate) fn produce_once(
        &mut self,
        client: &mut Client,
        topic: &str,
        partition: i32,
        value: &str,
    ) -> io::Result<ErrorCode> {
        Ok(self.send_once(client, topic, partition, value, 0)?.code)
    }

    /// The same with a gap of so many records before it, in full.
    pub(crate) fn send_once(
        &mut self,
        client: &mut Client,
        topic: &str,
        partition: i32,
        value: &str,
        gap: i32,
    ) -> io::Result<Produced> {
        let sequence = self.sequences.entry((topic.to_owned(), partition)).or_default();
        let builder = BatchBuilder::new(Offset(0))
            .with_producer(ProducerId(self.id), ProducerEpoch(self.epoch), *sequence + gap)
            .with_transactional();
        let batch = built(builder, &[value]);
        let request = produce_request(topic, -1, &[(partition, &batch)]);
        let transactional_id = Some(self.transactional_id.as_str());
        let request = ProduceRequest { transactional_id, ..request };
        let version = if self.version < 2 { 11 } else { 12 };
        let told = produced(&client.call(ApiKey::Produce, version, &request)?).remove(0);
        if told.code == ErrorCode::None {
            *sequence += 1;
        }
        Ok(told)
    }

    /// Says, within its transaction, how far a group has come whose members are not known.
    pub(crate) fn commit_offset(
        &mut self,
        client: &mut Client,
        group: &str,
        (topic, partition): (&str, i32),
        offset: i64,
    ) -> io::Result<ErrorCode> {
        let added = patiently(|| self.add_offsets_once(client, group))?;
        if added != ErrorCode::None {
            return Ok(added);
        }
        let nobody = Member::of(group);
        patiently(|| self.commit_offset_once(client, &nobody, (topic, partition), offset))
    }

    /// Adds the group to its transaction, where it has to say so itself.
    pub(crate) fn add_offsets_once(
        &self,
        client: &mut Client,
        group_id: &str,
    ) -> io::Result<ErrorCode> {
        if self.version >= 2 {
            return Ok(ErrorCode::None);
        }
        let request = AddOffsetsToTxnRequest {
            transactional_id: &self.transactional_id,
            producer_id: self.id,
            producer_epoch: self.epoch,
            group_id,
        };
        let answer = client.call(ApiKey::AddOffsetsToTxn, 3, &request)?;
        Ok(code(answer.read::<AddOffsetsToTxnResponse>().error_code))
    }

    pub(crate) fn commit_offset_once(
        &self,
        client: &mut Client,
        member: &Member,
        (name, partition_index): (&str, i32),
        committed_offset: i64,
    ) -> io::Result<ErrorCode> {
        let partition = TxnOffsetCommitRequestPartition {
            partition_index,
            committed_offset,
            ..Default::default()
        };
        let request = TxnOffsetCommitRequest {
            transactional_id: &self.transactional_id,
            group_id: &member.group,
            producer_id: self.id,
            producer_epoch: self.epoch,
            generation_id: member.generation,
            member_id: &member.id,
            group_instance_id: member.instance_id,
            topics: vec![TxnOffsetCommitRequestTopic { name, partitions: vec![partition] }],
        };
        let version = if self.version < 2 { 4 } else { 5 };
        let answer = client.call(ApiKey::TxnOffsetCommit, version, &request)?;
        let told: TxnOffsetCommitResponse<'_> = answer.read();
        Ok(code(told.topics[0].partitions[0].error_code))
    }

    pub(crate) fn end(&mut self, client: &mut Client, committed: bool) -> io::Result<ErrorCode> {
        patiently(|| self.end_once(client, committed))
    }

    pub(crate) fn end_once(
        &mut self,
        client: &mut Client,
        committed: bool,
    ) -> io::Result<ErrorCode> {
        let request = EndTxnRequest {
            transactional_id: &self.transactional_id,
            producer_id: self.id,
            producer_epoch: self.epoch,
            committed,
        };
        let version = if self.version < 2 { 4 } else { 5 };
        let answer = client.call(ApiKey::EndTxn, version, &request)?;
        let told: EndTxnResponse = answer.read();
        if told.error_code == 0 {
            self.added.clear();
            if self.version >= 2 {
                self.is_now(told.producer_id, told.producer_epoch);
            }
        }
        Ok(code(told.error_code))
    }
}

impl Client {
    /// How far a group has come in a partition, -1 for nowhere; who wants it stable is told where
    /// a transaction may still change it.
    pub(crate) fn offset_of(
        &mut self,
        group_id: &str,
        place: (&str, i32),
        require_stable: bool,
    ) -> io::Result<Result<i64, ErrorCode>> {
        loop {
            match self.offset_of_once(group_id, place, require_stable)? {
                Err(passing) if PASSING.contains(&passing) => {}
                told => return Ok(told),
            }
        }
    }

    pub(crate) fn offset_of_once(
        &mut self,
        group_id: &str,
        (name, partition): (&str, i32),
        require_stable: bool,
    ) -> io::Result<Result<i64, ErrorCode>> {
        let topic = OffsetFetchRequestTopics {
            name,
            partition_indexes: vec![partition],
            ..Default::default()
        };
        let group =
            OffsetFetchRequestGroup { group_id, topics: Some(vec![topic]), ..Default::default() };
        let groups = vec![group];
        let request = OffsetFetchRequest { groups, require_stable, ..Default::default() };
        let answer = self.call(ApiKey::OffsetFetch, 9, &request)?;
        let fetched: OffsetFetchResponse<'_> = answer.read();
        let group = &fetched.groups[0];
        if group.error_code != 0 {
            return Ok(Err(code(group.error_code)));
        }
        let told = &group.topics[0].partitions[0];
        Ok(match code(told.error_code) {
            ErrorCode::None => Ok(told.committed_offset),
            refused => Err(refused),
        })
    }

    /// What a reader of committed records sees, and the last stable offset.
    pub(crate) fn read_committed(&mut self, topic: &str, partition: i32) -> (Vec<String>, i64) {
        let (mut values, mut next) = (Vec::new(), 0);
        loop {
            let told = self.read_once(topic, partition, next, 1).unwrap().unwrap();
            values.extend(told.values.into_iter().map(|(_, value)| value));
            if told.next == next {
                return (values, told.stable);
            }
            next = told.next;
        }
    }

    /// What one fetch tells a reader of this isolation level. It filters as consumers do: by the
    /// list of aborted transactions, and by markers.
    pub(crate) fn read_once(
        &mut self,
        topic: &str,
        partition: i32,
        from: i64,
        isolation_level: i8,
    ) -> io::Result<Result<Read, ErrorCode>> {
        let request = fetch_request(topic, partition, from);
        let request = FetchRequest { isolation_level, ..request };
        let answer = self.call(ApiKey::Fetch, 12, &request)?;
        let response: FetchResponse<'_> = answer.read();
        let told = &response.responses[0].partitions[0];
        if told.error_code != 0 {
            return Ok(Err(code(told.error_code)));
        }
        let mut aborted: Vec<_> = told.aborted_transactions.iter().flatten().collect();
        aborted.sort_by_key(|it| it.first_offset);
        let mut aborted = aborted.into_iter().peekable();
        let (mut gone, mut scratch) = (BTreeSet::new(), Scratch::default());
        let (mut values, mut next) = (Vec::new(), from);
        let records = told.records.as_ref().and_then(|records| records.as_slice());
        for batch in &mut Batches::checking(records.unwrap_or_default()) {
            let header = *batch.header();
            while let Some(it) = aborted.next_if(|it| it.first_offset <= header.last_offset().0) {
                gone.insert(it.producer_id);
            }
            for record in batch.records(&mut scratch, Budget::default()).unwrap() {
                let record = record.unwrap();
                if header.attributes.is_control() {
                    let kind = record.key.and_then(ControlType::from_key);
                    if kind == Some(ControlType::Abort) {
                        gone.remove(&header.producer_id.0);
                    }
                } else if record.offset.0 >= from && !gone.contains(&header.producer_id.0) {
                    let value = record.value.unwrap_or_default();
                    values.push((record.offset.0, String::from_utf8(value.to_vec()).unwrap()));
                }
            }
            next = header.next_offset().0;
        }
        let (stable, high_watermark) = (told.last_stable_offset, told.high_watermark);
        Ok(Ok(Read { values, next, stable, high_watermark }))
    }
}

/// What one fetch tells a reader.
#[derive(Clone, Debug)]
pub(crate) struct Read {
    pub(crate) values: Vec<(i64, String)>,
    pub(crate) next: i64,
    pub(crate) stable: i64,
    pub(crate) high_watermark: i64,
}

//! A transactional producer that asks one thing at a time, and bears whatever becomes of it: it
//! writes records of its own, or copies of others together with how far it has come.

use std::io;

use milena_env::Random;
use milena_protocol::ErrorCode;

use super::{
    History, INSTANCE, PARTITIONS,
    history::{Commit, Fence, LATEST, OUT, Place, Sent, Transaction},
    reader::look,
};
use crate::{
    client::{Client, Fate},
    member::Member,
    producer::{PASSING, Producer},
};

/// What keeps a producer from being heard ever again.
const FENCED: [ErrorCode; 3] = [
    ErrorCode::InvalidProducerEpoch,
    ErrorCode::ProducerFenced,
    ErrorCode::InvalidProducerIdMapping,
];

/// What keeps a member from being heard ever again.
const REPLACED: [ErrorCode; 3] =
    [ErrorCode::FencedInstanceId, ErrorCode::UnknownMemberId, ErrorCode::IllegalGeneration];

/// Whose records it copies.
#[derive(Clone, Debug)]
pub(super) struct Source {
    pub(super) group: &'static str,
    pub(super) place: Place,
    /// Each of its producers comes by another transactional id, so that the group alone says which
    /// of them may commit.
    pub(super) member: Option<Member>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum State {
    #[default]
    Coming,
    Finding,
    Writing,
    Committing,
    Ending,
    /// There is nothing left for it to do, or nobody hears it.
    Gone,
}

#[derive(Clone, Debug)]
pub(super) struct Worker {
    name: String,
    version: i16,
    timeout_ms: i32,
    pub(super) source: Option<Source>,
    pub(super) state: State,
    /// Somebody else has come in its place.
    pub(super) is_zombie: bool,
    /// How many came by its name.
    lives: u32,
    producer: Producer,
    /// Its transaction in the history, its next record there, and how it shall end.
    transaction: usize,
    next: usize,
    commits: bool,
    /// It makes no mistakes, and aborts nothing.
    pub(super) is_calm: bool,
}

impl Worker {
    pub(super) fn new(name: String, version: i16, timeout_ms: i32, source: Option<Source>) -> Self {
        let producer = Producer::new(&name, version);
        Self {
            name,
            version,
            timeout_ms,
            source,
            state: State::Coming,
            is_zombie: false,
            lives: 0,
            producer,
            transaction: 0,
            next: 0,
            commits: true,
            is_calm: false,
        }
    }

    /// Somebody else comes in its place; it does not know, and goes on.
    pub(super) fn replace(&mut self) -> Self {
        let zombie = Self { is_zombie: true, ..self.clone() };
        self.come();
        zombie
    }

    pub(super) fn come(&mut self) {
        self.lives += 1;
        let mut name = self.name.clone();
        if let Some(Source { member: Some(member), .. }) = &mut self.source {
            name = format!("{name}-{}", self.lives);
            *member = Member::of(&member.group);
            member.instance_id = Some(INSTANCE);
            // News of a member begin a generation; most of the time there are none.
            member.protocols[0].1 = (self.lives / 3).to_be_bytes().to_vec();
        }
        self.producer = Producer::new(&name, self.version).with_timeout(self.timeout_ms);
        self.state = State::Coming;
    }

    /// Before transaction version 2 nothing tells a late request of one transaction from one of
    /// the next, if it has no sequence: these are not late then, as nobody is kept from it.
    fn soften(&self, client: &mut Client) {
        let is_told_apart = self.version >= 2 || self.state == State::Writing;
        if !is_told_apart && client.fate != Fate::Answered {
            client.fate = Fate::AnswerLost;
        }
    }

    /// Asks one thing, and answers with the record that it was about, if any.
    pub(super) fn act(
        &mut self,
        client: &mut Client,
        history: &mut History,
        random: &mut Random,
        gap: bool,
    ) -> String {
        self.soften(client);
        let mut value = String::new();
        let told = match self.state {
            State::Coming => self.ask_for_epoch(client, history),
            State::Finding => {
                self.begin(client, history, random);
                return value;
            }
            State::Writing => {
                value = history.transactions[self.transaction].sent[self.next].value.clone();
                match gap {
                    true => {
                        self.leave_a_gap(client, history, &value);
                        return value;
                    }
                    false => self.write(client, history, &value),
                }
            }
            State::Committing => self.commit(client, history),
            State::Ending => self.end(client, history),
            State::Gone => return value,
        };
        match told {
            Ok(ErrorCode::None) => {}
            Ok(refused) => self.was_refused(refused, history),
            Err(_) => history.count("lost answer"),
        }
        value
    }

    fn was_refused(&mut self, refused: ErrorCode, history: &mut History) {
        let passing = [ErrorCode::KafkaStorageError, ErrorCode::RequestTimedOut];
        if PASSING.contains(&refused) || passing.contains(&refused) {
            return;
        }
        // What it asks to be committed was aborted in the meantime.
        let is_too_late = self.state == State::Ending && refused == ErrorCode::InvalidTxnState;
        if FENCED.contains(&refused) || is_too_late {
            history.count("fenced");
            match self.is_zombie {
                // It tries what it can.
                true if self.state == State::Writing || self.state == State::Committing => {
                    self.commits = true;
                    self.state = State::Ending;
                }
                true => self.state = State::Gone,
                false => self.come(),
            }
        } else if REPLACED.contains(&refused) && self.state == State::Committing {
            history.count("member replaced");
            self.commits = false;
            self.state = State::Ending;
        } else {
            let transaction = history.transactions.get(self.transaction);
            panic!("{refused:?} for {self:?} in {transaction:?}");
        }
    }

    fn ask_for_epoch(
        &mut self,
        client: &mut Client,
        history: &mut History,
    ) -> io::Result<ErrorCode> {
        if let Some(Source { member: Some(member), .. }) = &mut self.source
            && member.generation < 0
        {
            // Losing answers of members is the stories' of groups.
            client.fate = Fate::Answered;
            if let Err(refused) = member.join(client)? {
                if REPLACED.contains(&refused) {
                    // The broker was gone before it knew of it for good.
                    member.id.clear();
                    return Ok(ErrorCode::None);
                }
                return Ok(refused);
            }
            let mine = [(member.id.clone(), b"all of it".to_vec())];
            if let Err(refused) = member.sync(client, &mine)? {
                member.generation = -1;
                return Ok(refused);
            }
            return Ok(ErrorCode::None);
        }
        let told = self.producer.init_once(client)?;
        if told == ErrorCode::None {
            let Producer { id, epoch, .. } = self.producer;
            let at = history.now();
            let transactional_id = self.producer.transactional_id.clone();
            history.fences.push(Fence { transactional_id, producer: id, epoch, at });
            self.state = State::Finding;
        }
        Ok(told)
    }

    /// Finds what it does next, and begins a transaction.
    fn begin(&mut self, client: &mut Client, history: &mut History, random: &mut Random) {
        let mut transaction = Transaction {
            transactional_id: self.producer.transactional_id.clone(),
            producer: self.producer.id,
            epoch: self.producer.epoch,
            ..Transaction::default()
        };
        let mut count = 1 + random.below(5) as i64;
        let mut first = 0;
        if let Some(source) = &self.source {
            let Some(from) = look(client, history, (source.group, source.place)) else { return };
            count = count.min(history.inputs[&source.place] - from);
            if count == 0 {
                self.state = State::Gone;
                return;
            }
            first = from;
            let offset = from + count;
            transaction.commit =
                Some(Commit { place: source.place, offset, is_pending_since: None });
        }
        for number in first..first + count {
            let place = match random.chance(1, 4) && self.source.is_none() {
                true => (LATEST, random.below(2) as i32),
                false => (OUT, random.below(PARTITIONS as u64) as i32),
            };
            transaction.sent.push(Sent {
                place,
                value: format!("{} of {}", history.now(), self.producer.transactional_id),
                copy_of: self.source.as_ref().map(|source| source.place),
                number,
                acknowledged: Vec::new(),
            });
        }
        self.transaction = history.transactions.len();
        history.transactions.push(transaction);
        self.next = 0;
        self.commits = self.is_calm || random.chance(3, 4);
        self.state = State::Writing;
    }

    fn write(
        &mut self,
        client: &mut Client,
        history: &mut History,
        value: &str,
    ) -> io::Result<ErrorCode> {
        let (topic, partition) = history.transactions[self.transaction].sent[self.next].place;
        if self.producer.wants_to_add(topic, partition) {
            return self.producer.add_where_wanted_once(client, topic, partition);
        }
        let told = self.producer.send_once(client, topic, partition, value, 0)?;
        if told.code == ErrorCode::None {
            history.acknowledged(value, told.base_offset);
            self.next += 1;
            let transaction = &history.transactions[self.transaction];
            if self.next == transaction.sent.len() {
                let has_offset = transaction.commit.is_some();
                self.state = if has_offset { State::Committing } else { State::Ending };
            }
        }
        Ok(told.code)
    }

    /// Sends a record of which it says that others came before it.
    fn leave_a_gap(&mut self, client: &mut Client, history: &mut History, value: &str) {
        let (topic, partition) = history.transactions[self.transaction].sent[self.next].place;
        // Before transaction version 2 a partition takes any sequence from whom it does not know.
        if self.version < 2 && !self.producer.has_written(topic, partition) {
            return;
        }
        client.fate = Fate::Answered;
        let value = format!("behind a gap before {value}");
        let told = self.producer.send_once(client, topic, partition, &value, 2);
        let told = told.ok().map(|it| it.code);
        if told == Some(ErrorCode::OutOfOrderSequenceNumber) {
            history.count("gap refused");
        }
        history.gaps.push((value, told));
    }

    fn commit(&mut self, client: &mut Client, history: &mut History) -> io::Result<ErrorCode> {
        let Some(source) = &self.source else { return Ok(ErrorCode::None) };
        let Some(Commit { place, offset, .. }) = history.transactions[self.transaction].commit
        else {
            return Ok(ErrorCode::None);
        };
        let added = self.producer.add_offsets_once(client, source.group)?;
        if added != ErrorCode::None {
            return Ok(added);
        }
        let nobody = Member::of(source.group);
        let member = source.member.as_ref().unwrap_or(&nobody);
        let told = self.producer.commit_offset_once(client, member, place, offset)?;
        if told == ErrorCode::None {
            let now = history.now();
            let commit = &mut history.transactions[self.transaction].commit;
            commit.as_mut().unwrap().is_pending_since = Some(now);
            self.state = State::Ending;
        }
        Ok(told)
    }

    fn end(&mut self, client: &mut Client, history: &mut History) -> io::Result<ErrorCode> {
        let now = history.now();
        if self.commits {
            history.transactions[self.transaction].asked_to_commit.get_or_insert(now);
        }
        let told = self.producer.end_once(client, self.commits)?;
        if told == ErrorCode::None {
            history.transactions[self.transaction].was_committed = Some(self.commits);
            history.count(if self.commits { "committed" } else { "aborted" });
            // Who was replaced comes as a new member.
            self.state = State::Finding;
            if let Some(Source { member: Some(_), .. }) = self.source
                && !self.commits
            {
                if self.is_zombie { self.state = State::Gone } else { self.come() }
            }
        }
        Ok(told)
    }
}

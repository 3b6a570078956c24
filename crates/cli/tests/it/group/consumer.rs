//! One member: it joins, fetches its part, consumes, commits what it has consumed, and begins again
//! when the group does.

use std::{
    collections::BTreeMap,
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use milena_protocol::ErrorCode;

use super::{Assigns, GROUP, Shared, history::Holder};
use crate::{
    client::{Client, fetch_request},
    invariants::Found,
    load::TOPIC,
    member::{Member, Others},
};

/// Short, so that whoever was lost is missed within a round or two.
const SESSION_MS: i32 = 1000;
pub(super) const REBALANCE_MS: i32 = 3000;
const SLEEP: Duration = Duration::from_millis(3 * SESSION_MS as u64);
const NAP: Duration = Duration::from_millis(5);

pub(super) struct Consumer {
    shared: Arc<Shared>,
    is_over: Arc<AtomicBool>,
    is_tired: Arc<AtomicBool>,
    line: Arc<Mutex<Option<Client>>>,
    pub(super) member: Member,
}

/// What a member has in its generation: partitions, and where it goes on in each.
pub(super) type Positions = BTreeMap<i32, i64>;

impl Consumer {
    pub(super) fn new(
        shared: &Arc<Shared>,
        is_over: &Arc<AtomicBool>,
        is_tired: &Arc<AtomicBool>,
        line: &Arc<Mutex<Option<Client>>>,
    ) -> Self {
        let (session_ms, rebalance_ms) = (SESSION_MS, REBALANCE_MS);
        Self {
            shared: Arc::clone(shared),
            is_over: Arc::clone(is_over),
            is_tired: Arc::clone(is_tired),
            line: Arc::clone(line),
            member: Member { session_ms, rebalance_ms, ..Member::of(GROUP) },
        }
    }

    pub(super) fn run(mut self) {
        while !self.is_over() {
            // Whatever ended the connection: the member is the same on the next one.
            if self.connect().and_then(|mut client| self.live(&mut client)).is_err() {
                std::thread::sleep(NAP);
            }
        }
    }

    pub(super) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::SeqCst)
    }

    fn connect(&self) -> io::Result<Client> {
        let address = *self.shared.address.lock().unwrap();
        let client = Client::connect(address)?;
        *self.line.lock().unwrap() = Some(client.another_hand());
        Ok(client)
    }

    /// One connection's life. A member that was in a group and lost its broker goes on where it
    /// joins again: what it has not committed may belong to another by then.
    fn live(&mut self, client: &mut Client) -> io::Result<()> {
        while !self.is_over() {
            let code = match self.shared.assigns {
                Assigns::Leader => self.take_part(client)?,
                Assigns::Coordinator => self.be_assigned(client)?,
            };
            match code {
                ErrorCode::UnknownMemberId => self.member.id.clear(),
                ErrorCode::None
                | ErrorCode::RebalanceInProgress
                | ErrorCode::IllegalGeneration
                | ErrorCode::FencedMemberEpoch
                | ErrorCode::StaleMemberEpoch => {}
                other => {
                    assert!(other.is_retriable(), "{other:?}");
                    std::thread::sleep(NAP);
                }
            }
        }
        Ok(())
    }

    /// One generation, and the code that ended it.
    fn take_part(&mut self, client: &mut Client) -> io::Result<ErrorCode> {
        let others = match self.member.join(client)? {
            Ok(others) => others,
            Err(code) => return Ok(code),
        };
        let mine = match self.member.sync(client, &assign(self.shared.partitions, &others))? {
            Ok(assignment) => assignment,
            Err(code) => return Ok(code),
        };
        let mine: Vec<i32> = mine.iter().map(|partition| i32::from(*partition)).collect();
        self.history(|history, holder| history.assigned(holder, &mine));
        let mut positions = match self.begin(client, &mine)? {
            Ok(positions) => positions,
            Err(code) => return Ok(code),
        };
        while !self.is_over() {
            let code = self.consume(client, &mut positions)?;
            if code != ErrorCode::None {
                return Ok(code);
            }
            let code = self.member.heartbeat(client)?;
            if code != ErrorCode::None {
                return Ok(code);
            }
        }
        Ok(ErrorCode::None)
    }

    /// Where the group has come to in each of its partitions.
    pub(super) fn begin(
        &self,
        client: &mut Client,
        mine: &[i32],
    ) -> io::Result<Result<Positions, ErrorCode>> {
        if mine.is_empty() {
            return Ok(Ok(Positions::new()));
        }
        let acknowledged = self.history(|history, _| history.acknowledged.clone());
        let committed = match client.committed(GROUP, TOPIC, mine)? {
            Ok(committed) => committed,
            Err(code) => return Ok(Err(code)),
        };
        let handed_out: Positions = mine.iter().copied().zip(committed).collect();
        self.history(|history, holder| history.handed_out(holder, &acknowledged, &handed_out));
        Ok(Ok(handed_out.into_iter().map(|(it, offset)| (it, offset.max(0))).collect()))
    }

    /// Some of every partition, and a commit of it.
    pub(super) fn consume(
        &self,
        client: &mut Client,
        positions: &mut Positions,
    ) -> io::Result<ErrorCode> {
        let mut moved = Vec::new();
        for (partition, position) in positions {
            let fetched = client.fetched(&fetch_request(TOPIC, *partition, *position))?;
            if fetched.code != ErrorCode::None {
                return Ok(fetched.code);
            }
            let values = fetched.values();
            let values = values.iter().filter(|(offset, _)| *offset >= *position);
            let found: Vec<Found> =
                values.map(|(offset, value)| Found::parse(*offset, value)).collect();
            let Some(last) = found.last() else { continue };
            *position = last.offset + 1;
            moved.push((*partition, *position));
            self.history(|history, holder| history.consumed(holder, *partition, &found));
        }
        if moved.is_empty() {
            std::thread::sleep(NAP);
            return Ok(ErrorCode::None);
        }
        let has_slept = self.is_tired.swap(false, Ordering::SeqCst);
        if has_slept {
            std::thread::sleep(SLEEP);
        }
        self.history(|history, _| history.will_commit(&moved));
        let code = self.member.commit(client, TOPIC, &moved)?;
        self.history(|history, _| {
            history.fenced += u32::from(has_slept && code != ErrorCode::None)
        });
        if code == ErrorCode::None {
            self.history(|history, _| history.was_committed(&moved));
        }
        Ok(code)
    }

    pub(super) fn history<T>(&self, note: impl FnOnce(&mut super::History, &Holder) -> T) -> T {
        let holder = Holder { generation: self.member.generation, member: self.member.id.clone() };
        note(&mut self.shared.history.lock().unwrap(), &holder)
    }
}

/// The leader's part: every partition to one member, each a byte.
fn assign(partitions: i32, others: &Others) -> Vec<(String, Vec<u8>)> {
    let of_member = |(index, (id, _)): (usize, &(String, Vec<u8>))| {
        let partitions = (0..partitions as u8).skip(index).step_by(others.len());
        (id.clone(), partitions.collect())
    };
    others.iter().enumerate().map(of_member).collect()
}

//! Requests that are late: their senders have given them up, or have had their answers, when they
//! arrive.

use milena_env::Random;
use milena_protocol::{
    ErrorCode,
    api::{ApiKey, EndTxnResponse, TxnOffsetCommitResponse},
};

use super::{History, World};
use crate::client::{Client, Overdue, code, produced};

#[derive(Debug, Default)]
pub(super) struct Wire {
    /// With the value of its record, if it has one.
    late: Vec<(Overdue, String)>,
}

/// A late request that the broker is at just now.
pub(super) struct Arriving(Client, Overdue, String);

impl Wire {
    pub(super) fn keep(&mut self, overdue: Option<Overdue>, value: &str) {
        self.late.extend(overdue.map(|it| (it, value.to_owned())));
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.late.is_empty()
    }

    /// Some late request arrives. Nobody waits for its answer yet.
    pub(super) fn arrive(&mut self, world: &impl World, random: &mut Random) -> Option<Arriving> {
        if self.late.is_empty() {
            return None;
        }
        let mut client = world.client().ok()?;
        let (overdue, value) = self.late.swap_remove(random.below(self.late.len() as u64) as usize);
        client.send_bytes(&overdue.bytes).ok()?;
        Some(Arriving(client, overdue, value))
    }
}

impl Arriving {
    /// Notes what it is answered, if it is.
    pub(super) fn answer(mut self, history: &mut History) {
        let Overdue { api, version, .. } = self.1;
        let Ok(answer) = self.0.receive(api, version) else { return };
        match api {
            ApiKey::Produce => {
                let told = produced(&answer).remove(0);
                match told.code {
                    ErrorCode::None => history.acknowledged(&self.2, told.base_offset),
                    _ => history.count("late batch refused"),
                }
            }
            ApiKey::EndTxn if answer.read::<EndTxnResponse>().error_code != 0 => {
                history.count("late end refused");
            }
            ApiKey::TxnOffsetCommit => {
                let told: TxnOffsetCommitResponse<'_> = answer.read();
                if code(told.topics[0].partitions[0].error_code) != ErrorCode::None {
                    history.count("late offset refused");
                }
            }
            _ => {}
        }
    }
}

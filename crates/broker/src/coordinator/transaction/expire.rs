//! What time brings: a transaction that takes too long is aborted, and an id that nobody uses is
//! forgotten.

use std::{sync::Arc, time::Duration};

use super::{
    Scene, State, Transaction, TransactionError, Transactions, Transition, entry::NO_TIMEOUT,
    markers::Action,
};

impl Transaction {
    /// Whether it has taken longer than its producer said. By the clock on the wall, as it has to
    /// hold after a restart.
    pub(super) fn is_timed_out(&self, now_ms: i64) -> bool {
        self.state == State::Ongoing
            && self.timeout_ms != NO_TIMEOUT
            && self.start_ms.saturating_add(self.timeout_ms.into()) < now_ms
    }

    fn has_expired(&self, now_ms: i64, expiration_ms: i64) -> bool {
        self.state.may_expire() && self.update_ms <= now_ms.saturating_sub(expiration_ms)
    }
}

impl Transactions {
    /// Says when it is looked next for what time has brought.
    pub(super) fn look_again(&mut self, scene: &Scene<'_>) {
        let (now, config) = (scene.now.elapsed, &scene.config.transactions);
        let after = |interval_ms| Some(now + Duration::from_millis(interval_ms));
        if self.next_timeouts.is_none_or(|at| at <= now) {
            self.next_timeouts = after(config.abort_check_interval_ms);
        }
        if self.next_expiry.is_none_or(|at| at <= now) {
            self.next_expiry = after(config.expiry_check_interval_ms);
        }
    }

    pub(super) fn end_and_expire(&mut self, scene: &mut Scene<'_>) {
        let now = scene.now.elapsed;
        let is_due = |next: Option<Duration>| next.is_some_and(|at| at <= now);
        let (timeouts, expiry) = (is_due(self.next_timeouts), is_due(self.next_expiry));
        self.look_again(scene);
        if timeouts {
            self.abort_all_timed_out(scene);
        }
        if expiry {
            self.expire(scene);
        }
    }

    fn abort_all_timed_out(&mut self, scene: &mut Scene<'_>) {
        let now = scene.now.wall_ms;
        for (id, transaction) in self.those(|it| it.is_timed_out(now)) {
            let (producer_id, epoch) = (transaction.producer_id, transaction.epoch);
            match self.abort_timed_out(&id, (producer_id, epoch), None, scene) {
                Ok(()) => {}
                Err(TransactionError::NoProducerId) => {
                    scene.effects.act(Action::BringProducerId { id, producer_id, epoch });
                }
                Err(error) => tracing::error!(%id, %error, "timed out transaction not aborted"),
            }
            scene.effects.may_cut();
        }
    }

    fn expire(&mut self, scene: &mut Scene<'_>) {
        let (now, after) = (scene.now.wall_ms, scene.config.transactions.id_expiration_ms);
        for (id, _) in self.those(|it| it.has_expired(now, after)) {
            match self.forget(&id, scene) {
                Ok(()) => {
                    tracing::info!(%id, "transactional id forgotten: unused for long");
                    scene.count(Transition::IdUnused);
                }
                Err(error) => tracing::error!(%id, %error, "transactional id not forgotten"),
            }
            scene.effects.may_cut();
        }
    }

    fn those(&self, wanted: impl Fn(&Transaction) -> bool) -> Vec<(Arc<str>, Transaction)> {
        let wanted = self.ids.iter().filter(|(_, entry)| wanted(&entry.transaction));
        wanted.map(|(id, entry)| (Arc::clone(id), entry.transaction.clone())).collect()
    }
}

//! The place of a consumer in its group: what it subscribes to, who it is there, and when its user
//! can be interrupted. `classic` and `modern` decide, `shell` does.

mod calls;
mod classic;
mod core;
mod lead;
mod messages;
mod modern;
mod requests;
mod shell;
#[cfg(test)]
mod test;

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use milena_env::Clock;
use tokio::sync::{Mutex as Turn, Notify, watch};

pub(super) use self::shell::live;
use super::{
    config::{ConsumerConfig, GroupProtocol},
    listener::RebalanceListener,
    pattern::Pattern,
};
use crate::error::Error;

/// Who commits, and as which generation or epoch.
#[derive(Clone, Debug)]
pub(super) struct MemberIdentity {
    pub(super) id: Box<str>,
    pub(super) epoch: i32,
    pub(super) instance_id: Option<Box<str>>,
    is_modern: bool,
}

impl MemberIdentity {
    /// Only members of the consumer protocol say who they are when they read offsets.
    pub(super) fn for_reading(&self) -> (Option<&str>, i32) {
        match self.is_modern && self.epoch > 0 {
            true => (Some(&self.id), self.epoch),
            false => (None, -1),
        }
    }
}

/// What a consumer wants to read as a member of its group.
#[derive(Clone, Debug, Default)]
pub(super) enum Subscription {
    #[default]
    None,
    Names(BTreeSet<Box<str>>),
    Pattern(Arc<Pattern>),
}

pub(super) type Listener = Arc<Turn<Box<dyn RebalanceListener>>>;

/// Whether the user can be interrupted. He can be while he polls: then he is done with what he was
/// given before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Gate {
    /// Nobody wants to pass.
    Open,
    /// Somebody waits for the next poll.
    Wanted,
    /// A poll waits for him to be done.
    Passing,
}

#[derive(Debug)]
pub(super) struct Membership {
    standing: Mutex<Standing>,
    gate: watch::Sender<Gate>,
    /// Something is new for the shell.
    woken: Notify,
    /// How many changes of the subscription the shell has dealt with.
    done: watch::Sender<u64>,
    poll_max: Duration,
}

/// Somebody is in `poll`.
#[derive(Debug)]
pub(super) struct Polling<'m> {
    membership: &'m Membership,
    clock: Arc<dyn Clock>,
}

impl Drop for Polling<'_> {
    fn drop(&mut self) {
        let mut standing = self.membership.standing();
        standing.is_polling = false;
        standing.polled_at = self.clock.monotonic();
    }
}

#[derive(Debug)]
struct Standing {
    subscription: Subscription,
    listener: Option<Listener>,
    changes: u64,
    is_polling: bool,
    polled_at: Duration,
    identity: MemberIdentity,
    failure: Option<Error>,
}

impl Membership {
    pub(super) fn new(config: &ConsumerConfig) -> Self {
        let identity = MemberIdentity {
            id: "".into(),
            epoch: -1,
            instance_id: config.group_instance_id.clone(),
            is_modern: config.group_protocol == GroupProtocol::Consumer,
        };
        let standing = Standing {
            subscription: Subscription::None,
            listener: None,
            changes: 0,
            is_polling: false,
            polled_at: Duration::ZERO,
            identity,
            failure: None,
        };
        Self {
            standing: Mutex::new(standing),
            gate: watch::Sender::new(Gate::Open),
            woken: Notify::new(),
            done: watch::Sender::new(0),
            poll_max: config.max_poll_interval,
        }
    }

    fn standing(&self) -> MutexGuard<'_, Standing> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Who commits now: a member, or nobody in particular where partitions were chosen by hand.
    pub(super) fn identity(&self) -> MemberIdentity {
        let standing = self.standing();
        let mut identity = standing.identity.clone();
        if matches!(standing.subscription, Subscription::None) && identity.epoch < 0 {
            (identity.id, identity.instance_id) = ("".into(), None);
        }
        identity
    }

    /// Whether the group says what to read, though this is no member of it at the moment.
    pub(super) fn is_outside(&self) -> bool {
        let standing = self.standing();
        !matches!(standing.subscription, Subscription::None) && standing.identity.epoch < 0
    }

    pub(super) fn is_subscribed(&self) -> bool {
        !matches!(self.standing().subscription, Subscription::None)
    }

    /// Subscribes to something else. The listener stays if none is given.
    pub(super) fn subscribe(
        &self,
        subscription: Subscription,
        listener: Option<Listener>,
        now: Duration,
    ) {
        let mut standing = self.standing();
        standing.subscription = subscription;
        standing.listener = listener.or(standing.listener.take());
        standing.changes += 1;
        standing.polled_at = now;
        standing.failure = None;
        drop(standing);
        self.woken.notify_one();
    }

    /// Subscribes to nothing, and waits until the group is left.
    pub(super) async fn unsubscribe(&self) {
        let changes = {
            let mut standing = self.standing();
            if matches!(standing.subscription, Subscription::None) {
                return;
            }
            standing.subscription = Subscription::None;
            standing.changes += 1;
            standing.changes
        };
        self.woken.notify_one();
        // The sender is here, so that it cannot be gone.
        let _ = self.done.subscribe().wait_for(|done| *done >= changes).await;
    }

    /// Somebody polls until what this gives is dropped.
    pub(super) fn polling(&self, clock: Arc<dyn Clock>) -> Polling<'_> {
        let now = clock.monotonic();
        let mut standing = self.standing();
        standing.is_polling = true;
        let was = std::mem::replace(&mut standing.polled_at, now);
        drop(standing);
        // The shell looks at it when the time is over, and waits for this if it was.
        if now.saturating_sub(was) > self.poll_max {
            self.woken.notify_one();
        }
        Polling { membership: self, clock }
    }

    /// Why there is no membership any more. It is told once.
    pub(super) fn failure(&self) -> Option<Error> {
        self.standing().failure.take()
    }

    /// Lets somebody pass who waits for a poll, until he is done.
    pub(super) async fn let_pass(&self) {
        let mut gate = self.gate.subscribe();
        loop {
            self.gate.send_if_modified(|gate| {
                let is_wanted = *gate == Gate::Wanted;
                if is_wanted {
                    *gate = Gate::Passing;
                }
                is_wanted
            });
            if *gate.borrow_and_update() == Gate::Open || gate.changed().await.is_err() {
                return;
            }
        }
    }

    /// Whether a poll has to let somebody pass.
    pub(super) fn is_wanted(&self) -> bool {
        *self.gate.borrow() != Gate::Open
    }
}

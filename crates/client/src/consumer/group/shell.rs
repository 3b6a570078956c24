//! The task that does what a member's core decides: requests, commits, the listener's calls. It
//! lives as long as the consumer, and is on its own: heartbeats go on while nobody polls.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use milena_env::{Random, timer};
use milena_protocol::Uuid;
use tokio::task::JoinSet;

use super::{
    super::{
        TopicPartition,
        assignor::Assignor,
        config::{ConsumerConfig, GroupProtocol},
        shared::Shared,
    },
    Subscription,
    calls::{assign, open, pass, revoke},
    classic::{Classic, Joined, Request},
    core::{Action, Times},
    lead::{Decision, counts, decide},
    modern::{Beat, Beaten, Modern},
    requests::{self, About, JoinAnswer, Seat, by_topic},
};
use crate::{cluster::View, error::Result};

#[derive(Debug)]
enum Core {
    Classic(Classic),
    Modern(Modern),
}

/// What has come of something.
#[derive(Debug)]
enum Event {
    /// Of a round of joining.
    Round(u64, Rounded),
    Beaten(Result<()>),
    ModernBeaten(Result<Beaten>),
    Left,
    Revoked(BTreeSet<TopicPartition>),
    Assigned,
}

#[derive(Debug)]
enum Rounded {
    Joined(Result<Joined>),
    Named(Box<str>),
    Decided(Result<Decision>),
    Synced(Result<BTreeSet<TopicPartition>>),
}

/// What the user is told, one thing after the other.
#[derive(Debug)]
enum Call {
    Revoke { partitions: BTreeSet<TopicPartition>, lost: bool },
    Assign(BTreeSet<TopicPartition>),
}

struct Shell {
    shared: Arc<Shared>,
    core: Core,
    tasks: JoinSet<Event>,
    calls: VecDeque<Call>,
    is_calling: bool,
    subscription: Subscription,
    /// What the subscription means now, in a classic group.
    topics: Vec<Box<str>>,
    /// How many partitions each of the group's topics had when this member decided for all.
    led: BTreeMap<Box<str>, usize>,
    changes: u64,
}

/// Lives the consumer's life in its group.
pub(in super::super) async fn live(shared: Arc<Shared>) {
    let mut shell = Shell {
        core: Core::new(&shared.config),
        tasks: JoinSet::new(),
        calls: VecDeque::new(),
        is_calling: false,
        subscription: Subscription::None,
        topics: Vec::new(),
        led: BTreeMap::new(),
        changes: 0,
        shared: Arc::clone(&shared),
    };
    let mut views = shared.cluster.watch();
    while !shared.is_closed() {
        shell.look_at_subscription().await;
        shell.look_at_view(&Arc::clone(&views.borrow_and_update()));
        shell.tick();
        let wait = shell.wait();
        let next = async {
            tokio::select! {
                Some(event) = shell.tasks.join_next() => event.ok(),
                () = shared.membership.woken.notified() => None,
                _ = views.changed() => None,
                () = shared.closed() => None,
            }
        };
        if let Some(Some(event)) = timer::timeout(wait, next).await {
            shell.hear(event);
        }
    }
    // Dropped without being closed: what was read last may not have been dealt with.
    let limit = shared.config.client.request_timeout;
    timer::timeout(limit, shell.leave(false)).await;
}

impl Core {
    fn new(config: &ConsumerConfig) -> Self {
        let times =
            Times { heartbeat: config.heartbeat_interval, poll_max: config.max_poll_interval };
        let is_static = config.group_instance_id.is_some();
        match config.group_protocol {
            GroupProtocol::Classic => {
                let mut assignors = config.partition_assignment_strategy.iter();
                let cooperative = assignors.all(|assignor: &Assignor| assignor.is_cooperative());
                Self::Classic(Classic::new(times, cooperative, is_static))
            }
            GroupProtocol::Consumer => {
                let bits = Random::from_os().map_or(1, |mut random| {
                    u128::from(random.next_u64()) << 64 | u128::from(random.next_u64())
                });
                let id = Uuid::from_u128(bits).to_string();
                Self::Modern(Modern::new(times, id.into(), is_static))
            }
        }
    }

    fn owned(&self) -> &BTreeSet<TopicPartition> {
        match self {
            Self::Classic(core) => core.owned(),
            Self::Modern(core) => core.owned(),
        }
    }
}

impl Shell {
    /// Joins, joins again, or leaves, as the user wants it.
    async fn look_at_subscription(&mut self) {
        let (changes, subscription) = {
            let standing = self.shared.membership.standing();
            (standing.changes, standing.subscription.clone())
        };
        if changes == self.changes {
            return;
        }
        self.changes = changes;
        self.subscription = subscription;
        if matches!(self.subscription, Subscription::None) {
            self.leave(true).await;
        } else {
            let cluster = &self.shared.cluster;
            match &self.subscription {
                Subscription::Names(names) => {
                    let may_create = self.shared.config.allow_auto_create_topics;
                    cluster.want(names.iter().map(|name| &**name), may_create);
                    cluster.want_all(false);
                }
                _ => cluster.want_all(true),
            }
            self.topics = self.meant(&cluster.view());
            self.join("the subscription has changed");
        }
        self.shared.membership.done.send_replace(changes);
    }

    fn meant(&self, view: &View) -> Vec<Box<str>> {
        match &self.subscription {
            Subscription::None => Vec::new(),
            Subscription::Names(names) => names.iter().cloned().collect(),
            Subscription::Pattern(pattern) => {
                pattern.topics(view, self.shared.config.exclude_internal_topics)
            }
        }
    }

    fn join(&mut self, reason: &'static str) {
        let now = self.shared.now();
        match &mut self.core {
            Core::Classic(core) => {
                let topics = &self.topics;
                let unwanted =
                    |it: &TopicPartition| !topics.iter().any(|topic| **topic == *it.topic);
                let actions = core.join(reason, unwanted);
                self.act_classic(actions);
            }
            Core::Modern(core) => {
                let actions = core.subscribe(now);
                self.act_modern(actions);
            }
        }
    }

    /// Members of classic groups have to see for themselves that there are other topics, or more
    /// partitions, than when they joined.
    fn look_at_view(&mut self, view: &View) {
        if !matches!(self.core, Core::Classic(_)) || view.version == 0 {
            return;
        }
        if let Subscription::Pattern(_) = self.subscription {
            let topics = self.meant(view);
            if topics != self.topics {
                self.topics = topics;
                self.join("other topics match the pattern");
                return;
            }
        }
        if !self.led.is_empty() {
            let names: Vec<_> = self.led.keys().cloned().collect();
            let may_create = self.shared.config.allow_auto_create_topics;
            self.shared.cluster.want(names.iter().map(|name| &**name), may_create);
            if counts(view, names.iter().map(|name| &**name)) != self.led {
                self.led = BTreeMap::new();
                self.join("topics of the group have changed");
            }
        }
    }

    /// When somebody was last in `poll`.
    fn polled_at(&self) -> Duration {
        let standing = self.shared.membership.standing();
        if standing.is_polling { self.shared.now() } else { standing.polled_at }
    }

    fn tick(&mut self) {
        let (now, polled) = (self.shared.now(), self.polled_at());
        match &mut self.core {
            Core::Classic(core) => {
                let actions = core.tick(now, polled);
                self.act_classic(actions);
            }
            Core::Modern(core) => {
                let actions = core.tick(now, polled);
                self.act_modern(actions);
            }
        }
    }

    fn wait(&self) -> Duration {
        let polled = self.polled_at();
        let at = match &self.core {
            Core::Classic(core) => core.wake_at(polled),
            Core::Modern(core) => core.wake_at(polled),
        };
        let longest = self.shared.config.client.metadata_max_idle / 2;
        at.map_or(longest, |at| at.saturating_sub(self.shared.now()).min(longest))
    }

    fn hear(&mut self, event: Event) {
        let now = self.shared.now();
        if matches!(event, Event::Revoked(_) | Event::Assigned) {
            self.is_calling = false;
            self.call_next();
        }
        let is_last = self.calls.is_empty() && !self.is_calling;
        match &mut self.core {
            Core::Classic(core) => {
                let actions = match event {
                    Event::Round(round, rounded) if round == core.round() => match rounded {
                        Rounded::Joined(answer) => core.joined(now, answer),
                        Rounded::Named(member_id) => core.named(&member_id),
                        Rounded::Decided(Ok(decision)) => {
                            self.led = decision.partitions;
                            core.decided(now, Ok(decision.assignments))
                        }
                        Rounded::Decided(Err(error)) => core.decided(now, Err(error)),
                        Rounded::Synced(answer) => core.synced(now, answer),
                    },
                    Event::Beaten(answer) => core.beaten(answer),
                    Event::Revoked(partitions) => core.revoked(&partitions),
                    Event::Assigned if is_last => core.assigned(now),
                    _ => Vec::new(),
                };
                self.act_classic(actions);
            }
            Core::Modern(core) => {
                let actions = match event {
                    Event::ModernBeaten(answer) => core.beaten(now, answer),
                    Event::Revoked(partitions) => core.revoked(now, &partitions),
                    Event::Assigned => core.assigned(now),
                    _ => Vec::new(),
                };
                self.act_modern(actions);
            }
        }
    }

    fn act_classic(&mut self, actions: Vec<Action<Request>>) {
        for action in actions {
            match action {
                Action::Send(request) => self.send_classic(request),
                other => self.act(other),
            }
        }
    }

    fn act_modern(&mut self, actions: Vec<Action<Beat>>) {
        for action in actions {
            match action {
                Action::Send(beat) => self.send_beat(beat),
                other => self.act(other),
            }
        }
    }

    /// What both kinds of members want.
    fn act<R>(&mut self, action: Action<R>) {
        let membership = &self.shared.membership;
        match action {
            Action::Send(_) => {}
            Action::Identify { id, epoch } => {
                let identity = &mut membership.standing().identity;
                (identity.id, identity.epoch) = (id, epoch);
            }
            Action::Fail(failure) => {
                membership.standing().failure = Some(failure.0);
                self.shared.filled.notify_one();
            }
            Action::Revoke { partitions, lost } => {
                self.shared.partitions().hold(&partitions, true);
                self.calls.push_back(Call::Revoke { partitions, lost });
                self.call_next();
            }
            Action::Assign(partitions) => {
                self.calls.push_back(Call::Assign(partitions));
                self.call_next();
            }
        }
    }

    fn call_next(&mut self) {
        if self.is_calling {
            return;
        }
        let Some(call) = self.calls.pop_front() else { return };
        self.is_calling = true;
        let shared = Arc::clone(&self.shared);
        self.tasks.spawn(async move {
            let listener = shared.membership.standing().listener.clone();
            match call {
                Call::Revoke { partitions, lost } => {
                    if !lost || listener.is_some() {
                        pass(&shared).await;
                    }
                    revoke(&shared, &partitions, lost, listener).await;
                    open(&shared);
                    Event::Revoked(partitions)
                }
                Call::Assign(partitions) => {
                    assign(&shared, &partitions, listener).await;
                    open(&shared);
                    Event::Assigned
                }
            }
        });
    }

    fn send_classic(&mut self, request: Request) {
        let Core::Classic(core) = &self.core else { return };
        let seat = Seat {
            member_id: core.member_id().into(),
            generation: core.generation(),
            protocol: core.protocol().into(),
        };
        let (shared, round) = (Arc::clone(&self.shared), core.round());
        match request {
            Request::Join { reason } => {
                let (last, last_generation) = core.last();
                let about = About {
                    topics: self.topics.clone(),
                    owned: by_topic(core.owned()),
                    last: by_topic(last),
                    last_generation,
                };
                self.led = BTreeMap::new();
                self.tasks.spawn(async move {
                    let joined = match requests::join(&shared, &seat, &about, reason).await {
                        Ok(JoinAnswer::Joined(joined)) => Rounded::Joined(Ok(joined)),
                        Ok(JoinAnswer::Named(id)) => Rounded::Named(id),
                        Err(error) => Rounded::Joined(Err(error)),
                    };
                    Event::Round(round, joined)
                });
            }
            Request::Decide(joined) => {
                self.tasks.spawn(async move {
                    Event::Round(round, Rounded::Decided(decide(&shared, &joined).await))
                });
            }
            Request::Sync(assignments) => {
                self.tasks.spawn(async move {
                    let synced = requests::sync(&shared, &seat, &assignments).await;
                    Event::Round(round, Rounded::Synced(synced))
                });
            }
            Request::Heartbeat => {
                self.tasks
                    .spawn(async move { Event::Beaten(requests::heartbeat(&shared, &seat).await) });
            }
            Request::Leave { reason } => {
                self.tasks.spawn(async move {
                    if let Err(error) = requests::leave(&shared, &seat.member_id, reason).await {
                        tracing::debug!(%error, "the group will notice by itself");
                    }
                    Event::Left
                });
            }
        }
    }

    fn send_beat(&mut self, beat: Beat) {
        let Core::Modern(core) = &self.core else { return };
        let (member_id, shared) = (core.member_id().to_owned(), Arc::clone(&self.shared));
        let subscription = self.subscription.clone();
        self.tasks.spawn(async move {
            let beaten = async {
                let answer = requests::beat(&shared, &member_id, &beat, &subscription).await?;
                requests::named(&shared, answer).await
            };
            Event::ModernBeaten(beaten.await)
        });
    }

    /// Gives everything up and leaves. Whoever closes or unsubscribes is done with his records; who
    /// only drops the consumer may not be.
    async fn leave(&mut self, in_peace: bool) {
        self.tasks.abort_all();
        while self.tasks.join_next().await.is_some() {}
        self.calls.clear();
        self.is_calling = false;
        let listener = self.shared.membership.standing().listener.clone();
        let left = self.core.owned().clone();
        let all = self.shared.partitions().assignment();
        let lost = !in_peace || self.shared.membership.standing().identity.epoch < 0;
        if !left.is_empty() {
            revoke(&self.shared, &left, lost, listener.filter(|_| in_peace)).await;
        }
        if !all.is_empty() {
            self.shared.partitions().remove(&all);
        }
        open(&self.shared);
        // The core would have them given up; that is done.
        match &mut self.core {
            Core::Classic(core) => {
                let actions = core.leave();
                core.revoked(&left);
                self.send_leaving(actions, Self::send_classic);
            }
            Core::Modern(core) => {
                let now = self.shared.now();
                let actions = core.leave();
                core.revoked(now, &left);
                self.send_leaving(actions, Self::send_beat);
            }
        }
        let limit = self.shared.config.client.request_timeout;
        timer::timeout(limit, self.tasks.join_next()).await;
        match &mut self.core {
            Core::Classic(core) => core.left(),
            Core::Modern(core) => core.left(),
        }
        self.led = BTreeMap::new();
        let identity = &mut self.shared.membership.standing().identity;
        (identity.id, identity.epoch) = ("".into(), -1);
    }

    fn send_leaving<R>(&mut self, actions: Vec<Action<R>>, send: impl Fn(&mut Self, R)) {
        for action in actions {
            if let Action::Send(request) = action {
                send(self, request);
            }
        }
    }
}

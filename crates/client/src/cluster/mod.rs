//! The cluster as a client sees it: who is there, who leads what, and a connection to each.
//!
//! One task learns: it asks for metadata when somebody needs them and before they are too old.
//! Everybody else reads the [`View`] that it made last, and may wait for a better one. Producer,
//! consumer and admin stand on this; none of them opens a connection of its own.

mod backoff;
mod coordinators;
mod learn;
mod node;
mod retry;
mod view;
mod wanted;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use milena_env::{Clock, Random, RealClock};
use milena_protocol::ErrorCode;
use tokio::sync::{Notify, watch};

pub(crate) use backoff::Backoff;
pub(crate) use coordinators::CoordinatorKind;
pub(crate) use node::Node;
pub use view::{Broker, Partition, Topic, View};

use self::{coordinators::Known, wanted::Wanted};
use crate::{
    config::ClientConfig,
    error::{Error, Result},
    network::Limits,
};

/// A handle on a cluster. Copies share connections and knowledge.
#[derive(Clone, Debug)]
pub(crate) struct Cluster {
    inner: Arc<Inner>,
}

/// What a connection is used for. Requests of one connection are served in order, so what may wait
/// long at the broker (a fetch) must not stand before what must not (a heartbeat).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Lane {
    Data,
    Coordination,
    /// Joining waits for all members of a group, and commits must not wait behind it.
    Joining,
}

#[derive(Debug)]
struct Inner {
    config: ClientConfig,
    clock: Arc<dyn Clock>,
    limits: Limits,
    reconnect: Backoff,
    retry: Backoff,
    view: watch::Sender<Arc<View>>,
    /// Why the last attempt to learn failed.
    ignorance: Mutex<Option<Error>>,
    wanted: Mutex<Wanted>,
    /// Somebody wants a newer view.
    asked: Arc<Notify>,
    nodes: Mutex<BTreeMap<(i32, Lane), Arc<Node>>>,
    bootstrap: Vec<Arc<Node>>,
    coordinators: Mutex<Known>,
}

impl Cluster {
    /// Begins to know a cluster. Nothing is asked yet; must be called within a tokio runtime, on
    /// which the connections will live.
    pub(crate) fn new(config: &ClientConfig) -> Result<Self> {
        config.check()?;
        let mut random = Random::from_os()
            .map_err(|error| Error::Invalid(format!("no random numbers: {error}").into()))?;
        let clock: Arc<dyn Clock> = Arc::new(RealClock);
        let limits = Limits::from(config);
        let reconnect =
            Backoff::new(config.reconnect_backoff, config.reconnect_backoff_max, random.next_u64());
        let retry = Backoff::new(config.retry_backoff, config.retry_backoff_max, random.next_u64());
        let bootstrap = config.bootstrap_servers.iter().map(|address| {
            let (address, clock) = (address.as_str().into(), Arc::clone(&clock));
            Arc::new(Node::new(address, limits.clone(), reconnect.clone(), clock))
        });
        let bootstrap = bootstrap.collect();
        let inner = Arc::new(Inner {
            config: config.clone(),
            clock,
            limits,
            reconnect,
            retry,
            view: watch::Sender::new(Arc::new(View::default())),
            ignorance: Mutex::default(),
            wanted: Mutex::default(),
            asked: Arc::default(),
            nodes: Mutex::default(),
            bootstrap,
            coordinators: Mutex::default(),
        });
        tokio::spawn(learn::learn_on(Arc::downgrade(&inner), Arc::clone(&inner.asked)));
        Ok(Self { inner })
    }

    pub(crate) fn config(&self) -> &ClientConfig {
        &self.inner.config
    }

    pub(crate) fn clock(&self) -> &Arc<dyn Clock> {
        &self.inner.clock
    }

    /// What is known now.
    pub(crate) fn view(&self) -> Arc<View> {
        Arc::clone(&self.inner.view.borrow())
    }

    /// Tells of every newer view.
    pub(crate) fn watch(&self) -> watch::Receiver<Arc<View>> {
        self.inner.view.subscribe()
    }

    /// Asks for a newer view, without waiting for it.
    pub(crate) fn refresh(&self) {
        self.inner.asked.notify_one();
    }

    /// Says that these topics are of interest, and remain so for `metadata.max.idle.ms`. Asks for
    /// them if they are not known.
    pub(crate) fn want<'t>(&self, topics: impl IntoIterator<Item = &'t str>, may_create: bool) {
        let now = self.inner.clock.monotonic();
        if self.inner.wanted().want(topics, may_create, now) {
            self.refresh();
        }
    }

    /// Says whether all topics of the cluster are of interest, as for a subscription by pattern.
    pub(crate) fn want_all(&self, all: bool) {
        if self.inner.wanted().want_all(all) {
            self.refresh();
        }
    }

    /// Waits for a view that was made after this call.
    pub(crate) async fn newer_view(&self, limit: Duration) -> Result<Arc<View>> {
        let before = self.view().version;
        self.refresh();
        let what = || "learn of the cluster".into();
        self.wait_for(limit, what, |view| (view.version > before).then(|| Ok(Arc::clone(view))))
            .await
    }

    /// Waits until a topic is known. One that is created meanwhile is waited for.
    pub(crate) async fn topic(
        &self,
        name: &str,
        may_create: bool,
        limit: Duration,
    ) -> Result<Arc<Topic>> {
        self.want([name], may_create);
        let what = || format!("learn of topic {name}").into();
        let mut seen = None;
        self.wait_for(limit, what, |view| {
            let topic = view.topics.get(name)?;
            if topic.error == ErrorCode::None {
                return Some(Ok(Arc::clone(topic)));
            }
            let error = Error::broker(format!("learn of topic {name}"), topic.error);
            if !error.is_retriable() {
                return Some(Err(error));
            }
            if seen != Some(view.version) {
                seen = Some(view.version);
                *self.inner.ignorance() = Some(error);
                self.refresh();
            }
            None
        })
        .await
    }

    /// A broker by its id.
    pub(crate) fn node(&self, id: i32, lane: Lane) -> Result<Arc<Node>> {
        let view = self.view();
        let Some(broker) = view.brokers.get(&id) else {
            return Err(Error::broker(format!("find broker {id}"), ErrorCode::BrokerNotAvailable));
        };
        Ok(self.node_at(broker, lane))
    }

    fn node_at(&self, broker: &Broker, lane: Lane) -> Arc<Node> {
        let inner = &self.inner;
        let mut nodes = inner.nodes.lock().unwrap_or_else(PoisonError::into_inner);
        let address = broker.address();
        if let Some(node) = nodes.get(&(broker.id, lane)).filter(|node| *node.address == *address) {
            return Arc::clone(node);
        }
        let clock = Arc::clone(&inner.clock);
        let (limits, backoff) = (inner.limits.clone(), inner.reconnect.clone());
        let node = Arc::new(Node::new(address.into(), limits, backoff, clock));
        nodes.insert((broker.id, lane), Arc::clone(&node));
        node
    }

    /// Whoever can be asked what every broker knows: one that is connected if there is one. A
    /// caller who was not served says how often, and is given another one.
    pub(crate) fn any(&self, attempt: usize) -> Arc<Node> {
        let view = self.view();
        let mut nodes: Vec<_> =
            view.brokers.values().map(|broker| self.node_at(broker, Lane::Data)).collect();
        nodes.sort_by_key(|node| node.connected().is_none());
        // None of the known ones may be there any more: then it begins anew.
        nodes.extend(self.inner.bootstrap.iter().cloned());
        let at = attempt % nodes.len().max(1);
        // There always is one to begin with: the settings were checked.
        nodes.swap_remove(at)
    }

    /// Who changes the cluster.
    pub(crate) fn controller(&self, attempt: usize) -> Arc<Node> {
        let id = self.view().controller_id;
        id.and_then(|id| self.node(id, Lane::Data).ok()).unwrap_or_else(|| self.any(attempt))
    }

    /// Why nothing more is known, if the last attempt to learn something has failed.
    pub(crate) fn trouble(&self) -> Option<Arc<Error>> {
        self.inner.ignorance().clone().map(Arc::new)
    }

    /// Waits until a view gives an answer.
    async fn wait_for<T>(
        &self,
        limit: Duration,
        what: impl FnOnce() -> Box<str>,
        mut answer: impl FnMut(&Arc<View>) -> Option<Result<T>>,
    ) -> Result<T> {
        let mut views = self.watch();
        let wait = async {
            loop {
                let view = Arc::clone(&views.borrow_and_update());
                if let Some(answer) = answer(&view) {
                    return answer;
                }
                if views.changed().await.is_err() {
                    return Err(Error::Closed);
                }
            }
        };
        if let Some(answer) = milena_env::timer::timeout(limit, wait).await {
            return answer;
        }
        let last = self.trouble();
        Err(Error::Timeout { what: what(), limit, key: "default.api.timeout.ms", last })
    }
}

impl Inner {
    fn wanted(&self) -> MutexGuard<'_, Wanted> {
        self.wanted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ignorance(&self) -> MutexGuard<'_, Option<Error>> {
        self.ignorance.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Inner {
    /// The task that learns finds that there is nobody left to learn for.
    fn drop(&mut self) {
        self.asked.notify_one();
    }
}

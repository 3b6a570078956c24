//! What clients may use: bytes in, bytes out, time of the broker's threads, partitions that they
//! create and delete. Whoever uses more is told how long to wait, and is not listened to for as
//! long. Connections are counted as well.
//!
//! `limits` finds the limit, `rate`, `bucket` and `connections` measure; all are pure. While nobody
//! has set a limit, nothing is measured.

mod bucket;
mod connections;
mod limits;
mod rate;

use std::{
    cell::Cell,
    pin::pin,
    rc::Rc,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use milena_config::server::Window as Configured;
use milena_env::HashMap;

use self::{
    bucket::Bucket,
    limits::{Kind, Party},
    rate::Rate,
};
pub(crate) use self::{
    connections::{CreationLimits, CreationRates, Turn},
    limits::of_ip,
    rate::Window,
};
use crate::{
    authorizer::ANONYMOUS, broker::Broker, limits::QUOTA_PARTIES_MAX, network::connection::Client,
};

/// What everybody has used lately.
#[derive(Debug, Default)]
pub(crate) struct Quotas {
    rates: Mutex<HashMap<Party, Rate>>,
    buckets: Mutex<HashMap<Party, Bucket>>,
}

/// Measures what one request uses.
#[derive(Debug)]
pub(crate) struct Meter {
    broker: Arc<Broker>,
    client: Rc<Client>,
    client_id: Box<str>,
    /// How long a thread was busy with it until it last paused, and when it went on.
    busy: Cell<Duration>,
    resumed: Cell<Duration>,
    /// How long the client has to wait for what it changed.
    owed: Cell<Duration>,
}

impl From<Configured> for Window {
    fn from(configured: Configured) -> Self {
        let sample = Duration::from_secs(configured.sample_s.into());
        Self { samples: configured.samples, sample }
    }
}

impl Meter {
    /// None while there is no limit for anybody. The request is being served from here on.
    pub(crate) fn new(
        broker: &Arc<Broker>,
        client: &Rc<Client>,
        client_id: Option<&str>,
    ) -> Option<Rc<Self>> {
        broker.metadata.look().client_quotas.iter().next()?;
        Some(Rc::new(Self {
            broker: Arc::clone(broker),
            client: Rc::clone(client),
            client_id: client_id.unwrap_or_default().into(),
            busy: Cell::default(),
            resumed: broker.clock.monotonic().into(),
            owed: Cell::default(),
        }))
    }

    /// Records came in. How long the client has to wait, in milliseconds.
    pub(crate) fn produced(&self, bytes: usize) -> i32 {
        self.mute(self.record(Kind::Produce, bytes as f64))
    }

    /// Records are to go out. If that takes a wait, in milliseconds, they must not go out now.
    pub(crate) fn fetched(&self, bytes: usize) -> i32 {
        self.mute(self.record(Kind::Fetch, bytes as f64))
    }

    /// The request is answered. How long its client has to wait for the time that a thread was busy
    /// with it, which is never longer than one sample, and for what it changed; in milliseconds.
    pub(crate) fn answered(&self) -> i32 {
        let busy = self.busy.get() + self.since_resumed();
        let wait = self.record(Kind::Request, busy.as_secs_f64() * 100.0);
        self.mute(wait.min(self.window().sample).max(self.owed.get()))
    }

    fn since_resumed(&self) -> Duration {
        self.broker.clock.monotonic().saturating_sub(self.resumed.get())
    }

    /// So many partitions are to be created or deleted. Says whether that may be: whoever owes has
    /// to wait first, where its version of the API can be told so.
    pub(crate) fn may_change(&self, partitions: usize, can_be_refused: bool) -> bool {
        let change = |bucket: &mut Bucket, limit| {
            if can_be_refused && partitions > 0 && !bucket.wait(limit).is_zero() {
                return false;
            }
            bucket.take(partitions as f64);
            if !can_be_refused {
                self.owes(bucket.wait(limit));
            }
            true
        };
        self.with_bucket(change).unwrap_or(true)
    }

    /// A change was refused for no other reason.
    pub(crate) fn was_refused(&self) {
        self.with_bucket(|bucket, limit| self.owes(bucket.wait(limit)));
    }

    /// Nothing came of changes that were allowed.
    pub(crate) fn not_changed(&self, partitions: usize) {
        self.with_bucket(|bucket, _| bucket.take(-(partitions as f64)));
    }

    fn owes(&self, wait: Duration) {
        self.owed.set(self.owed.get().max(wait));
    }

    fn with_bucket<T>(&self, act: impl FnOnce(&mut Bucket, f64) -> T) -> Option<T> {
        let (party, limit) = self.limit(Kind::Mutation)?;
        let window = self.broker.config().quotas.controller.into();
        let now = self.broker.clock.monotonic();
        let mut buckets = lock(&self.broker.quotas.buckets);
        if buckets.len() >= QUOTA_PARTIES_MAX && !buckets.contains_key(&party) {
            // What is full again need not be remembered; names are free to whoever wants to fill
            // the memory.
            buckets.retain(|_, bucket| !bucket.is_full(window, limit));
            if buckets.len() >= QUOTA_PARTIES_MAX {
                buckets.clear();
            }
        }
        let full = || Bucket::full(window, now, limit);
        let bucket = buckets.entry(party).or_insert_with(full);
        bucket.refill(window, now, limit);
        Some(act(bucket, limit))
    }

    /// The bytes of records that one answer may have at most; more could never go out.
    pub(crate) fn fetch_bytes_max(&self) -> Option<i32> {
        let (_, limit) = self.limit(Kind::Fetch)?;
        let window = self.window();
        let seconds = window.sample.as_secs_f64() * f64::from(window.samples.saturating_sub(1));
        Some((limit * seconds) as i32)
    }

    fn limit(&self, kind: Kind) -> Option<(Party, f64)> {
        let image = self.broker.metadata.look();
        limits::find(&image.client_quotas, kind, ANONYMOUS, &self.client_id)
    }

    fn window(&self) -> Window {
        self.broker.config().quotas.clients.into()
    }

    /// Records what was used; the answer is how long to wait.
    fn record(&self, kind: Kind, amount: f64) -> Duration {
        let Some((party, limit)) = self.limit(kind) else { return Duration::ZERO };
        let (window, now) = (self.window(), self.broker.clock.monotonic());
        let mut rates = lock(&self.broker.quotas.rates);
        if rates.len() >= QUOTA_PARTIES_MAX && !rates.contains_key(&party) {
            rates.retain(|_, rate| !rate.is_idle(window, now));
            if rates.len() >= QUOTA_PARTIES_MAX {
                // Names are free to whoever wants to fill the memory.
                rates.clear();
            }
        }
        let rate = rates.entry(party).or_default();
        let was_idle = rate.is_idle(window, now);
        rate.record(window, now, amount);
        let wait = rate.excess(window, now, limit);
        if kind == Kind::Fetch && !wait.is_zero() {
            if was_idle {
                // One batch that is larger than a whole window allows; a reader must get on.
                return Duration::ZERO;
            }
            rate.take_back(amount);
        }
        wait
    }

    fn mute(&self, wait: Duration) -> i32 {
        if !wait.is_zero() {
            self.client.mute_until(self.broker.clock.monotonic().saturating_add(wait));
        }
        // Part of a millisecond is waited for as well.
        i32::try_from(wait.as_nanos().div_ceil(1_000_000)).unwrap_or(i32::MAX)
    }
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Serves a request and measures how long its thread is busy with it.
pub(crate) async fn timed<F: Future>(meter: Option<Rc<Meter>>, serving: F) -> F::Output {
    let Some(meter) = meter else { return serving.await };
    let mut serving = pin!(serving);
    std::future::poll_fn(|context| {
        meter.resumed.set(meter.broker.clock.monotonic());
        let polled = serving.as_mut().poll(context);
        meter.busy.set(meter.busy.get() + meter.since_resumed());
        polled
    })
    .await
}

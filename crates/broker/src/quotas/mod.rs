//! What clients may use: bytes in, bytes out, and time of the broker's threads. Whoever uses more
//! is told how long to wait, and is not listened to for as long.
//!
//! `limits` finds the limit, `rate` measures; both are pure. While nobody has set a limit, nothing
//! is measured.

mod limits;
mod rate;

use std::{
    pin::pin,
    rc::Rc,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use milena_env::HashMap;

use self::{
    limits::{Kind, Party},
    rate::{Rate, Window},
};
use crate::{
    authorizer::ANONYMOUS, broker::Broker, limits::QUOTA_PARTIES_MAX, network::connection::Client,
};

/// What everybody has used lately.
#[derive(Debug, Default)]
pub(crate) struct Quotas {
    rates: Mutex<HashMap<Party, Rate>>,
}

/// Measures what one request uses.
#[derive(Debug)]
pub(crate) struct Meter {
    broker: Arc<Broker>,
    client: Rc<Client>,
    client_id: Box<str>,
    begun: Duration,
}

impl Meter {
    /// None while there is no limit for anybody.
    pub(crate) fn new(
        broker: &Arc<Broker>,
        client: &Rc<Client>,
        client_id: Option<&str>,
    ) -> Option<Self> {
        broker.metadata.look().client_quotas.iter().next()?;
        let client_id = client_id.unwrap_or_default().into();
        let begun = broker.clock.monotonic();
        Some(Self { broker: Arc::clone(broker), client: Rc::clone(client), client_id, begun })
    }

    /// Records came in. How long the client has to wait, in milliseconds.
    pub(crate) fn produced(&self, bytes: usize) -> i32 {
        self.mute(self.record(Kind::Produce, bytes as f64))
    }

    /// Records are to go out. If that takes a wait, in milliseconds, they must not go out now.
    pub(crate) fn fetched(&self, bytes: usize) -> i32 {
        self.mute(self.record(Kind::Fetch, bytes as f64))
    }

    /// The thread was busy with the request since this meter was made.
    pub(crate) fn was_busy_since(&self) {
        self.was_busy(self.broker.clock.monotonic().saturating_sub(self.begun));
    }

    /// A thread was busy with the request. Such a wait is never longer than one sample.
    fn was_busy(&self, time: Duration) {
        let percent_seconds = time.as_secs_f64() * 100.0;
        let wait = self.record(Kind::Request, percent_seconds);
        self.mute(wait.min(self.window().sample));
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
        let window = self.broker.config().quotas.clients;
        Window { samples: window.samples, sample: Duration::from_secs(window.sample_s.into()) }
    }

    /// Records what was used; the answer is how long to wait.
    fn record(&self, kind: Kind, amount: f64) -> Duration {
        let Some((party, limit)) = self.limit(kind) else { return Duration::ZERO };
        let (window, now) = (self.window(), self.broker.clock.monotonic());
        let rates = &self.broker.quotas.rates;
        let mut rates = rates.lock().unwrap_or_else(PoisonError::into_inner);
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

/// Serves a request and measures how long its thread was busy with it.
pub(crate) async fn timed<F: Future>(meter: Option<Meter>, serving: F) -> F::Output {
    let Some(meter) = meter else { return serving.await };
    let clock = Arc::clone(&meter.broker.clock);
    let (mut serving, mut busy) = (pin!(serving), Duration::ZERO);
    let served = std::future::poll_fn(|context| {
        let begun = clock.monotonic();
        let polled = serving.as_mut().poll(context);
        busy += clock.monotonic().saturating_sub(begun);
        polled
    });
    let served = served.await;
    meter.was_busy(busy);
    served
}

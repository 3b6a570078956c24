//! Metrics that clients push (KIP-714). They are kept as they came, the newest of each client,
//! within a fixed number of bytes, for `metrics`, which shows them.

mod subscription;

use std::{
    cmp::Reverse,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use milena_env::{HashMap, Random};
use milena_metadata::image::MetadataImage;
use milena_protocol::{ErrorCode, Uuid, records::Codec};

pub(crate) use self::subscription::Subscription;
use self::subscription::Traits;
use crate::{
    limits::{TELEMETRY_BYTES_MAX, TELEMETRY_CLIENTS_MAX, TELEMETRY_INTERVALS_MAX},
    network::connection::Client,
};

/// Codecs that clients may push in, the best first.
pub(crate) const CODECS: [Codec; 4] = [Codec::Zstd, Codec::Lz4, Codec::Gzip, Codec::Snappy];

/// What a client pushed last: OpenTelemetry's `MetricsData`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pushed {
    pub(crate) client_id: Box<str>,
    pub(crate) codec: Codec,
    pub(crate) metrics: Arc<[u8]>,
}

impl Pushed {
    fn bytes(&self) -> usize {
        self.client_id.len() + self.metrics.len()
    }
}

/// One client as its pushes know it.
#[derive(Debug)]
struct Instance {
    subscription: Subscription,
    asked: Option<Duration>,
    pushed: Option<Duration>,
    /// Its last request was refused for what it can mend at once.
    may_retry: bool,
    is_terminating: bool,
    last: Option<Pushed>,
}

impl Instance {
    fn new(subscription: Subscription) -> Self {
        Self {
            subscription,
            asked: None,
            pushed: None,
            may_retry: false,
            is_terminating: false,
            last: None,
        }
    }

    fn interval(&self) -> Duration {
        Duration::from_millis(self.subscription.interval_ms.max(0).unsigned_abs().into())
    }

    fn active(&self) -> Option<Duration> {
        self.asked.max(self.pushed)
    }

    fn is_due(&self, last: Option<Duration>, now: Duration) -> bool {
        last.is_none_or(|last| now.saturating_sub(last) >= self.interval())
    }
}

/// A push as a request brings it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Push<'a> {
    pub(crate) client: Uuid,
    pub(crate) subscription_id: i32,
    pub(crate) is_terminating: bool,
    pub(crate) compression_type: i8,
    pub(crate) metrics: &'a [u8],
}

#[derive(Debug)]
struct State {
    random: Random,
    instances: HashMap<Uuid, Instance>,
}

/// All clients that push.
#[derive(Debug)]
pub(crate) struct Telemetry {
    state: Mutex<State>,
}

/// What subscriptions may know the client by.
pub(crate) fn traits(client: &Client, client_id: Option<&str>, instance: Uuid) -> Traits {
    let software = client.software.borrow();
    let (name, version) = software.as_ref().map_or(("", ""), |(name, version)| (name, version));
    [
        instance.to_string(),
        client_id.unwrap_or_default().to_owned(),
        name.to_owned(),
        version.to_owned(),
        client.peer.ip().to_string(),
        client.peer.port().to_string(),
    ]
}

impl Telemetry {
    pub(crate) fn new(random: Random) -> Self {
        Self { state: State { random, instances: HashMap::default() }.into() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An id for a client that has none yet.
    pub(crate) fn new_id(&self) -> Uuid {
        Uuid::from_be_bytes(self.state().random.uuid())
    }

    /// What a client is to push; it may not ask all the time.
    pub(crate) fn subscription(
        &self,
        image: &MetadataImage,
        client: Uuid,
        traits: &Traits,
        now: Duration,
    ) -> Result<Subscription, ErrorCode> {
        let subscription = Subscription::of(image, client, traits);
        let mut state = self.state();
        let instance = state.instance(client, &subscription);
        if !instance.is_due(instance.active(), now) && !instance.may_retry {
            return Err(ErrorCode::ThrottlingQuotaExceeded);
        }
        instance.subscription = subscription.clone();
        instance.asked = Some(now);
        instance.may_retry = false;
        Ok(subscription)
    }

    /// Takes what a client pushed.
    pub(crate) fn push(
        &self,
        image: &MetadataImage,
        push: Push<'_>,
        traits: &Traits,
        bytes_max: usize,
        now: Duration,
    ) -> Result<(), ErrorCode> {
        if push.client == Uuid::ZERO || push.client == Uuid::CLUSTER_METADATA {
            return Err(ErrorCode::InvalidRequest);
        }
        let subscription = Subscription::of(image, push.client, traits);
        let mut state = self.state();
        let instance = state.instance(push.client, &subscription);
        if instance.is_terminating {
            return Err(ErrorCode::InvalidRequest);
        }
        // Who has just asked pushes at a moment of its own choice.
        let is_first = instance.asked > instance.pushed;
        let is_due = is_first || instance.is_due(instance.pushed, now);
        if !is_due && !push.is_terminating && !instance.may_retry {
            return Err(ErrorCode::ThrottlingQuotaExceeded);
        }
        instance.subscription = subscription;
        instance.pushed = Some(now);
        instance.may_retry = true;
        if push.subscription_id != instance.subscription.id {
            return Err(ErrorCode::UnknownSubscriptionId);
        }
        let mut codecs = CODECS.into_iter().chain([Codec::None]);
        let Some(codec) = codecs.find(|codec| *codec as i8 == push.compression_type) else {
            return Err(ErrorCode::UnsupportedCompressionType);
        };
        instance.may_retry = false;
        if push.metrics.len() > bytes_max {
            return Err(ErrorCode::TelemetryTooLarge);
        }
        instance.is_terminating = push.is_terminating;
        if !push.metrics.is_empty() {
            let [_, client_id, ..] = traits;
            let client_id = client_id.as_str().into();
            instance.last = Some(Pushed { client_id, codec, metrics: push.metrics.into() });
            state.forget_beyond(TELEMETRY_BYTES_MAX);
        }
        Ok(())
    }

    /// What each client that still does pushed last, the newest first.
    pub(crate) fn pushed(&self, now: Duration) -> Vec<(Uuid, Pushed)> {
        let mut all = Vec::new();
        for (id, instance) in &self.state().instances {
            let Some((pushed, last)) = instance.pushed.zip(instance.last.clone()) else { continue };
            if now.saturating_sub(pushed) <= instance.interval() * TELEMETRY_INTERVALS_MAX {
                all.push((pushed, *id, last));
            }
        }
        all.sort_unstable_by_key(|(pushed, id, _)| (Reverse(*pushed), *id));
        all.into_iter().map(|(_, id, last)| (id, last)).collect()
    }
}

impl State {
    fn instance(&mut self, client: Uuid, subscription: &Subscription) -> &mut Instance {
        if self.instances.len() >= TELEMETRY_CLIENTS_MAX && !self.instances.contains_key(&client) {
            let oldest = self.instances.iter().min_by_key(|(_, instance)| instance.active());
            if let Some(oldest) = oldest.map(|(id, _)| *id) {
                self.instances.remove(&oldest);
            }
        }
        self.instances.entry(client).or_insert_with(|| Instance::new(subscription.clone()))
    }

    /// Lets the oldest pushes go until the others fit.
    fn forget_beyond(&mut self, bytes_max: usize) {
        let size = |instance: &Instance| instance.last.as_ref().map_or(0, Pushed::bytes);
        let mut total: usize = self.instances.values().map(size).sum();
        while total > bytes_max {
            let full = self.instances.values_mut().filter(|instance| instance.last.is_some());
            let Some(oldest) = full.min_by_key(|instance| instance.pushed) else { return };
            total -= size(oldest);
            oldest.last = None;
        }
    }
}

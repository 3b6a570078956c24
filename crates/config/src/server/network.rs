//! Listeners, connections and threads.

use std::{collections::BTreeMap, fmt, str::FromStr};

use super::{ConfigError, contradiction};
use crate::{layers::Layers, value::host_and_port};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecurityProtocol {
    Plaintext,
    Ssl,
    SaslPlaintext,
    SaslSsl,
}

impl SecurityProtocol {
    /// Kafka's number, as in the records of a broker's registration.
    #[must_use]
    pub const fn id(self) -> i16 {
        match self {
            Self::Plaintext => 0,
            Self::Ssl => 1,
            Self::SaslPlaintext => 2,
            Self::SaslSsl => 3,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Plaintext => "PLAINTEXT",
            Self::Ssl => "SSL",
            Self::SaslPlaintext => "SASL_PLAINTEXT",
            Self::SaslSsl => "SASL_SSL",
        }
    }
}

impl fmt::Display for SecurityProtocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for SecurityProtocol {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let all = [Self::Plaintext, Self::Ssl, Self::SaslPlaintext, Self::SaslSsl];
        all.into_iter().find(|one| one.name().eq_ignore_ascii_case(text)).ok_or(())
    }
}

/// An address by which the broker is reached. An empty host is every address of the machine where
/// the broker accepts, and the machine's name where it tells clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// In capitals, as Kafka keeps them.
    pub name: String,
    pub host: String,
    pub port: u16,
    pub protocol: SecurityProtocol,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Network {
    /// All on which this process accepts, those of the controller too.
    pub listeners: Vec<Listener>,
    /// What clients are told, never a controller's.
    pub advertised: Vec<Listener>,
    pub controller_listener_names: Vec<String>,
    pub inter_broker_listener_name: String,
    pub threads: usize,
    pub blocking_threads: usize,
    pub request_bytes_max: u32,
    /// `None` where nothing but the budget limits them.
    pub queued_request_bytes_max: Option<u64>,
    pub queued_requests_max: u32,
    pub connections_max: u32,
    /// By the listener's name, where it has a limit of its own.
    pub listener_connections_max: BTreeMap<String, u32>,
    pub connections_per_ip_max: u32,
    pub connections_per_ip_overrides: BTreeMap<String, u32>,
    pub connections_per_second_max: u32,
    /// `None` for ever.
    pub connections_idle_ms_max: Option<u64>,
    pub failed_authentication_delay_ms: u64,
    /// `None` leaves the system's.
    pub socket_send_buffer_bytes: Option<u32>,
    pub socket_receive_buffer_bytes: Option<u32>,
    pub socket_backlog: i32,
    pub fetch_bytes_max: u32,
    pub fetch_sessions_max: usize,
    pub request_partitions_max: usize,
    pub request_timeout_ms: u64,
    /// `HOST:PORT`, where it is to tell its metrics.
    pub metrics_listener: Option<String>,
}

impl Network {
    pub(super) fn read(layers: &Layers) -> Result<Self, ConfigError> {
        let names = Names::read(layers)?;
        let listeners = names.listeners("listeners", layers.get("listeners")?)?;
        let advertised = names.advertised(&listeners, layers)?;
        let inter_broker_listener_name = inter_broker(&advertised, layers)?;
        Ok(Self {
            listeners,
            advertised,
            controller_listener_names: names.controllers,
            inter_broker_listener_name,
            threads: layers.get("num.network.threads")?,
            blocking_threads: layers.get("background.threads")?,
            request_bytes_max: layers.get("socket.request.max.bytes")?,
            queued_request_bytes_max: not_negative(layers.get("queued.max.request.bytes")?)
                .filter(|bytes| *bytes > 0),
            queued_requests_max: layers.get("queued.max.requests")?,
            connections_max: layers.get("max.connections")?,
            listener_connections_max: listener_connections_max(layers),
            connections_per_ip_max: layers.get("max.connections.per.ip")?,
            connections_per_ip_overrides: per_ip_overrides(layers)?,
            connections_per_second_max: layers.get("max.connection.creation.rate")?,
            connections_idle_ms_max: not_negative(layers.get("connections.max.idle.ms")?),
            failed_authentication_delay_ms: layers
                .get("connection.failed.authentication.delay.ms")?,
            socket_send_buffer_bytes: buffer(layers.get("socket.send.buffer.bytes")?),
            socket_receive_buffer_bytes: buffer(layers.get("socket.receive.buffer.bytes")?),
            socket_backlog: layers.get("socket.listen.backlog.size")?,
            fetch_bytes_max: layers.get("fetch.max.bytes")?,
            fetch_sessions_max: layers.get("max.incremental.fetch.session.cache.slots")?,
            request_partitions_max: layers.get("max.request.partition.size.limit")?,
            request_timeout_ms: layers.get("request.timeout.ms")?,
            metrics_listener: metrics_listener(layers)?,
        })
    }

    /// The listener of that name on which this process accepts.
    #[must_use]
    pub fn listener(&self, name: &str) -> Option<&Listener> {
        self.listeners.iter().find(|listener| listener.name == name)
    }

    #[must_use]
    pub fn is_controllers(&self, listener: &Listener) -> bool {
        self.controller_listener_names.contains(&listener.name)
    }
}

fn not_negative(number: i64) -> Option<u64> {
    u64::try_from(number).ok()
}

fn buffer(bytes: i32) -> Option<u32> {
    u32::try_from(bytes).ok()
}

fn metrics_listener(layers: &Layers) -> Result<Option<String>, ConfigError> {
    const KEY: &str = "milena.metrics.listener";
    let text: Option<String> = layers.find(KEY)?;
    let text = text.filter(|text| !text.is_empty());
    if text.as_deref().is_some_and(|text| host_and_port(text).is_none()) {
        let what = "must be HOST:PORT, as in 127.0.0.1:9404, or empty".to_owned();
        return Err(contradiction(KEY, what));
    }
    Ok(text)
}

fn listener_connections_max(layers: &Layers) -> BTreeMap<String, u32> {
    let mut limits = BTreeMap::new();
    for layer in [&layers.fixed, &layers.cluster, &layers.broker] {
        for (key, value) in layer {
            let name = key.strip_prefix("listener.name.").and_then(|rest| rest.split_once('.'));
            if let Some((name, "max.connections")) = name
                && let Ok(limit) = value.trim().parse()
            {
                limits.insert(name.to_uppercase(), limit);
            }
        }
    }
    limits
}

fn per_ip_overrides(layers: &Layers) -> Result<BTreeMap<String, u32>, ConfigError> {
    const KEY: &str = "max.connections.per.ip.overrides";
    let text: String = layers.get(KEY)?;
    let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
    let read = |part: &str| {
        let (host, limit) = part.rsplit_once(':')?;
        Some((host.trim().to_owned(), limit.trim().parse().ok()?))
    };
    let wrong = |part| contradiction(KEY, format!("`{part}` must be host:count, with commas"));
    parts.map(|part| read(part).ok_or_else(|| wrong(part))).collect()
}

/// What listeners are called, which of them are the controller's, and what each speaks.
struct Names {
    controllers: Vec<String>,
    protocols: BTreeMap<String, SecurityProtocol>,
}

impl Names {
    fn read(layers: &Layers) -> Result<Self, ConfigError> {
        const KEY: &str = "listener.security.protocol.map";
        let controllers: Option<Vec<String>> = layers.find("controller.listener.names")?;
        let controllers: Vec<String> =
            controllers.unwrap_or_default().iter().map(|name| name.to_uppercase()).collect();
        let mut protocols = BTreeMap::new();
        let text: String = layers.get(KEY)?;
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let wrong = || {
                let what = format!(
                    "`{part}` must be NAME:PROTOCOL, and the protocol PLAINTEXT, SSL, \
                     SASL_PLAINTEXT or SASL_SSL"
                );
                contradiction(KEY, what)
            };
            let (name, protocol) = part.rsplit_once(':').ok_or_else(wrong)?;
            let protocol = protocol.trim().parse().map_err(|()| wrong())?;
            if protocols.insert(name.trim().to_uppercase(), protocol).is_some() {
                return Err(contradiction(KEY, format!("the listener {name} is mapped twice")));
            }
        }
        // Kafka's own exception: nobody maps the controller's listener in a small file.
        if [&layers.fixed, &layers.cluster, &layers.broker].iter().all(|l| !l.contains_key(KEY)) {
            for name in &controllers {
                protocols.entry(name.clone()).or_insert(SecurityProtocol::Plaintext);
            }
        }
        Ok(Self { controllers, protocols })
    }

    /// `NAME://host:port`, each name and each port once.
    fn listeners(&self, key: &str, texts: Vec<String>) -> Result<Vec<Listener>, ConfigError> {
        let mut listeners: Vec<Listener> = Vec::new();
        for text in texts {
            let wrong = || {
                contradiction(key, format!("`{text}` must be NAME://host:port, as in {EXAMPLE}"))
            };
            let (name, address) = text.split_once("://").ok_or_else(wrong)?;
            let (host, port) = host_and_port(address).ok_or_else(wrong)?;
            let name = name.to_uppercase();
            let Some(protocol) = self.protocols.get(&name) else {
                let what = format!(
                    "what {name} speaks is unknown: add {name}:PLAINTEXT (or SSL, SASL_SSL) to \
                     listener.security.protocol.map"
                );
                return Err(contradiction(key, what));
            };
            let listener = Listener { name, host: host.to_owned(), port, protocol: *protocol };
            if let Some(other) = listeners.iter().find(|other| other.name == listener.name) {
                return Err(contradiction(key, format!("{} is named twice", other.name)));
            }
            if key == "listeners" && listeners.iter().any(|other| clash(other, &listener)) {
                return Err(contradiction(key, format!("port {port} is used twice")));
            }
            listeners.push(listener);
        }
        Ok(listeners)
    }

    fn advertised(
        &self,
        listeners: &[Listener],
        layers: &Layers,
    ) -> Result<Vec<Listener>, ConfigError> {
        const KEY: &str = "advertised.listeners";
        let given: Option<Vec<String>> = layers.find(KEY)?;
        // Without this key, it is the other one that somebody must change.
        let key = if given.is_some() { KEY } else { "listeners" };
        let advertised = match given {
            Some(texts) => self.listeners(KEY, texts)?,
            None => listeners.to_vec(),
        };
        let mut kept = Vec::new();
        for listener in advertised {
            let name = &listener.name;
            if self.controllers.contains(name) {
                continue;
            }
            if !listeners.iter().any(|other| other.name == *name) {
                return Err(contradiction(key, format!("{name} is not among the listeners")));
            }
            if listener.host == "0.0.0.0" || listener.host == "::" {
                let what = format!(
                    "clients cannot connect to {}; set {KEY} to an address that they reach",
                    listener.host
                );
                return Err(contradiction(key, what));
            }
            kept.push(listener);
        }
        Ok(kept)
    }
}

const EXAMPLE: &str = "PLAINTEXT://127.0.0.1:9092";

/// Two may share a port only on two addresses; port 0 is any free one.
fn clash(one: &Listener, other: &Listener) -> bool {
    let everywhere = |host: &str| host.is_empty() || host == "0.0.0.0" || host == "::";
    one.port == other.port
        && one.port != 0
        && (one.host == other.host || everywhere(&one.host) || everywhere(&other.host))
}

fn inter_broker(advertised: &[Listener], layers: &Layers) -> Result<String, ConfigError> {
    const NAME: &str = "inter.broker.listener.name";
    const PROTOCOL: &str = "security.inter.broker.protocol";
    let name: Option<String> = layers.find(NAME)?;
    if name.is_some() && layers.fixed.contains_key(PROTOCOL) {
        return Err(contradiction(NAME, format!("set this or {PROTOCOL}, not both")));
    }
    let wanted: String = match name {
        Some(name) => name.to_uppercase(),
        None => layers.get(PROTOCOL)?,
    };
    // What is encrypted the broker refuses to start with, by a better reason than this one.
    let are_plain = advertised.iter().all(|it| it.protocol == SecurityProtocol::Plaintext);
    let is_wanted = |listener: &Listener| listener.name == wanted;
    if !advertised.is_empty() && are_plain && !advertised.iter().any(is_wanted) {
        let names: Vec<&str> = advertised.iter().map(|listener| &*listener.name).collect();
        let what = format!(
            "brokers are to talk over {wanted}, which is not advertised; name another ({})",
            names.join(", ")
        );
        return Err(contradiction(NAME, what));
    }
    Ok(wanted)
}

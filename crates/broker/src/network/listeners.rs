//! Accepts connections, as many as may be, and spreads them over the I/O threads.

use std::{
    collections::BTreeMap,
    io,
    net::IpAddr,
    rc::Rc,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use super::{
    connection::Client,
    threads::{IoThreads, Order, Permit},
};
use crate::{
    broker::Broker,
    limits::REFUSED_CONNECTIONS_MAX,
    quotas::{CreationLimits, CreationRates, Turn},
};
use milena_env::{
    Clock,
    net::{self, Handover, TcpListener},
    timer,
};

/// How long nothing is accepted after that failed for want of descriptors.
const PAUSE: Duration = Duration::from_millis(100);

/// How many connections there may be, in all, by listener and by address, and how fast they may
/// come.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Allowed {
    pub(crate) connections: usize,
    pub(crate) of_listener: usize,
    pub(crate) of_one_ip: usize,
    pub(crate) creation: CreationLimits,
}

/// Who has connected: to which of the listeners, and from where.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Caller {
    /// The listener's place in the configuration.
    pub(crate) listener: usize,
    pub(crate) ip: IpAddr,
}

/// Counts connections, in all, by listener and by address.
pub(crate) struct Connections {
    /// As it is now: it can be changed while the broker runs.
    allowed: Box<dyn Fn(Caller) -> Allowed + Send + Sync>,
    clock: Arc<dyn Clock>,
    rates: Mutex<CreationRates>,
    count: AtomicUsize,
    shares: Mutex<Shares>,
}

#[derive(Debug, Default)]
struct Shares {
    by_listener: BTreeMap<usize, usize>,
    by_ip: BTreeMap<IpAddr, usize>,
}

impl std::fmt::Debug for Connections {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connections").field("count", &self.count).finish_non_exhaustive()
    }
}

/// One connection that is counted.
#[derive(Debug)]
struct Counted(Arc<Connections>, Caller);

impl Connections {
    pub(crate) fn new(
        clock: Arc<dyn Clock>,
        allowed: impl Fn(Caller) -> Allowed + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Self {
            allowed: Box::new(allowed),
            clock,
            rates: Mutex::default(),
            count: AtomicUsize::new(0),
            shares: Mutex::default(),
        })
    }

    /// Somebody has connected: whether it is their turn.
    fn turn(&self, caller: Caller) -> Turn {
        let mut rates = self.rates.lock().unwrap_or_else(PoisonError::into_inner);
        rates.connected((self.allowed)(caller).creation, self.clock.monotonic(), caller.ip)
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    fn admit(self: &Arc<Self>, caller: Caller) -> Option<Permit> {
        let allowed = (self.allowed)(caller);
        if self.count.load(Ordering::Relaxed) >= allowed.connections {
            return None;
        }
        let mut shares = self.shares.lock().unwrap_or_else(PoisonError::into_inner);
        let Shares { by_listener, by_ip } = &mut *shares;
        let of_listener = by_listener.get(&caller.listener).copied().unwrap_or(0);
        let of_ip = by_ip.get(&caller.ip).copied().unwrap_or(0);
        if of_listener >= allowed.of_listener || of_ip >= allowed.of_one_ip {
            return None;
        }
        by_listener.insert(caller.listener, of_listener + 1);
        by_ip.insert(caller.ip, of_ip + 1);
        self.count.fetch_add(1, Ordering::Relaxed);
        Some(Box::new(Counted(Arc::clone(self), caller)))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let Self(connections, caller) = self;
        connections.count.fetch_sub(1, Ordering::Relaxed);
        let mut shares = connections.shares.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(of_listener) = shares.by_listener.get_mut(&caller.listener) {
            *of_listener -= 1;
        }
        if let Some(of_ip) = shares.by_ip.get_mut(&caller.ip) {
            *of_ip -= 1;
            if *of_ip == 0 {
                shares.by_ip.remove(&caller.ip);
            }
        }
    }
}

/// Accepts on one port for ever.
pub(crate) async fn accept_all(
    listener: TcpListener,
    number: usize,
    broker: Arc<Broker>,
    threads: Arc<IoThreads>,
) {
    let connections = &broker.connections;
    // One for each connection that is to be closed in a while, and this one.
    let refused = Rc::new(());
    for turn in 0_usize.. {
        let (stream, peer) = match net::accept(&listener).await {
            Ok(accepted) => accepted,
            Err(error) => {
                if is_everybodys(&error) {
                    tracing::error!(%error, "no connection can be accepted; raise ulimit -n");
                    timer::sleep(PAUSE).await;
                }
                continue;
            }
        };
        let caller = Caller { listener: number, ip: peer.ip() };
        match connections.turn(caller) {
            Turn::Now => {}
            // Those that come meanwhile wait in the kernel.
            Turn::After(wait) => timer::sleep(wait).await,
            Turn::Refused(wait) => {
                tracing::debug!(%peer, "connection refused: its address connects too often");
                if Rc::strong_count(&refused) <= REFUSED_CONNECTIONS_MAX {
                    let refused = Rc::clone(&refused);
                    tokio::task::spawn_local(async move {
                        timer::sleep(wait).await;
                        drop((stream, refused));
                    });
                }
                continue;
            }
        }
        let Some(permit) = connections.admit(caller) else {
            tracing::warn!(
                %peer,
                "connection refused: max.connections, that of its listener, or \
                 max.connections.per.ip is reached"
            );
            continue;
        };
        let client = Client::new(peer, number);
        let Some(thread) = threads.for_turn(&broker, turn) else { return };
        match Handover::give(stream) {
            // A thread that is gone means that the broker stops.
            Ok(handover) => drop(thread.send(Order::Serve(handover, client, permit))),
            Err(error) => tracing::warn!(%error, %peer, "connection lost"),
        }
    }
}

/// Whether an error of accept concerns everybody rather than that one connection.
fn is_everybodys(error: &io::Error) -> bool {
    !matches!(
        error.kind(),
        io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::Interrupted
    )
}

#[cfg(test)]
mod test {
    use milena_env::RealClock;

    use super::*;
    use crate::quotas::Window;

    #[test]
    fn connections_are_counted_in_all_by_listener_and_by_address() {
        let window = Window { samples: 1, sample: Duration::from_secs(1) };
        let creation = CreationLimits { window, of_all: None, of_ip: None };
        let allowed = move |_| Allowed { connections: 4, of_listener: 3, of_one_ip: 2, creation };
        let connections = Connections::new(Arc::new(RealClock), allowed);
        let admit = |listener, ip| {
            connections.admit(Caller { listener, ip: IpAddr::from([127, 0, 0, ip]) })
        };
        let first = admit(0, 1).unwrap();
        let _second = admit(0, 1).unwrap();
        assert!(admit(1, 1).is_none(), "two of an address");
        let _third = admit(0, 2).unwrap();
        assert!(admit(0, 2).is_none(), "three of a listener");
        let _fourth = admit(1, 2).unwrap();
        assert!(admit(1, 3).is_none(), "four in all");
        drop(first);
        assert_eq!(connections.count(), 3);
        assert!(admit(0, 1).is_some());
        let shares = connections.shares.lock().unwrap();
        assert_eq!((shares.by_ip.len(), shares.by_listener[&0]), (2, 2));
    }
}

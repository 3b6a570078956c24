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

/// How many connections there may be, in all and by address, and how fast they may come.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Allowed {
    pub(crate) connections: usize,
    pub(crate) of_one_ip: usize,
    pub(crate) creation: CreationLimits,
}

/// Counts connections, in all and by address.
pub(crate) struct Connections {
    /// As it is now: it can be changed while the broker runs.
    allowed: Box<dyn Fn(IpAddr) -> Allowed + Send + Sync>,
    clock: Arc<dyn Clock>,
    rates: Mutex<CreationRates>,
    count: AtomicUsize,
    by_ip: Mutex<BTreeMap<IpAddr, usize>>,
}

impl std::fmt::Debug for Connections {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connections").field("count", &self.count).finish_non_exhaustive()
    }
}

/// One connection that is counted.
#[derive(Debug)]
struct Counted(Arc<Connections>, IpAddr);

impl Connections {
    pub(crate) fn new(
        clock: Arc<dyn Clock>,
        allowed: impl Fn(IpAddr) -> Allowed + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Self {
            allowed: Box::new(allowed),
            clock,
            rates: Mutex::default(),
            count: AtomicUsize::new(0),
            by_ip: Mutex::default(),
        })
    }

    /// Somebody has connected: whether it is their turn.
    fn turn(&self, ip: IpAddr) -> Turn {
        let mut rates = self.rates.lock().unwrap_or_else(PoisonError::into_inner);
        rates.connected((self.allowed)(ip).creation, self.clock.monotonic(), ip)
    }

    #[cfg(test)]
    fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    fn admit(self: &Arc<Self>, ip: IpAddr) -> Option<Permit> {
        let allowed = (self.allowed)(ip);
        if self.count.load(Ordering::Relaxed) >= allowed.connections {
            return None;
        }
        let mut by_ip = self.by_ip.lock().unwrap_or_else(PoisonError::into_inner);
        let of_ip = by_ip.entry(ip).or_default();
        if *of_ip >= allowed.of_one_ip {
            return None;
        }
        *of_ip += 1;
        self.count.fetch_add(1, Ordering::Relaxed);
        Some(Box::new(Counted(Arc::clone(self), ip)))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let Self(connections, ip) = self;
        connections.count.fetch_sub(1, Ordering::Relaxed);
        let mut by_ip = connections.by_ip.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(of_ip) = by_ip.get_mut(ip) {
            *of_ip -= 1;
            if *of_ip == 0 {
                by_ip.remove(ip);
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
        match connections.turn(peer.ip()) {
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
        let Some(permit) = connections.admit(peer.ip()) else {
            tracing::warn!(
                %peer,
                "connection refused: max.connections or max.connections.per.ip is reached"
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
    fn connections_are_counted_in_all_and_by_address() {
        let window = Window { samples: 1, sample: Duration::from_secs(1) };
        let creation = CreationLimits { window, of_all: None, of_ip: None };
        let allowed = move |_| Allowed { connections: 3, of_one_ip: 2, creation };
        let connections = Connections::new(Arc::new(RealClock), allowed);
        let (one, two) = (IpAddr::from([127, 0, 0, 1]), IpAddr::from([127, 0, 0, 2]));
        let first = connections.admit(one).unwrap();
        let _second = connections.admit(one).unwrap();
        assert!(connections.admit(one).is_none(), "two of an address");
        let _third = connections.admit(two).unwrap();
        assert!(connections.admit(two).is_none(), "three in all");
        drop(first);
        assert_eq!(connections.count(), 2);
        assert!(connections.admit(one).is_some());
        assert_eq!(connections.by_ip.lock().unwrap().len(), 2);
    }
}

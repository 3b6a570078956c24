//! A network between client and broker that does what networks do: it breaks, loses answers, and
//! stands still.

use std::{io, net::SocketAddr, sync::Arc};

use milena_env::net::{self, OwnedReadHalf, OwnedWriteHalf};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::watch,
};

/// What becomes of what is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weather {
    /// It arrives.
    Fair,
    /// Requests arrive, answers do not.
    LosesAnswers,
    /// Nothing moves.
    Still,
}

/// Where clients connect to. A broker must advertise it as its own address.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    upstream: watch::Sender<Option<SocketAddr>>,
    weather: Arc<watch::Sender<Weather>>,
    /// Connections that were made before it changed are broken.
    breaks: Arc<watch::Sender<u64>>,
}

impl Proxy {
    /// Listens; nobody is behind it yet.
    pub async fn start() -> io::Result<Self> {
        let listener = net::listen("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let (upstream, behind) = watch::channel(None);
        let weather = Arc::new(watch::Sender::new(Weather::Fair));
        let breaks = Arc::new(watch::Sender::new(0));
        let proxy =
            Self { address, upstream, weather: Arc::clone(&weather), breaks: Arc::clone(&breaks) };
        tokio::spawn(async move {
            while let Ok((client, _)) = net::accept(&listener).await {
                let Some(upstream) = *behind.borrow() else { continue };
                let Ok(broker) = net::connect(&upstream.to_string()).await else { continue };
                let ((from_client, to_client), (from_broker, to_broker)) =
                    (client.into_split(), broker.into_split());
                let pass = |from, to, is_answers| {
                    pass(from, to, is_answers, weather.subscribe(), breaks.subscribe())
                };
                tokio::spawn(pass(from_client, to_broker, false));
                tokio::spawn(pass(from_broker, to_client, true));
            }
        });
        Ok(proxy)
    }

    /// Where clients connect to.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Who is behind it from now on.
    pub fn lead_to(&self, broker: SocketAddr) {
        self.upstream.send_replace(Some(broker));
    }

    /// Changes the weather, also for connections that stand.
    pub fn set(&self, weather: Weather) {
        self.weather.send_replace(weather);
    }

    /// Breaks all connections.
    pub fn cut(&self) {
        self.breaks.send_modify(|breaks| *breaks += 1);
    }
}

async fn pass(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    is_answers: bool,
    mut weather: watch::Receiver<Weather>,
    mut breaks: watch::Receiver<u64>,
) {
    let copy = async {
        let mut bytes = vec![0; 16 << 10];
        loop {
            let read = from.read(&mut bytes).await?;
            if read == 0 {
                return io::Result::Ok(());
            }
            let _ = weather.wait_for(|weather| *weather != Weather::Still).await;
            let is_lost = is_answers && *weather.borrow() == Weather::LosesAnswers;
            if !is_lost {
                to.write_all(bytes.get(..read).unwrap_or_default()).await?;
            }
        }
    };
    tokio::select! {
        _ = copy => {}
        _ = breaks.changed() => {}
    }
}

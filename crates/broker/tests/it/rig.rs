//! A whole broker inside the test, on a simulated disk: started, stopped, cut off from power,
//! started again.

use std::{net::SocketAddr, sync::Arc};

use milena_broker::{Outside, Server, StartError};
use milena_config::{ServerConfig, properties};
use milena_env::{Clock, Disk, Random, RealClock, SimulatedDisk};

use crate::client::Client;

pub(crate) struct Rig {
    pub(crate) disk: Arc<SimulatedDisk>,
    clock: Arc<dyn Clock>,
    settings: String,
    listener: SocketAddr,
    /// How many brokers there were: each has another chance, or ids would come twice.
    lives: u64,
    server: Option<Server>,
}

impl Rig {
    pub(crate) fn start(settings: &str) -> Self {
        Self::start_on(SimulatedDisk::new(1), Arc::new(RealClock), settings)
    }

    pub(crate) fn start_on(
        disk: Arc<SimulatedDisk>,
        clock: Arc<dyn Clock>,
        settings: &str,
    ) -> Self {
        let listener = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut rig =
            Self { disk, clock, settings: settings.to_owned(), listener, lives: 0, server: None };
        rig.start_again().unwrap();
        rig
    }

    /// Starts a broker on what the disk holds.
    pub(crate) fn start_again(&mut self) -> Result<(), StartError> {
        let text = format!(
            "listeners=PLAINTEXT://{}\nlog.dirs=/data\nnum.network.threads=2\n\
             milena.shutdown.timeout.ms=2000\n{}\n",
            self.listener, self.settings
        );
        let entries = properties::parse(text.as_bytes()).unwrap();
        let (config, _) = ServerConfig::parse(&entries).unwrap();
        self.lives += 1;
        let server = Server::start(
            config,
            Outside {
                disk: Arc::clone(&self.disk) as Arc<dyn Disk>,
                clock: Arc::clone(&self.clock),
                random: Random::from_seed(self.lives),
            },
        )?;
        self.server = Some(server);
        Ok(())
    }

    /// Where the next broker listens, instead of anywhere.
    pub(crate) fn listen_at(&mut self, listener: SocketAddr) {
        self.listener = listener;
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.server.as_ref().unwrap().addresses()[0]
    }

    pub(crate) fn metrics_address(&self) -> Option<SocketAddr> {
        self.server.as_ref().unwrap().metrics_address()
    }

    pub(crate) fn client(&self) -> Client {
        Client::connect(self.address()).unwrap()
    }

    /// Stops the broker in order.
    pub(crate) fn stop(&mut self) {
        self.server.take().unwrap().stop().unwrap();
    }

    /// The power fails under the running broker; the next one finds what the disk has kept.
    pub(crate) fn cut_power(&mut self) {
        let disk = self.disk.crash();
        self.end(disk);
    }

    /// The broker is killed: all that it wrote is there for the next one.
    pub(crate) fn kill(&mut self) {
        let disk = self.disk.kill();
        self.end(disk);
    }

    /// What the old broker still tries to write fails, so it may take its time to end.
    fn end(&mut self, next: Arc<SimulatedDisk>) {
        self.disk = next;
        if let Some(server) = self.server.take() {
            let _ = server.stop();
        }
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        if let Some(server) = self.server.take() {
            let _ = server.stop();
        }
    }
}

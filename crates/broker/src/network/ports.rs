//! The ports that clients connect to, and what they are told to connect to.

use std::{net::SocketAddr, sync::Arc, thread::JoinHandle};

use milena_config::{ServerConfig, server::Listener};
use milena_env::{net, spawn_thread};
use milena_metadata::image::Endpoint;
use tokio::sync::oneshot;

use super::{listeners::accept_all, threads::IoThreads};
use crate::{broker::Broker, error::StartError};

/// The ports that are open, and for which listener each is.
pub(crate) struct Ports {
    runtime: tokio::runtime::Runtime,
    ports: Vec<(net::TcpListener, Listener)>,
}

impl Ports {
    pub(crate) fn open(config: &ServerConfig) -> Result<Self, StartError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let mut ports = Vec::new();
        for listener in &config.network.listeners {
            let host = if listener.host.is_empty() { "0.0.0.0" } else { &listener.host };
            let address = format!("{host}:{}", listener.port);
            let opened = runtime.block_on(net::listen(&address));
            let port = opened.map_err(|source| StartError::Port { address, source })?;
            ports.push((port, listener.clone()));
        }
        Ok(Self { runtime, ports })
    }

    pub(crate) fn addresses(&self) -> Vec<SocketAddr> {
        self.ports.iter().filter_map(|(port, _)| port.local_addr().ok()).collect()
    }

    /// What clients are told to connect to; a port that the system chose takes its place, and the
    /// machine's own name that of a host which nobody named.
    pub(crate) fn endpoints(&self, config: &ServerConfig) -> Result<Vec<Endpoint>, StartError> {
        let endpoint = |listener: &Listener| {
            let opened = self.ports.iter().find(|(_, opened)| opened.name == listener.name);
            let chosen = opened.and_then(|(port, _)| port.local_addr().ok());
            let port = match listener.port {
                0 => chosen.map_or(0, |address| address.port()),
                port => port,
            };
            let host = if listener.host.is_empty() {
                self.own_name(&listener.name, port)?
            } else {
                listener.host.clone()
            };
            Ok(Endpoint {
                listener: listener.name.as_str().into(),
                host: host.as_str().into(),
                port,
                security_protocol: listener.protocol.id(),
            })
        };
        config.network.advertised.iter().map(endpoint).collect()
    }

    /// What this machine is called, if that leads back to it.
    fn own_name(&self, listener: &str, port: u16) -> Result<String, StartError> {
        let name = net::host_name();
        if !self.runtime.block_on(net::is_known(&name)) {
            return Err(StartError::NoHost { listener: listener.to_owned(), port, name });
        }
        tracing::info!(
            "clients are told to connect to {name}:{port}; advertised.listeners says otherwise"
        );
        Ok(name)
    }

    /// Accepts from here on, on a thread of its own.
    pub(crate) fn accept(
        self,
        broker: &Arc<Broker>,
        threads: &Arc<IoThreads>,
    ) -> Result<(oneshot::Sender<()>, JoinHandle<()>), StartError> {
        let (stop, stopped) = oneshot::channel();
        let (broker, threads) = (Arc::clone(broker), Arc::clone(threads));
        let thread = spawn_thread("accept", move || {
            let local = tokio::task::LocalSet::new();
            for (number, (port, _)) in self.ports.into_iter().enumerate() {
                local.spawn_local(accept_all(
                    port,
                    number,
                    Arc::clone(&broker),
                    Arc::clone(&threads),
                ));
            }
            // Dropping the sender stops it as well.
            let _ = local.block_on(&self.runtime, stopped);
        })?;
        Ok((stop, thread))
    }
}

#[cfg(test)]
mod test {
    use milena_config::properties;

    use super::*;

    #[test]
    fn clients_are_told_a_host_also_where_none_was_named() {
        let text = b"listeners=PLAINTEXT://:0,INSIDE://127.0.0.1:0\n\
            listener.security.protocol.map=PLAINTEXT:PLAINTEXT,INSIDE:PLAINTEXT";
        let (config, _) = ServerConfig::parse(&properties::parse(text).unwrap()).unwrap();
        let ports = Ports::open(&config).unwrap();
        let opened: Vec<u16> = ports.addresses().iter().map(SocketAddr::port).collect();
        match ports.endpoints(&config) {
            Ok(endpoints) => {
                let hosts: Vec<&str> = endpoints.iter().map(|it| &*it.host).collect();
                assert_eq!(hosts, [&*net::host_name(), "127.0.0.1"]);
                assert_eq!(endpoints.iter().map(|it| it.port).collect::<Vec<_>>(), opened);
            }
            // A machine that does not know itself.
            Err(error) => {
                let what = format!("advertised.listeners=PLAINTEXT://HOST:{}", opened[0]);
                assert!(error.to_string().contains(&what), "{error}");
            }
        }
    }

    #[test]
    fn a_port_that_cannot_be_opened_is_told_with_what_to_do() {
        let open = |listeners: &str| {
            let text = format!("listeners={listeners}");
            let entries = properties::parse(text.as_bytes()).unwrap();
            Ports::open(&ServerConfig::parse(&entries).unwrap().0)
        };
        let first = open("PLAINTEXT://127.0.0.1:0").unwrap();
        let port = first.addresses()[0].port();
        for (listeners, advice) in [
            (format!("PLAINTEXT://127.0.0.1:{port}"), "choose another port"),
            ("PLAINTEXT://192.0.2.1:0".to_owned(), "no address of this machine"),
        ] {
            let error = open(&listeners).err().unwrap().to_string();
            assert!(error.contains(advice), "{error}");
        }
    }
}

//! The listening sockets: bound all at once, so that a box either has every address it was given or says which not.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use super::federation::Federation;
use super::web;
use crate::api::status::ListenStatus;
use crate::config::{Config, Limits};
use crate::link::clients::{self, ClientBounds, Security};
use crate::link::refusals::Refusals;
use crate::link::tls;
use crate::pki::Own;
use crate::route::Network;

/// Connections that may wait to be accepted, per listener.
const BACKLOG: i32 = 128;

/// An address that could not be had.
#[derive(Debug)]
pub struct ListenError {
    key: &'static str,
    address: SocketAddr,
    error: io::Error,
}

impl fmt::Display for ListenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            key,
            address,
            error,
        } = self;
        write!(f, "cannot listen on {address} ({key}): {error}; ")?;
        match error.kind() {
            io::ErrorKind::AddrInUse => {
                f.write_str("another program has it: stop that one, or set another address")
            }
            io::ErrorKind::AddrNotAvailable => f.write_str(
                "no interface has this address: use 0.0.0.0, or one that `ip address` shows",
            ),
            io::ErrorKind::PermissionDenied => f.write_str("ports below 1024 need privileges"),
            _ => f.write_str("set another address, or \"\" to switch it off"),
        }
    }
}

/// Sockets that are bound and not yet served; none by default.
#[derive(Debug, Default)]
pub(super) struct Listeners {
    clients_tcp: Option<TcpListener>,
    clients_tls: Option<TcpListener>,
    federation: Vec<TcpListener>,
    api: Option<TcpListener>,
    freetakserver: Option<TcpListener>,
    packages: Option<TcpListener>,
    networks: Vec<InNetwork>,
}

/// Listeners whose clients are in one local network.
#[derive(Debug)]
struct InNetwork {
    network: Network,
    clients_tcp: Option<TcpListener>,
    clients_tls: Option<TcpListener>,
}

impl Listeners {
    /// Binds them all. A `patient` box takes an address that no interface has yet: at its start the network may not be
    /// there.
    ///
    /// # Errors
    /// The first address that cannot be had.
    pub(super) fn bind(config: &Config, patient: bool) -> Result<Self, ListenError> {
        let listen = &config.listen;
        let bind = |key, address| bind(key, address, patient);
        let one = |key, address: &Option<SocketAddr>| {
            address.map(|address| bind(key, address)).transpose()
        };
        Ok(Self {
            clients_tcp: one("listen.clients_tcp", &listen.clients_tcp)?,
            clients_tls: one("listen.clients_tls", &listen.clients_tls)?,
            federation: listen
                .federation
                .iter()
                .map(|&address| bind("listen.federation", address))
                .collect::<Result<_, _>>()?,
            api: one("listen.api", &listen.api)?,
            freetakserver: one("listen.freetakserver", &listen.freetakserver)?,
            packages: one(
                "packages.federation_port",
                &config.packages.federation_address(listen.api),
            )?,
            networks: (0..)
                .zip(&config.networks)
                .map(|(number, network)| {
                    Ok(InNetwork {
                        network: Network(number),
                        clients_tcp: one("network.clients_tcp", &network.clients_tcp)?,
                        clients_tls: one("network.clients_tls", &network.clients_tls)?,
                    })
                })
                .collect::<Result<_, _>>()?,
        })
    }

    /// The addresses with the ports that were really bound.
    pub(super) fn bound(&self) -> ListenStatus {
        let address = |listener: &TcpListener| listener.local_addr().ok();
        ListenStatus {
            clients_tcp: self.clients_tcp.as_ref().and_then(address),
            clients_tls: self.clients_tls.as_ref().and_then(address),
            federation: self.federation.iter().filter_map(address).collect(),
            api: self.api.as_ref().and_then(address),
            freetakserver: self.freetakserver.as_ref().and_then(address),
            packages: self.packages.as_ref().and_then(address),
        }
    }

    /// The same of each local network: its plain listener, and its TLS listener.
    pub(super) fn bound_in_networks(&self) -> Vec<[Option<SocketAddr>; 2]> {
        let address = |listener: &Option<TcpListener>| listener.as_ref()?.local_addr().ok();
        let both = |one: &InNetwork| [address(&one.clients_tcp), address(&one.clients_tls)];
        self.networks.iter().map(both).collect()
    }

    /// Serves them all; the tasks of the client listeners end when `stop` says so.
    pub(super) fn serve(
        self,
        own: &Own,
        limits: &Limits,
        refusals: Refusals,
        federation: &Federation,
        web: web::Settings,
        stop: &watch::Sender<bool>,
    ) -> Result<Vec<JoinHandle<()>>, rustls::Error> {
        let hub = federation.hub();
        let bounds = ClientBounds {
            slots: Arc::new(Semaphore::new(usize::from(limits.max_clients))),
            door: federation.door(),
            intake: federation.intake(limits),
            handshake: Duration::from_secs(limits.handshake_seconds.into()),
            refusals: refusals.clone(),
            network: Network::LOCAL,
            revocations: federation.revocations(),
        };
        let mut tasks = Vec::new();
        let mut serve = |listener, security, network| {
            let bounds = ClientBounds {
                network,
                ..bounds.clone()
            };
            let task = clients::serve(listener, security, hub.clone(), bounds, stop.subscribe());
            tasks.push(tokio::spawn(task));
        };
        let own_network = InNetwork {
            network: Network::LOCAL,
            clients_tcp: self.clients_tcp,
            clients_tls: self.clients_tls,
        };
        let mut mutual = Vec::new();
        for one in std::iter::once(own_network).chain(self.networks) {
            if let Some(listener) = one.clients_tcp {
                serve(listener, Security::Plain, one.network);
            }
            mutual.extend(one.clients_tls.map(|listener| (listener, one.network)));
        }
        if !mutual.is_empty() {
            let clock = federation.clock();
            let observer = clock.telling(tls::unobserved());
            let known = (own.client_authorities(), federation.revocations());
            let tls = tls::clients_server(&federation.credentials(), known, observer)?;
            let acceptor = TlsAcceptor::from(tls);
            for (listener, network) in mutual {
                serve(listener, Security::Tls(acceptor.clone()), network);
            }
        }
        for listener in self.federation {
            federation.listen(listener);
        }
        let web = web::Web {
            own,
            limits,
            federation,
            hub: &hub,
            refusals: &refusals,
            clients: &bounds.slots,
            stop,
        }
        .serve(web, self.api, self.freetakserver, self.packages)?;
        tasks.extend(web);
        Ok(tasks)
    }
}

fn bind(key: &'static str, address: SocketAddr, patient: bool) -> Result<TcpListener, ListenError> {
    let bound = |free: bool| {
        let socket = Socket::new(
            Domain::for_address(address),
            Type::STREAM.nonblocking(),
            Some(Protocol::TCP),
        )?;
        // A restart must not wait for the old connections' last packets.
        socket.set_reuse_address(true)?;
        if address.is_ipv6() {
            // "[::]" is for IPv6 alone, so that 0.0.0.0 can stand beside it in the same list.
            socket.set_only_v6(true)?;
        }
        match address {
            SocketAddr::V4(_) if free => socket.set_freebind_v4(true)?,
            SocketAddr::V6(_) if free => socket.set_freebind_v6(true)?,
            _ => {}
        }
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        TcpListener::from_std(socket.into())
    };
    let bound = match bound(false) {
        Err(error) if patient && error.kind() == io::ErrorKind::AddrNotAvailable => {
            tracing::warn!(%address, "no interface has the address of {key} yet: nobody gets through until one has");
            bound(true)
        }
        bound => bound,
    };
    bound.map_err(|error| ListenError {
        key,
        address,
        error,
    })
}

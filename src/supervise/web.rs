//! The HTTPS API and FreeTAKServer's routes, on their listeners.

use std::net::Ipv6Addr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use super::federation::Federation;
use super::packages::Packages;
use crate::access::Access;
use crate::api::status::ListenStatus;
use crate::api::web::marti::{ForFederates, Marti};
use crate::api::{Turns, web};
use crate::budget;
use crate::config::settings::API_PORT;
use crate::config::{Config, Limits};
use crate::link::http::places::Places;
use crate::link::http::server::{Identify, Security, Server, serve};
use crate::link::hub::Hub;
use crate::link::refusals::Refusals;
use crate::link::tls;
use crate::pki::Own;
use crate::pki::trust::judge_client;
use crate::system::address::own_address;

/// Who answers, and who may ask.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) turns: Arc<Turns>,
    pub(super) access: Access,
    /// Data packages; none: they are off.
    pub(super) packages: Option<Packages>,
    /// `https://host:port` of the API, as clients reach it.
    pub(super) base: String,
}

/// Where clients reach the API of a box that listens there.
pub(super) fn base(config: &Config, bound: &ListenStatus) -> String {
    let host = config.advertised_host.clone().unwrap_or_else(own_address);
    let host = match host.parse::<Ipv6Addr>() {
        Ok(address) => format!("[{address}]"),
        Err(_) => host,
    };
    let port = bound.api.map_or(API_PORT, |address| address.port());
    format!("https://{host}:{port}")
}

/// What the listeners take from the rest of the box.
pub(super) struct Web<'a> {
    pub(super) own: &'a Own,
    pub(super) limits: &'a Limits,
    pub(super) federation: &'a Federation,
    pub(super) hub: &'a Hub,
    pub(super) refusals: &'a Refusals,
    /// Places of local clients.
    pub(super) clients: &'a Arc<Semaphore>,
    pub(super) stop: &'a watch::Sender<bool>,
}

impl Web<'_> {
    /// Serves both; the tasks end when the box stops.
    ///
    /// # Errors
    /// If TLS does not take our identity.
    pub(super) fn serve(
        self,
        settings: Settings,
        api: Option<TcpListener>,
        freetakserver: Option<TcpListener>,
        packages: Option<TcpListener>,
    ) -> Result<Vec<JoinHandle<()>>, rustls::Error> {
        let marti = settings.packages.map(|kept| {
            let hub = self.hub.clone();
            let marti = Marti::new(kept.store, kept.clerk, kept.customs, hub, settings.base);
            Arc::new(marti)
        });
        let shared = Arc::new(web::Shared {
            marti: marti.clone(),
            turns: settings.turns,
            access: settings.access,
            hub: self.hub.clone(),
            clients: Arc::clone(self.clients),
            watchers: Arc::new(Semaphore::new(self.limits.max_watchers.into())),
            longest: usize::try_from(budget::control_line(self.limits)).unwrap_or(usize::MAX),
            stop: self.stop.subscribe(),
            signing_in: Semaphore::new(1),
        });
        // Both together: the memory is the same.
        let most = self.limits.max_api_connections.into();
        let places = Places::new(most, Arc::clone(self.clients));
        let server = |answer, security| Server {
            answer: Arc::new(answer),
            security,
            places: places.clone(),
            refusals: self.refusals.clone(),
            hub: self.hub.clone(),
        };
        let mut tasks = Vec::new();
        if let Some(listener) = api {
            let server = server(web::Web::new(Arc::clone(&shared)), self.security()?);
            tasks.push(tokio::spawn(serve(listener, server, self.stop.subscribe())));
        }
        if let Some(listener) = freetakserver {
            let server = server(web::Web::local(shared), Security::Plain);
            tasks.push(tokio::spawn(serve(listener, server, self.stop.subscribe())));
        }
        if let (Some(listener), Some(marti)) = (packages, marti) {
            let server = Server {
                answer: Arc::new(ForFederates(marti)),
                security: self.federates_only()?,
                places,
                refusals: self.refusals.clone(),
                hub: self.hub.clone(),
            };
            tasks.push(tokio::spawn(serve(listener, server, self.stop.subscribe())));
        }
        Ok(tasks)
    }

    /// Federates, judged as at the federation listener.
    fn federates_only(&self) -> Result<Security, rustls::Error> {
        let credentials = self.federation.credentials();
        let roster = self.federation.roster();
        let observer = self.federation.clock().telling(tls::unobserved());
        let tls = tls::packages_server(&credentials, roster.clone(), observer)?;
        let moments = self.federation.clock().moments();
        let identify: Identify = Arc::new(move |chain| roster.identify(chain, moments()).ok());
        Ok(Security::Tls {
            acceptor: TlsAcceptor::from(tls),
            door: self.federation.door(),
            identify,
            within: Duration::from_secs(self.limits.handshake_seconds.into()),
        })
    }

    fn security(&self) -> Result<Security, rustls::Error> {
        let credentials = self.federation.credentials();
        let revocations = self.federation.revocations();
        let authorities = self.own.client_authorities();
        let tls = tls::api_server(&credentials, &authorities)?;
        let moments = self.federation.clock().moments();
        let identify: Identify = Arc::new(move |chain| {
            let judged = judge_client(chain, (&authorities, &revocations), moments());
            judged.ok().map(|(name, _)| name)
        });
        Ok(Security::Tls {
            acceptor: TlsAcceptor::from(tls),
            door: self.federation.door(),
            identify,
            within: Duration::from_secs(self.limits.handshake_seconds.into()),
        })
    }
}

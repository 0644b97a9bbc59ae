//! The link against itself and against foreign ends that are driven by hand, all over loopback TCP and TLS.
//!
//! These tests are about the protocol: which call comes when and how it ends. What the router makes of events is
//! tested where the router is.

mod accepting;
mod clocks;
mod companions;
mod dialling;
mod keeping;
mod packages;
mod pair;
mod peers;
mod refused;
mod thin;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose,
};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig, SupportedProtocolVersion};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use super::{Acceptor, AcceptorSettings, Companions};
use crate::clock::{Clock, SystemClock};
use crate::config::{Flavour, Limits, Protocol};
use crate::link::board::{PeerBoard, PeerState};
use crate::link::door::Door;
use crate::link::federate::{Node, PeerSettings, Registry, Timing};
use crate::link::hub::{Hub, Port};
use crate::link::meter::Meters;
use crate::link::nat::Keeper;
use crate::link::packages::Packages;
use crate::link::refusals::Refusals;
use crate::pki::store;
use crate::route::{LinkSpec, Network, Router, Settings, Verdict};
use crate::wire;

/// Longest that any test waits for something that must come.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long a test watches that something does not come.
const WHILE: Duration = Duration::from_millis(300);

/// A certificate authority and one leaf that both sides of a connection use.
struct Pki {
    authority: CertifiedIssuer<'static, KeyPair>,
}

impl Pki {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().unwrap();
        let authority = CertifiedIssuer::self_signed(params, key).unwrap();
        Self { authority }
    }

    /// Leaf and issuer, both usages, for loopback.
    fn identity(&self, name: &str) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
        let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        let mut params = CertificateParams::new(names).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        let key = KeyPair::generate().unwrap();
        let leaf = params.signed_by(&key, &self.authority).unwrap();
        let chain = vec![leaf.der().clone(), self.authority.der().clone()];
        (
            chain,
            PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der())),
        )
    }

    /// Such an identity as PEM files for another program: chain, key, authority.
    fn write(&self, folder: &Path) -> [PathBuf; 3] {
        let (chain, key) = self.identity("foreign");
        let authority = [self.authority.der().clone()];
        let files = [
            ("chain.pem", store::pem(&chain)),
            ("key.pem", KeyPair::try_from(&key).unwrap().serialize_pem()),
            ("ca.pem", store::pem(&authority)),
        ];
        files.map(|(file, text)| {
            let path = folder.join(file);
            std::fs::write(&path, text).unwrap();
            path
        })
    }

    fn roots(&self) -> Arc<RootCertStore> {
        let mut roots = RootCertStore::empty();
        roots.add(self.authority.der().clone()).unwrap();
        Arc::new(roots)
    }

    fn server(&self) -> Arc<ServerConfig> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(self.roots(), provider.clone())
            .build()
            .unwrap();
        let (chain, key) = self.identity("server");
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain, key)
            .unwrap();
        config.alpn_protocols = vec![b"h2".to_vec()];
        Arc::new(config)
    }

    fn client(&self) -> Arc<ClientConfig> {
        self.client_trusting(self)
    }

    fn client_trusting(&self, other: &Self) -> Arc<ClientConfig> {
        self.client_of_version(other, rustls::DEFAULT_VERSIONS)
    }

    fn client_of_version(
        &self,
        other: &Self,
        versions: &[&'static SupportedProtocolVersion],
    ) -> Arc<ClientConfig> {
        let (chain, key) = self.identity("client");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(other.roots())
            .with_client_auth_cert(chain, key)
            .unwrap();
        config.alpn_protocols = vec![b"h2".to_vec()];
        Arc::new(config)
    }
}

/// The protocol's intervals, a dozen times faster.
pub(in crate::link) fn quick() -> Timing {
    Timing {
        groups: Duration::from_secs(3),
        health_every: Duration::from_millis(100),
        health_deadline: Duration::from_secs(3),
        sweep: Duration::from_millis(50),
        reopen: Duration::from_millis(50),
        look: Duration::from_millis(50),
        latched: Duration::from_millis(600),
        retry_first: Duration::from_millis(50),
        retry_most: Duration::from_millis(200),
        ..Timing::default()
    }
}

pub(in crate::link) const ALPHA: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
pub(in crate::link) const BRAVO: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

pub(in crate::link) fn node(name: &str, federate_id: &str, timing: Timing) -> Arc<Node> {
    let router = Router::new(Settings::of(&Limits::default(), federate_id.to_owned(), 1));
    let hub = Hub::new(router, Arc::new(SystemClock::new()));
    node_with(name, federate_id, timing, hub)
}

fn node_with(name: &str, federate_id: &str, timing: Timing, hub: Hub) -> Arc<Node> {
    Arc::new(Node {
        groups: crate::link::fed2::groups::Announced::default(),
        name: name.into(),
        federate_id: federate_id.into(),
        hub,
        board: PeerBoard::new(),
        routes: crate::link::route_watch::Routes::default(),
        registry: Registry::new(federate_id, timing.fresh),
        companions: Companions::default(),
        keeper: Keeper::default(),
        meters: Meters::default(),
        message_limit: 128 * 1024,
        packages: Packages::default(),
        large_events: Arc::new(Semaphore::new(2)),
        timing,
    })
}

pub(in crate::link) fn peer(name: &str, address: Option<SocketAddr>) -> PeerSettings {
    PeerSettings {
        name: name.into(),
        address: address.map(|address| address.to_string()),
        incoming: true,
        outgoing: true,
        keepalive_seconds: None,
        further: Vec::new(),
        fallback: None,
        uplinks: Vec::new(),
        rate: None,
        compress: true,
        protocol: Protocol::V2,
        flavour: Flavour::TakServer,
    }
}

/// An acceptor that takes every certificate of `pki` for the peer `name`.
async fn acceptor(node: &Arc<Node>, pki: &Pki, name: &str) -> (Acceptor, SocketAddr) {
    acceptor_of(node, pki, peer(name, None)).await
}

async fn acceptor_of(
    node: &Arc<Node>,
    pki: &Pki,
    settings: PeerSettings,
) -> (Acceptor, SocketAddr) {
    let acceptor = Acceptor::new(AcceptorSettings {
        door: Door::new(4, 4),
        refusals: Refusals::default(),
        leaf: String::new(),
        node: Arc::clone(node),
        tls: pki.server(),
        identify: Arc::new(move |chain| (chain.len() == 2).then(|| settings.clone())),
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    acceptor.listen(listener);
    (acceptor, address)
}

/// Waits until `condition` holds.
pub(in crate::link) async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let waits = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    assert!(
        tokio::time::timeout(PATIENCE, waits).await.is_ok(),
        "waited in vain for: {what}"
    );
}

pub(in crate::link) fn state(node: &Node, peer: &str) -> PeerState {
    node.board
        .status(peer)
        .map(|status| status.state)
        .unwrap_or_default()
}

pub(in crate::link) fn reason(node: &Node, peer: &str) -> String {
    node.board
        .status(peer)
        .map(|status| status.reason)
        .unwrap_or_default()
}

/// A local client of a node: what it says, and what it is told.
pub(in crate::link) struct Local(Port);

impl Local {
    pub(in crate::link) fn of(node: &Node) -> Self {
        let address = "test".to_owned();
        Self(node.hub.attach(LinkSpec::Client {
            address,
            network: Network::LOCAL,
        }))
    }

    /// Says an event that lives for a day, with a contact of that callsign.
    pub(in crate::link) fn says(&self, uid: &str) {
        let clock = SystemClock::new().now().wall_ms;
        let stamp = |offset: i64| {
            let bytes = wire::stamp::write(clock + offset).unwrap();
            String::from_utf8(bytes.to_vec()).unwrap()
        };
        let (now, stale) = (stamp(0), stamp(86_400_000));
        let event = format!(
            "<event version='2.0' uid='{uid}' type='a-f-G-U-C' how='m-g' time='{now}' start='{now}' stale='{stale}'>\
             <point lat='1.5' lon='-2.25' hae='3' ce='4' le='5'/><detail><contact callsign='{uid}' \
             endpoint='*:-1:stcp'/><remarks>{uid} speaks</remarks></detail></event>"
        );
        let verdict = self.0.receive_xml(event.as_bytes());
        assert!(!matches!(verdict, Verdict::Dropped(_)), "{verdict:?}");
    }

    /// Waits until it has been told something that contains `text`.
    pub(in crate::link) async fn hears(&self, text: &str) -> String {
        let mut heard = String::new();
        let hearing = async {
            while !heard.contains(text) {
                let batch = std::future::poll_fn(|context| self.0.poll_batch(context)).await;
                heard.push_str(std::str::from_utf8(&batch.unwrap()).unwrap());
            }
        };
        let in_time = tokio::time::timeout(PATIENCE, hearing).await;
        assert!(in_time.is_ok(), "{text:?} did not come, but: {heard}");
        heard
    }
}

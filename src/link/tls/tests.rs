//! Real handshakes over an in-memory pipe, both TLS versions, both directions of judgement.

use std::io;
use std::sync::{Mutex, PoisonError};

use rcgen::ExtendedKeyUsagePurpose::{ClientAuth, ServerAuth};
use rustls::{HandshakeKind, ProtocolVersion};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::*;
use crate::link::handshake::Failure;
use crate::pki::testing::{Authority, Leaf, rule, today};

type Accepted = io::Result<tokio_rustls::server::TlsStream<DuplexStream>>;
type Connected = io::Result<tokio_rustls::client::TlsStream<DuplexStream>>;

/// Keeps what the observer heard.
#[derive(Clone, Default)]
struct Heard(Arc<Mutex<Vec<Judgement>>>);

impl Heard {
    fn observer(&self) -> Observer {
        let heard = self.clone();
        Arc::new(move |judgement| heard.all().push(judgement))
    }

    fn all(&self) -> std::sync::MutexGuard<'_, Vec<Judgement>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn outcomes(&self) -> Vec<Result<String, Refusal>> {
        self.all()
            .iter()
            .map(|judgement| judgement.outcome.clone())
            .collect()
    }
}

/// Two federates that know each other.
struct World {
    alpha_ca: Authority,
    bravo_ca: Authority,
    alpha: Identity,
    bravo: Identity,
}

fn world() -> World {
    let (alpha_ca, bravo_ca) = (Authority::new("alpha CA"), Authority::new("bravo CA"));
    let alpha = alpha_ca.issue(Leaf::good("alpha"));
    let bravo = bravo_ca.issue(Leaf::good("bravo"));
    World {
        alpha_ca,
        bravo_ca,
        alpha,
        bravo,
    }
}

/// One handshake; the client then says one byte, and hears the server's verdict if there is one.
async fn meet(server: Arc<ServerConfig>, client: Arc<ClientConfig>) -> (Accepted, Connected) {
    let (near, far) = duplex(64 * 1024);
    let accept = async {
        let mut stream = TlsAcceptor::from(server).accept(near).await?;
        let byte = stream.read_u8().await?;
        stream.write_all(&[byte]).await?;
        stream.flush().await?;
        Ok(stream)
    };
    let connect = async {
        let mut stream = TlsConnector::from(client)
            .connect(server_name("bravo.example"), far)
            .await?;
        stream.write_all(b"x").await?;
        stream.flush().await?;
        // In TLS 1.3 a refusal of our certificate arrives here.
        assert_eq!(stream.read_u8().await?, b'x');
        Ok(stream)
    };
    tokio::join!(accept, connect)
}

fn dial(identity: &Identity, rule: TrustRule, observer: Observer) -> [Arc<ClientConfig>; 2] {
    [&TLS12, &TLS13].map(|version| {
        let credentials = Credentials::new(identity).unwrap();
        Arc::new(
            client(
                &credentials,
                Admission::One(rule.clone()),
                observer.clone(),
                &[version],
            )
            .unwrap(),
        )
    })
}

fn listen(identity: &Identity, rules: Vec<TrustRule>, observer: Observer) -> Arc<ServerConfig> {
    federation_server(
        &Credentials::new(identity).unwrap(),
        Roster::new(rules),
        observer,
    )
    .unwrap()
}

fn failure<T>(outcome: io::Result<T>) -> Failure {
    Failure::of(&outcome.err().expect("this handshake must fail"))
}

#[tokio::test]
async fn registered_federates_meet_in_both_versions() {
    let World {
        alpha_ca,
        bravo_ca,
        alpha,
        bravo,
    } = world();
    let heard = Heard::default();
    let listener = listen(
        &bravo,
        vec![rule("alpha", Some(&alpha_ca), Some(&alpha))],
        heard.observer(),
    );
    let dialler = dial(
        &alpha,
        rule("bravo", Some(&bravo_ca), Some(&bravo)),
        heard.observer(),
    );
    for (config, version) in dialler
        .into_iter()
        .zip([ProtocolVersion::TLSv1_2, ProtocolVersion::TLSv1_3])
    {
        let (accepted, connected) = meet(listener.clone(), config).await;
        let (accepted, connected) = (accepted.unwrap(), connected.unwrap());
        let (_, far) = accepted.get_ref();
        assert_eq!(far.protocol_version(), Some(version));
        assert_eq!(far.alpn_protocol(), Some(FEDERATION_ALPN));
        assert_eq!(
            far.peer_certificates(),
            Some(&alpha.chain[..]),
            "leaf and issuer reach the listener"
        );
        assert_eq!(
            connected.get_ref().1.peer_certificates(),
            Some(&bravo.chain[..])
        );
    }
    let names: Vec<String> = heard.outcomes().into_iter().map(Result::unwrap).collect();
    assert_eq!(names, ["bravo", "alpha", "bravo", "alpha"]);
    assert_eq!(heard.all()[0].fingerprint, bravo.fingerprint());
    assert_eq!(heard.all()[1].fingerprint, alpha.fingerprint());
}

/// Everything that a stranger can present, and the refusal, by the registration of CA and leaf.
fn bad(world: &World) -> Vec<(Identity, Refusal)> {
    let ca = &world.alpha_ca;
    let mut alone = world.alpha.clone();
    alone.chain.truncate(1);
    let sibling = ca.issue(Leaf::good("alpha"));
    let stranger = Authority::new("other CA").issue(Leaf::good("alpha"));
    let server_only = ca.issue(Leaf::good("alpha").usages(&[ServerAuth]));
    let expired = ca.issue(Leaf::good("alpha").dates(today() - 1000, today() - 500));
    let early = ca.issue(Leaf::good("alpha").dates(today() + 5000, today() + 9000));
    vec![
        (alone, Refusal::OneCertificate),
        (stranger, Refusal::UnknownCa),
        (sibling, Refusal::Unregistered),
        (server_only, Refusal::NoClientAuth),
        (expired, Refusal::Expired),
        (early, Refusal::NotYetValid),
    ]
}

/// The registration under which a case shows its own flaw: pinned to alpha, or to the flawed leaf itself.
fn registration(world: &World, presented: &Identity, refusal: Refusal) -> TrustRule {
    let leaf = if refusal == Refusal::Unregistered {
        &world.alpha
    } else {
        presented
    };
    rule("alpha", Some(&world.alpha_ca), Some(leaf))
}

#[tokio::test]
async fn the_listener_refuses_in_the_handshake_with_its_own_words() {
    let world = world();
    for (presented, refusal) in bad(&world) {
        let heard = Heard::default();
        let rules = vec![registration(&world, &presented, refusal)];
        let listener = listen(&world.bravo, rules, heard.observer());
        for config in dial(
            &presented,
            rule("bravo", Some(&world.bravo_ca), None),
            unobserved(),
        ) {
            let (accepted, connected) = meet(listener.clone(), config).await;
            assert_eq!(failure(accepted), Failure::Refused(refusal));
            let told = failure(connected);
            let expected = match refusal {
                Refusal::Unregistered => Failure::NotRegistered,
                Refusal::NoClientAuth => Failure::UsageRefused,
                Refusal::Expired | Refusal::NotYetValid => Failure::OutOfDate,
                _ => Failure::Distrusted,
            };
            assert_eq!(
                told, expected,
                "what the refused peer learns of {refusal:?}"
            );
            let judgement = heard.all().pop().unwrap();
            assert_eq!(judgement.outcome, Err(refusal));
            assert_eq!(judgement.fingerprint, presented.fingerprint());
        }
    }
}

#[tokio::test]
async fn the_dialler_refuses_in_the_handshake_with_its_own_words() {
    let world = world();
    for (presented, refusal) in bad(&world) {
        let heard = Heard::default();
        let listener = listen(
            &presented,
            vec![rule("bravo", Some(&world.bravo_ca), None)],
            unobserved(),
        );
        let registration = registration(&world, &presented, refusal);
        for config in dial(&world.bravo, registration, heard.observer()) {
            let (accepted, connected) = meet(listener.clone(), config).await;
            assert_eq!(failure(connected), Failure::Refused(refusal));
            assert!(accepted.is_err());
            assert_eq!(heard.all().pop().unwrap().outcome, Err(refusal));
        }
    }
}

#[tokio::test]
async fn a_client_profile_certificate_may_serve() {
    // TAK judges servers with the client check, so such servers exist (protocol reference 1.3 item 7).
    let World {
        alpha_ca,
        bravo_ca,
        alpha,
        ..
    } = world();
    let bravo = bravo_ca.issue(Leaf::good("bravo").usages(&[ClientAuth]));
    let listener = listen(
        &bravo,
        vec![rule("alpha", Some(&alpha_ca), None)],
        unobserved(),
    );
    for config in dial(&alpha, rule("bravo", None, Some(&bravo)), unobserved()) {
        let (accepted, connected) = meet(listener.clone(), config).await;
        assert!(accepted.is_ok() && connected.is_ok());
    }
}

#[tokio::test]
async fn nobody_gets_in_without_a_certificate() {
    let World {
        alpha_ca,
        bravo_ca,
        alpha,
        bravo,
    } = world();
    let listener = listen(
        &bravo,
        vec![rule("alpha", Some(&alpha_ca), None)],
        unobserved(),
    );
    let judge = || {
        let admission = Admission::One(rule("bravo", Some(&bravo_ca), None));
        Arc::new(Judge::new(
            &Credentials::new(&alpha).unwrap(),
            admission,
            unobserved(),
        ))
    };
    for version in [&TLS12, &TLS13] {
        let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_protocol_versions(&[version])
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(judge())
            .with_no_client_auth();
        let (accepted, connected) = meet(listener.clone(), Arc::new(config)).await;
        assert_eq!(failure(accepted), Failure::Refused(Refusal::NoCertificate));
        assert!(connected.is_err());
    }
}

#[tokio::test]
async fn sessions_are_never_resumed() {
    let World {
        alpha_ca,
        bravo_ca,
        alpha,
        bravo,
    } = world();
    let listener = listen(
        &bravo,
        vec![rule("alpha", Some(&alpha_ca), None)],
        unobserved(),
    );
    let [old, new] = dial(&alpha, rule("bravo", Some(&bravo_ca), None), unobserved());
    for config in [old, new] {
        // One that would resume if it could, against our listener; and ours.
        let mut eager = (*config).clone();
        eager.resumption = Resumption::in_memory_sessions(8);
        let eager = Arc::new(eager);
        for config in [eager.clone(), eager, config.clone(), config] {
            let (accepted, connected) = meet(listener.clone(), config).await;
            assert_eq!(
                connected.unwrap().get_ref().1.handshake_kind(),
                Some(HandshakeKind::Full)
            );
            accepted.unwrap();
        }
    }
}

#[tokio::test]
async fn our_dialler_does_not_resume_where_it_is_offered() {
    let World {
        alpha_ca,
        bravo_ca,
        alpha,
        bravo,
    } = world();
    let mut generous = (*listen(
        &bravo,
        vec![rule("alpha", Some(&alpha_ca), None)],
        unobserved(),
    ))
    .clone();
    generous.session_storage = rustls::server::ServerSessionMemoryCache::new(8);
    generous.send_tls13_tickets = 2;
    let generous = Arc::new(generous);
    for config in dial(&alpha, rule("bravo", Some(&bravo_ca), None), unobserved()) {
        let mut eager = (*config).clone();
        eager.resumption = Resumption::in_memory_sessions(8);
        let eager = Arc::new(eager);
        let mut kinds = Vec::new();
        for config in [eager.clone(), eager, config.clone(), config] {
            let (accepted, connected) = meet(generous.clone(), config).await;
            kinds.push(connected.unwrap().get_ref().1.handshake_kind());
            accepted.unwrap();
        }
        let (full, resumed) = (Some(HandshakeKind::Full), Some(HandshakeKind::Resumed));
        assert_eq!(
            kinds,
            [full, resumed, full, full],
            "the listener does offer it"
        );
    }
}

#[tokio::test]
async fn alpn_without_h2_is_turned_away_and_none_is_let_through() {
    let World {
        alpha_ca,
        bravo_ca,
        alpha,
        bravo,
    } = world();
    let listener = listen(
        &bravo,
        vec![rule("alpha", Some(&alpha_ca), None)],
        unobserved(),
    );
    for config in dial(&alpha, rule("bravo", Some(&bravo_ca), None), unobserved()) {
        let mut other = (*config).clone();
        other.alpn_protocols = vec![b"http/1.1".to_vec()];
        let (accepted, connected) = meet(listener.clone(), Arc::new(other)).await;
        assert_eq!(failure(accepted), Failure::NoFederation);
        assert_eq!(failure(connected), Failure::NoFederation);
        let mut none = (*config).clone();
        none.alpn_protocols.clear();
        let (accepted, _) = meet(listener.clone(), Arc::new(none)).await;
        assert_eq!(accepted.unwrap().get_ref().1.alpn_protocol(), None);
    }
}

#[tokio::test]
async fn a_removed_peer_is_refused_at_its_next_handshake() {
    let World {
        alpha_ca,
        bravo_ca,
        alpha,
        bravo,
    } = world();
    let roster = Roster::new(vec![rule("alpha", Some(&alpha_ca), None)]);
    let credentials = Credentials::new(&bravo).unwrap();
    let listener = federation_server(&credentials, roster.clone(), unobserved()).unwrap();
    let [_, config] = dial(&alpha, rule("bravo", Some(&bravo_ca), None), unobserved());
    assert!(meet(listener.clone(), config.clone()).await.0.is_ok());
    roster.replace(Vec::new());
    let (accepted, _) = meet(listener, config).await;
    assert_eq!(failure(accepted), Failure::Refused(Refusal::UnknownCa));
}

#[tokio::test]
async fn users_log_in_with_a_leaf_of_our_ca_only() {
    let World {
        bravo_ca,
        alpha,
        bravo,
        ..
    } = world();
    let heard = Heard::default();
    let ours = vec![bravo_ca.certificate.clone()];
    let listener = clients_server(
        &Credentials::new(&bravo).unwrap(),
        (ours, Revocations::default()),
        heard.observer(),
    )
    .unwrap();
    let mut viper = bravo_ca.issue(Leaf::good("VIPER").usages(&[ClientAuth]));
    viper.chain.truncate(1);
    for config in dial(&viper, rule("bravo", Some(&bravo_ca), None), unobserved()) {
        let (accepted, _) = meet(listener.clone(), config).await;
        accepted.unwrap();
        assert_eq!(heard.all().pop().unwrap().outcome.as_deref(), Ok("VIPER"));
    }
    for config in dial(&alpha, rule("bravo", Some(&bravo_ca), None), unobserved()) {
        let (accepted, connected) = meet(listener.clone(), config).await;
        assert_eq!(failure(accepted), Failure::Refused(Refusal::UnknownCa));
        assert_eq!(failure(connected), Failure::Distrusted);
    }
}

#[tokio::test]
async fn our_own_store_passes_its_own_handshake() {
    use crate::pki::{KeyAlgorithm, Store};
    let now = UnixTime::now();
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let alpha = Store::open_or_create(one.path(), "alpha", KeyAlgorithm::EcdsaP256, now).unwrap();
    let bravo = Store::open_or_create(two.path(), "bravo", KeyAlgorithm::Rsa2048, now).unwrap();
    let known = |store: &Store, peer: &str| TrustRule {
        peer: peer.to_owned(),
        authorities: vec![store.authority().clone()],
        fingerprints: vec![store.identity().fingerprint()],
        ..TrustRule::default()
    };
    let listener = listen(bravo.identity(), vec![known(&alpha, "alpha")], unobserved());
    for config in dial(alpha.identity(), known(&bravo, "bravo"), unobserved()) {
        let (accepted, connected) = meet(listener.clone(), config).await;
        accepted.unwrap();
        connected.unwrap();
    }
}

#[test]
fn names_that_are_no_dns_names_are_not_sent() {
    assert!(matches!(server_name("tak.example"), ServerName::DnsName(_)));
    for host in ["192.0.2.1", "2001:db8::1", "under score", ""] {
        assert!(
            matches!(server_name(host), ServerName::IpAddress(_)),
            "{host}"
        );
    }
}

#[test]
fn a_key_never_shows_in_debug_output() {
    let World { alpha, .. } = world();
    assert_eq!(
        format!("{:?}", Credentials::new(&alpha).unwrap()),
        "Credentials { .. }"
    );
}

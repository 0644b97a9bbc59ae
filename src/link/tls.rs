//! TLS as TAK wants it: mutual, 1.2 and 1.3, leaf and issuer sent, no resumption, no host names.
//!
//! Configurations are made from a few shared pieces, cheap enough to make one per connection. Do that where the
//! observer has to know *which* connection it hears about: rustls itself forgets why a certificate was refused.

mod asked;
mod current;

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, ring::default_provider, verify_tls12_signature,
    verify_tls13_signature,
};
use rustls::server::NoServerSessionStorage;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, Error, OtherError,
    ServerConfig, SignatureScheme, SupportedProtocolVersion,
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

pub use asked::Asked;
use asked::Asking;
use current::Current;

use crate::pki::trust::{judge_client, judge_server};
use crate::pki::{Doubt, Fingerprint, Identity, Moment, Refusal, Revocations, Roster, TrustRule};

/// The only protocol of federation v2 (protocol reference 1.3).
pub const FEDERATION_ALPN: &[u8] = b"h2";

/// What a box's side connections say instead, to another box.
pub const QUIET_ALPN: &[u8] = b"tombolo-quiet/1";

/// Older TAK Servers and ATAK know 1.2 only.
const VERSIONS: &[&SupportedProtocolVersion] = &[&TLS13, &TLS12];

/// What was decided about a certificate chain, while the handshake still runs.
///
/// `Ok` is not yet an open connection: the proof that the neighbour holds the key comes after it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    /// SHA-256 of the leaf.
    pub fingerprint: Fingerprint,
    /// The peer's name (for clients: the common name of the certificate), or why not.
    pub outcome: Result<String, Refusal>,
    /// What is doubtful about the dates of an admitted one: nobody vouches for our clock.
    pub doubt: Option<Doubt>,
    /// The registered federate that a refused one seems to be: the only one of that leaf, or else of that CA.
    pub suspect: Option<String>,
}

/// Is told every judgement, within the handshake; must not block.
pub type Observer = Arc<dyn Fn(Judgement) + Send + Sync>;

/// An observer that does nothing.
pub fn unobserved() -> Observer {
    Arc::new(|_| {})
}

/// Our identity, ready to sign. Clones share it.
#[derive(Clone)]
pub struct Credentials {
    resolver: Arc<Current>,
    provider: Arc<CryptoProvider>,
    moments: Option<Moments>,
}

/// Tells at which moment certificate dates are judged.
pub type Moments = Arc<dyn Fn() -> Moment + Send + Sync>;

impl Credentials {
    /// Prepares an identity. The whole chain is sent in both roles: TAK needs at least two certificates (protocol
    /// reference 1.3 item 3).
    ///
    /// # Errors
    /// A key that ring cannot use, or one that does not belong to the leaf.
    pub fn new(identity: &Identity) -> Result<Self, Error> {
        let provider = Arc::new(default_provider());
        let key =
            CertifiedKey::from_der(identity.chain.clone(), identity.key.clone_key(), &provider)?;
        Ok(Self {
            resolver: Arc::new(Current::new(key)),
            provider,
            moments: None,
        })
    }

    /// Shows another identity from now on, in every handshake of these credentials and their clones.
    ///
    /// # Errors
    /// As [`Credentials::new`]; the old one then stays.
    pub fn renew(&self, identity: &Identity) -> Result<(), Error> {
        let (chain, key) = (identity.chain.clone(), identity.key.clone_key());
        self.resolver
            .replace(CertifiedKey::from_der(chain, key, &self.provider)?);
        Ok(())
    }

    /// What is shown, and what is signed with.
    pub fn key(&self) -> Arc<CertifiedKey> {
        self.resolver.get()
    }

    /// SHA-256 of the leaf that is shown.
    pub fn fingerprint(&self) -> Fingerprint {
        self.resolver.fingerprint()
    }

    /// Judges the neighbours' dates by this clock instead of the system's.
    #[must_use]
    pub fn judging_at(self, moments: Moments) -> Self {
        Self {
            moments: Some(moments),
            ..self
        }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The key must never reach a log.
        f.debug_struct("Credentials").finish_non_exhaustive()
    }
}

/// For the federation listener: admits the peers of the roster, whatever they dial from.
///
/// A client that offers protocols without `h2` is turned away (a box's side connections apart); one that offers none gets through, and it is for the
/// caller to look at `alpn_protocol()`.
///
/// # Errors
/// Only when the crypto provider lacks what TLS needs.
pub fn federation_server(
    credentials: &Credentials,
    roster: Roster,
    observer: Observer,
) -> Result<Arc<ServerConfig>, Error> {
    let mut config = server(credentials, Admission::Federates(roster), observer)?;
    config.alpn_protocols = vec![FEDERATION_ALPN.to_vec(), QUIET_ALPN.to_vec()];
    Ok(Arc::new(config))
}

/// The same side of the handshake for a side connection, which carries no federation (`link/nat`).
pub fn quiet(config: &ClientConfig) -> Arc<ClientConfig> {
    let mut config = config.clone();
    config.alpn_protocols = vec![QUIET_ALPN.to_vec()];
    Arc::new(config)
}

/// For dialling one federate: admits that peer and nobody else.
///
/// # Errors
/// Only when the crypto provider lacks what TLS needs.
pub fn federation_client(
    credentials: &Credentials,
    rule: TrustRule,
    observer: Observer,
) -> Result<Arc<ClientConfig>, Error> {
    client(credentials, Admission::One(rule), observer, VERSIONS).map(Arc::new)
}

/// For dialling one federate over federation v1: no ALPN, everything else the same. Tells whether the peer asked for our
/// certificate.
///
/// # Errors
/// Only when the crypto provider lacks what TLS needs.
pub fn legacy_client(
    credentials: &Credentials,
    rule: TrustRule,
    observer: Observer,
) -> Result<(Arc<ClientConfig>, Asked), Error> {
    let mut config = client(credentials, Admission::One(rule), observer, VERSIONS)?;
    config.alpn_protocols.clear();
    let asked = Asked::default();
    let asking = Asking::new(credentials.resolver.clone(), asked.clone());
    config.client_auth_cert_resolver = Arc::new(asking);
    Ok((Arc::new(config), asked))
}

/// For the `clients_tls` listener: admits whoever holds a certificate of these CAs.
///
/// # Errors
/// Only when the crypto provider lacks what TLS needs.
pub fn clients_server(
    credentials: &Credentials,
    (authorities, revocations): (Vec<CertificateDer<'static>>, Revocations),
    observer: Observer,
) -> Result<Arc<ServerConfig>, Error> {
    let admission = Admission::Clients(authorities, revocations);
    server(credentials, admission, observer).map(Arc::new)
}

/// For the HTTPS API: whoever comes is let in, and may show a certificate; whose it is is judged afterwards. HTTP/2
/// is preferred. The CAs are named, so that browsers offer only certificates of theirs.
///
/// # Errors
/// Only when the crypto provider lacks what TLS needs.
pub fn api_server(
    credentials: &Credentials,
    authorities: &[CertificateDer<'static>],
) -> Result<Arc<ServerConfig>, Error> {
    let hints = authorities.iter().filter_map(subject).collect();
    let mut config = server(credentials, Admission::Visitors(hints), unobserved())?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// For data packages of federates over HTTP: admits the peers of the roster, as [`federation_server`] does. HTTP/1.1: what
/// comes and goes there is one file at a time.
///
/// # Errors
/// Only when the crypto provider lacks what TLS needs.
pub fn packages_server(
    credentials: &Credentials,
    roster: Roster,
    observer: Observer,
) -> Result<Arc<ServerConfig>, Error> {
    let mut config = server(credentials, Admission::Federates(roster), observer)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn subject(certificate: &CertificateDer<'_>) -> Option<DistinguishedName> {
    let anchor = webpki::anchor_from_trusted_cert(certificate).ok()?;
    Some(DistinguishedName::in_sequence(&anchor.subject))
}

/// For logging in at a TAK server as a client: believes what those CAs signed, under whatever name; with a fingerprint,
/// that certificate only, and without CAs whoever signed it.
///
/// # Errors
/// Only when the crypto provider lacks what TLS needs.
pub fn login_client(
    credentials: &Credentials,
    authorities: Vec<CertificateDer<'static>>,
    fingerprint: Option<Fingerprint>,
) -> Result<Arc<ClientConfig>, Error> {
    let admission = Admission::Login(authorities, fingerprint);
    let mut config = client(credentials, admission, unobserved(), VERSIONS)?;
    config.alpn_protocols.clear();
    Ok(Arc::new(config))
}

/// For pairing by a code at the HTTPS API of a box that is not known yet: whoever answers is believed as far as it holds
/// the key of the certificate it shows, and shown ours.
///
/// # Errors
/// Only when the crypto provider lacks what TLS needs.
pub fn pairing_client(credentials: &Credentials) -> Result<Arc<ClientConfig>, Error> {
    let anybody = Admission::Visitors(Vec::new());
    let mut config = client(credentials, anybody, unobserved(), VERSIONS)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// The name to dial with. It is only sent, never compared; what is no DNS name is not sent.
pub fn server_name(host: &str) -> ServerName<'static> {
    ServerName::try_from(host.to_owned()).unwrap_or(ServerName::IpAddress(
        IpAddr::V4(Ipv4Addr::UNSPECIFIED).into(),
    ))
}

fn client(
    credentials: &Credentials,
    admission: Admission,
    observer: Observer,
    versions: &[&'static SupportedProtocolVersion],
) -> Result<ClientConfig, Error> {
    let judge = Arc::new(Judge::new(credentials, admission, observer));
    let mut config = ClientConfig::builder_with_provider(credentials.provider.clone())
        .with_protocol_versions(versions)?
        .dangerous()
        .with_custom_certificate_verifier(judge)
        .with_client_cert_resolver(credentials.resolver.clone());
    config.alpn_protocols = vec![FEDERATION_ALPN.to_vec()];
    // TAK keys its federates by TLS session (protocol reference 1.3 item 8).
    config.resumption = Resumption::disabled();
    Ok(config)
}

fn server(
    credentials: &Credentials,
    admission: Admission,
    observer: Observer,
) -> Result<ServerConfig, Error> {
    let judge = Arc::new(Judge::new(credentials, admission, observer));
    let mut config = ServerConfig::builder_with_provider(credentials.provider.clone())
        .with_protocol_versions(VERSIONS)?
        .with_client_cert_verifier(judge)
        .with_cert_resolver(credentials.resolver.clone());
    // No resumption: each connection proves itself anew, so that a removed peer stays out and TAK never sees one
    // session twice (protocol reference 1.3 item 8). It also saves the memory of the cache.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(config)
}

enum Admission {
    Federates(Roster),
    One(TrustRule),
    Clients(Vec<CertificateDer<'static>>, Revocations),
    Login(Vec<CertificateDer<'static>>, Option<Fingerprint>),
    Visitors(Vec<DistinguishedName>),
}

/// Our judgement in the place where rustls asks for it.
struct Judge {
    admission: Admission,
    observer: Observer,
    algorithms: WebPkiSupportedAlgorithms,
    moments: Option<Moments>,
}

impl Judge {
    fn new(credentials: &Credentials, admission: Admission, observer: Observer) -> Self {
        Self {
            admission,
            observer,
            algorithms: credentials.provider.signature_verification_algorithms,
            moments: credentials.moments.clone(),
        }
    }

    fn judge(
        &self,
        leaf: &CertificateDer<'_>,
        issuers: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), Error> {
        let chain: Vec<CertificateDer<'_>> = std::iter::once(leaf)
            .chain(issuers)
            .map(|certificate| CertificateDer::from(certificate.as_ref()))
            .collect();
        let moment = match &self.moments {
            Some(moments) => moments(),
            None => Moment::from(now),
        };
        let judged = match &self.admission {
            Admission::Federates(roster) => roster.judge(&chain, moment),
            Admission::One(rule) => rule
                .judge(&chain, moment)
                .map(|doubt| (rule.peer.clone(), doubt)),
            Admission::Clients(authorities, revocations) => {
                judge_client(&chain, (authorities, revocations), moment)
            }
            Admission::Login(authorities, fingerprint) => {
                judge_server(&chain, authorities, *fingerprint, moment)
                    .map(|doubt| (String::new(), doubt))
            }
            Admission::Visitors(_) => Ok((String::new(), None)),
        };
        let doubt = judged.as_ref().ok().and_then(|(_, doubt)| *doubt);
        let outcome = judged.map(|(name, _)| name);
        let refusal = outcome.as_ref().err().copied();
        let suspect = match &self.admission {
            Admission::Federates(roster) if refusal.is_some() => roster.suspect(&chain, moment),
            _ => None,
        };
        (self.observer)(Judgement {
            fingerprint: Fingerprint::of(leaf),
            outcome,
            doubt,
            suspect,
        });
        refusal.map_or(Ok(()), |refusal| Err(error(refusal)))
    }
}

impl fmt::Debug for Judge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.admission {
            Admission::Federates(_) => "Judge(federates)",
            Admission::One(_) => "Judge(one federate)",
            Admission::Clients(..) => "Judge(clients)",
            Admission::Login(..) => "Judge(a server)",
            Admission::Visitors(_) => "Judge(visitors)",
        })
    }
}

impl ClientCertVerifier for Judge {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        // No hints: peers pinned by leaf have no CA here to name, and a client that finds its CA missing among hints
        // sends nothing, which reads as a far worse riddle than a refusal.
        match &self.admission {
            Admission::Visitors(hints) => hints,
            _ => &[],
        }
    }

    fn client_auth_mandatory(&self) -> bool {
        !matches!(self.admission, Admission::Visitors(_))
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.judge(end_entity, intermediates, now)
            .map(|()| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

impl ServerCertVerifier for Judge {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        // Federates are known by certificate, and theirs rarely match the dialled name (protocol reference 1.3).
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.judge(end_entity, intermediates, now)
            .map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// A refusal as rustls knows it, which decides the alert that the neighbour's log will show.
fn error(refusal: Refusal) -> Error {
    match refusal {
        Refusal::NoCertificate => Error::NoCertificatesPresented,
        Refusal::BadCertificate => CertificateError::BadEncoding.into(),
        Refusal::NoClientAuth => CertificateError::InvalidPurpose.into(),
        Refusal::Expired => CertificateError::Expired.into(),
        Refusal::NotYetValid => CertificateError::NotValidYet.into(),
        Refusal::UnknownCa => CertificateError::UnknownIssuer.into(),
        Refusal::Revoked => CertificateError::Revoked.into(),
        Refusal::Unregistered => CertificateError::ApplicationVerificationFailure.into(),
        // certificate_unknown (46), with the refusal inside.
        refusal => CertificateError::Other(OtherError(Arc::new(refusal))).into(),
    }
}

#[cfg(test)]
mod tests;

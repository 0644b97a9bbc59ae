//! Pairing by a code, performed: random numbers, the clock, the other box, the configuration. What is decided is decided in
//! [`crate::pair`].

use std::fmt;
use std::net::IpAddr;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use ring::rand::{SecureRandom, SystemRandom};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::desk::{self, Desk};
use crate::access::Throttle;
use crate::api::pairing::{
    PairRequest, PairResponse, Paired, PairingStatus, WaitingCode, hex, unhex,
};
use crate::api::{ErrorCode, Fault};
use crate::config::edit::{add_peer, set_peer};
use crate::config::settings::API_PORT;
use crate::config::{
    Config, EditError, Peer, PeerChange, PeerSpec, Written, address_with, peer_address,
};
use crate::link::pairing::Line;
use crate::pair::{
    BadShare, CONFIRMATION, Code, Holder, Introduction, Joiner, MOST_SEALED, NoIntroduction,
    NotPaired, Randomness, SHARE, Standing, Terms,
};
use crate::pki::Fingerprint;
use crate::pki::store::pem;
use crate::system::address::own_address;

/// The same for a wrong code, no code, and one that is used up or run out.
const REFUSED: &str = "the code is wrong, or none waits here (any more); have a new one made";

/// What must be remembered from one step to the next.
pub(super) struct Pairing {
    holder: Mutex<Holder>,
    throttle: Mutex<Throttle>,
    /// Held while this box joins another.
    joining: Mutex<()>,
}

impl Pairing {
    pub(super) fn new(now_ms: u64) -> Self {
        Self {
            holder: Mutex::default(),
            throttle: Mutex::new(Throttle::new(now_ms)),
            joining: Mutex::new(()),
        }
    }

    /// A code that waits, for the status.
    pub(super) fn status(&self, now_ms: u64) -> Option<PairingStatus> {
        let standing = self.holder().standing(now_ms)?;
        Some(PairingStatus {
            remaining_seconds: standing.seconds_left,
            tries_left: standing.tries_left,
        })
    }

    pub(super) fn is_waiting(&self, now_ms: u64) -> bool {
        self.status(now_ms).is_some()
    }

    /// Held for a moment only: the event loop asks, too.
    fn holder(&self) -> MutexGuard<'_, Holder> {
        self.holder.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn throttle(&self) -> MutexGuard<'_, Throttle> {
        self.throttle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Pairing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pairing").finish_non_exhaustive()
    }
}

/// Answers of the other box.
#[derive(Debug, Deserialize)]
struct Begun {
    session: String,
    share: String,
}

#[derive(Debug, Deserialize)]
struct Finished {
    confirmation: String,
    introduction: String,
}

#[derive(Debug, Deserialize)]
struct Problem {
    detail: String,
}

impl Desk {
    /// Carries out what is asked about pairing.
    pub(super) fn pair(&self, request: PairRequest) -> Result<PairResponse, Fault> {
        let pairing = &self.shared.pairing;
        match request {
            PairRequest::Code { terms } => self.make_code(terms),
            PairRequest::Show => {
                let standing = pairing.holder().standing(self.now_ms());
                Ok(PairResponse::Code(standing.map(|code| self.waiting(&code))))
            }
            PairRequest::Clear => {
                let cleared = pairing.holder().clear(self.now_ms());
                if cleared {
                    tracing::info!("the pairing code was taken back");
                }
                Ok(PairResponse::Cleared(cleared))
            }
            PairRequest::Join {
                code,
                host,
                terms,
                reachable,
            } => {
                let busy = || {
                    let words = "another pairing is under way here; try again in a moment";
                    Fault::new(ErrorCode::Conflict, words)
                };
                let _joining = pairing.joining.try_lock().map_err(|_| busy())?;
                let joined = self.join(&code, &host, &terms, reachable);
                joined.map(PairResponse::Paired)
            }
            PairRequest::Begin { from, share } => self.begin(from, &share),
            PairRequest::Finish {
                from,
                session,
                confirmation,
                introduction,
            } => self.finish(from, &session, &confirmation, &introduction),
        }
    }

    fn make_code(&self, terms: Terms) -> Result<PairResponse, Fault> {
        self.may_change()?;
        check_name(&terms)?;
        if self.shared.bound.api.is_none() {
            let words = "listen.api is off, and the other box comes by it; switch it on";
            return Err(Fault::new(ErrorCode::Conflict, words));
        }
        let mut entropy = [0; 5];
        random(&mut entropy)?;
        let mut holder = self.shared.pairing.holder();
        let standing = holder.make(entropy, terms, self.now_ms());
        tracing::info!(
            "a pairing code waits for {} min",
            standing.seconds_left.div_ceil(60)
        );
        Ok(PairResponse::Code(Some(self.waiting(&standing))))
    }

    fn waiting(&self, standing: &Standing) -> WaitingCode {
        let config = self.shared.config();
        let host = config.advertised_host.clone().unwrap_or_else(own_address);
        let host = match self.shared.bound.api {
            Some(api) if api.port() != API_PORT => joined_host(&host, api.port()),
            _ => host,
        };
        WaitingCode {
            code: standing.code.to_string(),
            expires_seconds: standing.seconds_left,
            tries_left: standing.tries_left,
            host,
        }
    }

    /// Who we are, for the other box.
    fn introduction(&self, reachable: bool) -> Introduction {
        let config = self.shared.config();
        let mut hosts: Vec<String> = config.advertised_host.iter().cloned().collect();
        if reachable && hosts.is_empty() {
            hosts.push(own_address());
        }
        let ca = self.connection.ca_certificate.as_bytes();
        let authorities = CertificateDer::pem_slice_iter(ca).flatten();
        Introduction {
            name: config.name.clone(),
            federate_id: self.shared.federate_id.clone(),
            fingerprint: self.shared.fingerprint.0,
            authorities: authorities.map(|one| one.to_vec()).collect(),
            port: self.shared.bound.federation_port(),
            hosts,
            is_reachable: reachable,
        }
    }

    /// First step of another box.
    fn begin(&self, from: IpAddr, share: &str) -> Result<PairResponse, Fault> {
        let pairing = &self.shared.pairing;
        let taken = pairing.throttle().take(from, self.now_ms());
        taken.map_err(|wait_ms| {
            let words = format!("too many tries; try again in {} s", wait_ms.div_ceil(1000));
            Fault::new(ErrorCode::TooMany, words)
        })?;
        let share: [u8; SHARE] = fixed("share", share)?;
        let mut randomness = Randomness {
            own: [0; 64],
            stand_in: [0; 32],
            number: [0; 16],
        };
        random(&mut randomness.own)?;
        random(&mut randomness.stand_in)?;
        random(&mut randomness.number)?;
        let opening = pairing.holder().open(randomness, self.now_ms());
        let reckoned = opening.reckon(&share, &self.shared.fingerprint.0);
        let reckoned = reckoned.map_err(|fault| bad_share(&fault))?;
        let begun = pairing
            .holder()
            .note(reckoned, visitor(from), self.now_ms());
        Ok(PairResponse::Begun {
            session: hex(&begun.number),
            share: hex(&begun.share),
        })
    }

    /// Second step of another box.
    fn finish(
        &self,
        from: IpAddr,
        session: &str,
        confirmation: &str,
        introduction: &str,
    ) -> Result<PairResponse, Fault> {
        let session: [u8; 16] = fixed("session", session)?;
        let confirmation: [u8; CONFIRMATION] = fixed("confirmation", confirmation)?;
        let sealed = unhex(introduction, MOST_SEALED).ok_or_else(|| {
            let words = format!("introduction: give at most {MOST_SEALED} bytes, hexadecimal");
            Fault::new(ErrorCode::Argument, words)
        })?;
        let pairing = &self.shared.pairing;
        let finished = pairing
            .holder()
            .finish(&session, &confirmation, &sealed, self.now_ms());
        let proven = finished.map_err(|not_paired| match not_paired {
            NotPaired::Refused(left) => {
                match left {
                    Some(0) => tracing::warn!(
                        "pairing refused: {from} does not know the code; that was the last try, the code counts no more"
                    ),
                    Some(left) => tracing::warn!(
                        "pairing refused: {from} does not know the code; {left} tries are left"
                    ),
                    None => tracing::info!("pairing refused: {from} asks, and no code waits for it"),
                }
                Fault::new(ErrorCode::Refused, REFUSED)
            }
            NotPaired::Introduction(fault) => {
                tracing::warn!("pairing with {from} failed, and the code is used up: {fault}");
                Fault::new(ErrorCode::Invalid, format!("{fault}; the code is used up"))
            }
        })?;
        pairing.throttle().give_back(from);
        let theirs = &proven.theirs;
        // Who joins dials, unless it says that it can be dialled as well.
        let address = theirs.port.filter(|_| theirs.is_reachable).map(|port| {
            let known = theirs.hosts.first().cloned();
            joined_host(&known.unwrap_or_else(|| from.to_string()), port)
        });
        let ours = self.introduction(false);
        let (confirmation, introduction) =
            (proven.answer(&ours)).map_err(|fault| used_up(&fault))?;
        let paired = self.register(theirs, &proven.terms, address, Vec::new())?;
        tracing::info!(
            "paired with \"{}\" ({}), which joined from {from}",
            paired.name,
            paired.fingerprint
        );
        Ok(PairResponse::Finished {
            confirmation: hex(&confirmation),
            introduction: hex(&introduction),
        })
    }

    /// Pairs with the box that made the code.
    fn join(
        &self,
        code: &str,
        host: &str,
        terms: &Terms,
        reachable: bool,
    ) -> Result<Paired, Fault> {
        self.may_change()?;
        check_name(terms)?;
        let code = Code::read(code)
            .map_err(|fault| Fault::new(ErrorCode::Argument, format!("code: {fault}")))?;
        let (host, port) = api_address(host)?;
        let fault = |error: &dyn fmt::Display| {
            let words = format!("{}: {error}", joined_host(&host, port));
            Fault::new(ErrorCode::Unavailable, words)
        };
        let mut line = Line::open(&host, port).map_err(|error| fault(&error))?;
        if line.certificate() == self.shared.fingerprint {
            let words = "host: that is this box itself; give the address of the other one";
            return Err(Fault::new(ErrorCode::Argument, words));
        }
        let mut entropy = [0; 64];
        random(&mut entropy)?;
        let joiner = Joiner::new(&code, &entropy);
        let begin = format!("{{\"share\":\"{}\"}}", hex(joiner.share()));
        let answer = line.post("/api/pair/begin", &begin);
        let begun: Begun = understood(answer.map_err(|error| fault(&error))?)?;
        let share: [u8; SHARE] = fixed("share", &begun.share)?;
        let confirming = joiner.hear(&share, &line.certificate().0);
        let confirming = confirming.map_err(|bad| bad_share(&bad))?;
        let ours = self.introduction(reachable);
        let stopped = |fault: NoIntroduction| Fault::new(ErrorCode::Conflict, fault.to_string());
        let (confirmation, introduction) = confirming.step(&ours).map_err(stopped)?;
        let finish = format!(
            "{{\"session\":{},\"confirmation\":\"{}\",\"introduction\":\"{}\"}}",
            serde_json::Value::from(begun.session),
            hex(&confirmation),
            hex(&introduction)
        );
        let answer = line.post("/api/pair/finish", &finish);
        let finished: Finished = understood(answer.map_err(|error| fault(&error))?)?;
        let confirmation: [u8; CONFIRMATION] = fixed("confirmation", &finished.confirmation)?;
        let sealed = unhex(&finished.introduction, MOST_SEALED).unwrap_or_default();
        let Some(theirs) = confirming.end(&confirmation, &sealed) else {
            tracing::warn!("pairing failed: {host} does not know the code, and says it does");
            let words = "who answers there does not know the code: it is another box, or somebody stands in between; \
                         have a new code made, and look at the network";
            return Err(Fault::new(ErrorCode::Refused, words));
        };
        let theirs = theirs.map_err(|fault| used_up(&fault))?;
        // The host that was typed is the one that is known to work; what the other box calls itself comes after it.
        let address = theirs.port.map(|port| joined_host(&host, port));
        let further = theirs.port.map_or(Vec::new(), |port| {
            let others = theirs.hosts.iter().filter(|other| **other != host);
            others.map(|other| joined_host(other, port)).collect()
        });
        let mut paired = self.register(&theirs, terms, address, further)?;
        if theirs.port.is_none() {
            paired.remark = match (reachable, ours.port) {
                (true, Some(_)) => "it does not listen for federates, so it dials us",
                _ => {
                    "neither dials the other: it does not listen for federates (listen.federation), and was not told that \
                     it can dial us (--reachable)"
                }
            }
            .to_owned();
        }
        tracing::info!("paired with \"{}\" ({})", paired.name, paired.fingerprint);
        Ok(paired)
    }

    /// Writes the other box into the configuration. One that is registered already is brought up to date.
    fn register(
        &self,
        theirs: &Introduction,
        terms: &Terms,
        address: Option<String>,
        further: Vec<String>,
    ) -> Result<Paired, Fault> {
        let mut chosen = (String::new(), false);
        let authorities = theirs.authorities.iter();
        let authorities: Vec<CertificateDer<'_>> = authorities
            .map(|der| CertificateDer::from(der.as_slice()))
            .collect();
        let ca_pem = pem(&authorities);
        let fingerprint = Fingerprint(theirs.fingerprint);
        let further: Vec<String> = (further.into_iter())
            .filter(|one| peer_address(one).is_ok())
            .collect();
        let packages = [
            ("data_packages_in", terms.data_packages_in),
            ("data_packages_out", terms.data_packages_out),
        ];
        let mut more: Vec<(String, Written)> = packages
            .map(|(key, on)| (key.to_owned(), Written::Switch(on)))
            .into();
        if !further.is_empty() {
            more.push(("addresses".to_owned(), Written::List(further)));
        }
        self.edited(|file: &Path| {
            let config = desk::load(file).map_err(EditError::Config)?;
            let wanted = terms.name.as_deref().unwrap_or(&theirs.name);
            chosen = place(&config, wanted, fingerprint, &authorities);
            let (name, known_before) = &chosen;
            if *known_before {
                let change = PeerChange {
                    address: address.clone(),
                    ca_pem: Some(ca_pem),
                    fingerprint: Some(fingerprint.to_string()),
                    enabled: Some(true),
                    incoming: Some(terms.incoming),
                    outgoing: Some(terms.outgoing),
                    more: more
                        .into_iter()
                        .map(|(key, one)| (key, Some(one)))
                        .collect(),
                    ..PeerChange::of(name)
                };
                return set_peer(file, &change);
            }
            let peer = PeerSpec {
                address: address.clone(),
                ca_pem: Some(ca_pem),
                fingerprint: Some(fingerprint.to_string()),
                incoming: terms.incoming,
                outgoing: terms.outgoing,
                more: more.into_iter().collect(),
                ..PeerSpec::of(name)
            };
            add_peer(file, &peer, false)
        })?;
        let (name, known_before) = chosen;
        Ok(Paired {
            name,
            fingerprint: fingerprint.to_string(),
            address,
            known_before,
            remark: String::new(),
        })
    }

    /// What comes of a pairing must be written down: better to say now that it cannot be.
    fn may_change(&self) -> Result<(), Fault> {
        let waits = self.shared.changes.unconfirmed_seconds(self.now_ms());
        if waits.is_none() {
            return Ok(());
        }
        let words = "the configuration waits for its confirmation; confirm it or go back first";
        Err(Fault::new(ErrorCode::Conflict, words))
    }
}

/// Under which name a box is registered, and whether it is that already: by its certificate, or by name and CA together.
fn place(
    config: &Config,
    wanted: &str,
    fingerprint: Fingerprint,
    authorities: &[CertificateDer<'_>],
) -> (String, bool) {
    let by_certificate = |peer: &&Peer| peer.fingerprint == Some(fingerprint);
    let by_authority = |peer: &&Peer| peer.name == wanted && peer.authorities == authorities;
    let mut peers = config.peers.iter();
    let known = peers.clone().find(by_certificate);
    if let Some(peer) = known.or_else(|| peers.find(by_authority)) {
        return (peer.name.clone(), true);
    }
    let is_taken = |name: &str| config.peers.iter().any(|peer| peer.name == name);
    (free_name(wanted, is_taken), false)
}

/// The name, or the name with a number that makes it another: `bravo-2`.
fn free_name(wanted: &str, is_taken: impl Fn(&str) -> bool) -> String {
    if !is_taken(wanted) {
        return wanted.to_owned();
    }
    let numbered = |number: u32| {
        let end = format!("-{number}");
        let begin: String = wanted.chars().take(64 - end.len()).collect();
        format!("{}{end}", begin.trim_end())
    };
    let mut names = (2..).map(numbered);
    names.find(|name| !is_taken(name)).unwrap_or_default()
}

fn check_name(terms: &Terms) -> Result<(), Fault> {
    let name = terms.name.as_deref();
    match name.and_then(crate::config::settings::name_fault) {
        None => Ok(()),
        Some(fault) => {
            let words = format!("--name: {fault}; write 1 to 64 printable characters");
            Err(Fault::new(ErrorCode::Argument, words))
        }
    }
}

/// Host and port of the other box's HTTPS API.
fn api_address(text: &str) -> Result<(String, u16), Fault> {
    let bad = |fault: &str| {
        let words =
            format!("host: \"{text}\" {fault}; write a host name or an IP address, or host:port");
        Fault::new(ErrorCode::Argument, words)
    };
    let whole = address_with(text, API_PORT).map_err(bad)?;
    let split = whole.rsplit_once(':');
    let (host, port) = split.ok_or_else(|| bad("is no address"))?;
    let port = port.parse().map_err(|_| bad("has no port"))?;
    Ok((host.trim_matches(['[', ']']).to_owned(), port))
}

/// `host:port`, IPv6 in brackets.
fn joined_host(host: &str, port: u16) -> String {
    match host.contains(':') {
        true => format!("[{host}]:{port}"),
        false => format!("{host}:{port}"),
    }
}

/// What tells visitors apart: the address, of IPv6 the site's part.
fn visitor(from: IpAddr) -> u128 {
    match from.to_canonical() {
        IpAddr::V4(address) => address.to_bits().into(),
        IpAddr::V6(address) => address.to_bits() >> 64 << 64 | 1 << 32,
    }
}

fn random(bytes: &mut [u8]) -> Result<(), Fault> {
    let none = |_| {
        let words = "the system gives no random numbers; try again";
        Fault::new(ErrorCode::Unavailable, words)
    };
    SystemRandom::new().fill(bytes).map_err(none)
}

fn fixed<const LENGTH: usize>(key: &str, text: &str) -> Result<[u8; LENGTH], Fault> {
    let bytes = unhex(text, LENGTH).and_then(|bytes| bytes.try_into().ok());
    bytes.ok_or_else(|| {
        let words = format!("{key}: give {LENGTH} bytes, hexadecimal");
        Fault::new(ErrorCode::Argument, words)
    })
}

fn bad_share(fault: &BadShare) -> Fault {
    Fault::new(ErrorCode::Argument, format!("share: {fault}"))
}

fn used_up(fault: &NoIntroduction) -> Fault {
    Fault::new(ErrorCode::Conflict, format!("{fault}; the code is used up"))
}

/// What the other box answered, or what it says against it.
fn understood<T: DeserializeOwned>((status, body): (u16, Vec<u8>)) -> Result<T, Fault> {
    let garbled = || {
        let words = "the other box answers what this one does not understand; are both of the same release?";
        Fault::new(ErrorCode::Unavailable, words)
    };
    if status == 200 {
        return serde_json::from_slice(&body).map_err(|_| garbled());
    }
    let problem: Problem = serde_json::from_slice(&body).map_err(|_| garbled())?;
    // Words of a stranger: short, and on one line.
    let words: String = problem.detail.chars().take(300).collect();
    let words = words.replace(char::is_control, " ");
    let code = match status {
        403 => ErrorCode::Refused,
        409 => ErrorCode::Conflict,
        429 => ErrorCode::TooMany,
        _ => ErrorCode::Unavailable,
    };
    Err(Fault::new(code, format!("the other box says: {words}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_taken_gets_a_number() {
        let free = |wanted: &str, taken: &[&str]| free_name(wanted, |name| taken.contains(&name));
        assert_eq!(free("bravo", &["alpha"]), "bravo");
        assert_eq!(free("bravo", &["bravo"]), "bravo-2");
        assert_eq!(free("bravo", &["bravo", "bravo-2"]), "bravo-3");
        let long = "x".repeat(64);
        assert_eq!(free(&long, &[&long]), format!("{}-2", "x".repeat(62)));
    }

    #[test]
    fn who_is_registered_is_found_again() {
        let ca = crate::config::authority::tests::certificate("b", true);
        let text = format!(
            "[[peer]]\nname = \"one\"\nfingerprint = \"{}\"\n\n[[peer]]\nname = \"two\"\nca_cert = '''\n{ca}'''\n",
            "AB".repeat(32)
        );
        let config = Config::read(&text, Path::new("tombolo.toml")).unwrap();
        let authorities = config.peers[1].authorities.clone();
        let of = |name: &str, byte: u8, authorities: &[CertificateDer<'_>]| {
            place(&config, name, Fingerprint([byte; 32]), authorities)
        };
        assert_eq!(of("other", 0xAB, &[]), ("one".into(), true));
        assert_eq!(of("two", 0, &authorities), ("two".into(), true));
        assert_eq!(of("two", 0, &[]), ("two-2".into(), false));
        assert_eq!(of("one", 0, &authorities), ("one-2".into(), false));
        assert_eq!(of("three", 0, &authorities), ("three".into(), false));
    }

    #[test]
    fn addresses_are_read_as_they_are_typed() {
        for (text, host, port) in [
            ("bravo", "bravo", 8443),
            ("bravo:9", "bravo", 9),
            ("10.0.0.1", "10.0.0.1", 8443),
            ("::1", "::1", 8443),
            ("[::1]:9", "::1", 9),
        ] {
            assert_eq!(api_address(text), Ok((host.to_owned(), port)), "{text}");
        }
        assert!(api_address("https://bravo").is_err());
        assert_eq!(joined_host("::1", 9), "[::1]:9");
        let six = |text: &str| visitor(text.parse().unwrap());
        assert_eq!(six("2001:db8::1"), six("2001:db8::2"));
        assert_ne!(six("2001:db8::1"), six("2001:db8:0:1::1"));
        assert_eq!(six("::ffff:10.0.0.1"), six("10.0.0.1"));
    }
}

//! Pairing by a code, performed: random numbers, the clock, the other box, the configuration. What is decided is decided in
//! [`crate::pair`].

mod joining;
mod registration;
mod steps;

use std::fmt;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use super::desk::Desk;
use crate::access::Throttle;
use crate::api::pairing::{PairRequest, PairResponse, PairingStatus, WaitingCode, hex, unhex};
use crate::api::{ErrorCode, Fault};
use crate::config::settings::API_PORT;
use crate::pair::{
    CONFIRMATION, Holder, Introduction, MOST_SEALED, NoIntroduction, NotPaired, Randomness, SHARE,
    Standing, Terms,
};
use crate::pki::Fingerprint;
use crate::system::address::own_address;
use steps::{OTHER_CERTIFICATE, bad_share, check_name, fixed, joined_host, random, used_up};

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
                certificate,
                session,
                confirmation,
                introduction,
            } => {
                let shown = certificate.and_then(|shown| shown.parse().ok());
                self.finish((from, shown), &session, &confirmation, &introduction)
            }
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
        let ca = self.connection().ca_certificate.clone();
        let authorities = CertificateDer::pem_slice_iter(ca.as_bytes()).flatten();
        Introduction {
            name: config.name.clone(),
            federate_id: self.shared.federate_id.clone(),
            fingerprint: self.shared.credentials.fingerprint().0,
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
        let reckoned = opening.reckon(&share, &self.shared.credentials.fingerprint().0);
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
        (from, shown): (IpAddr, Option<Fingerprint>),
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
        if shown != Some(Fingerprint(theirs.fingerprint)) {
            tracing::warn!(
                "pairing with {from} failed, and the code is used up: it shows another certificate than it names"
            );
            return Err(used_up(&NoIntroduction::Wrong(OTHER_CERTIFICATE)));
        }
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

/// What tells visitors apart: the address, of IPv6 the site's part.
fn visitor(from: IpAddr) -> u128 {
    match from.to_canonical() {
        IpAddr::V4(address) => address.to_bits().into(),
        IpAddr::V6(address) => address.to_bits() >> 64 << 64 | 1 << 32,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn visitors_are_told_apart_by_their_site() {
        let of = |text: &str| visitor(text.parse().unwrap());
        assert_eq!(of("2001:db8::1"), of("2001:db8::2"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_ne!(of("10.0.0.2"), of("10.0.0.1"));
        assert_eq!(of("::ffff:10.0.0.1"), of("10.0.0.1"));
    }
}

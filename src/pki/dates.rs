//! Certificate dates when nobody vouches for the clock. Pure.
//!
//! A certificate is in date between two moments of *real* time, and a box may not know it: it boots in 1970, or with
//! the time of its last shutdown. What it knows for certain is a *floor*, before which it cannot be. So, when the clock
//! is not trusted:
//!
//! | by our clock | we say |
//! |---|---|
//! | expired | refused: our clock is never before the floor |
//! | not valid yet, and the leaf is registered by its fingerprint | admitted, and told ([`Doubt::Behind`]): our clock may be behind |
//! | not valid yet, and known by its CA only | refused |
//! | in date, and issued after the floor | admitted, and told ([`Doubt::Unproven`]): our clock may be ahead |
//! | in date, and issued before the floor | admitted |

use std::fmt;

use rustls_pki_types::{CertificateDer, UnixTime};

use super::certificate::Facts;
use super::{Refusal, chain};

/// The moment at which dates are judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// What our clock says.
    pub now: UnixTime,
    /// The earliest that it can really be; none when somebody vouches for the clock.
    pub floor: Option<UnixTime>,
}

impl From<UnixTime> for Moment {
    /// A clock that is trusted.
    fn from(now: UnixTime) -> Self {
        Self { now, floor: None }
    }
}

/// Why a certificate that was admitted may not be in date.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Doubt {
    /// Not valid yet by our clock.
    Behind,
    /// In date by our clock, but not by what is known for certain.
    Unproven,
}

impl Doubt {
    /// One word that scripts may rely on.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Behind => "not_yet_valid_by_our_clock",
            Self::Unproven => "dates_not_proven",
        }
    }
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Behind => {
                "its certificate is not valid yet by our clock, which nobody vouches for; admitted because it is the \
                 registered one"
            }
            Self::Unproven => {
                "its certificate is in date only if our clock, which nobody vouches for, is not ahead; admitted"
            }
        })
    }
}

/// Judges a chain (leaf first) and its dates. `is_registered`: this very leaf is known, or we issued it ourselves.
pub(super) fn verify(
    chain: &[CertificateDer<'_>],
    authorities: &[CertificateDer<'_>],
    moment: Moment,
    is_registered: bool,
) -> Result<Option<Doubt>, Refusal> {
    judged(chain, moment, is_registered, |now| {
        chain::verify(chain, authorities, now)
    })
}

/// The same for a server at which we log in as a client.
pub(super) fn verify_server(
    chain: &[CertificateDer<'_>],
    authorities: &[CertificateDer<'_>],
    moment: Moment,
    is_registered: bool,
) -> Result<Option<Doubt>, Refusal> {
    judged(chain, moment, is_registered, |now| {
        chain::verify_server(chain, authorities, now)
    })
}

/// The dates of a certificate that is known by its fingerprint, whoever signed it.
pub(super) fn of_leaf(leaf: &CertificateDer<'_>, moment: Moment) -> Result<Option<Doubt>, Refusal> {
    let facts = Facts::read(leaf).map_err(|_| Refusal::BadCertificate)?;
    judged(
        std::slice::from_ref(leaf),
        moment,
        true,
        |now| match i64::try_from(now.as_secs()).unwrap_or(i64::MAX) {
            now if now < facts.not_before => Err(Refusal::NotYetValid),
            now if now > facts.not_after => Err(Refusal::Expired),
            _ => Ok(()),
        },
    )
}

fn judged(
    chain: &[CertificateDer<'_>],
    moment: Moment,
    is_registered: bool,
    verify: impl Fn(UnixTime) -> Result<(), Refusal>,
) -> Result<Option<Doubt>, Refusal> {
    let outcome = verify(moment.now);
    let Some(floor) = moment.floor else {
        return outcome.map(|()| None);
    };
    match outcome {
        Ok(()) => {
            let is_proven = begin(chain).is_none_or(|begin| begin <= floor.as_secs());
            Ok((!is_proven).then_some(Doubt::Unproven))
        }
        Err(Refusal::NotYetValid) if is_registered => {
            // At the first moment at which all of it is valid; everything else must hold there.
            let later = begin(chain).unwrap_or(0).max(moment.now.as_secs());
            let later = UnixTime::since_unix_epoch(std::time::Duration::from_secs(later));
            verify(later).map(|()| Some(Doubt::Behind))
        }
        Err(refusal) => Err(refusal),
    }
}

/// Judges the dates of a leaf that is registered by its fingerprint, and of nothing else.
pub(super) fn of_registered(leaf: &Facts, moment: Moment) -> Result<Option<Doubt>, Refusal> {
    let seconds = |time: UnixTime| i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    let now = seconds(moment.now);
    match moment.floor {
        _ if now > leaf.not_after => Err(Refusal::Expired),
        None if now < leaf.not_before => Err(Refusal::NotYetValid),
        Some(_) if now < leaf.not_before => Ok(Some(Doubt::Behind)),
        Some(floor) if seconds(floor) < leaf.not_before => Ok(Some(Doubt::Unproven)),
        _ => Ok(None),
    }
}

/// From when on every certificate of the chain is valid, seconds since 1970.
fn begin(chain: &[CertificateDer<'_>]) -> Option<u64> {
    chain
        .iter()
        .filter_map(|certificate| Facts::read(certificate).ok())
        .filter_map(|facts| u64::try_from(facts.not_before).ok())
        .max()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::Revocations;
    use crate::pki::testing::{Authority, Leaf, NOW, at, rule};
    use crate::pki::trust::{Roster, judge_client};
    use rcgen::ExtendedKeyUsagePurpose::{ClientAuth, ServerAuth};

    const DAY: i64 = 86_400;

    fn untrusted(now: i64, floor: i64) -> Moment {
        Moment {
            now: at(now),
            floor: Some(at(floor)),
        }
    }

    #[test]
    fn a_box_in_the_past_admits_the_registered_leaf_and_tells_and_no_other() {
        let ca = Authority::new("bravo CA");
        let bravo = ca.issue(Leaf::good("bravo").dates(NOW - DAY, NOW + DAY));
        let past = NOW - 300 * DAY;
        let (pinned, by_leaf, by_ca) = (
            rule("bravo", Some(&ca), Some(&bravo)),
            rule("bravo", None, Some(&bravo)),
            rule("bravo", Some(&ca), None),
        );
        for rule in [&pinned, &by_leaf] {
            assert_eq!(
                rule.judge(&bravo.chain, untrusted(past, past)),
                Ok(Some(Doubt::Behind))
            );
            let trusted = rule.judge(&bravo.chain, at(past));
            assert_eq!(trusted, Err(Refusal::NotYetValid));
        }
        let judged = by_ca.judge(&bravo.chain, untrusted(past, past));
        assert_eq!(judged, Err(Refusal::NotYetValid));
        // Whatever else is wrong is as wrong as ever.
        let server = ca.issue(
            Leaf::good("bravo")
                .dates(NOW - DAY, NOW + DAY)
                .usages(&[ServerAuth]),
        );
        let judged =
            rule("bravo", Some(&ca), Some(&server)).judge(&server.chain, untrusted(past, past));
        assert!(judged.is_err(), "{judged:?}");
        let sibling = ca.issue(Leaf::good("bravo").dates(NOW - DAY, NOW + DAY));
        let judged = pinned.judge(&sibling.chain, untrusted(past, past));
        assert!(judged.is_err(), "{judged:?}");
        let roster = Roster::new(vec![pinned]);
        let judged = roster.judge(&bravo.chain, untrusted(past, past));
        assert_eq!(judged, Ok(("bravo".to_owned(), Some(Doubt::Behind))));
    }

    #[test]
    fn what_only_a_clock_ahead_would_admit_is_told_and_what_is_over_is_refused() {
        let ca = Authority::new("bravo CA");
        let bravo = ca.issue(Leaf::good("bravo").dates(NOW + 100 * DAY, NOW + 200 * DAY));
        for rule in [
            rule("bravo", Some(&ca), Some(&bravo)),
            rule("bravo", Some(&ca), None),
        ] {
            let at_floor = |now| rule.judge(&bravo.chain, untrusted(now, NOW));
            assert_eq!(at_floor(NOW + 150 * DAY), Ok(Some(Doubt::Unproven)));
            assert_eq!(at_floor(NOW + 201 * DAY), Err(Refusal::Expired));
            let proven = untrusted(NOW + 150 * DAY, NOW + 101 * DAY);
            assert_eq!(rule.judge(&bravo.chain, proven), Ok(None));
            let trusted = rule.judge(&bravo.chain, at(NOW + 150 * DAY));
            assert_eq!(trusted, Ok(None));
        }
    }

    #[test]
    fn our_own_users_come_in_when_our_clock_is_behind() {
        let ca = Authority::new("our CA");
        let user = ca.issue(
            Leaf::good("VIPER 1")
                .dates(NOW - DAY, NOW + DAY)
                .usages(&[ClientAuth]),
        );
        let ours = [ca.certificate.clone()];
        let past = NOW - 300 * DAY;
        assert_eq!(
            judge_client(
                &user.chain[..1],
                (&ours, &Revocations::default()),
                untrusted(past, past)
            ),
            Ok(("VIPER 1".to_owned(), Some(Doubt::Behind)))
        );
        assert_eq!(
            judge_client(&user.chain[..1], (&ours, &Revocations::default()), at(past)),
            Err(Refusal::NotYetValid)
        );
    }
}

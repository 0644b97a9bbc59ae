//! Whether a neighbour's certificate chain is the one that was registered.

use std::sync::{Arc, PoisonError, RwLock};

use rustls_pki_types::CertificateDer;

use super::certificate::Facts;
use super::dates::{self, Doubt, Moment};
use super::revocations::Revocations;
use super::successors::Successors;
use super::{Fingerprint, Refusal, chain};

/// How one peer is known: by its CA, by its leaf, or by both (then both must hold).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TrustRule {
    /// The peer's name in the configuration.
    pub peer: String,
    /// Its CA certificates; empty = not known by CA.
    pub authorities: Vec<CertificateDer<'static>>,
    /// The fingerprint of its CA. Beside `authorities` only those of that fingerprint count; without them the CA must
    /// come with the leaf.
    pub ca_pin: Option<Fingerprint>,
    /// Its leaves, any of which will do; empty = not known by leaf.
    pub fingerprints: Vec<Fingerprint>,
    /// Leaves that nobody may show.
    pub denied: Vec<Fingerprint>,
    /// What the CAs took back; all rules of a box share it.
    pub revocations: Revocations,
    /// What peers said that they will show next.
    pub successors: Successors,
    /// The fingerprint is all that is asked, and the dates: no issuer need come with the leaf, nor names or usages be
    /// right.
    pub leaf_alone: bool,
}

impl TrustRule {
    /// Judges a chain as it came in the handshake (leaf first); gives what is doubtful about its dates. Host names are never compared: TAK does not, and
    /// its certificates rarely match (protocol reference 1.3).
    ///
    /// # Errors
    /// The first thing that is wrong with it. A rule with neither CA nor fingerprint refuses everybody.
    pub fn judge(
        &self,
        chain: &[CertificateDer<'_>],
        now: impl Into<Moment>,
    ) -> Result<Option<Doubt>, Refusal> {
        taken_back(std::slice::from_ref(self), chain)?;
        match self.leaf_alone {
            true => self.admit_leaf(chain, now.into()),
            false => {
                sane(chain)?;
                self.admit(chain, now.into())
            }
        }
    }

    /// The judgement of a leaf that stands for itself. The handshake proves that the peer holds its key.
    fn admit_leaf(
        &self,
        chain: &[CertificateDer<'_>],
        now: Moment,
    ) -> Result<Option<Doubt>, Refusal> {
        let leaf = chain.first().ok_or(Refusal::NoCertificate)?;
        if !self.pins(leaf) {
            return Err(Refusal::Unregistered);
        }
        let facts = Facts::read(leaf).map_err(|_| Refusal::BadCertificate)?;
        dates::of_registered(&facts, now)
    }

    /// The part of the judgement that depends on the registration.
    fn admit(&self, chain: &[CertificateDer<'_>], now: Moment) -> Result<Option<Doubt>, Refusal> {
        let [leaf, issuer, ..] = chain else {
            return Err(Refusal::OneCertificate);
        };
        let Some(authorities) = self.authorities_in(chain)? else {
            if !self.pins(leaf) {
                return Err(Refusal::Unregistered);
            }
            return match dates::verify(chain, std::slice::from_ref(issuer), now, true) {
                Err(Refusal::UnknownCa) => Err(Refusal::BrokenChain),
                outcome => outcome,
            };
        };
        let doubt = match dates::verify(chain, &authorities, now, self.pins(leaf)) {
            Err(Refusal::UnknownCa) if self.ca_pin.is_some() => Err(Refusal::NotThePinnedCa),
            outcome => outcome,
        }?;
        match self.fingerprints.is_empty() || self.pins(leaf) {
            true => Ok(doubt),
            false => Err(Refusal::Unregistered),
        }
    }

    /// The CAs by which a chain is judged; none where the leaf's fingerprint is all that is known.
    fn authorities_in(
        &self,
        chain: &[CertificateDer<'_>],
    ) -> Result<Option<Vec<CertificateDer<'static>>>, Refusal> {
        let Some(pin) = self.ca_pin else {
            return Ok((!self.authorities.is_empty()).then(|| self.authorities.clone()));
        };
        let is_pinned = |certificate: &&CertificateDer<'_>| Fingerprint::of(certificate) == pin;
        let found = match self.authorities.is_empty() {
            false => self.authorities.iter().find(is_pinned).cloned(),
            true => {
                let (leaf, issuers) = chain.split_first().ok_or(Refusal::NoCertificate)?;
                if is_pinned(&leaf) {
                    return Err(Refusal::PinIsLeaf);
                }
                let is_authority = |certificate: &&CertificateDer<'_>| {
                    is_pinned(certificate)
                        && Facts::read(certificate).is_ok_and(|facts| facts.authority)
                };
                let found = issuers.iter().find(is_authority);
                found.map(|found| found.clone().into_owned())
            }
        };
        match found {
            Some(found) => Ok(Some(vec![found])),
            None => Err(Refusal::NotThePinnedCa),
        }
    }

    /// Whether one of its CAs signed the leaf, whatever else is wrong with it.
    fn signed(&self, chain: &[CertificateDer<'_>], now: Moment) -> bool {
        let authorities = match self.authorities_in(chain) {
            Ok(Some(authorities)) => authorities,
            // It is known as well as can be, in the wrong place.
            Err(Refusal::PinIsLeaf) => return true,
            _ => return false,
        };
        let judged = chain::verify(chain, &authorities, now.now);
        matches!(
            judged,
            Ok(()) | Err(Refusal::Expired | Refusal::NotYetValid | Refusal::NoClientAuth)
        )
    }

    fn pins(&self, leaf: &CertificateDer<'_>) -> bool {
        if self.fingerprints.is_empty() {
            return false;
        }
        let leaf = Fingerprint::of(leaf);
        let (registered, denied) = (&self.fingerprints, &self.denied);
        registered.contains(&leaf) || self.successors.follow(&self.peer, leaf, registered, denied)
    }

    /// Known by no CA, only by its leaf.
    fn is_by_leaf_only(&self) -> bool {
        self.authorities.is_empty() && self.ca_pin.is_none()
    }
}

/// The registrations of all enabled peers. Clones share one list, which can be replaced while links run; a
/// handshake sees either the old list or the new one.
#[derive(Debug, Clone, Default)]
pub struct Roster {
    rules: Arc<RwLock<Arc<[TrustRule]>>>,
}

impl Roster {
    /// A roster of these peers.
    pub fn new(rules: Vec<TrustRule>) -> Self {
        Self {
            rules: Arc::new(RwLock::new(rules.into())),
        }
    }

    /// Replaces the list. Connections that stand are not touched: ask [`Roster::identify`] again and cut them.
    pub fn replace(&self, rules: Vec<TrustRule>) {
        *self.rules.write().unwrap_or_else(PoisonError::into_inner) = rules.into();
    }

    /// The list as it is now.
    pub fn rules(&self) -> Arc<[TrustRule]> {
        self.rules
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Whose chain (leaf first) this is. A registration by fingerprint goes before one by CA alone, so that a peer
    /// that has its own entry is never taken for another federate of the same CA.
    ///
    /// # Errors
    /// The most telling refusal: what is wrong with a chain that is registered, else `Unregistered` when the CA is
    /// known (or peers are known by leaf only), else `UnknownCa`.
    pub fn identify(
        &self,
        chain: &[CertificateDer<'_>],
        now: impl Into<Moment>,
    ) -> Result<String, Refusal> {
        self.judge(chain, now).map(|(peer, _)| peer)
    }

    /// The same, with what is doubtful about the dates of its chain.
    ///
    /// # Errors
    /// As [`Roster::identify`].
    pub fn judge(
        &self,
        chain: &[CertificateDer<'_>],
        now: impl Into<Moment>,
    ) -> Result<(String, Option<Doubt>), Refusal> {
        let now = now.into();
        let rules = self.rules();
        taken_back(&rules, chain)?;
        let alone = |rule: &&TrustRule| {
            rule.leaf_alone && chain.first().is_some_and(|leaf| rule.pins(leaf))
        };
        if let Some(rule) = rules.iter().find(alone) {
            let doubt = rule.admit_leaf(chain, now)?;
            return Ok((rule.peer.clone(), doubt));
        }
        sane(chain)?;
        let mut refusals = Vec::new();
        if let Some(leaf) = chain.first() {
            for rule in rules.iter().filter(|rule| rule.pins(leaf)) {
                match rule.admit(chain, now) {
                    Ok(doubt) => return Ok((rule.peer.clone(), doubt)),
                    Err(refusal) => refusals.push(refusal),
                }
            }
        }
        if let Some(&refusal) = refusals.first() {
            // This leaf has its own entry. Another entry that would take any leaf of its CA must not let it in.
            return Err(refusal);
        }
        let (pinned, open): (Vec<_>, Vec<_>) =
            rules.iter().partition(|rule| !rule.fingerprints.is_empty());
        for rule in open {
            match rule.admit(chain, now) {
                Ok(doubt) => return Ok((rule.peer.clone(), doubt)),
                Err(refusal) => refusals.push(refusal),
            }
        }
        for rule in &pinned {
            // None of these can admit it, their leaf is another; they only tell why.
            refusals.extend(
                rule.admit(chain, now)
                    .err()
                    .filter(|_| !rule.is_by_leaf_only()),
            );
        }
        let known_by_leaf_only = !pinned.is_empty() && rules.iter().all(TrustRule::is_by_leaf_only);
        let flaw = |refusal: &Refusal| {
            !matches!(
                refusal,
                Refusal::UnknownCa | Refusal::NotThePinnedCa | Refusal::Unregistered
            )
        };
        Err(refusals
            .iter()
            .copied()
            .find(flaw)
            .or_else(|| {
                refusals
                    .iter()
                    .copied()
                    .find(|refusal| *refusal == Refusal::Unregistered)
            })
            .or_else(|| {
                let mut refusals = refusals.iter().copied();
                refusals.find(|refusal| *refusal == Refusal::NotThePinnedCa)
            })
            .unwrap_or(if known_by_leaf_only {
                Refusal::Unregistered
            } else {
                Refusal::UnknownCa
            }))
    }
}

impl Roster {
    /// Which peer a chain that was refused seems to belong to: the only one registered with this leaf, or else the
    /// only one registered with the CA that signed it. For words, never for admission.
    pub fn suspect(&self, chain: &[CertificateDer<'_>], now: impl Into<Moment>) -> Option<String> {
        let now = now.into();
        let leaf = chain.first()?;
        let rules = self.rules();
        let only = |fits: &dyn Fn(&TrustRule) -> bool| {
            let mut fitting = rules.iter().filter(|rule| fits(rule));
            let first = fitting.next()?;
            fitting.next().is_none().then(|| first.peer.clone())
        };
        only(&|rule| rule.pins(leaf)).or_else(|| only(&|rule| rule.signed(chain, now)))
    }
}

/// Judges a local client (an ATAK user) against the CAs that issue our client certificates; gives the common name
/// of its certificate and what is doubtful about its dates. One certificate is enough here: that is what ATAK sends.
///
/// # Errors
/// The first thing that is wrong with the chain.
pub fn judge_client(
    chain: &[CertificateDer<'_>],
    (authorities, revocations): (&[CertificateDer<'_>], &Revocations),
    now: impl Into<Moment>,
) -> Result<(String, Option<Doubt>), Refusal> {
    let leaf = chain.first().ok_or(Refusal::NoCertificate)?;
    if revocations.revokes(chain) {
        return Err(Refusal::Revoked);
    }
    let facts = Facts::read(leaf).map_err(|_| Refusal::BadCertificate)?;
    // We issued it, so it was that time once, whatever our clock says now.
    let doubt = dates::verify(chain, authorities, now.into(), true)?;
    let name = facts.common_name.ok_or(Refusal::NoCommonName)?;
    Ok((name, doubt))
}

/// Judges a server at which we log in as a client: against the CAs that are believed there, its fingerprint, or both.
/// Gives what is doubtful about its dates.
///
/// # Errors
/// The first thing that is wrong with the chain. With neither CA nor fingerprint, everything is.
pub fn judge_server(
    chain: &[CertificateDer<'_>],
    authorities: &[CertificateDer<'_>],
    fingerprint: Option<Fingerprint>,
    now: impl Into<Moment>,
) -> Result<Option<Doubt>, Refusal> {
    let leaf = chain.first().ok_or(Refusal::NoCertificate)?;
    let pinned = fingerprint.map(|fingerprint| fingerprint == Fingerprint::of(leaf));
    if authorities.is_empty() {
        return match pinned {
            Some(true) => dates::of_leaf(leaf, now.into()),
            _ => Err(Refusal::Unregistered),
        };
    }
    let doubt = dates::verify_server(chain, authorities, now.into(), pinned == Some(true))?;
    match pinned {
        Some(false) => Err(Refusal::Unregistered),
        _ => Ok(doubt),
    }
}

/// What somebody said no to, whatever else is right with it. A deny-list holds for all: its leaf shall not come in under
/// another peer's name.
fn taken_back(rules: &[TrustRule], chain: &[CertificateDer<'_>]) -> Result<(), Refusal> {
    let leaf = chain.first().map(|leaf| Fingerprint::of(leaf));
    if leaf.is_some_and(|leaf| rules.iter().any(|rule| rule.denied.contains(&leaf))) {
        return Err(Refusal::Denied);
    }
    match rules
        .first()
        .is_some_and(|rule| rule.revocations.revokes(chain))
    {
        true => Err(Refusal::Revoked),
        false => Ok(()),
    }
}

/// What must hold for every federate, whoever it is.
fn sane(chain: &[CertificateDer<'_>]) -> Result<(), Refusal> {
    let leaf = chain.first().ok_or(Refusal::NoCertificate)?;
    if chain.len() < 2 {
        // TAK reads the certificate at index 1 on both sides and fails without it (protocol reference 1.3 item 3):
        // better refused here, with words, than silent later.
        return Err(Refusal::OneCertificate);
    }
    let facts = Facts::read(leaf).map_err(|_| Refusal::BadCertificate)?;
    match (facts.common_name, facts.issuer_common_name) {
        (Some(_), Some(_)) => Ok(()),
        _ => Err(Refusal::NoCommonName),
    }
}

#[cfg(test)]
mod tests;

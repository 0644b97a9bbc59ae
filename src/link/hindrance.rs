//! What stops a link: one closed list, each with a word for scripts and a sentence with the cure.

use std::fmt;

/// What ended a link's last attempt, or keeps it from passing anything on: the first step that is not done.
///
/// The order is that of the steps of a connection; [`Hindrance::STEPS`] goes through them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Hindrance {
    /// No network leads there.
    NoNetwork,
    /// The peer's name has no address.
    NameLookup,
    /// TCP: refused or timed out.
    Unanswered,
    /// TLS: one side does not trust the other's certificate.
    Trust,
    /// TLS: a certificate that lacks a usage.
    Usage,
    /// TLS: a certificate that is out of date for one of the two clocks, and not for the other.
    Clock,
    /// Trusted as far as its CA goes, and not the one that is registered.
    Registration,
    /// A certificate was taken back by its CA, or is on the deny-list.
    Revoked,
    /// It connects from an address that is not allowed for it.
    Source,
    /// The secret is not proven.
    Secret,
    /// Another protocol or version.
    Version,
    /// The group stream did not open, or the groups are such that nothing crosses one way or both.
    Groups,
    /// The peer says that it is not well, or does not answer the question.
    Health,
    /// Up, and the directions are so set that nothing crosses one way or both.
    Direction,
    /// Up, and a filter lets nothing through.
    Filter,
    /// None of these: it may pass.
    Passing,
}

impl Hindrance {
    /// The steps of a connection, in their order, each by what hinders it.
    pub const STEPS: &'static [Self] = &[
        Self::NoNetwork,
        Self::NameLookup,
        Self::Unanswered,
        Self::Trust,
        Self::Usage,
        Self::Clock,
        Self::Registration,
        Self::Revoked,
        Self::Source,
        Self::Secret,
        Self::Version,
        Self::Groups,
        Self::Health,
        Self::Direction,
        Self::Filter,
    ];

    /// One word that scripts may rely on.
    pub const fn word(self) -> &'static str {
        match self {
            Self::NoNetwork => "network",
            Self::NameLookup => "name",
            Self::Unanswered => "tcp",
            Self::Trust => "tls",
            Self::Usage => "usage",
            Self::Clock => "clock",
            Self::Registration => "registration",
            Self::Revoked => "revoked",
            Self::Source => "source",
            Self::Secret => "secret",
            Self::Version => "version",
            Self::Groups => "groups",
            Self::Health => "health",
            Self::Direction => "direction",
            Self::Filter => "filter",
            Self::Passing => "connection",
        }
    }

    /// What stops the link, and what to do about it.
    pub const fn cure(self) -> &'static str {
        match self {
            Self::NoNetwork => {
                "no network leads there: see cable, modem and the addresses of this box (`show network`)"
            }
            Self::NameLookup => {
                "the name has no address: see the spelling in the peer's `address` and the name server of this \
                 network, or write the address in numbers"
            }
            Self::Unanswered => {
                "nothing answers at that address and port: see that the peer runs, that the port is right (9001 is \
                 usual) and that no firewall is in between"
            }
            Self::Trust => {
                "one side does not trust the other's certificate: register each other's CA certificate (`cert \
                 export` writes ours)"
            }
            Self::Usage => {
                "a certificate is not meant for this: issue one with both usages clientAuth and serverAuth"
            }
            Self::Clock => {
                "a certificate is out of date for one of the two clocks: set the clock right, then look at the dates \
                 (`cert show`)"
            }
            Self::Registration => {
                "the certificate is not the registered one: compare the fingerprints on both sides (`cert show`, \
                 `peer list`) and register the right one"
            }
            Self::Revoked => {
                "a certificate was revoked: issue a new one on that side (`tombolo cert renew`); `tombolo cert crl` \
                 shows the lists here"
            }
            Self::Source => {
                "it connects from an address that it may not come from: see `source_addresses` in its settings and \
                 `federation_allow` in [listen]"
            }
            Self::Secret => {
                "the secret is not the same on both sides, or only one side has one: see `secret` in the settings of \
                 both; only boxes can prove it"
            }
            Self::Version => {
                "the other side speaks another protocol: federation v2 is usually on port 9001; v1, on port 9000, is \
                 spoken with peers that have protocol = \"v1\""
            }
            Self::Groups => {
                "the peer does not open its group stream: see that federation is enabled there and that this \
                 connection has groups in its federation settings, and `inbound_groups` and `outbound_groups` here"
            }
            Self::Health => {
                "the peer does not say that it is well: see its log; it is tried again by itself"
            }
            Self::Direction => {
                "the link is up and its directions keep events back: see `incoming` and `outgoing` on both sides"
            }
            Self::Filter => {
                "the link is up and its filter lets nothing through: see `filter` in its settings; `tombolo lint` says \
                 which rule does what, and `peer set NAME --no-filter` takes it away"
            }
            Self::Passing => {
                "the connection was lost or refused for the moment; it is tried again by itself"
            }
        }
    }

    /// Somebody must change something, on one side, before another attempt makes sense.
    pub const fn is_refusal(self) -> bool {
        matches!(
            self,
            Self::Trust
                | Self::Usage
                | Self::Registration
                | Self::Revoked
                | Self::Source
                | Self::Secret
                | Self::Clock
                | Self::Version
        )
    }
}

impl fmt::Display for Hindrance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.cure())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_hindrance_has_a_word_and_words_of_its_own() {
        let all = [Hindrance::STEPS, &[Hindrance::Passing]].concat();
        let words: BTreeSet<&str> = all.iter().map(|one| one.word()).collect();
        let cures: BTreeSet<&str> = all.iter().map(|one| one.cure()).collect();
        assert_eq!((words.len(), cures.len()), (all.len(), all.len()));
        assert!(Hindrance::STEPS.is_sorted(), "steps are compared by order");
        assert!(
            all.iter()
                .all(|one| one.cure().contains(':') || *one == Hindrance::Passing)
        );
    }
}

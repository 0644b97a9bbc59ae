//! The other box in the configuration: under which name, and whether it stands there already.

use std::path::Path;

use rustls_pki_types::CertificateDer;

use super::super::desk::{self, Desk};
use crate::api::Fault;
use crate::api::pairing::Paired;
use crate::config::edit::{add_peer, set_peer};
use crate::config::{Config, EditError, Peer, PeerChange, PeerSpec, Written, peer_address};
use crate::pair::{Introduction, Terms};
use crate::pki::Fingerprint;
use crate::pki::store::pem;

impl Desk {
    /// Writes the other box into the configuration. One that is registered already is brought up to date.
    pub(super) fn register(
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
                // What is so anyway needs no line in the file.
                more: (more.into_iter())
                    .filter(|(_, one)| *one != Written::Switch(true))
                    .collect(),
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
}

/// Under which name a box is registered, and whether it is that already: the same certificate of the same CA, and nothing
/// less. What is known of others is not changed by what somebody says.
fn place(
    config: &Config,
    wanted: &str,
    fingerprint: Fingerprint,
    authorities: &[CertificateDer<'_>],
) -> (String, bool) {
    let is_it =
        |peer: &&Peer| peer.fingerprint == Some(fingerprint) && peer.authorities == authorities;
    if let Some(peer) = config.peers.iter().find(is_it) {
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
    fn who_is_registered_is_found_again_and_nobody_else() {
        let ca = crate::config::authority::tests::certificate("b", true);
        let (one, ca) = ("AB".repeat(32), format!("ca_cert = '''\n{ca}'''"));
        let text = format!(
            "[[peer]]\nname = \"one\"\nfingerprint = \"{one}\"\n{ca}\n\n[[peer]]\nname = \"two\"\n{ca}\n"
        );
        let config = Config::read(&text, Path::new("tombolo.toml")).unwrap();
        let authorities = config.peers[1].authorities.clone();
        let of = |name: &str, byte: u8, authorities: &[CertificateDer<'_>]| {
            place(&config, name, Fingerprint([byte; 32]), authorities)
        };
        assert_eq!(of("other", 0xAB, &authorities), ("one".into(), true));
        // Its certificate under another CA, its name, or its CA alone is not it.
        assert_eq!(of("one", 0xAB, &[]), ("one-2".into(), false));
        assert_eq!(of("two", 0, &authorities), ("two-2".into(), false));
        assert_eq!(of("three", 0, &authorities), ("three".into(), false));
    }
}

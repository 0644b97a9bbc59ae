//! From what lies in a source to what is to be written, all of it checked; or the mistakes, and then nothing.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rustls_pki_types::UnixTime;
use serde::Deserialize;

use super::memory::{Taken, digest_of};
use super::network::{self, Kind};
use super::source::{Item, Offer};
use super::text;
use crate::config::written::{Keys, unknown_peer_key};
use crate::config::{Config, PeerSpec, authority, candidate, federation};
use crate::pki::gather::{Gathered, key_pem};
use crate::pki::{Fingerprint, certificate::Facts, store};

/// Below the directory of the configuration.
pub const IDENTITIES: &str = "provisioned";

/// An identity to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewIdentity {
    /// Its folder below [`IDENTITIES`].
    pub name: String,
    /// Leaf and issuers.
    pub chain: String,
    /// Its key.
    pub key: String,
}

/// A network file to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewNetwork {
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// Its text.
    pub text: String,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The new configuration; none: it stays.
    pub config: Option<String>,
    /// The new identity.
    pub identity: Option<NewIdentity>,
    /// Network files.
    pub network: Vec<NewNetwork>,
    /// The text of `authorized_keys`.
    pub authorized_keys: Option<String>,
    /// Files of the source to be destroyed once all else is safe.
    pub secrets: Vec<PathBuf>,
    /// To be remembered.
    pub taken: Taken,
    /// What is new, for people.
    pub news: Vec<String>,
}

/// What the plan depends on.
#[derive(Debug, Clone, Copy)]
pub struct Present<'a> {
    /// What was taken from this source before.
    pub taken: &'a Taken,
    /// The configuration file.
    pub config_file: &'a Path,
    /// Its text.
    pub config: &'a str,
    /// The identity that provisioning put in use last.
    pub identity: Option<&'a str>,
    /// Now, for the dates of certificates.
    pub now: UnixTime,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct PeerKeys {
    address: Option<String>,
    fingerprint: Option<String>,
    enabled: Option<bool>,
    incoming: Option<bool>,
    outgoing: Option<bool>,
    keepalive_seconds: Option<u32>,
    /// The newer keys; those that are none are found when the configuration is judged.
    #[serde(flatten)]
    more: Keys,
}

/// Makes the plan.
///
/// # Errors
/// Every mistake that was found: file, fault, cure.
pub fn make(offer: &Offer, present: Present<'_>) -> Result<Plan, Vec<String>> {
    let mut planner = Planner {
        offer,
        present,
        mistakes: offer.mistakes.clone(),
        plan: Plan {
            config: None,
            identity: None,
            network: Vec::new(),
            authorized_keys: None,
            secrets: Vec::new(),
            taken: present.taken.clone(),
            news: Vec::new(),
        },
    };
    planner.identity();
    planner.config();
    planner.network();
    planner.keys();
    match planner.mistakes.is_empty() {
        true => Ok(planner.plan),
        false => Err(planner.mistakes),
    }
}

struct Planner<'a> {
    offer: &'a Offer,
    present: Present<'a>,
    mistakes: Vec<String>,
    plan: Plan,
}

impl Planner<'_> {
    fn identity(&mut self) {
        let is_password = |item: &&Item| item.name == "password.txt";
        let passwords: Vec<String> = self
            .offer
            .certs
            .iter()
            .filter(is_password)
            .filter_map(|item| text::read(&item.bytes).ok())
            .flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>())
            .take(16)
            .collect();
        let mut gathered = Gathered::default();
        let begun = self.mistakes.len();
        for item in self.offer.certs.iter().filter(|item| !is_password(item)) {
            // What stands between the BEGIN and END lines is plain letters in any of these encodings.
            let plain = text::read(&item.bytes)
                .ok()
                .filter(|text| text.contains("-----BEGIN "));
            let bytes = plain
                .as_ref()
                .map_or(&item.bytes[..], |text| text.as_bytes());
            if let Err(error) = gathered.add(&item.shown, bytes, &passwords) {
                self.mistakes.push(error.to_string());
            }
        }
        if self.mistakes.len() > begun {
            return;
        }
        if !gathered.has_key() {
            let unknown = gathered.certificates.iter().find(|certificate| {
                let is_leaf = Facts::read(certificate).is_ok_and(|facts| !facts.authority);
                is_leaf && Some(short_name(certificate)) != self.present.taken.identity
            });
            if let Some(certificate) = unknown {
                self.mistakes.push(format!(
                    "certs: the private key of \"{}\" is not there; put it beside the certificate",
                    store::display_name(certificate)
                ));
            }
            return;
        }
        let identity = match gathered.identity(self.present.now) {
            Ok(identity) => identity,
            Err(error) => return self.mistakes.push(format!("certs: {error}")),
        };
        let name = short_name(&identity.chain[0]);
        let secret =
            |item: &&Item| gathered.secret_files.contains(&item.shown) || is_password(item);
        self.plan.secrets.extend(
            self.offer
                .certs
                .iter()
                .filter(secret)
                .map(|item| item.path.clone()),
        );
        if self.present.taken.identity.as_ref() == Some(&name) {
            return;
        }
        self.plan.taken.identity = Some(name.clone());
        self.plan.news.push(format!(
            "certificate {}",
            store::display_name(&identity.chain[0])
        ));
        self.plan.identity = Some(NewIdentity {
            name,
            chain: store::pem(&identity.chain),
            key: key_pem(&identity.key),
        });
    }

    fn config(&mut self) {
        let mut config = self.present.config.to_owned();
        let mut is_new = false;
        let begun = self.mistakes.len();
        if let Some((text, digest)) = self.text_of(self.offer.toml.as_ref())
            && self.present.taken.toml.as_ref() != Some(&digest)
        {
            config = text;
            is_new = true;
            self.plan.taken.toml = Some(digest);
            self.plan.news.push("tombolo.toml".into());
        }
        if self.mistakes.len() > begun {
            return;
        }
        // Said by itself first: later faults would only hide where it is wrong.
        if is_new && config.parse::<toml_edit::DocumentMut>().is_err() {
            return self.judge(&config);
        }
        let identity = match &self.plan.identity {
            Some(identity) => Some(identity.name.clone()),
            // A new tombolo.toml that says nothing of an identity keeps the one that came with an earlier source.
            None if is_new && !config.contains("[identity]") => {
                self.present.identity.map(str::to_owned)
            }
            None => None,
        };
        if let Some(name) = identity {
            for (key, file) in [("certificate", "chain.pem"), ("key", "key.pem")] {
                let value = format!("{IDENTITIES}/{name}/{file}");
                self.change(&mut config, "certs", |config| {
                    candidate::set(config, &format!("identity.{key}"), &value)
                });
            }
        }
        self.federation(&mut config, is_new);
        self.peers(&mut config, is_new);
        if config == self.present.config || self.mistakes.len() > begun {
            return;
        }
        self.judge(&config);
        self.plan.config = Some(config);
    }

    fn judge(&mut self, config: &str) {
        if let Err(error) = Config::read(config, self.present.config_file) {
            let file = self.present.config_file.display().to_string();
            self.mistakes
                .push(error.to_string().replace(&file, "tombolo.toml"));
        }
    }

    fn federation(&mut self, config: &mut String, is_new: bool) {
        let Some((text, digest)) = self.text_of(self.offer.federation.as_ref()) else {
            return;
        };
        if self.present.taken.federation.as_ref() == Some(&digest) && !is_new {
            return;
        }
        let items = || self.offer.certs.iter().chain(&self.offer.peers);
        let certificate = |path: &str| {
            let name = path.rsplit(['/', '\\']).next().unwrap_or(path);
            let item = items().find(|item| item.name == name.to_lowercase())?;
            text::read(&item.bytes).ok()
        };
        match federation::read(&text, certificate) {
            Err(mistakes) => {
                let shown = self
                    .offer
                    .federation
                    .as_ref()
                    .map_or("", |item| &item.shown);
                self.mistakes
                    .extend(mistakes.iter().map(|mistake| format!("{shown}: {mistake}")));
            }
            Ok(peers) => {
                for peer in peers {
                    if known(config, &peer.name).is_none() {
                        self.plan.news.push(format!("peer {}", peer.name));
                        self.add_peer(config, "federation.json", &peer);
                    }
                }
                self.plan.taken.federation = Some(digest);
            }
        }
    }

    fn peers(&mut self, config: &mut String, is_new: bool) {
        let mut by_name: BTreeMap<String, (Option<&Item>, Option<&Item>)> = BTreeMap::new();
        for item in &self.offer.peers {
            let file = item.shown.rsplit('/').next().unwrap_or_default();
            let (stem, _) = file.rsplit_once('.').unwrap_or((file, ""));
            let there = by_name
                .keys()
                .find(|name| name.to_lowercase() == stem.to_lowercase())
                .cloned();
            let files = by_name
                .entry(there.unwrap_or_else(|| stem.to_owned()))
                .or_default();
            match item.name.ends_with(".toml") {
                true => files.1 = Some(item),
                false => files.0 = Some(item),
            }
        }
        for (name, (certificate, keys)) in by_name {
            let bytes =
                |item: Option<&Item>| item.map(|item| item.bytes.clone()).unwrap_or_default();
            let digest = digest_of(&[bytes(certificate), b"\0".to_vec(), bytes(keys)].concat());
            let key = name.to_lowercase();
            if self.present.taken.peers.get(&key) == Some(&digest) && !is_new {
                continue;
            }
            if self.peer(config, &name, certificate, keys).is_some() {
                self.plan.taken.peers.insert(key, digest);
                self.plan.news.push(format!("peer {name}"));
            }
        }
    }

    fn peer(
        &mut self,
        config: &mut String,
        name: &str,
        certificate: Option<&Item>,
        keys: Option<&Item>,
    ) -> Option<()> {
        let begun = self.mistakes.len();
        let ca_pem = self.text_of(certificate).map(|(text, _)| text);
        if let (Some(item), Some(pem)) = (certificate, &ca_pem)
            && let Err(fault) = authority::read(pem.as_bytes())
        {
            self.mistakes
                .push(format!("{}: {fault}; {}", item.shown, fault.cure()));
        }
        let mut settings = PeerKeys::default();
        if let (Some(item), Some((text, _))) = (keys, self.text_of(keys)) {
            match toml::from_str(&text) {
                Ok(read) => settings = read,
                Err(error) => self.mistakes.push(format!(
                    "{}: {}; known are the keys of [[peer]] but name and ca_cert",
                    item.shown,
                    error.message()
                )),
            }
        }
        for fault in settings.more.keys().filter_map(|key| unknown_peer_key(key)) {
            let shown = keys.map_or(name, |item| &item.shown);
            self.mistakes.push(format!("{shown}: {fault}"));
        }
        let file = keys.or(certificate).map_or(name, |item| &item.shown);
        let ca_pem = ca_pem.map(|pem| authority::certificates_only(&pem));
        match known(config, name) {
            Some(known) => {
                let on = |value: Option<bool>| value.map(|on| on.to_string());
                for (key, written) in settings.more {
                    let value = toml_edit::Value::from(written).to_string();
                    self.change(config, file, |config| {
                        candidate::set(config, &format!("peer.{known}.{key}"), &value)
                    });
                }
                for (key, value) in [
                    ("ca_cert", ca_pem),
                    ("address", settings.address),
                    ("fingerprint", settings.fingerprint),
                    ("enabled", on(settings.enabled)),
                    ("incoming", on(settings.incoming)),
                    ("outgoing", on(settings.outgoing)),
                    (
                        "keepalive_seconds",
                        settings
                            .keepalive_seconds
                            .map(|seconds| seconds.to_string()),
                    ),
                ] {
                    if let Some(value) = value {
                        self.change(config, file, |config| {
                            candidate::set(config, &format!("peer.{known}.{key}"), &value)
                        });
                    }
                }
            }
            None => {
                let spec = PeerSpec {
                    name: name.to_owned(),
                    address: settings.address,
                    ca_pem,
                    fingerprint: settings.fingerprint,
                    enabled: settings.enabled.unwrap_or(true),
                    incoming: settings.incoming.unwrap_or(true),
                    outgoing: settings.outgoing.unwrap_or(true),
                    keepalive_seconds: settings.keepalive_seconds,
                    more: settings.more,
                };
                self.add_peer(config, file, &spec);
            }
        }
        (self.mistakes.len() == begun).then_some(())
    }

    fn add_peer(&mut self, config: &mut String, file: &str, peer: &PeerSpec) {
        self.change(config, file, |config| candidate::add_peer(config, peer));
    }

    fn change(
        &mut self,
        config: &mut String,
        file: &str,
        change: impl FnOnce(&str) -> Result<String, candidate::CandidateError>,
    ) {
        match change(config) {
            Ok(changed) => *config = changed,
            Err(error) => self.mistakes.push(format!("{file}: {error}")),
        }
    }

    fn network(&mut self) {
        for item in &self.offer.network {
            let (Some(kind), Some((text, digest))) =
                (network::kind(&item.name), self.text_of(Some(item)))
            else {
                continue;
            };
            if let Err(mistake) = network::check(kind, &text) {
                self.mistakes.push(format!("{}: {mistake}", item.shown));
                continue;
            }
            if kind == Kind::Wifi {
                self.plan.secrets.push(item.path.clone());
            }
            if self.plan.taken.network.get(&item.name) == Some(&digest) {
                continue;
            }
            self.plan.taken.network.insert(item.name.clone(), digest);
            self.plan.news.push(item.shown.clone());
            self.plan.network.push(NewNetwork {
                name: item.name.clone(),
                kind,
                text,
            });
        }
    }

    fn keys(&mut self) {
        let Some((text, digest)) = self.text_of(self.offer.authorized_keys.as_ref()) else {
            return;
        };
        if let Err(mistake) = network::check_keys(&text) {
            return self.mistakes.push(format!("authorized_keys: {mistake}"));
        }
        if self.present.taken.authorized_keys.as_ref() != Some(&digest) {
            self.plan.taken.authorized_keys = Some(digest);
            self.plan.authorized_keys = Some(text);
            self.plan.news.push("authorized_keys".into());
        }
    }

    /// The text of a file and the digest of that; a file that is no text is a mistake.
    fn text_of(&mut self, item: Option<&Item>) -> Option<(String, String)> {
        let item = item?;
        match text::read(&item.bytes) {
            Ok(text) => {
                let digest = digest_of(text.as_bytes());
                Some((text, digest))
            }
            Err(fault) => {
                self.mistakes.push(format!("{}: {fault}", item.shown));
                None
            }
        }
    }
}

/// The peer of that name as the configuration writes it; FAT may have made its letters capitals.
fn known(config: &str, name: &str) -> Option<String> {
    let document = config.parse::<toml_edit::DocumentMut>().ok()?;
    let tables = document.get("peer")?.as_array_of_tables()?;
    let names: Vec<String> = tables
        .iter()
        .filter_map(|table| Some(table.get("name")?.as_str()?.to_owned()))
        .collect();
    let same = |known: &&String| known.to_lowercase() == name.to_lowercase();
    names
        .iter()
        .find(|known| *known == name)
        .or_else(|| names.iter().find(same))
        .cloned()
}

/// A short name of a certificate, the same at every start.
fn short_name(certificate: &[u8]) -> String {
    super::memory::hex(&Fingerprint::of(certificate).0[..8])
}

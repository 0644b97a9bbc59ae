//! `[[peer]]`.

use std::collections::HashMap;
use std::sync::Arc;

use rustls_pki_types::CertificateDer;
use toml::Spanned;

use super::address::peer_address;
use super::authority::{self, MOST_PEM_BYTES};
use super::error::ConfigError;
use super::limits::Limits;
use super::rate::{self, Rate};
use super::raw::RawPeer;
use super::reader::Reader;
use super::settings::Peer;
use super::uplinks::Uplink;
use crate::files;
use crate::pki::fingerprint::NotAFingerprint;

/// Further addresses of one peer.
const MOST_FURTHER: usize = 4;
/// Seconds that a peer must be down before its fallback is dialled.
const FALLBACK_SECONDS: u32 = 10;
const FALLBACK_RANGE: std::ops::RangeInclusive<u32> = 1..=3600;
const KEEPALIVE_RANGE: std::ops::RangeInclusive<u32> = 1..=32_767;

impl Reader<'_> {
    pub(super) fn peers(
        &self,
        raw: &[Spanned<RawPeer>],
        limits: &Limits,
        uplinks: &[Arc<Uplink>],
    ) -> Result<Vec<Peer>, ConfigError> {
        let most = usize::from(limits.max_federates);
        if let Some(beyond) = raw.get(most) {
            return Err(self.bad(
                beyond,
                "peer",
                format!("more than {most} peers"),
                "raise max_federates in [limits] (and memory_mib if the box then says so)",
            ));
        }
        let mut names = HashMap::new();
        let mut peers = Vec::with_capacity(raw.len());
        for written in raw {
            let peer = self.peer(written, uplinks)?;
            let place = self.place(written.span().start);
            if let Some(first) = names.insert(peer.name.clone(), place.clone()) {
                let first = match first.file == place.file {
                    true => format!("line {}", first.line),
                    false => first.to_string(),
                };
                let at = written
                    .get_ref()
                    .name
                    .as_ref()
                    .map_or(written.span(), Spanned::span);
                return Err(self.bad(
                    &Spanned::new(at, ()),
                    "name",
                    format!("the peer of {first} is called \"{}\" too", peer.name),
                    "give every peer its own name",
                ));
            }
            peers.push(peer);
        }
        for (written, peer) in raw.iter().zip(&peers) {
            self.fallback(written.get_ref(), peer, &peers)?;
        }
        Ok(peers)
    }

    fn peer(&self, whole: &Spanned<RawPeer>, uplinks: &[Arc<Uplink>]) -> Result<Peer, ConfigError> {
        let raw = whole.get_ref();
        let Some(name) = &raw.name else {
            return Err(self.bad(
                whole,
                "name",
                "is missing",
                "every [[peer]] needs a name = \"...\"",
            ));
        };
        if raw.ca_cert.is_none() && raw.fingerprint.is_none() {
            return Err(self.bad(
                whole,
                "ca_cert",
                format!(
                    "peer \"{}\" has neither `ca_cert` nor `fingerprint`",
                    name.get_ref()
                ),
                "nobody could be told from it; give one of them, or both",
            ));
        }
        let address = match &raw.address {
            None => None,
            Some(address) => Some(self.peer_address("address", address, address.get_ref())?),
        };
        let fingerprint = match &raw.fingerprint {
            None => None,
            Some(text) => Some(text.get_ref().parse().map_err(|error: NotAFingerprint| {
                self.bad(
                    text,
                    "fingerprint",
                    error.to_string(),
                    "`tombolo cert show` on the peer prints it",
                )
            })?),
        };
        let spoken = self.peer_protocol(raw)?;
        Ok(Peer {
            name: self.name("name", name)?,
            address,
            addresses: self.further(&raw.addresses)?,
            fallback_of: raw.fallback_of.as_ref().map(|name| name.get_ref().clone()),
            fallback_seconds: match &raw.fallback_seconds {
                Some(seconds) => self.uplink_number("fallback_seconds", seconds, FALLBACK_RANGE)?,
                None => FALLBACK_SECONDS,
            },
            uplinks: self.named_uplinks(&raw.uplinks, uplinks)?,
            authorities: raw
                .ca_cert
                .as_ref()
                .map_or(Ok(Vec::new()), |ca_cert| self.authorities(ca_cert))?,
            fingerprint,
            enabled: raw.enabled.unwrap_or(true),
            incoming: raw.incoming.unwrap_or(true),
            outgoing: raw.outgoing.unwrap_or(true),
            spool: raw.spool.unwrap_or(true),
            correct_clock: raw.correct_clock.unwrap_or(true),
            keepalive_seconds: raw
                .keepalive_seconds
                .as_ref()
                .map(|seconds| self.keepalive(seconds))
                .transpose()?,
            probe: (raw.probe.as_ref())
                .map(|probe| self.probe(probe))
                .transpose()?,
            rate: raw.rate.as_ref().map(|rate| self.rate(rate)).transpose()?,
            compress: raw.compress.unwrap_or(true),
            groups: self.peer_groups(raw)?,
            protocol: spoken.protocol,
            flavour: spoken.flavour,
            legacy_no_client_certificate: spoken.legacy_no_client_certificate,
            data_packages_in: raw.data_packages_in.unwrap_or(true),
            data_packages_out: raw.data_packages_out.unwrap_or(true),
            packages: self.peer_packages(raw)?,
            filters: self.filters(raw.filter.as_ref())?,
        })
    }

    fn peer_address<T>(
        &self,
        key: &'static str,
        at: &Spanned<T>,
        text: &str,
    ) -> Result<String, ConfigError> {
        peer_address(text).map_err(|fault| {
            let cure = "write host:port, such as \"tak.example.org:9001\"";
            self.bad(at, key, format!("\"{text}\" {fault}"), cure)
        })
    }

    fn further(&self, written: &Option<Spanned<Vec<String>>>) -> Result<Vec<String>, ConfigError> {
        let Some(written) = written else {
            return Ok(Vec::new());
        };
        let count = written.get_ref().len();
        if count > MOST_FURTHER {
            let fault = format!("has {count} entries");
            return Err(self.bad(written, "addresses", fault, "write 4 at most"));
        }
        let one = |text: &String| self.peer_address("addresses", written, text);
        written.get_ref().iter().map(one).collect()
    }

    fn named_uplinks(
        &self,
        written: &Option<Spanned<Vec<String>>>,
        uplinks: &[Arc<Uplink>],
    ) -> Result<Vec<String>, ConfigError> {
        let Some(written) = written else {
            return Ok(Vec::new());
        };
        let unknown = |name: &&String| uplinks.iter().all(|uplink| uplink.name != **name);
        match written.get_ref().iter().find(unknown) {
            None => Ok(written.get_ref().clone()),
            Some(name) => Err(self.bad(
                written,
                "uplinks",
                format!("no [[uplink]] is called \"{name}\""),
                "name uplinks of this file, or leave it out: then all may carry the peer",
            )),
        }
    }

    /// A fallback stands in for another peer, is dialled, and is no chain.
    fn fallback(&self, raw: &RawPeer, peer: &Peer, peers: &[Peer]) -> Result<(), ConfigError> {
        let (Some(written), Some(name)) = (&raw.fallback_of, &peer.fallback_of) else {
            return Ok(());
        };
        let main = peers.iter().find(|other| other.name == *name);
        let (fault, cure) = match main {
            _ if *name == peer.name => (
                "it is its own name".to_owned(),
                "name the peer that this one stands in for",
            ),
            None => (
                format!("no [[peer]] is called \"{name}\""),
                "name a peer of this file",
            ),
            Some(main) if main.fallback_of.is_some() => (
                format!("\"{name}\" is a fallback itself"),
                "let both stand in for the same peer",
            ),
            Some(_) if peer.all_addresses().next().is_none() => (
                "it has no address, so it cannot be dialled".to_owned(),
                "give it an `address`",
            ),
            Some(_) => return Ok(()),
        };
        Err(self.bad(written, "fallback_of", fault, cure))
    }

    fn keepalive(&self, seconds: &Spanned<i64>) -> Result<u32, ConfigError> {
        u32::try_from(*seconds.get_ref())
            .ok()
            .filter(|seconds| KEEPALIVE_RANGE.contains(seconds))
            .ok_or_else(|| ConfigError::OutOfRange {
                place: self.place(seconds.span().start),
                key: "keepalive_seconds",
                value: *seconds.get_ref(),
                least: *KEEPALIVE_RANGE.start(),
                most: *KEEPALIVE_RANGE.end(),
            })
    }

    fn rate(&self, written: &Spanned<String>) -> Result<Rate, ConfigError> {
        Rate::parse(written.get_ref()).map_err(|fault| {
            let what = format!("\"{}\" {fault}", written.get_ref());
            self.bad(written, "rate", what, rate::CURE)
        })
    }

    fn authorities(
        &self,
        written: &Spanned<String>,
    ) -> Result<Vec<CertificateDer<'static>>, ConfigError> {
        let text = written.get_ref();
        let (pem, source) = if text.contains("-----BEGIN") {
            (text.clone().into_bytes(), String::from("the PEM text"))
        } else {
            let path = self.resolve(text);
            let pem = files::read_bounded(&path, MOST_PEM_BYTES).map_err(|error| {
                self.bad(
                    written,
                    "ca_cert",
                    format!(
                        "{} cannot be read: {}",
                        path.display(),
                        files::fault(&error)
                    ),
                    "give a path relative to this file, or the PEM text itself",
                )
            })?;
            (pem, path.display().to_string())
        };
        authority::read(&pem).map_err(|fault| {
            self.bad(
                written,
                "ca_cert",
                format!("{source}: {fault}"),
                fault.cure(),
            )
        })
    }
}

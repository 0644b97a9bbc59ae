//! `federation.json`: federates declared for machines, in the shape of the documents, read and written.

mod keys;
mod write;

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Map, Value};

use super::authority;
use super::filter::Direction;
use super::json_places::{Into as Step, line_of};
use super::settings::FEDERATION_PORT;
use super::spec::PeerSpec;
use super::written::Written;
use crate::pki::Fingerprint;

pub use write::write;

use keys::{FILTERS, Key, PEER, TOP};

/// The file as JSON Schema.
pub fn schema() -> Value {
    keys::schema(TOP)
}

/// Something wrong in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// The line, counted from 1.
    pub line: usize,
    /// Which peer, by name or number; empty: it is about the file.
    pub peer: String,
    /// The key; empty: it is about the whole.
    pub key: String,
    /// What is wrong.
    pub fault: String,
    /// What to write instead.
    pub cure: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: ", self.line)?;
        if !self.peer.is_empty() {
            write!(f, "peer {}: ", self.peer)?;
        }
        if !self.key.is_empty() {
            write!(f, "`{}`: ", self.key)?;
        }
        write!(f, "{}; {}", self.fault, self.cure)
    }
}

/// Reads the file. `certificate` gives the PEM text of the file that a `ca_cert` names.
///
/// # Errors
/// Every mistake, from the top.
pub fn read(
    text: &str,
    certificate: impl Fn(&str) -> Option<String>,
) -> Result<Vec<PeerSpec>, Vec<Mistake>> {
    let document: Value = serde_json::from_str(text).map_err(|error| {
        let full = error.to_string();
        let fault = full
            .rsplit_once(" at line ")
            .map_or(full.as_str(), |(fault, _)| fault);
        vec![Mistake {
            line: error.line(),
            peer: String::new(),
            key: String::new(),
            fault: format!("not JSON: {fault}"),
            cure: "compare it with the example of the documentation".to_owned(),
        }]
    })?;
    let mut reading = Reading {
        text,
        mistakes: Vec::new(),
    };
    let peers = reading.file(&document, &certificate);
    match reading.mistakes.is_empty() {
        true => Ok(peers),
        false => {
            reading.mistakes.sort_by_key(|mistake| mistake.line);
            Err(reading.mistakes)
        }
    }
}

struct Reading<'a> {
    text: &'a str,
    mistakes: Vec<Mistake>,
}

/// One table of the file, with its place.
struct Table<'a> {
    keys: &'a Map<String, Value>,
    known: &'static [Key],
    path: Vec<Step<'a>>,
    /// How the peer is called in a message.
    peer: String,
}

impl Reading<'_> {
    fn file(
        &mut self,
        document: &Value,
        certificate: &impl Fn(&str) -> Option<String>,
    ) -> Vec<PeerSpec> {
        let Value::Object(keys) = document else {
            self.wrong(
                &[],
                "",
                "",
                "it is no object",
                "write {\"version\": 1, \"peers\": [...]}",
            );
            return Vec::new();
        };
        let top = Table {
            keys,
            known: TOP,
            path: Vec::new(),
            peer: String::new(),
        };
        self.look(&top);
        let peers = keys.get("peers").and_then(Value::as_array);
        let Some(peers) = peers.filter(|_| self.mistakes.is_empty()) else {
            return Vec::new();
        };
        let mut specs: Vec<PeerSpec> = Vec::new();
        for (number, peer) in peers.iter().enumerate() {
            let path = vec![Step::Key("peers"), Step::Item(number)];
            let Value::Object(keys) = peer else {
                let who = format!("{}", number + 1);
                self.wrong(
                    &path,
                    &who,
                    "",
                    "it is no object",
                    "write {\"name\": \"...\", ...}",
                );
                continue;
            };
            let who = match keys.get("name") {
                Some(Value::String(name)) => format!("\"{name}\""),
                _ => format!("{}", number + 1),
            };
            let table = Table {
                keys,
                known: PEER,
                path,
                peer: who,
            };
            let before = self.mistakes.len();
            let spec = self.peer(&table, certificate);
            if specs.iter().any(|other| other.name == spec.name) && !spec.name.is_empty() {
                self.bad(
                    &table,
                    "name",
                    "another peer has it too",
                    "give every peer its own name",
                );
            }
            if self.mistakes.len() == before {
                specs.push(spec);
            }
        }
        specs
    }

    fn peer(
        &mut self,
        table: &Table<'_>,
        certificate: &impl Fn(&str) -> Option<String>,
    ) -> PeerSpec {
        self.look(table);
        let name = self.text(table, "name").unwrap_or_default();
        let mut spec = PeerSpec::of(&name);
        spec.address = self.address(table);
        spec.enabled = self.switch(table, "enabled").unwrap_or(true);
        spec.outgoing = self.switch(table, "outgoing").unwrap_or(true);
        // One-way means from us to them.
        let both = self.switch(table, "bidirectional").unwrap_or(true);
        spec.incoming = self.switch(table, "incoming").unwrap_or(both);
        for key in ["data_packages_in", "data_packages_out"] {
            if let Some(on) = self.switch(table, key) {
                spec.more.insert(key.to_owned(), Written::Switch(on));
            }
        }
        spec.keepalive_seconds = self.number(table, "keepalive_seconds");
        spec.fingerprint = self.text(table, "fingerprint");
        spec.ca_pem = self.authority(table, certificate);
        if spec.ca_pem.is_none()
            && let Some(pin) = self.text(table, "ca_pin")
        {
            // The CA then comes with the peer's own certificate.
            match pin.parse::<Fingerprint>() {
                Ok(pin) => drop(
                    spec.more
                        .insert("ca_pin".to_owned(), Written::Text(pin.to_string())),
                ),
                Err(error) => {
                    let cure = "`openssl x509 -fingerprint -sha256` prints it";
                    self.bad(table, "ca_pin", error.to_string(), cure);
                }
            }
        }
        for key in ["filters", "federation_filter"] {
            self.filters(table, key, &mut spec);
        }
        spec
    }

    fn address(&mut self, table: &Table<'_>) -> Option<String> {
        let port = self.number(table, "port");
        let address = self.text(table, "address")?;
        let host = match address.contains(':') && !address.starts_with('[') {
            true if address.matches(':').count() == 1 => {
                let fault = format!("\"{address}\" has a port in it");
                self.bad(
                    table,
                    "address",
                    fault,
                    "write the host here and its `port` beside it",
                );
                return None;
            }
            true => format!("[{address}]"),
            false => address,
        };
        Some(format!("{host}:{}", port.unwrap_or(FEDERATION_PORT.into())))
    }

    fn authority(
        &mut self,
        table: &Table<'_>,
        certificate: &impl Fn(&str) -> Option<String>,
    ) -> Option<String> {
        let pin = self.text(table, "ca_pin");
        let written = self.text(table, "ca_cert")?;
        let pem = match written.contains("-----BEGIN ") {
            true => Some(written),
            false => certificate(&written),
        };
        let Some(pem) = pem else {
            let path = self.text(table, "ca_cert").unwrap_or_default();
            let name = path
                .rsplit(['/', '\\'])
                .next()
                .unwrap_or_default()
                .to_owned();
            let cure = format!("put the peer's CA there, or {name} beside this file or into certs");
            self.bad(table, "ca_cert", format!("there is no file {path}"), &cure);
            return None;
        };
        let authorities = match authority::read(pem.as_bytes()) {
            Ok(authorities) => authorities,
            Err(fault) => {
                self.bad(table, "ca_cert", fault.to_string(), &fault.cure());
                return None;
            }
        };
        if let Some(pin) = pin {
            match pin.parse::<Fingerprint>() {
                Err(error) => {
                    self.bad(
                        table,
                        "ca_pin",
                        error.to_string(),
                        "`openssl x509 -fingerprint -sha256` prints it",
                    );
                }
                Ok(pin) if authorities.iter().all(|one| Fingerprint::of(one) != pin) => {
                    let cure = "one of both is wrong: ask the peer's administrator, by telephone";
                    self.bad(table, "ca_pin", "is not the fingerprint of `ca_cert`", cure);
                }
                Ok(_) => {}
            }
        }
        Some(pem)
    }

    fn filters(&mut self, table: &Table<'_>, key: &str, spec: &mut PeerSpec) {
        let Some(keys) = table.keys.get(key).and_then(Value::as_object) else {
            return;
        };
        let path = [table.path.as_slice(), &[Step::Key(key)]].concat();
        let inner = Table {
            keys,
            known: FILTERS,
            path,
            peer: table.peer.clone(),
        };
        self.look(&inner);
        let direction = self.text(&inner, "direction");
        let direction = direction.and_then(|word| Direction::of(&word).ok());
        let direction = direction.unwrap_or_default();
        let mut rules = BTreeMap::new();
        for (name, ours) in [
            ("cot_types", "allow_types"),
            ("allow_types", "allow_types"),
            ("block_types", "block_types"),
            ("allow_callsigns", "allow_callsigns"),
            ("block_callsigns", "block_callsigns"),
        ] {
            if let Some(list) = self.list(&inner, name).filter(|list| !list.is_empty()) {
                rules.insert(ours.to_owned(), Written::List(list));
            }
        }
        if let Some(preset) = self.text(&inner, "preset") {
            rules.insert("preset".to_owned(), Written::Text(preset));
        }
        let groups = self
            .list(&inner, "groups")
            .filter(|groups| !groups.is_empty());
        if let Some(groups) = &groups {
            for (way, ours) in [
                (Direction::In, "inbound_groups"),
                (Direction::Out, "outbound_groups"),
            ] {
                if direction == Direction::Both || direction == way {
                    let list = Written::List(groups.clone());
                    spec.more.insert(ours.to_owned(), list);
                }
            }
        }
        match (rules.is_empty(), groups.is_none(), direction) {
            // Without a rule, the direction can only mean the peer's traffic as a whole.
            (true, true, Direction::In) => (spec.incoming, spec.outgoing) = (true, false),
            (true, true, Direction::Out) => (spec.incoming, spec.outgoing) = (false, true),
            (true, ..) => {}
            (false, ..) => {
                if direction != Direction::Both {
                    let word = Written::Text(direction.word().to_owned());
                    rules.insert("direction".to_owned(), word);
                }
                spec.more.insert("filter".to_owned(), Written::Table(rules));
            }
        }
    }

    /// Every key of a table: known, of its kind, and there if it must be.
    fn look(&mut self, table: &Table<'_>) {
        for (key, value) in table.keys {
            let Some(known) = table.known.iter().find(|known| known.key == key) else {
                let cure = keys::unknown(key, table.known);
                self.bad(table, key, "unknown key", &cure);
                continue;
            };
            if let Some((fault, cure)) = keys::fault(known.kind, value) {
                self.bad(table, key, fault, &cure);
            }
        }
        let is_missing =
            |key: &&Key| key.required && table.keys.get(key.key).is_none_or(Value::is_null);
        for key in table.known.iter().filter(is_missing) {
            let cure = match key.key {
                "version" => "write 1",
                "name" => "give the peer a name",
                _ => "write a list of peers, [] for none",
            };
            self.bad(table, key.key, "is missing", cure);
        }
    }

    fn text(&self, table: &Table<'_>, key: &str) -> Option<String> {
        table.keys.get(key)?.as_str().map(str::to_owned)
    }

    fn switch(&self, table: &Table<'_>, key: &str) -> Option<bool> {
        table.keys.get(key)?.as_bool()
    }

    fn number(&self, table: &Table<'_>, key: &str) -> Option<u32> {
        table.keys.get(key)?.as_u64()?.try_into().ok()
    }

    fn list(&self, table: &Table<'_>, key: &str) -> Option<Vec<String>> {
        let items = table.keys.get(key)?.as_array()?.iter();
        Some(
            items
                .filter_map(|item| item.as_str().map(str::to_owned))
                .collect(),
        )
    }

    fn bad(&mut self, table: &Table<'_>, key: &str, fault: impl Into<String>, cure: &str) {
        let path = [table.path.as_slice(), &[Step::Key(key)]].concat();
        self.wrong(&path, &table.peer, key, fault, cure);
    }

    fn wrong(
        &mut self,
        path: &[Step<'_>],
        peer: &str,
        key: &str,
        fault: impl Into<String>,
        cure: &str,
    ) {
        self.mistakes.push(Mistake {
            line: line_of(self.text, path),
            peer: peer.to_owned(),
            key: key.to_owned(),
            fault: fault.into(),
            cure: cure.to_owned(),
        });
    }
}

#[cfg(test)]
mod tests;

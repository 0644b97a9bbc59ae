//! `[[network]]`: local networks, which one box keeps apart or joins as if each had a box of its own.

use std::net::SocketAddr;

use serde::Deserialize;
use toml::Spanned;

use super::error::ConfigError;
use super::limits::Limits;
use super::raw::AddressList;
use super::reader::Reader;
use super::settings::{CLIENTS_TCP_PORT, CLIENTS_TLS_PORT, Config, Listen};

/// The network of the clients of `[listen]`, and of whatever names none.
pub const LOCAL_NETWORK: &str = "local";

pub(super) const NETWORK_KEYS: &[&str] = &[
    "name",
    "inbound_groups",
    "outbound_groups",
    "clients_tcp",
    "clients_tls",
    "incoming",
    "outgoing",
];

/// One local network: whoever is in it hears everybody else in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkSettings {
    /// Unique name, 1 to 64 characters.
    pub name: String,
    /// What it sends to others is put into these groups.
    pub inbound_groups: Vec<String>,
    /// It gets what others have in one of these groups.
    pub outbound_groups: Vec<String>,
    /// A further listener for plain CoT, whose clients are in it.
    pub clients_tcp: Option<SocketAddr>,
    /// A further listener for CoT over mutual TLS, whose clients are in it.
    pub clients_tls: Option<SocketAddr>,
    /// Others get what it sends.
    pub incoming: bool,
    /// It gets what others send.
    pub outgoing: bool,
}

impl NetworkSettings {
    /// A network of that name, joined to everything.
    pub fn of(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            inbound_groups: vec!["__ANON__".to_owned()],
            outbound_groups: vec!["__ANON__".to_owned()],
            clients_tcp: None,
            clients_tls: None,
            incoming: true,
            outgoing: true,
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawNetwork {
    name: Option<Spanned<String>>,
    inbound_groups: Option<Spanned<Vec<String>>>,
    outbound_groups: Option<Spanned<Vec<String>>>,
    clients_tcp: Option<Spanned<AddressList>>,
    clients_tls: Option<Spanned<AddressList>>,
    incoming: Option<bool>,
    outgoing: Option<bool>,
}

impl Config {
    /// The number of the network of that name.
    pub fn network_number(&self, name: &str) -> Option<u8> {
        let known = |network: &NetworkSettings| network.name == name;
        u8::try_from(self.networks.iter().position(known)?).ok()
    }
}

impl Reader<'_> {
    /// All of them; the first is always the one of `[listen]`.
    pub(super) fn networks(
        &self,
        raw: &[Spanned<RawNetwork>],
        listen: &Listen,
        limits: &Limits,
    ) -> Result<Vec<NetworkSettings>, ConfigError> {
        let mut networks = vec![NetworkSettings::of(LOCAL_NETWORK)];
        let mut lines = vec![None];
        let mut taken: Vec<SocketAddr> = [listen.clients_tcp, listen.clients_tls, listen.api]
            .into_iter()
            .flatten()
            .chain(listen.federation.iter().copied())
            .collect();
        for written in raw {
            let network = self.network(written)?;
            let line = self.place(written.span().start).line;
            for (key, address) in [
                ("clients_tcp", network.clients_tcp),
                ("clients_tls", network.clients_tls),
            ] {
                let Some(address) = address.filter(|address| address.port() != 0) else {
                    continue;
                };
                if taken.contains(&address) {
                    let fault = format!("{address} is the address of another listener too");
                    let cure = "give each listener its own port";
                    return Err(self.bad(written, key, fault, cure));
                }
                taken.push(address);
            }
            let known = networks.iter().position(|known| known.name == network.name);
            match known.map(|at| (at, lines[at])) {
                None => {
                    networks.push(network);
                    lines.push(Some(line));
                }
                Some((at, None)) => {
                    networks[at] = network;
                    lines[at] = Some(line);
                }
                Some((_, Some(first))) => {
                    return Err(self.bad(
                        written,
                        "name",
                        format!(
                            "the network of line {first} is called \"{}\" too",
                            network.name
                        ),
                        "give every network its own name",
                    ));
                }
            }
            let most = usize::from(limits.max_networks);
            if networks.len() > most {
                return Err(self.bad(
                    written,
                    "network",
                    format!("more than {most} networks, \"{LOCAL_NETWORK}\" among them"),
                    "raise max_networks in [limits]",
                ));
            }
        }
        Ok(networks)
    }

    fn network(&self, whole: &Spanned<RawNetwork>) -> Result<NetworkSettings, ConfigError> {
        let raw = whole.get_ref();
        let Some(name) = &raw.name else {
            let cure = "every [[network]] needs a name = \"...\"; \"local\" is that of [listen]";
            return Err(self.bad(whole, "name", "is missing", cure));
        };
        let plain = NetworkSettings::of(&self.name("name", name)?);
        Ok(NetworkSettings {
            inbound_groups: self
                .group_names("inbound_groups", &raw.inbound_groups)?
                .unwrap_or(plain.inbound_groups),
            outbound_groups: self
                .group_names("outbound_groups", &raw.outbound_groups)?
                .unwrap_or(plain.outbound_groups),
            clients_tcp: self.single("clients_tcp", &raw.clients_tcp, CLIENTS_TCP_PORT, None)?,
            clients_tls: self.single("clients_tls", &raw.clients_tls, CLIENTS_TLS_PORT, None)?,
            incoming: raw.incoming.unwrap_or(true),
            outgoing: raw.outgoing.unwrap_or(true),
            name: plain.name,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::Config;
    use super::{LOCAL_NETWORK, NetworkSettings};

    fn parse(text: &str) -> Result<Config, String> {
        Config::parse(text, Path::new("/etc/tombolo")).map_err(|error| error.to_string())
    }

    #[test]
    fn without_any_there_is_the_one_of_the_listeners() {
        let config = parse("").unwrap();
        assert_eq!(config.networks, [NetworkSettings::of(LOCAL_NETWORK)]);
        assert_eq!(config.network_number("local"), Some(0));
        assert_eq!(config.network_number("range"), None);
    }

    #[test]
    fn the_one_of_the_listeners_stays_the_first_and_can_be_set() {
        let text = "[[network]]\nname = \"range\"\nclients_tcp = \"127.0.0.1:9087\"\noutgoing = false\n\
                    [[network]]\nname = \"local\"\ninbound_groups = [\"Blue\"]\noutbound_groups = []\n";
        let networks = parse(text).unwrap().networks;
        assert_eq!(networks[0].inbound_groups, ["Blue"]);
        assert!(networks[0].outbound_groups.is_empty() && networks[0].clients_tcp.is_none());
        assert_eq!(networks[1].name, "range");
        assert_eq!(networks[1].clients_tcp, "127.0.0.1:9087".parse().ok());
        assert!(networks[1].incoming && !networks[1].outgoing);
        assert_eq!(networks[1].outbound_groups, ["__ANON__"]);
    }

    #[test]
    fn each_fault_names_line_key_and_cure() {
        for (text, words) in [
            ("[[network]]\n", ":1: `name`: is missing; every [[network]]"),
            (
                "[[network]]\nname = \"a\"\n[[network]]\nname = \"a\"\n",
                ":3: `name`: the network of line 1 is called \"a\" too",
            ),
            (
                "[[network]]\nname = \"a\"\nclients_tls = \"0.0.0.0:8089\"\n",
                "0.0.0.0:8089 is the address of another listener too",
            ),
            (
                "[[network]]\nname = \"a\"\nclients_tcp = \"10.0.0.1:1\"\nclients_tls = \"10.0.0.1:1\"\n",
                "another listener",
            ),
            (
                "[limits]\nmax_networks = 1\n[[network]]\nname = \"a\"\n",
                ":3: `network`: more than 1 networks, \"local\" among them; raise max_networks",
            ),
            (
                "[[network]]\nname = \"a\"\noutbound_groups = [\"\\u0007\"]\n",
                "holds a control character",
            ),
            (
                "[[network]]\nname = \"a\"\ngroups = []\n",
                ":3: unknown key `groups` in [[network]]",
            ),
            (
                "[[network]]\nname = \"a\"\nincoming = 1\n",
                "write true or false",
            ),
            (
                "network = 5\n",
                "begin each network with a line [[network]]",
            ),
        ] {
            let fault = parse(text).unwrap_err();
            assert!(fault.contains(words), "{text}: {fault}");
        }
    }
}

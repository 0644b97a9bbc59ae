//! `[[network]]`: local networks, which one box keeps apart or joins as if each had a box of its own; and the groups that
//! networks and peers name together.

use std::net::SocketAddr;

use toml::Spanned;

use super::error::ConfigError;
use super::limits::Limits;
use super::network::{LOCAL_NETWORK, NetworkSettings};
use super::raw::RawNetwork;
use super::reader::Reader;
use super::settings::{CLIENTS_TCP_PORT, CLIENTS_TLS_PORT, Config, Listen};

impl Config {
    /// Every group that is named, each once, in the order of the table: TAK's default first.
    pub fn group_names(&self) -> Vec<&str> {
        let networks = self.networks.iter().flat_map(|network| {
            let said = network.inbound_groups.iter();
            said.chain(&network.outbound_groups)
        });
        let peers = self
            .peers
            .iter()
            .map(|peer| &peer.groups)
            .flat_map(|groups| {
                let lists = [&groups.inbound, &groups.outbound];
                let mapped = groups.inbound_mapping.iter().map(|(_, ours)| ours);
                let limited = groups.hop_limits.iter().map(|(name, _)| name);
                (lists.into_iter().flatten().flatten())
                    .chain(mapped)
                    .chain(limited)
            });
        let mut names = vec!["__ANON__"];
        for name in networks.chain(peers) {
            if !names.contains(&name.as_str()) {
                names.push(name);
            }
        }
        names
    }

    /// The number of the network of that name.
    pub fn network_number(&self, name: &str) -> Option<u8> {
        let known = |network: &NetworkSettings| network.name == name;
        u8::try_from(self.networks.iter().position(known)?).ok()
    }
}

impl Reader<'_> {
    /// All groups that are named together: as many as the box has places for.
    pub(super) fn group_places(&self, config: Config) -> Result<Config, ConfigError> {
        let most = usize::from(config.limits.max_groups);
        let named = config.group_names();
        let Some(beyond) = named.get(most) else {
            return Ok(config);
        };
        let at = self.text.find(&format!("{beyond:?}")).unwrap_or(0);
        Err(ConfigError::BadValue {
            place: self.place(at),
            key: "max_groups",
            fault: format!(
                "{} groups are named, and {most} can be told apart; {beyond:?} is the first beyond",
                named.len()
            ),
            cure: "raise max_groups in [limits], at most 48, or name fewer groups".into(),
        })
    }

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
    use super::super::network::{LOCAL_NETWORK, NetworkSettings};

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

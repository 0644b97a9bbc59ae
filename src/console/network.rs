//! How the box gets its addresses: as asked in the first setup, and as systemd-networkd reads it.

use core::net::IpAddr;
use std::fmt::Write;

use serde::{Deserialize, Serialize};

/// Most name servers.
const MOST_SERVERS: usize = 4;

/// How the wired network comes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Network {
    /// From the network.
    Dhcp(bool),
    /// Fixed.
    Static {
        /// Ours, with the length of the prefix: `10.0.0.2/24`.
        address: String,
        /// The router.
        gateway: Option<String>,
        /// Name servers.
        dns: Vec<String>,
    },
}

impl Network {
    /// Reads `dhcp`, or `ADDRESS/PREFIX [GATEWAY [DNS ...]]`.
    ///
    /// # Errors
    /// What is wrong with it and what to write.
    pub fn read(text: &str) -> Result<Self, String> {
        let words: Vec<&str> = text
            .split([' ', ','])
            .filter(|word| !word.is_empty())
            .collect();
        match words.as_slice() {
            [word] if word.eq_ignore_ascii_case("dhcp") => Ok(Self::Dhcp(true)),
            [] => Err("write dhcp, or ADDRESS/PREFIX GATEWAY DNS".to_owned()),
            [address, rest @ ..] => {
                let network = Self::Static {
                    address: (*address).to_owned(),
                    gateway: rest.first().map(|&word| word.to_owned()),
                    dns: rest.iter().skip(1).map(|&word| word.to_owned()).collect(),
                };
                network.check().map(|()| network)
            }
        }
    }

    /// Whether it can be used; what is read from a file may say anything.
    ///
    /// # Errors
    /// What is wrong with it and what to write.
    pub fn check(&self) -> Result<(), String> {
        let Self::Static {
            address,
            gateway,
            dns,
        } = self
        else {
            return Ok(());
        };
        let ip = prefixed(address).ok_or_else(|| {
            format!("{address}: no address with the length of its prefix; write it as 10.0.0.2/24")
        })?;
        if let Some(gateway) = gateway {
            let router: IpAddr = gateway
                .parse()
                .map_err(|_| format!("{gateway}: no address of a gateway; write it as 10.0.0.1"))?;
            if router.is_ipv4() != ip.is_ipv4() || router == ip {
                return Err(format!("{gateway}: cannot be the gateway of {address}"));
            }
        }
        if dns.len() > MOST_SERVERS {
            return Err(format!("at most {MOST_SERVERS} name servers"));
        }
        match dns.iter().find(|server| server.parse::<IpAddr>().is_err()) {
            Some(server) => Err(format!(
                "{server}: no address of a name server; write it as 10.0.0.1"
            )),
            None => Ok(()),
        }
    }

    /// The text of a file that systemd-networkd reads, for every wired interface.
    pub fn unit(&self) -> String {
        let mut text = String::from(
            "# Written by the first setup of tombolo's console; `setup` there writes it anew.\n\
             [Match]\nType=ether\n\n[Network]\n",
        );
        // Writing to a String cannot fail.
        let _ = match self {
            Self::Dhcp(_) => writeln!(text, "DHCP=yes"),
            Self::Static {
                address,
                gateway,
                dns,
            } => {
                let _ = writeln!(text, "Address={address}");
                if let Some(gateway) = gateway {
                    let _ = writeln!(text, "Gateway={gateway}");
                }
                dns.iter()
                    .try_for_each(|server| writeln!(text, "DNS={server}"))
            }
        };
        text
    }

    /// In words.
    pub fn words(&self) -> String {
        match self {
            Self::Dhcp(_) => "dhcp".to_owned(),
            Self::Static {
                address,
                gateway,
                dns,
            } => {
                let gateway = gateway
                    .as_deref()
                    .map_or(String::new(), |it| format!(" gateway {it}"));
                let dns = match dns.is_empty() {
                    true => String::new(),
                    false => format!(" dns {}", dns.join(" ")),
                };
                format!("{address}{gateway}{dns}")
            }
        }
    }
}

fn prefixed(text: &str) -> Option<IpAddr> {
    let (address, length) = text.split_once('/')?;
    let address: IpAddr = address.parse().ok()?;
    let most = if address.is_ipv4() { 32 } else { 128 };
    let length: u8 = length.parse().ok()?;
    let fits = (1..=most).contains(&length) && !address.is_unspecified() && !address.is_multicast();
    (fits && !address.is_loopback()).then_some(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_is_read_and_written() {
        assert_eq!(Network::read(" DHCP "), Ok(Network::Dhcp(true)));
        let network = Network::read("10.0.0.2/24 10.0.0.1 10.0.0.1, 9.9.9.9").unwrap();
        let unit = network.unit();
        for line in [
            "Type=ether",
            "Address=10.0.0.2/24",
            "Gateway=10.0.0.1",
            "DNS=9.9.9.9",
        ] {
            assert!(unit.lines().any(|there| there == line), "{unit}");
        }
        assert_eq!(
            network.words(),
            "10.0.0.2/24 gateway 10.0.0.1 dns 10.0.0.1 9.9.9.9"
        );
        assert!(Network::read("fd00::2/64 fd00::1").is_ok());
        let json = serde_json::to_string(&network).unwrap();
        assert_eq!(serde_json::from_str::<Network>(&json).unwrap(), network);
    }

    #[test]
    fn what_is_no_network_is_refused_in_words() {
        for text in [
            "",
            "dhcp please",
            "10.0.0.2",
            "10.0.0.2/0",
            "10.0.0.2/33",
            "127.0.0.1/8",
            "10.0.0.2/24 router",
            "10.0.0.2/24 fd00::1",
            "10.0.0.2/24 10.0.0.2",
            "10.0.0.2/24 10.0.0.1 dns",
            "10.0.0.2/24 10.0.0.1 1.1.1.1 1.1.1.1 1.1.1.1 1.1.1.1 1.1.1.1",
            "10.0.0.2/24\nDHCP=yes",
        ] {
            assert!(Network::read(text).is_err(), "{text}");
        }
    }
}

//! `[[mesh]]`: multicast groups on an interface.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddrV4};

use serde::Deserialize;
use toml::Spanned;

use super::error::ConfigError;
use super::filter::{Filters, RawFilters};
use super::limits::Limits;
use super::network::NetworkSettings;
use super::reader::Reader;
use super::uplinks::is_interface;

/// Where situational awareness is said (protocol reference 6.3).
const SA: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(239, 2, 3, 1), 6969);
/// Where chat is said.
const CHAT: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(224, 10, 10, 1), 17012);

const TTL_RANGE: std::ops::RangeInclusive<u32> = 1..=255;

pub(super) const MESH_KEYS: &[&str] = &[
    "name",
    "network",
    "interface",
    "sa",
    "chat",
    "ttl",
    "form",
    "incoming",
    "outgoing",
    "data_packages_in",
    "data_packages_out",
    "filter",
];

/// The groups of one mesh on one interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mesh {
    /// Unique name, 1 to 64 characters.
    pub name: String,
    /// Name of the local network it is in; none: the one that `[listen]`'s clients are in.
    pub network: Option<String>,
    /// The network interface, such as `eth0`. It need not be there yet.
    pub interface: String,
    /// Multicast group and port of everything but chat.
    pub sa: SocketAddrV4,
    /// Multicast group and port of chat; may be the same.
    pub chat: SocketAddrV4,
    /// Routers that a datagram may pass, and one more, 1 to 255.
    pub ttl: u8,
    /// How what we say is written. Both forms are understood in any case.
    pub form: MeshForm,
    /// Take what is said there.
    pub incoming: bool,
    /// Say there what we have. Without it the box sends nothing at all, not even that it is there.
    pub outgoing: bool,
    /// Take announcements of data packages and files from there.
    pub data_packages_in: bool,
    /// Say those of ours there.
    pub data_packages_out: bool,
    /// What may cross, each way.
    pub filters: Filters,
}

/// How an event is written in a datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MeshForm {
    /// CoT XML, which every program reads.
    #[default]
    Xml,
    /// TAK protocol v1: a third of the length, and read by ATAK, WinTAK and iTAK of the last years.
    Protobuf,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawMesh {
    name: Option<Spanned<String>>,
    network: Option<Spanned<String>>,
    interface: Option<Spanned<String>>,
    sa: Option<Spanned<String>>,
    chat: Option<Spanned<String>>,
    ttl: Option<Spanned<i64>>,
    form: Option<Spanned<String>>,
    incoming: Option<bool>,
    outgoing: Option<bool>,
    data_packages_in: Option<bool>,
    data_packages_out: Option<bool>,
    pub(super) filter: Option<Spanned<RawFilters>>,
}

impl Reader<'_> {
    pub(super) fn meshes(
        &self,
        raw: &[Spanned<RawMesh>],
        networks: &[NetworkSettings],
        limits: &Limits,
    ) -> Result<Vec<Mesh>, ConfigError> {
        let most = usize::from(limits.max_meshes);
        if let Some(beyond) = raw.get(most) {
            let fault = format!("more than {most} meshes");
            let cure = "raise max_meshes in [limits] (and memory_mib if the box then says so)";
            return Err(self.bad(beyond, "mesh", fault, cure));
        }
        let mut names = HashMap::new();
        let mut groups = HashMap::new();
        let mut meshes = Vec::with_capacity(raw.len());
        for written in raw {
            let mesh = self.mesh(written, networks)?;
            let line = self.place(written.span().start).line;
            if let Some(first) = names.insert(mesh.name.clone(), line) {
                let fault = format!("the mesh of line {first} is called \"{}\" too", mesh.name);
                return Err(self.bad(written, "name", fault, "give every mesh its own name"));
            }
            let group = (mesh.interface.clone(), mesh.sa);
            if let Some(first) = groups.insert(group, line) {
                let fault = format!(
                    "the mesh of line {first} is on {} at {} already",
                    mesh.interface, mesh.sa
                );
                return Err(self.bad(written, "sa", fault, "leave one of the two out"));
            }
            meshes.push(mesh);
        }
        let filters = raw.iter().zip(&meshes);
        self.filter_bound(
            filters.map(|(raw, mesh)| (raw.get_ref().filter.as_ref(), &mesh.filters)),
            limits,
        )?;
        Ok(meshes)
    }

    fn mesh(
        &self,
        whole: &Spanned<RawMesh>,
        networks: &[NetworkSettings],
    ) -> Result<Mesh, ConfigError> {
        let raw = whole.get_ref();
        let Some(name) = &raw.name else {
            let cure = "every [[mesh]] needs a name = \"...\"";
            return Err(self.bad(whole, "name", "is missing", cure));
        };
        let cure = "write the name of a network interface as `ip link` prints it, such as \"eth0\"";
        let Some(interface) = &raw.interface else {
            return Err(self.bad(whole, "interface", "is missing", cure));
        };
        if !is_interface(interface.get_ref()) {
            let fault = format!("{:?} is no name of an interface", interface.get_ref());
            return Err(self.bad(interface, "interface", fault, cure));
        }
        let form = match &raw.form {
            None => MeshForm::default(),
            Some(form) => match form.get_ref().as_str() {
                "xml" => MeshForm::Xml,
                "protobuf" => MeshForm::Protobuf,
                other => {
                    let fault = format!("{other:?} is no form");
                    return Err(self.bad(form, "form", fault, "write \"xml\" or \"protobuf\""));
                }
            },
        };
        let ttl = match &raw.ttl {
            None => 1,
            Some(ttl) => self.uplink_number("ttl", ttl, TTL_RANGE)? as u8,
        };
        Ok(Mesh {
            name: self.name("name", name)?,
            network: match &raw.network {
                Some(network) => Some(self.network_named(network, networks)?),
                None => None,
            },
            interface: interface.get_ref().clone(),
            sa: self.group("sa", &raw.sa, SA)?,
            chat: self.group("chat", &raw.chat, CHAT)?,
            ttl,
            form,
            incoming: raw.incoming.unwrap_or(true),
            outgoing: raw.outgoing.unwrap_or(true),
            data_packages_in: raw.data_packages_in.unwrap_or(true),
            data_packages_out: raw.data_packages_out.unwrap_or(true),
            filters: self.filters(raw.filter.as_ref())?,
        })
    }

    fn network_named(
        &self,
        written: &Spanned<String>,
        networks: &[NetworkSettings],
    ) -> Result<String, ConfigError> {
        let name = written.get_ref();
        match networks.iter().any(|network| network.name == *name) {
            true => Ok(name.clone()),
            false => Err(self.bad(
                written,
                "network",
                format!("no [[network]] is called \"{name}\""),
                "name a network of this file, or leave it out: then it is in that of [listen]",
            )),
        }
    }

    fn group(
        &self,
        key: &'static str,
        written: &Option<Spanned<String>>,
        default: SocketAddrV4,
    ) -> Result<SocketAddrV4, ConfigError> {
        let Some(written) = written else {
            return Ok(default);
        };
        let text = written.get_ref();
        let group: Option<SocketAddrV4> = text.parse().ok();
        group
            .filter(|group| group.ip().is_multicast() && group.port() > 0)
            .ok_or_else(|| {
                let fault = format!("{text:?} is no multicast group with a port");
                let cure = format!("write group:port, such as \"{default}\"");
                self.bad(written, key, fault, cure)
            })
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::{Config, MeshForm};

    fn parse(text: &str) -> Result<Config, String> {
        Config::parse(text, Path::new("/etc/tombolo")).map_err(|error| error.to_string())
    }

    fn mesh(name: &str, interface: &str, rest: &str) -> String {
        format!("[[mesh]]\nname = \"{name}\"\ninterface = \"{interface}\"\n{rest}")
    }

    #[test]
    fn a_mesh_needs_a_name_and_an_interface_and_no_more() {
        let text = mesh("lan", "eth0", "")
            + &mesh(
                "radio",
                "wlan1",
                "sa = \"239.9.9.9:7000\"\nchat = \"239.9.9.9:7000\"\nttl = 8\nform = \"protobuf\"\noutgoing = false\nnetwork = \"local\"\nfilter = { block_types = [\"a-h\"] }\n",
            );
        let meshes = parse(&text).unwrap().meshes;
        assert_eq!(meshes[0].sa.to_string(), "239.2.3.1:6969");
        assert_eq!(meshes[0].chat.to_string(), "224.10.10.1:17012");
        assert_eq!((meshes[0].ttl, meshes[0].form), (1, MeshForm::Xml));
        assert!(meshes[0].incoming && meshes[0].outgoing);
        assert_eq!((meshes[1].ttl, meshes[1].form), (8, MeshForm::Protobuf));
        assert!(meshes[1].incoming && !meshes[1].outgoing);
        assert_eq!(meshes[1].sa, meshes[1].chat);
        assert!(meshes[0].filters.rules() == 0 && meshes[1].filters.rules() > 0);
    }

    #[test]
    fn what_is_wrong_is_said_with_its_cure() {
        let lan = mesh("lan", "eth0", "");
        for (text, part) in [
            (
                "[[mesh]]\ninterface = \"eth0\"\n".to_owned(),
                "`name`: is missing; every [[mesh]]",
            ),
            (
                "[[mesh]]\nname = \"lan\"\n".to_owned(),
                "`interface`: is missing; write the name",
            ),
            (
                mesh("lan", "a/b", ""),
                ":3: `interface`: \"a/b\" is no name",
            ),
            (
                lan.clone() + "sa = \"10.1.1.1:6969\"\n",
                ":4: `sa`: \"10.1.1.1:6969\" is no multicast group",
            ),
            (
                lan.clone() + "chat = \"224.10.10.1\"\n",
                "such as \"224.10.10.1:17012\"",
            ),
            (
                lan.clone() + "ttl = 0\n",
                "`ttl` = 0 is out of range; write 1 to 255",
            ),
            (
                lan.clone() + "form = \"json\"\n",
                "`form`: \"json\" is no form; write \"xml\" or",
            ),
            (
                lan.clone() + "iface = \"x\"\n",
                "unknown key `iface` in [[mesh]]",
            ),
            (
                lan.clone() + &lan,
                "the mesh of line 1 is called \"lan\" too",
            ),
            (
                lan.clone() + &mesh("other", "eth0", ""),
                "is on eth0 at 239.2.3.1:6969 already",
            ),
            (
                lan.clone() + &mesh("b", "eth1", "") + &mesh("c", "eth2", ""),
                "more than 2 meshes; raise max_meshes",
            ),
            (
                lan + "incoming = \"yes\"\n",
                "write true or false, without quotes",
            ),
        ] {
            let fault = parse(&text).unwrap_err();
            assert!(fault.contains(part), "{text}\n  gave: {fault}");
        }
    }
}

//! `tombolo export coreconfig`: what a TAK Server's administrator pastes into `CoreConfig.xml`.

use std::io::{self, Write};

use clap::{Args, Subcommand, ValueEnum};
use quick_xml::Writer;
use quick_xml::events::{BytesText, Event};

use super::cert::keytool_hint;
use super::local::{Local, LocalError, host_name};
use crate::config::{Peer, federation};
use crate::pki::certificate::Facts;
use crate::pki::package::file_stem;
use crate::pki::{Fingerprint, Own, store};

/// What can be exported.
#[derive(Debug, Clone, Subcommand)]
pub enum ExportArgs {
    /// The federation pieces of a TAK Server's CoreConfig.xml, with our address and fingerprints filled in
    Coreconfig(CoreconfigArgs),
    /// The registered peers as a federation.json, each CA inline
    Federation,
}

/// `export coreconfig`.
#[derive(Debug, Clone, Args)]
pub struct CoreconfigArgs {
    /// The registered peer whose administrator gets it; for one that we dial its own outgoing connection is left out
    pub peer: Option<String>,
    /// Where that server reaches this box; without it our host name
    #[arg(long, value_name = "HOST")]
    pub address: Option<String>,
    /// Which piece
    #[arg(long, value_enum, default_value_t = Snippet::All)]
    pub snippet: Snippet,
}

/// Which piece of the `<federation>` element.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Snippet {
    /// The connection towards us
    Outgoing,
    /// Our registration: certificate, CA and groups
    Federate,
    /// The whole element
    All,
}

/// Runs the command; the XML goes to `out`, hints to `notes`.
///
/// # Errors
/// What is wrong and the cure.
pub fn run(
    args: &ExportArgs,
    local: &Local<'_>,
    out: &mut dyn Write,
    notes: &mut dyn Write,
) -> Result<(), LocalError> {
    let args = match args {
        ExportArgs::Coreconfig(args) => args,
        ExportArgs::Federation => return federation_file(local, out),
    };
    let own = local.open()?;
    let we_dial = match &args.peer {
        Some(name) => peer_is_dialled(name, local)?,
        None => false,
    };
    let pieces = Pieces::of(&own, args, local, we_dial);
    let xml = pieces.write(args.snippet)?;
    out.write_all(&xml)?;
    writeln!(out)?;
    let stem = file_stem(local.node_name);
    writeln!(
        notes,
        "On the TAK Server: trust our CA (`tombolo cert export` writes {stem}-ca.pem), paste this into \
         /opt/tak/CoreConfig.xml, restart it.\n  {}",
        keytool_hint(&stem)
    )?;
    Ok(())
}

fn federation_file(local: &Local<'_>, out: &mut dyn Write) -> Result<(), LocalError> {
    let authorities = |peer: &Peer| store::pem(&peer.authorities);
    let text = federation::write(local.peers, authorities)
        .map_err(|(peer, fault)| LocalError::NotInFile(peer, fault))?;
    out.write_all(text.as_bytes())?;
    Ok(())
}

fn peer_is_dialled(name: &str, local: &Local<'_>) -> Result<bool, LocalError> {
    let known = || local.peers.iter().map(|peer| peer.name.clone()).collect();
    let peer = local.peers.iter().find(|peer| peer.name == name);
    peer.map(|peer| peer.address.is_some())
        .ok_or_else(|| LocalError::UnknownPeer(name.to_owned(), known()))
}

/// The values that go into the XML.
struct Pieces {
    display_name: String,
    address: String,
    port: String,
    federate: String,
    federate_name: String,
    authority: String,
    we_dial: bool,
}

type Xml = Writer<Vec<u8>>;

/// The group of every TAK user who was put in no other.
const EVERYBODY: &str = "__ANON__";

impl Pieces {
    fn of(own: &Own, args: &CoreconfigArgs, local: &Local<'_>, we_dial: bool) -> Self {
        let facts = Facts::read(&own.identity.chain[0]).ok();
        let name =
            |of: fn(&Facts) -> Option<String>| facts.as_ref().and_then(of).unwrap_or_default();
        let subject = name(|facts| facts.common_name.clone());
        let issuer = name(|facts| facts.issuer_common_name.clone());
        Self {
            // TAK's own check allows letters, digits, underscores and spaces (protocol reference 4.2).
            display_name: file_stem(local.node_name).replace('-', "_"),
            address: args.address.clone().unwrap_or_else(host_name),
            port: local.federation_port.to_string(),
            federate: own.identity.fingerprint().colons(),
            federate_name: format!("{subject}:{issuer}"),
            authority: Fingerprint::of(own.issuer()).colons(),
            we_dial,
        }
    }

    fn write(&self, snippet: Snippet) -> io::Result<Vec<u8>> {
        let mut writer = Writer::new_with_indent(Vec::new(), b' ', 2);
        match snippet {
            Snippet::Outgoing => self.dialling(&mut writer)?,
            Snippet::Federate => {
                comment(
                    &mut writer,
                    "federateCA goes after fileFilter, which the schema wants once",
                )?;
                self.federate(&mut writer)?;
                self.federate_authority(&mut writer)?;
            }
            Snippet::All => self.all(&mut writer)?,
        }
        Ok(writer.into_inner())
    }

    /// Children in the order that the schema wants (protocol reference 4.2).
    fn all(&self, writer: &mut Xml) -> io::Result<()> {
        writer
            .create_element("federation")
            .with_attributes([
                // Off by default.
                ("enableFederation", "true"),
                ("allowFederatedDelete", "false"),
            ])
            .write_inner_content(|writer| {
                comment(writer, "keep your own federation-server if you have one: keystores and passwords are yours")?;
                federation_server(writer)?;
                self.dialling(writer)?;
                self.federate(writer)?;
                writer.create_element("fileFilter").write_empty()?;
                self.federate_authority(writer)
            })?;
        Ok(())
    }

    /// Both ends dialling makes TAK Server switch its outgoing connection off for good (protocol reference 1.3).
    fn dialling(&self, writer: &mut Xml) -> io::Result<()> {
        if self.we_dial {
            return comment(
                writer,
                "only one end may dial, and we dial you: no federation-outgoing towards us, or TAK Server disables it \
                 as a duplicate",
            );
        }
        comment(
            writer,
            "only one end may dial: this one makes you dial us, so the peer's entry on our side must have no address, \
             or TAK Server disables the connection as a duplicate",
        )?;
        self.outgoing(writer)
    }

    fn outgoing(&self, writer: &mut Xml) -> io::Result<()> {
        writer
            .create_element("federation-outgoing")
            .with_attributes([
                ("displayName", self.display_name.as_str()),
                ("address", &self.address),
                ("port", &self.port),
                ("enabled", "true"),
                // Without it TAK Server speaks version 1.
                ("protocolVersion", "2"),
                ("reconnectInterval", "30"),
                ("unlimitedRetries", "true"),
            ])
            .write_empty()?;
        Ok(())
    }

    fn federate(&self, writer: &mut Xml) -> io::Result<()> {
        writer
            .create_element("federate")
            .with_attributes([
                ("id", self.federate.as_str()),
                ("name", &self.federate_name),
            ])
            .write_inner_content(groups)?;
        Ok(())
    }

    /// With it a renewed leaf of ours keeps its groups.
    fn federate_authority(&self, writer: &mut Xml) -> io::Result<()> {
        writer
            .create_element("federateCA")
            .with_attributes([("fingerprint", self.authority.as_str()), ("maxHops", "-1")])
            .write_inner_content(groups)?;
        Ok(())
    }
}

fn federation_server(writer: &mut Xml) -> io::Result<()> {
    writer
        .create_element("federation-server")
        .with_attributes([
            ("port", "9000"),
            ("v1enabled", "false"),
            ("v2port", "9001"),
            ("v2enabled", "true"),
        ])
        .write_inner_content(|writer| {
            writer
                .create_element("tls")
                .with_attributes([
                    ("keystore", "JKS"),
                    ("keystoreFile", "certs/files/takserver.jks"),
                    ("keystorePass", "atakatak"),
                    ("truststore", "JKS"),
                    ("truststoreFile", "certs/files/fed-truststore.jks"),
                    ("truststorePass", "atakatak"),
                    ("keymanager", "SunX509"),
                ])
                .write_empty()?;
            Ok(())
        })?;
    Ok(())
}

/// Without groups nothing flows, and nobody says so (protocol reference 7 item 23).
fn groups(writer: &mut Xml) -> io::Result<()> {
    for direction in ["inboundGroup", "outboundGroup"] {
        writer
            .create_element(direction)
            .write_text_content(BytesText::new(EVERYBODY))?;
    }
    Ok(())
}

fn comment(writer: &mut Xml, text: &'static str) -> io::Result<()> {
    writer.write_event(Event::Comment(BytesText::from_escaped(format!(" {text} "))))
}

#[cfg(test)]
mod tests;

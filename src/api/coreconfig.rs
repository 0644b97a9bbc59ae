//! What a TAK Server's administrator pastes into `CoreConfig.xml` to federate with us.

use std::io;

use quick_xml::Writer;
use quick_xml::events::{BytesText, Event};

use crate::config::Protocol;
use crate::pki::certificate::Facts;
use crate::pki::package::file_stem;
use crate::pki::{Fingerprint, Own};

/// Which piece of the `<federation>` element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Snippet {
    /// The connection towards us
    Outgoing,
    /// Our registration: certificate, CA and groups
    Federate,
    /// The whole element
    All,
}

impl Snippet {
    /// What each is called, in the order of [`Self::of_word`].
    pub const WORDS: [&'static str; 3] = ["outgoing", "federate", "all"];

    /// The one of that name, or all.
    pub fn of_word(word: &str) -> Self {
        match word {
            "outgoing" => Self::Outgoing,
            "federate" => Self::Federate,
            _ => Self::All,
        }
    }
}

/// How our CA gets into a TAK Server's truststore.
pub fn keytool_hint(stem: &str) -> String {
    format!(
        "keytool -importcert -trustcacerts -alias {stem} -file {stem}-ca.pem -keystore \
         /opt/tak/certs/files/fed-truststore.jks -storepass atakatak -noprompt"
    )
}

/// The values that go into the XML.
#[derive(Debug, Clone)]
pub struct Pieces {
    display_name: String,
    address: String,
    port: String,
    federate: String,
    federate_name: String,
    authority: String,
    we_dial: bool,
    protocol: Protocol,
}

type Xml = Writer<Vec<u8>>;

/// The group of every TAK user who was put in no other.
const EVERYBODY: &str = "__ANON__";

impl Pieces {
    /// Ours, at an address and port where the other server reaches us. `we_dial`: it does not have to.
    pub fn of(own: &Own, node_name: &str, address: String, port: u16, we_dial: bool) -> Self {
        let facts = Facts::read(&own.identity.chain[0]).ok();
        let name =
            |of: fn(&Facts) -> Option<String>| facts.as_ref().and_then(of).unwrap_or_default();
        let subject = name(|facts| facts.common_name.clone());
        let issuer = name(|facts| facts.issuer_common_name.clone());
        Self {
            // TAK's own check allows letters, digits, underscores and spaces (protocol reference 4.2).
            display_name: file_stem(node_name).replace('-', "_"),
            address,
            port: port.to_string(),
            federate: own.identity.fingerprint().colons(),
            federate_name: format!("{subject}:{issuer}"),
            authority: Fingerprint::of(own.issuer()).colons(),
            we_dial,
            protocol: Protocol::V2,
        }
    }

    /// For a server with which we speak that protocol.
    #[must_use]
    pub fn speaking(mut self, protocol: Protocol) -> Self {
        self.protocol = protocol;
        self
    }

    /// One piece, or all of it.
    ///
    /// # Errors
    /// None that a buffer in memory has.
    pub fn write(&self, snippet: Snippet) -> io::Result<Vec<u8>> {
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
                federation_server(writer, self.protocol)?;
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
                // Without it TAK Server speaks version 1, which is worth saying too.
                (
                    "protocolVersion",
                    match self.protocol {
                        Protocol::V2 => "2",
                        Protocol::V1 => "1",
                    },
                ),
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

/// With version 1 its own port, and TLS of both versions (protocol reference 4.3).
fn federation_server(writer: &mut Xml, protocol: Protocol) -> io::Result<()> {
    let speaks_v1 = protocol == Protocol::V1;
    writer
        .create_element("federation-server")
        .with_attributes([
            ("port", "9000"),
            ("v1enabled", if speaks_v1 { "true" } else { "false" }),
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
            if speaks_v1 {
                writer
                    .create_element("federation-port")
                    .with_attributes([("port", "9000"), ("tlsVersion", "TLSv1.2")])
                    .write_empty()?;
                for version in ["TLSv1.2", "TLSv1.3"] {
                    writer
                        .create_element("v1Tls")
                        .with_attribute(("tlsVersion", version))
                        .write_empty()?;
                }
            }
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

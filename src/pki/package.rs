//! The data package that sets up an ATAK, WinTAK or iTAK user: certificates, truststore and connection in one zip.

use std::fmt;
use std::io::{Cursor, Write};

use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesText, Event};
use rustls_pki_types::CertificateDer;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use super::issue::{IssueError, random};
use super::p12::{self, P12Error};
use super::{Fingerprint, Identity};

/// What goes into the package.
#[derive(Debug, Clone, Copy)]
pub struct Connection<'a> {
    /// The user: names the files.
    pub callsign: &'a str,
    /// Shown in the client's list of servers.
    pub server_name: &'a str,
    /// Host name or IPv4 address of our `clients_tls` listener as the user reaches it.
    pub host: &'a str,
    /// Its port.
    pub port: u16,
    /// The user's certificate and key.
    pub identity: &'a Identity,
    /// CAs that the client must trust.
    pub authorities: &'a [CertificateDer<'static>],
    /// Of both `.p12` files; written into the preferences, so that nobody has to type it.
    pub password: &'a str,
}

/// The package could not be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PackageError {
    /// A `.p12` could not be made.
    P12(P12Error),
    /// The archive or its XML could not be written.
    Archive,
}

impl fmt::Display for PackageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::P12(error) => error.fmt(f),
            Self::Archive => f.write_str("the package could not be written"),
        }
    }
}

impl std::error::Error for PackageError {}

impl From<P12Error> for PackageError {
    fn from(error: P12Error) -> Self {
        Self::P12(error)
    }
}

impl Connection<'_> {
    /// The zip file's bytes.
    ///
    /// # Errors
    /// When a part of it cannot be encoded.
    pub fn package(&self) -> Result<Vec<u8>, PackageError> {
        let user = format!("{}.p12", self.file_stem());
        let parts = [
            (
                "MANIFEST/manifest.xml".to_owned(),
                self.manifest(&user).map_err(archive)?,
            ),
            (
                "certs/config.pref".to_owned(),
                self.preferences(&user).map_err(archive)?,
            ),
            (
                "certs/truststore.p12".to_owned(),
                p12::truststore(self.authorities, self.password)?,
            ),
            (
                format!("certs/{user}"),
                p12::keystore(self.callsign, self.identity, self.password)?,
            ),
        ];
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
        for (name, bytes) in parts {
            zip.start_file(name, options).map_err(archive)?;
            zip.write_all(&bytes).map_err(archive)?;
        }
        Ok(zip.finish().map_err(archive)?.into_inner())
    }

    /// The callsign as a file name.
    pub fn file_stem(&self) -> String {
        match file_stem(self.callsign).as_str() {
            "truststore" => "truststore-user".to_owned(),
            stem => stem.to_owned(),
        }
    }

    fn manifest(&self, user: &str) -> std::io::Result<Vec<u8>> {
        // The same user's next package replaces this one instead of lying beside it.
        let Fingerprint(id) =
            Fingerprint::of(format!("{}\0{}", self.server_name, self.callsign).as_bytes());
        let hex: String = id[..16].iter().map(|byte| format!("{byte:02x}")).collect();
        let uid = format!(
            "{}-{}-{}-{}-{}",
            &hex[..8],
            &hex[8..12],
            &hex[12..16],
            &hex[16..20],
            &hex[20..]
        );
        let name = format!("{} for {}", self.server_name, self.callsign);
        let mut writer = Writer::new_with_indent(Vec::new(), b' ', 2);
        writer
            .create_element("MissionPackageManifest")
            .with_attribute(("version", "2"))
            .write_inner_content(|writer| {
                writer
                    .create_element("Configuration")
                    .write_inner_content(|writer| {
                        // Deleted after import: it holds a key and its password.
                        for (name, value) in [
                            ("uid", uid.as_str()),
                            ("name", &name),
                            ("onReceiveDelete", "true"),
                        ] {
                            writer
                                .create_element("Parameter")
                                .with_attributes([("name", name), ("value", value)])
                                .write_empty()?;
                        }
                        Ok(())
                    })?;
                writer
                    .create_element("Contents")
                    .write_inner_content(|writer| {
                        for file in ["config.pref", "truststore.p12", user] {
                            let entry = format!("certs/{file}");
                            writer
                                .create_element("Content")
                                .with_attributes([
                                    ("ignore", "false"),
                                    ("zipEntry", entry.as_str()),
                                ])
                                .write_empty()?;
                        }
                        Ok(())
                    })?;
                Ok(())
            })?;
        Ok(writer.into_inner())
    }

    fn preferences(&self, user: &str) -> std::io::Result<Vec<u8>> {
        let connect = format!("{}:{}:ssl", self.host, self.port);
        // ATAK sorts what it imports: every .p12 ends in its own `cert` folder, whatever the folder in the zip.
        let location = format!("cert/{user}");
        let streams = [
            ("count", "Integer", "1"),
            ("description0", "String", self.server_name),
            ("enabled0", "Boolean", "true"),
            ("connectString0", "String", connect.as_str()),
        ];
        let application = [
            ("displayServerConnectionWidget", "Boolean", "true"),
            ("caLocation", "String", "cert/truststore.p12"),
            ("caPassword", "String", self.password),
            ("certificateLocation", "String", location.as_str()),
            ("clientPassword", "String", self.password),
        ];
        let mut writer = Writer::new_with_indent(Vec::new(), b' ', 2);
        writer.write_event(Event::Decl(BytesDecl::new(
            "1.0",
            Some("UTF-8"),
            Some("yes"),
        )))?;
        writer
            .create_element("preferences")
            .write_inner_content(|writer| {
                preference(writer, "cot_streams", &streams)?;
                preference(writer, "com.atakmap.app_preferences", &application)
            })?;
        Ok(writer.into_inner())
    }
}

/// A name as part of a file name: letters, digits, `-` and `_` stay, anything else becomes `_`.
pub fn file_stem(name: &str) -> String {
    let stem: String = name
        .trim()
        .chars()
        .map(|letter| {
            if letter.is_ascii_alphanumeric() || letter == '-' {
                letter
            } else {
                '_'
            }
        })
        .collect();
    if stem.is_empty() {
        "unnamed".to_owned()
    } else {
        stem
    }
}

/// A password of 20 letters and digits that are not mistaken for each other (100 bits).
///
/// # Errors
/// When the system gives no randomness.
pub fn random_password() -> Result<String, IssueError> {
    const LETTERS: &[u8; 32] = b"23456789ABCDEFGHJKLMNPQRSTUVWXYZ";
    let bytes: [u8; 20] = random()?;
    Ok(bytes
        .iter()
        .map(|byte| char::from(LETTERS[usize::from(byte % 32)]))
        .collect())
}

fn preference(
    writer: &mut Writer<Vec<u8>>,
    name: &str,
    entries: &[(&str, &str, &str)],
) -> std::io::Result<()> {
    writer
        .create_element("preference")
        .with_attributes([("version", "1"), ("name", name)])
        .write_inner_content(|writer| {
            for (key, class, value) in entries {
                let class = format!("class java.lang.{class}");
                writer
                    .create_element("entry")
                    .with_attributes([("key", *key), ("class", class.as_str())])
                    .write_text_content(BytesText::new(value))?;
            }
            Ok(())
        })?;
    Ok(())
}

fn archive<E>(_: E) -> PackageError {
    PackageError::Archive
}

#[cfg(test)]
mod tests;

//! What `[[peer]]` says of data packages beside the two switches: size, extensions, and the port of its HTTPS service.

use toml::Spanned;

use super::error::ConfigError;
use super::raw::RawPeer;
use super::reader::Reader;

/// `package_limit_mib`.
const LIMIT_RANGE: std::ops::RangeInclusive<u32> = 1..=4096;
/// `package_port`.
const PORT_RANGE: std::ops::RangeInclusive<u32> = 1..=65_535;
/// Where a TAK Server's federates upload (protocol reference 3.1).
pub const PACKAGE_PORT: u16 = 8444;
/// Extensions of one peer, and the longest one, bytes.
const MOST_EXTENSIONS: usize = 32;
const LONGEST_EXTENSION: usize = 16;

/// Data packages of one peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerPackages {
    /// Largest package that crosses either way, MiB, 1 to 4096; none = what the store takes.
    pub limit_mib: Option<u32>,
    /// Extensions of files that do not cross, alone or in an archive: lower case, without a dot.
    pub block_extensions: Vec<String>,
    /// Port of its HTTPS service for federates; of federation v1.
    pub port: u16,
    /// Missions and data feeds go between it and other federates.
    pub relay_missions: bool,
}

impl Default for PeerPackages {
    fn default() -> Self {
        Self {
            limit_mib: None,
            block_extensions: Vec::new(),
            port: PACKAGE_PORT,
            relay_missions: true,
        }
    }
}

impl Reader<'_> {
    pub(super) fn peer_packages(&self, raw: &RawPeer) -> Result<PeerPackages, ConfigError> {
        let number = |key: &'static str, written: &Option<Spanned<i64>>, range| match written {
            Some(written) => self.uplink_number(key, written, range).map(Some),
            None => Ok(None),
        };
        let port = number("package_port", &raw.package_port, PORT_RANGE)?;
        Ok(PeerPackages {
            limit_mib: number("package_limit_mib", &raw.package_limit_mib, LIMIT_RANGE)?,
            block_extensions: self.extensions(&raw.package_block_extensions)?,
            port: (port.and_then(|port| u16::try_from(port).ok())).unwrap_or(PACKAGE_PORT),
            relay_missions: raw.relay_missions.unwrap_or(true),
        })
    }

    fn extensions(
        &self,
        written: &Option<Spanned<Vec<String>>>,
    ) -> Result<Vec<String>, ConfigError> {
        let Some(written) = written else {
            return Ok(Vec::new());
        };
        let bad =
            |fault: String, cure: &str| self.bad(written, "package_block_extensions", fault, cure);
        if written.get_ref().len() > MOST_EXTENSIONS {
            let fault = format!("has {} entries", written.get_ref().len());
            return Err(bad(fault, "write 32 at most"));
        }
        let one = |text: &String| {
            let plain = text.trim().trim_start_matches('.').to_lowercase();
            let good = !plain.is_empty()
                && plain.len() <= LONGEST_EXTENSION
                && !plain.contains(|letter: char| letter.is_control() || "/\\* ".contains(letter));
            match good {
                true => Ok(plain),
                false => Err(bad(
                    format!("\"{text}\" is no extension"),
                    "write the end of a file's name, such as \"pref\"; 16 letters at most",
                )),
            }
        };
        written.get_ref().iter().map(one).collect()
    }
}

//! `[clock]`: where the time of day comes from, beside the kernel's clock.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Visitor};
use toml::Spanned;

use super::address::address_with;
use super::error::ConfigError;
use super::reader::Reader;

/// Port of gpsd.
const GPSD_PORT: u16 = 2947;

/// Sources of time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClockSources {
    /// `host:port` of a gpsd; none = off. Default 127.0.0.1:2947, where it does no harm if there is none.
    pub gpsd: Option<String>,
    /// The peers' clocks count when nothing better is there.
    pub peers: bool,
}

impl Default for ClockSources {
    fn default() -> Self {
        Self {
            gpsd: Some(format!("127.0.0.1:{GPSD_PORT}")),
            peers: true,
        }
    }
}

/// `[clock]` as written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawClock {
    gpsd: Option<Spanned<Place>>,
    peers: Option<bool>,
}

/// Its keys.
pub(super) const CLOCK_KEYS: &[&str] = &["gpsd", "peers"];

/// An address; `""` and `false` are none.
#[derive(Debug)]
struct Place(String);

impl<'de> Deserialize<'de> for Place {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PlaceVisitor)
    }
}

struct PlaceVisitor;

impl Visitor<'_> for PlaceVisitor {
    type Value = Place;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("host:port in quotes such as \"127.0.0.1:2947\", or \"\" for off")
    }

    fn visit_str<E>(self, text: &str) -> Result<Place, E> {
        Ok(Place(text.trim().to_owned()))
    }

    fn visit_bool<E: serde::de::Error>(self, is_on: bool) -> Result<Place, E> {
        match is_on {
            false => Ok(Place(String::new())),
            true => Err(E::invalid_type(serde::de::Unexpected::Bool(true), &self)),
        }
    }
}

impl Reader<'_> {
    pub(super) fn clock(&self, raw: &RawClock) -> Result<ClockSources, ConfigError> {
        let default = ClockSources::default();
        let gpsd = match &raw.gpsd {
            None => default.gpsd,
            Some(place) if place.get_ref().0.is_empty() => None,
            Some(place) => {
                let address = address_with(&place.get_ref().0, GPSD_PORT).map_err(|fault| {
                    let cure = "write host:port such as \"127.0.0.1:2947\", or \"\" for off";
                    let fault = format!("{:?} {fault}", place.get_ref().0);
                    self.bad(place, "gpsd", fault, cure)
                })?;
                Some(address)
            }
        };
        Ok(ClockSources {
            gpsd,
            peers: raw.peers.unwrap_or(default.peers),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use std::path::Path;

    fn read(text: &str) -> Result<ClockSources, String> {
        Config::parse(&format!("[clock]\n{text}\n"), Path::new(""))
            .map(|config| config.clock)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn gpsd_has_an_address_or_is_off() {
        for (written, expected) in [
            ("", Some("127.0.0.1:2947")),
            ("gpsd = \"10.0.0.7\"", Some("10.0.0.7:2947")),
            ("gpsd = \"[::1]:3000\"", Some("[::1]:3000")),
            ("gpsd = \"\"", None),
            ("gpsd = false", None),
        ] {
            assert_eq!(
                read(written).unwrap().gpsd.as_deref(),
                expected,
                "{written}"
            );
        }
        assert!(read("").unwrap().peers);
        assert!(!read("peers = false").unwrap().peers);
        for (wrong, said) in [
            ("gpsd = \"a b:1\"", "gpsd"),
            ("gpsd = \"host:0\"", "port of 1 to 65535"),
            ("gpsd = true", "for off"),
            ("peers = 3", "true or false"),
            ("gsd = \"\"", "gpsd"),
        ] {
            let error = read(wrong).unwrap_err();
            assert!(error.contains(said) && error.contains(":2"), "{error}");
        }
    }
}

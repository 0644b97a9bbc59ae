//! `[packages]` as it is written.

use std::fmt;
use std::net::SocketAddr;

use serde::Deserialize;
use serde::de::{Deserializer, Visitor};
use toml::Spanned;

use super::{MOST_PACKAGES, Packages};
use crate::config::error::ConfigError;
use crate::config::reader::Reader;
use crate::config::settings::Listen;

/// `[packages]` as written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct RawPackages {
    enabled: Option<bool>,
    store_mib: Option<Spanned<i64>>,
    max_package_mib: Option<Spanned<i64>>,
    max_packages: Option<Spanned<i64>>,
    max_age_days: Option<Spanned<i64>>,
    free_space_mib: Option<Spanned<i64>>,
    federation_port: Option<Spanned<Port>>,
}

/// Its keys.
pub(in crate::config) const PACKAGES_KEYS: &[&str] = &[
    "enabled",
    "store_mib",
    "max_package_mib",
    "max_packages",
    "max_age_days",
    "free_space_mib",
    "federation_port",
];

/// A port; `false` is none.
#[derive(Debug)]
struct Port(Option<i64>);

impl<'de> Deserialize<'de> for Port {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PortVisitor)
    }
}

struct PortVisitor;

impl Visitor<'_> for PortVisitor {
    type Value = Port;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a port without quotes such as 8444, or false for off")
    }

    fn visit_i64<E>(self, port: i64) -> Result<Port, E> {
        Ok(Port(Some(port)))
    }

    fn visit_bool<E: serde::de::Error>(self, is_on: bool) -> Result<Port, E> {
        match is_on {
            false => Ok(Port(None)),
            true => Err(E::invalid_type(serde::de::Unexpected::Bool(true), &self)),
        }
    }
}

impl Reader<'_> {
    pub(in crate::config) fn packages(
        &self,
        raw: &RawPackages,
        listen: &Listen,
    ) -> Result<Packages, ConfigError> {
        let default = Packages::default();
        let number = |key, written: &Option<Spanned<i64>>, default, least, most| match written {
            None => Ok(default),
            Some(written) => u32::try_from(*written.get_ref())
                .ok()
                .filter(|value| (least..=most).contains(value))
                .ok_or_else(|| self.outside(written, *written.get_ref(), key, least, most)),
        };
        let packages =
            Packages {
                enabled: raw.enabled.unwrap_or(default.enabled),
                store_mib: number("store_mib", &raw.store_mib, default.store_mib, 1, 1_048_576)?,
                max_package_mib: number(
                    "max_package_mib",
                    &raw.max_package_mib,
                    default.max_package_mib,
                    1,
                    2048,
                )?,
                max_packages: number(
                    "max_packages",
                    &raw.max_packages,
                    default.max_packages,
                    1,
                    MOST_PACKAGES,
                )?,
                max_age_days: number(
                    "max_age_days",
                    &raw.max_age_days,
                    default.max_age_days,
                    1,
                    3650,
                )?,
                free_space_mib: number(
                    "free_space_mib",
                    &raw.free_space_mib,
                    default.free_space_mib,
                    0,
                    1_048_576,
                )?,
                federation_port: match &raw.federation_port {
                    None => default.federation_port,
                    Some(written) => match written.get_ref().0 {
                        None => None,
                        Some(port) => Some(u16::try_from(port).map_err(|_| {
                            self.outside(written, port, "federation_port", 0, 65535)
                        })?),
                    },
                },
            };
        if let (Some(address), Some(written)) = (
            packages.federation_address(listen.api),
            &raw.federation_port,
        ) && address.port() != 0
            && let Some(key) = taken(listen, address)
        {
            return Err(self.bad(
                written,
                "federation_port",
                format!("{address} is the address of `{key}` too"),
                "give each listener its own port",
            ));
        }
        Ok(packages)
    }

    fn outside<T>(
        &self,
        written: &Spanned<T>,
        value: i64,
        key: &'static str,
        least: u32,
        most: u32,
    ) -> ConfigError {
        let fault = format!("{value} is out of range");
        self.bad(written, key, fault, format!("give {least} to {most}"))
    }
}

/// Which listener has an address already.
fn taken(listen: &Listen, address: SocketAddr) -> Option<&'static str> {
    let others = [
        ("clients_tcp", listen.clients_tcp),
        ("clients_tls", listen.clients_tls),
        ("api", listen.api),
        ("freetakserver", listen.freetakserver),
    ];
    let federation = listen
        .federation
        .iter()
        .map(|&address| ("federation", Some(address)));
    let mut all = others.into_iter().chain(federation);
    all.find(|(_, other)| *other == Some(address))
        .map(|(key, _)| key)
}

#[cfg(test)]
mod tests {
    use crate::config::Config;
    use std::path::Path;

    fn read(text: &str) -> Result<Config, String> {
        Config::parse(&format!("[packages]\n{text}\n"), Path::new(""))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn keys_have_bounds_and_the_port_goes_with_the_api() {
        let config = read("store_mib = 10\nmax_age_days = 2\nfederation_port = 9444").unwrap();
        let bounds = config.packages.bounds();
        assert_eq!((bounds.bytes, bounds.age_ms), (10 << 20, 172_800_000));
        let address = config.packages.federation_address(config.listen.api);
        assert_eq!(address.unwrap().to_string(), "0.0.0.0:9444");
        for off in [
            "federation_port = false",
            "enabled = false",
            "[listen]\napi = \"\"",
        ] {
            let config = read(off).unwrap();
            assert_eq!(
                config.packages.federation_address(config.listen.api),
                None,
                "{off}"
            );
        }
        for (wrong, said) in [
            ("store_mib = 0", "1 to 1048576"),
            ("max_packages = 257", "1 to 256"),
            ("federation_port = 70000", "0 to 65535"),
            ("federation_port = true", "false for off"),
            ("federation_port = 8443", "`api`"),
            ("max_age_days = \"x\"", "whole number"),
            ("stor_mib = 1", "store_mib"),
        ] {
            let error = read(wrong).unwrap_err();
            assert!(error.contains(said) && error.contains(":2"), "{error}");
        }
    }
}

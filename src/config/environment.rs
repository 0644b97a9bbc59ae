//! Settings by the names that other servers give them in the environment (S60, S71 of the documents). They count
//! where neither `tombolo.toml` nor `conf.d/` says something else.
//!
//! FreeTAKServer's configuration file has the same names, so its importer reads them here too.

use std::env;

use super::error::{ConfigError, Place};
use super::settings::name_fault;

/// How the environment is called in a message.
pub(super) const PLACE: &str = "the environment";

/// The password that FreeTAKServer has when nobody chose one.
const EVERYBODYS_PASSWORD: &str = "defaultpass";

/// The variables, those that say the same one after the other: the first one counts.
pub const VARIABLES: [&str; 9] = [
    "FTS_NODE_ID",
    "Federation__AdvertisedHostname",
    "FTS_USER_ADDRESS",
    "FTS_FED_PORT",
    "FTS_FEDERATION_CERTDIR",
    "FTS_FEDERATION_KEYDIR",
    "FTS_FED_PASSWORD",
    "FTS_FEDERATION_KEYPASS",
    "Federation__OurFederateId",
];

/// One key of ours, as something else says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// `table.key`.
    pub key: &'static str,
    /// Its value as TOML.
    pub value: String,
    /// What says so: a variable, an element.
    pub from: String,
}

impl Setting {
    /// A text for a key.
    pub fn text(key: &'static str, text: &str, from: impl Into<String>) -> Self {
        Self {
            key,
            value: toml_edit::Value::from(text).to_string(),
            from: from.into(),
        }
    }
}

/// What the variables come to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Environment {
    /// Keys of ours.
    pub settings: Vec<Setting>,
    /// What has no key of ours, and why.
    pub remarks: Vec<String>,
}

impl Environment {
    /// As TOML, one line for each setting.
    pub(super) fn text(&self) -> String {
        let lines = self.settings.iter();
        lines
            .map(|setting| format!("{} = {}\n", setting.key, setting.value))
            .collect()
    }
}

/// A variable of this process; none when it is empty or no text.
pub fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.trim().is_empty())
}

/// What the variables say that `variable` knows.
///
/// # Errors
/// The first one that cannot be meant, with its cure.
pub fn read(variable: &impl Fn(&str) -> Option<String>) -> Result<Environment, ConfigError> {
    let mut read = Environment::default();
    let settings = &mut read.settings;
    if let Some(name) = variable("FTS_NODE_ID") {
        if let Some(fault) = name_fault(&name) {
            return Err(bad(
                "FTS_NODE_ID",
                fault,
                "write 1 to 64 printable characters",
            ));
        }
        settings.push(Setting::text("node.name", &name, "FTS_NODE_ID"));
    }
    let host = ["Federation__AdvertisedHostname", "FTS_USER_ADDRESS"];
    let host = host.iter().find_map(|name| Some((*name, variable(name)?)));
    if let Some((name, host)) = host {
        if super::address::host_fault(&host).is_some() && host.parse::<std::net::IpAddr>().is_err()
        {
            let cure = "write a host name or an IP address, without port";
            return Err(bad(name, format!("{host:?} is no host"), cure));
        }
        settings.push(Setting::text("node.advertised_host", &host, name));
    }
    if let Some(port) = variable("FTS_FED_PORT") {
        let number = port.trim().parse::<u16>().ok().filter(|port| *port > 0);
        let cure = "write the port for federates, 1 to 65535";
        let number =
            number.ok_or_else(|| bad("FTS_FED_PORT", format!("{port:?} is no port"), cure))?;
        settings.push(Setting::text(
            "listen.federation",
            &format!("0.0.0.0:{number}"),
            "FTS_FED_PORT",
        ));
    }
    let [certificate, key] = ["FTS_FEDERATION_CERTDIR", "FTS_FEDERATION_KEYDIR"];
    match (variable(certificate), variable(key)) {
        (Some(chain), Some(secret)) => {
            settings.push(Setting::text("identity.certificate", &chain, certificate));
            settings.push(Setting::text("identity.key", &secret, key));
        }
        (Some(_), None) => return Err(alone(certificate, key)),
        (None, Some(_)) => return Err(alone(key, certificate)),
        (None, None) => {}
    }
    for name in ["FTS_FED_PASSWORD", "FTS_FEDERATION_KEYPASS"] {
        match variable(name) {
            None => {}
            Some(password) if password == EVERYBODYS_PASSWORD => {
                let cure = "choose a password of your own there, and take the variable out here: this box needs none";
                return Err(bad(name, "is the password that everybody knows", cure));
            }
            Some(_) => read.remarks.push(format!(
                "{name} is not needed: FreeTAKServer unlocks its own key file with it and sends it to nobody; a key \
                 file of this box has no password (`openssl pkey -in server.key -out plain.key` takes it off)"
            )),
        }
    }
    if variable("Federation__OurFederateId").is_some() {
        read.remarks.push(
            "Federation__OurFederateId is not taken over: a box makes its own federate id at its first start and \
             keeps it; `tombolo status` shows it"
                .to_owned(),
        );
    }
    Ok(read)
}

fn alone(there: &'static str, missing: &str) -> ConfigError {
    let fault = format!("stands without {missing}");
    bad(
        there,
        fault,
        "give both, certificate and key, or none: then the box makes its own",
    )
}

fn bad(variable: &'static str, fault: impl Into<String>, cure: &str) -> ConfigError {
    ConfigError::BadValue {
        place: Place {
            file: PLACE.into(),
            line: 0,
        },
        key: variable,
        fault: fault.into(),
        cure: cure.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(variables: &[(&str, &str)]) -> Result<Environment, String> {
        let find = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        read(&find).map_err(|error| error.to_string())
    }

    #[test]
    fn the_documents_variables_are_keys_of_ours() {
        let read = of(&[
            ("FTS_FED_PORT", "9000"),
            ("FTS_NODE_ID", "server_a_hq_node"),
            ("FTS_FED_PASSWORD", "secure_federation_pass"),
            ("FTS_FEDERATION_CERTDIR", "/opt/fts/certs/server.pem"),
            ("FTS_FEDERATION_KEYDIR", "/opt/fts/certs/server.key"),
            ("FTS_USER_ADDRESS", "server-a.example.com"),
            ("Federation__AdvertisedHostname", "tak.example.com"),
            ("Federation__OurFederateId", "us"),
        ])
        .unwrap();
        assert_eq!(
            read.text(),
            "node.name = \"server_a_hq_node\"\nnode.advertised_host = \"tak.example.com\"\n\
             listen.federation = \"0.0.0.0:9000\"\nidentity.certificate = \"/opt/fts/certs/server.pem\"\n\
             identity.key = \"/opt/fts/certs/server.key\"\n"
        );
        assert_eq!(read.remarks.len(), 2);
        assert_eq!(of(&[]).unwrap(), Environment::default());
    }

    #[test]
    fn what_cannot_be_meant_is_refused_with_its_cure() {
        for (name, value, words) in [
            (
                "FTS_FED_PORT",
                "0",
                "the environment: `FTS_FED_PORT`: \"0\" is no port; write",
            ),
            ("FTS_FED_PORT", "ssl", "1 to 65535"),
            ("FTS_NODE_ID", "a\nb", "control character"),
            ("FTS_USER_ADDRESS", "http://x/", "is no host"),
            ("FTS_FED_PASSWORD", "defaultpass", "everybody knows; choose"),
            (
                "FTS_FEDERATION_KEYPASS",
                "defaultpass",
                "everybody knows; choose",
            ),
            (
                "FTS_FEDERATION_KEYDIR",
                "/k",
                "stands without FTS_FEDERATION_CERTDIR; give both",
            ),
        ] {
            let fault = of(&[(name, value)]).unwrap_err();
            assert!(fault.contains(words), "{name}: {fault}");
        }
    }
}

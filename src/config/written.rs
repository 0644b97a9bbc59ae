//! The newer keys of `[[peer]]` as somebody asks for them: any of a fixed list, each with a value of its kind.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use toml_edit::{Array, InlineTable, Value};

use super::{raw, suggest};

/// A value before it is checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Written {
    /// True or false.
    Switch(bool),
    /// A whole number.
    Number(i64),
    /// Text.
    Text(String),
    /// A list of texts.
    List(Vec<String>),
    /// Keys within the key.
    Table(BTreeMap<String, Written>),
}

/// Keys with their values.
pub type Keys = BTreeMap<String, Written>;
/// Keys with their new values; none = the key is taken away.
pub type KeyChanges = BTreeMap<String, Option<Written>>;

/// What a key takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// True or false.
    Switch,
    /// A whole number.
    Number,
    /// Text.
    Text,
    /// A list of texts.
    List,
}

/// One of the newer keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key {
    /// In the file; with a dot in it, within a table of `[[peer]]`.
    pub key: &'static str,
    /// As an option, without dashes in front.
    pub option: &'static str,
    /// What it takes.
    pub kind: Kind,
}

macro_rules! keys {
    ($($key:literal $option:literal $kind:ident;)*) => {
        /// The keys of `[[peer]]` that are asked for by name, beside those of [`PeerSpec`](super::PeerSpec) itself.
        pub const KEYS: &[Key] = &[$(Key { key: $key, option: $option, kind: Kind::$kind },)*];
    };
}

keys! {
    "rate" "rate" Text;
    "spool" "spool" Switch;
    "correct_clock" "correct-clock" Switch;
    "compress" "compress" Switch;
    "data_packages_in" "data-packages-in" Switch;
    "data_packages_out" "data-packages-out" Switch;
    "package_limit_mib" "package-limit-mib" Number;
    "package_block_extensions" "package-block-extensions" List;
    "package_port" "package-port" Number;
    "relay_missions" "relay-missions" Switch;
    "addresses" "addresses" List;
    "uplinks" "uplinks" List;
    "fallback_of" "fallback-of" Text;
    "fallback_seconds" "fallback-seconds" Number;
    "inbound_groups" "inbound-groups" List;
    "outbound_groups" "outbound-groups" List;
    "group_mapping" "group-mapping" Switch;
    "inbound_group_mapping" "inbound-group-mapping" List;
    "automatic_group_mapping" "automatic-group-mapping" Switch;
    "fallback_when_no_group_mappings" "fallback-when-no-group-mappings" Switch;
    "max_hops" "max-hops" Number;
    "outbound_group_hop_limits" "outbound-group-hop-limits" List;
    "filter.preset" "preset" Text;
    "filter.allow_types" "allow-types" List;
    "filter.block_types" "block-types" List;
    "filter.allow_callsigns" "allow-callsigns" List;
    "filter.block_callsigns" "block-callsigns" List;
    "filter.direction" "filter-direction" Text;
    "probe.address" "probe-address" Text;
    "probe.p12" "probe-p12" Text;
    "probe.password" "probe-password" Text;
    "probe.certificate" "probe-certificate" Text;
    "probe.key" "probe-key" Text;
    "probe.ca_cert" "probe-ca-cert" Text;
}

/// What is wrong with a key that is none of `[[peer]]`, and the one that was probably meant.
pub fn unknown_peer_key(key: &str) -> Option<String> {
    let whole = key.split_once('.').map_or(key, |(outer, _)| outer);
    let known = raw::peer_keys();
    if known.contains(&whole) {
        return None;
    }
    Some(match suggest::nearest(whole, known) {
        Some(meant) => format!("unknown key `{whole}`; did you mean `{meant}`?"),
        None => format!("unknown key `{whole}`; known are {}", known.join(", ")),
    })
}

/// The tables within `[[peer]]`, which are taken away as a whole.
pub const TABLES: &[&str] = &["filter", "probe"];

impl Key {
    /// The key of an option.
    pub fn of_option(option: &str) -> Option<&'static Self> {
        KEYS.iter().find(|key| key.option == option)
    }

    /// Reads a value as it is typed behind an option; lists have commas in between.
    ///
    /// # Errors
    /// What is wrong, in words that follow the text itself.
    pub fn read(&self, text: &str) -> Result<Written, &'static str> {
        Ok(match self.kind {
            Kind::Switch => Written::Switch(text.parse().map_err(|_| "is not true or false")?),
            Kind::Number => Written::Number(text.parse().map_err(|_| "is no whole number")?),
            Kind::Text => Written::Text(text.to_owned()),
            Kind::List => Written::List(list(text)),
        })
    }
}

/// The parts of a list with commas in between; none of an empty text.
pub fn list(text: &str) -> Vec<String> {
    let parts = text.split(',').map(str::trim);
    let parts = parts.filter(|part| !part.is_empty());
    parts.map(str::to_owned).collect()
}

/// How an option is called that sets the key, wherever it stands.
pub fn option_of(key: &str) -> Option<&'static str> {
    let same = |known: &&Key| known.key == key || known.key.strip_prefix("filter.") == Some(key);
    KEYS.iter().find(same).map(|key| key.option)
}

impl From<Written> for Value {
    fn from(written: Written) -> Self {
        match written {
            Written::Switch(value) => value.into(),
            Written::Number(value) => value.into(),
            Written::Text(value) => value.into(),
            Written::List(values) => Value::Array(values.into_iter().collect::<Array>()),
            Written::Table(keys) => {
                let keys = keys
                    .into_iter()
                    .map(|(key, value)| (key, Value::from(value)));
                Value::InlineTable(keys.collect::<InlineTable>())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_written_as_toml() {
        let shown = |written: Written| Value::from(written).to_string();
        assert_eq!(shown(Written::Switch(false)), "false");
        assert_eq!(shown(Written::Text("a \"b\"".into())), "'a \"b\"'");
        assert_eq!(
            shown(Written::List(list("a-f, b-t-f"))),
            "[\"a-f\", \"b-t-f\"]"
        );
        let table = BTreeMap::from([("preset".to_owned(), Written::Text("tracks".into()))]);
        assert_eq!(shown(Written::Table(table)), "{ preset = \"tracks\" }");
        assert!(list(" , ").is_empty());
    }

    #[test]
    fn json_has_the_same_values() {
        for (json, written) in [
            ("true", Written::Switch(true)),
            ("7", Written::Number(7)),
            ("\"x\"", Written::Text("x".into())),
            ("[\"x\"]", Written::List(vec!["x".into()])),
        ] {
            assert_eq!(serde_json::from_str::<Written>(json).unwrap(), written);
        }
    }

    #[test]
    fn options_and_keys_find_each_other() {
        assert_eq!(
            Key::of_option("block-types").unwrap().key,
            "filter.block_types"
        );
        assert_eq!(option_of("block_types"), Some("block-types"));
        assert_eq!(option_of("direction"), Some("filter-direction"));
        assert_eq!(option_of("nothing"), None);
        assert_eq!(option_of("ca_cert"), None);
        assert!(
            Key::of_option("fallback-seconds")
                .unwrap()
                .read("x")
                .is_err()
        );
    }
}

//! The keys of a `federation.json`: one table each, by which the file is read and its JSON Schema is written. So neither
//! can say something else than the other.

use serde_json::{Map, Value, json};

use crate::config::suggest;

/// What a key takes.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// The number 1.
    Version,
    /// The list of peers, at most so many.
    Peers(usize),
    /// Text.
    Text,
    /// One of these words.
    Word(&'static [&'static str]),
    /// True or false.
    Switch,
    /// A whole number, from and to.
    Number(u32, u32),
    /// A list of texts.
    List,
    /// What may cross.
    Filters,
}

/// One key.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// How it is written.
    pub key: &'static str,
    /// What it takes.
    pub kind: Kind,
    /// It must be there.
    pub required: bool,
    /// What it means.
    pub about: &'static str,
}

const fn may(key: &'static str, kind: Kind, about: &'static str) -> Key {
    Key {
        key,
        kind,
        required: false,
        about,
    }
}

const fn must(key: &'static str, kind: Kind, about: &'static str) -> Key {
    Key {
        key,
        kind,
        required: true,
        about,
    }
}

/// Keys of the file.
pub const TOP: &[Key] = &[
    must("version", Kind::Version, "the version of this shape"),
    must("peers", Kind::Peers(256), "the federates"),
    may("$schema", Kind::Text, "where this schema lies, for editors"),
];

/// Keys of a peer.
pub const PEER: &[Key] = &[
    must("name", Kind::Text, "a name of your choice, unique"),
    may(
        "address",
        Kind::Text,
        "host name or IP address to dial; without, it dials us",
    ),
    may(
        "port",
        Kind::Number(1, 65_535),
        "port to dial; 9001 without",
    ),
    may("protocol", Kind::Word(&["tls"]), "mutual TLS"),
    may(
        "ca_cert",
        Kind::Text,
        "its CA: a file, or the certificate itself as PEM text",
    ),
    may(
        "ca_pin",
        Kind::Text,
        "SHA-256 that one certificate of ca_cert must have",
    ),
    may("fingerprint", Kind::Text, "SHA-256 of its own certificate"),
    may(
        "bidirectional",
        Kind::Switch,
        "false: we send and take nothing",
    ),
    may("enabled", Kind::Switch, "false: registered and paused"),
    may(
        "keepalive_seconds",
        Kind::Number(1, 32_767),
        "seconds between keepalives",
    ),
    may("filters", Kind::Filters, "what may cross"),
    may(
        "federation_filter",
        Kind::Filters,
        "the same by another name",
    ),
    may("incoming", Kind::Switch, "take what it sends"),
    may("outgoing", Kind::Switch, "send what we have"),
    may(
        "data_packages_in",
        Kind::Switch,
        "take data packages from it",
    ),
    may(
        "data_packages_out",
        Kind::Switch,
        "let it have data packages",
    ),
];

/// Keys of what may cross.
pub const FILTERS: &[Key] = &[
    may(
        "cot_types",
        Kind::List,
        "types that pass, each with everything below it",
    ),
    may("groups", Kind::List, "groups that cross"),
    may(
        "direction",
        Kind::Word(&["in", "out", "both"]),
        "the way that is filtered",
    ),
    may("allow_types", Kind::List, "the same as cot_types"),
    may(
        "block_types",
        Kind::List,
        "types that do not pass, whatever else is said",
    ),
    may(
        "allow_callsigns",
        Kind::List,
        "patterns of callsigns that pass",
    ),
    may(
        "block_callsigns",
        Kind::List,
        "patterns of callsigns that do not pass",
    ),
    may(
        "preset",
        Kind::Text,
        "types that pass, by the names people use, with + in between",
    ),
];

/// What a value is instead of what the key takes, and what to write; none when all is well. `null` is as good as left
/// out.
pub fn fault(kind: Kind, value: &Value) -> Option<(String, String)> {
    let wrong = |fault: String, cure: &str| Some((fault, cure.to_owned()));
    match kind {
        _ if value.is_null() => None,
        Kind::Version if *value == json!(1) => None,
        Kind::Version => wrong(format!("{value} is not known"), "write 1"),
        Kind::Peers(most) => match value.as_array() {
            Some(peers) if peers.len() <= most => None,
            Some(_) => wrong(format!("has more than {most}"), "take some out"),
            None => wrong(
                "is no list".to_owned(),
                "write a list of peers, [] for none",
            ),
        },
        Kind::Text if value.is_string() => None,
        Kind::Text => wrong(format!("{value} is no text"), "write it in \"quotes\""),
        Kind::Word(words) => match value.as_str() {
            Some(word) if words.contains(&word) => None,
            _ => {
                let cure = format!("write \"{}\", or leave it out", words.join("\" or \""));
                wrong(format!("{value} is not known"), &cure)
            }
        },
        Kind::Switch if value.is_boolean() => None,
        Kind::Switch => wrong(
            format!("{value} is not true or false"),
            "write true or false, without quotes",
        ),
        Kind::Number(least, most) => {
            let number = value
                .as_u64()
                .filter(|number| (u64::from(least)..=u64::from(most)).contains(number));
            match number {
                Some(_) => None,
                None => {
                    let cure = format!("write a number without quotes, {least} to {most}");
                    wrong(format!("{value} will not do"), &cure)
                }
            }
        }
        Kind::List => match value.as_array() {
            Some(items) if items.iter().all(Value::is_string) => None,
            _ => wrong("is no list of texts".to_owned(), "write [\"one\", \"two\"]"),
        },
        Kind::Filters if value.is_object() => None,
        Kind::Filters => wrong(
            "is no object".to_owned(),
            "write {\"cot_types\": [...], \"groups\": [...], \"direction\": \"both\"}",
        ),
    }
}

/// What to say of a key that is none of the table.
pub fn unknown(key: &str, table: &'static [Key]) -> String {
    let known: Vec<&'static str> = table.iter().map(|key| key.key).collect();
    match suggest::nearest(key, &known) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => format!("known here: {}", known.join(", ")),
    }
}

/// The table as JSON Schema.
pub fn schema(table: &[Key]) -> Value {
    let property = |key: &Key| {
        let mut schema = match key.kind {
            Kind::Version => json!({"const": 1}),
            Kind::Peers(most) => json!({"type": "array", "maxItems": most, "items": schema(PEER)}),
            Kind::Text => json!({"type": "string"}),
            Kind::Word(words) => json!({"enum": words}),
            Kind::Switch => json!({"type": "boolean"}),
            Kind::Number(least, most) => {
                json!({"type": "integer", "minimum": least, "maximum": most})
            }
            Kind::List => json!({"type": "array", "items": {"type": "string"}}),
            Kind::Filters => schema(FILTERS),
        };
        schema["description"] = key.about.into();
        (key.key.to_owned(), schema)
    };
    let properties: Map<String, Value> = table.iter().map(property).collect();
    let required = table.iter().filter(|key| key.required);
    let required: Vec<&str> = required.map(|key| key.key).collect();
    let mut object = json!({
        "type": "object",
        "properties": properties,
        "additionalProperties": false,
    });
    if !required.is_empty() {
        object["required"] = json!(required);
    }
    object
}

//! JSON Schema of `tombolo.toml` and of `federation.json`, for editors and for those who write such files by program.
//!
//! That of `federation.json` comes from the table by which it is read. That of `tombolo.toml` is asked of the reader
//! itself: every key that the reader knows is given a value of each kind, and what it takes is in the schema.

use serde_json::{Map, Value, json};

use super::federation;
use super::limits::Limits;
use super::raw::{self, RawConfig};

const DRAFT: &str = "https://json-schema.org/draft/2020-12/schema";

/// Values to try, as TOML, with the schema of what is then taken.
const TRIED: [(&str, &str); 7] = [
    ("true", "boolean"),
    ("1", "integer"),
    ("\"x\"", "string"),
    ("\"tracks\"", "string"),
    ("[\"x\"]", "array"),
    ("{}", "object"),
    ("[{}]", "objects"),
];

/// The schema of `federation.json`.
pub fn of_federation() -> Value {
    let mut schema = federation::schema();
    schema["$schema"] = DRAFT.into();
    schema["title"] = "federation.json of Tombolo".into();
    schema
}

/// The schema of `tombolo.toml` and of each file of `conf.d/`.
pub fn of_configuration() -> Value {
    let mut properties = Map::new();
    for key in raw::TOP_KEYS {
        let Some((spelled, keys)) = raw::table(key) else {
            continue;
        };
        let object = of_table(key, spelled, keys);
        let schema = match spelled.starts_with("[[") {
            true => json!({"type": "array", "items": object}),
            false => object,
        };
        properties.insert((*key).to_owned(), schema);
    }
    json!({
        "$schema": DRAFT,
        "title": "tombolo.toml of Tombolo",
        "type": "object",
        "properties": properties,
        "additionalProperties": false,
    })
}

fn of_table(table: &str, spelled: &str, keys: &[&str]) -> Value {
    let mut properties = Map::new();
    for key in keys {
        let taken = |value: &str| takes(&format!("{spelled}\n{key} = {value}\n"));
        let mut schema = of_key(table, key, &taken);
        if let Some(limit) = Limits::TABLE
            .iter()
            .find(|limit| table == "limits" && limit.key == *key)
        {
            schema["minimum"] = limit.least.into();
            schema["maximum"] = limit.most.into();
            schema["default"] = limit.default.into();
            schema["description"] = limit.about.concat().trim().into();
        } else {
            schema["description"] = raw::kind_of(table, key).into();
        }
        properties.insert((*key).to_owned(), schema);
    }
    let mut object = json!({
        "type": "object",
        "properties": properties,
        "additionalProperties": false,
    });
    // Every list of tables goes by names.
    if spelled.starts_with("[[") && keys.contains(&"name") {
        object["required"] = json!(["name"]);
    }
    object
}

/// What a key takes; `taken` tries a value.
fn of_key(table: &str, key: &str, taken: &dyn Fn(&str) -> bool) -> Value {
    let mut kinds: Vec<Value> = Vec::new();
    let inner = raw::inner_table(table, key);
    for (value, kind) in TRIED {
        if !taken(value) {
            continue;
        }
        let object = || match inner {
            None => json!({"type": "object"}),
            Some((_, keys)) => {
                let of = |inner: &&str| {
                    let taken = |value: &str| taken(&format!("{{ {inner} = {value} }}"));
                    let mut schema = of_key("", inner, &taken);
                    schema["description"] = raw::kind_of(table, inner).into();
                    ((*inner).to_owned(), schema)
                };
                let properties: Map<String, Value> = keys.iter().map(of).collect();
                json!({"type": "object", "properties": properties, "additionalProperties": false})
            }
        };
        let schema = match kind {
            "array" => json!({"type": "array", "items": {"type": "string"}}),
            "object" => object(),
            "objects" => json!({"type": "array", "items": object()}),
            plain => json!({"type": plain}),
        };
        if !kinds.contains(&schema) {
            kinds.push(schema);
        }
    }
    match kinds.len() {
        1 => kinds.remove(0),
        _ => json!({"anyOf": kinds}),
    }
}

/// Whether the reader finds the shapes right; what is missing beside them does not count.
fn takes(text: &str) -> bool {
    match toml::from_str::<RawConfig>(text) {
        Ok(_) => true,
        Err(error) => error.message().contains("missing field"),
    }
}

#[cfg(test)]
mod tests;

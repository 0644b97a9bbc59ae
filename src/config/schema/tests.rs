use std::path::Path;

use super::*;
use crate::config::Config;

/// What is wrong with a value by a schema, of those words that the two schemas use.
fn faults(schema: &Value, value: &Value, place: &str) -> Vec<String> {
    let wrong = |what: &str| vec![format!("{place}: {what}: {value}")];
    if let Some(kinds) = schema["anyOf"].as_array() {
        let fits = kinds
            .iter()
            .any(|kind| faults(kind, value, place).is_empty());
        return if fits {
            Vec::new()
        } else {
            wrong("none of them")
        };
    }
    if schema.get("const").is_some_and(|only| only != value) {
        return wrong("another constant");
    }
    if schema["enum"]
        .as_array()
        .is_some_and(|words| !words.contains(value))
    {
        return wrong("no such word");
    }
    let fits = match schema["type"].as_str() {
        None => true,
        Some("boolean") => value.is_boolean(),
        Some("integer") => value.is_i64() || value.is_u64(),
        Some("string") => value.is_string(),
        Some("array") => value.is_array(),
        Some("object") => value.is_object(),
        Some(other) => panic!("{other}"),
    };
    if !fits {
        return wrong("another type");
    }
    if let (Some(number), Some(least)) = (value.as_i64(), schema["minimum"].as_i64())
        && (number < least || schema["maximum"].as_i64().is_some_and(|most| number > most))
    {
        return wrong("out of range");
    }
    let mut all = Vec::new();
    for (number, item) in value.as_array().into_iter().flatten().enumerate() {
        all.extend(faults(&schema["items"], item, &format!("{place}/{number}")));
    }
    if let Some(members) = value.as_object() {
        for key in schema["required"].as_array().into_iter().flatten() {
            if !members.contains_key(key.as_str().unwrap()) {
                all.extend(wrong(&format!("{key} is missing")));
            }
        }
        for (key, inner) in members {
            match schema["properties"].get(key) {
                Some(schema) => all.extend(faults(schema, inner, &format!("{place}/{key}"))),
                None if schema["additionalProperties"] == false => {
                    all.extend(wrong(&format!("{key} is unknown")));
                }
                None => {}
            }
        }
    }
    all
}

fn of_toml(text: &str) -> Vec<String> {
    let value: Value = serde_json::to_value(toml::from_str::<toml::Table>(text).unwrap()).unwrap();
    faults(&of_configuration(), &value, "")
}

fn shape_is_read(text: &str) -> bool {
    match Config::parse(text, Path::new("/nonexistent")) {
        Ok(_) => true,
        Err(error) => !matches!(
            error,
            crate::config::ConfigError::UnknownKey { .. }
                | crate::config::ConfigError::WrongType { .. }
        ),
    }
}

#[test]
fn what_the_reader_takes_the_schema_takes_and_nothing_else() {
    let peer = "[[peer]]\nname = \"b\"\nfingerprint = \"x\"\n";
    for (text, is_right) in [
        ("", true),
        ("[node]\nname = \"a\"\n", true),
        ("[node]\nname = 1\n", false),
        ("[node]\nnam = \"a\"\n", false),
        (
            "[listen]\nfederation = [\"0.0.0.0:9001\", \"0.0.0.0:9000\"]\napi = \"\"\n",
            true,
        ),
        ("[listen]\nfederation = 9001\n", false),
        ("[limits]\nmax_clients = 20\n", true),
        ("[limits]\nmax_clients = \"20\"\n", false),
        ("[led]\nactive_low = true\n", true),
        (peer, true),
        (&format!("{peer}enabled = 1\n"), false),
        (&format!("{peer}filter = \"tracks\"\n"), true),
        (
            &format!("{peer}filter = {{ block_types = [\"a-h\"] }}\n"),
            true,
        ),
        (
            &format!("{peer}filter = {{ block_type = [\"a-h\"] }}\n"),
            false,
        ),
        (&format!("{peer}filter = {{ block_types = 1 }}\n"), false),
        (
            &format!("{peer}probe = {{ address = \"x\", p12 = \"x\" }}\n"),
            true,
        ),
        (
            &format!("{peer}inbound_groups = [\"Blue\"]\nmax_hops = 2\n"),
            true,
        ),
        (&format!("{peer}inbound_groups = \"Blue\"\n"), false),
        ("[peer]\nname = \"b\"\n", false),
        (
            "[[server]]\nname = \"s\"\naddress = \"x\"\nauth = { username = \"u\", password = \"p\" }\n",
            true,
        ),
    ] {
        assert_eq!(shape_is_read(text), is_right, "reader: {text}");
        assert_eq!(
            of_toml(text).is_empty(),
            is_right,
            "{text}: {:?}",
            of_toml(text)
        );
    }
    assert!(!of_toml("[limits]\nmax_clients = 0\n").is_empty());
}

/// Every key that the reader knows is in the schema, with what it takes.
#[test]
fn no_key_is_forgotten() {
    let schema = of_configuration();
    for key in raw::TOP_KEYS {
        let (spelled, keys) = raw::table(key).unwrap();
        let table = &schema["properties"][key];
        let table = if spelled.starts_with("[[") {
            &table["items"]
        } else {
            table
        };
        assert_eq!(
            table["properties"].as_object().unwrap().len(),
            keys.len(),
            "{key}"
        );
        for inner in keys {
            let of = &table["properties"][inner];
            let kinds = of["anyOf"].as_array().map_or(1, Vec::len);
            assert!(
                kinds > 0 && (of["anyOf"].is_array() || of["type"].is_string()),
                "{key}.{inner}: {of}"
            );
            assert!(
                !of["description"].as_str().unwrap().is_empty(),
                "{key}.{inner}"
            );
        }
    }
}

#[test]
fn every_line_of_the_template_fits_its_remarks_taken_away() {
    let (mut head, mut tried) = (String::new(), 0);
    for line in Config::template().lines() {
        let line = line.strip_prefix('#').unwrap_or(line).trim();
        if line.starts_with('[') {
            head = line.to_owned();
            continue;
        }
        let is_key = line
            .split_once(" = ")
            .is_some_and(|(key, _)| !key.contains(' '));
        let name = if line.starts_with("name") || !head.starts_with("[[") {
            ""
        } else {
            "name = \"x\"\n"
        };
        let text = format!("{head}\n{name}{line}\n");
        if is_key && toml::from_str::<toml::Table>(&text).is_ok() {
            assert_eq!(of_toml(&text), Vec::<String>::new(), "{text}");
            tried += 1;
        }
    }
    assert!(tried > 80, "{tried}");
}

#[test]
fn federation_json_is_read_as_its_schema_says() {
    let schema = of_federation();
    let pin = "ab".repeat(32);
    for (peer, is_right) in [
        (json!({"name": "b", "fingerprint": pin}), true),
        (
            json!({"name": "b", "fingerprint": pin, "port": 9000, "address": "x", "bidirectional": false}),
            true,
        ),
        (
            json!({"name": "b", "fingerprint": pin, "filters": {"cot_types": ["a-f-"], "direction": "in"}}),
            true,
        ),
        (json!({"fingerprint": pin}), false),
        (json!({"name": "b", "fingerprint": pin, "port": 0}), false),
        (
            json!({"name": "b", "fingerprint": pin, "port": "9000"}),
            false,
        ),
        (
            json!({"name": "b", "fingerprint": pin, "protocol": "udp"}),
            false,
        ),
        (
            json!({"name": "b", "fingerprint": pin, "enabled": "yes"}),
            false,
        ),
        (
            json!({"name": "b", "fingerprint": pin, "filters": {"direction": "up"}}),
            false,
        ),
        (
            json!({"name": "b", "fingerprint": pin, "filters": {"groups": "Blue"}}),
            false,
        ),
        (
            json!({"name": "b", "fingerprint": pin, "filter": {}}),
            false,
        ),
        (json!(1), false),
    ] {
        let file = json!({"$schema": "x", "version": 1, "peers": [peer]});
        let read = federation::read(&file.to_string(), |_| None);
        assert_eq!(read.is_ok(), is_right, "reader: {file}: {read:?}");
        assert_eq!(faults(&schema, &file, "").is_empty(), is_right, "{file}");
    }
    for (file, is_right) in [
        (json!({"version": 1, "peers": []}), true),
        (json!({"version": 2, "peers": []}), false),
        (json!({"peers": []}), false),
        (json!({"version": 1}), false),
        (json!({"version": 1, "peers": {}}), false),
        (json!({"version": 1, "peers": [], "x": 1}), false),
    ] {
        assert_eq!(
            federation::read(&file.to_string(), |_| None).is_ok(),
            is_right,
            "{file}"
        );
        assert_eq!(faults(&schema, &file, "").is_empty(), is_right, "{file}");
    }
}

//! Passwords in the text of a configuration, hidden before it is shown, and put back when such a text comes back.

use std::collections::BTreeMap;

use toml_edit::{DocumentMut, Item, TableLike, Value};

use super::candidate::CandidateError;

/// What stands in the place of a password.
pub const HIDDEN: &str = "(hidden)";

/// Keys whose values are nobody's business.
const SECRET: [&str; 6] = [
    "password",
    "shared_secret",
    "secret",
    "passphrase",
    "token",
    "pin",
];

/// The text with its passwords hidden.
///
/// # Errors
/// If it is no TOML: then nobody can say where they stand.
pub fn hidden(text: &str) -> Result<String, CandidateError> {
    let mut document = parsed(text)?;
    let mut found = false;
    each(document.as_table_mut(), "", &mut |_, value| {
        found = true;
        put(value, HIDDEN);
    });
    Ok(match found {
        true => document.to_string(),
        false => text.to_owned(),
    })
}

/// The text with each hidden password as it stands in the one in use.
///
/// # Errors
/// If one of both is no TOML, or nothing is known of a password that is hidden.
pub fn shown(text: &str, in_use: &str) -> Result<String, CandidateError> {
    if !text.contains(HIDDEN) {
        return Ok(text.to_owned());
    }
    let mut known = BTreeMap::new();
    each(parsed(in_use)?.as_table_mut(), "", &mut |path, value| {
        known.insert(
            path.to_owned(),
            value.as_str().unwrap_or_default().to_owned(),
        );
    });
    let mut document = parsed(text)?;
    let mut missing = None;
    each(document.as_table_mut(), "", &mut |path, value| {
        if value.as_str() == Some(HIDDEN) {
            match known.get(path) {
                Some(secret) => put(value, secret),
                None => missing = Some(path.to_owned()),
            }
        }
    });
    match missing {
        None => Ok(document.to_string()),
        Some(path) => Err(CandidateError::Hidden(path)),
    }
}

fn parsed(text: &str) -> Result<DocumentMut, CandidateError> {
    text.parse().map_err(|error: toml_edit::TomlError| {
        CandidateError::Text(error.message().lines().collect::<Vec<_>>().join(", "))
    })
}

fn put(value: &mut Value, text: &str) {
    let mut new = Value::from(text);
    *new.decor_mut() = value.decor().clone();
    *value = new;
}

/// Every secret with its place; tables of a list go by their names.
fn each(table: &mut dyn TableLike, place: &str, act: &mut dyn FnMut(&str, &mut Value)) {
    for (key, item) in table.iter_mut() {
        let place = format!("{place}.{}", key.get());
        match item {
            Item::Value(value) => of_value(value, key.get(), &place, act),
            Item::Table(inner) => each(inner, &place, act),
            Item::ArrayOfTables(tables) => {
                for (number, inner) in tables.iter_mut().enumerate() {
                    let name = inner.get("name").and_then(Item::as_str);
                    let name = name.map_or_else(|| number.to_string(), str::to_owned);
                    each(inner, &format!("{place}.{name}"), act);
                }
            }
            Item::None => {}
        }
    }
}

fn of_value(value: &mut Value, key: &str, place: &str, act: &mut dyn FnMut(&str, &mut Value)) {
    match value {
        Value::InlineTable(inner) => {
            let name = inner.get("name").and_then(Value::as_str).map(str::to_owned);
            let place = name.map_or_else(|| place.to_owned(), |name| format!("{place}.{name}"));
            each(inner, &place, act);
        }
        Value::Array(items) => {
            for (number, item) in items.iter_mut().enumerate() {
                of_value(item, "", &format!("{place}.{number}"), act);
            }
        }
        Value::String(text)
            if SECRET.contains(&key) || text.value().contains("PRIVATE KEY-----") =>
        {
            act(place, value);
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "[[peer]]\nname = \"b\"\nprobe = { p12 = \"x\", password = \"one\" } # mine\n[[server]]\nname = \"s\"\n\
                        [server.auth]\nusername = \"u\"\npassword = \"two\"\n";

    #[test]
    fn passwords_go_and_come_back() {
        let shown_to_others = hidden(TEXT).unwrap();
        assert!(!shown_to_others.contains("one") && !shown_to_others.contains("two"));
        assert!(
            shown_to_others.contains("password = \"(hidden)\" } # mine"),
            "{shown_to_others}"
        );
        assert_eq!(shown(&shown_to_others, TEXT).unwrap(), TEXT);
        // Another order is no other peer.
        let (peer, server) = shown_to_others.split_at(shown_to_others.find("[[server]]").unwrap());
        let swapped = shown(&format!("{server}{peer}"), TEXT).unwrap();
        assert!(
            swapped.contains("password = \"two\"") && swapped.contains("password = \"one\""),
            "{swapped}"
        );
        assert_eq!(hidden("# x\n").unwrap(), "# x\n");
    }

    #[test]
    fn what_nobody_knows_is_not_made_up() {
        let fault = shown(&hidden(TEXT).unwrap(), "").unwrap_err();
        assert!(fault.to_string().contains("password"), "{fault}");
        assert!(hidden("[x").is_err());
        assert!(
            hidden("[identity]\nkey = \"-----BEGIN PRIVATE KEY-----\\nAAAA\"\n")
                .unwrap()
                .contains(HIDDEN)
        );
    }
}

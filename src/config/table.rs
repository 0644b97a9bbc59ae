//! `[[peer]]` tables of a TOML document, changed in place: remarks, order and spacing stay as they were written.

use toml_edit::{Array, ArrayOfTables, DocumentMut, InlineTable, Item, Table, Value, value};

use super::spec::{PeerChange, PeerSpec};
use super::written::{KEYS, TABLES};

/// The `[[peer]]` tables of a document that may have none yet; nothing when peers are written in another shape.
pub(super) fn all(document: &DocumentMut) -> impl Iterator<Item = &Table> {
    let tables = document.get("peer").and_then(Item::as_array_of_tables);
    tables.into_iter().flatten()
}

/// The tables, made if there are none; nothing when peers are written in another shape.
pub(super) fn made(document: &mut DocumentMut) -> Option<&mut ArrayOfTables> {
    if document
        .get("peer")
        .is_none_or(|item| item.as_array().is_some_and(Array::is_empty))
    {
        document.insert("peer", Item::ArrayOfTables(ArrayOfTables::new()));
    }
    document
        .get_mut("peer")
        .and_then(Item::as_array_of_tables_mut)
}

/// The table of one peer.
pub(super) fn of_peer<'a>(tables: &'a mut ArrayOfTables, name: &str) -> Option<&'a mut Table> {
    tables.iter_mut().find(|table| is_called(table, name))
}

/// A new peer's table, with a blank line before it unless it begins the file.
pub(super) fn new(begins_the_file: bool) -> Table {
    let mut table = Table::new();
    table
        .decor_mut()
        .set_prefix(if begins_the_file { "" } else { "\n" });
    table
}

/// Keys that no command asks for, and an importer may set.
const NOT_ASKED_FOR: [&str; 3] = ["protocol", "flavour", "legacy_no_client_certificate"];

/// Sets what the peer says and takes away what it does not; what is at its default need not be said.
pub(super) fn fill(table: &mut Table, spec: &PeerSpec, ca_cert: Option<&str>) {
    set(table, "name", Some(spec.name.as_str().into()));
    set(table, "address", spec.address.as_deref().map(Into::into));
    set(table, "ca_cert", ca_cert.map(Into::into));
    set(
        table,
        "fingerprint",
        spec.fingerprint.as_deref().map(Into::into),
    );
    for (key, is_on) in [
        ("enabled", spec.enabled),
        ("incoming", spec.incoming),
        ("outgoing", spec.outgoing),
    ] {
        set(table, key, (!is_on).then_some(false.into()));
    }
    set(
        table,
        "keepalive_seconds",
        spec.keepalive_seconds
            .map(|seconds| i64::from(seconds).into()),
    );
    let plain = KEYS.iter().filter(|key| !key.key.contains('.'));
    for key in plain.map(|key| key.key).chain(TABLES.iter().copied()) {
        if !spec.more.contains_key(key) {
            forget(table, key);
        }
    }
    for key in NOT_ASKED_FOR {
        if !spec.more.contains_key(key) {
            set(table, key, None);
        }
    }
    for (key, written) in &spec.more {
        // What stood there is gone already, so nothing is in the way.
        let _ = more(table, key, Some(written.clone().into()));
    }
}

/// Sets what the change names, takes away what it clears, and leaves the rest as it was written.
///
/// # Errors
/// The key that is written in a shape that cannot be changed from here.
pub(super) fn alter(
    table: &mut Table,
    change: &PeerChange,
    ca_cert: Option<&str>,
) -> Result<(), String> {
    for (key, new) in [
        ("address", change.address.as_deref()),
        ("ca_cert", ca_cert),
        ("fingerprint", change.fingerprint.as_deref()),
    ] {
        if let Some(new) = new {
            set(table, key, Some(new.into()));
        }
    }
    for clear in &change.clear {
        set(table, clear.key(), None);
    }
    for (key, is_on) in [
        ("enabled", change.enabled),
        ("incoming", change.incoming),
        ("outgoing", change.outgoing),
    ] {
        match is_on {
            // On is the default: it is said only where something was said before, for the sake of its remark.
            Some(true) if !table.contains_key(key) => {}
            Some(is_on) => set(table, key, Some(is_on.into())),
            None => {}
        }
    }
    if let Some(seconds) = change.keepalive_seconds {
        set(table, "keepalive_seconds", Some(i64::from(seconds).into()));
    }
    for (key, written) in &change.more {
        more(table, key, written.clone().map(Value::from))?;
    }
    Ok(())
}

/// How `filter` may be called (S12, S32 of the documents).
const FILTERS: [&str; 3] = ["filter", "filters", "federation_filter"];

/// A table within a peer's.
pub(super) fn is_inner(key: &str) -> bool {
    FILTERS.contains(&key) || TABLES.contains(&key)
}

fn forget(table: &mut Table, key: &str) {
    match key {
        "filter" => FILTERS.iter().for_each(|name| set(table, name, None)),
        _ => set(table, key, None),
    }
}

/// Sets one of the newer keys, or takes it away; one with a dot stands within a table of the peer's.
pub(super) fn more(table: &mut Table, key: &str, new: Option<Value>) -> Result<(), String> {
    let Some((outer, inner)) = key.split_once('.') else {
        if key == "filter" || new.is_none() {
            forget(table, key);
        }
        set(table, key, new);
        return Ok(());
    };
    let there = |name: &&str| FILTERS.contains(&outer) && table.contains_key(name);
    let outer = FILTERS.iter().copied().find(there).unwrap_or(outer);
    // A preset alone may stand for the whole filter.
    if let Some(preset) = table.get(outer).and_then(Item::as_str) {
        let preset = Value::from(preset);
        let short = InlineTable::from_iter([("preset", preset)]);
        table.insert(outer, value(short));
    }
    if !table.contains_key(outer) {
        if new.is_none() {
            return Ok(());
        }
        table.insert(outer, value(InlineTable::new()));
    }
    let inside = table.get_mut(outer).and_then(Item::as_table_like_mut);
    let Some(inside) = inside else {
        return Err(outer.to_owned());
    };
    if inner == "allow_types" && inside.contains_key("cot_types") {
        inside.remove("cot_types");
    }
    match new {
        Some(new) => {
            inside.insert(inner, value(new));
        }
        None => {
            inside.remove(inner);
        }
    }
    if inside.is_empty() {
        table.remove(outer);
    } else if let Some(inline) = table.get_mut(outer).and_then(Item::as_inline_table_mut) {
        inline.fmt();
    }
    Ok(())
}

fn set(table: &mut Table, key: &str, new: Option<toml_edit::Value>) {
    match (table.get_mut(key).and_then(Item::as_value_mut), new) {
        // The remark behind the old value belongs to the key.
        (Some(old), Some(mut new)) => {
            *new.decor_mut() = old.decor().clone();
            *old = new;
        }
        (None, Some(new)) => {
            table.insert(key, value(new));
        }
        (_, None) => {
            table.remove(key);
        }
    }
}

/// The names of all peers.
pub(super) fn names(document: &DocumentMut) -> Vec<String> {
    all(document)
        .filter_map(|table| table.get("name")?.as_str().map(str::to_owned))
        .collect()
}

/// Whether it is the table of that peer.
pub(super) fn is_called(table: &Table, name: &str) -> bool {
    table.get("name").and_then(Item::as_str) == Some(name)
}

/// A peer's name as part of a file name: one name, one file, whatever letters it has.
pub(super) fn file_name(name: &str) -> String {
    let mut safe = String::new();
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => safe.push(byte.into()),
            _ => safe.push_str(&format!("%{byte:02X}")),
        }
    }
    if safe.len() > 120 {
        let crc = crc32fast::hash(name.as_bytes());
        safe.truncate(100);
        safe.push_str(&format!("-{crc:08x}"));
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn different_names_have_different_files() {
        let long = "é".repeat(64);
        let names = [
            "a b",
            "a-b",
            "a%20b",
            "a/b",
            "..",
            "é",
            &long,
            &"è".repeat(64),
        ];
        let files: std::collections::HashSet<String> =
            names.iter().map(|name| file_name(name)).collect();
        assert_eq!(files.len(), names.len());
        assert!(
            files
                .iter()
                .all(|file| file.len() < 200 && !file.contains('/') && !file.starts_with('.'))
        );
    }
}

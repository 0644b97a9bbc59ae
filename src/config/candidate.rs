//! Changing single keys in the text of a configuration that is not in use yet. Nothing is read or written here, and
//! remarks, order and spacing stay as they were.

use std::fmt;

use toml_edit::{ArrayOfTables, DocumentMut, Item, Table, Value};

use super::spec::PeerSpec;
use super::table;

/// Keys whose value is text even when it looks like a number.
const TEXTS: &[&str] = &[
    "name",
    "advertised_host",
    "certificate",
    "key",
    "address",
    "ca_cert",
    "fingerprint",
    "device",
    "gpio",
    "mode",
];

/// Why a text was not changed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum CandidateError {
    /// The text is no TOML to begin with.
    Text(String),
    /// It is no key.
    Key(String),
    /// No such key is set.
    NotSet(String),
    /// No peer of that name.
    NoPeer(String),
    /// A peer of that name is there already.
    Peer(String),
    /// The value cannot be read.
    Value(String),
    /// A hidden password of which nothing is known.
    Hidden(String),
}

impl fmt::Display for CandidateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(cause) => write!(f, "the configuration cannot be edited: {cause}"),
            Self::Key(key) => write!(
                f,
                "`{key}` is no key; write it as node.name, limits.max_clients or peer.NAME.address"
            ),
            Self::NotSet(key) => write!(f, "`{key}` is not set"),
            Self::NoPeer(name) => write!(
                f,
                "there is no peer called \"{name}\"; `peer add` registers one"
            ),
            Self::Peer(name) => write!(f, "a peer called \"{name}\" is there already"),
            Self::Hidden(place) => write!(
                f,
                "`{}` is hidden, and the configuration in use has none there; write the password",
                place.trim_start_matches('.')
            ),
            Self::Value(value) => write!(
                f,
                "`{value}` is no value; write a number, true or false, \"text\", or [\"a\", \"b\"]"
            ),
        }
    }
}

impl std::error::Error for CandidateError {}

/// The text with a key set: `node.name`, `limits.max_clients`, `peer.bravo.address`. A bare word is text where the key
/// takes text; numbers, true, false, lists and quoted texts are as in the file.
///
/// # Errors
/// See [`CandidateError`]. Whether the value makes sense is for [`Config::read`](super::Config::read) to say.
pub fn set(text: &str, key: &str, written: &str) -> Result<String, CandidateError> {
    let mut document = parsed(text)?;
    let new = value_of(key, written)?;
    if let Some(done) = within(&mut document, key, Some(new.clone())) {
        return done.map(|()| document.to_string());
    }
    let (table, key) = find(&mut document, key, true)?;
    match table.get_mut(key).and_then(Item::as_value_mut) {
        // The remark behind the old value belongs to the key.
        Some(old) => {
            let mut new = new;
            *new.decor_mut() = old.decor().clone();
            *old = new;
        }
        None => {
            table.insert(key, Item::Value(new));
        }
    }
    Ok(document.to_string())
}

/// The value of a key such as `node.name`, as it is written; none where it is not set.
///
/// # Errors
/// If the text is no TOML.
pub fn value(text: &str, key: &str) -> Result<Option<String>, CandidateError> {
    let document = parsed(text)?;
    let (table, key) = key.split_once('.').unwrap_or((key, ""));
    let value = document
        .get(table)
        .and_then(|table| table.get(key))
        .and_then(Item::as_value);
    // Without the remark behind it.
    Ok(value.map(|value| value.clone().decorated("", "").to_string()))
}

/// The text without a key: its default counts again.
///
/// # Errors
/// See [`CandidateError`].
pub fn unset(text: &str, key: &str) -> Result<String, CandidateError> {
    let mut document = parsed(text)?;
    if let Some(done) = within(&mut document, key, None) {
        done?;
        let unset = document.to_string();
        let changed = unset != text;
        return changed
            .then_some(unset)
            .ok_or_else(|| CandidateError::NotSet(key.to_owned()));
    }
    let (table, inner) = find(&mut document, key, false)?;
    match table.remove(inner) {
        Some(_) => Ok(document.to_string()),
        None => Err(CandidateError::NotSet(key.to_owned())),
    }
}

/// The text with one more peer, its CA inline.
///
/// # Errors
/// See [`CandidateError`].
pub fn add_peer(text: &str, spec: &PeerSpec) -> Result<String, CandidateError> {
    let mut document = parsed(text)?;
    let remarks = leading_remarks(&mut document);
    let tables = table::made(&mut document)
        .ok_or_else(|| CandidateError::Text("peers must be [[peer]] tables".to_owned()))?;
    if table::of_peer(tables, &spec.name).is_some() {
        return Err(CandidateError::Peer(spec.name.clone()));
    }
    let mut new = table::new(false);
    new.decor_mut().set_prefix(remarks);
    table::fill(&mut new, spec, spec.ca_pem.as_deref());
    tables.push(new);
    Ok(document.to_string())
}

/// The text with a peer set anew, its CA inline: what the spec does not say goes back to its default. A peer that is
/// not there is added.
///
/// # Errors
/// See [`CandidateError`].
pub fn replace_peer(text: &str, spec: &PeerSpec) -> Result<String, CandidateError> {
    let mut document = parsed(text)?;
    let tables = table::made(&mut document)
        .ok_or_else(|| CandidateError::Text("peers must be [[peer]] tables".to_owned()))?;
    match table::of_peer(tables, &spec.name) {
        None => add_peer(text, spec),
        Some(there) => {
            table::fill(there, spec, spec.ca_pem.as_deref());
            Ok(document.to_string())
        }
    }
}

/// The text without a peer.
///
/// # Errors
/// See [`CandidateError`].
pub fn remove_peer(text: &str, name: &str) -> Result<String, CandidateError> {
    let mut document = parsed(text)?;
    let tables = document
        .get_mut("peer")
        .and_then(Item::as_array_of_tables_mut);
    let no_peer = || CandidateError::NoPeer(name.to_owned());
    let tables = tables.ok_or_else(no_peer)?;
    let place = tables
        .iter()
        .position(|table| table::is_called(table, name));
    tables.remove(place.ok_or_else(no_peer)?);
    Ok(document.to_string())
}

/// The text with the CA of every peer inline that stands in a file, as far as `read` gives it: such a text can be used
/// after the files are gone.
pub fn with_authorities(text: &str, read: impl Fn(&str) -> Option<String>) -> String {
    let Ok(mut document) = parsed(text) else {
        return text.to_owned();
    };
    let tables = document
        .get_mut("peer")
        .and_then(Item::as_array_of_tables_mut);
    for table in tables.into_iter().flat_map(ArrayOfTables::iter_mut) {
        let written = table.get_mut("ca_cert").and_then(Item::as_value_mut);
        let Some(value) = written else {
            continue;
        };
        let path = value.as_str().filter(|path| !path.contains("-----BEGIN"));
        if let Some(pem) = path.and_then(&read) {
            let mut inline = Value::from(pem);
            *inline.decor_mut() = value.decor().clone();
            *value = inline;
        }
    }
    document.to_string()
}

/// The names of the peers in a text; none when it cannot be read.
pub fn peer_names(text: &str) -> Vec<String> {
    parsed(text).map_or_else(|_| Vec::new(), |document| table::names(&document))
}

/// The lines that differ, `-` before those that went and `+` before those that came, in the order of the file.
pub fn difference(old: &str, new: &str) -> Vec<String> {
    let (old, new): (Vec<&str>, Vec<&str>) = (old.lines().collect(), new.lines().collect());
    let same_head = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
    let (old, new) = (&old[same_head..], &new[same_head..]);
    let ends = old.iter().rev().zip(new.iter().rev());
    let same_end = ends.take_while(|(a, b)| a == b).count();
    let (old, new) = (&old[..old.len() - same_end], &new[..new.len() - same_end]);
    // The longest common run of lines in between; above a size that no hand edits, all counts as changed.
    let mut lines = Vec::new();
    if old.len() * new.len() > 1_000_000 {
        lines.extend(old.iter().map(|line| format!("- {line}")));
        lines.extend(new.iter().map(|line| format!("+ {line}")));
        return lines;
    }
    let width = new.len() + 1;
    let mut common = vec![0u32; (old.len() + 1) * width];
    for (at, line) in old.iter().enumerate().rev() {
        for (there, other) in new.iter().enumerate().rev() {
            common[at * width + there] = match line == other {
                true => common[(at + 1) * width + there + 1] + 1,
                false => common[(at + 1) * width + there].max(common[at * width + there + 1]),
            };
        }
    }
    let (mut at, mut there) = (0, 0);
    while at < old.len() || there < new.len() {
        if at < old.len() && there < new.len() && old[at] == new[there] {
            (at, there) = (at + 1, there + 1);
        } else if there == new.len()
            || at < old.len() && common[(at + 1) * width + there] >= common[at * width + there + 1]
        {
            lines.push(format!("- {}", old[at]));
            at += 1;
        } else {
            lines.push(format!("+ {}", new[there]));
            there += 1;
        }
    }
    lines
}

fn parsed(text: &str) -> Result<DocumentMut, CandidateError> {
    text.parse().map_err(|error: toml_edit::TomlError| {
        CandidateError::Text(error.message().lines().collect::<Vec<_>>().join(", "))
    })
}

/// Sets or takes away a key of a table within a peer's: `peer.NAME.filter.block_types`. None: it is no such key.
fn within(
    document: &mut DocumentMut,
    key: &str,
    new: Option<Value>,
) -> Option<Result<(), CandidateError>> {
    let (place, last) = key.strip_prefix("peer.")?.rsplit_once('.')?;
    let (name, outer) = place.rsplit_once('.')?;
    let name = name.trim_matches('"');
    if !table::is_inner(outer) || !is_word(last) {
        return None;
    }
    let tables = document
        .get_mut("peer")
        .and_then(Item::as_array_of_tables_mut)?;
    let peer = table::of_peer(tables, name)?;
    let done = table::more(peer, &format!("{outer}.{last}"), new);
    let shape = |outer| {
        let words =
            format!("`{outer}` of \"{name}\" has a table for each direction; set it as a whole");
        CandidateError::Text(words)
    };
    Some(done.map_err(shape))
}

/// The table that a key stands in, made if it is to be, and the key's last part.
fn find<'a, 'k>(
    document: &'a mut DocumentMut,
    key: &'k str,
    make: bool,
) -> Result<(&'a mut Table, &'k str), CandidateError> {
    let no_key = || CandidateError::Key(key.to_owned());
    let (place, last) = key.rsplit_once('.').ok_or_else(no_key)?;
    if !is_word(last) {
        return Err(no_key());
    }
    if let Some(name) = place.strip_prefix("peer.") {
        let name = name.trim_matches('"');
        let no_peer = || CandidateError::NoPeer(name.to_owned());
        let tables = document
            .get_mut("peer")
            .and_then(Item::as_array_of_tables_mut)
            .ok_or_else(no_peer)?;
        return Ok((table::of_peer(tables, name).ok_or_else(no_peer)?, last));
    }
    if !is_word(place) || place == "peer" {
        return Err(no_key());
    }
    if !document.contains_key(place) {
        if !make {
            return Err(CandidateError::NotSet(key.to_owned()));
        }
        let mut table = Table::new();
        table.decor_mut().set_prefix(leading_remarks(document));
        document.insert(place, Item::Table(table));
    }
    let table = document.get_mut(place).and_then(Item::as_table_mut);
    Ok((table.ok_or_else(no_key)?, last))
}

/// What stands before a table that is added: a blank line, or all the remarks of a file that holds nothing else.
fn leading_remarks(document: &mut DocumentMut) -> String {
    if !document.is_empty() {
        return "\n".to_owned();
    }
    let remarks = document.trailing().as_str().unwrap_or_default().to_owned();
    document.set_trailing("");
    match remarks.is_empty() {
        true => remarks,
        false => remarks.trim_end().to_owned() + "\n\n",
    }
}

fn is_word(part: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    !part.is_empty() && part.chars().all(fits)
}

fn value_of(key: &str, written: &str) -> Result<Value, CandidateError> {
    let written = written.trim();
    let last = key.rsplit('.').next().unwrap_or(key);
    let as_in_the_file = written.parse::<Value>().ok();
    match as_in_the_file {
        Some(mut value) if value.is_str() || value.is_array() || !TEXTS.contains(&last) => {
            value.decor_mut().clear();
            Ok(value)
        }
        // It began as something else and is not well-formed.
        None if written.starts_with(['"', '\'', '[', '{']) => {
            Err(CandidateError::Value(written.to_owned()))
        }
        _ => Ok(Value::from(written)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TEXT: &str =
        "# head\n[node]\nname = \"alpha\" # ours\n\n[[peer]]\nname = \"bra.vo\"\naddress = \"x\"\n";

    #[test]
    fn keys_are_set_where_they_stand_and_remarks_stay() {
        let text = set(TEXT, "node.name", "bravo").unwrap();
        assert!(
            text.contains("# head\n[node]\nname = \"bravo\" # ours"),
            "{text}"
        );
        let text = set(&text, "node.name", "7").unwrap();
        assert!(text.contains("name = \"7\" # ours"), "{text}");
        let text = set(&text, "limits.max_clients", "12").unwrap();
        assert!(text.contains("\n[limits]\nmax_clients = 12\n"), "{text}");
        let text = set(&text, "peer.bra.vo.enabled", "false").unwrap();
        assert!(
            text.contains("address = \"x\"\nenabled = false\n"),
            "{text}"
        );
        let text = set(&text, "listen.federation", "[\"0.0.0.0:1\", \"0.0.0.0:2\"]").unwrap();
        assert!(
            text.contains("federation = [\"0.0.0.0:1\", \"0.0.0.0:2\"]"),
            "{text}"
        );
        let text = set(&text, "listen.clients_tcp", "127.0.0.1:5").unwrap();
        assert!(text.contains("clients_tcp = \"127.0.0.1:5\""), "{text}");
    }

    #[test]
    fn what_was_set_is_unset_again() {
        let text = set(TEXT, "node.advertised_host", "h").unwrap();
        assert_eq!(unset(&text, "node.advertised_host").unwrap(), TEXT);
        for (key, fault) in [
            (
                "node.advertised_host",
                CandidateError::NotSet("node.advertised_host".into()),
            ),
            ("listen.api", CandidateError::NotSet("listen.api".into())),
            ("peer.x.address", CandidateError::NoPeer("x".into())),
            ("node", CandidateError::Key("node".into())),
            ("node.", CandidateError::Key("node.".into())),
            ("peer.address", CandidateError::Key("peer.address".into())),
        ] {
            assert_eq!(unset(TEXT, key), Err(fault), "{key}");
        }
    }

    #[test]
    fn a_peer_is_added_with_its_authority_inline() {
        let pem = crate::config::authority::tests::certificate("charlie", true);
        let mut spec = PeerSpec::of("charlie");
        spec.ca_pem = Some(pem);
        let text = add_peer("", &spec).unwrap();
        let config = crate::config::Config::parse(&text, std::path::Path::new("")).unwrap();
        assert_eq!(config.peers[0].authorities.len(), 1);
        assert_eq!(
            add_peer(&text, &spec),
            Err(CandidateError::Peer("charlie".into()))
        );
    }

    #[test]
    fn differences_are_lines() {
        let changed = set(TEXT, "node.name", "b").unwrap();
        assert_eq!(
            difference(TEXT, &changed),
            ["- name = \"alpha\" # ours", "+ name = \"b\" # ours"]
        );
        assert!(difference(TEXT, TEXT).is_empty());
        assert_eq!(difference("", "a"), ["+ a"]);
        assert_eq!(difference("a\nb\nc\nd\n", "a\nc\nx\nd\n"), ["- b", "+ x"]);
    }

    proptest! {
        #[test]
        fn nothing_that_is_typed_breaks_the_text(key in ".{0,24}", known in "(node.name|limits.memory_mib|peer.bra.vo.address|listen.api)", value in ".{0,24}") {
            for key in [key.as_str(), known.as_str()] {
                if let Ok(text) = set(TEXT, key, &value) {
                    prop_assert!(text.parse::<DocumentMut>().is_ok(), "{}", text);
                    let _ = unset(&text, key);
                }
            }
        }

        #[test]
        fn a_difference_holds_every_line_that_changed(old in "([a-c]\n){0,9}", new in "([a-c]\n){0,9}") {
            let lines = difference(&old, &new);
            let gone = lines.iter().filter(|line| line.starts_with('-')).count();
            let come = lines.iter().filter(|line| line.starts_with('+')).count();
            prop_assert_eq!(old.lines().count() - gone, new.lines().count() - come);
            prop_assert_eq!(lines.is_empty(), old == new);
        }
    }
}

//! `filters` of a federate, in the shape of the documents (checklist S12, S16, S32), as keys of `[[peer]]`.

use std::collections::BTreeMap;

use super::fields::{Field, Kind, Members, may};
use super::problem::Problem;
use crate::config::filter::{Direction, MOST_RULES};
use crate::config::written::{KeyChanges, Written, unknown_peer_key};

const RULES: Kind = Kind::Words(MOST_RULES as u32);

/// What a filter is described by.
pub const FILTERS: &[Field] = &[
    may("cot_types", RULES, "beginnings of the CoT types that pass"),
    may("allow_types", RULES, "the same"),
    may(
        "block_types",
        RULES,
        "beginnings of the CoT types that do not pass, whatever else is said",
    ),
    may(
        "allow_callsigns",
        RULES,
        "callsigns whose events pass, with * and ?",
    ),
    may(
        "block_callsigns",
        RULES,
        "callsigns whose events do not pass, whatever else is said",
    ),
    may(
        "preset",
        Kind::Text(64),
        "types by the names people use, such as tracks+chat+emergencies",
    ),
    may("groups", RULES, "groups whose events pass"),
    may(
        "direction",
        Kind::Choice(&["in", "out", "both"]),
        "which way the filter looks; both without",
    ),
];

/// How a filter may be called.
pub const NAMES: [&str; 2] = ["filters", "federation_filter"];
const GROUPS: [(Direction, &str); 2] = [
    (Direction::In, "inbound_groups"),
    (Direction::Out, "outbound_groups"),
];

/// The keys that a request's filter sets, and takes away: a filter is always set as a whole.
///
/// # Errors
/// What is wrong with it, and the key.
pub fn keys(members: &Members) -> Result<KeyChanges, Problem> {
    let mut changes = KeyChanges::new();
    for name in NAMES {
        if members.is_null(name) {
            changes.insert("filter".to_owned(), None);
            for (_, key) in GROUPS.iter().filter(|(_, key)| is_known(key)) {
                changes.insert((*key).to_owned(), None);
            }
        }
        if let Some(filter) = members.object(name) {
            one(name, &filter, &mut changes)?;
        }
    }
    Ok(changes)
}

fn one(name: &str, filter: &Members, changes: &mut KeyChanges) -> Result<(), Problem> {
    let mut rules = BTreeMap::new();
    for (key, ours) in [
        ("cot_types", "allow_types"),
        ("allow_types", "allow_types"),
        ("block_types", "block_types"),
        ("allow_callsigns", "allow_callsigns"),
        ("block_callsigns", "block_callsigns"),
    ] {
        if let Some(list) = filter.words(key).filter(|list| !list.is_empty()) {
            rules.insert(ours.to_owned(), Written::List(list));
        }
    }
    if let Some(preset) = filter.text("preset") {
        rules.insert("preset".to_owned(), Written::Text(preset.to_owned()));
    }
    let word = filter.text("direction").unwrap_or("both");
    let direction = Direction::of(word).unwrap_or_default();
    let groups = filter.words("groups").filter(|groups| !groups.is_empty());
    if let Some(groups) = &groups {
        for (way, key) in GROUPS {
            // To take the peer and not the filter would send it what it must not get.
            if !is_known(key) {
                let words = "this release does not filter by group; take it out to exchange with all of them";
                return Err(Problem::of_key(&format!("{name}.groups"), words));
            }
            let looks = direction == Direction::Both || direction == way;
            let list = looks.then(|| Written::List(groups.clone()));
            changes.insert(key.to_owned(), list);
        }
    }
    if rules.is_empty() {
        if groups.is_none() {
            let words = "it says nothing that could pass or be stopped; give cot_types, groups or another rule, or null \
                         to take the filter away";
            return Err(Problem::of_key(name, words));
        }
        changes.insert("filter".to_owned(), None);
        return Ok(());
    }
    if direction != Direction::Both {
        rules.insert("direction".to_owned(), Written::Text(word.to_owned()));
    }
    changes.insert("filter".to_owned(), Some(Written::Table(rules)));
    Ok(())
}

/// This release has such a key.
fn is_known(key: &str) -> bool {
    unknown_peer_key(key).is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &[Field] = &[may("filters", Kind::Object(FILTERS), "x")];

    fn read(text: &str) -> Result<KeyChanges, Problem> {
        keys(&Members::read(text.as_bytes(), BODY).unwrap())
    }

    #[test]
    fn the_filter_of_the_documents_becomes_keys() {
        let changes =
            read(r#"{"filters":{"cot_types":["a-f-","t-x-m-c"],"direction":"out"}}"#).unwrap();
        let Some(Some(Written::Table(rules))) = changes.get("filter") else {
            panic!("{changes:?}");
        };
        let types = vec!["a-f-".to_owned(), "t-x-m-c".to_owned()];
        assert_eq!(rules["allow_types"], Written::List(types));
        assert_eq!(rules["direction"], Written::Text("out".into()));
        assert_eq!(read(r#"{"filters":null}"#).unwrap()["filter"], None);
        assert!(read("{}").unwrap().is_empty());
        assert_eq!(
            read(r#"{"filters":{}}"#).unwrap_err().key.as_deref(),
            Some("filters")
        );
    }

    #[test]
    fn groups_go_to_the_ways_that_the_filter_looks() {
        let changes = read(r#"{"filters":{"groups":["Blue"],"direction":"in"}}"#);
        match is_known("inbound_groups") {
            true => {
                let changes = changes.unwrap();
                let blue = Some(Written::List(vec!["Blue".into()]));
                assert_eq!(changes["inbound_groups"], blue);
                assert_eq!(changes["outbound_groups"], None);
                assert_eq!(changes["filter"], None);
            }
            false => assert_eq!(changes.unwrap_err().key.as_deref(), Some("filters.groups")),
        }
    }
}

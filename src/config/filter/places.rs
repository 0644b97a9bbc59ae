//! Where the rules of filters stand in a file, for remarks on them.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::config::raw;

/// A filter of a neighbour in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilterPlace {
    /// The table it belongs to: `peer` and the like.
    pub table: String,
    /// The neighbour's name.
    pub name: String,
    /// Keys and rules in it, each with its line, counted from 1: the key alone, or the key and a rule of its list.
    lines: Vec<(String, Option<String>, usize)>,
    /// The line where it begins.
    pub line: usize,
}

impl FilterPlace {
    /// The line of a rule, else of its key, else of the filter.
    pub fn line_of(&self, key: &str, rule: &str) -> usize {
        let same = |written: &str| written == key || key == "allow_types" && written == "cot_types";
        let find = |wanted: Option<&str>| {
            (self.lines.iter())
                .find(|(written, text, _)| same(written) && text.as_deref() == wanted)
                .map(|&(_, _, line)| line)
        };
        find(Some(rule)).or_else(|| find(None)).unwrap_or(self.line)
    }
}

/// Every filter of a text; none when it is no TOML.
pub fn places(text: &str) -> Vec<FilterPlace> {
    let Ok(document) = DeTable::parse(text) else {
        return Vec::new();
    };
    let line = |byte: usize| {
        1 + text
            .bytes()
            .take(byte)
            .filter(|&byte| byte == b'\n')
            .count()
    };
    let mut found = Vec::new();
    for (table, items) in document.get_ref() {
        let DeValue::Array(items) = items.get_ref() else {
            continue;
        };
        for item in items {
            let DeValue::Table(neighbour) = item.get_ref() else {
                continue;
            };
            let name = match neighbour.get("name").map(Spanned::get_ref) {
                Some(DeValue::String(name)) => name.to_string(),
                _ => String::new(),
            };
            for (key, value) in neighbour {
                if raw::inner_table(table.get_ref(), key.get_ref()).is_none() {
                    continue;
                }
                let mut place = FilterPlace {
                    table: table.get_ref().to_string(),
                    name: name.clone(),
                    lines: Vec::new(),
                    line: line(key.span().start),
                };
                match value.get_ref() {
                    DeValue::Table(filter) => note(&mut place, filter, &line),
                    DeValue::Array(filters) => {
                        for filter in filters {
                            if let DeValue::Table(filter) = filter.get_ref() {
                                note(&mut place, filter, &line);
                            }
                        }
                    }
                    _ => {}
                }
                found.push(place);
            }
        }
    }
    found
}

fn note(place: &mut FilterPlace, filter: &DeTable<'_>, line: &impl Fn(usize) -> usize) {
    for (key, value) in filter {
        let name = key.get_ref().to_string();
        if let DeValue::Array(rules) = value.get_ref() {
            for rule in rules {
                if let DeValue::String(text) = rule.get_ref() {
                    let at = line(rule.span().start);
                    (place.lines).push((name.clone(), Some(text.to_string()), at));
                }
            }
        }
        place.lines.push((name, None, line(key.span().start)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_found_line_by_line() {
        let text = "[[peer]]\nname = \"a\"\nfilter = { block_types = [\"a-h\"] }\n\n[[peer]]\nname = \"b\"\n\
                    [peer.filter]\npreset = \"tracks\"\nallow_types = [\n  \"a-f\",\n  \"t-x-m-c\",\n]\n";
        let found = places(text);
        assert_eq!(found.len(), 2);
        assert_eq!((found[0].name.as_str(), found[0].line), ("a", 3));
        assert_eq!(found[0].line_of("block_types", "a-h"), 3);
        let b = &found[1];
        assert_eq!(b.line_of("allow_types", "t-x-m-c"), 11);
        assert_eq!(b.line_of("allow_types", ""), 9);
        assert_eq!(b.line_of("preset", ""), 8);
        assert_eq!(b.line_of("block_callsigns", "x"), 7);
        assert!(places("not toml [").is_empty());
    }
}

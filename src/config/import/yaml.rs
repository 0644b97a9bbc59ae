//! The little of YAML that `FTSConfig.yaml` is written in: sections, and in each of them keys with plain values.
//! Everything else of YAML is refused with its line, rather than half understood.

use super::found::Unreadable;

/// Most lines.
const MOST_LINES: usize = 2000;

/// One key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its section; empty: it stands outside of any.
    pub section: String,
    /// The key.
    pub key: String,
    /// Its value, without quotes.
    pub value: String,
    /// Its line, counted from 1.
    pub line: usize,
}

/// Reads all keys.
///
/// # Errors
/// The first line that is something else.
pub fn read(text: &str) -> Result<Vec<Entry>, Unreadable> {
    let mut entries: Vec<Entry> = Vec::new();
    let mut sections: Vec<String> = Vec::new();
    // The section that is open, and how far its keys stand in.
    let mut open: Option<(String, Option<usize>)> = None;
    for (number, written) in text.lines().enumerate() {
        let line = number + 1;
        let bad = |fault: &str, cure: &str| {
            Err(Unreadable {
                line,
                fault: fault.to_owned(),
                cure: cure.to_owned(),
            })
        };
        if number == MOST_LINES {
            return bad("it has more than 2000 lines", "is it an FTSConfig.yaml?");
        }
        let inner = written.trim_start_matches(' ');
        let indent = written.len() - inner.len();
        let inner = inner.trim_end();
        if inner.is_empty()
            || inner.starts_with('#')
            || (indent == 0 && matches!(inner, "---" | "..."))
        {
            continue;
        }
        if inner.starts_with('\t') {
            return bad("a tab stands before the key", "YAML wants spaces");
        }
        let Some((key, behind)) = split(inner) else {
            return bad(
                "this is no `key: value`",
                "write sections with keys and plain values; lists, nested keys, anchors and tags are not read",
            );
        };
        let value = match value(behind) {
            Ok(value) => value,
            Err(fault) => return bad(fault, "write the value itself, in \"quotes\" if need be"),
        };
        match (indent, value) {
            (0, None) => {
                if sections.iter().any(|known| known == key) {
                    return bad("the section is there twice", "keep one of both");
                }
                sections.push(key.to_owned());
                open = Some((key.to_owned(), None));
            }
            (0, Some(value)) => {
                open = None;
                add(&mut entries, "", key, value, line)?;
            }
            (_, value) => {
                let Some((section, inside)) = &mut open else {
                    return bad(
                        "it stands further in than its section",
                        "put spaces before a key within a section only",
                    );
                };
                if *inside.get_or_insert(indent) != indent {
                    return bad(
                        "the keys of a section do not stand in one line",
                        "nested keys are not read",
                    );
                }
                let section = section.clone();
                add(&mut entries, &section, key, value.unwrap_or_default(), line)?;
            }
        }
    }
    Ok(entries)
}

fn add(
    entries: &mut Vec<Entry>,
    section: &str,
    key: &str,
    value: String,
    line: usize,
) -> Result<(), Unreadable> {
    if entries
        .iter()
        .any(|entry| entry.section == section && entry.key == key)
    {
        return Err(Unreadable {
            line,
            fault: format!("{key} is there twice"),
            cure: "keep one of both".to_owned(),
        });
    }
    entries.push(Entry {
        section: section.to_owned(),
        key: key.to_owned(),
        value,
        line,
    });
    Ok(())
}

/// The key, and what stands behind its colon.
fn split(inner: &str) -> Option<(&str, &str)> {
    let (key, behind) = inner.split_once(':')?;
    let is_plain = |letter: char| letter.is_alphanumeric() || matches!(letter, '_' | '-' | '.');
    let is_key = !key.is_empty() && key.chars().all(is_plain) && !key.starts_with('-');
    (is_key && (behind.is_empty() || behind.starts_with([' ', '\t'])))
        .then_some((key, behind.trim()))
}

/// A plain or quoted value; none where there is none.
fn value(behind: &str) -> Result<Option<String>, &'static str> {
    let comment = |rest: &str| {
        let rest = rest.trim_start();
        match rest.is_empty() || rest.starts_with('#') {
            true => Ok(()),
            false => Err("something stands behind the closing quote"),
        }
    };
    let mut letters = behind.chars();
    match letters.next() {
        None | Some('#') => Ok(None),
        Some('"') => {
            let mut value = String::new();
            loop {
                match letters.next().ok_or("a quote is not closed")? {
                    '"' => break,
                    '\\' => value.push(match letters.next() {
                        Some('n') => '\n',
                        Some('t') => '\t',
                        Some(letter @ ('\\' | '"' | '/')) => letter,
                        _ => return Err("this backslash is not read"),
                    }),
                    letter => value.push(letter),
                }
            }
            comment(letters.as_str()).map(|()| Some(value))
        }
        Some('\'') => {
            let mut value = String::new();
            loop {
                match letters.next().ok_or("a quote is not closed")? {
                    '\'' if letters.as_str().starts_with('\'') => {
                        letters.next();
                        value.push('\'');
                    }
                    '\'' => break,
                    letter => value.push(letter),
                }
            }
            comment(letters.as_str()).map(|()| Some(value))
        }
        Some('&' | '*') => Err("anchors and aliases are not read"),
        Some('!') => Err("tags are not read"),
        Some('{' | '[') => Err("lists and tables in brackets are not read"),
        Some('|' | '>') => Err("texts of several lines are not read"),
        Some('%' | '@' | '`') => Err("a value does not begin with this sign"),
        Some(_) => {
            let end = behind.find(" #").unwrap_or(behind.len());
            let plain = behind[..end].trim_end();
            match plain.contains(": ") || plain.ends_with(':') {
                true => Err("there is a colon in the value"),
                false => Ok(Some(plain.to_owned())),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn sections_keys_quotes_and_remarks() {
        let text = "---\n# FreeTAKServer\nSystem: # all of it\n  FTS_NODE_ID: \"a \\\"b\\\"\" # x\n\nAddresses:\n    P: 9000\n    \
                    Q: it's # not\n    U: http://x:1/\n    N:\nOTHER: 'it''s'\n";
        let entries = read(text).unwrap();
        let shown: Vec<String> = (entries.iter())
            .map(|entry| {
                format!(
                    "{}/{}={}@{}",
                    entry.section, entry.key, entry.value, entry.line
                )
            })
            .collect();
        assert_eq!(
            shown,
            [
                "System/FTS_NODE_ID=a \"b\"@4",
                "Addresses/P=9000@7",
                "Addresses/Q=it's@8",
                "Addresses/U=http://x:1/@9",
                "Addresses/N=@10",
                "/OTHER=it's@11"
            ]
        );
    }

    #[test]
    fn everything_else_of_yaml_is_refused_with_its_line() {
        for (text, line, words) in [
            ("A:\n  b: &x 1\n", 2, "anchors"),
            ("A:\n  b: *x\n", 2, "anchors"),
            ("A:\n  b: !!str 1\n", 2, "tags"),
            ("A:\n  b: [1]\n", 2, "brackets"),
            ("A: {b: 1}\n", 1, "brackets"),
            ("A:\n  b: |\n    x\n", 2, "several lines"),
            ("A:\n  - b\n", 2, "no `key: value`"),
            ("A:\n\tb: 1\n", 2, "a tab"),
            ("A:\n  b:\n    c: 1\n", 3, "nested"),
            ("  b: 1\n", 1, "further in"),
            ("A:\n  b: 1\n  b: 2\n", 3, "twice"),
            ("A:\nA:\n", 2, "twice"),
            ("A:\n  b: \"x\n", 2, "not closed"),
            ("A:\n  b: \"x\" y\n", 2, "closing quote"),
            ("A:\n  b: c: d\n", 2, "a colon"),
            ("? a\n", 1, "no `key: value`"),
            ("<<: *a\n", 1, "no `key: value`"),
        ] {
            let fault = read(text).unwrap_err();
            assert_eq!(fault.line, line, "{text}");
            assert!(fault.to_string().contains(words), "{text}: {fault}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[A-b:#'\"\\\\ \t\n&*!\\[{|>é-]{0,60}") {
            let _ = read(&text);
        }
    }
}

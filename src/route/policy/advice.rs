//! What is worth a word in a filter: rules that do something else than their writer expects, or nothing.

use crate::config::filter::{Filter, Filters, Preset, type_prefix};
use crate::cot::class;

/// How much it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// It may be meant so, and then all is well.
    Note,
    /// Hardly meant so.
    Warning,
}

impl Level {
    /// The word in front.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Warning => "warning",
        }
    }
}

/// One remark on a filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advice {
    /// How much it matters.
    pub level: Level,
    /// One word that scripts may rely on.
    pub word: &'static str,
    /// The key it is about.
    pub key: &'static str,
    /// The rule as it is written; empty when it is about the whole list.
    pub rule: String,
    /// What is so, and what to write instead.
    pub text: String,
}

/// What is to be said about the filters of one neighbour; what is the same both ways is said once.
pub fn of(filters: &Filters) -> Vec<Advice> {
    let mut all: Vec<Advice> = Vec::new();
    for filter in [&filters.incoming, &filters.outgoing].into_iter().flatten() {
        for advice in of_one(filter) {
            if !all.contains(&advice) {
                all.push(advice);
            }
        }
    }
    all
}

fn of_one(filter: &Filter) -> Vec<Advice> {
    let mut all = Vec::new();
    blocked(filter, &mut all);
    allowed(filter, &mut all);
    repeated("block_types", &filter.block_types, &mut all);
    repeated("allow_types", &filter.allow_types, &mut all);
    callsigns(filter, &mut all);
    all
}

fn add(
    all: &mut Vec<Advice>,
    level: Level,
    word: &'static str,
    key: &'static str,
    rule: &str,
    text: impl Into<String>,
) {
    all.push(Advice {
        level,
        word,
        key,
        rule: rule.to_owned(),
        text: text.into(),
    });
}

fn blocked(filter: &Filter, all: &mut Vec<Advice>) {
    let key = "block_types";
    for rule in &filter.block_types {
        let Ok(prefix) = type_prefix(rule) else {
            continue;
        };
        if prefix == "b" {
            add(
                all,
                Level::Warning,
                "blocks_chat",
                key,
                rule,
                "`b-` is not a sensor feed: it holds chat (b-t-f), markers (b-m), file transfers (b-f-t) and the \
                 emergencies. Emergencies pass all the same, chat and markers do not; block what is meant, such as \
                 \"b-m\" or \"b-i-v\"",
            );
        } else if covers(prefix, "b-t-f") {
            add(
                all,
                Level::Warning,
                "blocks_chat",
                key,
                rule,
                "it stops chat, which is b-t-f",
            );
        }
        if class::is_emergency(prefix.as_bytes()) {
            add(
                all,
                Level::Warning,
                "blocks_emergencies",
                key,
                rule,
                "it names emergencies, so these calls for help do not cross this link: 911 and its kin are b-a, \
                 CASEVAC is b-r-f-h-c. Without a rule that names them they always pass",
            );
        }
        if covers(prefix, "t-x-d-d") {
            add(
                all,
                Level::Warning,
                "blocks_deletes",
                key,
                rule,
                "it stops deletes (t-x-d-d): what is deleted on one side stays on the maps of the other until it is stale",
            );
        }
        if let Some(text) = never(prefix) {
            add(all, Level::Warning, "cannot_match", key, rule, text);
        }
    }
}

fn allowed(filter: &Filter, all: &mut Vec<Advice>) {
    let key = "allow_types";
    let preset: Vec<&str> = (filter.preset.iter())
        .flat_map(Preset::parts)
        .flat_map(|part| part.types().iter().copied())
        .collect();
    let everything = (filter.preset.as_ref()).is_some_and(Preset::is_everything);
    let lists = || {
        preset.iter().copied().chain(
            filter
                .allow_types
                .iter()
                .filter_map(|rule| type_prefix(rule).ok()),
        )
    };
    let allows = |kind: &str| everything || lists().any(|prefix| covers(prefix, kind));
    for rule in &filter.allow_types {
        let Ok(prefix) = type_prefix(rule) else {
            continue;
        };
        if everything {
            add(
                all,
                Level::Warning,
                "no_effect",
                key,
                rule,
                "the preset is everything, so the list allows nothing more",
            );
            continue;
        }
        if covers("t-x-m", prefix) {
            add(
                all,
                Level::Warning,
                "not_chat",
                key,
                rule,
                if allows("b-t-f") {
                    "it is a mission change and not chat; mission changes never cross federation. Chat is b-t-f, which is allowed"
                } else {
                    "it is a mission change and not chat; mission changes never cross federation. Chat is b-t-f: write \
                 \"b-t-f\" beside or instead"
                },
            );
        } else if covers(prefix, "t-x-m") && !prefix.is_empty() && !allows("b-t-f") {
            add(
                all,
                Level::Warning,
                "not_chat",
                key,
                rule,
                "these are control messages; chat is b-t-f, which is not allowed",
            );
        } else if let Some(text) = never(prefix) {
            add(all, Level::Warning, "cannot_match", key, rule, text);
        }
        let block = filter
            .block_types
            .iter()
            .find(|block| type_prefix(block).is_ok_and(|block| covers(block, prefix)));
        if let Some(block) = block {
            add(
                all,
                Level::Warning,
                "shadowed",
                key,
                rule,
                format!(
                    "it lets nothing through: \"{block}\" in block_types covers it, and block wins over allow"
                ),
            );
        }
    }
    if filter.allow_types.is_empty() || everything {
        return;
    }
    if !["b-a", "b-r-f-h-c"].into_iter().all(allows) {
        add(
            all,
            Level::Note,
            "emergencies_pass",
            key,
            "",
            "emergencies (b-a, b-r-f-h-c) are not listed and pass all the same; only a blocked type that names them stops them",
        );
    }
    let mistaken = all.iter().any(|advice| advice.word == "not_chat");
    if !allows("b-t-f") && !mistaken {
        add(
            all,
            Level::Note,
            "no_chat",
            key,
            "",
            "chat (b-t-f) is not listed, so it does not cross",
        );
    }
}

fn repeated(key: &'static str, rules: &[String], all: &mut Vec<Advice>) {
    for (at, rule) in rules.iter().enumerate() {
        let Ok(prefix) = type_prefix(rule) else {
            continue;
        };
        let other = rules.iter().enumerate().find(|&(there, other)| {
            type_prefix(other)
                .is_ok_and(|other| covers(other, prefix) && (other != prefix || there < at))
        });
        if let Some((_, other)) = other {
            add(
                all,
                Level::Warning,
                "covered",
                key,
                rule,
                format!("\"{other}\" covers it already"),
            );
        }
    }
}

fn callsigns(filter: &Filter, all: &mut Vec<Advice>) {
    let everyone = |rule: &&String| rule.bytes().all(|byte| byte == b'*');
    if let Some(rule) = filter.block_callsigns.iter().find(everyone) {
        add(
            all,
            Level::Warning,
            "blocks_everybody",
            "block_callsigns",
            rule,
            "it is everybody's callsign: only emergencies pass, and events without a callsign",
        );
    }
    for rule in &filter.allow_callsigns {
        if filter
            .block_callsigns
            .iter()
            .any(|block| block.eq_ignore_ascii_case(rule))
        {
            add(
                all,
                Level::Warning,
                "shadowed",
                "allow_callsigns",
                rule,
                "it lets nobody through: block_callsigns has the same pattern, and block wins over allow",
            );
        }
    }
    if !filter.allow_callsigns.is_empty() {
        add(
            all,
            Level::Note,
            "nameless",
            "allow_callsigns",
            "",
            "events of which no callsign is known, such as tracks of a sensor, do not pass; emergencies do",
        );
    }
}

/// Why no event that crosses a link is of that type, if so.
fn never(prefix: &str) -> Option<&'static str> {
    let mut parts = prefix.split('-');
    let (first, second, third) = (parts.next()?, parts.next(), parts.next());
    if prefix.is_empty() {
        return None;
    }
    match first {
        "A" | "B" | "C" | "R" | "T" | "U" | "Y" => {
            return Some("no type is like that: types begin with a small letter, such as a-f-G");
        }
        "a" | "b" | "c" | "r" | "t" | "u" | "y" => {}
        _ => return Some("no type is like that: types begin with a-, b-, t- or u-, such as a-f-G"),
    }
    let one = |part: Option<&str>, set: &str| {
        part.is_none_or(|part| part.is_empty() || part.len() == 1 && set.contains(part))
    };
    if first == "a" && !one(second, ".pufanshjkox") {
        return Some(
            "no position is like that: behind a- stands who it is, one of f, h, n, u and so on in a small letter",
        );
    }
    if first == "a" && !one(third, ".PAGSUFXZE") {
        return Some(
            "no position is like that: the third part is where it is, one capital letter such as G, A, S or U",
        );
    }
    let kind = prefix.as_bytes();
    if class::is_for_server(kind) {
        return Some("such messages end at the server they are sent to and never cross a link");
    }
    if class::is_mission_change(kind) {
        return Some("mission changes never cross federation");
    }
    None
}

fn covers(prefix: &str, kind: &str) -> bool {
    match kind.strip_prefix(prefix) {
        Some(rest) => prefix.is_empty() || rest.is_empty() || rest.starts_with('-'),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(list: &[&str]) -> Vec<String> {
        list.iter().map(|&text| text.to_owned()).collect()
    }

    fn words(filter: Filter) -> Vec<String> {
        let said = of(&Filters {
            incoming: Some(filter.clone()),
            outgoing: Some(filter),
        });
        said.iter()
            .map(|advice| {
                format!("{} {} {}", advice.word, advice.key, advice.rule)
                    .trim()
                    .to_owned()
            })
            .collect()
    }

    fn types(allow: &[&str], block: &[&str]) -> Vec<String> {
        words(Filter {
            allow_types: texts(allow),
            block_types: texts(block),
            ..Filter::default()
        })
    }

    #[test]
    fn the_seeds_table_is_warned_of() {
        assert_eq!(
            types(&["a-f-", "a-n-", "t-x-m-c"], &["b-"]),
            [
                "blocks_chat block_types b-",
                "not_chat allow_types t-x-m-c",
                "emergencies_pass allow_types"
            ]
        );
        assert_eq!(types(&["a", "b-t-f", "b-a", "b-r-f-h-c"], &[]), [""; 0]);
        assert_eq!(
            types(&["a-f-G", "b-m-p", "t-x"], &["a-h"])[0],
            "not_chat allow_types t-x"
        );
    }

    #[test]
    fn rules_that_do_nothing_or_too_much_are_named() {
        for (allow, block, word) in [
            (&[][..], &["b-a"][..], "blocks_emergencies block_types b-a"),
            (
                &[],
                &["b-r-f-h-c"],
                "blocks_emergencies block_types b-r-f-h-c",
            ),
            (&[], &["b-t"], "blocks_chat block_types b-t"),
            (&[], &["t-x"], "blocks_deletes block_types t-x"),
            (&[], &["friendly"], "cannot_match block_types friendly"),
            (&[], &["A-f"], "cannot_match block_types A-f"),
            (&[], &["a-F-G"], "cannot_match block_types a-F-G"),
            (&[], &["a-f-g"], "cannot_match block_types a-f-g"),
            (&[], &["t-x-takp"], "cannot_match block_types t-x-takp"),
            (&[], &["a-h", "a-h-G"], "covered block_types a-h-G"),
            (&[], &["a-h", "a-h-"], "covered block_types a-h-"),
            (&["a-f"], &["a"], "shadowed allow_types a-f"),
            (&["a-f"], &[], "no_chat allow_types"),
        ] {
            let words = types(allow, block);
            assert!(words.iter().any(|said| said == word), "{word}: {words:?}");
        }
        assert_eq!(types(&[], &["a-h", "a-u-A", "u-d", "b-m"]), [""; 0]);
    }

    #[test]
    fn presets_and_callsigns_are_looked_at_too() {
        let preset = |text: &str| Some(Preset::parse(text).unwrap());
        let open = Filter {
            preset: preset("everything"),
            allow_types: texts(&["a-f"]),
            ..Filter::default()
        };
        assert_eq!(words(open), ["no_effect allow_types a-f"]);
        let more = Filter {
            preset: preset("tracks+chat+emergencies"),
            allow_types: texts(&["u-d"]),
            ..Filter::default()
        };
        assert_eq!(words(more), [""; 0]);
        let names = Filter {
            allow_callsigns: texts(&["ALPHA*"]),
            block_callsigns: texts(&["alpha*", "*"]),
            ..Filter::default()
        };
        assert_eq!(
            words(names),
            [
                "blocks_everybody block_callsigns *",
                "shadowed allow_callsigns ALPHA*",
                "nameless allow_callsigns"
            ]
        );
    }
}

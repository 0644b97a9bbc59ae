//! `filter` of a `[[peer]]` and of every other neighbour: which types and callsigns may cross, as it is written.
//!
//! What the rules mean is `route::policy`'s to say; here they are read, checked and kept in the words of whoever wrote
//! them.

pub mod places;
mod preset;

use std::fmt;

use serde::de::{self, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use toml::Spanned;

use super::error::ConfigError;
use super::limits::Limits;
use super::reader::Reader;
pub use preset::{PRESET_CURE, Part, Preset};

/// Keys of a filter, for suggestions.
pub(super) const FILTER_KEYS: &[&str] = &[
    "preset",
    "allow_types",
    "block_types",
    "allow_callsigns",
    "block_callsigns",
    "direction",
    "cot_types",
];

/// Longest type or pattern, bytes.
pub const LONGEST_RULE: usize = 64;
/// Most rules of one filter: `why` names a rule by a number of one byte.
pub const MOST_RULES: usize = 250;

/// What may cross a link, each way; none = everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filters {
    /// What the neighbour sends.
    pub incoming: Option<Filter>,
    /// What is sent to the neighbour.
    pub outgoing: Option<Filter>,
}

/// One filter, in the words it was written in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Types that pass, by the names people use; they pass beside `allow_types`.
    pub preset: Option<Preset>,
    /// Types that pass, each with everything below it; empty = all, if there is no preset either.
    pub allow_types: Vec<String>,
    /// Types that do not pass, whatever else is said.
    pub block_types: Vec<String>,
    /// Patterns of the callsigns whose events pass; empty = all.
    pub allow_callsigns: Vec<String>,
    /// Patterns of the callsigns whose events do not pass, whatever else is said.
    pub block_callsigns: Vec<String>,
}

impl Filter {
    /// How many rules it has.
    pub fn rules(&self) -> usize {
        self.preset
            .as_ref()
            .map_or(0, |preset| preset.parts().len())
            + self.allow_types.len()
            + self.block_types.len()
            + self.allow_callsigns.len()
            + self.block_callsigns.len()
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut between = "";
        if let Some(preset) = &self.preset {
            write!(f, "preset = \"{preset}\"")?;
            between = ", ";
        }
        for (key, list) in [
            ("allow_types", &self.allow_types),
            ("block_types", &self.block_types),
            ("allow_callsigns", &self.allow_callsigns),
            ("block_callsigns", &self.block_callsigns),
        ] {
            if !list.is_empty() {
                write!(f, "{between}{key} = [\"{}\"]", list.join("\", \""))?;
                between = ", ";
            }
        }
        Ok(())
    }
}

impl fmt::Display for Filters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.incoming, &self.outgoing) {
            (None, None) => f.write_str("everything may cross"),
            (Some(one), Some(other)) if one == other => write!(f, "both ways {one}"),
            (Some(one), None) => write!(f, "in: {one}; out: everything"),
            (None, Some(other)) => write!(f, "in: everything; out: {other}"),
            (Some(one), Some(other)) => write!(f, "in: {one}; out: {other}"),
        }
    }
}

impl Filters {
    /// How many rules both ways have.
    pub fn rules(&self) -> usize {
        let each = [&self.incoming, &self.outgoing];
        each.into_iter().flatten().map(Filter::rules).sum()
    }

    /// Nothing is filtered.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// The way that a filter looks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// What the neighbour sends.
    In,
    /// What is sent to the neighbour.
    Out,
    /// Both.
    #[default]
    Both,
}

impl Direction {
    /// The word in the file.
    pub const fn word(self) -> &'static str {
        match self {
            Self::In => "in",
            Self::Out => "out",
            Self::Both => "both",
        }
    }

    /// Reads the word.
    ///
    /// # Errors
    /// What to write.
    pub fn of(word: &str) -> Result<Self, &'static str> {
        match word {
            "in" => Ok(Self::In),
            "out" => Ok(Self::Out),
            "both" => Ok(Self::Both),
            _ => Err("write \"in\", \"out\" or \"both\""),
        }
    }
}

/// A prefix of types as it is compared: `a-f-`, `a-f-*` and `a-f` are one.
///
/// # Errors
/// What is wrong, in words that follow the text itself.
pub fn type_prefix(text: &str) -> Result<&str, &'static str> {
    let bare = text.strip_suffix('*').unwrap_or(text);
    let bare = bare.strip_suffix('-').unwrap_or(bare);
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    match bare {
        "" if text == "*" => Ok(""),
        "" => Err("names no type"),
        _ if text.len() > LONGEST_RULE => Err("is longer than 64 characters"),
        _ if bare.contains('*') => Err("has a * that does not stand at its end"),
        _ if !bare.chars().all(fits) => Err("has a character that no CoT type has"),
        _ => Ok(bare),
    }
}

/// How to write a type.
pub const TYPE_CURE: &str =
    "write the beginning of a CoT type such as \"a-f-G\", or \"*\" for every type";

/// How to write a pattern of callsigns.
pub const CALLSIGN_CURE: &str =
    "write a callsign, with * for any letters and ? for one, such as \"ALPHA*\"";

/// What is wrong with a pattern of callsigns, if anything, in words that follow the text itself.
pub fn callsign_fault(text: &str) -> Option<&'static str> {
    match text {
        _ if text.trim().is_empty() => Some("is empty"),
        _ if text.len() > LONGEST_RULE => Some("is longer than 64 bytes"),
        _ if text.chars().any(char::is_control) => Some("has a control character"),
        _ => None,
    }
}

/// A filter as it stands in the file: the name of a preset, one table, or a table for each way.
#[derive(Debug)]
pub(super) struct RawFilters(Vec<RawFilter>);

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawFilter {
    preset: Option<Spanned<String>>,
    #[serde(alias = "cot_types")]
    allow_types: Option<Spanned<Texts>>,
    block_types: Option<Spanned<Texts>>,
    allow_callsigns: Option<Spanned<Texts>>,
    block_callsigns: Option<Spanned<Texts>>,
    direction: Option<Spanned<String>>,
}

impl<'de> Deserialize<'de> for RawFilters {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Shapes;

        impl<'de> Visitor<'de> for Shapes {
            type Value = RawFilters;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a table such as { block_types = [\"a-h\"] }, or the name of a preset")
            }

            fn visit_str<E>(self, text: &str) -> Result<RawFilters, E> {
                let preset = Some(Spanned::new(0..0, text.to_owned()));
                Ok(RawFilters(vec![RawFilter {
                    preset,
                    ..RawFilter::default()
                }]))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<RawFilters, A::Error> {
                let one = RawFilter::deserialize(de::value::MapAccessDeserializer::new(map))?;
                Ok(RawFilters(vec![one]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<RawFilters, A::Error> {
                let mut filters = Vec::new();
                while let Some(item) = items.next_element()? {
                    filters.push(item);
                }
                Ok(RawFilters(filters))
            }
        }

        deserializer.deserialize_any(Shapes)
    }
}

/// One text or several.
#[derive(Debug)]
struct Texts(Vec<String>);

impl<'de> Deserialize<'de> for Texts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Shapes;

        impl<'de> Visitor<'de> for Shapes {
            type Value = Texts;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of texts in quotes")
            }

            fn visit_str<E>(self, text: &str) -> Result<Texts, E> {
                Ok(Texts(vec![text.to_owned()]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Texts, A::Error> {
                let mut texts = Vec::new();
                while let Some(text) = items.next_element()? {
                    texts.push(text);
                }
                Ok(Texts(texts))
            }
        }

        deserializer.deserialize_any(Shapes)
    }
}

impl Reader<'_> {
    /// The filters of one neighbour.
    pub(super) fn filters(
        &self,
        written: Option<&Spanned<RawFilters>>,
    ) -> Result<Filters, ConfigError> {
        let mut filters = Filters::default();
        let Some(whole) = written else {
            return Ok(filters);
        };
        for raw in &whole.get_ref().0 {
            let direction = match &raw.direction {
                None => Direction::Both,
                Some(word) => Direction::of(word.get_ref()).map_err(|cure| {
                    let fault = format!("\"{}\" is no direction", word.get_ref());
                    self.bad(word, "direction", fault, cure)
                })?,
            };
            let filter = self.filter(whole, raw)?;
            let places = [
                (Direction::In, &mut filters.incoming),
                (Direction::Out, &mut filters.outgoing),
            ];
            for (way, place) in places {
                if direction != Direction::Both && direction != way {
                    continue;
                }
                if place.replace(filter.clone()).is_some() {
                    return Err(self.bad(
                        whole,
                        "filter",
                        format!("there are two filters for direction \"{}\"", way.word()),
                        "write one table, or one with direction = \"in\" and one with \"out\"",
                    ));
                }
            }
        }
        Ok(filters)
    }

    /// All filters together keep to their limit.
    pub(super) fn filter_bound<'a>(
        &self,
        filters: impl Iterator<Item = (Option<&'a Spanned<RawFilters>>, &'a Filters)>,
        limits: &Limits,
    ) -> Result<(), ConfigError> {
        let most = usize::from(limits.max_filter_rules);
        let mut sum = 0;
        for (written, filters) in filters {
            sum += filters.rules();
            if let Some(written) = written.filter(|_| sum > most) {
                return Err(self.bad(
                    written,
                    "filter",
                    format!("with it there are {sum} rules, and max_filter_rules is {most}"),
                    "raise max_filter_rules in [limits]; a filter for both directions counts twice",
                ));
            }
        }
        Ok(())
    }

    fn filter(&self, whole: &Spanned<RawFilters>, raw: &RawFilter) -> Result<Filter, ConfigError> {
        let types = |key, list: &Option<Spanned<Texts>>| {
            self.rules(key, list, |text| {
                type_prefix(text).err().map(|fault| (fault, TYPE_CURE))
            })
        };
        let callsigns = |key, list: &Option<Spanned<Texts>>| {
            self.rules(key, list, |text| {
                callsign_fault(text).map(|fault| (fault, CALLSIGN_CURE))
            })
        };
        let mut filter = Filter {
            preset: None,
            allow_types: types("allow_types", &raw.allow_types)?,
            block_types: types("block_types", &raw.block_types)?,
            allow_callsigns: callsigns("allow_callsigns", &raw.allow_callsigns)?,
            block_callsigns: callsigns("block_callsigns", &raw.block_callsigns)?,
        };
        filter.preset = match &raw.preset {
            Some(text) => Some(Preset::parse(text.get_ref()).map_err(|fault| {
                let fault = format!("\"{}\" {fault}", text.get_ref());
                // The short form has no place of its own.
                match text.span().is_empty() {
                    true => self.bad(whole, "filter", fault, PRESET_CURE),
                    false => self.bad(text, "preset", fault, PRESET_CURE),
                }
            })?),
            None => (filter.rules() == 0).then(Preset::default),
        };
        if filter.rules() > MOST_RULES {
            let fault = format!("has {} rules", filter.rules());
            let cure = "write 250 at most; a shorter type covers everything below it";
            return Err(self.bad(whole, "filter", fault, cure));
        }
        Ok(filter)
    }

    fn rules(
        &self,
        key: &'static str,
        list: &Option<Spanned<Texts>>,
        fault: impl Fn(&str) -> Option<(&'static str, &'static str)>,
    ) -> Result<Vec<String>, ConfigError> {
        let Some(list) = list else {
            return Ok(Vec::new());
        };
        let texts = &list.get_ref().0;
        match texts.iter().find_map(|text| Some((text, fault(text)?))) {
            Some((text, (fault, cure))) => {
                Err(self.bad(list, key, format!("\"{text}\" {fault}"), cure))
            }
            None => Ok(texts.clone()),
        }
    }
}

#[cfg(test)]
mod tests;

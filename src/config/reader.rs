//! The text of `tombolo.toml` at hand: its shapes, and places for messages.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::Spanned;
use toml::de::{DeTable, DeValue, Deserializer};

use super::error::{ConfigError, Place};
use super::layers::{self, Part};
use super::limits::Limits;
use super::raw::{self, RawConfig};
use super::settings::name_fault;
use super::suggest;

/// The text at hand, for the places in messages and the start of relative paths.
pub(super) struct Reader<'a> {
    pub(super) text: &'a str,
    pub(super) file: &'a Path,
    /// What stands beside it.
    pub(super) parts: &'a [Part],
}

impl Reader<'_> {
    pub(super) fn place(&self, byte: usize) -> Place {
        match self.parts.iter().rfind(|part| part.begins <= byte) {
            Some(part) => Place::of(&part.file, &part.text, byte - part.begins),
            None => Place::of(self.file, self.text, byte),
        }
    }

    pub(super) fn bad<T>(
        &self,
        at: &Spanned<T>,
        key: &'static str,
        fault: impl Into<String>,
        cure: impl Into<String>,
    ) -> ConfigError {
        ConfigError::BadValue {
            place: self.place(at.span().start),
            key,
            fault: fault.into(),
            cure: cure.into(),
        }
    }

    pub(super) fn shapes(&self) -> Result<RawConfig, ConfigError> {
        let document = self.document()?;
        self.known_keys(&document)?;
        let whole = Spanned::new(0..self.text.len(), document.clone());
        RawConfig::deserialize(Deserializer::from(whole)).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start);
            match key_at(&document, at) {
                Some((table, key, value)) => ConfigError::WrongType {
                    place: self.place(at),
                    fault: kind(value),
                    cure: raw::kind_of(table, key),
                    key: key.to_owned(),
                },
                None => self.syntax(&error),
            }
        })
    }

    /// All texts as one.
    fn document(&self) -> Result<DeTable<'_>, ConfigError> {
        let mut whole = DeTable::parse(self.text)
            .map_err(|error| self.syntax(&error))?
            .into_inner();
        for part in self.parts {
            let more = part
                .table()
                .map_err(|(at, error)| self.syntax_at(at, &error))?;
            layers::join(&mut whole, more, part.is_below, &|byte| self.place(byte))?;
        }
        Ok(whole)
    }

    fn syntax(&self, error: &toml::de::Error) -> ConfigError {
        self.syntax_at(error.span().map_or(0, |span| span.start), error)
    }

    fn syntax_at(&self, byte: usize, error: &toml::de::Error) -> ConfigError {
        ConfigError::Syntax {
            place: self.place(byte),
            cause: error.message().lines().collect::<Vec<_>>().join(", "),
        }
    }

    /// The keys of `[limits]` that are set, with their places, from the top.
    pub(super) fn limits_set(&self) -> Vec<(&'static str, Place)> {
        let document = self.document().ok();
        let table = document.as_ref().and_then(|all| all.get("limits"));
        let Some(DeValue::Table(table)) = table.map(Spanned::get_ref) else {
            return Vec::new();
        };
        let mut set: Vec<(&'static str, usize)> = Limits::KEYS
            .iter()
            .filter_map(|&key| {
                let (written, _) = table.get_key_value(key)?;
                Some((key, written.span().start))
            })
            .collect();
        set.sort_by_key(|&(_, byte)| byte);
        let placed = set.into_iter();
        placed.map(|(key, byte)| (key, self.place(byte))).collect()
    }

    pub(super) fn known_keys(&self, document: &DeTable<'_>) -> Result<(), ConfigError> {
        self.known_in(document, "", raw::TOP_KEYS)?;
        for (key, value) in document {
            let Some((table, known)) = raw::table(key.get_ref()) else {
                continue;
            };
            match value.get_ref() {
                DeValue::Table(inner) => {
                    self.known_in(inner, table, known)?;
                    self.known_within(key.get_ref(), inner)?;
                }
                DeValue::Array(items) => {
                    for item in items {
                        if let DeValue::Table(inner) = item.get_ref() {
                            self.known_in(inner, table, known)?;
                            self.known_within(key.get_ref(), inner)?;
                        }
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The keys of tables within a table.
    fn known_within(&self, table: &str, inner: &DeTable<'_>) -> Result<(), ConfigError> {
        for (key, value) in inner {
            let Some((spelled, known)) = raw::inner_table(table, key.get_ref()) else {
                continue;
            };
            match value.get_ref() {
                DeValue::Table(deep) => self.known_in(deep, spelled, known)?,
                DeValue::Array(items) => {
                    for item in items {
                        if let DeValue::Table(deep) = item.get_ref() {
                            self.known_in(deep, spelled, known)?;
                        }
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn known_in(
        &self,
        inner: &DeTable<'_>,
        table: &'static str,
        known: &'static [&'static str],
    ) -> Result<(), ConfigError> {
        // The first by place, not by alphabet: people read from the top.
        let unknown = inner
            .keys()
            .filter(|key| !known.contains(&key.get_ref().as_ref()))
            .min_by_key(|key| key.span().start);
        match unknown {
            None => Ok(()),
            Some(key) => Err(ConfigError::UnknownKey {
                place: self.place(key.span().start),
                table,
                key: key.get_ref().to_string(),
                meant: suggest::nearest(key.get_ref(), known),
                known,
            }),
        }
    }

    pub(super) fn name(
        &self,
        key: &'static str,
        name: &Spanned<String>,
    ) -> Result<String, ConfigError> {
        match name_fault(name.get_ref()) {
            None => Ok(name.get_ref().clone()),
            Some(fault) => Err(self.bad(name, key, fault, "write 1 to 64 printable characters")),
        }
    }

    pub(super) fn resolve(&self, path: &str) -> PathBuf {
        self.file.parent().unwrap_or(Path::new("")).join(path)
    }
}

/// The innermost key whose value holds that byte of the text, the table of the top level it stands in, and its value.
fn key_at<'a>(
    document: &'a DeTable<'_>,
    byte: usize,
) -> Option<(&'a str, &'a str, &'a DeValue<'a>)> {
    let (key, value) = document.iter().find(|(_, value)| holds(value, byte))?;
    let top = key.get_ref().as_ref();
    let (key, value) = within(value, byte).unwrap_or((top, value.get_ref()));
    Some((top, key, value))
}

fn within<'a>(value: &'a Spanned<DeValue<'_>>, byte: usize) -> Option<(&'a str, &'a DeValue<'a>)> {
    match value.get_ref() {
        DeValue::Table(table) => {
            let (key, value) = table.iter().find(|(_, value)| holds(value, byte))?;
            Some(within(value, byte).unwrap_or((key.get_ref().as_ref(), value.get_ref())))
        }
        DeValue::Array(items) => items.iter().find_map(|item| within(item, byte)),
        _ => None,
    }
}

/// What a value is, for people.
fn kind(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => {
            let shown: String = text.chars().take(32).collect();
            format!("{shown:?} is text")
        }
        DeValue::Integer(number) => format!("{number} is a number"),
        DeValue::Float(number) => format!("{number} is a number with a fraction"),
        DeValue::Boolean(value) => format!("{value} is a yes or no"),
        DeValue::Datetime(_) => "that is a date".to_owned(),
        DeValue::Array(_) => "that is a list".to_owned(),
        DeValue::Table(_) => "that is a table".to_owned(),
    }
}

/// A table's own span is its header: look at what it holds too.
fn holds(value: &Spanned<DeValue<'_>>, byte: usize) -> bool {
    value.span().contains(&byte)
        || match value.get_ref() {
            DeValue::Table(table) => table.values().any(|inner| holds(inner, byte)),
            DeValue::Array(items) => items.iter().any(|inner| holds(inner, byte)),
            _ => false,
        }
}

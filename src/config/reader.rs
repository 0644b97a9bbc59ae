//! The text of `tombolo.toml` at hand: its shapes, and places for messages.

use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::{ConfigError, Place};
use super::raw::{self, RawConfig};
use super::settings::name_fault;
use super::suggest;

/// The text at hand, for the places in messages and the start of relative paths.
pub(super) struct Reader<'a> {
    pub(super) text: &'a str,
    pub(super) file: &'a Path,
}

impl Reader<'_> {
    pub(super) fn place(&self, byte: usize) -> Place {
        Place::of(self.file, self.text, byte)
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
        let syntax = |error: &toml::de::Error| ConfigError::Syntax {
            place: self.place(error.span().map_or(0, |span| span.start)),
            cause: error.message().lines().collect::<Vec<_>>().join(", "),
        };
        let document = DeTable::parse(self.text).map_err(|error| syntax(&error))?;
        self.known_keys(document.get_ref())?;
        toml::from_str(self.text).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start);
            match key_at(document.get_ref(), at) {
                Some(key) => ConfigError::WrongType {
                    place: self.place(at),
                    key,
                    cause: error.message().to_owned(),
                },
                None => syntax(&error),
            }
        })
    }

    pub(super) fn known_keys(&self, document: &DeTable<'_>) -> Result<(), ConfigError> {
        self.known_in(document, "", raw::TOP_KEYS)?;
        for (key, value) in document {
            let Some((table, known)) = raw::table(key.get_ref()) else {
                continue;
            };
            match value.get_ref() {
                DeValue::Table(inner) => self.known_in(inner, table, known)?,
                DeValue::Array(items) => {
                    for item in items {
                        if let DeValue::Table(inner) = item.get_ref() {
                            self.known_in(inner, table, known)?;
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

/// The innermost key whose value holds that byte of the text.
fn key_at(table: &DeTable<'_>, byte: usize) -> Option<String> {
    let (key, value) = table.iter().find(|(_, value)| holds(value, byte))?;
    Some(within(value, byte).unwrap_or_else(|| key.get_ref().to_string()))
}

fn within(value: &Spanned<DeValue<'_>>, byte: usize) -> Option<String> {
    match value.get_ref() {
        DeValue::Table(table) => key_at(table, byte),
        DeValue::Array(items) => items.iter().find_map(|item| within(item, byte)),
        _ => None,
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

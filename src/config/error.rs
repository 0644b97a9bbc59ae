//! What is wrong with a configuration, where, and how to cure it.

use std::fmt;
use std::path::{Path, PathBuf};

/// A spot in a configuration file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub file: PathBuf,
    /// Line, counted from 1; 0 = it has no lines.
    pub line: usize,
}

impl Place {
    /// The place of a byte of the file's text.
    pub(super) fn of(file: &Path, text: &str, byte: usize) -> Self {
        let before = text.get(..byte).unwrap_or(text);
        Self {
            file: file.to_path_buf(),
            line: before.matches('\n').count() + 1,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}", self.file.display()),
            line => write!(f, "{}:{line}", self.file.display()),
        }
    }
}

/// Why a configuration is not accepted. Displays as place, fault and cure.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file cannot be read.
    Unreadable {
        /// The file.
        file: PathBuf,
        /// What the system says.
        cause: String,
    },
    /// Not TOML.
    Syntax {
        /// Where.
        place: Place,
        /// What the parser says.
        cause: String,
    },
    /// A key that does not exist.
    UnknownKey {
        /// Where.
        place: Place,
        /// The table it stands in, `[peer]` style; empty at the top.
        table: &'static str,
        /// The key as written.
        key: String,
        /// The key probably meant.
        meant: Option<&'static str>,
        /// All keys of that table.
        known: &'static [&'static str],
    },
    /// A value of another kind than the key has.
    WrongType {
        /// Where.
        place: Place,
        /// The key.
        key: String,
        /// What it is instead.
        fault: String,
        /// What to write.
        cure: String,
    },
    /// A number outside its range.
    OutOfRange {
        /// Where.
        place: Place,
        /// The key.
        key: &'static str,
        /// The number written.
        value: i64,
        /// Smallest number allowed.
        least: u32,
        /// Largest number allowed.
        most: u32,
    },
    /// A value that cannot be used.
    BadValue {
        /// Where.
        place: Place,
        /// The key.
        key: &'static str,
        /// What is wrong with it.
        fault: String,
        /// What to write instead.
        cure: String,
    },
}

impl ConfigError {
    /// The line, where it is known.
    pub fn line(&self) -> Option<usize> {
        match self {
            Self::Unreadable { .. } => None,
            Self::Syntax { place, .. }
            | Self::UnknownKey { place, .. }
            | Self::WrongType { place, .. }
            | Self::OutOfRange { place, .. }
            | Self::BadValue { place, .. } => Some(place.line).filter(|line| *line > 0),
        }
    }

    /// The key, where it is about one.
    pub fn key(&self) -> Option<&str> {
        match self {
            Self::Unreadable { .. } | Self::Syntax { .. } => None,
            Self::UnknownKey { key, .. } | Self::WrongType { key, .. } => Some(key),
            Self::OutOfRange { key, .. } | Self::BadValue { key, .. } => Some(key),
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable { file, cause } => write!(
                f,
                "{}: cannot be read: {cause}; check the path and who may read it",
                file.display()
            ),
            Self::Syntax { place, cause } => write!(
                f,
                "{place}: not TOML: {cause}; text goes in \"quotes\", tables in [brackets]"
            ),
            Self::UnknownKey {
                place,
                table,
                key,
                meant,
                known,
            } => {
                write!(f, "{place}: unknown key `{key}`")?;
                if !table.is_empty() {
                    write!(f, " in {table}")?;
                }
                match meant {
                    Some(meant) => write!(f, " — did you mean `{meant}`?"),
                    None => write!(f, "; known here: {}", known.join(", ")),
                }
            }
            Self::OutOfRange {
                place,
                key,
                value,
                least,
                most,
            } => write!(
                f,
                "{place}: `{key}` = {value} is out of range; write {least} to {most}"
            ),
            Self::WrongType {
                place,
                key,
                fault,
                cure,
            } => write!(f, "{place}: `{key}`: {fault}; {cure}"),
            Self::BadValue {
                place,
                key,
                fault,
                cure,
            } => write!(f, "{place}: `{key}`: {fault}; {cure}"),
        }
    }
}

impl std::error::Error for ConfigError {}

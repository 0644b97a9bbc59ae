//! What may cross to or from a peer, by size and by the names of files. Pure.

use std::fmt;
use std::io;

use super::listing::{self, Listing};
use crate::counters::Reason;

/// A peer's rules.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rules {
    /// Longest package, bytes; none = what the store takes.
    pub limit: Option<u64>,
    /// Extensions that do not cross, lower case, without a dot.
    pub blocked: Vec<String>,
    /// Missions and data feeds of other federates are not passed on, either way.
    pub holds_missions: bool,
}

/// Why a package does not cross.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stop {
    /// Longer than allowed, bytes.
    TooLarge {
        /// Its own size.
        size: u64,
        /// What is allowed.
        limit: u64,
    },
    /// A file of this name is, or is in, the package.
    Blocked(String),
    /// An archive whose list of contents cannot be read cannot be judged.
    Unreadable,
}

impl Stop {
    /// Under which reason it is counted.
    pub fn reason(&self) -> Reason {
        match self {
            Self::TooLarge { .. } => Reason::PackageTooLarge,
            Self::Blocked(_) | Self::Unreadable => Reason::PackageBlocked,
        }
    }
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge { size, limit } => write!(
                f,
                "{size} bytes; `package_limit_mib` allows {} MiB",
                limit / (1024 * 1024)
            ),
            Self::Blocked(name) => {
                write!(
                    f,
                    "it holds \"{name}\", which `package_block_extensions` names"
                )
            }
            Self::Unreadable => f.write_str(
                "its list of files cannot be read, so `package_block_extensions` cannot be kept",
            ),
        }
    }
}

impl Rules {
    /// Judges by what is announced.
    ///
    /// # Errors
    /// Why it does not cross.
    pub fn judge(&self, filename: &str, size: u64) -> Result<(), Stop> {
        if let Some(limit) = self.limit.filter(|&limit| size > limit) {
            return Err(Stop::TooLarge { size, limit });
        }
        match self.blocks(filename.as_bytes()) {
            true => Err(Stop::Blocked(shown(filename.as_bytes()))),
            false => Ok(()),
        }
    }

    /// Judges by the names of the files in it, if it is a ZIP archive.
    ///
    /// # Errors
    /// Those of `read_at`; inside, why it does not cross.
    pub fn judge_contents(
        &self,
        size: u64,
        read_at: impl FnMut(u64, &mut [u8]) -> io::Result<usize>,
    ) -> io::Result<Result<(), Stop>> {
        if self.blocked.is_empty() {
            return Ok(Ok(()));
        }
        let mut found = None;
        let listing = listing::names(size, read_at, |name| {
            let blocked = self.blocks(name);
            if blocked {
                found = Some(shown(name));
            }
            !blocked
        })?;
        Ok(match (found, listing) {
            (Some(name), _) => Err(Stop::Blocked(name)),
            (None, Listing::Unreadable) => Err(Stop::Unreadable),
            _ => Ok(()),
        })
    }

    fn blocks(&self, name: &[u8]) -> bool {
        let ends = |extension: &String| {
            let extension = extension.as_bytes();
            let (stem, end) = name.split_at(name.len().saturating_sub(extension.len()));
            stem.ends_with(b".") && end.eq_ignore_ascii_case(extension)
        };
        self.blocked.iter().any(ends)
    }
}

fn shown(name: &[u8]) -> String {
    let text = String::from_utf8_lossy(name);
    text.chars()
        .filter(|letter| !letter.is_control())
        .take(80)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn size_and_extension_are_judged() {
        let rules = Rules {
            limit: Some(10),
            blocked: vec!["pref".into(), "tar.gz".into()],
            ..Rules::default()
        };
        assert_eq!(rules.judge("a.zip", 10), Ok(()));
        assert!(matches!(
            rules.judge("a.zip", 11),
            Err(Stop::TooLarge { .. })
        ));
        for (name, blocked) in [
            ("A.PREF", true),
            ("pref", false),
            ("xpref", false),
            (".pref", true),
            ("b.tar.GZ", true),
            ("b.gz", false),
        ] {
            assert_eq!(rules.judge(name, 1).is_err(), blocked, "{name}");
        }
        assert_eq!(Rules::default().judge("x.pref", u64::MAX), Ok(()));
    }
}

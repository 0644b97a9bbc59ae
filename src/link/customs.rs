//! Which federates may bring and fetch data packages over HTTPS, by their switches. Sizes and names of files are judged where a
//! package is announced (`link/courier/rules.rs`).

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

/// Which way a package goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// From a federate to us.
    In,
    /// From us to a federate.
    Out,
}

/// What is set for one federate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// `data_packages_in`.
    pub comes_in: bool,
    /// `data_packages_out`.
    pub goes_out: bool,
}

/// Why a package does not cross. Displays in words for both ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Held {
    /// `data_packages_in` is off.
    NotIn,
    /// `data_packages_out` is off.
    NotOut,
    /// There is no such federate, or it is paused.
    Unknown,
}

impl Held {
    /// One word for scripts.
    pub const fn word(self) -> &'static str {
        match self {
            Self::NotIn => "data_packages_in",
            Self::NotOut => "data_packages_out",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotIn => "this box takes no data packages from you (data_packages_in is off)",
            Self::NotOut => "this box lets you have no data packages (data_packages_out is off)",
            Self::Unknown => "this box does not know you",
        })
    }
}

impl std::error::Error for Held {}

/// The rules of all federates; clones share them.
#[derive(Debug, Clone, Default)]
pub struct Customs(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    rules: RwLock<BTreeMap<String, Rule>>,
    held_in: AtomicU64,
    held_out: AtomicU64,
}

impl Customs {
    /// Takes over what a configuration says of each federate that is not paused.
    pub fn set(&self, rules: impl IntoIterator<Item = (String, Rule)>) {
        *self.0.rules.write().unwrap_or_else(PoisonError::into_inner) = rules.into_iter().collect();
    }

    /// Whether packages may cross to or from a federate; counts those that may not.
    ///
    /// # Errors
    /// Why not.
    pub fn admits(&self, peer: &str, way: Way) -> Result<(), Held> {
        let outcome = self.may(peer, way);
        if outcome.is_err() {
            let tally = match way {
                Way::In => &self.0.held_in,
                Way::Out => &self.0.held_out,
            };
            tally.fetch_add(1, Ordering::Relaxed);
        }
        outcome
    }

    /// The same without counting: for status and questions.
    ///
    /// # Errors
    /// Why not.
    pub fn may(&self, peer: &str, way: Way) -> Result<(), Held> {
        let rules = self.0.rules.read().unwrap_or_else(PoisonError::into_inner);
        let rule = rules.get(peer).ok_or(Held::Unknown)?;
        match way {
            Way::In if !rule.comes_in => Err(Held::NotIn),
            Way::Out if !rule.goes_out => Err(Held::NotOut),
            _ => Ok(()),
        }
    }

    /// Packages that were held back since the start: coming in, going out.
    pub fn held(&self) -> (u64, u64) {
        let told = |tally: &AtomicU64| tally.load(Ordering::Relaxed);
        (told(&self.0.held_in), told(&self.0.held_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_way_has_its_switch_and_what_is_held_is_counted() {
        let customs = Customs::default();
        let rule = |comes_in, goes_out| Rule { comes_in, goes_out };
        customs.set([
            ("bravo".to_owned(), rule(true, false)),
            ("charlie".to_owned(), rule(false, true)),
        ]);
        assert_eq!(customs.admits("bravo", Way::In), Ok(()));
        assert_eq!(customs.admits("bravo", Way::Out), Err(Held::NotOut));
        assert_eq!(customs.admits("charlie", Way::In), Err(Held::NotIn));
        assert_eq!(customs.admits("charlie", Way::Out), Ok(()));
        assert_eq!(customs.admits("nobody", Way::In), Err(Held::Unknown));
        assert_eq!(customs.held(), (2, 1));
        customs.set([]);
        assert_eq!(customs.may("bravo", Way::In), Err(Held::Unknown));
    }
}

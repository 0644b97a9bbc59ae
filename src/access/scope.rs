//! What somebody may do: the four permissions of federation, and what stands beside them.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One thing that may be allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scope {
    /// See how everything stands, and every event.
    View,
    /// Hand events in.
    Inject,
    /// Federate with a box of the same owner: its CA is ours.
    FederateWithin,
    /// Federate with anybody else.
    FederateAcross,
    /// Change a federation: its directions, and whether it is paused.
    Change,
    /// End a federation.
    Stop,
    /// Make and revoke tokens and passwords.
    Admin,
}

impl Scope {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::View,
        Self::Inject,
        Self::FederateWithin,
        Self::FederateAcross,
        Self::Change,
        Self::Stop,
        Self::Admin,
    ];

    /// The word that people and scripts use.
    pub const fn word(self) -> &'static str {
        match self {
            Self::View => "view",
            Self::Inject => "inject",
            Self::FederateWithin => "federate_within",
            Self::FederateAcross => "federate_across",
            Self::Change => "change",
            Self::Stop => "stop",
            Self::Admin => "admin",
        }
    }

    const fn bit(self) -> u16 {
        1 << self as u16
    }
}

/// The roles: short words for several scopes at once.
const ROLES: [(&str, Scopes); 3] = [
    ("viewer", Scopes(Scope::View.bit())),
    (
        "operator",
        Scopes(Scope::View.bit() | Scope::Inject.bit() | Scope::Change.bit()),
    ),
    ("administrator", Scopes::ALL),
];

/// A set of scopes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Scopes(u16);

impl Scopes {
    /// Every scope.
    pub const ALL: Self = Self((1 << Scope::ALL.len()) - 1);

    /// One scope.
    pub const fn of(scope: Scope) -> Self {
        Self(scope.bit())
    }

    /// Whether it is in the set.
    pub const fn holds(self, scope: Scope) -> bool {
        self.0 & scope.bit() != 0
    }

    /// The words of the scopes.
    pub fn words(self) -> Vec<String> {
        let held = Scope::ALL.iter().filter(|scope| self.holds(**scope));
        held.map(|scope| scope.word().to_owned()).collect()
    }

    /// Reads words: scopes, and the roles `viewer`, `operator`, `administrator`.
    ///
    /// # Errors
    /// The first word that is neither, or none at all.
    pub fn read<'a>(words: impl IntoIterator<Item = &'a str>) -> Result<Self, UnknownScope> {
        let mut all = Self::default();
        for word in words.into_iter().map(str::trim) {
            let role = ROLES.iter().find(|(name, _)| *name == word);
            let scope = Scope::ALL.iter().find(|scope| scope.word() == word);
            all.0 |= match (role, scope) {
                (Some((_, scopes)), _) => scopes.0,
                (None, Some(scope)) => scope.bit(),
                (None, None) => return Err(UnknownScope(word.to_owned())),
            };
        }
        match all.0 {
            0 => Err(UnknownScope(String::new())),
            _ => Ok(all),
        }
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words().join(","))
    }
}

/// No scope and no role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownScope(pub String);

impl fmt::Display for UnknownScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known: Vec<&str> = ROLES.iter().map(|(name, _)| *name).collect();
        let scopes: Vec<&str> = Scope::ALL.iter().map(|scope| scope.word()).collect();
        write!(
            f,
            "scope: \"{}\" is none; give one of {}, or of {}",
            self.0,
            known.join(", "),
            scopes.join(", ")
        )
    }
}

impl std::error::Error for UnknownScope {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_and_scopes_are_read_and_anything_else_is_not() {
        let operator = Scopes::read(["operator"]).unwrap();
        assert_eq!(operator.to_string(), "view,inject,change");
        assert!(operator.holds(Scope::Change) && !operator.holds(Scope::Stop));
        assert_eq!(Scopes::read(["administrator"]), Ok(Scopes::ALL));
        for scope in Scope::ALL {
            assert_eq!(Scopes::read([scope.word()]), Ok(Scopes::of(scope)));
            assert!(Scopes::ALL.holds(scope));
        }
        assert_eq!(Scopes::read(["root"]), Err(UnknownScope("root".into())));
        assert_eq!(Scopes::read([]), Err(UnknownScope(String::new())));
    }
}

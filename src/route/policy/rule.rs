//! One rule of a filter, and the number by which it is named.

use serde::{Deserialize, Serialize};

use super::callsign::{self, Callsigns};
use crate::config::filter::type_prefix;
use crate::cot::class;

/// Which rule decided, in one byte: its place, or that no rule of a list allowed it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ruling(u8);

impl Ruling {
    /// No allowed type is the event's.
    pub const NO_TYPE: Self = Self(255);
    /// No allowed callsign is the event's.
    pub const NO_CALLSIGN: Self = Self(254);

    /// The rule of that place. What stands beyond the last number has the last one's.
    pub(super) fn of(place: usize) -> Self {
        Self(u8::try_from(place).unwrap_or(253).min(253))
    }

    /// The rule's place, if it is one.
    pub(super) fn place(self) -> Option<usize> {
        (self.0 <= 253).then_some(usize::from(self.0))
    }
}

/// The list that a rule stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum List {
    BlockTypes,
    Preset,
    AllowTypes,
    BlockCallsigns,
    AllowCallsigns,
}

impl List {
    /// Its key in the file.
    pub(super) const fn key(self) -> &'static str {
        match self {
            Self::BlockTypes => "block_types",
            Self::Preset => "preset",
            Self::AllowTypes => "allow_types",
            Self::BlockCallsigns => "block_callsigns",
            Self::AllowCallsigns => "allow_callsigns",
        }
    }
}

/// One rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Rule {
    pub(super) list: List,
    /// It is about emergencies by name.
    pub(super) emergencies: bool,
    /// How much of the text is compared, bytes.
    length: u8,
    /// As it was written.
    text: Box<str>,
}

impl Rule {
    /// The rule of a text that was checked.
    pub(super) fn new(list: List, text: &str) -> Option<Self> {
        let length = match list {
            List::BlockTypes | List::Preset | List::AllowTypes => type_prefix(text).ok()?.len(),
            List::BlockCallsigns | List::AllowCallsigns => text.len(),
        };
        let length = u8::try_from(length).ok()?;
        let compared = &text.as_bytes()[..usize::from(length)];
        Some(Self {
            list,
            emergencies: class::is_emergency(compared),
            length,
            text: text.into(),
        })
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// The type that it covers.
    pub(super) fn prefix(&self) -> &[u8] {
        // One that was read from a recording may be anything.
        let text = self.text.as_bytes();
        text.get(..usize::from(self.length)).unwrap_or(text)
    }

    /// It covers exactly that type.
    pub(super) fn text_is(&self, kind: &[u8]) -> bool {
        self.prefix() == kind
    }

    /// The type is the rule's, or stands below it.
    #[inline]
    pub(super) fn covers(&self, kind: &[u8]) -> bool {
        let prefix = self.prefix();
        match kind.strip_prefix(prefix) {
            Some(rest) => prefix.is_empty() || matches!(rest.first(), None | Some(b'-')),
            None => false,
        }
    }

    /// One of the callsigns is the rule's.
    pub(super) fn names(&self, callsigns: Callsigns<'_>) -> bool {
        let fits = |name: &[u8]| !name.is_empty() && callsign::fits(self.text.as_bytes(), name);
        fits(callsigns.own) || fits(callsigns.author)
    }

    /// There are types that it covers: every CoT type begins with one of a few letters.
    pub(super) fn can_match(&self) -> bool {
        match self.prefix() {
            [] => true,
            [first] | [first, b'-', ..] => b"abcrtuy".contains(first),
            _ => false,
        }
    }

    /// A pattern of callsigns that fits everybody.
    pub(super) fn is_everyone(&self) -> bool {
        self.text.bytes().all(|byte| byte == b'*')
    }
}

//! What may cross one link: the rules of its `filter`, made ready so that an event is judged without allocating.
//!
//! - **Block wins over allow**, and an empty list of allowed types or callsigns allows all.
//! - **Emergencies pass** (`b-a-*`, `b-r-f-h-c`), whatever is allowed or blocked, unless a blocked type *names* them: it
//!   is `b-a`, `b-r-f-h-c` or stands below. `b` does not name them.
//! - **A type** covers itself and everything below it: `a-f` is `a-f-G` too and not `a-fx`.
//! - **Callsigns**: an event has up to two, its own (`<contact callsign>`) and its author's (the phone book's for its
//!   uid, or for the uid of its `<link>`: the sender of a chat, who drew a marker). One that is allowed is enough, one
//!   that is blocked too. Case does not matter. Who has none is not allowed by a list.
//! - **A delete** is judged by the type of what it deletes, so that what could cross can be taken back, and by no
//!   callsign. One that does not say what it deletes passes unless `t-x-d-d` is blocked.
//! - **Contact entries** go with positions or chat, whichever passes: a phone book is what chat is addressed by.
//! - **Data packages** have switches of their own, beside the types.

pub mod advice;
mod callsign;
mod rule;

use serde::{Deserialize, Serialize};

use crate::config::filter::{Filter, Filters, Part, Preset};
use crate::cot::class;

pub use callsign::Callsigns;
pub use rule::Ruling;
use rule::{List, Rule};

/// What one neighbour's settings say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// For what it sends.
    pub incoming: Side,
    /// For what is sent to it.
    pub outgoing: Side,
}

impl Policy {
    /// Made ready; none when everything may cross.
    pub fn of(filters: &Filters, packages_in: bool, packages_out: bool) -> Option<Self> {
        let side = |filter: &Option<Filter>, packages| Side {
            sieve: filter.as_ref().map(Sieve::of),
            packages,
        };
        let policy = Self {
            incoming: side(&filters.incoming, packages_in),
            outgoing: side(&filters.outgoing, packages_out),
        };
        (!policy.incoming.is_open() || !policy.outgoing.is_open()).then_some(policy)
    }
}

impl Policy {
    /// The ways, of those that are on, by which nothing but emergencies can pass: in, out.
    pub fn closed(&self, incoming: bool, outgoing: bool) -> [bool; 2] {
        [
            incoming && !self.incoming.lets_something_through(),
            outgoing && !self.outgoing.lets_something_through(),
        ]
    }
}

/// What may cross one way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Side {
    /// The rules; none = everything.
    sieve: Option<Sieve>,
    /// Data packages may cross.
    packages: bool,
}

/// Why something does not cross.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// A rule of the filter.
    Rule(Ruling),
    /// The switch for data packages.
    Packages,
}

/// What of an event is judged.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// Its type.
    pub kind: &'a [u8],
    /// Of a delete: the type of what it deletes; empty when it does not say.
    pub deletes: &'a [u8],
}

impl Side {
    /// Everything may cross.
    pub fn is_open(&self) -> bool {
        self.sieve.is_none() && self.packages
    }

    /// Data packages may cross, and the filter lets their announcement through.
    pub fn lets_packages(&self) -> bool {
        let subject = Subject {
            kind: class::FILE_REQUEST,
            deletes: b"",
        };
        match self.judge(subject, Callsigns::default()) {
            Err(Stop::Packages) => false,
            // Who sent it may be allowed.
            Err(Stop::Rule(ruling)) => ruling == Ruling::NO_CALLSIGN,
            Ok(()) => true,
        }
    }

    /// Its rules look at callsigns.
    pub fn wants_callsigns(&self) -> bool {
        self.sieve.as_ref().is_some_and(|sieve| sieve.callsigns)
    }

    /// Judges an event; its callsigns are looked at only where [`Side::wants_callsigns`].
    ///
    /// # Errors
    /// What stops it.
    pub fn judge(&self, subject: Subject<'_>, callsigns: Callsigns<'_>) -> Result<(), Stop> {
        if !self.packages && class::is_file_request(subject.kind) {
            return Err(Stop::Packages);
        }
        match &self.sieve {
            None => Ok(()),
            Some(sieve) => sieve.judge(subject, callsigns).map_err(Stop::Rule),
        }
    }

    /// Judges the entry of a contact; an empty type is that of a contact of whom only the name is known.
    pub fn admits_contact(&self, kind: &[u8], callsign: &[u8]) -> bool {
        let Some(sieve) = &self.sieve else {
            return true;
        };
        let callsigns = Callsigns {
            own: callsign,
            author: b"",
        };
        let of = |kind| {
            let subject = Subject { kind, deletes: b"" };
            sieve.judge(subject, callsigns).is_ok()
        };
        of(if kind.is_empty() { b"a" } else { kind }) || of(b"b-t-f")
    }

    /// The rule in the words of whoever wrote it; none when the filter was changed since, and has no such rule.
    pub fn words(&self, ruling: Ruling) -> Option<String> {
        self.sieve.as_ref()?.words(ruling)
    }

    /// Whether anything but emergencies can pass.
    pub fn lets_something_through(&self) -> bool {
        self.sieve
            .as_ref()
            .is_none_or(Sieve::lets_something_through)
    }
}

/// The rules of one filter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Sieve {
    /// Blocked types, allowed types, blocked callsigns, allowed callsigns.
    rules: Box<[Rule]>,
    /// Types must be allowed.
    types: bool,
    /// There are rules about callsigns.
    callsigns: bool,
    /// Callsigns must be allowed.
    names: bool,
}

impl Sieve {
    fn of(filter: &Filter) -> Self {
        let mut rules = Vec::with_capacity(filter.rules() + 4);
        let written = |list: &[String], of: List| -> Vec<Rule> {
            list.iter().filter_map(|text| Rule::new(of, text)).collect()
        };
        rules.extend(written(&filter.block_types, List::BlockTypes));
        let open = (filter.preset.as_ref()).is_some_and(Preset::is_everything);
        if !open {
            let parts = (filter.preset.iter()).flat_map(Preset::parts);
            let types = parts.flat_map(|part| part.types());
            rules.extend(types.filter_map(|text| Rule::new(List::Preset, text)));
            rules.extend(written(&filter.allow_types, List::AllowTypes));
        }
        rules.extend(written(&filter.block_callsigns, List::BlockCallsigns));
        rules.extend(written(&filter.allow_callsigns, List::AllowCallsigns));
        Self {
            types: !open && (filter.preset.is_some() || !filter.allow_types.is_empty()),
            callsigns: !filter.block_callsigns.is_empty() || !filter.allow_callsigns.is_empty(),
            names: !filter.allow_callsigns.is_empty(),
            rules: rules.into_boxed_slice(),
        }
    }

    fn judge(&self, subject: Subject<'_>, callsigns: Callsigns<'_>) -> Result<(), Ruling> {
        let is_delete = subject.kind == class::DELETE;
        let kind = match is_delete && !subject.deletes.is_empty() {
            true => subject.deletes,
            false => subject.kind,
        };
        let emergency = class::is_emergency(kind);
        let mut type_allowed = !self.types || emergency || kind == class::DELETE;
        let nameless = emergency || is_delete;
        let mut name_allowed = !self.names || nameless;
        for (at, rule) in self.rules.iter().enumerate() {
            match rule.list {
                List::BlockTypes if emergency && !rule.emergencies => {}
                List::BlockTypes => {
                    if rule.covers(kind) || is_delete && rule.text_is(class::DELETE) {
                        return Err(Ruling::of(at));
                    }
                }
                List::AllowTypes | List::Preset => type_allowed = type_allowed || rule.covers(kind),
                List::BlockCallsigns => {
                    if !nameless && rule.names(callsigns) {
                        return Err(Ruling::of(at));
                    }
                }
                List::AllowCallsigns => name_allowed = name_allowed || rule.names(callsigns),
            }
        }
        match (type_allowed, name_allowed) {
            (true, true) => Ok(()),
            (false, _) => Err(Ruling::NO_TYPE),
            (true, false) => Err(Ruling::NO_CALLSIGN),
        }
    }

    /// Of the allowed types at least one, or something below it, is not blocked.
    fn lets_something_through(&self) -> bool {
        let blocked = |kind: &[u8]| {
            (self.rules.iter()).any(|rule| rule.list == List::BlockTypes && rule.covers(kind))
        };
        let everyone = self
            .rules
            .iter()
            .any(|rule| rule.list == List::BlockCallsigns && rule.is_everyone());
        let types = match self.types {
            false => !blocked(b"") && !LETTERS.iter().all(|letter| blocked(letter.as_bytes())),
            true => (self.rules.iter())
                .filter(|rule| matches!(rule.list, List::AllowTypes | List::Preset))
                .any(|rule| rule.can_match() && !blocked(rule.prefix())),
        };
        types && !everyone
    }

    fn words(&self, ruling: Ruling) -> Option<String> {
        let listed = |wanted: List| {
            let texts = self.rules.iter().filter(|rule| rule.list == wanted);
            let texts: Vec<String> = texts.map(|rule| format!("\"{}\"", rule.text())).collect();
            (!texts.is_empty()).then(|| format!("{} = [{}]", wanted.key(), texts.join(", ")))
        };
        match ruling {
            Ruling::NO_TYPE => {
                let lists = [self.preset_words(), listed(List::AllowTypes)];
                let lists: Vec<String> = lists.into_iter().flatten().collect();
                (!lists.is_empty()).then(|| format!("not among {}", lists.join(" and ")))
            }
            Ruling::NO_CALLSIGN => {
                listed(List::AllowCallsigns).map(|list| format!("its callsign is not among {list}"))
            }
            _ => {
                let rule = self.rules.get(ruling.place()?)?;
                Some(format!("\"{}\" in {}", rule.text(), rule.list.key()))
            }
        }
    }

    fn preset_words(&self) -> Option<String> {
        let stands = |part: &&Part| {
            part.types().first().is_some_and(|first| {
                (self.rules.iter()).any(|rule| rule.list == List::Preset && rule.text() == *first)
            })
        };
        let parts = [
            Part::Tracks,
            Part::Chat,
            Part::Emergencies,
            Part::Markers,
            Part::Files,
        ];
        let parts: Vec<&str> = parts
            .iter()
            .filter(stands)
            .map(|part| part.word())
            .collect();
        (!parts.is_empty()).then(|| format!("preset = \"{}\"", parts.join("+")))
    }
}

/// What CoT types begin with.
const LETTERS: [&str; 6] = ["a", "b", "c", "r", "t", "u"];

#[cfg(test)]
mod tests;

//! Events handed over as text: cut and judged as if they had come in on a client's connection.

use super::request::{RefusedEvent, Response};
use crate::counters::Reason;
use crate::wire::scan::{Found, Scanner, check_prelude};

/// One event of a text, with what stands before it; or what is left at the end and is no event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece<'a> {
    /// Everything from the end of the piece before.
    pub text: &'a str,
    /// Where `<event` begins in it; none when it ends without `</event>`.
    pub start: Option<usize>,
}

/// Cuts a text where a client's stream would be cut. Concatenated, the pieces are the text again, but for blanks at
/// its end.
pub fn pieces(events: &str) -> Vec<Piece<'_>> {
    let mut scanner = Scanner::new(events.len());
    let mut pieces = Vec::new();
    let mut rest = events;
    while let Found::Piece { start, end } = scanner.next(rest.as_bytes()) {
        // `<event` and `</event>` are ASCII: both ends are ends of characters.
        let (text, after) = rest.split_at(end);
        let start = Some(start);
        pieces.push(Piece { text, start });
        rest = after;
    }
    if !rest.trim().is_empty() {
        let (text, start) = (rest, None);
        pieces.push(Piece { text, start });
    }
    pieces
}

impl<'a> Piece<'a> {
    /// The event's bytes.
    ///
    /// # Errors
    /// Why a client's connection would not have taken it.
    pub fn event(&self, max_event: usize) -> Result<&'a [u8], Reason> {
        let Some(start) = self.start else {
            return Err(match self.text.contains("<event") {
                true if self.text.len() > max_event => Reason::Oversize,
                true => Reason::HalfEvent,
                false => Reason::Garbage,
            });
        };
        let (prelude, event) = self.text.as_bytes().split_at(start);
        check_prelude(prelude)?;
        match event.len() > max_event {
            true => Err(Reason::Oversize),
            false => Ok(event),
        }
    }
}

/// Answers [`Request::Inject`](super::Request::Inject): offers each event, and notes which were refused and why.
pub fn inject(
    events: &str,
    max_event: usize,
    mut offer: impl FnMut(&[u8]) -> Result<(), Reason>,
) -> Response {
    let mut accepted = 0;
    let mut refused = Vec::new();
    for (number, piece) in (1..).zip(pieces(events)) {
        match piece.event(max_event).and_then(&mut offer) {
            Ok(()) => accepted += 1,
            Err(reason) => refused.push(RefusedEvent {
                event: number,
                reason: reason.word().to_owned(),
            }),
        }
    }
    Response::Injected { accepted, refused }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn each_event_is_offered_and_each_refusal_has_its_number() {
        let long = format!("<event>{}</event>", "x".repeat(100));
        let text = format!(
            "<?xml version='1.0'?>\n<event uid='1'></event>junk<event uid='2'></event>{long}\n\
             <event uid='4'></event><!DOCTYPE x><event uid='5'></event><event uid='6'>\n"
        );
        let mut offered = Vec::new();
        let answer = inject(&text, 50, |event| {
            offered.push(String::from_utf8_lossy(event).into_owned());
            if event.starts_with(b"<event uid='4'") {
                Err(Reason::Duplicate)
            } else {
                Ok(())
            }
        });
        assert_eq!(
            offered,
            ["<event uid='1'></event>", "<event uid='4'></event>"]
        );
        let Response::Injected { accepted, refused } = answer else {
            panic!("{answer:?}");
        };
        let refused: Vec<(u32, &str)> = refused
            .iter()
            .map(|one| (one.event, one.reason.as_str()))
            .collect();
        assert_eq!(accepted, 1);
        assert_eq!(
            refused,
            [
                (2, "garbage"),
                (3, "oversize"),
                (4, "duplicate"),
                (5, "doctype"),
                (6, "half_event")
            ]
        );
    }

    proptest! {
        #[test]
        fn nothing_but_blanks_is_lost(parts in proptest::collection::vec("(<event[a-zé ]{0,5}>|</event>|[a-zé<>\n]{0,6})", 0..10)) {
            let text = parts.concat();
            let joined: String = pieces(&text).iter().map(|piece| piece.text).collect();
            prop_assert_eq!(joined.trim_end(), text.trim_end());
        }
    }
}

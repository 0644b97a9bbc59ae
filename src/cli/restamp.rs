//! Giving recorded events the present time, and leaving every other byte as it is.

use std::ops::Range;

use crate::api::inject::Piece;
use crate::wire::{stamp, xml};

/// The piece with `time` and `start` at `now_ms` and `stale` as long after it as it was after the old start. A piece
/// that is no well-formed event stays as it is: the box will say what is wrong with it.
pub fn restamp(piece: &Piece<'_>, now_ms: i64) -> String {
    rewritten(piece, now_ms).unwrap_or_else(|| piece.text.to_owned())
}

fn rewritten(piece: &Piece<'_>, now_ms: i64) -> Option<String> {
    let at = piece.start?;
    let (prelude, text) = piece.text.split_at_checked(at)?;
    let event = xml::parse(text.as_bytes()).ok()?;
    let began = event.start.or(event.time);
    let stale_ms = match (began, event.stale) {
        (Some(began), Some(stale)) => Some(now_ms + (stale - began)),
        _ => None,
    };
    let mut changes: Vec<(Range<usize>, i64)> = Vec::new();
    for (name, value) in attributes(text)? {
        match name {
            "time" | "start" => changes.push((value, now_ms)),
            "stale" => changes.extend(stale_ms.map(|stale_ms| (value, stale_ms))),
            _ => {}
        }
    }
    let mut new = String::from(prelude);
    let mut copied = 0;
    for (value, millis) in changes {
        let written = stamp::write(millis)?;
        new.push_str(text.get(copied..value.start)?);
        new.push_str(std::str::from_utf8(&written).ok()?);
        copied = value.end;
    }
    new.push_str(text.get(copied..)?);
    Some(new)
}

/// Names of the event element's own attributes, and where their values are. The event is known to be well-formed.
fn attributes(text: &str) -> Option<Vec<(&str, Range<usize>)>> {
    let mut found = Vec::new();
    let mut at = "<event".len();
    loop {
        let rest = text.get(at..)?;
        let name_at = at + (rest.len() - rest.trim_start().len());
        let name = text.get(name_at..)?;
        if name.starts_with(['>', '/']) {
            return Some(found);
        }
        let equals = name_at + name.find('=')?;
        let quote_at = equals + text.get(equals..)?.find(['"', '\''])?;
        let quote = char::from(*text.as_bytes().get(quote_at)?);
        let value_at = quote_at + 1;
        let end = value_at + text.get(value_at..)?.find(quote)?;
        found.push((text.get(name_at..equals)?.trim_end(), value_at..end));
        at = end + 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::inject::pieces;

    fn at(time: &str) -> i64 {
        stamp::read(time.as_bytes()).unwrap()
    }

    fn restamped(text: &str) -> String {
        let now = at("2026-11-20T12:00:00.500Z");
        pieces(text)
            .iter()
            .map(|piece| restamp(piece, now))
            .collect()
    }

    #[test]
    fn times_move_together_and_nothing_else_does() {
        let text = "<?xml version='1.0'?>\n<event  version=\"2.0\" uid='a time=\"x\"' type=\"a-f-G\"\n\ttime='2016-01-13T20:43:37Z' \
                    start = \"2016-01-13T20:43:37.842Z\" stale=\"2016-01-13T21:44:07.842+01:00\" how='h-e'>\
                    <point lat='1' lon='2' hae='0' ce='9' le='9'/><detail time='2016-01-13T20:43:37Z'>é</detail></event>";
        let expected = text
            .replacen(
                "time='2016-01-13T20:43:37Z'",
                "time='2026-11-20T12:00:00.500Z'",
                1,
            )
            .replace("2016-01-13T20:43:37.842Z", "2026-11-20T12:00:00.500Z")
            .replace("2016-01-13T21:44:07.842+01:00", "2026-11-20T12:00:30.500Z");
        assert_eq!(restamped(text), expected);
        assert_eq!(restamped(&text.repeat(3)), expected.repeat(3));
    }

    #[test]
    fn an_event_that_was_born_stale_stays_so() {
        let text = "<event uid='a' type='t-x-d-d' time='2016-01-13T20:43:37Z' start='2016-01-13T20:43:37Z' \
                    stale='2016-01-13T20:43:36Z'><point lat='1' lon='2' hae='0' ce='9' le='9'/></event>";
        assert!(
            restamped(text).contains("stale='2026-11-20T11:59:59.500Z'"),
            "{}",
            restamped(text)
        );
    }

    #[test]
    fn what_is_no_event_stays_as_it_is() {
        for text in [
            "<event time='2016-01-13T20:43:37Z'></event>",
            "<event uid='a' type='b' time='x' <broken></event>",
            "<event uid='a' type='b' time='2016-01-13T20:43:37Z'>",
            "junk",
        ] {
            assert_eq!(restamped(text), text);
        }
    }
}

//! What the demo's devices say: their own position, moving tracks, chat.

use time::OffsetDateTime;

use super::ledger::Key;

/// Where the islands are: two valleys an hour's drive apart.
const CENTRES: [(&str, f64, f64); 2] = [("alpha", 47.0707, 12.6938), ("bravo", 46.8294, 13.2521)];
/// One round of a track takes this long, seconds.
const ROUND_SECONDS: f64 = 120.0;

/// The devices of one island.
#[derive(Debug, Clone)]
pub(super) struct Team {
    island: &'static str,
    centre: (f64, f64),
    tracks: u16,
}

/// One event, ready to be written, and the name under which it is found again.
#[derive(Debug, Clone)]
pub(super) struct Report {
    /// Which report of which track.
    pub(super) key: Key,
    /// The event as XML.
    pub(super) xml: String,
}

impl Team {
    /// The team of an island.
    pub(super) fn new(island: &'static str, tracks: u16) -> Self {
        let centre = CENTRES
            .iter()
            .find(|(name, _, _)| *name == island)
            .map_or((0.0, 0.0), |&(_, lat, lon)| (lat, lon));
        Self {
            island,
            centre,
            tracks,
        }
    }

    /// The island's name.
    pub(super) fn island(&self) -> &'static str {
        self.island
    }

    /// How many tracks move.
    pub(super) fn tracks(&self) -> u16 {
        self.tracks
    }

    /// The callsign of the device that sends.
    pub(super) fn callsign(&self) -> String {
        format!("{}-6", self.island.to_uppercase())
    }

    /// A track's callsign.
    pub(super) fn track_callsign(&self, number: u16) -> String {
        const WORDS: [&str; 5] = ["HAWK", "OTTER", "LYNX", "IBEX", "HERON"];
        let word = WORDS[usize::from(number) % WORDS.len()];
        format!("{word}-{}", number / 5 + 1)
    }

    fn device(&self) -> String {
        format!("ANDROID-{}-demo", self.island)
    }

    /// The sending device's own position, as ATAK reports it.
    pub(super) fn position(&self, now_ms: i64) -> Report {
        let detail = format!(
            "<takv os=\"34\" version=\"5.4.0.16 (a1b2c3d4).1733000000-CIV\" device=\"SAMSUNG SM-S911B\" \
             platform=\"ATAK-CIV\"/><contact endpoint=\"*:-1:stcp\" callsign=\"{callsign}\"/>\
             <uid Droid=\"{callsign}\"/><precisionlocation altsrc=\"GPS\" geopointsrc=\"GPS\"/>\
             <__group role=\"Team Lead\" name=\"Cyan\"/><status battery=\"87\"/>\
             <track course=\"90.0\" speed=\"0.0\"/>",
            callsign = self.callsign()
        );
        self.report(
            &self.device(),
            "a-f-G-U-C",
            "m-g",
            now_ms,
            self.centre,
            &detail,
        )
    }

    /// A track on its circle.
    pub(super) fn track(&self, number: u16, now_ms: i64) -> Report {
        let phase = f64::from(number) / f64::from(self.tracks.max(1));
        #[expect(
            clippy::cast_precision_loss,
            reason = "the remainder is below two minutes in milliseconds"
        )]
        let into_round = now_ms.rem_euclid((ROUND_SECONDS * 1000.0) as i64) as f64 / 1000.0;
        let angle = (phase + into_round / ROUND_SECONDS).fract() * std::f64::consts::TAU;
        let radius = 0.01 + 0.004 * f64::from(number % 5);
        let place = (
            self.centre.0 + radius * angle.cos(),
            self.centre.1 + radius * angle.sin() / self.centre.0.to_radians().cos(),
        );
        let course = (angle.to_degrees() + 90.0).rem_euclid(360.0);
        let metres_per_second = std::f64::consts::TAU * radius * 111_000.0 / ROUND_SECONDS;
        let detail = format!(
            "<takv os=\"34\" version=\"5.4.0.16 (a1b2c3d4).1733000000-CIV\" device=\"GOOGLE PIXEL 8\" \
             platform=\"ATAK-CIV\"/><contact callsign=\"{callsign}\"/><uid Droid=\"{callsign}\"/>\
             <precisionlocation altsrc=\"DTED0\" geopointsrc=\"GPS\"/>\
             <__group role=\"Team Member\" name=\"Cyan\"/><status battery=\"{battery}\"/>\
             <track course=\"{course:.4}\" speed=\"{metres_per_second:.3}\"/>",
            callsign = self.track_callsign(number),
            battery = 60 + number % 40,
        );
        let uid = format!("tombolo-demo-{}-{}", self.island, number + 1);
        self.report(&uid, "a-f-G-U-C", "m-g", now_ms, place, &detail)
    }

    /// A line of chat to everybody.
    pub(super) fn chat(&self, number: u64, now_ms: i64) -> Report {
        let (device, callsign, time) = (self.device(), self.callsign(), stamp(now_ms));
        let message = format!("demo-{}-{now_ms}", self.island);
        let detail = format!(
            "<__chat parent=\"RootContactGroup\" groupOwner=\"false\" messageId=\"{message}\" \
             chatroom=\"All Chat Rooms\" id=\"All Chat Rooms\" senderCallsign=\"{callsign}\">\
             <chatgrp uid0=\"{device}\" uid1=\"All Chat Rooms\" id=\"All Chat Rooms\"/></__chat>\
             <link uid=\"{device}\" type=\"a-f-G-U-C\" relation=\"p-p\"/>\
             <remarks source=\"BAO.F.ATAK.{device}\" to=\"All Chat Rooms\" time=\"{time}\">\
             {callsign}: radio check {number}</remarks>"
        );
        let uid = format!("GeoChat.{device}.All Chat Rooms.{message}");
        self.report(&uid, "b-t-f", "h-g-i-g-o", now_ms, self.centre, &detail)
    }

    fn report(
        &self,
        uid: &str,
        kind: &str,
        how: &str,
        now_ms: i64,
        (lat, lon): (f64, f64),
        detail: &str,
    ) -> Report {
        let (time, stale) = (stamp(now_ms), stamp(now_ms + 75_000));
        Report {
            key: Key {
                uid: uid.to_owned(),
                time_ms: now_ms,
            },
            xml: format!(
                "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<event version=\"2.0\" uid=\"{uid}\" type=\"{kind}\" \
                 how=\"{how}\" time=\"{time}\" start=\"{time}\" stale=\"{stale}\">\
                 <point lat=\"{lat:.7}\" lon=\"{lon:.7}\" hae=\"1204.6\" ce=\"4.7\" le=\"9999999.0\"/>\
                 <detail>{detail}</detail></event>\n"
            ),
        }
    }
}

/// RFC 3339 in UTC with milliseconds.
pub(super) fn stamp(unix_ms: i64) -> String {
    let moment = OffsetDateTime::from_unix_timestamp_nanos(i128::from(unix_ms) * 1_000_000)
        .unwrap_or(OffsetDateTime::UNIX_EPOCH);
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z",
        moment.year(),
        u8::from(moment.month()),
        moment.day(),
        moment.hour(),
        moment.minute(),
        moment.second(),
        moment.millisecond()
    )
}

/// Finds out which report an event is; `None` for what the demo did not send.
///
/// The time is read as the box may write it: with any number of fraction digits.
pub(super) fn key_of(event: &str) -> Option<Key> {
    let head = &event[event.find("<event")?..];
    let head = &head[..head.find('>')?];
    let time = attribute(head, "time")?;
    Some(Key {
        uid: attribute(head, "uid")?.to_owned(),
        time_ms: unix_ms(time)?,
    })
}

fn attribute<'event>(tag: &'event str, name: &str) -> Option<&'event str> {
    let mut from = 0;
    loop {
        let at = from + tag[from..].find(name)?;
        let rest = &tag[at + name.len()..];
        let starts = tag[..at].ends_with(char::is_whitespace);
        let mut rest = rest.trim_start().chars();
        if starts && rest.next() == Some('=') {
            let rest = rest.as_str().trim_start();
            let quote = rest.chars().next().filter(|c| matches!(c, '"' | '\''))?;
            return rest[1..].split_once(quote).map(|(value, _)| value);
        }
        from = at + name.len();
    }
}

fn unix_ms(text: &str) -> Option<i64> {
    let number = |range: std::ops::Range<usize>| text.get(range)?.parse::<i64>().ok();
    let month = time::Month::try_from(u8::try_from(number(5..7)?).ok()?).ok()?;
    let day = u8::try_from(number(8..10)?).ok()?;
    let date =
        time::Date::from_calendar_date(i32::try_from(number(0..4)?).ok()?, month, day).ok()?;
    let seconds = number(11..13)? * 3600 + number(14..16)? * 60 + number(17..19)?;
    let fraction = text.get(19..)?.trim_end_matches('Z');
    let digits = format!("{:0<3}", fraction.trim_start_matches('.'));
    let midnight = date.midnight().assume_utc().unix_timestamp();
    Some((midnight + seconds) * 1000 + digits.get(..3)?.parse::<i64>().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_763_683_200_120;

    #[test]
    fn every_report_is_found_again() {
        let team = Team::new("alpha", 5);
        for report in [team.position(NOW), team.track(3, NOW), team.chat(1, NOW)] {
            assert_eq!(key_of(&report.xml), Some(report.key));
        }
    }

    #[test]
    fn every_report_is_well_formed_and_of_realistic_size() {
        let team = Team::new("bravo", 5);
        for report in [team.position(NOW), team.track(0, NOW), team.chat(1, NOW)] {
            let mut reader = quick_xml::Reader::from_str(&report.xml);
            reader.config_mut().check_end_names = true;
            loop {
                if reader.read_event().unwrap() == quick_xml::events::Event::Eof {
                    break;
                }
            }
            assert!(
                (600..1000).contains(&report.xml.len()),
                "{}",
                report.xml.len()
            );
        }
    }

    #[test]
    fn times_are_read_with_any_fraction() {
        assert_eq!(stamp(NOW), "2025-11-21T00:00:00.120Z");
        for text in [
            "2025-11-21T00:00:00.120Z",
            "2025-11-21T00:00:00.12Z",
            "2025-11-21T00:00:00.120000Z",
        ] {
            assert_eq!(unix_ms(text), Some(NOW), "{text}");
        }
        assert_eq!(unix_ms("2025-11-21T00:00:00Z"), Some(NOW - 120));
        assert_eq!(unix_ms("soon"), None);
    }

    #[test]
    fn tracks_move_on_a_circle() {
        let team = Team::new("alpha", 5);
        assert_ne!(team.track(0, NOW).xml, team.track(0, NOW + 500).xml);
        assert_ne!(team.track(0, NOW).key.uid, team.track(1, NOW).key.uid);
    }

    #[test]
    fn attributes_are_found_by_their_whole_name() {
        let tag = "<event datetime='no' uid = 'x' time=\"t\"";
        assert_eq!(attribute(tag, "time"), Some("t"));
        assert_eq!(attribute(tag, "uid"), Some("x"));
        assert_eq!(attribute(tag, "stale"), None);
    }
}

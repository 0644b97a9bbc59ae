//! What gpsd says (its JSON protocol, version 3), and the time in it. Pure: lines come in, a [`Sighting`] goes out.
//!
//! A time in a `TPV` arrives late by what receiver, serial line and gpsd take, some 0.1 to 0.8 s, and never early: of
//! the last few the one that is furthest ahead is the best. `TOFF` says the same with gpsd's own stamp. `PPS` is the
//! pulse of the second, and good to a millisecond.

use serde::Deserialize;

use super::judge::Sighting;
use crate::wire::stamp;

/// What is sent to gpsd after its greeting.
pub const WATCH: &[u8] = b"?WATCH={\"enable\":true,\"json\":true,\"pps\":true};\n";
/// Asked of a gpsd that has been silent; it answers whatever its receiver does.
pub const POLL: &[u8] = b"?DEVICES;\n";
/// Longer lines are skipped, bytes. What holds a time is below 1 KiB; lists of satellites may be longer.
pub const LINE_BYTES: usize = 4096;

/// Times of messages that are compared.
const WINDOW: usize = 8;
/// So many must agree before any is believed.
const AGREEING: usize = 3;
/// They agree within this, milliseconds.
const AGREES_MS: u64 = 2_000;
/// How far off a time in a message may be, milliseconds.
const MESSAGE_ERROR_MS: u64 = 500;
/// How far off a pulse may be, milliseconds.
const PULSE_ERROR_MS: u64 = 1;
/// Pulses go before messages for so long, milliseconds.
const PULSE_MS: u64 = 10_000;
/// A fix counts for so long, milliseconds: without one the receiver's time is its own guess.
const FIX_MS: u64 = 10_000;

/// One line of gpsd, as far as it matters here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// `VERSION`: the greeting, with gpsd's release.
    Version(String),
    /// `DEVICES`: how many receivers it has.
    Devices(usize),
    /// `TPV`: a position report.
    Report {
        /// 0 unknown, 1 no fix, 2 two dimensions, 3 three.
        mode: u8,
        /// Its time, milliseconds since 1970.
        time_ms: Option<i64>,
        /// How far off the receiver holds it to be, milliseconds.
        error_ms: Option<u64>,
    },
    /// `TOFF` or `PPS`: the time of GPS beside that of the system clock at the same moment.
    Pair {
        /// It is the pulse.
        is_pulse: bool,
        /// The time of GPS, milliseconds since 1970.
        real_ms: i64,
        /// That of the system clock.
        clock_ms: i64,
    },
    /// Anything else of gpsd.
    Other,
    /// Not from a gpsd.
    Unreadable,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Message {
    class: String,
    release: String,
    devices: Vec<serde::de::IgnoredAny>,
    mode: i64,
    time: Option<String>,
    ept: Option<f64>,
    real_sec: Option<i64>,
    real_nsec: i64,
    clock_sec: Option<i64>,
    clock_nsec: i64,
}

/// Reads one line.
pub fn parse(line: &[u8]) -> Line {
    let Ok(message) = serde_json::from_slice::<Message>(line) else {
        return Line::Unreadable;
    };
    match message.class.as_str() {
        "VERSION" => Line::Version(
            message
                .release
                .chars()
                .filter(char::is_ascii_graphic)
                .take(32)
                .collect(),
        ),
        "DEVICES" => Line::Devices(message.devices.len()),
        "TPV" => Line::Report {
            mode: u8::try_from(message.mode).unwrap_or(0),
            time_ms: message
                .time
                .as_deref()
                .and_then(|time| stamp::read(time.as_bytes())),
            // A float to an integer saturates; what is no number becomes 0.
            error_ms: message.ept.map(|seconds| (seconds * 1_000.0) as u64),
        },
        class @ ("TOFF" | "PPS") => {
            let real = moment(message.real_sec, message.real_nsec);
            let clock = moment(message.clock_sec, message.clock_nsec);
            match (real, clock) {
                (Some(real_ms), Some(clock_ms)) => Line::Pair {
                    is_pulse: class == "PPS",
                    real_ms,
                    clock_ms,
                },
                _ => Line::Other,
            }
        }
        "" => Line::Unreadable,
        _ => Line::Other,
    }
}

fn moment(seconds: Option<i64>, nanos: i64) -> Option<i64> {
    seconds?
        .checked_mul(1_000)?
        .checked_add(nanos.checked_div(1_000_000)?)
}

/// How gpsd stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum State {
    /// `gpsd` is off in the configuration.
    Off,
    /// Nobody answers there.
    #[default]
    Away,
    /// It answers, and has no receiver.
    NoReceiver,
    /// A receiver without a fix.
    NoFix,
    /// A fix, and a time that cannot be: before this release was built, as after a rollover of the GPS week.
    Implausible,
    /// A fix.
    Fix,
    /// A fix, and the pulse of the second.
    Pulse,
}

impl State {
    /// One word that scripts may rely on.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Away => "away",
            Self::NoReceiver => "no_receiver",
            Self::NoFix => "no_fix",
            Self::Implausible => "implausible",
            Self::Fix => "fix",
            Self::Pulse => "pps",
        }
    }
}

/// Follows the lines of one gpsd.
#[derive(Debug, Clone, Default)]
pub struct Tracker {
    is_connected: bool,
    has_receiver: bool,
    is_implausible: bool,
    /// The monotonic time of the last fix.
    fix_at: Option<u64>,
    pulse_at: Option<u64>,
    /// Anchors of messages, the newest last.
    window: heapless::Deque<i64, WINDOW>,
    sighting: Option<Sighting>,
}

impl Tracker {
    /// gpsd answers, or is gone; what it said stays as old as it is.
    pub fn set_connected(&mut self, is_connected: bool) {
        self.is_connected = is_connected;
        self.has_receiver &= is_connected;
        self.window.clear();
    }

    /// What GPS said last, if it ever did.
    pub fn sighting(&self) -> Option<Sighting> {
        self.sighting
    }

    /// Notes one line that arrived now. `system_ms` is the system clock, by which gpsd stamps pairs; `is_plausible`
    /// says whether it can be that time.
    pub fn hear(
        &mut self,
        line: &Line,
        mono_ms: u64,
        system_ms: i64,
        is_plausible: impl Fn(i64) -> bool,
    ) {
        let mono = i64::try_from(mono_ms).unwrap_or(i64::MAX);
        match *line {
            Line::Version(_) => self.is_connected = true,
            Line::Devices(count) => self.has_receiver = count > 0,
            Line::Report {
                mode,
                time_ms,
                error_ms,
            } => {
                self.has_receiver = true;
                let Some(time_ms) = time_ms.filter(|_| mode >= 2) else {
                    return;
                };
                self.is_implausible = !is_plausible(time_ms);
                if self.is_implausible {
                    return;
                }
                self.fix_at = Some(mono_ms);
                let error = error_ms.unwrap_or(0).clamp(MESSAGE_ERROR_MS, 60_000);
                self.message(time_ms.saturating_sub(mono), error, mono_ms);
            }
            Line::Pair {
                is_pulse,
                real_ms,
                clock_ms,
            } => {
                let anchor = real_ms
                    .saturating_sub(clock_ms)
                    .saturating_add(system_ms)
                    .saturating_sub(mono);
                // A gpsd elsewhere stamps by another clock than ours.
                let is_our_clock = clock_ms.abs_diff(system_ms) <= AGREES_MS;
                if !is_our_clock
                    || !self.has_fix(mono_ms)
                    || !is_plausible(anchor.saturating_add(mono))
                {
                    return;
                }
                if !is_pulse {
                    return self.message(anchor, MESSAGE_ERROR_MS, mono_ms);
                }
                self.pulse_at = Some(mono_ms);
                self.sighting = Some(Sighting {
                    anchor_ms: anchor,
                    error_ms: PULSE_ERROR_MS,
                    at_ms: mono_ms,
                });
            }
            Line::Other | Line::Unreadable => {}
        }
    }

    /// How it stands.
    pub fn state(&self, mono_ms: u64) -> State {
        match self.is_connected {
            false => State::Away,
            true if !self.has_receiver => State::NoReceiver,
            true if self.is_implausible => State::Implausible,
            true if !self.has_fix(mono_ms) => State::NoFix,
            true if self.has_pulse(mono_ms) => State::Pulse,
            true => State::Fix,
        }
    }

    fn has_fix(&self, mono_ms: u64) -> bool {
        self.fix_at
            .is_some_and(|at| mono_ms.saturating_sub(at) <= FIX_MS)
    }

    fn has_pulse(&self, mono_ms: u64) -> bool {
        self.pulse_at
            .is_some_and(|at| mono_ms.saturating_sub(at) <= PULSE_MS)
    }

    /// A time that came in a message.
    fn message(&mut self, anchor_ms: i64, error_ms: u64, mono_ms: u64) {
        let best = self.window.iter().copied().max();
        if best.is_some_and(|best| best.abs_diff(anchor_ms) > AGREES_MS) {
            self.window.clear();
        }
        if self.window.is_full() {
            self.window.pop_front();
        }
        // There is room: the oldest has just left.
        let _ = self.window.push_back(anchor_ms);
        if self.window.len() < AGREEING || self.has_pulse(mono_ms) {
            return;
        }
        self.sighting = Some(Sighting {
            anchor_ms: self.window.iter().copied().max().unwrap_or(anchor_ms),
            error_ms,
            at_ms: mono_ms,
        });
    }
}

#[cfg(test)]
mod tests;

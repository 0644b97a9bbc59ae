//! `tombolo recorder dump|list|show|replay`: what happened last, written down by the running box or when it broke.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use clap::Subcommand;
use serde_json::json;

use super::failure::{Exit, Failure, unreadable};
use super::output::{clean, print};
use super::paths::Places;
use crate::api::status::time;
use crate::api::{Request, Response, ask};
use crate::files;
use crate::route::Form;
use crate::route::flight::{self, Replayed, Summary};
use crate::route::recorder::{LinkKind, Note, Recording, What};
use crate::supervise::blackbox::{EXTENSION, FOLDER, numbers};

/// Actions of `recorder`.
#[derive(Debug, Subcommand)]
pub enum RecorderArgs {
    /// Have the running box write down what happened last
    Dump {
        /// Put it there; without: it stays with the box, which keeps the last eight
        file: Option<PathBuf>,
    },
    /// Name the recordings that lie with the box: those asked for, and those of panics, standstills and power fails
    List,
    /// Show a recording in words
    Show {
        /// The recording; without: the newest that lies with the box
        file: Option<PathBuf>,
        /// One line of JSON for each note
        #[arg(long)]
        json: bool,
    },
    /// Go through a recording again in virtual time, and compare each decision with the one that was made
    Replay {
        /// The recording; without: the newest that lies with the box
        file: Option<PathBuf>,
        /// Only print the CoT events whose bytes were kept, fit for `inject`
        #[arg(long)]
        cot: bool,
    },
}

/// A recording is no longer than this, bytes: memory of the recorder at its largest, and as much for the phone book.
const LONGEST: u64 = 64 * 1024 * 1024;

/// Runs `recorder`.
///
/// # Errors
/// If no box answers, there is no such recording, or decisions differ.
pub fn run(arguments: &RecorderArgs, places: &Places) -> Result<(), Failure> {
    match arguments {
        RecorderArgs::Dump { file } => dump(file.as_deref(), places),
        RecorderArgs::List => list(places),
        RecorderArgs::Show { file, json } => show(&read(file.as_deref(), places)?, *json),
        RecorderArgs::Replay { file, cot: true } => cot(&read(file.as_deref(), places)?),
        RecorderArgs::Replay { file, .. } => replay(&read(file.as_deref(), places)?),
    }
}

fn dump(file: Option<&Path>, places: &Places) -> Result<(), Failure> {
    let written = match ask(&places.state, &Request::RecorderDump)?.into_result()? {
        Response::Recorded(written) => PathBuf::from(written),
        _ => {
            let words = "the box answers something else than was asked";
            return Err(Failure::new(Exit::Internal, words));
        }
    };
    let Some(file) = file else {
        return print(&format!("{}\n", clean(&written.display().to_string())));
    };
    let bytes = files::read_bounded(&written, LONGEST)
        .map_err(|error| unreadable(&written, &error, "see the box's log"))?;
    files::replace(file, &bytes, files::PRIVATE).map_err(|error| {
        let words = format!(
            "{}: {}; name a place that can be written",
            file.display(),
            files::fault(&error)
        );
        Failure::new(Exit::CannotCreate, words)
    })?;
    // It is where it was asked for; the copy would push another one out.
    let _ = files::remove(&written);
    print(&format!("{}\n", clean(&file.display().to_string())))
}

fn list(places: &Places) -> Result<(), Failure> {
    let mut text = String::new();
    for number in numbers(&places.state.join(FOLDER)) {
        let file = path(places, number);
        let line = match read(Some(&file), places) {
            Ok(recording) => format!(
                "{}  {}  {} notes: {}",
                file.display(),
                time(recording.written.1).unwrap_or_default(),
                recording.notes.len(),
                recording.why
            ),
            Err(failure) => format!("{}  {}", file.display(), failure.message),
        };
        let _ = writeln!(text, "{}", clean(&line));
    }
    match text.is_empty() {
        true => print("no recordings\n"),
        false => print(&text),
    }
}

fn path(places: &Places, number: u64) -> PathBuf {
    let folder = places.state.join(FOLDER);
    folder.join(format!("{number:08}.{EXTENSION}"))
}

fn read(file: Option<&Path>, places: &Places) -> Result<Recording, Failure> {
    let newest;
    let file = match file {
        Some(file) => file,
        None => match numbers(&places.state.join(FOLDER)).last() {
            Some(&number) => {
                newest = path(places, number);
                &newest
            }
            None => {
                let words = "no recording lies with the box; `tombolo recorder dump` writes one";
                return Err(Failure::new(Exit::NoInput, words));
            }
        },
    };
    let cure = "name a file that `recorder dump` or the box wrote";
    let bytes =
        files::read_bounded(file, LONGEST).map_err(|error| unreadable(file, &error, cure))?;
    Recording::from_bytes(&bytes)
        .map_err(|damaged| Failure::new(Exit::Data, format!("{}: {damaged}", file.display())))
}

fn show(recording: &Recording, as_json: bool) -> Result<(), Failure> {
    let mut names = Names::of(recording);
    let mut text = match as_json {
        true => String::new(),
        false => head(recording),
    };
    for note in &recording.notes {
        names.hear(note);
        let _ = match as_json {
            true => writeln!(text, "{}", in_json(note, &names)),
            false => writeln!(text, "{}", clean(&line(note, &names))),
        };
    }
    print(&text)
}

fn replay(recording: &Recording) -> Result<(), Failure> {
    let mut names = Names::of(recording);
    let mut text = head(recording);
    let summary = flight::replay(recording, |note, replayed| {
        names.hear(note);
        let _ = match replayed {
            None | Some(Replayed::Same) => writeln!(text, "     {}", clean(&line(note, &names))),
            Some(Replayed::Different(now)) => {
                writeln!(text, "!    {}; NOW {now}", clean(&line(note, &names)))
            }
            Some(Replayed::Skipped(why)) => {
                writeln!(
                    text,
                    "?    {}; not gone through again: {why}",
                    clean(&line(note, &names))
                )
            }
        };
    });
    let Summary {
        same,
        different,
        skipped,
    } = summary;
    let _ = writeln!(
        text,
        "{same} events decided as they were, {different} otherwise (!), {skipped} not gone through again (?)"
    );
    print(&text)?;
    match different {
        0 => Ok(()),
        different => Err(Failure::new(
            Exit::Data,
            format!(
                "{different} events are decided otherwise than they were: another release, or a change of contacts before the recording"
            ),
        )),
    }
}

fn cot(recording: &Recording) -> Result<(), Failure> {
    let mut text = String::new();
    for note in &recording.notes {
        if let What::Event {
            form: Form::Xml,
            bytes: Some(bytes),
            ..
        } = &note.what
            && let Ok(event) = std::str::from_utf8(bytes)
        {
            let _ = writeln!(text, "{event}");
        }
    }
    print(&text)
}

fn head(recording: &Recording) -> String {
    let mut text = format!(
        "{}, release {}, written {}: {}\n",
        clean(&recording.name),
        clean(&recording.release),
        time(recording.written.1).unwrap_or_default(),
        clean(&recording.why)
    );
    if recording.missed > 0 {
        let _ = writeln!(text, "{} older notes are gone", recording.missed);
    }
    text
}

/// What the links are called.
struct Names(Vec<(u16, String)>);

impl Names {
    fn of(recording: &Recording) -> Self {
        let named = |(link, kind, name): &(u16, LinkKind, String)| (*link, called(*kind, name));
        Self(recording.links.iter().map(named).collect())
    }

    fn hear(&mut self, note: &Note) {
        if let What::Up { link, kind, name } = &note.what {
            self.0.retain(|(known, _)| known != link);
            self.0.push((*link, called(*kind, name)));
        }
    }

    fn name(&self, link: u16) -> &str {
        let known = self.0.iter().find(|(known, _)| *known == link);
        known.map_or("a link of before", |(_, name)| name)
    }
}

fn called(kind: LinkKind, name: &str) -> String {
    match kind {
        LinkKind::Client => format!("client {name}"),
        LinkKind::Commands => "commands".to_owned(),
        LinkKind::Federate { .. } | LinkKind::Neighbour { .. } => name.to_owned(),
    }
}

const CLASSES: [&str; 5] = ["emergency", "control", "chat", "track", "bulk"];
const TOPICS: [&str; 4] = ["link", "clock", "uplink", "box"];

fn word(words: &[&'static str], at: u8) -> &'static str {
    words.get(usize::from(at)).copied().unwrap_or("other")
}

fn line(note: &Note, names: &Names) -> String {
    let at = time(note.wall_ms).unwrap_or_default();
    let what = match &note.what {
        What::Event {
            from,
            uid,
            kind,
            class,
            verdict,
            left_s,
            size,
            ..
        } => {
            let uid = if uid.is_empty() { "(unreadable)" } else { uid };
            let stale = match left_s {
                Some(left) if *left < 0 => format!(", stale since {} s", left.unsigned_abs()),
                _ => String::new(),
            };
            format!(
                "{} {uid} {kind} ({}, {size} bytes{stale}): {verdict}",
                names.name(*from),
                word(&CLASSES, *class)
            )
        }
        What::Words { topic, words } => format!("{}: {words}", word(&TOPICS, *topic)),
        What::Up { link, .. } => format!("{} came up", names.name(*link)),
        What::Down { link } => format!("{} went down", names.name(*link)),
        What::Directions {
            link,
            incoming,
            outgoing,
        } => {
            let on_off = |on: &bool| if *on { "on" } else { "off" };
            format!(
                "{}: incoming {}, outgoing {}",
                names.name(*link),
                on_off(incoming),
                on_off(outgoing)
            )
        }
    };
    format!("{at} {what}")
}

fn in_json(note: &Note, names: &Names) -> serde_json::Value {
    let mut value = match &note.what {
        What::Event {
            from,
            form,
            uid,
            kind,
            class,
            verdict,
            left_s,
            size,
            bytes,
            ..
        } => json!({
            "event": uid, "type": kind, "from": names.name(*from), "form": form.word(), "federated": *form == Form::Federated,
            "class": word(&CLASSES, *class), "verdict": verdict.to_string(), "left_seconds": left_s, "size": size,
            "bytes_kept": bytes.is_some(),
        }),
        What::Words { topic, words } => json!({"about": word(&TOPICS, *topic), "words": words}),
        What::Up { link, .. } => json!({"up": names.name(*link)}),
        What::Down { link } => json!({"down": names.name(*link)}),
        What::Directions {
            link,
            incoming,
            outgoing,
        } => json!({"directions": names.name(*link), "incoming": incoming, "outgoing": outgoing}),
    };
    value["at"] = time(note.wall_ms).into();
    value["mono_ms"] = note.mono_ms.into();
    value
}

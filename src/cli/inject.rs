//! `tombolo inject FILE`, also called as `tak-inject`: hands events to the running box as a local client would.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use clap::Args;

use super::failure::{Exit, Failure, unreadable};
use super::output::print;
use super::paths::Places;
use super::restamp::restamp;
use crate::api::inject::pieces;
use crate::api::{ErrorCode, RefusedEvent, Request, Response, ask};
use crate::clock::{Clock, SystemClock};
use crate::counters::Reason;
use crate::files;

/// Arguments of `inject`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// File with CoT XML, one event or several; `-` is standard input
    file: PathBuf,
    /// Rewrite time and start to now, and stale so that the event lives as long as it would have
    #[arg(long)]
    now: bool,
}

/// Largest input, bytes.
const MOST_BYTES: u64 = 64 * 1024 * 1024;
/// Events are sent together up to so many bytes.
const TOGETHER: usize = 32 * 1024;

/// Runs `inject`.
///
/// # Errors
/// If the input cannot be read, no box answers, or any event was refused.
pub fn run(arguments: &Arguments, places: &Places) -> Result<(), Failure> {
    let text = read(&arguments.file)?;
    let now = arguments.now.then(|| SystemClock::new().now().wall_ms);
    let events: Vec<String> = pieces(&text)
        .iter()
        .map(|piece| match now {
            Some(now) => restamp(piece, now),
            None => piece.text.to_owned(),
        })
        .collect();
    if events.is_empty() {
        let message = format!(
            "{}: holds no event; CoT XML is <event ...>...</event>, one or several",
            called(&arguments.file)
        );
        return Err(Failure::new(Exit::Data, message));
    }
    let mut tally = Tally::default();
    let mut first = 0;
    while first < events.len() {
        let count = together(&events[first..]);
        send(places, &events, first, count, &mut tally)?;
        first += count;
    }
    print(&format!(
        "{} accepted, {} refused\n",
        tally.accepted,
        tally.refused.len()
    ))?;
    if tally.refused.is_empty() {
        return Ok(());
    }
    let lines: Vec<String> = tally
        .refused
        .iter()
        .map(|one| format!("event {} was refused: {}", one.event, one.reason))
        .collect();
    Err(Failure::new(Exit::Data, lines.join("\n")))
}

#[derive(Debug, Default)]
struct Tally {
    accepted: u32,
    refused: Vec<RefusedEvent>,
}

fn read(file: &Path) -> Result<String, Failure> {
    let from_file = file != Path::new("-");
    let bytes = match from_file {
        true => files::read_bounded(file, MOST_BYTES),
        false => read_standard_input(),
    };
    let fail = |exit, cause: String| Failure::new(exit, format!("{}: {cause}", called(file)));
    let bytes = bytes.map_err(|error| match error.kind() {
        io::ErrorKind::FileTooLarge => fail(
            Exit::Data,
            format!("{error}; split it and inject the parts one after the other"),
        ),
        _ => unreadable(
            file,
            &error,
            "name a file with CoT XML, or - for standard input",
        ),
    })?;
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        fail(
            Exit::Data,
            format!("not UTF-8 at byte {at}; CoT is sent as UTF-8"),
        )
    })
}

fn called(file: &Path) -> String {
    match file == Path::new("-") {
        true => "standard input".to_owned(),
        false => file.display().to_string(),
    }
}

fn read_standard_input() -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    io::stdin()
        .lock()
        .take(MOST_BYTES + 1)
        .read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("larger than {MOST_BYTES} bytes"),
        ));
    }
    Ok(bytes)
}

/// How many of the events go into one request; at least one.
fn together(events: &[String]) -> usize {
    let mut bytes = 0;
    let fits = |event: &&String| {
        bytes += event.len();
        bytes <= TOGETHER
    };
    events.iter().take_while(fits).count().max(1)
}

/// Sends `count` events from `first` on. A request too long for the box is sent in halves; one event alone that is
/// too long is one that the box would refuse.
fn send(
    places: &Places,
    events: &[String],
    first: usize,
    count: usize,
    tally: &mut Tally,
) -> Result<(), Failure> {
    let request = Request::Inject {
        events: events[first..first + count].concat(),
    };
    let number = |index: usize| u32::try_from(first + index).unwrap_or(u32::MAX);
    match ask(&places.state, &request)?.into_result() {
        Ok(Response::Injected { accepted, refused }) => {
            tally.accepted += accepted;
            tally
                .refused
                .extend(refused.into_iter().map(|one| RefusedEvent {
                    event: number(one.event as usize),
                    reason: one.reason,
                }));
            Ok(())
        }
        Ok(_) => Err(Failure::new(
            Exit::Internal,
            "the box answers something else than was asked",
        )),
        Err(fault) if fault.code == ErrorCode::TooLong && count == 1 => {
            tally.refused.push(RefusedEvent {
                event: number(1),
                reason: Reason::Oversize.word().to_owned(),
            });
            Ok(())
        }
        Err(fault) if fault.code == ErrorCode::TooLong => {
            let half = count / 2;
            send(places, events, first, half, tally)?;
            send(places, events, first + half, count - half, tally)
        }
        Err(fault) => Err(fault.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::inject::inject;
    use crate::api::{Control, ControlListener, Turns, serve};
    use std::sync::{Arc, Mutex};

    /// Takes everything but events of uid `bad`, and remembers it.
    #[derive(Default)]
    struct Taking(Mutex<Vec<u8>>);

    impl Control for Taking {
        fn handle(&self, request: Request) -> Response {
            let Request::Inject { events } = request else {
                panic!("{request:?}");
            };
            inject(&events, 2000, |event| {
                if memchr::memmem::find(event, b"'bad'").is_some() {
                    return Err(Reason::Malformed);
                }
                self.0.lock().unwrap().extend_from_slice(event);
                Ok(())
            })
        }
    }

    /// Injects a file into a box that takes requests of at most `longest` bytes; what it took, and the outcome.
    fn inject_into(longest: u64, content: &[u8], now: bool) -> (String, Result<(), Failure>) {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("events.xml");
        std::fs::write(&file, content).unwrap();
        let places = Places {
            config: directory.path().join("tombolo.toml"),
            config_is_named: false,
            state: directory.path().join("state"),
        };
        let taking = Arc::new(Taking::default());
        let control = Arc::clone(&taking);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let outcome = runtime.block_on(async {
            let listener = ControlListener::bind(&places.state, longest).unwrap();
            let running =
                tokio::task::spawn_blocking(move || run(&Arguments { file, now }, &places));
            tokio::select! {
                () = serve(listener, Arc::new(Turns::new(control))) => panic!("the server ended"),
                outcome = running => outcome.unwrap(),
            }
        });
        let taken = String::from_utf8(taking.0.lock().unwrap().clone()).unwrap();
        (taken, outcome)
    }

    fn event(uid: &str, size: usize) -> String {
        format!("<event uid='{uid}'>{}</event>", "x".repeat(size))
    }

    #[test]
    fn every_event_arrives_in_order_over_many_requests() {
        let text: String = (0..300).map(|uid| event(&uid.to_string(), 1000)).collect();
        let (taken, outcome) = inject_into(1 << 20, text.as_bytes(), false);
        assert_eq!(outcome, Ok(()));
        assert_eq!(taken, text);
    }

    #[test]
    fn a_box_with_small_requests_gets_halves() {
        let text: String = (0..50).map(|uid| event(&uid.to_string(), 1000)).collect();
        let (taken, outcome) = inject_into(5000, text.as_bytes(), false);
        assert_eq!(outcome, Ok(()));
        assert_eq!(taken, text);
    }

    #[test]
    fn refused_events_are_named_by_their_number_in_the_file() {
        let mut events: Vec<String> = (0..100).map(|uid| event(&uid.to_string(), 1000)).collect();
        events[49] = event("bad", 10);
        events[79] = event("big", 100_000);
        events.push("<event uid='half'>".into());
        let (taken, outcome) = inject_into(20_000, events.concat().as_bytes(), false);
        let failure = outcome.unwrap_err();
        assert_eq!(failure.exit, Exit::Data);
        assert_eq!(
            failure.message,
            "event 50 was refused: malformed\nevent 80 was refused: oversize\nevent 101 was refused: half_event"
        );
        assert_eq!(taken.matches("</event>").count(), 98);
    }

    #[test]
    fn what_is_no_text_or_no_event_is_said_to_be_so() {
        for (content, words) in [
            (&b"<event>\xff</event>"[..], "not UTF-8 at byte 7"),
            (b" \n ", "holds no event"),
        ] {
            let failure = inject_into(5000, content, false).1.unwrap_err();
            assert_eq!(failure.exit, Exit::Data);
            assert!(failure.message.contains(words), "{failure}");
        }
        let places = Places {
            config: PathBuf::new(),
            config_is_named: false,
            state: "/nonexistent".into(),
        };
        let missing = Arguments {
            file: "/nonexistent.xml".into(),
            now: false,
        };
        let failure = run(&missing, &places).unwrap_err();
        assert_eq!(failure.exit, Exit::NoInput);
        assert_eq!(
            failure.message,
            "/nonexistent.xml: there is no such file or directory; name a file with CoT XML, or - for standard input"
        );
    }
}

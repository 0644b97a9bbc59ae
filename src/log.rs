//! What the box says: to the journal where there is one, else in plain lines on standard error.

pub mod recent;

use std::env;
use std::fmt;
use std::io;

use tracing::Subscriber;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

/// Environment variable for levels: `debug`, or `tombolo::link=trace,h2=warn`.
pub const VARIABLE: &str = "TOMBOLO_LOG";

/// Where the lines go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Destination {
    /// The systemd journal, with fields.
    Journal,
    /// Standard error.
    StandardError,
}

/// Why logging could not be set up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogError {
    /// [`VARIABLE`] cannot be read.
    Levels(String),
    /// It was set up before.
    Twice,
}

impl fmt::Display for LogError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Levels(text) => write!(
                f,
                "{VARIABLE}: \"{text}\" is no level; write error, warn, info, debug or trace"
            ),
            Self::Twice => f.write_str("logging was set up twice"),
        }
    }
}

impl std::error::Error for LogError {}

/// Sets logging up for the whole process. `verbose` counts: 0 = info, 1 = debug, 2 = trace; [`VARIABLE`] goes first.
///
/// # Errors
/// If the levels cannot be read, or this was called before.
pub fn start(verbose: u8) -> Result<Destination, LogError> {
    let levels = match env::var(VARIABLE) {
        Ok(text) if !text.trim().is_empty() => parse_levels(&text)?,
        _ => default_levels(verbose),
    };
    let journal = env::var("JOURNAL_STREAM")
        .ok()
        .filter(|stream| is_standard_error(stream))
        .and_then(|_| tracing_journald::layer().ok());
    let recent = lines(recent::Writer).with_filter(levels.clone());
    let registry = tracing_subscriber::registry().with(recent);
    match journal {
        Some(layer) => registry
            .with(
                layer
                    .with_field_prefix(Some("TOMBOLO".into()))
                    .with_filter(levels),
            )
            .try_init()
            .map_err(|_| LogError::Twice)
            .map(|()| Destination::Journal),
        None => registry
            .with(lines(io::stderr).with_filter(levels))
            .try_init()
            .map_err(|_| LogError::Twice)
            .map(|()| Destination::StandardError),
    }
}

/// One line per message: time, level, text, fields.
fn lines<S, W>(writer: W) -> impl Layer<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'a> tracing_subscriber::fmt::MakeWriter<'a> + 'static,
{
    tracing_subscriber::fmt::layer()
        .compact()
        .with_target(false)
        .with_ansi(false)
        .with_writer(writer)
}

fn parse_levels(text: &str) -> Result<Targets, LogError> {
    let unreadable = |_| LogError::Levels(text.to_owned());
    // A bare word would otherwise be taken for the name of a module.
    let bare = |part: &str| !part.contains('=') && part.trim().parse::<LevelFilter>().is_err();
    if text.split(',').any(bare) {
        return Err(LogError::Levels(text.to_owned()));
    }
    text.trim().parse().map_err(unreadable)
}

/// Our own modules as asked for, the libraries only when they complain.
fn default_levels(verbose: u8) -> Targets {
    let level = match verbose {
        0 => LevelFilter::INFO,
        1 => LevelFilter::DEBUG,
        _ => LevelFilter::TRACE,
    };
    Targets::new()
        .with_default(LevelFilter::WARN)
        .with_target("tombolo", level)
}

/// Whether `JOURNAL_STREAM` (`device:inode`) names our standard error: it is inherited by children whose standard
/// error goes elsewhere.
fn is_standard_error(stream: &str) -> bool {
    let Ok(status) = nix::sys::stat::fstat(io::stderr()) else {
        return false;
    };
    stream == format!("{}:{}", status.st_dev, status.st_ino)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Page(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Page {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_line_holds_level_text_and_fields_and_levels_filter() {
        let page = Page::default();
        let writer = page.clone();
        let layer = lines(move || writer.clone()).with_filter(default_levels(0));
        let subscriber = tracing_subscriber::registry().with(layer);
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(target: "tombolo::link", peer = "bravo", "connected");
            tracing::debug!(target: "tombolo::link", "detail");
            tracing::info!(target: "h2", "library detail");
            tracing::warn!(target: "h2", "library complaint");
        });
        let text = String::from_utf8(page.0.lock().unwrap().clone()).unwrap();
        assert_eq!(text.lines().count(), 2, "{text}");
        assert!(
            text.contains("INFO") && text.contains("connected") && text.contains("peer=\"bravo\""),
            "{text}"
        );
        assert!(
            text.contains("library complaint") && !text.contains('\u{1b}'),
            "{text}"
        );
    }

    #[test]
    fn levels_are_read_or_explained() {
        assert!(parse_levels("debug").is_ok());
        assert!(parse_levels("tombolo::link=trace,h2=warn").is_ok());
        for bad in ["loud", "tombolo=loud", "debug,loud"] {
            let fault = parse_levels(bad).map(drop).unwrap_err().to_string();
            assert!(fault.contains("is no level"), "{fault}");
        }
    }

    #[test]
    fn somebody_elses_journal_is_not_ours() {
        assert!(!is_standard_error("0:0"));
        assert!(!is_standard_error(""));
        let status = nix::sys::stat::fstat(io::stderr()).unwrap();
        assert!(is_standard_error(&format!(
            "{}:{}",
            status.st_dev, status.st_ino
        )));
    }
}

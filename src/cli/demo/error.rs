//! Why the demo could not be shown, and where to look.

use std::fmt;
use std::path::PathBuf;

/// How long both boxes may take to find each other.
pub(super) const CONNECT_SECONDS: u64 = 20;

/// Why the demo could not be shown.
#[derive(Debug)]
pub enum DemoError {
    /// The runtime or a signal handler could not be set up.
    Setup(std::io::Error),
    /// A directory or file of the playground could not be made.
    Playground(PathBuf, std::io::Error),
    /// A box could not be started, or its command line could not be called.
    Spawn(std::io::Error),
    /// A box ended, or did not answer; its name, what happened, the end of its log.
    Island(&'static str, String, String),
    /// The boxes did not find each other; the reasons as both give them, the ends of both logs.
    NotConnected(String, String),
    /// A signal came before anything was to be seen, or a second one before the end.
    Interrupted,
    /// A device lost its box, or never reached it.
    Device(&'static str, std::io::Error),
}

impl fmt::Display for DemoError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Setup(error) => write!(f, "the demo cannot start: {error}"),
            Self::Playground(path, error) => write!(
                f,
                "cannot write {}: {error}. Set TMPDIR to a directory with room and run it again",
                path.display()
            ),
            Self::Spawn(error) => write!(f, "cannot start tombolo itself: {error}"),
            Self::Island(name, what, log) => {
                write!(f, "box {name} {what}\nthe end of its log:\n{log}")
            }
            Self::NotConnected(reasons, logs) => write!(
                f,
                "the boxes did not find each other within {CONNECT_SECONDS} s\n{reasons}\n{logs}"
            ),
            Self::Interrupted => f.write_str("interrupted"),
            Self::Device(name, error) => {
                write!(f, "a device of {name} lost its box: {error}")
            }
        }
    }
}

impl std::error::Error for DemoError {}

//! The asking side: blocking, for commands that ask once and end.

use std::fmt;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::request::{Request, Response};
use super::socket;

/// Longest answer, bytes: the status of 128 federates with every reason.
const MOST_ANSWER: u64 = 4 * 1024 * 1024;
/// Longer than the box gives a request, so that its own words arrive first.
const PATIENCE: Duration = Duration::from_secs(30);

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AskError {
    /// No box runs on that state directory.
    NotRunning(PathBuf),
    /// A box runs there, for another user.
    Denied(PathBuf),
    /// The connection failed; what the system says.
    Io(String),
    /// What came back is no answer.
    Garbled(String),
}

impl fmt::Display for AskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotRunning(directory) => write!(
                f,
                "no box is running on {}; start one with `tombolo run`, or name its directory with --state DIR",
                directory.display()
            ),
            Self::Denied(directory) => write!(
                f,
                "{}: not allowed; ask as the user that the box runs as, or as root",
                directory.display()
            ),
            Self::Io(cause) => write!(f, "the box does not answer: {cause}"),
            Self::Garbled(cause) => write!(
                f,
                "the box answers what this command does not understand ({cause}); are both of the same release?"
            ),
        }
    }
}

impl std::error::Error for AskError {}

/// Asks the box that runs on a state directory.
///
/// # Errors
/// If there is no answer. An answer that says no is an answer: see [`Response::into_result`].
pub fn ask(state_directory: &Path, request: &Request) -> Result<Response, AskError> {
    let mut stream = socket::at(state_directory, socket::NAME, UnixStream::connect).map_err(
        |error| match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
                AskError::NotRunning(state_directory.to_path_buf())
            }
            io::ErrorKind::PermissionDenied => AskError::Denied(state_directory.to_path_buf()),
            _ => AskError::Io(error.to_string()),
        },
    )?;
    let mut line =
        serde_json::to_vec(request).map_err(|error| AskError::Garbled(error.to_string()))?;
    line.push(b'\n');
    let failed = |error: io::Error| AskError::Io(error.to_string());
    stream.set_read_timeout(Some(PATIENCE)).map_err(failed)?;
    stream.set_write_timeout(Some(PATIENCE)).map_err(failed)?;
    // A box that refuses a long request answers before it has read it all.
    match stream.write_all(&line) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => return Err(failed(error)),
        _ => {}
    }
    let mut answer = String::new();
    BufReader::new(stream.take(MOST_ANSWER))
        .read_line(&mut answer)
        .map_err(failed)?;
    if answer.is_empty() {
        return Err(AskError::Io("it closed the connection".into()));
    }
    serde_json::from_str(&answer).map_err(|error| AskError::Garbled(error.to_string()))
}

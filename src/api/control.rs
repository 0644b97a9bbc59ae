//! The answering side: a Unix socket for the box's owner.

use std::fmt;
use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener as StdListener, UnixStream as StdStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{sleep, timeout};

use super::request::{ErrorCode, Fault, Request};
use super::socket;
use super::turns::Turns;
use crate::budget::{CONTROL_CONNECTIONS, CONTROL_SMALL};
use crate::files;

const LOCK: &str = "control.lock";
const NEW: &str = ".control.sock.new";
/// For a whole request to arrive, and for its answer to be read.
const DEADLINE: Duration = Duration::from_secs(10);

/// Why the socket could not be set up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BindError {
    /// Another box runs on the same state directory.
    Running(PathBuf),
    /// The state directory does not do its part; what the system says.
    Io(PathBuf, String),
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Running(directory) => write!(
                f,
                "{}: another box is running on this state directory; stop it, or give this one its own with --state DIR",
                directory.display()
            ),
            Self::Io(path, cause) => write!(
                f,
                "{}: {cause}; the state directory must be a directory of the user who runs tombolo (--state DIR)",
                path.display()
            ),
        }
    }
}

impl std::error::Error for BindError {}

/// The socket, bound and not yet served. While it lives, no other box can run on the same state directory.
#[derive(Debug)]
pub struct ControlListener {
    listener: UnixListener,
    path: PathBuf,
    longest: usize,
    _lock: Flock<File>,
}

impl ControlListener {
    /// Makes the socket, mode 0600, and takes what a crashed box left behind. `longest` is the longest request in
    /// bytes, see [`control_line`](crate::budget::control_line). Must be called within a tokio runtime.
    ///
    /// # Errors
    /// If another box runs there, or the directory cannot be written.
    pub fn bind(state_directory: &Path, longest: u64) -> Result<Self, BindError> {
        let failed =
            |error: io::Error| BindError::Io(state_directory.to_path_buf(), files::fault(&error));
        files::private_directory(state_directory).map_err(failed)?;
        let lock = lock(state_directory)?;
        // The lock is what counts; a socket that answers all the same is a box on a file system without locks.
        if socket::at(state_directory, socket::NAME, StdStream::connect).is_ok() {
            return Err(BindError::Running(state_directory.to_path_buf()));
        }
        let new = state_directory.join(NEW);
        let path = state_directory.join(socket::NAME);
        // Bound under another name and moved: nobody ever sees it with the wrong mode.
        let bind = || {
            files::remove(&new)?;
            let listener = socket::at(state_directory, NEW, StdListener::bind)?;
            fs::set_permissions(&new, Permissions::from_mode(files::PRIVATE))?;
            listener.set_nonblocking(true)?;
            fs::rename(&new, &path)?;
            UnixListener::from_std(listener)
        };
        Ok(Self {
            listener: bind().map_err(failed)?,
            path,
            longest: usize::try_from(longest).unwrap_or(usize::MAX),
            _lock: lock,
        })
    }
}

impl Drop for ControlListener {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

fn lock(state_directory: &Path) -> Result<Flock<File>, BindError> {
    let path = state_directory.join(LOCK);
    let failed = |cause: String| BindError::Io(path.clone(), cause);
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(|error| failed(files::fault(&error)))?;
    Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(_, error)| match error {
        Errno::EWOULDBLOCK => BindError::Running(state_directory.to_path_buf()),
        other => failed(other.desc().to_owned()),
    })
}

/// What connections share.
struct Shared {
    turns: Arc<Turns>,
    longest: usize,
}

/// Serves requests until it is dropped; the socket goes with it.
pub async fn serve(listener: ControlListener, turns: Arc<Turns>) {
    let shared = Arc::new(Shared {
        turns,
        longest: listener.longest,
    });
    let connections = Arc::new(Semaphore::new(CONTROL_CONNECTIONS as usize));
    loop {
        // Taken before accepting: those too many wait in the kernel, and are served.
        let Ok(place) = Arc::clone(&connections).acquire_owned().await else {
            return;
        };
        match listener.listener.accept().await {
            Ok((stream, _)) => {
                let shared = Arc::clone(&shared);
                tokio::spawn(async move {
                    converse(stream, &shared).await;
                    drop(place);
                });
            }
            // Out of file descriptors, most likely: the connection is still there in a moment.
            Err(_) => sleep(Duration::from_millis(100)).await,
        }
    }
}

async fn converse(mut stream: UnixStream, shared: &Shared) {
    let response = match timeout(DEADLINE, read(&mut stream, shared)).await {
        Err(_) => Fault::new(ErrorCode::Unavailable, "no whole request within 10 seconds").into(),
        Ok(Ok((request, _large))) => shared.turns.carry_out(request).await,
        Ok(Err(None)) => return,
        Ok(Err(Some(fault))) => fault.into(),
    };
    let Ok(mut answer) = serde_json::to_vec(&response) else {
        return;
    };
    answer.push(b'\n');
    // Nobody to tell when the other side is gone.
    let _ = timeout(DEADLINE, async {
        stream.write_all(&answer).await?;
        stream.shutdown().await?;
        // What is left of a request that was too long: closing on it would take our answer along.
        let mut rest = [0; 1024];
        while stream.read(&mut rest).await? > 0 {}
        io::Result::Ok(())
    })
    .await;
}

/// Reads one request, with the permit that a large one needs. `None` when there is nobody to answer.
async fn read<'a>(
    stream: &mut UnixStream,
    shared: &'a Shared,
) -> Result<(Request, Option<SemaphorePermit<'a>>), Option<Fault>> {
    let small = CONTROL_SMALL as usize;
    let mut line = Vec::with_capacity(small);
    let mut large = None;
    loop {
        if line.len() >= shared.longest {
            let fault = format!(
                "a request has at most {} bytes; send less at once",
                shared.longest
            );
            return Err(Some(Fault::new(ErrorCode::TooLong, fault)));
        }
        if line.len() >= small && large.is_none() {
            large = shared.turns.large.acquire().await.ok();
            // The exact bound, once: doubling would take half as much again.
            line.reserve_exact(shared.longest - line.len());
        }
        let before = line.len();
        let room = if large.is_some() {
            shared.longest
        } else {
            small
        } - before;
        let count = (&mut *stream)
            .take(room as u64)
            .read_buf(&mut line)
            .await
            .map_err(|_| None)?;
        let end = line[before..].iter().position(|&byte| byte == b'\n');
        let text = match end {
            Some(at) => &line[..before + at],
            // The last line may do without its end.
            None if count == 0 && !line.is_empty() => &line[..],
            None if count == 0 => return Err(None),
            None => continue,
        };
        return match serde_json::from_slice(text) {
            Ok(request) => Ok((request, large)),
            Err(error) => Err(Some(Fault::new(
                ErrorCode::Invalid,
                format!("no request: {error}"),
            ))),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::client::{AskError, ask};
    use crate::api::request::Response;
    use crate::api::turns::Control;
    use std::io::{Read, Write};
    use std::sync::atomic::{AtomicUsize, Ordering};

    const LONGEST: u64 = 64 * 1024;

    /// Counts events by their ends; files are "touched" one at a time or the test fails.
    #[derive(Default)]
    struct Counting {
        touching: AtomicUsize,
        overlaps: AtomicUsize,
    }

    impl Control for Counting {
        fn handle(&self, request: Request) -> Response {
            match request {
                Request::Inject { events } => Response::Injected {
                    accepted: u32::try_from(events.matches("</event>").count()).unwrap(),
                    refused: Vec::new(),
                },
                Request::Reload => {
                    if self.touching.fetch_add(1, Ordering::SeqCst) > 0 {
                        self.overlaps.fetch_add(1, Ordering::SeqCst);
                    }
                    std::thread::yield_now();
                    self.touching.fetch_sub(1, Ordering::SeqCst);
                    Response::Done("read again".into())
                }
                _ => Fault::new(ErrorCode::NotFound, "not here").into(),
            }
        }
    }

    /// Runs a server on a directory and `act` on a thread beside it.
    fn beside_a_server<R: Send + 'static>(
        directory: &Path,
        control: Arc<Counting>,
        act: impl FnOnce() -> R + Send + 'static,
    ) -> R {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let listener = ControlListener::bind(directory, LONGEST).unwrap();
            let acting = tokio::task::spawn_blocking(act);
            tokio::select! {
                () = serve(listener, Arc::new(Turns::new(control))) => panic!("the server ended"),
                result = acting => result.unwrap(),
            }
        })
    }

    #[test]
    fn a_request_is_answered_and_the_socket_is_private_and_goes_away() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("state");
        assert_eq!(
            ask(&path, &Request::Status),
            Err(AskError::NotRunning(path.clone()))
        );
        let there = path.clone();
        beside_a_server(&path, Arc::default(), move || {
            let socket = there.join(socket::NAME);
            assert_eq!(
                fs::metadata(&socket).unwrap().permissions().mode() & 0o777,
                0o600
            );
            let events = "<event>\"\u{e9}\n</event>".repeat(1000);
            let answer = ask(&there, &Request::Inject { events }).unwrap();
            assert_eq!(
                answer,
                Response::Injected {
                    accepted: 1000,
                    refused: Vec::new()
                }
            );
            let fault = ask(&there, &Request::Status)
                .unwrap()
                .into_result()
                .unwrap_err();
            assert_eq!(fault.code, ErrorCode::NotFound);
        });
        assert!(!path.join(socket::NAME).exists());
        assert_eq!(
            ask(&path, &Request::Status),
            Err(AskError::NotRunning(path))
        );
    }

    #[test]
    fn a_path_longer_than_a_socket_address_works() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x".repeat(100)).join("y".repeat(100));
        let there = path.clone();
        beside_a_server(&path, Arc::default(), move || {
            assert_eq!(
                ask(&there, &Request::Reload),
                Ok(Response::Done("read again".into()))
            );
        });
    }

    #[test]
    fn two_boxes_on_one_directory_are_refused_and_a_crashed_one_is_not_in_the_way() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().to_path_buf();
        // What a crash leaves: a socket nobody listens on.
        drop(StdListener::bind(path.join(socket::NAME)).unwrap());
        assert!(path.join(socket::NAME).exists());
        let there = path.clone();
        beside_a_server(&path, Arc::default(), move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            let _inside = runtime.enter();
            let second = ControlListener::bind(&there, LONGEST).map(drop);
            assert_eq!(second, Err(BindError::Running(there.clone())));
            assert!(ask(&there, &Request::Reload).is_ok());
        });
    }

    #[test]
    fn bad_requests_get_their_own_words() {
        let directory = tempfile::tempdir().unwrap();
        let there = directory.path().to_path_buf();
        beside_a_server(directory.path(), Arc::default(), move || {
            let raw = |bytes: &[u8]| {
                let mut stream = StdStream::connect(there.join(socket::NAME)).unwrap();
                let _ = stream.write_all(bytes);
                let _ = stream.shutdown(std::net::Shutdown::Write);
                let mut answer = String::new();
                stream.read_to_string(&mut answer).unwrap();
                answer
            };
            assert!(raw(b"hello\n").contains("\"code\":\"invalid\""));
            assert!(raw(b"\xff\n").contains("\"code\":\"invalid\""));
            assert!(
                raw(b"\"reload\"").contains("read again"),
                "the last line may lack its end"
            );
            assert_eq!(raw(b""), "");
            let long = ask(
                &there,
                &Request::Inject {
                    events: "x".repeat(3 * LONGEST as usize),
                },
            );
            assert_eq!(
                long.unwrap().into_result().unwrap_err().code,
                ErrorCode::TooLong
            );
        });
    }

    #[test]
    fn many_at_once_are_all_answered_and_files_are_touched_one_at_a_time() {
        let directory = tempfile::tempdir().unwrap();
        let there = directory.path().to_path_buf();
        let control = Arc::new(Counting::default());
        beside_a_server(directory.path(), Arc::clone(&control), move || {
            // Idle connections up to one place short of all.
            let idle: Vec<StdStream> = (1..CONTROL_CONNECTIONS)
                .map(|_| StdStream::connect(there.join(socket::NAME)).unwrap())
                .collect();
            std::thread::scope(|scope| {
                let asking: Vec<_> = (0..20)
                    .map(|_| scope.spawn(|| ask(&there, &Request::Reload)))
                    .collect();
                for one in asking {
                    assert_eq!(one.join().unwrap(), Ok(Response::Done("read again".into())));
                }
            });
            drop(idle);
        });
        assert_eq!(control.overlaps.load(Ordering::SeqCst), 0);
    }
}

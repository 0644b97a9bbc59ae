//! The control socket in the file system: a directory may have a longer path than a socket address can hold.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

/// The socket's name in the state directory.
pub(super) const NAME: &str = "control.sock";

/// Longest path of a Unix socket, bytes, without the zero at its end.
const MOST_PATH: usize = 107;

/// Lets `act` bind or connect to `name` in a directory, by a path that is short enough.
pub(super) fn at<R>(
    directory: &Path,
    name: &str,
    act: impl FnOnce(PathBuf) -> io::Result<R>,
) -> io::Result<R> {
    let path = directory.join(name);
    if path.as_os_str().len() <= MOST_PATH {
        return act(path);
    }
    let handle = File::open(directory)?;
    act(PathBuf::from(format!(
        "/proc/self/fd/{}/{name}",
        handle.as_raw_fd()
    )))
}

//! Files that a power cut cannot halve, and directories that only their owner may enter.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Mode of a file that only its owner may read.
pub const PRIVATE: u32 = 0o600;

/// Replaces a file in one step: whoever reads it sees the old bytes or the new ones, even after a power cut.
///
/// An existing file keeps its mode, a new one gets `mode`. What root replaces keeps its owner, and what root makes gets
/// that of its directory: the box itself is another user, and must read it. A symbolic link stays one: what it points to is replaced.
///
/// # Errors
/// Whatever the file system says; the old file is then untouched.
pub fn replace(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let target = match fs::canonicalize(path) {
        Ok(target) => target,
        Err(error) if error.kind() == io::ErrorKind::NotFound => path.to_path_buf(),
        Err(error) => return Err(error),
    };
    let mode = match fs::metadata(&target) {
        Ok(old) => old.permissions().mode() & 0o7777,
        Err(_) => mode,
    };
    let temporary = beside(&target)?;
    let written = write_whole(&temporary, bytes, mode, owner(&target))
        .and_then(|()| fs::rename(&temporary, &target));
    if written.is_err() {
        let _ = fs::remove_file(&temporary);
        return written;
    }
    sync_directory(&target)
}

/// Removes a file for good; a file that is not there is fine.
///
/// # Errors
/// Whatever the file system says.
pub fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Ok(()) => sync_directory(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// Makes a directory, and those above it, with mode 0700. One that exists keeps its mode.
///
/// # Errors
/// Whatever the file system says.
pub fn private_directory(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Reads a file of at most `limit` bytes.
///
/// # Errors
/// Whatever the file system says; [`io::ErrorKind::FileTooLarge`] above the limit.
pub fn read_bounded(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(limit + 1).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > limit {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("larger than {limit} bytes"),
        ));
    }
    Ok(bytes)
}

/// What the system says about a file, in words for people.
pub fn fault(error: &io::Error) -> String {
    let words = match error.kind() {
        io::ErrorKind::NotFound => "there is no such file or directory",
        io::ErrorKind::PermissionDenied => "this user may not open or write it",
        io::ErrorKind::IsADirectory => "it is a directory",
        io::ErrorKind::NotADirectory => "a part of the path is a file, not a directory",
        io::ErrorKind::AlreadyExists => "something of that name is in the way",
        io::ErrorKind::StorageFull => "the disk is full",
        io::ErrorKind::ReadOnlyFilesystem => "the disk is read-only",
        _ => return error.to_string(),
    };
    words.to_owned()
}

/// Whose a file is to be when root writes it.
fn owner(target: &Path) -> Option<(u32, u32)> {
    if !nix::unistd::geteuid().is_root() {
        return None;
    }
    let there = fs::metadata(target).or_else(|_| fs::metadata(directory_of(target)));
    there.ok().map(|there| (there.uid(), there.gid()))
}

fn write_whole(path: &Path, bytes: &[u8], mode: u32, owner: Option<(u32, u32)>) -> io::Result<()> {
    // A leftover of a crash may have another mode or owner: start afresh.
    remove_leftover(path)?;
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)?;
    // The umask may have taken bits away that an existing file had.
    file.set_permissions(Permissions::from_mode(mode))?;
    if let Some((user, group)) = owner {
        // A file system without owners (FAT) refuses, and has nobody else to keep out.
        let _ = std::os::unix::fs::fchown(&file, Some(user), Some(group));
    }
    file.write_all(bytes)?;
    file.sync_all()
}

fn remove_leftover(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn beside(path: &Path) -> io::Result<PathBuf> {
    let name = path
        .file_name()
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "not a file name"))?;
    let mut temporary = std::ffi::OsString::from(".");
    temporary.push(name);
    temporary.push(".new");
    Ok(path.with_file_name(temporary))
}

fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(directory_of(path))?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    #[test]
    fn faults_are_told_in_words() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("file");
        fs::write(&file, "x").unwrap();
        let words = |path: &Path| fault(&read_bounded(path, 9).unwrap_err());
        assert_eq!(
            words(&directory.path().join("no")),
            "there is no such file or directory"
        );
        assert_eq!(words(directory.path()), "it is a directory");
        assert_eq!(
            words(&file.join("in")),
            "a part of the path is a file, not a directory"
        );
        assert_eq!(
            fault(&private_directory(&file).unwrap_err()),
            "something of that name is in the way"
        );
    }

    #[test]
    fn a_new_file_is_private_and_an_old_one_keeps_its_mode() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("file");
        replace(&file, b"one", PRIVATE).unwrap();
        assert_eq!(mode(&file), 0o600);
        fs::set_permissions(&file, Permissions::from_mode(0o664)).unwrap();
        replace(&file, b"two", PRIVATE).unwrap();
        assert_eq!(mode(&file), 0o664);
        assert_eq!(fs::read(&file).unwrap(), b"two");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    /// Only root can give files away, so only root can try.
    #[test]
    fn what_root_writes_belongs_to_whom_its_directory_belongs() {
        if !nix::unistd::geteuid().is_root() {
            return;
        }
        let directory = tempfile::tempdir().unwrap();
        std::os::unix::fs::chown(directory.path(), Some(900), Some(901)).unwrap();
        let file = directory.path().join("file");
        for owner in [(900, 901), (900, 901), (902, 903)] {
            if owner.0 == 902 {
                std::os::unix::fs::chown(&file, Some(902), Some(903)).unwrap();
            }
            replace(&file, b"x", PRIVATE).unwrap();
            let there = fs::metadata(&file).unwrap();
            assert_eq!((there.uid(), there.gid()), owner);
        }
    }

    #[test]
    fn a_link_stays_a_link_and_a_leftover_does_not_matter() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("file");
        let link = directory.path().join("link");
        fs::write(&file, "old").unwrap();
        fs::write(directory.path().join(".file.new"), "half").unwrap();
        std::os::unix::fs::symlink("file", &link).unwrap();
        replace(&link, b"new", PRIVATE).unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read(&file).unwrap(), b"new");
        assert!(!directory.path().join(".file.new").exists());
    }

    #[test]
    fn failure_leaves_the_old_file() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("file");
        fs::write(&file, "old").unwrap();
        fs::create_dir(directory.path().join(".file.new")).unwrap();
        assert!(replace(&file, b"new", PRIVATE).is_err());
        assert_eq!(fs::read(&file).unwrap(), b"old");
    }

    #[test]
    fn reading_is_bounded_and_directories_are_private() {
        let directory = tempfile::tempdir().unwrap();
        let deep = directory.path().join("a/b");
        private_directory(&deep).unwrap();
        assert_eq!(mode(&deep), 0o700);
        let file = deep.join("file");
        fs::write(&file, "12345").unwrap();
        assert_eq!(read_bounded(&file, 5).unwrap(), b"12345");
        assert_eq!(
            read_bounded(&file, 4).unwrap_err().kind(),
            io::ErrorKind::FileTooLarge
        );
        remove(&file).unwrap();
        remove(&file).unwrap();
    }
}

//! Writing back to a source: little, only when it changes something, and safe against a stick that is pulled out.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;
use nix::mount::{MsFlags, mount};
use nix::sys::statvfs::{FsFlags, statvfs};

use super::source;

/// A source that may be written to. One that was mounted read-only is so again when this is dropped.
#[derive(Debug)]
pub struct Medium {
    directory: PathBuf,
    may_remount: bool,
    remounted: Option<(PathBuf, MsFlags)>,
}

impl Medium {
    /// The medium that a directory lies on. With `may_remount` it is mounted for writing when it must be.
    pub fn of(directory: &Path, may_remount: bool) -> Self {
        Self {
            directory: directory.to_path_buf(),
            may_remount,
            remounted: None,
        }
    }

    /// Writes a file below the directory unless it holds just that. The folder it stands in is made.
    ///
    /// # Errors
    /// Whatever the file system says: full, read-only, gone.
    pub fn write(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let path = self.directory.join(name);
        if holds(&path, bytes) {
            return Ok(());
        }
        self.make_writable()?;
        let folder = path.parent().unwrap_or(&self.directory).to_path_buf();
        match fs::create_dir(&folder) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        if !fs::symlink_metadata(&folder)?.is_dir() && folder != self.directory {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        // FAT knows no modes, so none is set.
        let temporary = folder.join("TOMBOLO.NEW");
        let _ = fs::remove_file(&temporary);
        let written = OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&temporary)
            .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
            .and_then(|()| fs::rename(&temporary, &path));
        if written.is_err() {
            let _ = fs::remove_file(&temporary);
            return written;
        }
        File::open(&folder)?.sync_all()
    }

    /// Overwrites a file with zeros and removes it. On flash memory the old bytes may survive in spare blocks.
    ///
    /// # Errors
    /// Whatever the file system says.
    pub fn destroy(&mut self, path: &Path) -> io::Result<()> {
        self.make_writable()?;
        // Half destroyed it must not be taken for something else after a power cut.
        let dying = path.with_file_name(source::DYING);
        fs::rename(path, &dying)?;
        let mut file = OpenOptions::new()
            .write(true)
            .custom_flags((OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK).bits())
            .open(&dying)?;
        let facts = file.metadata()?;
        if !facts.is_file() {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        io::copy(&mut io::repeat(0).take(facts.len()), &mut file)?;
        file.sync_all()?;
        fs::remove_file(&dying)?;
        File::open(path.parent().unwrap_or(&self.directory))?.sync_all()
    }

    fn make_writable(&mut self) -> io::Result<()> {
        if self.remounted.is_some() || !self.may_remount {
            return Ok(());
        }
        let flags = statvfs(&self.directory)?.flags();
        let place = mount_point(&self.directory)?;
        // The root of the system stays as it is.
        if !flags.contains(FsFlags::ST_RDONLY) || place == Path::new("/") {
            return Ok(());
        }
        let kept = [
            (FsFlags::ST_NOSUID, MsFlags::MS_NOSUID),
            (FsFlags::ST_NODEV, MsFlags::MS_NODEV),
            (FsFlags::ST_NOEXEC, MsFlags::MS_NOEXEC),
            (FsFlags::ST_NOATIME, MsFlags::MS_NOATIME),
        ];
        let mut keep = MsFlags::MS_REMOUNT;
        for (set, keeps) in kept {
            keep.set(keeps, flags.contains(set));
        }
        remount(&place, keep)?;
        self.remounted = Some((place, keep));
        Ok(())
    }
}

impl Drop for Medium {
    fn drop(&mut self) {
        if let Some((place, flags)) = &self.remounted
            && let Err(error) = remount(place, *flags | MsFlags::MS_RDONLY)
        {
            tracing::warn!("{}: stays mounted for writing: {error}", place.display());
        }
    }
}

fn remount(place: &Path, flags: MsFlags) -> io::Result<()> {
    const NONE: Option<&str> = None;
    Ok(mount(NONE, place, NONE, flags, NONE)?)
}

/// The directory that the file system of another begins at.
fn mount_point(directory: &Path) -> io::Result<PathBuf> {
    let mut place = directory.canonicalize()?;
    let device = fs::metadata(&place)?.dev();
    while let Some(parent) = place.parent() {
        if fs::metadata(parent)?.dev() != device {
            break;
        }
        place = parent.to_path_buf();
    }
    Ok(place)
}

fn holds(path: &Path, bytes: &[u8]) -> bool {
    let mut there = Vec::new();
    let most = bytes.len() as u64 + 1;
    let read = source::open(path).and_then(|file| file.take(most).read_to_end(&mut there));
    read.is_ok() && there == bytes
}

//! The names of the files in a ZIP archive, read from its list of contents alone: nothing is unpacked, and little of it
//! is in memory at once. Pure: the bytes come from whoever is asked for them.

use std::io;

/// Longest remark at the end of an archive, bytes, with the record that it stands in.
const MOST_TAIL: u64 = 65_535 + END as u64;
/// Lengths of the fixed parts of the last record and of one entry, bytes.
const END: usize = 22;
const ENTRY: usize = 46;
/// Read at once.
const WINDOW: usize = 4096;

/// What an archive is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listing {
    /// It is none.
    NoArchive,
    /// Every name was looked at.
    Whole,
    /// `each` said that it had seen enough.
    Stopped,
    /// It is one, and its list cannot be read: damaged, or of a kind that we do not know.
    Unreadable,
}

/// Shows `each` the name of every entry, until it says false. `read_at` fills a buffer from an offset, as far as there is
/// something.
///
/// # Errors
/// Those of `read_at`.
pub fn names(
    size: u64,
    mut read_at: impl FnMut(u64, &mut [u8]) -> io::Result<usize>,
    mut each: impl FnMut(&[u8]) -> bool,
) -> io::Result<Listing> {
    let mut window = vec![0; WINDOW];
    let Some(end) = last_record(size, &mut read_at, &mut window)? else {
        return Ok(Listing::NoArchive);
    };
    let number = |at: usize| u32::from_le_bytes([end[at], end[at + 1], end[at + 2], end[at + 3]]);
    let (entries, length, begin) = (
        u16::from_le_bytes([end[10], end[11]]),
        number(12),
        number(16),
    );
    if entries == u16::MAX || length == u32::MAX || begin == u32::MAX {
        return Ok(Listing::Unreadable);
    }
    let mut at = u64::from(begin);
    for _ in 0..entries {
        let got = fill(at, &mut window, &mut read_at)?;
        let Some(entry) = window[..got].first_chunk::<ENTRY>() else {
            return Ok(Listing::Unreadable);
        };
        if !entry.starts_with(b"PK\x01\x02") {
            return Ok(Listing::Unreadable);
        }
        let short = |at: usize| usize::from(u16::from_le_bytes([entry[at], entry[at + 1]]));
        let (name, extra, remark) = (short(28), short(30), short(32));
        // A name longer than any file system takes is none.
        let Some(name) = window[..got].get(ENTRY..ENTRY + name) else {
            return Ok(Listing::Unreadable);
        };
        if !each(name) {
            return Ok(Listing::Stopped);
        }
        at += (ENTRY + name.len() + extra + remark) as u64;
    }
    Ok(Listing::Whole)
}

fn last_record(
    size: u64,
    read_at: &mut impl FnMut(u64, &mut [u8]) -> io::Result<usize>,
    window: &mut [u8],
) -> io::Result<Option<[u8; END]>> {
    let floor = size.saturating_sub(MOST_TAIL);
    let mut from = size.saturating_sub(WINDOW as u64).max(floor);
    loop {
        let got = fill(from, window, read_at)?;
        let found = memchr::memmem::rfind(&window[..got], b"PK\x05\x06");
        if let Some(record) = found.and_then(|at| window[at..got].first_chunk()) {
            return Ok(Some(*record));
        }
        if from == floor {
            return Ok(None);
        }
        // The record may lie across both.
        from = from.saturating_sub((WINDOW - END) as u64).max(floor);
    }
}

fn fill(
    from: u64,
    window: &mut [u8],
    read_at: &mut impl FnMut(u64, &mut [u8]) -> io::Result<usize>,
) -> io::Result<usize> {
    let mut got = 0;
    while got < window.len() {
        match read_at(from + got as u64, &mut window[got..])? {
            0 => break,
            more => got += more,
        }
    }
    Ok(got)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use zip::write::SimpleFileOptions;

    fn listed(bytes: &[u8]) -> (Listing, Vec<String>) {
        let mut names_seen = Vec::new();
        let read_at = |offset: u64, into: &mut [u8]| {
            let rest = bytes.get(offset as usize..).unwrap_or_default();
            let some = rest.len().min(into.len()).min(100);
            into[..some].copy_from_slice(&rest[..some]);
            Ok(some)
        };
        let listing = names(bytes.len() as u64, read_at, |name| {
            names_seen.push(String::from_utf8_lossy(name).into_owned());
            true
        });
        (listing.unwrap(), names_seen)
    }

    fn archive(files: usize, remark: usize) -> Vec<u8> {
        let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
        for number in 0..files {
            let options =
                SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
            zip.start_file(format!("folder/{number}.jpg"), options)
                .unwrap();
            zip.write_all(&[7; 50]).unwrap();
        }
        zip.set_comment("r".repeat(remark)).unwrap();
        zip.finish().unwrap().into_inner()
    }

    #[test]
    fn all_names_of_archives_are_seen() {
        for (files, remark) in [(0, 0), (1, 0), (3, 5000), (2, 65_000), (900, 10)] {
            let (listing, names) = listed(&archive(files, remark));
            assert_eq!((listing, names.len()), (Listing::Whole, files));
            assert!(names.iter().all(|name| name.ends_with(".jpg")));
        }
    }

    #[test]
    fn what_is_none_or_broken_says_so() {
        assert_eq!(listed(&[1; 10_000]).0, Listing::NoArchive);
        assert_eq!(listed(b"").0, Listing::NoArchive);
        let mut whole = archive(20, 0);
        let list = memchr::memmem::find(&whole, b"PK\x01\x02").unwrap();
        whole[list] = 0;
        assert_eq!(listed(&whole).0, Listing::Unreadable);
        for cut in 0..whole.len() {
            listed(&whole[cut..]);
        }
    }
}

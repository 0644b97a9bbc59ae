//! What is known of a package beside its bytes, and how that is kept.

use serde::{Deserialize, Serialize};

use super::hash::Hash;

/// Longest name, file name, kind or uid that is kept, bytes; the rest is cut off.
pub const TEXT: usize = 200;
/// Most keywords that are kept.
pub const KEYWORDS: usize = 8;
/// Largest file of details, bytes: all texts at their longest fit.
pub const MOST_BYTES: u64 = 4096;
const MAGIC: [u8; 4] = *b"tmp1";
const TAIL: usize = 4;

/// Where a package came from.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Origin {
    /// A local client, or somebody at this box.
    #[default]
    Local,
    /// The federate of this name.
    Peer(String),
}

/// What is known of a package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Details {
    /// SHA-256 of its bytes.
    pub hash: Hash,
    /// Bytes.
    pub size: u64,
    /// What people call it.
    pub name: String,
    /// Its file name, without any path.
    pub filename: String,
    /// What kind of file, as `application/zip`.
    pub mime_type: String,
    /// Words to find it by; `missionpackage` marks a data package.
    pub keywords: Vec<String>,
    /// `public`: listed for everybody; `private`: for whoever knows its hash.
    pub tool: String,
    /// The uid of the device that made it.
    pub creator_uid: String,
    /// Callsign, certificate's name or federate that brought it.
    pub submitter: String,
    /// When it came, ms since 1970.
    pub submitted: u64,
    /// Where from.
    pub from: Origin,
}

impl Details {
    /// Details of which nothing is known but the hash; [`super::Receiving::finish`] fills in the rest.
    pub fn of(hash: Hash) -> Self {
        Self {
            hash,
            size: 0,
            name: String::new(),
            filename: String::new(),
            mime_type: String::new(),
            keywords: Vec::new(),
            tool: String::new(),
            creator_uid: String::new(),
            submitter: String::new(),
            submitted: 0,
            from: Origin::Local,
        }
    }

    /// The same within bounds: texts at most [`TEXT`] long and without control characters, at most [`KEYWORDS`]
    /// keywords, a file name without a path, and names where there were none.
    #[must_use]
    pub fn bounded(mut self) -> Self {
        for text in [
            &mut self.name,
            &mut self.mime_type,
            &mut self.tool,
            &mut self.creator_uid,
            &mut self.submitter,
        ] {
            *text = bounded(text);
        }
        if let Origin::Peer(name) = &mut self.from {
            *name = bounded(name);
        }
        self.filename = bounded(base_name(&self.filename));
        self.keywords.truncate(KEYWORDS);
        self.keywords.iter_mut().for_each(|one| *one = bounded(one));
        self.keywords.retain(|one| !one.is_empty());
        let or = |text: &mut String, other: String| {
            if text.is_empty() {
                *text = other;
            }
        };
        or(&mut self.filename, bounded(base_name(&self.name)));
        or(&mut self.filename, self.hash.to_string());
        or(&mut self.name, self.filename.clone());
        or(&mut self.mime_type, "application/octet-stream".to_owned());
        or(&mut self.tool, "public".to_owned());
        self
    }

    /// As they stand in their file: with a mark in front and a CRC-32 behind.
    pub fn encode(&self) -> Vec<u8> {
        let written = Written {
            hash: *self.hash.bytes(),
            size: self.size,
            name: &self.name,
            filename: &self.filename,
            mime_type: &self.mime_type,
            keywords: self.keywords.iter().map(String::as_str).collect(),
            tool: &self.tool,
            creator_uid: &self.creator_uid,
            submitter: &self.submitter,
            submitted: self.submitted,
            from: self.from.clone(),
        };
        let mut bytes = postcard::to_extend(&written, Vec::from(MAGIC)).unwrap_or_default();
        let crc = crc32fast::hash(&bytes);
        bytes.extend_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// Reads them; none if the file is not whole.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (content, crc) = bytes.split_at_checked(bytes.len().checked_sub(TAIL)?)?;
        if crc32fast::hash(content).to_le_bytes() != crc {
            return None;
        }
        let body = content.strip_prefix(&MAGIC)?;
        let (read, rest) = postcard::take_from_bytes::<Written<'_>>(body).ok()?;
        let details = Self {
            hash: Hash::new(read.hash),
            size: read.size,
            name: read.name.to_owned(),
            filename: read.filename.to_owned(),
            mime_type: read.mime_type.to_owned(),
            keywords: read.keywords.into_iter().map(str::to_owned).collect(),
            tool: read.tool.to_owned(),
            creator_uid: read.creator_uid.to_owned(),
            submitter: read.submitter.to_owned(),
            submitted: read.submitted,
            from: read.from,
        };
        rest.is_empty().then(|| details.bounded())
    }
}

#[derive(Serialize, Deserialize)]
struct Written<'a> {
    hash: [u8; 32],
    size: u64,
    name: &'a str,
    filename: &'a str,
    mime_type: &'a str,
    #[serde(borrow)]
    keywords: Vec<&'a str>,
    tool: &'a str,
    creator_uid: &'a str,
    submitter: &'a str,
    submitted: u64,
    from: Origin,
}

/// What stands after the last separator of paths, of any system; nothing for names that mean a folder.
fn base_name(name: &str) -> &str {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default().trim();
    match last {
        "." | ".." => "",
        last => last,
    }
}

fn bounded(text: &str) -> String {
    let mut kept = String::new();
    for letter in text.trim().chars().filter(|letter| !letter.is_control()) {
        if kept.len() + letter.len_utf8() > TEXT {
            break;
        }
        kept.push(letter);
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn longest() -> Details {
        let long = || "é".repeat(TEXT);
        Details {
            size: u64::MAX,
            name: long(),
            filename: format!("/a/{}", long()),
            mime_type: long(),
            keywords: vec![long(); 50],
            tool: long(),
            creator_uid: long(),
            submitter: long(),
            submitted: u64::MAX,
            from: Origin::Peer(long()),
            ..Details::of(Hash::of(b"x"))
        }
        .bounded()
    }

    #[test]
    fn the_longest_fit_and_come_back() {
        let details = longest();
        let bytes = details.encode();
        assert!((bytes.len() as u64) <= MOST_BYTES, "{}", bytes.len());
        assert_eq!(Details::decode(&bytes), Some(details));
    }

    #[test]
    fn no_path_survives_in_a_file_name() {
        for (said, kept) in [
            ("../../etc/passwd", "passwd"),
            ("C:\\Users\\x\\plan.zip", "plan.zip"),
            ("/", "name"),
            ("..", "name"),
            ("a\0b\n.zip", "ab.zip"),
            (" plan 1.zip ", "plan 1.zip"),
        ] {
            let details = Details {
                filename: said.into(),
                name: "name".into(),
                ..Details::of(Hash::of(b""))
            };
            assert_eq!(details.bounded().filename, kept, "{said}");
        }
        let unnamed = Details::of(Hash::of(b"")).bounded();
        assert_eq!(unnamed.name, unnamed.hash.to_string());
    }

    #[test]
    fn any_changed_byte_is_noticed() {
        let bytes = longest().encode();
        for place in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[place] ^= 1;
            assert_eq!(Details::decode(&changed), None, "{place}");
        }
        assert_eq!(Details::decode(&bytes[..bytes.len() - 1]), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_no_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let mut whole = MAGIC.to_vec();
            whole.extend(bytes);
            let crc = crc32fast::hash(&whole);
            whole.extend(crc.to_le_bytes());
            let _ = Details::decode(&whole);
        }
    }
}

//! `multipart/form-data` with a file in it, read as it comes: nothing of the file is kept, and a few KiB of the rest. Pure.

use std::fmt;

/// Names of the part that is the file, as TAK programs call it.
const FILE_PARTS: [&str; 2] = ["assetfile", "resource"];
/// Longest head of a part, bytes.
const HEAD: usize = 4 * 1024;
/// Longest boundary (RFC 2046).
const BOUNDARY: usize = 70;
/// Most parts beside the file.
const PARTS: usize = 32;

/// Why a form is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FormError {
    /// The head of a part is too long, or there are too many parts.
    TooMuch,
    /// It is not built as a form is.
    Broken,
}

impl fmt::Display for FormError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooMuch => "the form has too many parts, or too long a head",
            Self::Broken => "the form is broken",
        })
    }
}

impl std::error::Error for FormError {}

/// What is known of the file from the head of its part.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct File {
    /// `filename`; empty where it has none.
    pub filename: String,
    /// `Content-Type`; empty where it has none.
    pub mime_type: String,
}

/// The reader.
#[derive(Debug)]
pub struct Form {
    /// `\r\n--` and the boundary: a line break can only be its first byte.
    delimiter: Vec<u8>,
    matched: usize,
    place: Place,
    /// The head of a part, or the rest of a delimiter's line, as far as it came.
    line: Vec<u8>,
    head: usize,
    parts: usize,
    part: Option<Part>,
    file: Option<File>,
    is_whole: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Before the first delimiter, or in a part.
    Content,
    /// Behind a delimiter, in its line.
    Delimiter,
    /// In the head of a part.
    Head,
    /// Behind the last delimiter.
    End,
}

#[derive(Debug, Default)]
struct Part {
    name: String,
    file: File,
    is_file: bool,
}

/// The boundary in a `Content-Type` of `multipart/form-data`.
pub fn boundary(content_type: &str) -> Option<&str> {
    let (kind, parameters) = content_type.split_once(';')?;
    if !kind.trim().eq_ignore_ascii_case("multipart/form-data") {
        return None;
    }
    let found = parameters.split(';').find_map(|parameter| {
        let (key, value) = parameter.split_once('=')?;
        key.trim()
            .eq_ignore_ascii_case("boundary")
            .then(|| value.trim())
    })?;
    let found = found
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
        .unwrap_or(found);
    let is_sound = (1..=BOUNDARY).contains(&found.len())
        && found.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    is_sound.then_some(found)
}

impl Form {
    /// A reader for forms with this boundary.
    pub fn new(boundary: &str) -> Self {
        let mut delimiter = b"\r\n--".to_vec();
        delimiter.extend_from_slice(boundary.as_bytes());
        Self {
            delimiter,
            // The first delimiter may stand at the very beginning, without a line break before it.
            matched: 2,
            place: Place::Content,
            line: Vec::new(),
            head: 0,
            parts: 0,
            part: None,
            file: None,
            is_whole: false,
        }
    }

    /// The head of the file's part, as soon as it came.
    pub fn file(&self) -> Option<&File> {
        self.file.as_ref()
    }

    /// Whether the file came to its end.
    pub fn is_whole(&self) -> bool {
        self.is_whole
    }

    /// Takes the next bytes; what of them belongs to the file is appended.
    ///
    /// # Errors
    /// If it is no form; nothing more may be given then.
    pub fn take(&mut self, mut bytes: &[u8], file: &mut Vec<u8>) -> Result<(), FormError> {
        while !bytes.is_empty() {
            bytes = match self.place {
                Place::Content => self.content(bytes, file),
                Place::Delimiter | Place::Head => {
                    let (&byte, rest) = bytes.split_first().ok_or(FormError::Broken)?;
                    self.lines(byte)?;
                    rest
                }
                Place::End => return Ok(()),
            };
        }
        Ok(())
    }

    /// Takes content up to the next delimiter, or all.
    fn content<'a>(&mut self, bytes: &'a [u8], file: &mut Vec<u8>) -> &'a [u8] {
        let is_file = self.part.as_ref().is_some_and(|part| part.is_file);
        let mut keep = |bytes: &[u8]| {
            if is_file {
                file.extend_from_slice(bytes);
            }
        };
        let mut rest = bytes;
        while let Some((&byte, after)) = rest.split_first() {
            if byte == self.delimiter[self.matched] {
                self.matched += 1;
                rest = after;
                if self.matched == self.delimiter.len() {
                    self.matched = 0;
                    self.line.clear();
                    self.place = Place::Delimiter;
                    self.is_whole |= is_file;
                    self.part = None;
                    return rest;
                }
                continue;
            }
            if self.matched > 0 {
                // What looked like a delimiter is content. Before the first part nobody wants it.
                keep(&self.delimiter[..self.matched]);
                self.matched = 0;
                continue;
            }
            let plain = memchr::memchr(b'\r', rest).unwrap_or(rest.len());
            keep(&rest[..plain]);
            rest = &rest[plain..];
        }
        rest
    }

    /// Takes one byte of a line.
    fn lines(&mut self, byte: u8) -> Result<(), FormError> {
        self.head += 1;
        if self.head > HEAD {
            return Err(FormError::TooMuch);
        }
        if byte != b'\n' {
            self.line.push(byte);
            if self.place == Place::Delimiter && self.line == b"--" {
                self.place = Place::End;
            }
            return Ok(());
        }
        let line = std::mem::take(&mut self.line);
        let line = line.strip_suffix(b"\r").unwrap_or(&line);
        match self.place {
            Place::Delimiter => {
                if !line.iter().all(|byte| matches!(byte, b' ' | b'\t')) {
                    return Err(FormError::Broken);
                }
                self.parts += 1;
                if self.parts > PARTS {
                    return Err(FormError::TooMuch);
                }
                self.part = Some(Part::default());
                self.place = Place::Head;
            }
            _ if line.is_empty() => self.begin(),
            _ => {
                if let Some(part) = &mut self.part {
                    part.header(line);
                }
            }
        }
        Ok(())
    }

    /// The head of a part is done.
    fn begin(&mut self) {
        self.head = 0;
        self.place = Place::Content;
        self.matched = 0;
        let wanted = self.file.is_none();
        if let Some(part) = &mut self.part {
            part.is_file = wanted && FILE_PARTS.contains(&part.name.as_str());
            if part.is_file {
                self.file = Some(std::mem::take(&mut part.file));
            }
        }
    }
}

impl Part {
    fn header(&mut self, line: &[u8]) {
        let line = String::from_utf8_lossy(line);
        let Some((key, value)) = line.split_once(':') else {
            return;
        };
        let value = value.trim();
        if key.trim().eq_ignore_ascii_case("content-type") {
            self.file.mime_type = value.to_owned();
        } else if key.trim().eq_ignore_ascii_case("content-disposition") {
            for (key, value) in parameters(value) {
                match key.as_str() {
                    "name" => self.name = value,
                    "filename" => self.file.filename = value,
                    _ => {}
                }
            }
        }
    }
}

/// The parameters behind the first `;` of a header's value; values may be quoted, with `\"` in them.
fn parameters(value: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut rest = value.split_once(';').map_or("", |(_, rest)| rest);
    while let Some((key, behind)) = rest.split_once('=') {
        let key = key.trim_matches([' ', '\t', ';']).to_ascii_lowercase();
        let behind = behind.trim_start();
        let (value, after) = match behind.strip_prefix('"') {
            Some(quoted) => unquote(quoted),
            None => {
                let (value, after) = behind.split_once(';').unwrap_or((behind, ""));
                (value.trim().to_owned(), after)
            }
        };
        found.push((key, value));
        rest = after;
    }
    found
}

fn unquote(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut letters = text.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return (value, &text[at + 1..]),
            // Browsers send a path's backslashes as they are: only a quote or a backslash is escaped.
            '\\' if text[at + 1..].starts_with(['"', '\\']) => {
                value.extend(letters.next().map(|(_, letter)| letter));
            }
            letter => value.push(letter),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn form(name: &str, content: &[u8]) -> Vec<u8> {
        let mut bytes = b"preamble\r\n--XX\r\nContent-Disposition: form-data; name=\"other\"\r\n\r\nnothing\r\n--XX \r\n".to_vec();
        bytes.extend(
            format!("content-disposition: form-data; name=\"{name}\"; filename=\"a \\\"b\\\".zip\"\r\nContent-Type: application/zip\r\n\r\n")
                .bytes(),
        );
        bytes.extend(content);
        bytes.extend(b"\r\n--XX--\r\nepilogue\r\n--XX\r\n");
        bytes
    }

    fn read(bytes: &[u8], piece: usize) -> Result<(Vec<u8>, Form), FormError> {
        let (mut form, mut file) = (Form::new("XX"), Vec::new());
        for piece in bytes.chunks(piece) {
            form.take(piece, &mut file)?;
            assert!(form.line.len() <= HEAD);
        }
        Ok((file, form))
    }

    #[test]
    fn the_file_comes_out_whatever_the_pieces() {
        for name in FILE_PARTS {
            let bytes = form(name, b"\r\n--X\r\n-\r\r\n--Xy");
            for piece in 1..bytes.len() {
                let (file, form) = read(&bytes, piece).unwrap();
                assert_eq!(file, b"\r\n--X\r\n-\r\r\n--Xy", "{piece}");
                assert!(form.is_whole());
                let head = form.file().unwrap();
                assert_eq!(
                    (head.filename.as_str(), head.mime_type.as_str()),
                    ("a \"b\".zip", "application/zip")
                );
            }
        }
        let (file, form) = read(&form("assetfile", b""), 7).unwrap();
        assert!(file.is_empty() && form.is_whole());
    }

    #[test]
    fn no_file_is_no_file_and_half_a_file_is_not_whole() {
        let (file, read_whole) = read(&form("else", b"x"), 5).unwrap();
        assert!(file.is_empty() && read_whole.file().is_none() && !read_whole.is_whole());
        let whole = form("assetfile", b"0123456789");
        let at = whole.windows(4).position(|four| four == b"6789").unwrap();
        let (file, form) = read(&whole[..at], 3).unwrap();
        assert_eq!(
            (file.as_slice(), form.is_whole()),
            (b"012345".as_slice(), false)
        );
    }

    #[test]
    fn what_never_ends_is_refused() {
        let mut long = b"--XX\r\nA: ".to_vec();
        long.extend([b'a'; 2 * HEAD]);
        assert_eq!(read(&long, 100).unwrap_err(), FormError::TooMuch);
        let many = b"--XX\r\n\r\nx\r\n".repeat(PARTS + 1);
        assert_eq!(read(&many, 100).unwrap_err(), FormError::TooMuch);
        assert_eq!(read(b"--XXY\r\n\r\n", 100).unwrap_err(), FormError::Broken);
    }

    #[test]
    fn boundaries_are_found_in_their_header() {
        assert_eq!(boundary("multipart/form-data; boundary=abc"), Some("abc"));
        assert_eq!(
            boundary("Multipart/Form-Data;charset=x; Boundary=\"a b\""),
            Some("a b")
        );
        let long = format!("multipart/form-data; boundary={}", "x".repeat(71));
        for bad in [
            "multipart/mixed; boundary=a",
            "multipart/form-data",
            "multipart/form-data; boundary=",
            long.as_str(),
        ] {
            assert_eq!(boundary(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_file_survives_any_pieces(
            content in proptest::collection::vec(prop_oneof![Just(b'\r'), Just(b'\n'), Just(b'-'), Just(b'X'), any::<u8>()], 0..300),
            piece in 1usize..50,
        ) {
            // A file that holds its own delimiter is no sound form.
            prop_assume!(!content.windows(6).any(|six| six == b"\r\n--XX"));
            let (file, form) = read(&form("assetfile", &content), piece).unwrap();
            prop_assert_eq!(file, content);
            prop_assert!(form.is_whole());
        }

        #[test]
        fn any_bytes_are_no_panic(
            bytes in proptest::collection::vec(prop_oneof![Just(b'\r'), Just(b'\n'), Just(b'-'), Just(b'X'), any::<u8>()], 0..600),
            piece in 1usize..50,
        ) {
            let whole = read(&bytes, bytes.len().max(1)).map(|(file, form)| (file, form.is_whole()));
            let pieces = read(&bytes, piece).map(|(file, form)| (file, form.is_whole()));
            prop_assert_eq!(whole, pieces);
        }
    }
}

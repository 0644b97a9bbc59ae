//! How a call ended: a code and a sentence, in the trailers or, when there is no message, in the headers.

use std::fmt;

use http::{HeaderMap, HeaderValue, StatusCode};

/// gRPC's status codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names are gRPC's own")]
pub enum Code {
    Ok = 0,
    Cancelled = 1,
    Unknown = 2,
    InvalidArgument = 3,
    DeadlineExceeded = 4,
    NotFound = 5,
    AlreadyExists = 6,
    PermissionDenied = 7,
    ResourceExhausted = 8,
    FailedPrecondition = 9,
    Aborted = 10,
    OutOfRange = 11,
    Unimplemented = 12,
    Internal = 13,
    Unavailable = 14,
    DataLoss = 15,
    Unauthenticated = 16,
}

const CODES: [(Code, &str); 17] = [
    (Code::Ok, "OK"),
    (Code::Cancelled, "CANCELLED"),
    (Code::Unknown, "UNKNOWN"),
    (Code::InvalidArgument, "INVALID_ARGUMENT"),
    (Code::DeadlineExceeded, "DEADLINE_EXCEEDED"),
    (Code::NotFound, "NOT_FOUND"),
    (Code::AlreadyExists, "ALREADY_EXISTS"),
    (Code::PermissionDenied, "PERMISSION_DENIED"),
    (Code::ResourceExhausted, "RESOURCE_EXHAUSTED"),
    (Code::FailedPrecondition, "FAILED_PRECONDITION"),
    (Code::Aborted, "ABORTED"),
    (Code::OutOfRange, "OUT_OF_RANGE"),
    (Code::Unimplemented, "UNIMPLEMENTED"),
    (Code::Internal, "INTERNAL"),
    (Code::Unavailable, "UNAVAILABLE"),
    (Code::DataLoss, "DATA_LOSS"),
    (Code::Unauthenticated, "UNAUTHENTICATED"),
];

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(CODES[*self as usize].1)
    }
}

/// How a call ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// The code.
    pub code: Code,
    /// A sentence for people; may be empty.
    pub message: String,
}

/// A sentence from a peer is cut here, characters.
const LONGEST_MESSAGE: usize = 200;

impl Status {
    /// A code with a sentence.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }

    /// It ended well.
    pub fn ok() -> Self {
        Self::new(Code::Ok, "")
    }

    /// Whether it ended well.
    pub fn is_ok(&self) -> bool {
        self.code == Code::Ok
    }

    /// The two headers that say so.
    pub fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::with_capacity(2);
        headers.insert("grpc-status", HeaderValue::from(self.code as u16));
        if !self.message.is_empty()
            && let Ok(message) = HeaderValue::from_str(&percent_encoded(&self.message))
        {
            headers.insert("grpc-message", message);
        }
        headers
    }

    /// Reads the status out of trailers or headers, if there is one. A code outside gRPC's list reads as UNKNOWN.
    pub fn read(headers: &HeaderMap) -> Option<Self> {
        let text = headers.get("grpc-status")?;
        let code = text
            .to_str()
            .ok()
            .and_then(|text| text.parse::<usize>().ok());
        let message = headers
            .get("grpc-message")
            .map(|message| percent_decoded(message.as_bytes()))
            .unwrap_or_default();
        Some(Self::of_number(code.unwrap_or(usize::MAX), message))
    }

    /// A code by its number, with a sentence. A number outside gRPC's list reads as UNKNOWN.
    pub fn of_number(code: usize, message: String) -> Self {
        let code = CODES.get(code).map_or(Code::Unknown, |&(code, _)| code);
        Self { code, message }
    }

    /// What an HTTP status without a gRPC status stands for (gRPC's own table).
    pub fn of_http(status: StatusCode) -> Self {
        let code = match status.as_u16() {
            400 => Code::Internal,
            401 => Code::Unauthenticated,
            403 => Code::PermissionDenied,
            404 => Code::Unimplemented,
            429 | 502 | 503 | 504 => Code::Unavailable,
            _ => Code::Unknown,
        };
        Self::new(code, format!("HTTP status {}", status.as_u16()))
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.message.is_empty() {
            write!(f, "{}", self.code)
        } else {
            write!(f, "{} ({})", self.code, self.message)
        }
    }
}

fn percent_encoded(text: &str) -> String {
    use fmt::Write as _;
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if matches!(byte, b' '..=b'~') && byte != b'%' {
            encoded.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

/// Reads what can be read, as gRPC demands: a broken escape stays as it is. Control characters are dropped: the text
/// ends up on an operator's screen.
fn percent_decoded(bytes: &[u8]) -> String {
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((&byte, after)) = rest.split_first() {
        match after {
            [high, low, tail @ ..]
                if byte == b'%' && high.is_ascii_hexdigit() && low.is_ascii_hexdigit() =>
            {
                decoded.push(nibble(*high) << 4 | nibble(*low));
                rest = tail;
            }
            _ => {
                decoded.push(byte);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&decoded)
        .chars()
        .filter(|character| !character.is_control())
        .take(LONGEST_MESSAGE)
        .collect()
}

fn nibble(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        b'a'..=b'f' => digit - b'a' + 10,
        _ => digit - b'A' + 10,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_the_order_of_the_codes() {
        for (number, &(code, _)) in CODES.iter().enumerate() {
            assert_eq!(code as usize, number);
        }
    }

    #[test]
    fn a_status_survives_the_headers() {
        for message in ["", "plain words", "100 % sure", "naïve – ünïcode", "a%41b"] {
            let status = Status::new(Code::Unavailable, message);
            assert_eq!(Status::read(&status.headers()), Some(status));
        }
    }

    #[test]
    fn strange_answers_are_read_kindly() {
        let mut headers = HeaderMap::new();
        assert_eq!(Status::read(&headers), None);
        headers.insert("grpc-status", HeaderValue::from_static("99"));
        headers.insert("grpc-message", HeaderValue::from_static("50%zz%1Bx%"));
        assert_eq!(
            Status::read(&headers),
            Some(Status::new(Code::Unknown, "50%zzx%"))
        );
        assert_eq!(
            Status::of_http(StatusCode::NOT_FOUND).code,
            Code::Unimplemented
        );
    }
}

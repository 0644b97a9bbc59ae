//! Bounds of one connection to the HTTPS API, bytes.

use super::KIB;

/// Longest frame of HTTP/2 that a visitor of the API may send.
pub const FRAME: u64 = 16 * KIB;
/// Requests that a visitor may have under way at once.
pub const STREAMS: u64 = 4;
/// What each of them may send before it was read.
pub const STREAM_WINDOW: u64 = 4 * KIB;
/// Head of a request.
pub const HEADERS: u64 = 8 * KIB;
/// What is made ready to be sent to a visitor at once.
pub const SEND_BUFFER: u64 = 16 * KIB;
/// An answer; no page is longer.
pub const ANSWER: u64 = 48 * KIB;
/// What one takes beside TLS and HTTP/2 at rest.
pub const EACH: u64 = STREAMS * STREAM_WINDOW + FRAME + ANSWER;

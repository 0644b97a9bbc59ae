//! The latest lines of the log, in memory, for whoever stands before the box without a journal at hand.

use std::collections::VecDeque;
use std::io;
use std::sync::{Mutex, PoisonError};

use tracing_subscriber::fmt::MakeWriter;

/// Lines kept.
pub const LINES: usize = 64;
/// Bytes kept of each.
pub const LINE_BYTES: usize = 160;

static RECENT: Mutex<Ring> = Mutex::new(Ring::new());

/// The last lines, the oldest first; at most `count`.
pub fn last(count: usize) -> Vec<String> {
    let ring = RECENT.lock().unwrap_or_else(PoisonError::into_inner);
    ring.last(count)
}

#[derive(Debug)]
struct Ring {
    lines: VecDeque<Box<str>>,
}

impl Ring {
    const fn new() -> Self {
        Self {
            lines: VecDeque::new(),
        }
    }

    /// Adds what the log wrote: one line or several.
    fn add(&mut self, bytes: &[u8]) {
        let text = String::from_utf8_lossy(bytes);
        for line in text.lines().filter(|line| !line.is_empty()) {
            if self.lines.len() == LINES {
                self.lines.pop_front();
            } else if self.lines.capacity() < LINES {
                self.lines.reserve_exact(LINES);
            }
            let mut end = line.len().min(LINE_BYTES);
            while !line.is_char_boundary(end) {
                end -= 1;
            }
            self.lines.push_back(line[..end].into());
        }
    }

    fn last(&self, count: usize) -> Vec<String> {
        let skip = self.lines.len().saturating_sub(count);
        let kept = self.lines.iter().skip(skip);
        kept.map(ToString::to_string).collect()
    }
}

/// Where the log writes to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Writer;

impl io::Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut ring = RECENT.lock().unwrap_or_else(PoisonError::into_inner);
        ring.add(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Writer {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        *self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_lines_are_kept_and_no_more() {
        let mut ring = Ring::new();
        for number in 0..200 {
            ring.add(format!("line {number}\n").as_bytes());
        }
        assert_eq!(ring.last(2), ["line 198", "line 199"]);
        assert_eq!(ring.last(1000).len(), LINES);
        ring.add("\u{e9}".repeat(LINE_BYTES).as_bytes());
        ring.add(&[0xff, 0xfe]);
        let last = ring.last(2);
        assert!(last[0].len() <= LINE_BYTES && !last[1].is_empty());
        assert!(ring.lines.capacity() <= 2 * LINES);
    }
}

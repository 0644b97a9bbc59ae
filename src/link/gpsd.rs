//! The client of gpsd: connects, reads lines, and hands them to the clock. What they mean is judged in `clock/gps.rs`.
//!
//! Memory is one line. Whatever answers at that address, it can only be believed, ignored or left.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::clock::BoxClock;
use crate::clock::gps::{self, LINE_BYTES, Line};

/// Name lookup and connect together.
const CONNECT: Duration = Duration::from_secs(5);
/// gpsd greets at once.
const GREETING: Duration = Duration::from_secs(10);
/// A gpsd that says nothing for so long is asked whether it is there, and left when it does not answer.
const SILENCE: Duration = Duration::from_secs(30);
/// Pauses between attempts: doubled from the first to the longest.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// Lines that make no sense, one after the other, before the other end is left.
const MOST_UNREADABLE: u32 = 8;

/// Follows one gpsd until the task is aborted.
pub async fn follow(address: String, clock: Arc<BoxClock>) {
    let mut pause = FIRST_PAUSE;
    loop {
        match once(&address, &clock).await {
            Ended::Unreached(why) => tracing::debug!("gpsd at {address}: {why}"),
            Ended::NoGpsd => {
                tracing::warn!("what answers at {address} is no gpsd: see `gpsd` in [clock]");
                pause = LONGEST_PAUSE;
            }
            Ended::Lost(why) => {
                tracing::warn!("gpsd at {address} is gone: {why}");
                pause = FIRST_PAUSE;
            }
        }
        clock.set_gpsd_connected(false);
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// How a connection ended.
#[derive(Debug, PartialEq, Eq)]
enum Ended {
    /// There was none.
    Unreached(String),
    /// It was no gpsd.
    NoGpsd,
    /// It was good, and broke.
    Lost(String),
}

async fn once(address: &str, clock: &BoxClock) -> Ended {
    let mut stream = match timeout(CONNECT, TcpStream::connect(address)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return Ended::Unreached(error.to_string()),
        Err(_) => return Ended::Unreached("no answer".to_owned()),
    };
    let mut lines = Lines::default();
    let (mut is_gpsd, mut was_asked, mut unreadable) = (false, false, 0);
    loop {
        let patience = if is_gpsd { SILENCE } else { GREETING };
        let room = lines.room();
        let count = match timeout(patience, stream.read(room)).await {
            Err(_) if !is_gpsd => return Ended::NoGpsd,
            Err(_) if was_asked => return Ended::Lost("it does not answer".to_owned()),
            Err(_) => {
                was_asked = true;
                match send(&mut stream, gps::POLL).await {
                    Ok(()) => continue,
                    Err(why) => return Ended::Lost(why),
                }
            }
            Ok(Ok(0)) if is_gpsd => return Ended::Lost("it closed the connection".to_owned()),
            Ok(Ok(0)) => return Ended::NoGpsd,
            Ok(Ok(count)) => count,
            Ok(Err(error)) if is_gpsd => return Ended::Lost(error.to_string()),
            Ok(Err(error)) => return Ended::Unreached(error.to_string()),
        };
        was_asked = false;
        lines.filled(count);
        while let Some(line) = lines.next() {
            let line = gps::parse(line);
            match &line {
                Line::Version(release) if !is_gpsd => {
                    is_gpsd = true;
                    tracing::info!("gpsd {release} at {address}");
                    clock.set_gpsd_connected(true);
                    if let Err(why) = send(&mut stream, gps::WATCH).await {
                        return Ended::Lost(why);
                    }
                }
                Line::Unreadable => {
                    unreadable += 1;
                    if !is_gpsd || unreadable >= MOST_UNREADABLE {
                        return Ended::NoGpsd;
                    }
                    continue;
                }
                _ => clock.hear_gpsd(&line),
            }
            unreadable = 0;
        }
    }
}

async fn send(stream: &mut TcpStream, bytes: &[u8]) -> Result<(), String> {
    match timeout(CONNECT, stream.write_all(bytes)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("it takes nothing".to_owned()),
    }
}

/// Bytes to lines. A line that does not fit is skipped whole.
#[derive(Debug)]
struct Lines {
    buffer: Box<[u8; LINE_BYTES]>,
    /// What is filled, and what of it was handed out.
    end: usize,
    begin: usize,
    /// The rest of the line under way is skipped.
    skips: bool,
}

impl Default for Lines {
    fn default() -> Self {
        Self {
            buffer: Box::new([0; LINE_BYTES]),
            end: 0,
            begin: 0,
            skips: false,
        }
    }
}

impl Lines {
    /// Where more can be read to; never empty.
    fn room(&mut self) -> &mut [u8] {
        self.buffer.copy_within(self.begin..self.end, 0);
        self.end -= self.begin;
        self.begin = 0;
        if self.end == LINE_BYTES {
            self.end = 0;
            self.skips = true;
        }
        &mut self.buffer[self.end..]
    }

    fn filled(&mut self, count: usize) {
        self.end = (self.end + count).min(LINE_BYTES);
    }

    /// The next whole line, without its end.
    fn next(&mut self) -> Option<&[u8]> {
        loop {
            let rest = &self.buffer[self.begin..self.end];
            let length = memchr::memchr(b'\n', rest)?;
            let from = self.begin;
            self.begin += length + 1;
            if !std::mem::take(&mut self.skips) {
                return Some(self.buffer[from..from + length].trim_ascii_end());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use tokio::net::TcpListener;

    fn lines_of(bytes: &[u8], pieces: &[usize]) -> Vec<Vec<u8>> {
        let (mut lines, mut found, mut rest) = (Lines::default(), Vec::new(), bytes);
        let mut pieces = pieces.iter().cycle();
        while !rest.is_empty() {
            let room = lines.room();
            let count = (*pieces.next().unwrap()).clamp(1, room.len().min(rest.len()));
            room[..count].copy_from_slice(&rest[..count]);
            lines.filled(count);
            rest = &rest[count..];
            while let Some(line) = lines.next() {
                found.push(line.to_vec());
            }
        }
        found
    }

    proptest! {
        /// However the bytes arrive: the lines that fit come whole and in order, the others not at all.
        #[test]
        fn lines_are_whole_or_skipped(
            lengths in proptest::collection::vec(prop_oneof![0_usize..200, 4000..9000_usize], 1..12),
            pieces in proptest::collection::vec(1_usize..6000, 1..8),
        ) {
            let all: Vec<Vec<u8>> = lengths.iter().enumerate()
                .map(|(index, &length)| vec![b'a' + u8::try_from(index).unwrap(); length]).collect();
            let bytes: Vec<u8> = all.iter().flat_map(|line| [line, &b"\n"[..]].concat()).collect();
            let found = lines_of(&bytes, &pieces);
            let fits = |line: &&Vec<u8>| line.len() < LINE_BYTES;
            let expected: Vec<Vec<u8>> = all.iter().filter(fits).cloned().collect();
            prop_assert_eq!(found, expected);
        }
    }

    /// What a client meets at an address that answers like this.
    async fn met(answer: &'static [u8]) -> (Ended, Vec<u8>) {
        let directory = tempfile::tempdir().unwrap();
        let (clock, _) = BoxClock::start(directory.path(), directory.path());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let server = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.write_all(answer).await.unwrap();
            let mut heard = vec![0; gps::WATCH.len()];
            let count = timeout(Duration::from_millis(300), stream.read(&mut heard)).await;
            heard.truncate(count.map_or(0, Result::unwrap_or_default));
            heard
        };
        tokio::join!(once(&address, &clock), server)
    }

    #[tokio::test]
    async fn a_gpsd_is_asked_to_report_and_anything_else_is_left() {
        let (ended, heard) = met(b"{\"class\":\"VERSION\",\"release\":\"3.25\"}\r\n").await;
        assert!(matches!(ended, Ended::Lost(_)), "{ended:?}");
        assert_eq!(heard, gps::WATCH);
        for other in [&b"SSH-2.0-OpenSSH\r\n"[..], b"", &[b'x'; 9000]] {
            assert_eq!(met(other).await.0, Ended::NoGpsd);
        }
    }
}

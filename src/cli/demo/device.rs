//! The devices on both islands: plain CoT connections, as an ATAK without certificates makes them.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use super::error::DemoError;
use super::events::{Report, Team, key_of};
use super::ledger::Ledger;
use crate::clock::{Clock, SystemClock};

/// The sender's own position, and its chat, come this often.
const SLOW: Duration = Duration::from_secs(2);
/// A device must reach its box within this.
const CONNECT: Duration = Duration::from_secs(5);
/// What a receiver keeps of an unfinished event; the demo's are a tenth of it.
const LARGEST: usize = 64 * 1024;
const END: &[u8] = b"</event>";

/// The device that sends: its own position, the tracks it knows, chat.
#[derive(Debug)]
pub(super) struct Sender {
    team: Team,
    stream: TcpStream,
    last_ms: i64,
    chats: u64,
}

impl Sender {
    /// Connects to the team's box.
    pub(super) async fn connect(team: Team, address: SocketAddr) -> Result<Self, DemoError> {
        let stream = connect(team.island(), address).await?;
        Ok(Self {
            team,
            stream,
            last_ms: 0,
            chats: 0,
        })
    }

    /// Sends until it is cancelled, and enters everything in the ledger.
    pub(super) async fn inject(
        &mut self,
        rate: u16,
        ledger: &RefCell<Ledger>,
    ) -> Result<(), DemoError> {
        let island = self.team.island();
        let rows: Vec<usize> = (0..self.team.tracks())
            .map(|number| {
                let label = format!("track {}", number + 1);
                let callsign = self.team.track_callsign(number);
                ledger.borrow_mut().open(island, &label, &callsign)
            })
            .collect();
        let callsign = self.team.callsign();
        let position_row = ledger.borrow_mut().open(island, "own position", &callsign);
        let chat_row = ledger.borrow_mut().open(island, "chat", &callsign);
        let mut fast = interval(Duration::from_secs(1) / u32::from(rate.max(1)));
        let mut slow = interval(SLOW);
        fast.set_missed_tick_behavior(MissedTickBehavior::Delay);
        slow.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut ignored = vec![0; 16 * 1024];
        loop {
            tokio::select! {
                // What the box tells this device is the receiver's to count; it must be read all the same.
                count = self.stream.read(&mut ignored) => self.closed(count)?,
                _ = fast.tick() => {
                    for (number, &row) in (0..).zip(&rows) {
                        let now_ms = self.next_ms();
                        let report = self.team.track(number, now_ms);
                        self.send(row, report, ledger).await?;
                    }
                }
                _ = slow.tick() => {
                    let now_ms = self.next_ms();
                    let report = self.team.position(now_ms);
                    self.send(position_row, report, ledger).await?;
                    self.chats += 1;
                    let now_ms = self.next_ms();
                    let report = self.team.chat(self.chats, now_ms);
                    self.send(chat_row, report, ledger).await?;
                }
            }
        }
    }

    async fn send(
        &mut self,
        row: usize,
        report: Report,
        ledger: &RefCell<Ledger>,
    ) -> Result<(), DemoError> {
        let island = self.team.island();
        ledger.borrow_mut().inject(row, report.key, Instant::now());
        self.stream
            .write_all(report.xml.as_bytes())
            .await
            .map_err(|error| DemoError::Device(island, error))
    }

    fn closed(&self, count: std::io::Result<usize>) -> Result<(), DemoError> {
        match count {
            Ok(0) => Err(DemoError::Device(
                self.team.island(),
                std::io::ErrorKind::UnexpectedEof.into(),
            )),
            Ok(_) => Ok(()),
            Err(error) => Err(DemoError::Device(self.team.island(), error)),
        }
    }

    /// The wall clock, but never twice the same: uid and time name a report.
    fn next_ms(&mut self) -> i64 {
        self.last_ms = SystemClock::new().now().wall_ms.max(self.last_ms + 1);
        self.last_ms
    }
}

/// A device that only listens.
#[derive(Debug)]
pub(super) struct Receiver {
    island: &'static str,
    stream: TcpStream,
}

impl Receiver {
    /// Connects to the island's box.
    pub(super) async fn connect(
        island: &'static str,
        address: SocketAddr,
    ) -> Result<Self, DemoError> {
        let stream = connect(island, address).await?;
        Ok(Self { island, stream })
    }

    /// Enters what came over from the other island in the ledger, until cancelled.
    pub(super) async fn watch(
        mut self,
        from: &'static str,
        ledger: &RefCell<Ledger>,
    ) -> Result<(), DemoError> {
        let mut pending: Vec<u8> = Vec::with_capacity(LARGEST);
        loop {
            let count = self
                .stream
                .read_buf(&mut pending)
                .await
                .map_err(|error| DemoError::Device(self.island, error))?;
            let now = Instant::now();
            if count == 0 || pending.len() > LARGEST {
                return Err(DemoError::Device(
                    self.island,
                    std::io::ErrorKind::UnexpectedEof.into(),
                ));
            }
            for event in split_events(&mut pending) {
                if let Some(key) = std::str::from_utf8(&event).ok().and_then(key_of) {
                    ledger.borrow_mut().see(&key, from, now);
                }
            }
        }
    }
}

async fn connect(island: &'static str, address: SocketAddr) -> Result<TcpStream, DemoError> {
    let failed = |error| DemoError::Device(island, error);
    let stream = timeout(CONNECT, TcpStream::connect(address))
        .await
        .map_err(|_| failed(std::io::ErrorKind::TimedOut.into()))?
        .map_err(failed)?;
    stream.set_nodelay(true).map_err(failed)?;
    Ok(stream)
}

/// Takes the finished events off the front.
fn split_events(pending: &mut Vec<u8>) -> Vec<Vec<u8>> {
    let mut events = Vec::new();
    let mut from = 0;
    while let Some(at) = memchr::memmem::find(&pending[from..], END) {
        events.push(pending[from..from + at + END.len()].to_vec());
        from += at + END.len();
    }
    pending.drain(..from);
    events
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_found_however_the_bytes_arrive() {
        let team = Team::new("alpha", 2);
        let stream = format!("{}{}", team.track(0, 1).xml, team.track(1, 2).xml);
        for size in [1, 7, 100, 5000] {
            let (mut pending, mut keys) = (Vec::new(), Vec::new());
            for piece in stream.as_bytes().chunks(size) {
                pending.extend_from_slice(piece);
                keys.extend(
                    split_events(&mut pending)
                        .iter()
                        .filter_map(|event| key_of(std::str::from_utf8(event).unwrap())),
                );
            }
            assert_eq!(keys, [team.track(0, 1).key, team.track(1, 2).key], "{size}");
            assert!(pending.len() < 2, "only the last line break is left");
        }
    }
}

//! Sender and receiver, and what they measure.

use std::io::{ErrorKind, Read, Write};
use std::ops::Range;
use std::sync::{Condvar, Mutex};
use std::time::{Duration, Instant};

use super::tracks::{MARK, Tracks};

/// What has not arrived this long after the last arrival is lost.
pub const PATIENCE: Duration = Duration::from_secs(3);
/// Events in one write of the flood: some 16 KiB.
const CHUNK: usize = 24;

/// What one run gave.
pub struct Figures {
    /// Events sent.
    pub sent: usize,
    /// Events that arrived.
    pub delivered: usize,
    /// Events that arrived once more.
    pub duplicates: usize,
    /// From the first byte sent to the last event received.
    elapsed: Duration,
    /// Sorted.
    latencies: Vec<Duration>,
}

impl Figures {
    /// Events delivered per second.
    #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
    pub fn per_second(&self) -> f64 {
        self.delivered as f64 / self.elapsed.as_secs_f64().max(1e-9)
    }

    /// The latency that so many percent did not exceed, milliseconds.
    pub fn latency_ms(&self, percent: usize) -> f64 {
        let rank = (self.latencies.len() * percent).div_ceil(100).max(1) - 1;
        self.latencies
            .get(rank)
            .map_or(f64::NAN, |latency| latency.as_secs_f64() * 1000.0)
    }
}

/// Both ends of a path.
pub struct Meter<'tracks, S, R> {
    sender: S,
    receiver: R,
    tracks: &'tracks Tracks,
}

/// What the receiver tells the sender: how many have arrived, and that no more will.
#[derive(Default)]
struct Progress {
    arrived: Mutex<(usize, bool)>,
    changed: Condvar,
}

impl Progress {
    fn report(&self, arrived: usize, over: bool) {
        *self.arrived.lock().unwrap() = (arrived, over);
        self.changed.notify_one();
    }

    /// Waits until fewer than `window` of `sent` are under way; false when the receiver has given up.
    fn wait(&self, sent: usize, window: usize) -> bool {
        let state = self.arrived.lock().unwrap();
        let blocked =
            |state: &mut (usize, bool)| !state.1 && sent.saturating_sub(state.0) >= window;
        !self.changed.wait_while(state, blocked).unwrap().1
    }
}

impl<'tracks, S: Write + Send, R: Read + Send> Meter<'tracks, S, R> {
    /// Between a connection that sends and one that receives.
    pub fn new(sender: S, receiver: R, tracks: &'tracks Tracks) -> Self {
        Self {
            sender,
            receiver,
            tracks,
        }
    }

    /// Sends as fast as the window allows.
    pub fn flood(&mut self, range: Range<usize>, window: usize) -> Figures {
        self.run(range, |sender, tracks, range, times, progress| {
            let mut next = range.start;
            while next < range.end
                && progress.wait(next - range.start + CHUNK, window.max(CHUNK + 1))
            {
                let end = (next + CHUNK).min(range.end);
                times.lock().unwrap()[next - range.start..end - range.start].fill(Instant::now());
                sender
                    .write_all(tracks.slice(next..end))
                    .and_then(|()| sender.flush())
                    .unwrap();
                next = end;
            }
        })
    }

    /// Sends one at a time, at a steady pace.
    pub fn paced(&mut self, range: Range<usize>, interval: Duration) -> Figures {
        self.run(range, |sender, tracks, range, times, _| {
            let began = Instant::now();
            for (index, number) in range.enumerate() {
                let due = began + interval * u32::try_from(index).unwrap();
                std::thread::sleep(due.saturating_duration_since(Instant::now()));
                times.lock().unwrap()[index] = Instant::now();
                sender
                    .write_all(tracks.slice(number..number + 1))
                    .and_then(|()| sender.flush())
                    .unwrap();
            }
        })
    }

    fn run(
        &mut self,
        range: Range<usize>,
        send: impl FnOnce(&mut S, &Tracks, Range<usize>, &Mutex<Vec<Instant>>, &Progress) + Send,
    ) -> Figures {
        let progress = Progress::default();
        let times = Mutex::new(vec![Instant::now(); range.len()]);
        let began = Instant::now();
        let (sender, receiver, tracks) = (&mut self.sender, &mut self.receiver, self.tracks);
        let mut figures = std::thread::scope(|scope| {
            let (progress, times, their_range) = (&progress, &times, range.clone());
            scope.spawn(move || send(sender, tracks, their_range, times, progress));
            receive(receiver, &range, times, progress, began)
        });
        figures.latencies.sort_unstable();
        figures
    }
}

fn receive(
    receiver: &mut impl Read,
    range: &Range<usize>,
    times: &Mutex<Vec<Instant>>,
    progress: &Progress,
    began: Instant,
) -> Figures {
    let mut seen = vec![false; range.len()];
    let mut figures = Figures {
        sent: range.len(),
        delivered: 0,
        duplicates: 0,
        elapsed: Duration::ZERO,
        latencies: Vec::with_capacity(range.len()),
    };
    let mut buffer = vec![0; 64 * 1024];
    let mut filled = 0;
    while figures.delivered < range.len() {
        let count = match receiver.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            // Nothing came for the whole of PATIENCE.
            Err(_) => break,
        };
        filled += count;
        let now = Instant::now();
        let sent_at = times.lock().unwrap();
        let mut from = 0;
        while let Some((number, end)) = next_number(&buffer[from..filled]) {
            from += end;
            let Some(index) = number
                .checked_sub(range.start)
                .filter(|&index| index < seen.len())
            else {
                continue;
            };
            if std::mem::replace(&mut seen[index], true) {
                figures.duplicates += 1;
            } else {
                figures.delivered += 1;
                figures.latencies.push(now - sent_at[index]);
            }
        }
        drop(sent_at);
        figures.elapsed = began.elapsed();
        progress.report(figures.delivered, false);
        // A mark may be cut in two; nothing before it is wanted any more.
        let keep = (filled - from).min(64);
        buffer.copy_within(filled - keep..filled, 0);
        filled = keep;
    }
    progress.report(figures.delivered, true);
    figures
}

/// The first whole number behind a mark, and where it ends.
fn next_number(bytes: &[u8]) -> Option<(usize, usize)> {
    let start = memchr::memmem::find(bytes, MARK)? + MARK.len();
    let digits = bytes[start..]
        .iter()
        .position(|byte| !byte.is_ascii_digit())?;
    let text = std::str::from_utf8(&bytes[start..start + digits]).ok()?;
    Some((text.parse().ok()?, start + digits))
}

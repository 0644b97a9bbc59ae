//! One login at a TAK server, from its first byte to its last.

use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, interval, sleep_until, timeout};

use super::ServerNode;
use super::liveness::{self, Liveness};
use super::protocol::{Protocol, Turn};
use super::say::{Ourselves, PRESENCE_EVERY_MS, is_pong, is_pong_in_tak};
use super::trouble::LoginTrouble;
use crate::config::Server;
use crate::link::board::PeerState;
use crate::link::federate::plan::proof_within;
use crate::link::federate::registry::stopped;
use crate::link::hub::Port;
use crate::link::ingest::{Heed, Piece, read};
use crate::link::route_watch::{Changes, came};
use crate::route::{LinkSpec, Network, Role};

/// A server that has said nothing for so long after the login counts as connected all the same: it may have nothing to
/// say. Before, it may be about to refuse us.
const SILENT: Duration = Duration::from_secs(5);
/// What was sent last gets this long at the end.
const GOODBYE: Duration = Duration::from_secs(1);
/// Users of the server who are gone without a word are looked for so often.
const SWEEP_SECONDS: u64 = 5;

/// A connection to a server, plain or TLS.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// How a session ended.
pub(super) enum Ended {
    /// On request.
    Stopped,
    /// By this, after the server had been well for so long, if ever. The place at the router may be used again.
    Failed(LoginTrouble, Option<Duration>, Port),
}

/// What a session is about.
pub(super) struct Session<'a> {
    pub(super) node: &'a ServerNode,
    pub(super) server: &'a Server,
    pub(super) network: Network,
    pub(super) ourselves: &'a Ourselves,
}

/// What reading, writing and watching share.
struct Talk {
    begun: Instant,
    pings: Mutex<Liveness>,
    /// The time of the next ping may have changed.
    hurry: Notify,
    /// Since when it is known to be well.
    well: Mutex<Option<Instant>>,
    round_trip: Mutex<Option<Duration>>,
    protocol: Protocol,
}

impl Talk {
    fn now(&self) -> Duration {
        self.begun.elapsed()
    }

    fn pings(&self) -> MutexGuard<'_, Liveness> {
        lock(&self.pings)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Session<'_> {
    /// Runs until it fails or is told to stop. `port` is the place that an earlier connection left, `answers` whether the
    /// server answers pings.
    pub(super) async fn run(
        &self,
        stream: Box<dyn Stream>,
        (port, answers): (Option<Port>, &mut bool),
        changes: &mut watch::Receiver<Changes>,
        stop: &mut watch::Receiver<bool>,
    ) -> Ended {
        let every = self.server.keepalive_seconds.map(u64::from);
        let every = every.map_or(liveness::USUAL, Duration::from_secs);
        let talk = Talk {
            begun: Instant::now(),
            pings: Mutex::new(Liveness::new(every, *answers)),
            hurry: Notify::new(),
            well: Mutex::default(),
            round_trip: Mutex::default(),
            protocol: Protocol::default(),
        };
        let spec = LinkSpec::Neighbour {
            name: self.server.name.clone(),
            role: Role::Server,
            network: self.network,
            incoming: self.server.incoming,
            outgoing: self.server.outgoing,
        };
        let port = match port {
            None => self.node.hub.attach(spec),
            Some(port) => {
                port.again(spec);
                port
            }
        };
        let now = self.node.hub.now().wall_ms;
        self.node.board.set_attached(&self.server.name, now);
        let (reader, mut writer) = tokio::io::split(stream);
        let reading = read(reader, &port, &self.node.intake, |piece| {
            self.heed(piece, &talk, &port)
        });
        let ended = tokio::select! {
            // Reading first: what the server said before it hung up tells more than that writing failed.
            biased;
            read = reading => Some(match read {
                Ok(words) if words.starts_with("closed") && talk.pings().is_heard() => {
                    LoginTrouble::Lost("the server closed it".into())
                }
                Ok(words) if words.starts_with("closed") => LoginTrouble::HungUp,
                Ok(words) => LoginTrouble::NotCot(words),
                Err(error) => LoginTrouble::of_stream(&error, talk.pings().is_heard()),
            }),
            written = self.write(&mut writer, &talk, &port) => written
                .err()
                .map(|error| LoginTrouble::of_stream(&error, talk.pings().is_heard())),
            verdict = self.watch(&talk, &port, changes) => Some(LoginTrouble::Pings(verdict)),
            () = stopped(stop) => None,
        };
        *answers |= talk.pings().answers();
        let held = lock(&talk.well).map(|since| since.elapsed());
        match ended {
            Some(trouble) => Ended::Failed(trouble, held, port),
            None => {
                drop(port);
                let _ = timeout(GOODBYE, writer.shutdown()).await;
                Ended::Stopped
            }
        }
    }

    /// Every whole piece that comes, before the router sees it.
    fn heed(&self, piece: Piece<'_>, talk: &Talk, port: &Port) -> Heed {
        let now = talk.now();
        let mut pings = talk.pings();
        let first = !pings.is_heard();
        pings.hear(now);
        let is_pong = match piece {
            Piece::Xml(xml) => is_pong(xml),
            Piece::Tak(message) => is_pong_in_tak(message),
        };
        let round_trip = is_pong.then(|| pings.pong(now)).flatten();
        drop(pings);
        if first {
            self.well(talk, "");
        }
        if let Some(round_trip) = round_trip {
            *lock(&talk.round_trip) = Some(round_trip);
            let millis = round_trip.as_millis().try_into().unwrap_or(u64::MAX);
            let now = self.node.hub.now();
            self.node.board.set_proven(&self.server.name, now, millis);
        }
        if is_pong {
            port.heard();
            return Heed::Keep;
        }
        let Piece::Xml(xml) = piece else {
            return Heed::Pass;
        };
        let wall = self.node.hub.now().wall_ms;
        let heed = talk.protocol.heed(xml, wall);
        if heed.is_some() {
            talk.hurry.notify_one();
        }
        heed.unwrap_or(Heed::Pass)
    }

    /// The login stands.
    fn well(&self, talk: &Talk, reason: &str) {
        let name = &self.server.name;
        let mut well = lock(&talk.well);
        if well.is_none() {
            tracing::info!(server = name.as_str(), "{name}: logged in");
            *well = Some(Instant::now());
        }
        let now = self.node.hub.now().wall_ms;
        let board = &self.node.board;
        board.set(name, PeerState::Connected, reason, now);
    }

    async fn write<W: AsyncWrite + Unpin>(
        &self,
        writer: &mut W,
        talk: &Talk,
        port: &Port,
    ) -> io::Result<()> {
        if let Some(auth) = &self.server.auth {
            let said = self.ourselves.auth(&auth.username, &auth.password);
            writer.write_all(said.as_bytes()).await?;
        }
        let mut presence = talk.begun;
        loop {
            let now = Instant::now();
            let wall = self.node.hub.now().wall_ms;
            match (talk.protocol).turn(port, self.node.intake.max_event, wall) {
                Turn::Go => {}
                Turn::Send(bytes) => {
                    writer.write_all(&bytes).await?;
                    writer.flush().await?;
                    continue;
                }
                Turn::Wait => {
                    let answered = talk.hurry.notified();
                    // Late is no different from never, and that is looked at now and then.
                    let _ = timeout(Duration::from_secs(1), answered).await;
                    continue;
                }
            }
            let mut said = Vec::new();
            if now >= presence && self.server.outgoing {
                let presence = self.ourselves.presence(wall);
                said.extend(talk.protocol.write(presence, port));
            }
            if now >= presence {
                presence = now + Duration::from_millis(PRESENCE_EVERY_MS);
            }
            let due = {
                let mut pings = talk.pings();
                if pings.due().is_none_or(|due| talk.begun + due <= now) {
                    said.extend(talk.protocol.write(self.ourselves.ping(wall), port));
                    pings.ping(talk.now());
                }
                pings.due().map(|due| talk.begun + due)
            };
            if !said.is_empty() {
                writer.write_all(&said).await?;
                writer.flush().await?;
            }
            let due = match (due, self.server.outgoing) {
                (Some(due), true) => due.min(presence),
                (Some(due), false) => due,
                (None, _) => presence,
            };
            tokio::select! {
                batch = std::future::poll_fn(|context| port.poll_batch(context)) => match batch {
                    Some(batch) => {
                        writer.write_all(&batch).await?;
                        writer.flush().await?;
                    }
                    // Nobody takes a link off the router but its own port.
                    None => return Ok(()),
                },
                () = sleep_until(due) => {}
                () = talk.hurry.notified() => {}
            }
        }
    }

    /// Looks after the connection, until it is of no use any more.
    async fn watch(
        &self,
        talk: &Talk,
        port: &Port,
        changes: &mut watch::Receiver<Changes>,
    ) -> liveness::Verdict {
        let mut second = interval(Duration::from_secs(1));
        let mut seconds = 0_u64;
        loop {
            tokio::select! {
                _ = second.tick() => {}
                () = came(changes) => {
                    let within = proof_within(*lock(&talk.round_trip));
                    talk.pings().hurry(talk.now(), within);
                    talk.hurry.notify_one();
                    continue;
                }
            }
            if let Some(verdict) = talk.pings().verdict(talk.now()) {
                return verdict;
            }
            if lock(&talk.well).is_none() && talk.now() >= SILENT {
                self.well(
                    talk,
                    "logged in; it has said nothing yet, not even to our ping",
                );
            }
            seconds += 1;
            if seconds.is_multiple_of(SWEEP_SECONDS) {
                port.sweep();
            }
        }
    }
}

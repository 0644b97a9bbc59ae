//! The `server` link: the box logs in to a TAK server as a client, and so gives federation to servers that have none.
//!
//! | file | what |
//! |---|---|
//! | `mod.rs` | the task: reach the server, run the login, wait, again |
//! | `session.rs` | one login from its first byte to its last |
//! | `identity.rs` | the files of the configuration become TLS |
//! | `protocol.rs` | XML, or TAK protocol v1 once the server has agreed |
//! | `say.rs` | what the box itself says there |
//! | `liveness.rs` | when to ping, and what a missing answer means (pure) |
//! | `trouble.rs` | what goes wrong, in words |
//!
//! What comes is judged by the router (`route/router/server.rs`): there an echo of our own is told from news.

mod identity;
pub mod liveness;
mod protocol;
pub mod say;
mod session;
mod trouble;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustls::ClientConfig;
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinHandle, spawn_blocking};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_rustls::TlsConnector;

pub use trouble::LoginTrouble;

use super::board::{PeerBoard, PeerState};
use super::federate::connect::{host, tcp};
use super::federate::node::Timing;
use super::federate::plan::{Outcome, Plan};
use super::federate::registry::stopped;
use super::federate::trouble::{Trouble, chance};
use super::handshake::Failure;
use super::hub::{Hub, Port};
use super::ingest::Intake;
use super::route_watch::{self, Changes, Routes};
use super::socket;
use super::tls::{Credentials, Moments, server_name};
use crate::config::Server;
use crate::route::Network;
use say::Ourselves;
use session::{Ended, Session, Stream};

/// After an attempt was begun, a change of routes waits this long before it begins the next one.
const BETWEEN_CHANGES: Duration = Duration::from_millis(250);
/// A login that breaks and stands again within this is as if it had never broken: nobody is told that users left, and
/// what is for them waits.
const HOLD: Duration = Duration::from_secs(10);
/// What rustls may hold of what we write while the socket is full, bytes.
const TLS_BUFFER: usize = 16 * 1024;

/// What all logins of the box share.
pub struct ServerNode {
    /// The router.
    pub hub: Hub,
    /// Where states are written; the servers' own, so that names of peers and servers may be the same.
    pub board: PeerBoard,
    /// Where changes of the network are told.
    pub routes: Routes,
    /// Bounds of what servers send.
    pub intake: Intake,
    /// The box's own certificate, for servers that are given no other.
    pub own: Credentials,
    /// When certificate dates are judged.
    pub moments: Moments,
    /// Deadlines and pauses.
    pub timing: Timing,
    /// The box's uid at every server.
    pub uid: String,
    /// The box's name: its callsign where none is configured.
    pub name: String,
}

impl std::fmt::Debug for ServerNode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServerNode").finish_non_exhaustive()
    }
}

/// The task that keeps the box logged in at one server. Dropping it cuts the connection at once.
#[derive(Debug)]
pub struct ServerLink {
    stop: watch::Sender<bool>,
    task: Option<JoinHandle<()>>,
    closing: Duration,
}

impl ServerLink {
    /// Begins to log in.
    pub fn spawn(node: Arc<ServerNode>, server: Server, network: Network) -> Self {
        let (stop, stopped) = watch::channel(false);
        let closing = node.timing.closing;
        let login = Login::new(node, server, network);
        Self {
            stop,
            task: Some(tokio::spawn(login.keep(stopped))),
            closing,
        }
    }

    /// Ends the connection, with what waits flushed; within two seconds.
    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        if let Some(task) = &mut self.task
            && timeout(self.closing, task).await.is_ok()
        {
            self.task = None;
        }
    }
}

impl Drop for ServerLink {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

/// One server, and what is remembered of it between connections.
struct Login {
    node: Arc<ServerNode>,
    server: Server,
    network: Network,
    ourselves: Ourselves,
    plan: Plan,
    changes: watch::Receiver<Changes>,
    /// Read from files once, and again after a certificate was refused.
    tls: Option<Arc<ClientConfig>>,
    favourite: Option<SocketAddr>,
    /// It answers pings.
    answers: bool,
    /// The place at the router, for as long as it is held.
    held: Held,
}

/// A place at the router between two connections.
#[derive(Debug, Clone, Default)]
struct Held(Arc<Mutex<Option<(Port, AbortHandle)>>>);

impl Held {
    fn take(&self) -> Option<Port> {
        let (port, ending) = self.lock().take()?;
        ending.abort();
        Some(port)
    }

    fn lock(&self) -> MutexGuard<'_, Option<(Port, AbortHandle)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a place for [`HOLD`]; then users of the server are said to have left.
    fn keep(&self, port: Port, mut stop: watch::Receiver<bool>) {
        let held = self.clone();
        let ending = tokio::spawn(async move {
            tokio::select! {
                () = sleep(HOLD) => {}
                () = stopped(&mut stop) => {}
            }
            drop(held.take());
        });
        *self.lock() = Some((port, ending.abort_handle()));
    }
}

impl Login {
    fn new(node: Arc<ServerNode>, server: Server, network: Network) -> Self {
        let callsign = server.callsign.clone();
        Self {
            ourselves: Ourselves {
                uid: node.uid.clone(),
                callsign: callsign.unwrap_or_else(|| node.name.clone()),
            },
            plan: Plan::new(node.timing.pauses(), 1),
            changes: node.routes.subscribe(),
            tls: None,
            favourite: None,
            answers: false,
            held: Held::default(),
            node,
            server,
            network,
        }
    }

    /// Logs in again and again until told to stop.
    async fn keep(mut self, mut stop: watch::Receiver<bool>) {
        loop {
            let stream = tokio::select! {
                stream = self.open() => stream,
                () = stopped(&mut stop) => return,
            };
            let (trouble, held) = match stream {
                Ok(stream) => match self.run(stream, &mut stop).await {
                    Ended::Stopped => return,
                    Ended::Failed(trouble, held, port) => {
                        if held.is_some() {
                            self.held.keep(port, stop.clone());
                        }
                        (trouble, held)
                    }
                },
                Err(trouble) => (trouble, None),
            };
            let pause = self.ended(&trouble, held);
            tokio::select! {
                () = self.wait(pause) => {}
                () = stopped(&mut stop) => return,
            }
        }
    }

    /// Tries to reach the server; a change of the network begins the attempt anew.
    async fn open(&mut self) -> Result<Box<dyn Stream>, LoginTrouble> {
        let (node, name) = (Arc::clone(&self.node), self.server.name.clone());
        let now = node.hub.now().wall_ms;
        node.board
            .set(&name, PeerState::Connecting, "logging in", now);
        if let (Some(files), None) = (&self.server.tls, &self.tls) {
            let (files, own) = (files.clone(), node.own.clone());
            let moments = Arc::clone(&node.moments);
            // A .p12 takes a second to open on a small board.
            let prepared = spawn_blocking(move || identity::prepare(&files, &own, moments));
            let prepared = prepared.await.map_err(|error| error.to_string());
            self.tls = Some(prepared.and_then(|tls| tls).map_err(LoginTrouble::Files)?);
        }
        loop {
            let _ = self.changes.borrow_and_update();
            let begun = Instant::now();
            let mut changes = self.changes.clone();
            tokio::select! {
                reached = self.reach() => return reached,
                () = route_watch::came(&mut changes) => {
                    sleep_until(begun + BETWEEN_CHANGES).await;
                    self.plan.route_came();
                }
            }
        }
    }

    async fn reach(&mut self) -> Result<Box<dyn Stream>, LoginTrouble> {
        let Self { node, server, .. } = self;
        let address = &server.address;
        let host = host(address).map_err(LoginTrouble::Reach)?.to_owned();
        let stream = tcp(address, None, self.favourite, &node.timing)
            .await
            .map_err(LoginTrouble::Reach)?;
        if let Err(error) = socket::prepare(&stream, server.keepalive_seconds) {
            tracing::warn!(server = server.name, %error, "TCP options refused by the system");
        }
        let failed = |error: std::io::Error| LoginTrouble::Reach(Trouble::Tcp(error.to_string()));
        let peer = stream.peer_addr().map_err(failed)?;
        self.favourite = Some(peer);
        node.board.set_address(&server.name, peer.to_string());
        let Some(tls) = &self.tls else {
            return Ok(Box::new(stream));
        };
        let handshake = TlsConnector::from(Arc::clone(tls)).connect(server_name(&host), stream);
        let mut stream = timeout(node.timing.handshake, handshake)
            .await
            .map_err(|_| LoginTrouble::Tls(Failure::TimedOut))?
            .map_err(|error| LoginTrouble::Tls(Failure::of(&error)))?;
        stream.get_mut().1.set_buffer_limit(Some(TLS_BUFFER));
        Ok(Box::new(stream))
    }

    async fn run(&mut self, stream: Box<dyn Stream>, stop: &mut watch::Receiver<bool>) -> Ended {
        let session = Session {
            node: &self.node,
            server: &self.server,
            network: self.network,
            ourselves: &self.ourselves,
        };
        session
            .run(
                stream,
                (self.held.take(), &mut self.answers),
                &mut self.changes,
                stop,
            )
            .await
    }

    /// Waits, unless the network changes.
    async fn wait(&mut self, pause: Duration) {
        let begun = Instant::now();
        let mut over = std::pin::pin!(sleep(pause));
        loop {
            tokio::select! {
                () = &mut over => return,
                () = route_watch::came(&mut self.changes) => if self.plan.route_came() {
                    sleep_until(begun + BETWEEN_CHANGES.min(pause)).await;
                    return;
                }
            }
        }
    }

    /// Counts what ended, says so, and gives the pause before the next attempt.
    fn ended(&mut self, trouble: &LoginTrouble, held: Option<Duration>) -> Duration {
        if trouble.is_certificate() {
            self.tls = None;
        }
        let outcome = Outcome {
            held: held.unwrap_or_default(),
            certificate: trouble.is_certificate(),
        };
        let pause = self.plan.ended(outcome, chance());
        let (node, name) = (&self.node, &self.server.name);
        let seconds = pause.as_secs_f64().ceil();
        tracing::warn!(
            server = name.as_str(),
            next_attempt_seconds = seconds,
            "{name}: not logged in: {trouble}"
        );
        node.board.set_hindrance(name, trouble.hindrance());
        let reason = format!("{trouble}; waiting {seconds} s before the next attempt");
        let now = node.hub.now().wall_ms;
        node.board.set(name, PeerState::Waiting, reason, now);
        pause
    }
}

#[cfg(test)]
mod tests;

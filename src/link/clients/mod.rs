//! The `clients` link: ATAK, WinTAK, iTAK and whatever else streams CoT XML, over TCP or mutual TLS (protocol reference 6.1).
//! TLS clients may ask for TAK protocol v1.

mod offer;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::door::{Door, Guest, Place};
use super::handshake::Failure;
use super::hub::{Hub, Port};
use super::ingest::{Heed, Intake, Piece, read};
use super::refusals::Refusals;
use super::socket;
use crate::pki::revocations::{Revocations, marks};
use crate::route::{LinkSpec, Network};
use offer::Offer;

/// Bounds of the clients of one box; both listeners share them.
#[derive(Debug, Clone)]
pub struct ClientBounds {
    /// Clients at once; one more is closed as soon as its handshake is done.
    pub slots: Arc<Semaphore>,
    /// Who may do a TLS handshake; all listeners of the box share it.
    pub door: Door,
    /// Bounds of what each sends.
    pub intake: Intake,
    /// A TLS handshake must be done within this; as long may be waited for a place to begin.
    pub handshake: Duration,
    /// Where refused handshakes are counted.
    pub refusals: Refusals,
    /// The local network that they are in.
    pub network: Network,
    /// Certificates that were taken back: who has shown one is cut.
    pub revocations: Revocations,
}

/// How a listener's connections begin.
#[derive(Clone)]
pub enum Security {
    /// Bare TCP; for loopback.
    Plain,
    /// Mutual TLS.
    Tls(TlsAcceptor),
}

/// Bytes of plaintext that TLS may hold back for a client that does not read.
const TLS_BUFFER: usize = 16 * 1024;

/// A client that is being written its last bytes at shutdown gets this long.
const GOODBYE: Duration = Duration::from_secs(1);

/// More clients than there can be: when all these permits are free, all of them are gone.
const EVERYONE: u32 = 1 << 20;

/// Accepts clients until told to stop, and then waits for their goodbyes.
pub async fn serve(
    listener: TcpListener,
    security: Security,
    hub: Hub,
    bounds: ClientBounds,
    mut stop: watch::Receiver<bool>,
) {
    let clients = Arc::new(Semaphore::new(EVERYONE as usize));
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stop.wait_for(|&stop| stop) => break,
        };
        let (stream, address) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of descriptors, most likely: waiting is all that helps.
                tracing::warn!(%error, "cannot accept a client");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        if let Err(error) = socket::prepare(&stream, None) {
            tracing::debug!(%address, %error, "socket options refused");
        }
        let alive = Arc::clone(&clients).acquire_owned().await;
        let (hub, bounds, stop) = (hub.clone(), bounds.clone(), stop.clone());
        match &security {
            Security::Plain => {
                if let Some(slot) = bounds.slot(address) {
                    tokio::spawn(async move {
                        client(stream, address, hub, &bounds, stop, false).await;
                        drop((slot, alive));
                    });
                }
            }
            Security::Tls(acceptor) => {
                let Some(guest) = bounds.door.arrive(address.ip()) else {
                    bounds.refused(address, &Failure::Crowded, &hub);
                    continue;
                };
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    let newcomer = newcomer(guest, acceptor, stream, address, hub, bounds, stop);
                    newcomer.await;
                    drop(alive);
                });
            }
        }
    }
    drop(listener);
    let everyone = clients.acquire_many(EVERYONE);
    // A client that does not take its goodbye is cut off with the process.
    let _ = timeout(GOODBYE, everyone).await;
}

impl ClientBounds {
    fn slot(&self, address: SocketAddr) -> Option<OwnedSemaphorePermit> {
        let slot = Arc::clone(&self.slots).try_acquire_owned().ok();
        if slot.is_none() {
            tracing::warn!(%address, "client {address} turned away: all places are taken (limits.max_clients)");
        }
        slot
    }

    fn refused(&self, address: SocketAddr, failure: &Failure, hub: &Hub) {
        let now = hub.now().mono_ms;
        self.refusals.count("client", address, failure, now);
    }
}

/// Somebody at the door. All that comes after is boxed, so that those who wait cost no room for it.
async fn newcomer(
    guest: Guest,
    acceptor: TlsAcceptor,
    stream: TcpStream,
    address: SocketAddr,
    hub: Hub,
    bounds: ClientBounds,
    mut stop: watch::Receiver<bool>,
) {
    let place = tokio::select! {
        place = guest.place(bounds.handshake) => place,
        _ = stop.wait_for(|&stop| stop) => return,
    };
    match place {
        Ok(place) => {
            Box::pin(welcome(
                place, acceptor, stream, address, hub, &bounds, stop,
            ))
            .await;
        }
        Err(failure) => bounds.refused(address, &failure, &hub),
    }
}

/// The handshake first: only who has shown a certificate takes a client's place.
async fn welcome(
    place: Place,
    acceptor: TlsAcceptor,
    stream: TcpStream,
    address: SocketAddr,
    hub: Hub,
    bounds: &ClientBounds,
    mut stop: watch::Receiver<bool>,
) {
    let handshake = tokio::select! {
        handshake = place.handshake(acceptor, stream, bounds.handshake) => handshake,
        _ = stop.wait_for(|&stop| stop) => return,
    };
    let mut stream = match handshake {
        Ok(stream) => stream,
        Err(refused) => {
            bounds.refused(address, &refused.failure, &hub);
            if let Some(stream) = refused.stream {
                bounds.door.see_off(stream);
            }
            return;
        }
    };
    let Some(_slot) = bounds.slot(address) else {
        return;
    };
    stream.get_mut().1.set_buffer_limit(Some(TLS_BUFFER));
    let shown = marks(stream.get_ref().1.peer_certificates().unwrap_or_default());
    // Boxed, so that strangers in their handshake cost no room for it.
    tokio::select! {
        biased;
        () = Box::pin(client(stream, address, hub, bounds, stop, true)) => {}
        () = bounds.revocations.revoked(&shown) => {
            tracing::warn!(%address, reason = "revoked", "client {address} cut: its certificate was revoked");
        }
    }
}

/// One client, from its first byte to its last. Who has shown a certificate is offered TAK protocol v1.
async fn client<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    address: SocketAddr,
    hub: Hub,
    bounds: &ClientBounds,
    mut stop: watch::Receiver<bool>,
    offers: bool,
) {
    tracing::info!(%address, "client connected: {address}");
    let port = hub.attach(LinkSpec::Client {
        address: address.to_string(),
        network: bounds.network,
    });
    let offer = offers.then(|| Offer::make(&port, &hub, address));
    let heed = |piece: Piece<'_>| match &offer {
        Some(offer) => offer.hear(piece, &port, &hub),
        None => Heed::Pass,
    };
    let (reader, mut writer) = tokio::io::split(stream);
    let ended = tokio::select! {
        ended = read(reader, &port, &bounds.intake, heed) => ended,
        ended = write(&mut writer, &port) => ended,
        _ = stop.wait_for(|&stop| stop) => Ok("the box stops"),
    };
    match ended {
        Ok(why) => tracing::info!(%address, "client {address} gone: {why}"),
        // rustls words a missing close_notify for programmers; most devices never send one.
        Err(error) if hung_up(&error) => {
            tracing::info!(%address, "client {address} gone: it hung up");
        }
        Err(error) => tracing::info!(%address, "client {address} gone: {error}"),
    }
    drop(port);
    let _ = timeout(GOODBYE, writer.shutdown()).await;
}

/// The other side went without a goodbye, in any of the system's words for it.
fn hung_up(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::UnexpectedEof
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe
    )
}

async fn write<W: AsyncWrite + Unpin>(writer: &mut W, port: &Port) -> io::Result<&'static str> {
    loop {
        let Some(batch) = std::future::poll_fn(|context| port.poll_batch(context)).await else {
            return Ok("taken off the router");
        };
        writer.write_all(&batch).await?;
        writer.flush().await?;
    }
}

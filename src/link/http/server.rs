//! The listener: TLS (or bare TCP, for loopback), then HTTP/2 or HTTP/1.1 as the visitor asks for it.

use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::{HttpService, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls_pki_types::CertificateDer;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

use super::body::Body;
use super::places::{Places, Seat};
use crate::budget::visitors::{FRAME, HEADERS, SEND_BUFFER, STREAM_WINDOW, STREAMS};
use crate::link::door::Door;
use crate::link::grpc::scope::TaskScope;
use crate::link::handshake::Failure;
use crate::link::hub::Hub;
use crate::link::refusals::Refusals;
use crate::link::socket;
use crate::pki::Fingerprint;

/// A request's head must be there within this.
const HEAD: Duration = Duration::from_secs(10);
/// A connection on which nothing is asked for that long is closed.
const IDLE: Duration = Duration::from_secs(30);
/// How often that is looked at.
const LOOK: Duration = Duration::from_secs(2);
/// What is being answered may take this long to be read when the connection is closed.
const GOODBYE: Duration = Duration::from_secs(2);
/// Header lines of a request.
const HEADER_LINES: usize = 64;
/// Bytes of plaintext that TLS may hold back for a visitor that does not read.
const TLS_BUFFER: usize = 16 * 1024;
/// Stream resets of one visitor that are borne.
const RESETS: usize = 32;

/// Whoever answers requests.
pub trait Answer: Send + Sync + 'static {
    /// Answers one. An answer with [`Known`] among its extensions went to somebody who showed who it is.
    fn answer(
        self: Arc<Self>,
        request: Request<Incoming>,
        visitor: Visitor,
    ) -> impl Future<Output = Response<Body>> + Send;
}

/// Marks an answer to somebody who is not a stranger.
#[derive(Debug, Clone, Copy)]
pub struct Known;

/// Who asks, as far as the connection tells.
#[derive(Debug, Clone)]
pub struct Visitor {
    /// Where from.
    pub address: SocketAddr,
    /// The name in the certificate that it showed, if our CA issued it.
    pub certificate: Option<String>,
    /// SHA-256 of the certificate that it showed and holds the key of, whoever issued it.
    pub leaf: Option<Fingerprint>,
}

/// Whose certificate a chain is; none if it is none of ours.
pub type Identify = Arc<dyn Fn(&[CertificateDer<'_>]) -> Option<String> + Send + Sync>;

/// How connections begin.
#[derive(Clone)]
pub enum Security {
    /// Bare TCP, for loopback.
    Plain,
    /// TLS.
    Tls {
        /// Our side of the handshake.
        acceptor: TlsAcceptor,
        /// Who may do a handshake; all listeners of the box share it.
        door: Door,
        /// Whose certificate was shown.
        identify: Identify,
        /// A handshake must be done within this.
        within: Duration,
    },
}

impl fmt::Debug for Security {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plain => "Plain",
            Self::Tls { .. } => "Tls",
        })
    }
}

/// What a listener needs.
#[derive(Debug)]
pub struct Server<A> {
    /// Who answers.
    pub answer: Arc<A>,
    /// How connections begin.
    pub security: Security,
    /// Connections at once.
    pub places: Places,
    /// Where refused handshakes are counted.
    pub refusals: Refusals,
    /// For the time.
    pub hub: Hub,
}

/// Accepts visitors until told to stop.
pub async fn serve<A: Answer>(
    listener: TcpListener,
    server: Server<A>,
    mut stop: watch::Receiver<bool>,
) {
    let server = Arc::new(server);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stop.wait_for(|&stop| stop) => return,
        };
        let (stream, address) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of descriptors, most likely: waiting is all that helps.
                tracing::warn!(%error, "cannot accept a visitor of the API");
                sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        if let Err(error) = socket::prepare(&stream, None) {
            tracing::debug!(%address, %error, "socket options refused");
        }
        let (server, mut stop) = (Arc::clone(&server), stop.clone());
        match &server.security {
            Security::Plain => drop(tokio::spawn(async move {
                let visitor = Visitor {
                    address,
                    certificate: None,
                    leaf: None,
                };
                Box::pin(visit(&server, stream, false, visitor, stop)).await;
            })),
            Security::Tls { door, .. } => {
                let Some(guest) = door.arrive(address.ip()) else {
                    server.refused(address, &Failure::Crowded);
                    continue;
                };
                tokio::spawn(async move {
                    let Security::Tls { within, .. } = &server.security else {
                        return;
                    };
                    let place = tokio::select! {
                        place = guest.place(*within) => place,
                        _ = stop.wait_for(|&stop| stop) => return,
                    };
                    match place {
                        // Boxed, so that those who wait cost no room for it.
                        Ok(place) => {
                            Box::pin(welcome(&server, place, stream, address, stop)).await;
                        }
                        Err(failure) => server.refused(address, &failure),
                    }
                });
            }
        }
    }
}

impl<A> Server<A> {
    fn refused(&self, address: SocketAddr, failure: &Failure) {
        let now = self.hub.now().mono_ms;
        self.refusals.count("visitor", address, failure, now);
    }
}

/// The handshake, and what comes after.
async fn welcome<A: Answer>(
    server: &Server<A>,
    place: crate::link::door::Place,
    stream: TcpStream,
    address: SocketAddr,
    mut stop: watch::Receiver<bool>,
) {
    let Security::Tls {
        acceptor,
        door,
        identify,
        within,
    } = &server.security
    else {
        return;
    };
    let handshake = tokio::select! {
        handshake = place.handshake(acceptor.clone(), stream, *within) => handshake,
        _ = stop.wait_for(|&stop| stop) => return,
    };
    let mut stream = match handshake {
        Ok(stream) => stream,
        Err(refused) => {
            server.refused(address, &refused.failure);
            if let Some(stream) = refused.stream {
                door.see_off(stream);
            }
            return;
        }
    };
    let session = &mut stream.get_mut().1;
    session.set_buffer_limit(Some(TLS_BUFFER));
    let http2 = session.alpn_protocol() == Some(b"h2");
    let leaf = session.peer_certificates().and_then(|chain| chain.first());
    let visitor = Visitor {
        address,
        leaf: leaf.map(|leaf| Fingerprint::of(leaf)),
        certificate: session
            .peer_certificates()
            .and_then(|chain| identify(chain)),
    };
    Box::pin(visit(server, stream, http2, visitor, stop)).await;
}

/// One connection, from its first byte to its last.
async fn visit<A: Answer, S>(
    server: &Server<A>,
    stream: S,
    http2: bool,
    visitor: Visitor,
    mut stop: watch::Receiver<bool>,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let address = visitor.address;
    let Some(seat) = server.places.enter(address.ip()).await else {
        tracing::warn!(%address, "a visitor from {address} was turned away: all places are taken (limits.max_api_connections)");
        return;
    };
    let seat = Arc::new(seat);
    let service = {
        let (answer, seat) = (Arc::clone(&server.answer), Arc::clone(&seat));
        service_fn(move |request| {
            let (answer, seat, visitor) = (Arc::clone(&answer), Arc::clone(&seat), visitor.clone());
            async move {
                let busy = seat.busy();
                let response = answer.answer(request, visitor).await;
                if response.extensions().get::<Known>().is_some() {
                    seat.known();
                }
                response.body().keep(busy);
                Ok::<_, Infallible>(response)
            }
        })
    };
    let stream = TokioIo::new(stream);
    if http2 {
        let scope = TaskScope::new();
        let _scope = scope.guard();
        let mut builder = http2::Builder::new(scope);
        builder
            .timer(TokioTimer::new())
            .adaptive_window(false)
            .keep_alive_interval(None)
            .initial_stream_window_size(STREAM_WINDOW as u32)
            .max_send_buf_size(SEND_BUFFER as usize)
            .max_frame_size(FRAME as u32)
            .max_concurrent_streams(STREAMS as u32)
            .max_header_list_size(HEADERS as u32)
            .max_pending_accept_reset_streams(RESETS)
            .max_local_error_reset_streams(RESETS);
        look_after(builder.serve_connection(stream, service), &seat, &mut stop).await;
    } else {
        let mut builder = http1::Builder::new();
        builder
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD)
            .max_buf_size(HEADERS as usize)
            .max_headers(HEADER_LINES);
        let connection = builder.serve_connection(stream, service).with_upgrades();
        look_after(connection, &seat, &mut stop).await;
    }
}

/// Ends a connection that rests too long, is put out, or belongs to a box that stops.
async fn look_after<C: Connection>(connection: C, seat: &Seat, stop: &mut watch::Receiver<bool>) {
    let mut connection = pin!(connection);
    loop {
        tokio::select! {
            () = poll(connection.as_mut()) => return,
            () = seat.put_out() => break,
            _ = stop.wait_for(|&stop| stop) => break,
            () = sleep(LOOK) => {
                if seat.idle().is_some_and(|idle| idle >= IDLE) {
                    break;
                }
            }
        }
    }
    connection.as_mut().say_goodbye();
    let _ = timeout(GOODBYE, poll(connection)).await;
}

async fn poll<C: Connection>(connection: Pin<&mut C>) {
    if let Err(error) = connection.await {
        tracing::debug!(%error, "a visitor's connection ended");
    }
}

/// What both versions have in common.
trait Connection: Future<Output = hyper::Result<()>> {
    fn say_goodbye(self: Pin<&mut Self>);
}

impl<S, V> Connection for http1::UpgradeableConnection<S, V>
where
    S: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
    V: HttpService<Incoming, ResBody = Body>,
    V::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    fn say_goodbye(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

impl<S, V, E> Connection for http2::Connection<S, V, E>
where
    S: hyper::rt::Read + hyper::rt::Write + Unpin,
    V: HttpService<Incoming, ResBody = Body>,
    V::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    E: hyper::rt::bounds::Http2ServerConnExec<V::Future, Body>,
{
    fn say_goodbye(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

//! The side connection: to the same address as the link, quiet for as long as asked, then one answer from the far side.
//!
//! The far side answers, because a NAT forgets in both directions but most let a packet from *inside* open the entry
//! anew, so only one from outside proves that it is still there. That takes a peer that plays along: a box. A plain TCP
//! connection to a TAK Server would be closed by its TLS after some ten seconds, and a federate that is silent for
//! minutes is a fault in its log; nothing of this is ever opened to one.
//!
//! It is an ordinary handshake of both boxes on the federation port, with the ALPN word [`ALPN`] and no HTTP/2. Inside:
//! four bytes, the wanted quiet in milliseconds, and [`ANSWER`] in return. Both ends let go of the TLS session right
//! after the request: the answer is sealed beforehand and waits as its few bytes, so a quiet connection costs a socket.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tokio_rustls::TlsConnector;
use tokio_rustls::{client, server};

use super::search::MOST_MS;
use crate::link::gauge::drop_hard;
use crate::link::tls::{QUIET_ALPN, server_name};

/// What both sides say in the handshake instead of `h2`.
pub const ALPN: &[u8] = QUIET_ALPN;

const ANSWER: u8 = b'.';
/// Connect, handshake and request together, and each wait for the other side outside the quiet itself.
const WITHIN: Duration = Duration::from_secs(10);
/// An answer may be so much late, and eight round trips, before the connection counts as dead: three retransmissions
/// and more.
const LATE: Duration = Duration::from_secs(3);
/// An end that comes so much before its time is no answer.
const EARLY: Duration = Duration::from_millis(250);

/// What came of a quiet connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The answer came on time.
    Lived,
    /// Nothing came, or the end.
    Died,
    /// It ended before its time, or could not be made: that says nothing about the NAT.
    Broken,
}

/// How to open one.
#[derive(Debug, Clone)]
pub struct Way {
    /// Where the link leads.
    pub to: SocketAddr,
    /// Our address on the link: the same uplink is to be measured.
    pub from: SocketAddr,
    /// The interface that the link is bound to, if it is.
    pub interface: Option<String>,
    /// The link's side of the handshake.
    pub tls: Arc<ClientConfig>,
}

/// A connection that is quiet.
#[derive(Debug)]
pub struct Quiet {
    stream: TcpStream,
    due: Instant,
}

impl Way {
    /// Asks for an answer at once, to see whether the far side plays along; gives the round trip.
    pub async fn greet(&self) -> Option<Duration> {
        timeout(WITHIN, async {
            let mut stream = self.ask(0).await?;
            let begun = Instant::now();
            let answer = stream.read_u8().await.ok()?;
            let took = begun.elapsed();
            drop_hard(stream.into_inner().0);
            (answer == ANSWER).then_some(took)
        })
        .await
        .ok()
        .flatten()
    }

    /// Begins a quiet of so many milliseconds.
    pub async fn open(&self, quiet_ms: u32) -> Option<Quiet> {
        let stream = timeout(WITHIN, self.ask(quiet_ms)).await.ok()??;
        Some(Quiet {
            stream: stream.into_inner().0,
            due: Instant::now() + Duration::from_millis(quiet_ms.into()),
        })
    }

    async fn ask(&self, quiet_ms: u32) -> Option<client::TlsStream<TcpStream>> {
        let socket = match self.to {
            SocketAddr::V4(_) => tokio::net::TcpSocket::new_v4(),
            SocketAddr::V6(_) => tokio::net::TcpSocket::new_v6(),
        }
        .ok()?;
        if let Some(interface) = &self.interface {
            socket.bind_device(Some(interface.as_bytes())).ok()?;
        }
        socket.bind(SocketAddr::new(self.from.ip(), 0)).ok()?;
        let stream = socket.connect(self.to).await.ok()?;
        stream.set_nodelay(true).ok()?;
        let tls = TlsConnector::from(Arc::clone(&self.tls));
        let name = server_name(&self.to.ip().to_string());
        let mut stream = tls.connect(name, stream).await.ok()?;
        if stream.get_ref().1.alpn_protocol() != Some(ALPN) {
            return None;
        }
        stream.write_u32(quiet_ms).await.ok()?;
        stream.flush().await.ok()?;
        Some(stream)
    }
}

impl Quiet {
    /// Waits for the answer.
    pub async fn outcome(mut self, round_trip: Duration) -> Outcome {
        let latest = self.due + LATE + round_trip * 8;
        // What comes is sealed and its key is gone; that it comes, and when, is all there is to know. What belongs to the
        // handshake may come early.
        let outcome = loop {
            let came = timeout_at(latest, self.stream.read(&mut [0; 64])).await;
            let is_early = Instant::now() + EARLY < self.due;
            match came {
                Ok(Ok(1..)) if is_early => {}
                Ok(Ok(1..)) => break Outcome::Lived,
                Ok(_) if is_early => break Outcome::Broken,
                _ => break Outcome::Died,
            }
        };
        drop_hard(self.stream);
        outcome
    }
}

/// The far side: is quiet for as long as asked, then answers. Ends within [`MOST_MS`] and half a minute.
pub async fn answer(mut stream: server::TlsStream<TcpStream>) {
    let Ok(Ok(quiet_ms)) = timeout(WITHIN, stream.read_u32()).await else {
        return;
    };
    let Some((mut stream, sealed)) = seal(stream) else {
        return;
    };
    if quiet_ms > MOST_MS {
        return;
    }
    // The near side lets go of what it does not need any more.
    let quiet = sleep(Duration::from_millis(quiet_ms.into()));
    tokio::pin!(quiet);
    tokio::select! {
        () = &mut quiet => {}
        _ = ended(&mut stream) => return drop_hard(stream),
    }
    // Into nothing, if the NAT forgot it: the kernel is not to try for minutes.
    let _ = SockRef::from(&stream).set_tcp_user_timeout(Some(WITHIN));
    if stream.write_all(&sealed).await.is_ok() {
        let _ = timeout(WITHIN, ended(&mut stream)).await;
    }
    drop_hard(stream);
}

/// Waits until the other side ends the connection; what it still sends is thrown away.
async fn ended(stream: &mut TcpStream) {
    while let Ok(1..) = stream.read(&mut [0; 64]).await {}
}

/// Makes the answer ready to be sent, and gives up the TLS session.
fn seal(stream: server::TlsStream<TcpStream>) -> Option<(TcpStream, Vec<u8>)> {
    let (stream, mut session) = stream.into_inner();
    std::io::Write::write_all(&mut session.writer(), &[ANSWER]).ok()?;
    let mut sealed = Vec::with_capacity(64);
    while session.wants_write() {
        session.write_tls(&mut sealed).ok()?;
    }
    Some((stream, sealed))
}

//! From a configured address to a TLS stream that speaks the right protocol.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::config::{Protocol, Uplink};
use crate::link::gauge::Gauge;
use crate::link::handshake::Failure;
use crate::link::narrow::narrow;
use crate::link::nat::quiet::Way;
use crate::link::socket;
use crate::link::tls::{FEDERATION_ALPN, quiet, server_name};

use super::last_words::LastWords;
use super::node::{PeerSettings, Timing};
use super::trouble::Trouble;

/// What rustls may hold of what we write while the socket is full, bytes; HTTP/2 has its own bound before that.
pub const TLS_BUFFER: usize = 16 * 1024;

/// Addresses of one name that are tried.
const MOST_ADDRESSES: usize = 4;

/// Each of several addresses may take this long at least.
const LEAST_EACH: Duration = Duration::from_secs(3);

/// A connection that is up, before anything is said on it.
#[derive(Debug)]
pub struct Connected {
    /// The stream.
    pub stream: TlsStream<LastWords<TcpStream>>,
    /// Where it leads.
    pub address: SocketAddr,
    /// The uplink that it is bound to; none: the kernel's routes decide.
    pub uplink: Option<Arc<Uplink>>,
    /// How to open another one beside it.
    pub way: Way,
    /// Its socket.
    pub gauge: Gauge,
}

/// Looks the name up, connects, and does the TLS handshake. Of several addresses of the name, `favourite` is tried
/// first, and the one that answered is noted there. Dropping the future gives up at once.
///
/// # Errors
/// Which step failed, and how.
pub async fn connect(
    peer: &PeerSettings,
    address: &str,
    uplink: Option<&Arc<Uplink>>,
    favourite: &mut Option<SocketAddr>,
    tls: &Arc<ClientConfig>,
    timing: &Timing,
) -> Result<Connected, Trouble> {
    let host = host(address)?;
    let stream = tcp(address, uplink, *favourite, timing).await?;
    let over = peer.over(uplink);
    let prepared = socket::prepare(&stream, over.keepalive_seconds);
    if let Err(error) = prepared.and_then(|()| narrow(&stream, over.rate)) {
        tracing::warn!(peer = peer.name, %error, "TCP options refused by the system");
    }
    let failed = |error: io::Error| Trouble::Tcp(error.to_string());
    let address = stream.peer_addr().map_err(failed)?;
    *favourite = Some(address);
    let local = stream.local_addr().map_err(failed)?;
    let gauge = Gauge::of(&stream).map_err(failed)?;
    let stream = LastWords::new(stream);
    let handshake = TlsConnector::from(Arc::clone(tls)).connect(server_name(host), stream);
    let mut stream = timeout(timing.handshake, handshake)
        .await
        .map_err(|_| Trouble::Handshake(Failure::TimedOut))?
        .map_err(|error| Trouble::of_handshake(&error))?;
    let spoken = stream.get_ref().1.alpn_protocol();
    if peer.protocol == Protocol::V2 && spoken != Some(FEDERATION_ALPN) {
        return Err(Trouble::NoHttp2);
    }
    stream.get_mut().1.set_buffer_limit(Some(TLS_BUFFER));
    let way = Way {
        to: address,
        from: local,
        interface: uplink.map(|uplink| uplink.interface.clone()),
        tls: quiet(tls),
    };
    Ok(Connected {
        stream,
        address,
        uplink: uplink.cloned(),
        way,
        gauge,
    })
}

/// Looks the name up and connects; of several addresses of the name, `favourite` is tried first.
///
/// # Errors
/// Which step failed, and how.
pub async fn tcp(
    address: &str,
    uplink: Option<&Arc<Uplink>>,
    favourite: Option<SocketAddr>,
    timing: &Timing,
) -> Result<TcpStream, Trouble> {
    let found = timeout(timing.connect, tokio::net::lookup_host(address))
        .await
        .map_err(|_| Trouble::TimedOut("looking the name up"))?
        .map_err(|error| Trouble::NameLookup(error.to_string()))?;
    let mut addresses: Vec<SocketAddr> = found.collect();
    // The one that answered last; of the others, the order of the system.
    addresses.sort_by_key(|address| Some(*address) != favourite);
    addresses.truncate(MOST_ADDRESSES);
    let each = u32::try_from(addresses.len().max(1)).unwrap_or(1);
    let each = (timing.connect / each).max(LEAST_EACH.min(timing.connect));
    let mut trouble = Trouble::NameLookup("the name has no address".into());
    for address in addresses {
        match timeout(each, one(address, uplink)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => trouble = Trouble::of_connect(&error),
            Err(_) => trouble = Trouble::TimedOut("connecting"),
        }
    }
    Err(match (trouble, uplink) {
        (Trouble::NoNetwork(why), Some(uplink)) => Trouble::NoNetwork(format!(
            "over {} ({}): {why}",
            uplink.name, uplink.interface
        )),
        (trouble, _) => trouble,
    })
}

async fn one(address: SocketAddr, uplink: Option<&Arc<Uplink>>) -> io::Result<TcpStream> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    if let Some(uplink) = uplink {
        // Allowed to everybody since Linux 5.7, as long as the socket is not bound yet. The kernel then takes only
        // routes over that interface, whatever their metric.
        let interface = uplink.interface.as_bytes();
        socket.bind_device(Some(interface)).map_err(|error| {
            // No such interface: a modem that is not plugged in, mostly.
            io::Error::new(io::ErrorKind::NetworkDown, error.to_string())
        })?;
    }
    socket.connect(address).await
}

/// The host of `host:port`.
///
/// # Errors
/// [`Trouble::Address`] for anything else.
pub fn host(address: &str) -> Result<&str, Trouble> {
    let wrong = || Trouble::Address(address.to_owned());
    let (host, port) = address.rsplit_once(':').ok_or_else(wrong)?;
    port.parse::<u16>().map_err(|_| wrong())?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    if host.is_empty() {
        Err(wrong())
    } else {
        Ok(host)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_host_and_port() {
        assert_eq!(host("tak.example:9001"), Ok("tak.example"));
        assert_eq!(host("[::1]:9001"), Ok("::1"));
        for wrong in [
            "tak.example",
            ":9001",
            "tak.example:x",
            "tak.example:99999",
            "",
        ] {
            assert_eq!(host(wrong), Err(Trouble::Address(wrong.into())));
        }
    }

    #[tokio::test]
    async fn a_connection_keeps_to_its_interface() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let over = |interface: &str| {
            Arc::new(Uplink {
                name: "wan".into(),
                interface: interface.into(),
                priority: 0,
                rate: None,
                keepalive_seconds: None,
                hold_seconds: 30,
                metered: false,
            })
        };
        assert!(one(address, Some(&over("lo"))).await.is_ok());
        let missing = one(address, Some(&over("no-such-if"))).await.unwrap_err();
        let trouble = Trouble::of_connect(&missing);
        assert!(matches!(trouble, Trouble::NoNetwork(_)), "{trouble:?}");
    }
}

//! From a configured address to a TLS stream that speaks HTTP/2.

use std::net::SocketAddr;
use std::sync::Arc;

use rustls::ClientConfig;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::link::handshake::Failure;
use crate::link::narrow::narrow;
use crate::link::socket;
use crate::link::tls::{FEDERATION_ALPN, server_name};

use super::last_words::LastWords;
use super::node::{PeerSettings, Timing};
use super::trouble::Trouble;

/// What rustls may hold of what we write while the socket is full, bytes; HTTP/2 has its own bound before that.
pub const TLS_BUFFER: usize = 16 * 1024;

/// Addresses of one name that are tried.
const MOST_ADDRESSES: usize = 4;

/// A connection that is up, before HTTP/2.
#[derive(Debug)]
pub struct Connected {
    /// The stream.
    pub stream: TlsStream<LastWords<TcpStream>>,
    /// Where it leads.
    pub address: SocketAddr,
}

/// Looks the name up, connects, and does the TLS handshake. Dropping the future gives up at once.
///
/// # Errors
/// Which step failed, and how.
pub async fn connect(
    peer: &PeerSettings,
    address: &str,
    tls: &Arc<ClientConfig>,
    timing: &Timing,
) -> Result<Connected, Trouble> {
    let host = host(address)?;
    let stream = timeout(timing.connect, tcp(address))
        .await
        .unwrap_or(Err(Trouble::TimedOut("connecting")))?;
    let prepared = socket::prepare(&stream, peer.keepalive_seconds);
    if let Err(error) = prepared.and_then(|()| narrow(&stream, peer.rate)) {
        tracing::warn!(peer = peer.name, %error, "TCP options refused by the system");
    }
    let address = stream
        .peer_addr()
        .map_err(|error| Trouble::Tcp(error.to_string()))?;
    let stream = LastWords::new(stream);
    let handshake = TlsConnector::from(Arc::clone(tls)).connect(server_name(host), stream);
    let mut stream = timeout(timing.handshake, handshake)
        .await
        .map_err(|_| Trouble::Handshake(Failure::TimedOut))?
        .map_err(|error| Trouble::of_handshake(&error))?;
    if stream.get_ref().1.alpn_protocol() != Some(FEDERATION_ALPN) {
        return Err(Trouble::NoHttp2);
    }
    stream.get_mut().1.set_buffer_limit(Some(TLS_BUFFER));
    Ok(Connected { stream, address })
}

async fn tcp(address: &str) -> Result<TcpStream, Trouble> {
    let addresses = tokio::net::lookup_host(address)
        .await
        .map_err(|error| Trouble::NameLookup(error.to_string()))?;
    let mut trouble = Trouble::NameLookup("the name has no address".into());
    for address in addresses.take(MOST_ADDRESSES) {
        match TcpStream::connect(address).await {
            Ok(stream) => return Ok(stream),
            Err(error) => trouble = Trouble::of_connect(&error),
        }
    }
    Err(trouble)
}

fn host(address: &str) -> Result<&str, Trouble> {
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
}

//! The joiner's connection to the HTTPS API of the box that made a code: TLS to whoever answers there, and two requests.
//!
//! Blocking, on a thread of its own, with one deadline for everything. Who answers cannot be judged yet, so nobody is
//! refused; but it must prove that it holds the key of the certificate it shows ([`super::tls::pairing_client`]), for that
//! certificate is what SPAKE2 binds the exchange to. We show ours, and prove the same.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use rustls::{ClientConfig, ClientConnection, StreamOwned};
use tokio::time::Instant;

use super::handshake::Failure;
use super::tls::server_name;
use crate::pki::Fingerprint;

/// For everything: name, connection, handshake, both requests.
const WITHIN: Duration = Duration::from_secs(20);
/// Of that, for one address of the name.
const ONE_ADDRESS: Duration = Duration::from_secs(6);
/// Addresses of one name that are tried.
const MOST_ADDRESSES: usize = 3;
/// Longest answer, bytes.
const MOST_ANSWER: usize = 16 * 1024;
/// Longest head of it, bytes.
const MOST_HEAD: usize = 4 * 1024;

/// Why the other box could not be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LineFault {
    /// The name leads nowhere; what the system says.
    Name(String),
    /// Nobody answers; what the system says.
    Unreachable(String),
    /// TLS came to nothing.
    Tls(Failure),
    /// It took too long.
    TimedOut,
    /// What came back is no answer of a box.
    Garbled,
}

impl fmt::Display for LineFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(cause) => write!(f, "the name leads nowhere: {cause}"),
            Self::Unreachable(cause) => write!(
                f,
                "cannot be reached: {cause}; is it on, and is listen.api on there (port 8443)?"
            ),
            Self::Tls(failure) => write!(f, "no TLS: {failure}"),
            Self::TimedOut => write!(f, "no answer within {} s", WITHIN.as_secs()),
            Self::Garbled => f.write_str(
                "what answers there is no box of this kind; give the port of its HTTPS API",
            ),
        }
    }
}

impl std::error::Error for LineFault {}

/// A connection to the other box.
pub struct Line {
    stream: StreamOwned<ClientConnection, Timed>,
    host: String,
    certificate: Fingerprint,
}

impl Line {
    /// Connects, and does the handshake.
    ///
    /// # Errors
    /// Which step failed, and how.
    pub fn open(tls: Arc<ClientConfig>, host: &str, port: u16) -> Result<Self, LineFault> {
        let until = Instant::now() + WITHIN;
        let failed = |error: &io::Error| match error.kind() {
            io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => LineFault::TimedOut,
            _ => LineFault::Tls(Failure::of(error)),
        };
        let mut tls = ClientConnection::new(tls, server_name(host))
            .map_err(|error| LineFault::Tls(Failure::Other(error.to_string())))?;
        let mut timed = Timed {
            stream: connect(host, port)?,
            until,
        };
        while tls.is_handshaking() {
            tls.complete_io(&mut timed)
                .map_err(|error| failed(&error))?;
        }
        let leaf = tls.peer_certificates().and_then(|chain| chain.first());
        let certificate = leaf.map(|leaf| Fingerprint::of(leaf));
        Ok(Self {
            certificate: certificate.ok_or(LineFault::Garbled)?,
            stream: StreamOwned::new(tls, timed),
            host: host.to_owned(),
        })
    }

    /// SHA-256 of the certificate that the other side showed.
    pub fn certificate(&self) -> Fingerprint {
        self.certificate
    }

    /// Asks, and gives status and body of the answer.
    ///
    /// # Errors
    /// When there is none.
    pub fn post(&mut self, path: &str, body: &str) -> Result<(u16, Vec<u8>), LineFault> {
        let host = match self.host.contains(':') {
            true => format!("[{}]", self.host),
            false => self.host.clone(),
        };
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let failed = |error: io::Error| match error.kind() {
            io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => LineFault::TimedOut,
            _ => LineFault::Unreachable(error.to_string()),
        };
        let sent = self.stream.write_all(request.as_bytes());
        sent.and_then(|()| self.stream.flush()).map_err(failed)?;
        let mut answer = Vec::new();
        loop {
            if let Some(Answer { status, body }) = Answer::read(&answer)? {
                return Ok((status, body.to_vec()));
            }
            let mut piece = [0; 2048];
            match self.stream.read(&mut piece).map_err(failed)? {
                0 => return Err(LineFault::Garbled),
                count => answer.extend_from_slice(&piece[..count]),
            }
        }
    }
}

fn connect(host: &str, port: u16) -> Result<TcpStream, LineFault> {
    let found = (host, port).to_socket_addrs();
    let found = found.map_err(|error| LineFault::Name(error.to_string()))?;
    let mut last = LineFault::Name("it has no address".to_owned());
    for address in found.take(MOST_ADDRESSES) {
        match TcpStream::connect_timeout(&address, ONE_ADDRESS) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = LineFault::Unreachable(error.to_string()),
        }
    }
    Err(last)
}

/// An answer of HTTP/1.1 that has come whole.
#[derive(Debug, PartialEq, Eq)]
struct Answer<'a> {
    status: u16,
    body: &'a [u8],
}

impl<'a> Answer<'a> {
    /// Reads one from its beginning; none as long as it has not come whole.
    fn read(bytes: &'a [u8]) -> Result<Option<Self>, LineFault> {
        if bytes.len() > MOST_ANSWER {
            return Err(LineFault::Garbled);
        }
        let Some(end) = memchr::memmem::find(bytes, b"\r\n\r\n") else {
            return match bytes.len() > MOST_HEAD {
                true => Err(LineFault::Garbled),
                false => Ok(None),
            };
        };
        let head = std::str::from_utf8(&bytes[..end]).map_err(|_| LineFault::Garbled)?;
        let mut lines = head.split("\r\n");
        let first = lines.next().unwrap_or_default();
        let status = first
            .strip_prefix("HTTP/1.1 ")
            .and_then(|rest| rest.get(..3));
        let status = status.and_then(|status| status.parse().ok());
        let length = lines.filter_map(|line| line.split_once(':'));
        let mut length = length.filter(|(name, _)| name.eq_ignore_ascii_case("content-length"));
        let length = length
            .next()
            .and_then(|(_, value)| value.trim().parse::<usize>().ok());
        let (Some(status), Some(length)) = (status, length) else {
            return Err(LineFault::Garbled);
        };
        if length > MOST_ANSWER {
            return Err(LineFault::Garbled);
        }
        let body = bytes[end + 4..].get(..length);
        Ok(body.map(|body| Self { status, body }))
    }
}

/// A socket on which everything ends at one moment, however slowly bytes drip in.
#[derive(Debug)]
struct Timed {
    stream: TcpStream,
    until: Instant,
}

impl Timed {
    fn left(&self) -> io::Result<Duration> {
        let left = self.until.saturating_duration_since(Instant::now());
        match left.is_zero() {
            true => Err(io::ErrorKind::TimedOut.into()),
            false => Ok(left),
        }
    }
}

impl Read for Timed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(Some(self.left()?))?;
        self.stream.read(buffer)
    }
}

impl Write for Timed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(Some(self.left()?))?;
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::tls::{Credentials, pairing_client};
    use crate::pki::testing;
    use proptest::prelude::*;

    fn tls() -> Arc<ClientConfig> {
        let identity = testing::Authority::new("x").issue(testing::Leaf::good("x"));
        pairing_client(&Credentials::new(&identity).unwrap()).unwrap()
    }

    #[test]
    fn an_answer_is_read_when_it_is_whole() {
        let text = b"HTTP/1.1 403 Forbidden\r\ncontent-type: x\r\nContent-Length: 5\r\n\r\nhello";
        for length in 0..text.len() {
            assert_eq!(Answer::read(&text[..length]), Ok(None), "{length}");
        }
        let whole = Answer {
            status: 403,
            body: b"hello",
        };
        assert_eq!(Answer::read(text), Ok(Some(whole)));
        for bad in [
            &b"HTTP/1.1 200 OK\r\n\r\n"[..],
            b"HTTP/1.1 200 OK\r\ncontent-length: 99999\r\n\r\n",
            b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
            b"SSH-2.0\r\n\r\n",
            b"HTTP/1.1 \r\ncontent-length: 1\r\n\r\n",
            &[b'x'; MOST_HEAD + 1],
        ] {
            assert_eq!(Answer::read(bad), Err(LineFault::Garbled));
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>, head in "HTTP/1.1 [ -~\r\n]{0,80}\r\n\r\n[ -~]{0,20}") {
            let _ = Answer::read(&bytes);
            let _ = Answer::read(head.as_bytes());
        }
    }

    #[test]
    fn what_is_no_box_is_told_in_words() {
        assert!(matches!(
            Line::open(tls(), "127.0.0.1", 1),
            Err(LineFault::Unreachable(_))
        ));
        assert!(matches!(
            Line::open(tls(), "no such name", 1),
            Err(LineFault::Name(_))
        ));
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let answering = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.write_all(b"220 mail.example.org ESMTP\r\n");
        });
        assert!(matches!(
            Line::open(tls(), "127.0.0.1", port),
            Err(LineFault::Tls(_))
        ));
        answering.join().unwrap();
    }
}

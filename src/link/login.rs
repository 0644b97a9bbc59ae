//! Logs in at a TAK server as an ordinary client, to see with its eyes what comes out there.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::handshake::Failure;
use super::tls::server_name;
use crate::wire::scan::{Found, Scanner};

/// For connecting, and again for the handshake.
const PATIENCE: Duration = Duration::from_secs(10);
/// Longest event that is looked at, bytes.
const LONGEST: usize = 1024 * 1024;

/// Why there is no login, or it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LoginError {
    /// No TCP connection; what the system says.
    Tcp(String),
    /// The TLS handshake failed, or the server hung up because of our certificate.
    Tls(Failure),
    /// The server ended the connection.
    Closed,
}

impl fmt::Display for LoginError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(why) => write!(f, "no TCP connection to the client port: {why}; see `probe.address`"),
            Self::Tls(failure) => write!(f, "the client port refused the login: {failure}"),
            Self::Closed => f.write_str(
                "the server closed the connection: the client certificate of `probe` may be revoked or without groups there",
            ),
        }
    }
}

impl std::error::Error for LoginError {}

/// A client's connection.
pub struct Login {
    stream: TlsStream<TcpStream>,
    scanner: Scanner,
    buffer: Vec<u8>,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login").finish_non_exhaustive()
    }
}

impl Login {
    /// Connects to `host:port`.
    ///
    /// # Errors
    /// What went wrong.
    pub async fn open(address: &str, tls: Arc<ClientConfig>) -> Result<Self, LoginError> {
        let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let stream = timeout(PATIENCE, TcpStream::connect(address))
            .await
            .map_err(|_| LoginError::Tcp("timed out".into()))?
            .map_err(|error| LoginError::Tcp(error.to_string()))?;
        // A login of small messages must not wait for more of them.
        let _ = stream.set_nodelay(true);
        let stream = timeout(
            PATIENCE,
            TlsConnector::from(tls).connect(server_name(host), stream),
        )
        .await
        .map_err(|_| LoginError::Tls(Failure::TimedOut))?
        .map_err(|error| LoginError::Tls(Failure::of(&error)))?;
        Ok(Self {
            stream,
            scanner: Scanner::new(LONGEST),
            buffer: Vec::new(),
        })
    }

    /// Sends an event.
    ///
    /// # Errors
    /// If the connection is gone.
    pub async fn send(&mut self, event: &[u8]) -> Result<(), LoginError> {
        let sent = async {
            self.stream.write_all(event).await?;
            self.stream.flush().await
        };
        sent.await
            .map_err(|error| LoginError::Tls(Failure::of(&error)))
    }

    /// Waits for an event that fits; `false` when none came within that time.
    ///
    /// # Errors
    /// If the connection is gone.
    pub async fn wait(
        &mut self,
        most: Duration,
        fits: impl Fn(&[u8]) -> bool,
    ) -> Result<bool, LoginError> {
        let deadline = Instant::now() + most;
        loop {
            while let Found::Piece { start, end } = self.scanner.next(&self.buffer) {
                let found = fits(&self.buffer[start..end]);
                self.buffer.drain(..end);
                if found {
                    return Ok(true);
                }
            }
            if self.buffer.len() > LONGEST {
                self.buffer.clear();
                self.scanner = Scanner::new(LONGEST);
            }
            match timeout_at(deadline, self.stream.read_buf(&mut self.buffer)).await {
                Err(_) => return Ok(false),
                Ok(Ok(0)) => return Err(LoginError::Closed),
                Ok(Ok(_)) => {}
                Ok(Err(error)) => return Err(LoginError::Tls(Failure::of(&error))),
            }
        }
    }
}

//! Somebody between two boxes who ends the TLS of the one and speaks TLS of its own to the other.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustls::{ClientConnection, ServerConfig, ServerConnection, StreamOwned};
use rustls_pki_types::ServerName;

use super::certificates::{Authority, Leaf};
use super::{PATIENCE, client_config};

/// How long one direction waits before the other gets its turn.
const TURN: Duration = Duration::from_millis(5);

/// It, on a port of loopback. It passes on every word, and remembers it.
#[derive(Debug)]
pub struct Middle {
    address: SocketAddr,
    heard: Arc<Mutex<Vec<u8>>>,
}

impl Middle {
    /// Before that address.
    pub fn before(target: SocketAddr) -> Self {
        Self::start(target, false)
    }

    /// The same, and what comes back as a refusal it turns into an answer that looks like success.
    pub fn lying(target: SocketAddr) -> Self {
        Self::start(target, true)
    }

    fn start(target: SocketAddr, lies: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("its port");
        let heard = Arc::<Mutex<Vec<u8>>>::default();
        let theirs = Arc::downgrade(&heard);
        let leaf = Authority::new("middle-ca").issue("middle");
        std::thread::spawn(move || {
            for near in listener.incoming().map_while(Result::ok) {
                let Some(heard) = theirs.upgrade() else {
                    return;
                };
                // A connection that breaks is over; the test sees it at the boxes.
                let _ = pass_on(near, target, &leaf, &heard, lies);
            }
        });
        Self { address, heard }
    }

    /// Where to connect.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Everything that went by, without TLS.
    pub fn overheard(&self) -> String {
        String::from_utf8_lossy(&self.heard.lock().expect("no panic")).into_owned()
    }
}

fn pass_on(
    near: TcpStream,
    target: SocketAddr,
    leaf: &Leaf,
    heard: &Mutex<Vec<u8>>,
    lies: bool,
) -> std::io::Result<()> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let server = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("TLS versions")
        .with_no_client_auth()
        .with_single_cert(leaf.chain.clone(), leaf.key.clone_key())
        .expect("a certificate");
    let server = ServerConnection::new(Arc::new(server)).expect("a server");
    let mut client = client_config(leaf);
    client.alpn_protocols.clear();
    let name = ServerName::try_from("box").expect("a name");
    let client = ClientConnection::new(Arc::new(client), name).expect("a client");
    let far = TcpStream::connect(target)?;
    for socket in [&near, &far] {
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.set_nodelay(true)?;
    }
    let (mut near, mut far) = (
        StreamOwned::new(server, near),
        StreamOwned::new(client, far),
    );
    near.conn.complete_io(&mut near.sock)?;
    far.conn.complete_io(&mut far.sock)?;
    near.sock.set_read_timeout(Some(TURN))?;
    far.sock.set_read_timeout(Some(TURN))?;
    let deadline = Instant::now() + PATIENCE;
    let mut buffer = [0; 16 * 1024];
    while Instant::now() < deadline {
        let count = read(&mut near, &mut buffer)?;
        heard
            .lock()
            .expect("no panic")
            .extend_from_slice(&buffer[..count]);
        far.write_all(&buffer[..count])?;
        far.flush()?;
        let count = read(&mut far, &mut buffer)?;
        let answer = &buffer[..count];
        heard.lock().expect("no panic").extend_from_slice(answer);
        match lies && answer.starts_with(b"HTTP/1.1 403") {
            true => near.write_all(lie().as_bytes())?,
            false => near.write_all(answer)?,
        }
        near.flush()?;
    }
    Ok(())
}

fn lie() -> String {
    let body = format!(
        "{{\"confirmation\":\"{}\",\"introduction\":\"{}\"}}",
        "00".repeat(32),
        "00".repeat(300)
    );
    format!(
        "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// What is there now; the end of the connection is an error.
fn read(stream: &mut impl Read, buffer: &mut [u8]) -> std::io::Result<usize> {
    match stream.read(buffer) {
        Ok(0) => Err(ErrorKind::UnexpectedEof.into()),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => Ok(0),
        other => other,
    }
}

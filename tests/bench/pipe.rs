//! The yardstick: two processes that only copy bytes from one rustls connection to the next.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};

use super::support::{Authority, Leaf, peak_kib, tls_stream};

/// sender → near → far → receiver.
pub struct Pipe {
    /// Where the sender connects.
    pub near: SocketAddr,
    /// Where the receiver connects, before the sender.
    pub far: SocketAddr,
    /// What both prove themselves with.
    pub leaf: Leaf,
    relays: [Child; 2],
    _keys: tempfile::TempDir,
}

impl Pipe {
    /// Starts both relays and joins them.
    pub fn start() -> Self {
        let authority = Authority::new("pipe-ca");
        let keys = tempfile::tempdir().unwrap();
        authority.write(keys.path());
        let (far_process, far) = spawn(keys.path(), None);
        let (near_process, near) = spawn(keys.path(), Some(far));
        Self {
            near,
            far,
            leaf: authority.issue("client"),
            relays: [near_process, far_process],
            _keys: keys,
        }
    }

    /// Peak resident memory of both, KiB.
    pub fn peak_kib(&self) -> [u64; 2] {
        [0, 1].map(|index: usize| peak_kib(self.relays[index].id()))
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        for relay in &mut self.relays {
            let _ = relay.kill();
            let _ = relay.wait();
        }
    }
}

fn spawn(keys: &Path, next: Option<SocketAddr>) -> (Child, SocketAddr) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .arg("relay")
        .arg(keys)
        .args(next.map(|next| next.to_string()));
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    (child, line.trim().parse().unwrap())
}

/// The relay process: with a next address it passes on to it, without one to whoever connects second.
pub fn relay(arguments: &[String]) {
    let authority = Authority::of_folder(Path::new(&arguments[0]));
    let leaf = authority.issue("relay");
    let config = server_config(&leaf);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let next = arguments
        .get(1)
        .map(|next| tls_stream(next.parse().unwrap(), &leaf).unwrap());
    println!("{}", listener.local_addr().unwrap());
    let source = accept(&listener, &config);
    match next {
        Some(next) => copy(source, next),
        None => copy(source, accept(&listener, &config)),
    }
}

fn accept(
    listener: &TcpListener,
    config: &Arc<ServerConfig>,
) -> StreamOwned<ServerConnection, TcpStream> {
    let (socket, _) = listener.accept().unwrap();
    socket.set_nodelay(true).unwrap();
    let connection = ServerConnection::new(Arc::clone(config)).unwrap();
    let mut stream = StreamOwned::new(connection, socket);
    while stream.conn.is_handshaking() {
        stream.conn.complete_io(&mut stream.sock).unwrap();
    }
    stream
}

fn copy(mut source: impl Read, mut sink: impl Write) {
    let mut buffer = vec![0; 16 * 1024];
    // Either end going away is the end of the measurement.
    while let Ok(count @ 1..) = source.read(&mut buffer) {
        if sink
            .write_all(&buffer[..count])
            .and_then(|()| sink.flush())
            .is_err()
        {
            return;
        }
    }
}

fn server_config(leaf: &Leaf) -> Arc<ServerConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(leaf.chain[1].clone()).unwrap();
    let verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
            .build()
            .unwrap();
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier)
        .with_single_cert(leaf.chain.clone(), leaf.key.clone_key())
        .unwrap();
    Arc::new(config)
}

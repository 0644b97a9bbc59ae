//! A TAK client: sends events, collects what it is sent. Plain TCP, or mutual TLS.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme, StreamOwned};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use super::certificates::Leaf;
use super::cot::Event;
use super::{PATIENCE, eventually};

/// How long one read waits before the sending side gets its turn.
const TURN: Duration = Duration::from_millis(5);

#[derive(Debug, Default)]
struct Inbox {
    pending: Vec<u8>,
    events: Vec<Event>,
}

impl Inbox {
    fn take(&mut self, bytes: &[u8]) {
        self.pending.extend_from_slice(bytes);
        while let Some(end) = memchr::memmem::find(&self.pending, b"</event>") {
            let piece: Vec<u8> = self.pending.drain(..end + b"</event>".len()).collect();
            let start = memchr::memmem::find(&piece, b"<event").expect("an event that ends begins");
            let xml = String::from_utf8(piece[start..].to_vec()).expect("the box sends UTF-8");
            self.events.push(Event { xml });
        }
    }
}

/// A connected client.
#[derive(Debug)]
pub struct Device {
    inbox: Arc<Mutex<Inbox>>,
    outgoing: mpsc::Sender<Vec<u8>>,
    stop: Arc<AtomicBool>,
    worker: Option<JoinHandle<()>>,
    program: Option<Child>,
}

impl Device {
    /// Connects without TLS.
    pub fn plain(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("the box accepts clients");
        stream.set_read_timeout(Some(TURN)).expect("a timeout");
        stream.set_nodelay(true).expect("no delay");
        Self::over(stream)
    }

    /// Connects with TLS and the given certificate.
    pub fn tls(address: SocketAddr, leaf: &Leaf) -> Self {
        Self::over(tls_stream(address, leaf).expect("the box accepts the certificate"))
    }

    fn over(stream: impl Read + Write + Send + 'static) -> Self {
        let (outgoing, waiting) = mpsc::channel();
        let (inbox, stop) = (Arc::<Mutex<Inbox>>::default(), Arc::<AtomicBool>::default());
        let (their_inbox, their_stop) = (Arc::clone(&inbox), Arc::clone(&stop));
        let worker = std::thread::spawn(move || {
            carry(stream, &waiting, &their_inbox, &their_stop);
        });
        Self {
            inbox,
            outgoing,
            stop,
            worker: Some(worker),
            program: None,
        }
    }

    /// A client program of somebody else: events go into its standard input, and come out of its standard output.
    pub fn of_program(mut command: Command) -> Self {
        let mut program = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the program starts");
        let (outgoing, waiting) = mpsc::channel::<Vec<u8>>();
        let inbox = Arc::<Mutex<Inbox>>::default();
        let mut stdin = program.stdin.take().expect("a pipe");
        std::thread::spawn(move || {
            for bytes in waiting {
                let line = [bytes.as_slice(), b"\n"].concat();
                if stdin.write_all(&line).and_then(|()| stdin.flush()).is_err() {
                    return;
                }
            }
        });
        let mut stdout = program.stdout.take().expect("a pipe");
        let their_inbox = Arc::clone(&inbox);
        let worker = std::thread::spawn(move || {
            let mut buffer = vec![0; 64 * 1024];
            while let Ok(count @ 1..) = stdout.read(&mut buffer) {
                their_inbox.lock().expect("no panic").take(&buffer[..count]);
            }
        });
        Self {
            inbox,
            outgoing,
            stop: Arc::default(),
            worker: Some(worker),
            program: Some(program),
        }
    }

    /// Sends bytes as they are.
    pub fn send(&self, bytes: impl AsRef<[u8]>) {
        // A connection that the box closed is the scenario's to notice.
        let _ = self.outgoing.send(bytes.as_ref().to_vec());
    }

    /// Waits for the first event that fits, and gives it back. Events stay where they are.
    #[track_caller]
    pub fn expect(&self, what: &str, fits: impl Fn(&Event) -> bool) -> Event {
        eventually(what, || self.find(&fits))
    }

    /// Waits for the event with that uid.
    #[track_caller]
    pub fn expect_uid(&self, uid: &str) -> Event {
        self.expect(&format!("an event of {uid}"), |event| event.uid() == uid)
    }

    /// The first event so far that fits.
    pub fn find(&self, fits: impl Fn(&Event) -> bool) -> Option<Event> {
        let inbox = self.inbox.lock().expect("no panic");
        inbox.events.iter().find(|event| fits(event)).cloned()
    }

    /// Everything that came so far, in its order.
    pub fn events(&self) -> Vec<Event> {
        self.inbox.lock().expect("no panic").events.clone()
    }

    /// What came behind the first so many events.
    pub fn events_behind(&self, first: usize) -> Vec<Event> {
        let inbox = self.inbox.lock().expect("no panic");
        inbox.events.get(first..).unwrap_or_default().to_vec()
    }

    /// How many events with that uid came so far.
    pub fn count(&self, uid: &str) -> usize {
        let inbox = self.inbox.lock().expect("no panic");
        inbox
            .events
            .iter()
            .filter(|event| event.uid() == uid)
            .count()
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(mut program) = self.program.take() {
            let _ = program.kill();
            let _ = program.wait();
        }
        if let Some(worker) = self.worker.take() {
            let _ = worker.join();
        }
    }
}

fn carry(
    mut stream: impl Read + Write,
    waiting: &mpsc::Receiver<Vec<u8>>,
    inbox: &Mutex<Inbox>,
    stop: &AtomicBool,
) {
    let mut buffer = vec![0; 64 * 1024];
    while !stop.load(Ordering::Relaxed) {
        for bytes in waiting.try_iter() {
            if stream
                .write_all(&bytes)
                .and_then(|()| stream.flush())
                .is_err()
            {
                return;
            }
        }
        match stream.read(&mut buffer) {
            Ok(0) => return,
            Ok(count) => inbox.lock().expect("no panic").take(&buffer[..count]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
}

/// A connection that does only what it is told: for half events and for devices that never read.
#[derive(Debug)]
pub struct RawDevice(pub TcpStream);

impl RawDevice {
    /// Connects without TLS.
    pub fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("the box accepts clients");
        stream.set_nodelay(true).expect("no delay");
        Self(stream)
    }

    /// Sends bytes; false when the box has closed the connection.
    pub fn send(&mut self, bytes: &[u8]) -> bool {
        self.0.write_all(bytes).is_ok()
    }

    /// Waits until the box closes the connection; what it sent until then is thrown away.
    #[track_caller]
    pub fn expect_closed(&mut self, why: &str) {
        self.0.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        let mut buffer = [0; 4096];
        loop {
            match self.0.read(&mut buffer) {
                Ok(0) => return,
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return,
                Err(error) => panic!("the connection stays open: {why}: {error}"),
            }
        }
    }
}

/// A TLS connection with the given certificate. Any server is believed: who the box is, is not asked here.
pub fn tls_stream(
    address: SocketAddr,
    leaf: &Leaf,
) -> std::io::Result<StreamOwned<ClientConnection, TcpStream>> {
    let name = ServerName::try_from("box").expect("a name");
    let connection =
        ClientConnection::new(Arc::new(client_config(leaf)), name).expect("a TLS client");
    let socket = TcpStream::connect(address)?;
    socket.set_nodelay(true)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    let mut stream = StreamOwned::new(connection, socket);
    while stream.conn.is_handshaking() {
        stream.conn.complete_io(&mut stream.sock)?;
    }
    stream.sock.set_read_timeout(Some(TURN))?;
    Ok(stream)
}

/// A TLS client with the given certificate that believes any server.
pub fn client_config(leaf: &Leaf) -> ClientConfig {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .expect("TLS versions")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Believer(provider)))
        .with_client_auth_cert(leaf.chain.clone(), leaf.key.clone_key())
        .expect("a usable certificate")
}

#[derive(Debug)]
struct Believer(Arc<CryptoProvider>);

impl ServerCertVerifier for Believer {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let known = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, known)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let known = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

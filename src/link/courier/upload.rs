//! Federation v1: a package is asked for at the peer's HTTPS service and, where it is not known, uploaded (protocol
//! reference 3.1). The same certificates and the same judgement as on the federation link.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt::Write as _;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body::{Body as _, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::client::conn::http1::SendRequest;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::config::{Rate, Uplink};
use crate::cot::fileshare;
use crate::link::clerk::Clerk;
use crate::link::federate::connect::{host, tcp};
use crate::link::federate::node::Node;
use crate::link::federate::trickle::Trickle;
use crate::link::tls::server_name;
use crate::packages::{Details, Store};
use crate::wire::fig;

use super::lock;

/// Longest answer that is read, bytes.
const ANSWER: usize = 2048;
/// Bytes of the file at once.
const PIECE: usize = 8 * 1024;
/// A question must be answered within this.
const PATIENCE: Duration = Duration::from_secs(20);
/// A server that does not say "continue" is sent the file after this all the same.
const CONTINUE: Duration = Duration::from_secs(1);
/// Slowest upload that is waited for, bytes per second.
const SLOWEST: u64 = 1000;

/// Where one peer takes uploads.
#[derive(Debug, Clone)]
pub struct Destination {
    /// Our side of TLS; it judges the peer.
    pub tls: Arc<ClientConfig>,
    /// `host:port` of its federation address; none: it dials us.
    pub address: Option<String>,
    /// Port of its HTTPS service.
    pub port: u16,
    /// The uplink that is to be used, if one is named.
    pub uplink: Option<Arc<Uplink>>,
    /// What may be sent to it; uploads take half of it.
    pub rate: Option<Rate>,
}

/// Why an upload did not succeed.
#[derive(Debug)]
pub enum Trouble {
    /// It may, later.
    Again(String),
    /// The peer does not take it.
    Refused(String),
}

/// The peers that packages are uploaded to.
#[derive(Debug, Default)]
pub struct Uploads(Mutex<BTreeMap<String, Destination>>);

impl Uploads {
    /// Sets all of them, by name.
    pub fn set(&self, peers: BTreeMap<String, Destination>) {
        *lock(&self.0) = peers;
    }

    /// Packages go to that peer by upload.
    pub fn knows(&self, peer: &str) -> bool {
        lock(&self.0).contains_key(peer)
    }

    /// Sees to it that the peer has the package, and gives its address there. `known` is the address of its federation
    /// connection; `done` hears how many bytes are over.
    ///
    /// # Errors
    /// Why it has it not.
    pub async fn send(
        &self,
        peer: &str,
        known: Option<&str>,
        (store, clerk, details): (&Store, &Clerk, &Details),
        node: &Node,
        done: impl Fn(u64) + Send + 'static,
    ) -> Result<String, Trouble> {
        let again = |words: &str| Trouble::Again(words.to_owned());
        let to = lock(&self.0).get(peer).cloned();
        let to = to.ok_or_else(|| again("it is not configured any more"))?;
        let address = to.address.as_deref().or(known);
        let address = address.ok_or_else(|| again("its address is not known"))?;
        let host = host(address).map_err(|trouble| again(&trouble.to_string()))?;
        let service = Service {
            host: match host.contains(':') {
                true => format!("[{host}]"),
                false => host.to_owned(),
            },
            name: host.to_owned(),
            to,
        };
        let hash = details.hash;
        let mut connection = service.connect(node).await?;
        let question = format!("/Marti/sync/missionquery?hash={hash}");
        let asked = service
            .request(Method::GET, &question)
            .body(Upload::empty());
        match connection.ask(asked, PATIENCE).await? {
            (StatusCode::OK, url) => return address_of(&url),
            (status, _) if status.is_client_error() => {}
            (status, words) => return Err(Trouble::Again(format!("{status} {words}"))),
        }
        let mut connection = match connection.is_open() {
            true => connection,
            false => service.connect(node).await?,
        };
        let file = Multipart::new(store, clerk, details);
        let path = format!(
            "/Marti/sync/missionupload?hash={hash}&filename={}&creatorUid={}",
            encoded(&details.filename),
            encoded(&details.creator_uid)
        );
        let go = Arc::new(Notify::new());
        let (sender, parts) = mpsc::channel(1);
        let mut request = service
            .request(Method::POST, &path)
            .header(
                "content-type",
                format!("multipart/form-data; boundary={BOUNDARY}"),
            )
            .header("content-length", file.length())
            .header("expect", "100-continue")
            .body(Upload {
                parts: Some(parts),
                length: file.length(),
            })
            .map_err(|error| Trouble::Again(error.to_string()))?;
        let continued = Arc::clone(&go);
        hyper::ext::on_informational(&mut request, move |answer| {
            if answer.status() == StatusCode::CONTINUE {
                continued.notify_one();
            }
        });
        let rate = service
            .to
            .rate
            .and_then(|rate| Rate::of_bits(rate.bytes() * 4));
        let trickle = rate.map(|rate| (node.meters.connection(peer), rate));
        let feeding = tokio::spawn(async move {
            let _ = timeout(CONTINUE, go.notified()).await;
            file.feed(&sender, trickle, done).await;
        });
        let slowest = rate.map_or(SLOWEST, |rate| (rate.bytes() / 2).max(1));
        let within = Duration::from_secs(60 + details.size / slowest);
        let answered = connection.ask(Ok(request), within).await;
        feeding.abort();
        match answered? {
            (StatusCode::OK, url) => address_of(&url),
            // It has it already, or does not want it: asked once more, it says which.
            (StatusCode::FORBIDDEN, words) => {
                let mut connection = service.connect(node).await?;
                let asked = service
                    .request(Method::GET, &question)
                    .body(Upload::empty());
                match connection.ask(asked, PATIENCE).await? {
                    (StatusCode::OK, url) => address_of(&url),
                    _ => Err(Trouble::Refused(format!(
                        "{} {words}",
                        StatusCode::FORBIDDEN
                    ))),
                }
            }
            (status, words) if status.is_client_error() => {
                Err(Trouble::Refused(format!("{status} {words}")))
            }
            (status, words) => Err(Trouble::Again(format!("{status} {words}"))),
        }
    }
}

/// The request with another address in it.
pub(super) fn readdressed(message: &[u8], url: &str) -> Option<Vec<u8>> {
    let event = fig::parse(message, b"").ok()?.event?;
    let edit = fileshare::moved(event.other, url, None)?;
    Some([message, &edit].concat())
}

/// An address as the peer gives it.
fn address_of(text: &str) -> Result<String, Trouble> {
    let url = text.trim();
    let good = (url.starts_with("https://") || url.starts_with("http://"))
        && url.len() <= 512
        && !url.contains(|letter: char| letter.is_control() || letter == ' ');
    match good {
        true => Ok(url.to_owned()),
        false => Err(Trouble::Again("its answer is no address".to_owned())),
    }
}

struct Service {
    to: Destination,
    /// As it stands in an address.
    host: String,
    name: String,
}

impl Service {
    fn request(&self, method: Method, path: &str) -> http::request::Builder {
        Request::builder()
            .method(method)
            .uri(path)
            .header("host", format!("{}:{}", self.host, self.to.port))
            .header("user-agent", "tombolo")
    }

    async fn connect(&self, node: &Node) -> Result<Connection, Trouble> {
        let failed = |words: String| Trouble::Again(words);
        let address = format!("{}:{}", self.host, self.to.port);
        let stream = tcp(&address, self.to.uplink.as_ref(), None, &node.timing)
            .await
            .map_err(|trouble| failed(format!("{address}: {trouble}")))?;
        let tls = TlsConnector::from(Arc::clone(&self.to.tls));
        let handshake = tls.connect(server_name(&self.name), stream);
        let stream = timeout(node.timing.handshake, handshake)
            .await
            .map_err(|_| failed(format!("{address}: no TLS handshake in time")))?
            .map_err(|error| failed(format!("{address}: {error}")))?;
        let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| failed(error.to_string()))?;
        let task = tokio::spawn(async move {
            // What went wrong is heard by whoever asked.
            let _ = connection.await;
        });
        Ok(Connection { sender, task })
    }
}

/// An HTTP/1.1 connection; it ends when this is dropped.
struct Connection {
    sender: SendRequest<Upload>,
    task: JoinHandle<()>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Connection {
    fn is_open(&self) -> bool {
        !self.sender.is_closed() && self.sender.is_ready()
    }

    async fn ask(
        &mut self,
        request: Result<Request<Upload>, http::Error>,
        within: Duration,
    ) -> Result<(StatusCode, String), Trouble> {
        let request = request.map_err(|error| Trouble::Again(error.to_string()))?;
        let answered = async {
            let answer = self.sender.send_request(request).await?;
            let (status, body) = (answer.status(), answer.into_body());
            Ok::<_, hyper::Error>((status, text(body).await?))
        };
        timeout(within, answered)
            .await
            .map_err(|_| Trouble::Again("no answer in time".to_owned()))?
            .map_err(|error| Trouble::Again(error.to_string()))
    }
}

/// The beginning of an answer, in one line.
async fn text(mut body: Incoming) -> Result<String, hyper::Error> {
    let mut bytes = Vec::new();
    while let Some(frame) = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
        if let Ok(data) = frame?.into_data() {
            let room = ANSWER - bytes.len();
            bytes.extend_from_slice(&data[..data.len().min(room)]);
        }
        if bytes.len() == ANSWER {
            break;
        }
    }
    let text = String::from_utf8_lossy(&bytes);
    Ok(text.split_whitespace().collect::<Vec<_>>().join(" "))
}

const BOUNDARY: &str = "tombolo-7d6e1c5a90b34f28";

/// One file as a form.
struct Multipart {
    store: Store,
    clerk: Clerk,
    details: Details,
    head: String,
    tail: String,
}

impl Multipart {
    fn new(store: &Store, clerk: &Clerk, details: &Details) -> Self {
        let safe = |letter: char| match letter {
            '"' | '\\' => '_',
            letter => letter,
        };
        let filename: String = details.filename.chars().map(safe).collect();
        Self {
            store: store.clone(),
            clerk: clerk.clone(),
            head: format!(
                "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"assetfile\"; \
                 filename=\"{filename}\"\r\nContent-Type: application/zip\r\n\r\n"
            ),
            tail: format!("\r\n--{BOUNDARY}--\r\n"),
            details: details.clone(),
        }
    }

    fn length(&self) -> u64 {
        (self.head.len() + self.tail.len()) as u64 + self.details.size
    }

    /// Hands all of it over, as fast as it is taken; stops early when nobody takes it any more.
    async fn feed(
        self,
        parts: &mpsc::Sender<Bytes>,
        paced: Option<(crate::link::meter::Meter, Rate)>,
        done: impl Fn(u64) + Send,
    ) {
        let (store, clerk, hash) = (self.store, self.clerk, self.details.hash);
        let opened = clerk.run(move || store.read(&hash).ok()).await;
        let Some(reading) = opened.ok().flatten().map(Arc::new) else {
            return;
        };
        let trickle = (paced.as_ref()).map(|(meter, rate)| Trickle::new(*rate, meter.clone()));
        if parts.send(self.head.into()).await.is_err() {
            return;
        }
        let mut offset = 0;
        while offset < self.details.size {
            let mut length = PIECE;
            if let Some(trickle) = &trickle {
                length = length.min(trickle.piece());
                trickle.turn(length, Duration::from_secs(600)).await;
            }
            let reading = Arc::clone(&reading);
            let read = clerk.run(move || {
                let mut piece = vec![0; length];
                let got = reading.read_at(offset, &mut piece)?;
                piece.truncate(got);
                Ok::<_, std::io::Error>(piece)
            });
            let Some(piece) = read
                .await
                .ok()
                .and_then(Result::ok)
                .filter(|piece| !piece.is_empty())
            else {
                return;
            };
            if let Some((meter, _)) = &paced {
                meter.wrote(piece.len());
            }
            offset += piece.len() as u64;
            if parts.send(piece.into()).await.is_err() {
                return;
            }
            done(offset);
        }
        let _ = parts.send(self.tail.into()).await;
    }
}

/// A request's body.
struct Upload {
    parts: Option<mpsc::Receiver<Bytes>>,
    length: u64,
}

impl Upload {
    fn empty() -> Self {
        Self {
            parts: None,
            length: 0,
        }
    }
}

impl http_body::Body for Upload {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match &mut self.parts {
            None => Poll::Ready(None),
            Some(parts) => parts
                .poll_recv(context)
                .map(|part| part.map(|part| Ok(Frame::data(part)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.parts.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.length)
    }
}

/// For a query string.
fn encoded(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                out.push(char::from(byte))
            }
            _ => {
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_addresses_are_made_safe() {
        assert_eq!(encoded("a b&ü.zip"), "a%20b%26%C3%BC.zip");
        assert_eq!(
            address_of(" https://x:8444/a?hash=1\n").unwrap(),
            "https://x:8444/a?hash=1"
        );
        for bad in ["", "ftp://x", "https://a b", "File not found"] {
            assert!(address_of(bad).is_err(), "{bad}");
        }
    }
}

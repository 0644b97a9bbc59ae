//! A registered federate whose gRPC frames are not what they say: counted, its connection closed, memory flat.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsConnector;

use crate::support::{
    Authority, Device, Leaf, PATIENCE, Registration, Setup, client_config, eventually, track,
};

/// `Subscription { identity { name: "raw" }, version { major: 5 } }`, framed.
const SUBSCRIPTION: &[u8] = b"\0\0\0\0\x0b\x0a\x05\x0a\x03raw\x1a\x02\x08\x05";

/// A request body: some bytes, then nothing more, with or without an end.
struct Bytewise {
    bytes: Option<Bytes>,
    ends: bool,
}

impl Body for Bytewise {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.bytes.take() {
            Some(bytes) => Poll::Ready(Some(Ok(Frame::data(bytes)))),
            None if self.ends => Poll::Ready(None),
            None => Poll::Pending,
        }
    }
}

/// Opens the event streams with these bytes on ours, and waits until the box ends the call or the connection.
async fn send(address: SocketAddr, leaf: &Leaf, bytes: Vec<u8>, ends: bool) {
    let mut config = client_config(leaf);
    config.alpn_protocols = vec![b"h2".to_vec()];
    let name = ServerName::try_from("box").expect("a name");
    let socket = TcpStream::connect(address)
        .await
        .expect("the box accepts federates");
    let stream = TlsConnector::from(Arc::new(config))
        .connect(name, socket)
        .await;
    let io = TokioIo::new(stream.expect("the box accepts the certificate"));
    let (mut requests, connection) = http2::handshake(TokioExecutor::new(), io)
        .await
        .expect("HTTP/2");
    let connection = tokio::spawn(connection);
    let mut call = |method: &str, bytes: Vec<u8>, ends: bool| {
        let request =
            http::Request::post(format!("https://box/com.atakmap.FederatedChannel/{method}"))
                .header("content-type", "application/grpc")
                .header("te", "trailers")
                .body(Bytewise {
                    bytes: Some(bytes.into()),
                    ends,
                });
        requests.send_request(request.expect("a request"))
    };
    // The answer's headers may take their time; only that the call is under way matters.
    let subscribed = tokio::spawn(call("ClientEventStream", SUBSCRIPTION.to_vec(), true));
    sleep(Duration::from_millis(200)).await;
    let lied = tokio::spawn(call("ServerEventStream", bytes, ends));
    sleep(Duration::from_millis(500)).await;
    drop((subscribed, lied, requests));
    // A connection that the box does not close ends with ours.
    let _ = timeout(PATIENCE, connection).await;
}

#[test]
fn each_lie_under_its_own_reason() {
    let authority = Authority::new("raw-ca");
    let leaf = authority.issue("raw");
    let alpha = Setup::new("alpha")
        .identity(&Authority::new("alpha-ca").issue("alpha"))
        .peer(Registration::of("raw", &leaf))
        .start();
    let [hawk, otter] = [(); 2].map(|()| Device::plain(alpha.clients_tcp()));
    alpha.wait_clients(2);
    let before = alpha.resident_kib();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let lies: [(&str, Vec<u8>, bool); 4] = [
        // Two gigabytes are announced, ten bytes come.
        ("oversize", b"\0\x7f\xff\xff\xff0123456789".to_vec(), false),
        // A hundred bytes are announced, ten come, and that was all.
        ("bad_framing", b"\0\0\0\0\x640123456789".to_vec(), true),
        // No such flag.
        ("bad_framing", b"\x07\0\0\0\x040123".to_vec(), false),
        // The frame is sound; the message in it announces more than it has.
        ("bad_message", b"\0\0\0\0\x03\x0a\x7f\x00".to_vec(), false),
    ];
    for (number, (reason, bytes, ends)) in (0..).zip(lies) {
        let counted = alpha.status().dropped_peer("raw", reason);
        runtime.block_on(send(alpha.federation(), &leaf, bytes, ends));
        eventually(&format!("lie {number} is counted as {reason}"), || {
            (alpha.status().dropped_peer("raw", reason) > counted).then_some(())
        });
        let name = format!("fence-{number}");
        hawk.send(track(&name, number));
        otter.expect_uid(&name);
    }
    let grown = alpha.resident_kib().saturating_sub(before);
    assert!(grown < 3 * 1024, "memory grew by {grown} KiB");
}

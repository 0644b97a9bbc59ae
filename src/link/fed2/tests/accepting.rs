//! A foreign client, driven by hand, against our acceptor.

use bytes::Bytes;
use http_body::Body;
use hyper::body::Incoming;
use hyper::client::conn::http2::SendRequest;
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::*;
use crate::counters::Reason;
use crate::link::grpc::body::{GrpcBody, Part};
use crate::link::grpc::call;
use crate::link::grpc::frame::framed;
use crate::link::grpc::status::{Code, Status};
use crate::wire::cold::{
    ClientHealth, ConnectionType, Empty, FederateGroups, FederateHops, FederatedEvent, GeoEvent,
    Health, Identity, ServerHealth, Subscription, TakServerVersion,
};

/// The foreign client's end of a connection.
pub(super) struct Foreign {
    sender: SendRequest<GrpcBody>,
    connection: tokio::task::JoinHandle<()>,
}

impl Foreign {
    pub(super) async fn connect(address: SocketAddr, pki: &Pki) -> Self {
        Self::try_connect(address, pki).await.expect("let in")
    }

    /// None: closed before HTTP/2 was up.
    pub(super) async fn try_connect(address: SocketAddr, pki: &Pki) -> Option<Self> {
        let stream = TcpStream::connect(address).await.unwrap();
        let name = "localhost".try_into().unwrap();
        let stream = TlsConnector::from(pki.client())
            .connect(name, stream)
            .await
            .unwrap();
        let (sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
                .await
                .ok()?;
        let connection = tokio::spawn(async move { drop(connection.await) });
        Some(Self { sender, connection })
    }

    async fn call(&mut self, method: &str, body: GrpcBody) -> Reply {
        self.call_path(&format!("/com.atakmap.FederatedChannel/{method}"), body)
            .await
    }

    pub(super) async fn call_path(&mut self, path: &str, body: GrpcBody) -> Reply {
        let request = call::request("localhost:1", path, body).unwrap();
        let answer = timeout(PATIENCE, self.sender.send_request(request))
            .await
            .unwrap()
            .unwrap();
        let (head, body) = answer.into_parts();
        assert_eq!(head.status, 200);
        assert_eq!(head.headers["content-type"], "application/grpc");
        assert!(!head.headers.contains_key("content-length"));
        assert_eq!(head.headers["tombolo-box"], "1");
        Reply {
            at_once: Status::read(&head.headers),
            body,
        }
    }

    pub(super) async fn ask(&mut self, method: &str, message: &impl Message) -> Reply {
        self.call(method, GrpcBody::request(framed(message))).await
    }

    /// A call whose request stays open.
    async fn stream(&mut self, method: &str) -> (mpsc::Sender<Part>, Reply) {
        let (sender, parts) = mpsc::channel(8);
        (
            sender,
            self.call(method, GrpcBody::request_channel(parts)).await,
        )
    }

    pub(super) async fn health(&mut self) -> (Health, Status) {
        let question = ClientHealth {
            status: Health::Serving.into(),
        };
        let mut reply = self.ask("HealthCheck", &question).await;
        let health: ServerHealth = reply.message().await;
        (health.status(), reply.end().await)
    }

    pub(super) async fn closed(self) {
        drop(self.sender);
        timeout(PATIENCE, self.connection).await.unwrap().unwrap();
    }
}

pub(super) struct Reply {
    at_once: Option<Status>,
    body: Incoming,
}

impl Reply {
    async fn frame(&mut self) -> Option<http_body::Frame<Bytes>> {
        let next =
            std::future::poll_fn(|context| std::pin::Pin::new(&mut self.body).poll_frame(context));
        timeout(PATIENCE, next)
            .await
            .expect("something comes in time")
            .map(Result::unwrap)
    }

    /// The one message of the next DATA frame.
    async fn message<M: Message + Default>(&mut self) -> M {
        let data = self.frame().await.unwrap().into_data().unwrap();
        assert_eq!(data[0], 0, "not compressed");
        assert_eq!(
            data[1..5],
            u32::try_from(data.len() - 5).unwrap().to_be_bytes()
        );
        M::decode(&data[5..]).unwrap()
    }

    /// Nothing but the status comes any more.
    pub(super) async fn end(&mut self) -> Status {
        if let Some(status) = self.at_once.take() {
            assert!(self.frame().await.is_none());
            return status;
        }
        let trailers = self.frame().await.unwrap().into_trailers().unwrap();
        Status::read(&trailers).unwrap()
    }

    /// Neither message nor trailers come for a while.
    async fn stays_open(&mut self) {
        let next =
            std::future::poll_fn(|context| std::pin::Pin::new(&mut self.body).poll_frame(context));
        assert!(timeout(WHILE, next).await.is_err());
    }
}

pub(super) fn subscription() -> Subscription {
    Subscription {
        identity: Some(Identity {
            name: "foreign".into(),
            uid: "c0ffee".into(),
            r#type: ConnectionType::FederationTakClient.into(),
            server_id: BRAVO.into(),
            ..Identity::default()
        }),
        filter: String::new(),
        version: Some(TakServerVersion {
            major: 5,
            ..TakServerVersion::default()
        }),
    }
}

async fn alpha(timing: Timing) -> (Arc<Node>, Acceptor, SocketAddr, Pki) {
    let pki = Pki::new("islands");
    let alpha = node("alpha", ALPHA, timing);
    let (acceptor, address) = acceptor(&alpha, &pki, "bravo").await;
    (alpha, acceptor, address, pki)
}

#[tokio::test]
async fn serving_is_said_at_once_and_exactly_once() {
    let (_alpha, _acceptor, address, pki) = alpha(quick()).await;
    let mut foreign = Foreign::connect(address, &pki).await;
    let mut groups = foreign
        .ask("ServerFederateGroupsStream", &subscription())
        .await;
    let first: FederateGroups = groups.message().await;
    assert_eq!(first.stream_update, Some(ServerHealth { status: 1 }));
    assert_eq!(
        first.federate_hops,
        Some(FederateHops {
            max_hops: -1,
            current_hops: 1
        })
    );
    assert_eq!(first.federate_provenance[0].federation_server_id, ALPHA);
    assert_eq!(first.federate_groups, ["__ANON__"]);
    let mut events = foreign.ask("ClientEventStream", &subscription()).await;
    let (_open, _reply) = foreign.stream("ServerEventStream").await;
    foreign.health().await;
    groups.stays_open().await;
    events.stays_open().await;
}

#[tokio::test]
async fn client_streams_are_answered_at_once_and_end_when_the_peer_ends_them() {
    let (alpha, _acceptor, address, pki) = alpha(quick()).await;
    let mut foreign = Foreign::connect(address, &pki).await;
    let _events = foreign.ask("ClientEventStream", &subscription()).await;
    let mut uids = std::collections::BTreeSet::new();
    for method in [
        "ServerEventStream",
        "ServerROLStream",
        "ClientFederateGroupsStream",
    ] {
        let (open, mut reply) = foreign.stream(method).await;
        let early: Subscription = reply.message().await;
        let identity = early.identity.unwrap();
        assert_eq!(identity.r#type(), ConnectionType::FederationTakServer);
        assert_eq!(
            (identity.name.as_str(), identity.server_id.as_str()),
            ("alpha", ALPHA)
        );
        assert_eq!(identity.uid.len(), 32);
        uids.insert(identity.uid);
        reply.stays_open().await;
        if method == "ClientFederateGroupsStream" {
            let groups = FederateGroups {
                federate_groups: vec!["Red".into(), "Blue".into()],
                ..FederateGroups::default()
            };
            open.send(Part::Data(framed(&groups))).await.unwrap();
            until("groups are noted", || {
                alpha.board.status("bravo").unwrap().groups == ["Red", "Blue"]
            })
            .await;
        }
        drop(open);
        assert_eq!(reply.end().await, Status::ok(), "{method}");
    }
    assert_eq!(uids.len(), 1, "one uid per connection");
}

#[tokio::test]
async fn health_follows_the_event_stream_and_always_ends() {
    let (alpha, _acceptor, address, pki) = alpha(quick()).await;
    let mut foreign = Foreign::connect(address, &pki).await;
    assert_eq!(foreign.health().await, (Health::NotConnected, Status::ok()));
    assert_eq!(state(&alpha, "bravo"), PeerState::Connecting);
    let events = foreign.ask("ClientEventStream", &subscription()).await;
    assert_eq!(
        state(&alpha, "bravo"),
        PeerState::Connecting,
        "not before a health check"
    );
    assert_eq!(foreign.health().await, (Health::Serving, Status::ok()));
    assert_eq!(state(&alpha, "bravo"), PeerState::Connected);
    assert_eq!(alpha.board.status("bravo").unwrap().federate_id, BRAVO);
    drop(events);
    for _ in 0..100 {
        if foreign.health().await.0 == Health::NotConnected {
            return;
        }
    }
    panic!("the event stream is gone, health must say so");
}

#[tokio::test]
async fn single_calls_are_answered() {
    let (_alpha, _acceptor, address, pki) = alpha(quick()).await;
    let mut foreign = Foreign::connect(address, &pki).await;
    let mut reply = foreign.ask("getIdentity", &Empty {}).await;
    let identity: Identity = reply.message().await;
    assert_eq!(
        (identity.name.as_str(), identity.server_id.as_str()),
        ("alpha", ALPHA)
    );
    assert_eq!(reply.end().await, Status::ok());
    for method in ["SendOneEvent", "SendOneBlob"] {
        let mut reply = foreign.ask(method, &FederatedEvent::default()).await;
        let _: Empty = reply.message().await;
        assert_eq!(reply.end().await, Status::ok(), "{method}");
    }
    for method in ["GetAuthTokenByX509", "Getx509Identity", "healthcheck", ""] {
        let mut reply = foreign.ask(method, &Empty {}).await;
        assert_eq!(reply.end().await.code, Code::Unimplemented, "{method}");
    }
    let mut reply = foreign
        .ask("ClientEventStream", &Subscription::default())
        .await;
    assert_eq!(reply.end().await.code, Code::InvalidArgument, "no name");
}

#[tokio::test]
async fn a_silent_peer_is_cut_off_with_an_error_status() {
    let timing = Timing {
        silence: Duration::from_millis(400),
        ..quick()
    };
    let (alpha, _acceptor, address, pki) = alpha(timing).await;
    let mut foreign = Foreign::connect(address, &pki).await;
    let mut events = foreign.ask("ClientEventStream", &subscription()).await;
    let mut groups = foreign
        .ask("ServerFederateGroupsStream", &subscription())
        .await;
    let _: FederateGroups = groups.message().await;
    assert_eq!(events.end().await.code, Code::DeadlineExceeded);
    assert_eq!(groups.end().await.code, Code::DeadlineExceeded);
    foreign.closed().await;
    until("its place is free", || !alpha.registry.is_live("bravo")).await;
    assert!(
        reason(&alpha, "bravo").contains("no health check"),
        "{}",
        reason(&alpha, "bravo")
    );
}

#[tokio::test]
async fn shutting_down_is_said_and_quick() {
    let (_alpha, acceptor, address, pki) = alpha(quick()).await;
    let mut foreign = Foreign::connect(address, &pki).await;
    let mut events = foreign.ask("ClientEventStream", &subscription()).await;
    let (_open, mut reply) = foreign.stream("ServerEventStream").await;
    let _: Subscription = reply.message().await;
    let begun = tokio::time::Instant::now();
    acceptor.shutdown().await;
    assert!(begun.elapsed() < Duration::from_secs(2));
    assert_eq!(
        events.end().await,
        Status::new(Code::Unavailable, "shutting down")
    );
    assert_eq!(
        reply.end().await,
        Status::new(Code::Unavailable, "shutting down")
    );
    foreign.closed().await;
}

#[tokio::test]
async fn frames_that_lie_close_the_connection() {
    for (bytes, code) in [
        (
            &[0, 0x7f, 0xff, 0xff, 0xff, 1, 2, 3][..],
            Code::ResourceExhausted,
        ),
        (&[1, 0, 0, 0, 1, 9][..], Code::Unimplemented),
        (&[9, 0, 0, 0, 1, 9][..], Code::Internal),
        (&[0, 0, 0, 0, 9, 1][..], Code::Internal),
    ] {
        let (alpha, _acceptor, address, pki) = alpha(quick()).await;
        let mut foreign = Foreign::connect(address, &pki).await;
        let mut events = foreign.ask("ClientEventStream", &subscription()).await;
        let (open, mut reply) = foreign.stream("ServerEventStream").await;
        let _: Subscription = reply.message().await;
        open.send(Part::Data(Bytes::from_static(bytes)))
            .await
            .unwrap();
        drop(open);
        assert_eq!(events.end().await.code, code, "{bytes:?}");
        foreign.closed().await;
        let expected = if code == Code::ResourceExhausted {
            Reason::Oversize
        } else {
            Reason::BadFraming
        };
        let counted = alpha.hub.with(|router, _| {
            router
                .peer_counters("bravo")
                .map(|counters| counters.dropped(expected))
        });
        assert_eq!(counted, Some(1), "{bytes:?}");
    }
}

#[tokio::test]
async fn half_an_event_and_then_silence_is_counted_and_closed() {
    let timing = Timing {
        half_event: Duration::from_millis(300),
        ..quick()
    };
    let (alpha, _acceptor, address, pki) = alpha(timing).await;
    let mut foreign = Foreign::connect(address, &pki).await;
    let mut events = foreign.ask("ClientEventStream", &subscription()).await;
    let (open, mut reply) = foreign.stream("ServerEventStream").await;
    let _: Subscription = reply.message().await;
    let mut half = vec![0, 0, 1, 0, 0];
    half.resize(40_000, 7);
    open.send(Part::Data(half.into())).await.unwrap();
    until("it takes a place for large events", || {
        alpha.large_events.available_permits() == 1
    })
    .await;
    assert_eq!(events.end().await.code, Code::DeadlineExceeded);
    foreign.closed().await;
    assert_eq!(alpha.large_events.available_permits(), 2);
    let counted = alpha.hub.with(|router, _| {
        router
            .peer_counters("bravo")
            .map(|counters| counters.dropped(Reason::HalfEvent))
    });
    assert_eq!(counted, Some(1));
}

#[tokio::test]
async fn large_events_pass_and_give_their_place_back() {
    let (alpha, _acceptor, address, pki) = alpha(quick()).await;
    let mut foreign = Foreign::connect(address, &pki).await;
    let _events = foreign.ask("ClientEventStream", &subscription()).await;
    let (open, _reply) = foreign.stream("ServerEventStream").await;
    let local = Local::of(&alpha);
    for number in 0..20 {
        let uid = format!("large-{number}");
        let message = large_event(&uid, 90_000);
        open.send(Part::Data(framed(&message))).await.unwrap();
        local.hears(&uid).await;
    }
    until("all places are free", || {
        alpha.large_events.available_permits() == 2
    })
    .await;
    let (beside, mut too_many) = foreign.stream("ServerEventStream").await;
    let _: Subscription = too_many.message().await;
    let (_third, mut too_many) = foreign.stream("ServerEventStream").await;
    assert_eq!(too_many.end().await.code, Code::ResourceExhausted);
    drop(beside);
}

fn large_event(uid: &str, size: usize) -> FederatedEvent {
    let now = SystemClock::new().now().wall_ms;
    FederatedEvent {
        event: Some(GeoEvent {
            send_time: now,
            start_time: now,
            stale_time: now + 60_000,
            lat: Some(1.0),
            lon: Some(2.0),
            hae: Some(3.0),
            ce: Some(4.0),
            le: Some(5.0),
            uid: uid.to_owned(),
            r#type: "a-f-G".into(),
            coord_source: "m-g".into(),
            other: format!("<detail><remarks>{}</remarks></detail>", "x".repeat(size)),
            ..GeoEvent::default()
        }),
        ..FederatedEvent::default()
    }
}

#[tokio::test]
async fn a_second_connection_is_refused_while_the_first_is_well() {
    let (alpha, _acceptor, address, pki) = alpha(quick()).await;
    let mut first = Foreign::connect(address, &pki).await;
    let mut events = first.ask("ClientEventStream", &subscription()).await;
    first.health().await;
    let mut second = Foreign::connect(address, &pki).await;
    let mut refused = second.ask("ClientEventStream", &subscription()).await;
    assert_eq!(refused.end().await.code, Code::AlreadyExists);
    second.closed().await;
    assert_eq!(first.health().await.0, Health::Serving);
    assert_eq!(state(&alpha, "bravo"), PeerState::Connected);
    events.stays_open().await;
}

#[tokio::test]
async fn a_second_connection_replaces_a_first_that_fell_silent() {
    let timing = Timing {
        fresh: Duration::from_millis(50),
        ..quick()
    };
    let (alpha, _acceptor, address, pki) = alpha(timing).await;
    let mut first = Foreign::connect(address, &pki).await;
    let mut old = first.ask("ClientEventStream", &subscription()).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    let mut second = Foreign::connect(address, &pki).await;
    let mut new = second.ask("ClientEventStream", &subscription()).await;
    assert_eq!(old.end().await.code, Code::Aborted);
    assert_eq!(second.health().await.0, Health::Serving);
    assert_eq!(state(&alpha, "bravo"), PeerState::Connected);
    new.stays_open().await;
}

#[tokio::test]
async fn a_peer_without_http2_is_named() {
    let (alpha, _acceptor, address, pki) = alpha(quick()).await;
    let mut config = Arc::unwrap_or_clone(pki.client());
    config.alpn_protocols.clear();
    let stream = TcpStream::connect(address).await.unwrap();
    let name = "localhost".try_into().unwrap();
    let mut stream = TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await
        .unwrap();
    let mut byte = [0];
    let read = tokio::io::AsyncReadExt::read(&mut stream, &mut byte);
    assert!(!matches!(timeout(PATIENCE, read).await.unwrap(), Ok(1)));
    assert_eq!(
        reason(&alpha, "bravo"),
        crate::link::handshake::Failure::Speaks(1).to_string()
    );
}

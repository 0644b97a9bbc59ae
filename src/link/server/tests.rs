//! A login against a server that does what it is told.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use super::*;
use crate::clock::SystemClock;
use crate::config::{Auth, Limits};
use crate::cot::flow_tag::own_uid;
use crate::link::hindrance::Hindrance;
use crate::pki::Moment;
use crate::pki::testing::{Authority, Leaf, at};
use crate::route::{Role, Router, Settings};

const PATIENCE: Duration = Duration::from_secs(60);
const ID: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const PONG: &[u8] = b"<event version=\"2.0\" uid=\"takPong\" type=\"t-x-c-t-r\" how=\"h-g-i-g-o\" \
    time=\"2026-01-01T00:00:00Z\" start=\"2026-01-01T00:00:00Z\" stale=\"2026-01-01T00:00:20Z\">\
    <point lat=\"0\" lon=\"0\" hae=\"0\" ce=\"9999999\" le=\"9999999\"/></event>";

struct Rig {
    node: Arc<ServerNode>,
    listener: TcpListener,
    _link: ServerLink,
}

impl Rig {
    async fn with(auth: Option<Auth>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let own = Authority::new("own CA").issue(Leaf::good("box"));
        let router = Router::new(Settings::of(&Limits::default(), ID.into(), 1));
        let node = Arc::new(ServerNode {
            hub: Hub::new(router, Arc::new(SystemClock::new())),
            board: PeerBoard::new(),
            routes: Routes::default(),
            intake: Intake {
                large_events: Arc::new(Semaphore::new(1)),
                max_event: 256 * 1024,
                half_event: Duration::from_secs(30),
            },
            own: Credentials::new(&own).unwrap(),
            moments: Arc::new(|| Moment::from(at(crate::pki::testing::NOW))),
            timing: Timing::default(),
            uid: own_uid(ID),
            name: "alpha".into(),
        });
        let server = Server {
            name: "x".into(),
            address: listener.local_addr().unwrap().to_string(),
            network: None,
            enabled: true,
            tls: None,
            auth,
            callsign: Some("GATE".into()),
            incoming: true,
            outgoing: true,
            keepalive_seconds: Some(1),
        };
        let _link = ServerLink::spawn(Arc::clone(&node), server, Network::LOCAL);
        Self {
            node,
            listener,
            _link,
        }
    }

    async fn accept(&self) -> TcpStream {
        let accepted = timeout(PATIENCE, self.listener.accept()).await;
        accepted.expect("it comes").unwrap().0
    }

    fn users(&self) -> usize {
        self.node
            .hub
            .with(|router, _| router.users_of(Role::Server, "x"))
    }

    async fn until(&self, what: &str, fits: impl Fn(&Self) -> bool) {
        let waits = async {
            while !fits(self) {
                sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(PATIENCE, waits).await.expect(what);
    }

    fn hindrance(&self) -> Option<Hindrance> {
        self.node.board.status("x")?.hindrance
    }
}

/// Reads until that was said; gives everything said so far.
async fn hear(stream: &mut TcpStream, words: &str) -> String {
    let mut said = String::new();
    let mut buffer = [0; 4096];
    while !said.contains(words) {
        let count = timeout(PATIENCE, stream.read(&mut buffer)).await;
        let count = count.expect(words).unwrap();
        assert_ne!(count, 0, "it hung up: {said}");
        said.push_str(&String::from_utf8_lossy(&buffer[..count]));
    }
    said
}

fn position(uid: &str) -> String {
    let now = SystemClock::new();
    let now = crate::clock::Clock::now(&now).wall_ms;
    Ourselves {
        uid: uid.into(),
        callsign: "SWAN".into(),
    }
    .presence(now)
}

#[tokio::test]
async fn it_says_its_account_who_it_is_and_pings_and_misses_the_answer() {
    let auth = Auth {
        username: "box".into(),
        password: "secret".into(),
    };
    let rig = Rig::with(Some(auth)).await;
    let mut server = rig.accept().await;
    let said = hear(&mut server, "t-x-c-t\"").await;
    assert!(
        said.starts_with("<auth><cot username=\"box\" password=\"secret\" uid=\"tombolo-"),
        "{said}"
    );
    assert!(
        said.contains("</auth><event") && said.contains("callsign=\"GATE\""),
        "{said}"
    );
    server.write_all(PONG).await.unwrap();
    rig.until("it is connected and proven", |rig| {
        let status = rig.node.board.status("x").unwrap_or_default();
        status.state == PeerState::Connected && status.proven.is_some()
    })
    .await;
    // It pings again, and nobody answers.
    hear(&mut server, "t-x-c-t\"").await;
    let mut again = rig.accept().await;
    assert_eq!(rig.hindrance(), Some(Hindrance::Health));
    hear(&mut again, "t-x-c-t\"").await;
}

#[tokio::test]
async fn a_break_of_a_moment_loses_nobody_and_a_long_one_everybody() {
    let rig = Rig::with(None).await;
    let mut server = rig.accept().await;
    hear(&mut server, "t-x-c-t\"").await;
    server.write_all(position("swan").as_bytes()).await.unwrap();
    rig.until("SWAN is known", |rig| rig.users() == 1).await;
    drop(server);
    let mut server = rig.accept().await;
    assert_eq!(rig.users(), 1, "it was a moment");
    hear(&mut server, "t-x-c-t\"").await;
    server.write_all(PONG).await.unwrap();
    rig.until("it is well again", |rig| rig.hindrance().is_none())
        .await;
    assert_eq!(rig.users(), 1);
    let Rig {
        node,
        listener,
        _link,
    } = rig;
    drop((server, listener));
    let users = || {
        node.hub
            .with(|router, _| router.users_of(Role::Server, "x"))
    };
    let gone = async {
        while users() > 0 {
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(PATIENCE, gone).await.expect("SWAN left");
}

#[tokio::test]
async fn a_server_that_offers_tak_protocol_v1_gets_it() {
    let rig = Rig::with(None).await;
    let mut server = rig.accept().await;
    hear(&mut server, "t-x-c-t\"").await;
    let now = rig.node.hub.now().wall_ms;
    let offer = crate::cot::tak::negotiation::offer("offer-1", now);
    server.write_all(&offer).await.unwrap();
    let asked = hear(&mut server, "</event>").await;
    assert!(
        asked.contains("t-x-takp-q") && asked.contains("uid=\"offer-1\""),
        "{asked}"
    );
    // Between question and answer it says nothing, whatever happens; then everything, in the new form.
    let from_us = rig.node.hub.attach(crate::route::LinkSpec::Client {
        address: "test".into(),
        network: Network::LOCAL,
    });
    from_us.receive_xml(position("hawk").as_bytes());
    let mut buffer = [0; 4096];
    let early = timeout(Duration::from_millis(300), server.read(&mut buffer)).await;
    assert!(early.is_err(), "nothing before the answer");
    let answer = crate::cot::tak::negotiation::answer("offer-1", true, now);
    server.write_all(&answer).await.unwrap();
    let mut said = Vec::new();
    while memchr::memmem::find(&said, b"t-x-c-t").is_none() {
        let count = timeout(PATIENCE, server.read(&mut buffer))
            .await
            .unwrap()
            .unwrap();
        assert_ne!(count, 0, "it hung up");
        said.extend_from_slice(&buffer[..count]);
    }
    assert_eq!(said[0], 0xbf);
    assert!(
        memchr::memmem::find(&said, b"<event").is_none(),
        "no XML any more"
    );
    assert!(memchr::memmem::find(&said, b"hawk").is_some());
    // And the other way.
    let swan = from_us.in_tak(position("swan").as_bytes()).unwrap();
    let length = u32::try_from(swan.len()).unwrap();
    let header = crate::wire::tak::framing::StreamHeader::of(length);
    server.write_all(header.bytes()).await.unwrap();
    server.write_all(&swan).await.unwrap();
    rig.until("SWAN is known", |rig| rig.users() == 1).await;
}

#[tokio::test]
async fn a_server_that_hangs_up_at_once_refuses_us() {
    let rig = Rig::with(None).await;
    drop(rig.accept().await);
    rig.until("it is told", |rig| {
        rig.hindrance() == Some(Hindrance::Registration)
    })
    .await;
    let reason = rig.node.board.status("x").unwrap().reason;
    assert!(reason.contains("`auth`"), "{reason}");
}

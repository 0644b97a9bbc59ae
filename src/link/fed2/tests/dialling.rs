//! Our dialler against a foreign server, driven by hand, that records which call comes when.

use std::convert::Infallible;
use std::sync::Mutex;

use bytes::Bytes;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::link::federate::Dialler;
use crate::link::grpc::body::{GrpcBody, Part};
use crate::link::grpc::call::{self, Ended, Messages};
use crate::link::grpc::frame::framed;
use crate::link::grpc::status::{Code, Status};
use crate::wire::cold::{ConnectionType, FederateGroups, Health, ServerHealth, Subscription};

/// How the foreign server behaves.
#[derive(Clone)]
struct Habits {
    /// SERVING comes this late; none = never.
    serving_after: Option<Duration>,
    /// It knows no group streams.
    no_groups: bool,
    /// Client-streaming calls are answered at once, as TAK Server does and a hub does not.
    early_replies: bool,
    /// Health checks end with trailers, or never.
    health_ends: bool,
    /// What health checks say.
    health: Health,
    /// ClientROLStream ends with OK at once, as a hub's does.
    rol_ends: bool,
    /// It lets go of our event stream inside, and goes on answering.
    latched: bool,
}

impl Default for Habits {
    fn default() -> Self {
        Self {
            serving_after: Some(Duration::ZERO),
            no_groups: false,
            early_replies: true,
            health_ends: true,
            health: Health::Serving,
            rol_ends: false,
            latched: false,
        }
    }
}

/// What the foreign server saw.
#[derive(Default)]
struct Record {
    calls: Mutex<Vec<String>>,
    subscriptions: Mutex<Vec<Subscription>>,
    groups: Mutex<Vec<FederateGroups>>,
    /// How our event stream ended: by half-closing, or otherwise.
    half_closed: Mutex<Option<bool>>,
    held: Mutex<Vec<mpsc::Sender<Part>>>,
    unread: Mutex<Vec<Incoming>>,
}

impl Record {
    fn calls(&self) -> Vec<String> {
        self.calls.lock().unwrap().clone()
    }

    fn count(&self, method: &str) -> usize {
        self.calls
            .lock()
            .unwrap()
            .iter()
            .filter(|call| *call == method)
            .count()
    }

    fn position(&self, method: &str) -> usize {
        self.calls()
            .iter()
            .position(|call| call == method)
            .unwrap_or_else(|| panic!("no {method}"))
    }

    fn hold(&self, first: Option<Bytes>) -> Response<GrpcBody> {
        let (sender, parts) = mpsc::channel(4);
        self.held.lock().unwrap().push(sender);
        call::answer(GrpcBody::answer_channel(first, parts))
    }

    async fn answer(
        self: Arc<Self>,
        habits: Habits,
        request: Request<Incoming>,
    ) -> Result<Response<GrpcBody>, Infallible> {
        let method = request
            .uri()
            .path()
            .strip_prefix("/com.atakmap.FederatedChannel/")
            .unwrap()
            .to_owned();
        assert_eq!(request.headers()["te"], "trailers");
        assert_eq!(request.headers()["tombolo-box"], "1");
        assert_eq!(request.headers()["content-type"], "application/grpc");
        self.calls.lock().unwrap().push(method.clone());
        let mut body = request.into_body();
        if matches!(
            method.as_str(),
            "ClientEventStream" | "ServerFederateGroupsStream" | "ClientROLStream"
        ) {
            let subscription = Messages::<Subscription>::new(body).next().await.unwrap();
            self.subscriptions.lock().unwrap().push(subscription);
            return Ok(self.to_client(&method, &habits).await);
        }
        if method == "HealthCheck" {
            let health = framed(&ServerHealth {
                status: habits.health.into(),
            });
            return Ok(if habits.health_ends {
                call::answer(GrpcBody::answer(health))
            } else {
                self.hold(Some(health))
            });
        }
        if habits.latched && method == "ServerEventStream" {
            self.unread.lock().unwrap().push(body);
            return Ok(self.hold(None));
        }
        let reader = Arc::clone(&self);
        let known = method.clone();
        tokio::spawn(async move {
            if known == "ClientFederateGroupsStream" {
                let mut messages = Messages::<FederateGroups>::new(body);
                while let Ok(groups) = messages.next().await {
                    reader.groups.lock().unwrap().push(groups);
                }
            } else {
                let ended = call::drain(&mut body, |_| Ok(())).await;
                if known == "ServerEventStream" {
                    *reader.half_closed.lock().unwrap() = Some(matches!(ended, Ended::Finished(_)));
                }
            }
        });
        let reply = habits
            .early_replies
            .then(|| framed(&Subscription::default()));
        Ok(self.hold(reply))
    }

    async fn to_client(&self, method: &str, habits: &Habits) -> Response<GrpcBody> {
        match method {
            // As TAK Server: no headers, for as long as there is nothing to send.
            "ClientEventStream" => std::future::pending().await,
            "ClientROLStream" if habits.rol_ends => call::refusal(&Status::ok()),
            "ServerFederateGroupsStream" if habits.no_groups => {
                call::refusal(&Status::new(Code::Unimplemented, ""))
            }
            "ServerFederateGroupsStream" => match habits.serving_after {
                None => self.hold(None),
                Some(delay) => {
                    tokio::time::sleep(delay).await;
                    let serving = FederateGroups {
                        stream_update: Some(ServerHealth {
                            status: Health::Serving.into(),
                        }),
                        ..FederateGroups::default()
                    };
                    let answer = self.hold(Some(framed(&serving)));
                    // A policy change at a hub says SERVING again.
                    let again = self.held.lock().unwrap().last().cloned().unwrap();
                    let _ = again.try_send(Part::Data(framed(&serving)));
                    answer
                }
            },
            _ => self.hold(None),
        }
    }
}

/// A foreign server with these habits, and our dialler that finds it.
async fn dial(habits: Habits) -> (Arc<Node>, Dialler, Arc<Record>) {
    let pki = Pki::new("islands");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let record = Arc::new(Record::default());
    let (tls, seen) = (TlsAcceptor::from(pki.server()), Arc::clone(&record));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (tls, seen, habits) = (tls.clone(), Arc::clone(&seen), habits.clone());
            tokio::spawn(async move {
                let stream = tls.accept(stream).await.unwrap();
                let service =
                    service_fn(|request| Arc::clone(&seen).answer(habits.clone(), request));
                let _ = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                    .initial_stream_window_size(16 * 1024)
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
            });
        }
    });
    let bravo = node("bravo", BRAVO, quick());
    let dialler = crate::link::fed2::dial(
        Arc::clone(&bravo),
        peer("alpha", Some(address)),
        pki.client(),
    );
    (bravo, dialler, record)
}

#[tokio::test]
async fn calls_come_in_the_order_that_a_tak_server_needs() {
    let habits = Habits {
        serving_after: Some(WHILE),
        ..Habits::default()
    };
    let (bravo, dialler, record) = dial(habits).await;
    until("both first calls", || record.calls().len() == 2).await;
    tokio::time::sleep(WHILE / 2).await;
    assert_eq!(
        record.calls(),
        ["ClientEventStream", "ServerFederateGroupsStream"],
        "no events before SERVING"
    );
    until("four health checks", || record.count("HealthCheck") >= 4).await;
    let order = [
        "ClientEventStream",
        "ServerFederateGroupsStream",
        "ServerEventStream",
        "ClientFederateGroupsStream",
        "HealthCheck",
        "ClientROLStream",
        "ServerROLStream",
    ];
    let positions = order.map(|method| record.position(method));
    assert!(positions.is_sorted(), "{:?}", record.calls());
    for method in order.iter().filter(|method| **method != "HealthCheck") {
        assert_eq!(
            record.count(method),
            1,
            "{method}, though SERVING came twice"
        );
    }
    assert_eq!(state(&bravo, "alpha"), PeerState::Connected);

    let subscriptions = record.subscriptions.lock().unwrap().clone();
    let identity = subscriptions[0].identity.clone().unwrap();
    assert_eq!(
        (identity.name.as_str(), identity.server_id.as_str()),
        ("bravo", BRAVO)
    );
    assert_eq!(identity.r#type(), ConnectionType::FederationTakClient);
    assert_eq!(identity.uid.len(), 32);
    assert!(
        subscriptions[0]
            .version
            .as_ref()
            .is_some_and(|version| version.major > 0)
    );
    assert!(
        subscriptions
            .iter()
            .all(|one| one.identity.as_ref() == Some(&identity))
    );
    until("our groups", || !record.groups.lock().unwrap().is_empty()).await;
    let groups = record.groups.lock().unwrap()[0].clone();
    assert_eq!(groups.federate_groups, ["__ANON__"]);
    assert_eq!(groups.stream_update, None);
    assert_eq!(groups.federate_provenance[0].federation_server_id, BRAVO);
    assert_eq!(groups.federate_hops.map(|hops| hops.max_hops), Some(-1));

    dialler.stop().await;
    until("the event stream ends", || {
        record.half_closed.lock().unwrap().is_some()
    })
    .await;
    assert_eq!(
        *record.half_closed.lock().unwrap(),
        Some(true),
        "half-closed, not torn"
    );
}

#[tokio::test]
async fn health_checks_that_never_end_and_late_replies_do_no_harm() {
    let habits = Habits {
        health_ends: false,
        early_replies: false,
        ..Habits::default()
    };
    let (bravo, _dialler, record) = dial(habits).await;
    until("many health checks", || record.count("HealthCheck") >= 12).await;
    assert_eq!(
        record.count("ClientEventStream"),
        1,
        "still the first connection"
    );
    assert_eq!(state(&bravo, "alpha"), PeerState::Connected);
}

#[tokio::test]
async fn an_older_peer_without_group_streams_is_served() {
    let (bravo, _dialler, record) = dial(Habits {
        no_groups: true,
        ..Habits::default()
    })
    .await;
    until("connected", || {
        state(&bravo, "alpha") == PeerState::Connected
    })
    .await;
    assert_eq!(record.count("ServerEventStream"), 1);
}

#[tokio::test]
async fn a_silent_gate_is_named() {
    let habits = Habits {
        serving_after: None,
        ..Habits::default()
    };
    let (bravo, _dialler, record) = dial(habits).await;
    until("gives up", || {
        reason(&bravo, "alpha").contains("no group stream answer in 3 s")
    })
    .await;
    assert_eq!(record.count("ServerEventStream"), 0);
    until("tries again", || record.count("ClientEventStream") >= 2).await;
}

#[tokio::test]
async fn a_peer_that_is_unwell_is_left_and_dialled_again() {
    let habits = Habits {
        health: Health::NotConnected,
        ..Habits::default()
    };
    let (bravo, _dialler, record) = dial(habits).await;
    until("says so", || {
        reason(&bravo, "alpha").contains("NOT_CONNECTED")
    })
    .await;
    until("tries again", || record.count("ClientEventStream") >= 2).await;
    assert_eq!(
        record.count("ClientROLStream"),
        0,
        "not before the first SERVING"
    );
}

#[tokio::test]
async fn a_rol_stream_that_ends_is_opened_again() {
    let (bravo, _dialler, record) = dial(Habits {
        rol_ends: true,
        ..Habits::default()
    })
    .await;
    until("opened again", || record.count("ClientROLStream") >= 3).await;
    assert_eq!(record.count("ClientEventStream"), 1);
    assert_eq!(state(&bravo, "alpha"), PeerState::Connected);
}

#[tokio::test]
async fn a_peer_that_takes_no_events_though_it_answers_is_dialled_anew() {
    let habits = Habits {
        latched: true,
        ..Habits::default()
    };
    let (bravo, _dialler, record) = dial(habits).await;
    let here = Local::of(&bravo);
    until("connected", || {
        state(&bravo, "alpha") == PeerState::Connected
    })
    .await;
    for number in 0..400 {
        here.says(&format!("uid-{number}"));
        if number % 20 == 0 {
            tokio::task::yield_now().await;
        }
    }
    until("told in words", || {
        reason(&bravo, "alpha").contains("it has let go of our event stream")
    })
    .await;
    until("dialled anew", || record.count("ServerEventStream") >= 2).await;
}

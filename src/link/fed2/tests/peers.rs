//! Against a federate on another gRPC stack: `tests/peers/federate.py` on Python's grpcio.
//!
//! Runs where one is at hand: the environment variable `TOMBOLO_PEER_PYTHON` names a Python that has grpcio and
//! protobuf. Without it these tests say so and pass; the scenario tests insist.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};

use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::*;

/// The Python federate.
struct Python {
    process: Child,
    commands: ChildStdin,
    reports: mpsc::Receiver<Value>,
    seen: Vec<Value>,
}

impl Python {
    fn start(pki: &Pki, folder: &Path, arguments: &[&str]) -> Option<Self> {
        let Ok(python) = std::env::var("TOMBOLO_PEER_PYTHON") else {
            eprintln!("not tested: TOMBOLO_PEER_PYTHON names no Python with grpcio");
            return None;
        };
        let [chain, key, authority] = pki.write(folder);
        let mut process = Command::new(python)
            .arg(concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/tests/peers/federate.py"
            ))
            .args(arguments)
            .arg("--cert")
            .arg(chain)
            .arg("--key")
            .arg(key)
            .arg("--ca")
            .arg(authority)
            .args(["--name", "foreign", "--id", BRAVO, "--health-every", "0.2"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        // More than any test here reads.
        let (sender, reports) = mpsc::channel(4096);
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let _ = sender.blocking_send(serde_json::from_str(&line).unwrap());
            }
        });
        Some(Self {
            commands: process.stdin.take().unwrap(),
            process,
            reports,
            seen: Vec::new(),
        })
    }

    fn tell(&mut self, command: &Value) {
        writeln!(self.commands, "{command}").unwrap();
    }

    /// Waits for a report that has all of these fields.
    async fn reports(&mut self, wanted: Value) -> Value {
        let fits = |report: &Value| {
            let fields = wanted.as_object().unwrap();
            fields.iter().all(|(name, value)| &report[name] == value)
        };
        if let Some(at) = self.seen.iter().position(fits) {
            return self.seen.remove(at);
        }
        loop {
            match tokio::time::timeout(PATIENCE, self.reports.recv()).await {
                Ok(Some(report)) if fits(&report) => return report,
                Ok(Some(report)) => self.seen.push(report),
                _ => panic!("no report like {wanted}, but {:#?}", self.seen),
            }
        }
    }

    async fn quit(mut self) {
        self.tell(&json!({"do": "quit"}));
        until("it exits", || self.process.try_wait().unwrap().is_some()).await;
        assert!(self.process.wait().unwrap().success());
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// An event with every field that the protocol has for it.
fn event(uid: &str) -> Value {
    let now = SystemClock::new().now().wall_ms;
    json!({
        "sendTime": now, "startTime": now, "staleTime": now + 3_600_000,
        "lat": 0.0, "lon": -2.25, "hae": 3.5, "ce": 9_999_999.0, "le": 5.0,
        "uid": uid, "type": "a-f-G-U-C", "coordSource": "m-g", "speed": 1.5, "course": 270.0, "battery": 66,
        "ploc": "GPS", "palt": "DTED0",
        "other": format!("<detail><contact callsign=\"{uid}\"/><remarks>&lt;{uid}&gt; speaks</remarks></detail>"),
    })
}

/// Contacts and events both ways, once both sides are up. `to_us` and `to_them` are the streams' names.
async fn exchange(python: &mut Python, node: &Node, name: &str, to_them: &str) {
    let local = Local::of(node);
    until("connected", || state(node, name) == PeerState::Connected).await;

    local.says("tombolo-one");
    let contact = python
        .reports(json!({"report": "message", "method": to_them, "unknown": 0}))
        .await;
    assert_eq!(
        contact["message"]["contact"]["operation"],
        json!(1),
        "{contact}"
    );
    assert_eq!(contact["message"]["contact"]["uid"], json!("tombolo-one"));
    assert_eq!(
        contact["message"]["contact"]["callsign"],
        json!("tombolo-one")
    );
    let mut message = contact["message"].clone();
    if message.get("event").is_none() {
        let wanted = json!({"report": "message", "method": to_them, "unknown": 0});
        message = python.reports(wanted).await["message"].clone();
    }
    let geo = &message["event"];
    assert_eq!(geo["uid"], json!("tombolo-one"), "{message}");
    assert_eq!(geo["type"], json!("a-f-G-U-C"));
    assert_eq!(geo["coordSource"], json!("m-g"));
    assert_eq!(
        [&geo["lat"], &geo["lon"], &geo["hae"]],
        [&json!(1.5), &json!(-2.25), &json!(3.0)]
    );
    assert_eq!([&geo["ce"], &geo["le"]], [&json!(4.0), &json!(5.0)]);
    assert_eq!(
        geo["staleTime"].as_i64().unwrap() - geo["startTime"].as_i64().unwrap(),
        86_400_000
    );
    assert!(
        geo["other"]
            .as_str()
            .unwrap()
            .contains("<remarks>tombolo-one speaks</remarks>")
    );
    let provenance = &message["federateProvenance"][0]["federationServerId"];
    assert_eq!(provenance, &json!(node.federate_id));

    python.tell(
        &json!({"do": "send_contact", "operation": "CREATE", "uid": "snake", "callsign": "SNAKE"}),
    );
    python.tell(&json!({"do": "send_event", "event": event("snake")}));
    let heard = local.hears("&lt;snake&gt; speaks").await;
    for part in [
        "uid=\"snake\"",
        "lat=\"0",
        "lon=\"-2.25\"",
        "speed=\"1.5\"",
        "battery=\"66\"",
        "geopointsrc=\"GPS\"",
    ] {
        assert!(heard.contains(part), "{part} is missing in {heard}");
    }
    python.tell(&json!({"do": "groups", "groups": ["Red", "Blue"]}));
    until("its groups are noted", || {
        node.board.status(name).unwrap().groups == ["Red", "Blue"]
    })
    .await;
    // What cannot be read is counted and disturbs nobody.
    python.tell(&json!({"do": "send_raw", "hex": "0affff"}));
    python.tell(&json!({"do": "send_event", "event": event("again")}));
    local.hears("&lt;again&gt; speaks").await;
}

#[tokio::test]
async fn python_dials_us() {
    let (pki, folder) = (Pki::new("islands"), tempfile::tempdir().unwrap());
    let alpha = node("alpha", ALPHA, Timing::default());
    let (acceptor, address) = acceptor(&alpha, &pki, "foreign").await;
    let dial = address.to_string();
    let arguments = ["--dial", &dial, "--authority", "localhost"];
    let Some(mut python) = Python::start(&pki, folder.path(), &arguments) else {
        return;
    };
    let serving = python
        .reports(json!({"report": "message", "method": "ServerFederateGroupsStream"}))
        .await;
    assert_eq!(serving["message"]["streamUpdate"]["status"], json!(1));
    assert_eq!(
        serving["message"]["federateHops"],
        json!({"maxHops": -1, "currentHops": 1})
    );
    let early = python
        .reports(json!({"report": "message", "method": "ServerEventStream"}))
        .await;
    assert_eq!(early["message"]["identity"]["type"], json!(2));
    assert_eq!(early["message"]["identity"]["serverId"], json!(ALPHA));
    python
        .reports(json!({"report": "health", "status": 1, "ended": true}))
        .await;
    exchange(&mut python, &alpha, "foreign", "ClientEventStream").await;

    python.tell(&json!({"do": "identity"}));
    let identity = python
        .reports(json!({"report": "message", "method": "getIdentity"}))
        .await;
    assert_eq!(identity["message"]["name"], json!("alpha"));
    python.tell(&json!({"do": "unknown"}));
    python
        .reports(json!({"report": "status", "method": "NoSuchMethod", "code": "UNIMPLEMENTED"}))
        .await;
    // A data package larger than every limit here is read, dropped and counted.
    python
        .reports(json!({"report": "message", "method": "ServerROLStream"}))
        .await;
    python.tell(&json!({"do": "send_rol", "size": 3_000_000}));
    let dropped = || {
        alpha.hub.with(|router, _| {
            router.peer_counters("foreign").map_or(0, |counters| {
                counters.dropped(crate::counters::Reason::Resource)
            })
        })
    };
    until("the resource is counted", || dropped() == 1).await;
    acceptor.shutdown().await;
    let ended = python
        .reports(json!({"report": "status", "method": "ClientEventStream"}))
        .await;
    assert_eq!(ended["code"], json!("UNAVAILABLE"));
    assert_eq!(ended["details"], json!("shutting down"));
    python.quit().await;
}

#[tokio::test]
async fn we_dial_python() {
    for odd in [
        &[][..],
        &["--hang-health", "--late-replies"],
        &["--no-groups"],
    ] {
        let (pki, folder) = (Pki::new("islands"), tempfile::tempdir().unwrap());
        let bravo = node("alpha", ALPHA, Timing::default());
        let arguments = [&["--listen", "0"], odd].concat();
        let Some(mut python) = Python::start(&pki, folder.path(), &arguments) else {
            return;
        };
        let port = python.reports(json!({"report": "listening"})).await["port"]
            .as_u64()
            .unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], u16::try_from(port).unwrap()));
        let settings = peer("foreign", Some(address));
        let dialler = crate::link::fed2::dial(Arc::clone(&bravo), settings, pki.client());
        let first = python
            .reports(json!({"report": "call", "method": "ClientEventStream"}))
            .await;
        assert_eq!(first["request"]["identity"]["type"], json!(3));
        assert_eq!(first["request"]["version"]["major"], json!(5));
        if !odd.contains(&"--no-groups") {
            exchange(&mut python, &bravo, "foreign", "ServerEventStream").await;
            let groups = python
                .reports(json!({"report": "message", "method": "ClientFederateGroupsStream"}))
                .await;
            assert_eq!(groups["message"]["federateGroups"], json!(["__ANON__"]));
        }
        for method in ["HealthCheck", "ClientROLStream", "ServerROLStream"] {
            python
                .reports(json!({"report": "call", "method": method}))
                .await;
        }
        until("connected", || {
            state(&bravo, "foreign") == PeerState::Connected
        })
        .await;
        assert!(bravo.companions.of("foreign").is_none());
        dialler.stop().await;
        assert!(
            python.seen.iter().all(|report| !report["method"]
                .as_str()
                .is_some_and(|method| method.contains("tombolo"))),
            "no private call to what is no box: {:#?}",
            python.seen
        );
        python
            .reports(json!({"report": "status", "method": "ServerEventStream", "code": "OK"}))
            .await;
        python.quit().await;
    }
}

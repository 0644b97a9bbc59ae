//! The HTTPS API: first login, tokens, passwords, scopes; who guesses, who dawdles and who floods.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::{Api, Authority, Device, Setup, Watcher, eventually, joined, position, track};

const PASSWORD: &str = "a password of some length";

fn first_password(tombolo: &crate::support::TomboloBox) -> String {
    let told = tombolo.call(["token", "first"], "").success();
    told.trim()
        .strip_prefix("admin ")
        .expect("admin")
        .to_owned()
}

fn login(api: &Api, username: &str, password: &str) -> crate::support::Answer {
    let body = json!({"username": username, "password": password}).to_string();
    api.ask("POST", "/api/login", &body)
}

#[test]
fn the_first_one_comes_in_once_and_makes_the_way_for_others() {
    let alpha = Setup::new("alpha").api().start();
    let nobody = Api::of(&alpha);
    assert_eq!(
        nobody.read("/api/federation").expect(401)["code"],
        "no_token"
    );
    assert!(
        nobody
            .read("/api/federation")
            .headers
            .contains("www-authenticate: Bearer")
    );
    let first = first_password(&alpha);
    assert!(!alpha.log().contains(&first), "a log is no place for it");
    let session = login(&nobody, "admin", &first).expect(200);
    assert_eq!(login(&nobody, "admin", &first).expect(401)["code"], "wrong");
    let admin = nobody.with_token(session["token"].as_str().unwrap());
    assert_eq!(admin.read("/api/federation").expect(200), json!([]));
    // What the first one makes is what others use from then on.
    let user =
        json!({"name": "admin", "scopes": ["administrator"], "password": PASSWORD}).to_string();
    admin.ask("POST", "/api/users", &user).expect(201);
    // A new password ends what was open.
    assert_eq!(admin.read("/api/federation").status, 401);
    let again = login(&nobody, "admin", PASSWORD).expect(200);
    let admin = nobody.with_token(again["token"].as_str().unwrap());
    let made = admin.ask(
        "POST",
        "/api/tokens",
        r#"{"name":"ci","scopes":["viewer"],"days":7}"#,
    );
    let ci = nobody.with_token(made.expect(201)["token"].as_str().unwrap());
    assert_eq!(ci.read("/api/federation").expect(200), json!([]));
    let listed = admin.read("/api/tokens").expect(200);
    assert_eq!(listed[0]["kind"], "user");
    assert_eq!(listed[1]["name"], "ci");
    assert!(listed[1]["expires"].is_string() && !listed.to_string().contains("tmb_"));
    admin.ask("DELETE", "/api/tokens/ci", "").expect(204);
    assert_eq!(ci.read("/api/federation").status, 401);
    admin.ask("POST", "/api/logout", "").expect(204);
    assert_eq!(admin.read("/api/federation").status, 401);
    assert_eq!(alpha.call(["token", "first"], "").code, Some(69));
}

#[test]
fn each_scope_opens_its_own_door() {
    let alpha = Setup::new("alpha").api().start();
    let viewer = Api::with_scopes(&alpha, "viewer", "viewer");
    let within = Api::with_scopes(&alpha, "within", "federate_within");
    let across = Api::with_scopes(&alpha, "across", "federate_across");
    let change = Api::with_scopes(&alpha, "change", "change");
    let stop = Api::with_scopes(&alpha, "stop", "stop");
    let foreign = Authority::new("bravo-ca").issue("bravo").authority_pem;
    let peer = json!({"name": "bravo", "ca_cert": foreign}).to_string();
    let refused = viewer.ask("POST", "/api/federation", &peer).expect(403);
    assert!(
        refused["detail"]
            .as_str()
            .unwrap()
            .contains("federate_within or federate_across"),
        "{refused}"
    );
    let refused = within.ask("POST", "/api/federation", &peer).expect(403);
    assert!(
        refused["detail"]
            .as_str()
            .unwrap()
            .contains("another owner"),
        "{refused}"
    );
    across.ask("POST", "/api/federation", &peer).expect(201);
    assert_eq!(
        across.ask("POST", "/api/federation", &peer).expect(409)["code"],
        "exists"
    );
    let ours = viewer.read("/api/connection").expect(200);
    let own = json!({"name": "sister", "ca_cert": ours["ca_certificate"]}).to_string();
    within.ask("POST", "/api/federation", &own).expect(201);
    assert_eq!(
        viewer.ask("PATCH", "/api/federation/bravo", "{}").status,
        403
    );
    let paused = change
        .ask("PATCH", "/api/federation/bravo", r#"{"enabled":false}"#)
        .expect(200);
    assert_eq!(
        (&paused["status"], &paused["enabled"]),
        (&json!("disabled"), &json!(false))
    );
    // Who may change may not make a federation one with somebody else.
    let other = Authority::new("other-ca").issue("other").authority_pem;
    let other = json!({"ca_cert": other}).to_string();
    assert_eq!(
        change.ask("PATCH", "/api/federation/bravo", &other).status,
        403
    );
    assert_eq!(
        change.ask("DELETE", "/api/federation/bravo", "").status,
        403
    );
    stop.ask("DELETE", "/api/federation/bravo", "").expect(204);
    assert_eq!(stop.ask("DELETE", "/api/federation/bravo", "").status, 404);
    assert_eq!(stop.ask("POST", "/api/events", "<event/>").status, 403);
}

#[test]
fn a_certificate_of_ours_may_look_and_nothing_else() {
    let alpha = Setup::new("alpha").api().start();
    let hawk = alpha.issue("HAWK");
    let folder = tempfile::tempdir().unwrap();
    let with_certificate = |name: &str, leaf: &crate::support::Leaf| {
        let (chain, key) = (
            folder.path().join(format!("{name}.pem")),
            folder.path().join(format!("{name}.key")),
        );
        std::fs::write(&chain, &leaf.chain_pem).unwrap();
        std::fs::write(&key, &leaf.key_pem).unwrap();
        Api::of(&alpha).with(&[
            "--cert",
            chain.to_str().unwrap(),
            "--key",
            key.to_str().unwrap(),
        ])
    };
    let api = with_certificate("hawk", &hawk);
    assert_eq!(api.read("/api/federation").expect(200), json!([]));
    assert_eq!(api.read("/api/tokens").expect(403)["code"], "forbidden");
    // A stranger's certificate is no fault; it is worth nothing.
    let stranger = with_certificate("stranger", &Authority::new("other").issue("HAWK"));
    assert_eq!(stranger.read("/api/federation").status, 401);
    let mut watcher = Watcher::open_with(alpha.api(), Some(&hawk), "").expect("a watcher");
    let device = Device::plain(alpha.clients_tcp());
    alpha.wait_clients(2);
    device.send(position("otter", "OTTER"));
    watcher.expect_uid("otter");
}

#[test]
fn guessing_is_slowed_down_and_says_nothing() {
    let alpha = Setup::new("alpha").api().start();
    alpha
        .call(["token", "password", "admin"], PASSWORD)
        .success();
    let api = Api::of(&alpha);
    let begun = Instant::now();
    let mut answers = Vec::new();
    let late = loop {
        let user = ["admin", "nobody"][answers.len() % 2];
        let answer = login(&api, user, "wrong wrong wrong");
        if answer.status != 401 {
            break answer;
        }
        answers.push(answer.body);
        assert!(answers.len() < 60, "there is no end to it");
    };
    // One more every twelve seconds: a slow machine gets more tries.
    let allowed = 5 + begun.elapsed().as_secs() / 12;
    assert!(
        answers.len() as u64 <= allowed,
        "{} of {allowed}",
        answers.len()
    );
    answers.dedup();
    assert_eq!(answers.len(), 1, "one answer for all of them: {answers:?}");
    assert_eq!(late.status, 429, "{late:?}");
    assert!(late.headers.contains("retry-after: "), "{late:?}");
    let long = json!({"username": "admin", "password": "x".repeat(5000)}).to_string();
    assert_eq!(api.ask("POST", "/api/login", &long).status, 413);
}

/// A connection from another address of this machine.
fn elsewhere(to: std::net::SocketAddr) -> std::io::Result<socket2::Socket> {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)?;
    let from = std::net::SocketAddr::from(([127, 0, 0, 9], 0));
    socket.bind(&from.into())?;
    socket.connect(&to.into())?;
    Ok(socket)
}

#[test]
fn who_dawdles_or_floods_keeps_nobody_out() {
    let alpha = Setup::new("alpha").api().start();
    let viewer = Api::with_scopes(&alpha, "viewer", "viewer");
    // Plain connections that say nothing, and TLS connections that send half a head.
    let silent: Vec<socket2::Socket> = (0..40)
        .filter_map(|_| elsewhere(alpha.api()).ok())
        .collect();
    let stranger = Authority::new("other").issue("x");
    let half: Vec<_> = (0..6)
        .filter_map(|_| {
            let mut stream = crate::support::tls_stream(alpha.api(), &stranger).ok()?;
            stream
                .write_all(b"GET /api/federation HTTP/1.1\r\nHost: x\r\nX-Slow: ")
                .ok()?;
            Some(stream)
        })
        .collect();
    let begun = Instant::now();
    assert_eq!(viewer.read("/api/federation").expect(200), json!([]));
    println!(
        "answered beside {} silent and {} half requests after {:?}",
        silent.len(),
        half.len(),
        begun.elapsed()
    );
    // Too long a head is refused, and the box goes on.
    let long = format!("X-Long: {}", "x".repeat(20_000));
    let refused = viewer
        .with(&["--http1.1", "-H", &long])
        .read("/api/federation");
    assert_eq!(refused.status, 431, "{refused:?}");
    drop((silent, half));
    assert_eq!(viewer.read("/api/federation").status, 200);
}

#[test]
fn watchers_hear_each_event_and_lose_their_place_with_their_right() {
    let authority = Authority::new("ca");
    let (alpha, bravo) = joined(
        Setup::new("alpha")
            .identity(&authority.issue("alpha"))
            .api(),
        Setup::new("bravo")
            .identity(&authority.issue("bravo"))
            .api()
            .limit("max_watchers", 2),
    );
    let operator = Api::with_scopes(&alpha, "operator", "operator");
    let viewer = Api::with_scopes(&bravo, "viewer", "viewer");
    assert_eq!(Watcher::open(&bravo, "tmb_wrong").err(), Some(401));
    let mut watcher = Watcher::open(&bravo, viewer.token()).expect("a watcher");
    let header = format!("Sec-WebSocket-Protocol: cot, bearer.{}\r\n", viewer.token());
    let mut browser = Watcher::open_with(bravo.api(), None, &header).expect("a browser");
    assert_eq!(
        Watcher::open(&bravo, viewer.token()).err(),
        Some(503),
        "max_watchers"
    );
    // What is handed in here comes out there, each event a message of its own.
    let begun = Instant::now();
    let events = position("FED-TEST-1", "FED-TEST-ALPHA") + &track("FED-TEST-2", 2);
    let taken = operator.ask("POST", "/api/events", &events).expect(200);
    assert_eq!(taken, json!({"accepted": 2, "refused": []}));
    assert!(watcher.expect_uid("FED-TEST-1").contains("FED-TEST-ALPHA"));
    println!(
        "from curl on alpha to a watcher of bravo: {:?}",
        begun.elapsed()
    );
    watcher.expect_uid("FED-TEST-2");
    browser.expect_uid("FED-TEST-2");
    let refused = operator.ask("POST", "/api/events", "hello").expect(422);
    assert_eq!(refused["refused"][0]["reason"], "garbage", "{refused}");
    watcher.send(9, b"there?");
    assert_eq!(watcher.frame(), (10, b"there?".to_vec()));
    browser.send(1, b"<event/>");
    let (code, why) = browser.expect_close();
    assert!(
        code == 1003 && why.contains("POST /api/events"),
        "{code} {why}"
    );
    bravo.call(["token", "revoke", "viewer"], "").success();
    let (code, why) = watcher.expect_close();
    assert!(
        code == 1008 && why.contains("counts no more"),
        "{code} {why}"
    );
    eventually("its place is free", || {
        (bravo.status().0["clients"] == 0).then_some(())
    });
}

#[test]
fn a_federate_that_is_deleted_is_cut_within_a_second_and_stays_out() {
    let authority = Authority::new("ca");
    let (alpha, bravo) = joined(
        Setup::new("alpha")
            .identity(&authority.issue("alpha"))
            .api(),
        Setup::new("bravo").identity(&authority.issue("bravo")),
    );
    let admin = Api::with_scopes(&alpha, "admin", "administrator");
    let shown = admin.read("/api/federation/bravo").expect(200);
    assert_eq!(shown["status"], "connected", "{shown}");
    let before = bravo.status();
    let begun = Instant::now();
    admin.ask("DELETE", "/api/federation/bravo", "").expect(204);
    bravo.wait_peer_gone("alpha");
    println!("cut {:?} after the request began", begun.elapsed());
    assert!(begun.elapsed() < Duration::from_secs(5));
    assert_eq!(admin.read("/api/federation").expect(200), json!([]));
    drop(before);
    // Registered the other way round, it is refused in the handshake.
    let address = alpha.federation().to_string();
    bravo
        .call(["peer", "set", "alpha", "--address", &address], "")
        .success();
    eventually("it is refused", || {
        (alpha.status().refused("unknown_ca") > 0).then_some(())
    });
}

#[test]
fn freetakservers_routes_switch_on_what_is_registered_and_no_web_page_reaches_them() {
    let authority = Authority::new("ca");
    let (alpha, bravo) = joined(
        Setup::new("alpha")
            .identity(&authority.issue("alpha"))
            .api(),
        Setup::new("bravo").identity(&authority.issue("bravo")),
    );
    let fts = Api::freetakserver(&alpha);
    let remote = bravo.federation().to_string();
    let status = fts.read("/api/federation/status").expect(200);
    let one = &status["federations"][0];
    assert_eq!(one["remote_server"], remote.as_str());
    assert_eq!(
        (&one["status"], &one["node_id"]),
        (&json!("connected"), &json!("bravo"))
    );
    assert!(
        one["last_heartbeat"].as_str().unwrap().ends_with('Z'),
        "{one}"
    );
    alpha.call(["peer", "pause", "bravo"], "").success();
    alpha.wait_peer_gone("bravo");
    let status = fts.read("/api/federation/status").expect(200);
    assert_eq!(status["federations"][0]["status"], "disconnected");
    let body = json!({"address": "127.0.0.1", "port": bravo.federation().port(), "initiator": "x", "protocol": "ssl"});
    fts.ask("POST", "/api/federation/connect", &body.to_string())
        .expect(200);
    alpha.wait_peer("bravo");
    let unknown = fts.ask(
        "POST",
        "/api/federation/connect",
        r#"{"address":"server-b.example.com","port":9000}"#,
    );
    assert!(
        unknown.expect(409)["detail"]
            .as_str()
            .unwrap()
            .contains("tombolo peer add")
    );
    for header in ["Origin: http://evil.example", "Host: evil.example"] {
        assert_eq!(
            fts.with(&["-H", header])
                .read("/api/federation/status")
                .status,
            403,
            "{header}"
        );
    }
    // The API with tokens is not there.
    assert_eq!(fts.read("/api/status").status, 404);
}

#[test]
fn a_visitor_who_reads_nothing_is_let_go() {
    let alpha = Setup::new("alpha").api().start();
    let port = alpha.freetakserver().port();
    let mut visitor = TcpStream::connect(("127.0.0.1", port)).unwrap();
    visitor
        .set_read_timeout(Some(Duration::from_secs(60)))
        .unwrap();
    write!(
        visitor,
        "GET /api/federation/status HTTP/1.1\r\nHost: localhost\r\n\r\nGET /api"
    )
    .unwrap();
    let mut heard = Vec::new();
    // The half request after the first one is not waited for without end.
    let _ = visitor.read_to_end(&mut heard);
    assert!(
        heard.starts_with(b"HTTP/1.1 200 OK"),
        "{}",
        String::from_utf8_lossy(&heard)
    );
}

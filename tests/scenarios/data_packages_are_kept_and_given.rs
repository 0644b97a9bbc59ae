//! Data packages over `/Marti`: brought, listed and fetched by clients with a certificate and by federates, with curl and
//! with hyper; refused to everybody else; whole or not there after a power cut.

use std::fs;
use std::net::SocketAddr;
use std::pin::Pin;
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::time::Duration;

use http_body::Body as _;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};

use crate::support::{
    Api, Authority, Leaf, Registration, Setup, TomboloBox, Visitor, bytes, client_config,
    eventually, hash_of,
};

/// Files in the store, without parts.
fn files(alpha: &TomboloBox) -> usize {
    let folder = alpha.state().join("packages");
    fs::read_dir(folder).expect("a folder and a list").count()
}

fn packages(alpha: &TomboloBox) -> Value {
    serde_json::from_str(&alpha.call(["packages", "list", "--json"], "").success())
        .expect("a folder and a list")
}

#[test]
fn a_client_brings_a_large_package_and_another_one_fetches_it() {
    let alpha = Setup::new("alpha").api().start();
    let hawk = Visitor::new(alpha.api(), Some(&alpha.issue("HAWK")));
    let eagle = Visitor::new(alpha.api(), Some(&alpha.issue("EAGLE")));
    let large = bytes(7, 20 << 20);
    let hash = hash_of(&large);
    assert_eq!(
        hawk.ask(&format!("sync/missionquery?hash={hash}"), &[])
            .status,
        404
    );
    let before = alpha.resident_kib();
    let brought = hawk.bring("recce.zip", &large, &hash);
    assert_eq!(brought.status, 200, "{brought:?}");
    println!(
        "resident before, after and at most during an upload of 20 MiB, KiB: {before} {} {}",
        alpha.resident_kib(),
        alpha.peak_kib()
    );
    assert!(brought.text().ends_with(&format!(
        ":{}/Marti/sync/content?hash={hash}",
        alpha.api().port()
    )));
    let known = eagle.ask(
        &format!("sync/missionquery?hash={}", hash.to_uppercase()),
        &[],
    );
    assert_eq!((known.status, known.text()), (200, brought.text()));
    assert_eq!(
        hawk.bring("recce.zip", b"anything", &hash).status,
        403,
        "it is stored already"
    );

    let fetched = eagle.fetch(&hash, &[]);
    assert_eq!(fetched.status, 200);
    assert!(fetched.body == large);
    assert!(
        fetched.headers.contains("filename=\"recce.zip\""),
        "{}",
        fetched.headers
    );
    println!(
        "and after it was fetched: {} {}",
        alpha.resident_kib(),
        alpha.peak_kib()
    );
    let head = eagle.fetch(&hash, &["-I"]);
    assert!(
        head.headers
            .contains(&format!("content-length: {}", large.len())),
        "{}",
        head.headers
    );
    assert!(head.body.is_empty() || head.text().starts_with("HTTP/"));
    let part = eagle.fetch(&hash, &["-r", "1000000-1000999"]);
    assert_eq!(
        (part.status, part.body.as_slice()),
        (206, &large[1_000_000..1_001_000])
    );
    assert!(
        part.headers
            .contains("content-range: bytes 1000000-1000999/20971520")
    );
    let last = eagle.fetch(&hash, &["-r", "-5"]);
    assert_eq!(
        (last.status, last.body.as_slice()),
        (206, &large[large.len() - 5..])
    );
    assert_eq!(eagle.fetch(&hash, &["-r", "99999999-"]).status, 416);
    assert_eq!(eagle.fetch(&hash_of(b""), &[]).status, 404);
    let over_http2 = Visitor::new(alpha.api(), Some(&alpha.issue("OWL"))).http2();
    assert!(over_http2.fetch(&hash, &[]).body == large);

    // ATAK's list, and who sees what is private.
    let listed = eagle
        .ask("sync/search?keywords=missionpackage&tool=public", &[])
        .json();
    assert_eq!(listed["resultCount"], 1);
    let entry = &listed["results"][0];
    for (key, value) in [
        ("Hash", hash.as_str()),
        ("UID", &hash),
        ("Name", "recce.zip"),
        ("SubmissionUser", "HAWK"),
        ("CreatorUid", "ANDROID-1"),
        ("Size", "20971520"),
        ("Tool", "public"),
        ("MIMEType", "application/x-zip-compressed"),
    ] {
        assert_eq!(entry[key], value, "{key}: {entry}");
    }
    assert_eq!(entry["Keywords"], json!(["missionpackage"]));
    let tool = format!("api/sync/metadata/{hash}/tool");
    assert_eq!(
        eagle.ask(&tool, &["-X", "PUT", "-d", "private"]).status,
        403,
        "it is another's"
    );
    assert_eq!(hawk.ask(&tool, &["-X", "PUT", "-d", "private"]).status, 200);
    assert_eq!(hawk.ask(&tool, &[]).text(), "private");
    assert_eq!(eagle.ask("sync/search", &[]).json()["resultCount"], 0);
    assert_eq!(hawk.ask("sync/search", &[]).json()["resultCount"], 1);
    assert_eq!(
        eagle.fetch(&hash, &["-r", "0-0"]).status,
        206,
        "who knows the hash may fetch it"
    );
    assert_eq!(
        hawk.ask("api/version/config", &[]).json()["data"]["api"],
        "3"
    );
    assert!(hawk.ask("api/version", &[]).text().starts_with("tombolo"));

    // And for the one who looks after the box.
    let api = Api::with_scopes(&alpha, "boss", "administrator");
    let kept = api.read("/api/packages").expect(200);
    assert_eq!(
        (&kept[0]["submitter"], &kept[0]["size"]),
        (&json!("HAWK"), &json!(20_971_520))
    );
    assert_eq!(packages(&alpha), kept);
    assert!(
        api.read("/metrics")
            .body
            .contains("tombolo_packages_total{outcome=\"kept\"} 1")
    );
    assert!(
        alpha
            .call(["status"], "")
            .success()
            .contains("1 of at most 256")
    );
    assert_eq!(
        api.ask("DELETE", &format!("/api/packages/{hash}"), "")
            .status,
        204
    );
    assert_eq!(
        api.ask("DELETE", &format!("/api/packages/{hash}"), "")
            .status,
        404
    );
    assert_eq!(files(&alpha), 0);
}

#[test]
fn what_is_wrong_is_refused_and_leaves_nothing() {
    let alpha = Setup::new("alpha")
        .api()
        .packages("max_package_mib = 1")
        .start();
    let hawk = Visitor::new(alpha.api(), Some(&alpha.issue("HAWK")));
    let (one, other) = (bytes(1, 300_000), bytes(2, 300_000));
    let refused = hawk.bring("x.zip", &one, &hash_of(&other));
    assert_eq!(refused.status, 400);
    assert!(
        refused.text().contains("nothing was kept"),
        "{}",
        refused.text()
    );
    assert_eq!(hawk.bring("x.zip", &one, "abc").status, 400);
    let large = bytes(3, (1 << 20) + (1 << 17));
    let too_large = hawk.bring("x.zip", &large, &hash_of(&large));
    assert_eq!(too_large.status, 413, "{too_large:?}");
    assert!(too_large.text().contains("max_package_mib"));
    let file = hawk.file("plain", &one);
    let at = format!("@{}", file.display());
    let path = format!("sync/missionupload?hash={}", hash_of(&one));
    assert_eq!(
        hawk.ask(&path, &["--data-binary", &at]).status,
        400,
        "no form"
    );
    let form = format!("other={at}");
    assert_eq!(hawk.ask(&path, &["-F", &form]).status, 400, "no assetfile");
    // A length that lies: the form ends early.
    let broken = "--X\r\nContent-Disposition: form-data; name=\"assetfile\"\r\n\r\nhalf a file";
    let kind = "Content-Type: multipart/form-data; boundary=X";
    assert_eq!(
        hawk.ask(&path, &["-H", kind, "--data-binary", broken])
            .status,
        400
    );
    assert_eq!(files(&alpha), 0);

    for nobody in [
        Visitor::new(alpha.api(), None),
        Visitor::new(alpha.api(), Some(&Authority::new("other").issue("HAWK"))),
    ] {
        assert_eq!(nobody.ask("sync/search", &[]).status, 403);
        assert_eq!(nobody.bring("x.zip", &one, &hash_of(&one)).status, 403);
        let api = Api::with_scopes(&alpha, "boss-of-all", "administrator");
        let token = format!("Authorization: Bearer {}", api.token());
        assert_eq!(
            nobody.ask("sync/search", &["-H", &token]).status,
            403,
            "a token is no certificate"
        );
        alpha.call(["token", "revoke", "boss-of-all"], "").success();
    }
    assert_eq!(files(&alpha), 0);

    // A path in the name goes nowhere; a bare body does as well as a form.
    let kept = hawk.ask(
        "sync/upload?name=..%2F..%2Fetc%2Fevil.zip",
        &["--data-binary", &at, "-H", "Content-Type: application/zip"],
    );
    assert_eq!(kept.status, 200, "{kept:?}");
    assert_eq!(kept.json()["FileName"], "evil.zip");
    assert_eq!(kept.json()["Hash"], hash_of(&one).as_str());
    let put = hawk.ask(
        "sync/upload?name=second.bin",
        &["-T", hawk.file("second", &other).to_str().unwrap()],
    );
    assert_eq!(put.status, 200, "{put:?}");
    assert!(hawk.fetch(&hash_of(&other), &[]).body == other);
    assert_eq!(files(&alpha), 4);

    // The command goes on with what came of an attempt before.
    let added = alpha
        .call(
            [
                "packages",
                "add",
                hawk.file("three.zip", &bytes(4, 100_000)).to_str().unwrap(),
            ],
            "",
        )
        .success();
    assert!(added.contains("three.zip is kept"), "{added}");
    let again = alpha.call(
        [
            "packages",
            "add",
            hawk.folder.path().join("three.zip").to_str().unwrap(),
        ],
        "",
    );
    assert_ne!(again.code, Some(0));
    assert_eq!(packages(&alpha).as_array().unwrap().len(), 3);
    alpha
        .call(["packages", "remove", &hash_of(&bytes(4, 100_000))], "")
        .success();
    assert_eq!(packages(&alpha).as_array().unwrap().len(), 2);
}

#[test]
fn federates_come_by_a_door_of_their_own_and_by_their_switches() {
    let leaf = |name: &str| Authority::new(name).issue(name);
    let (bravo, taker, giver) = (leaf("bravo"), leaf("taker"), leaf("giver"));
    let alpha = Setup::new("alpha")
        .api()
        .peer(Registration::of("bravo", &bravo))
        .peer(Registration::of("taker", &taker).key("data_packages_in = false"))
        .peer(Registration::of("giver", &giver).key("data_packages_out = false"))
        .start();
    let door = alpha.packages();
    let [bravo, taker, giver] = [&bravo, &taker, &giver].map(|leaf| Visitor::new(door, Some(leaf)));
    let (one, two) = (bytes(1, 200_000), bytes(2, 1_000));
    let brought = bravo.bring("one.zip", &one, &hash_of(&one));
    assert_eq!(brought.status, 200, "{brought:?}");
    // Our own clients fetch it where the address says: on the API's port.
    assert!(
        brought
            .text()
            .contains(&format!(":{}/Marti/sync/content?hash=", alpha.api().port()))
    );
    assert_eq!(packages(&alpha)[0]["peer"], "bravo");
    let query = format!("sync/missionquery?hash={}", hash_of(&one));
    assert_eq!(bravo.ask(&query, &[]).status, 200);
    assert!(taker.fetch(&hash_of(&one), &[]).body == one);
    for refused in [
        taker.bring("two.zip", &two, &hash_of(&two)),
        taker.ask(&query, &[]),
    ] {
        assert_eq!(refused.status, 403);
        assert!(
            refused.text().contains("data_packages_in is off"),
            "{}",
            refused.text()
        );
    }
    let refused = giver.fetch(&hash_of(&one), &[]);
    assert_eq!(refused.status, 403);
    assert!(
        refused.text().contains("data_packages_out is off"),
        "{}",
        refused.text()
    );
    assert_eq!(giver.bring("two.zip", &two, &hash_of(&two)).status, 200);
    assert_eq!(
        bravo.ask("sync/search", &[]).status,
        404,
        "lists are for clients"
    );
    let status = alpha.status();
    assert_eq!(
        (
            status.number("/packages/held_in"),
            status.number("/packages/held_out")
        ),
        (2, 1)
    );
    // Who is not registered does not come in at all, and neither do clients.
    for nobody in [None, Some(leaf("stranger")), Some(alpha.issue("HAWK"))] {
        assert_eq!(
            Visitor::new(door, nobody.as_ref())
                .fetch(&hash_of(&one), &[])
                .status,
            0
        );
    }
    // A switch counts from the next request on.
    alpha
        .call(["peer", "set", "taker", "--data-packages-in", "true"], "")
        .success();
    eventually("the switch counts", || {
        (taker.ask(&query, &[]).status == 200).then_some(())
    });
}

#[test]
fn killed_in_the_middle_of_an_upload_nothing_torn_is_left() {
    let mut alpha = Setup::new("alpha")
        .api()
        .packages("store_mib = 4")
        .packages("free_space_mib = 0")
        .start();
    let leaf = alpha.issue("HAWK");
    let hawk = Visitor::new(alpha.api(), Some(&leaf));
    let kept = bytes(1, 1 << 20);
    assert_eq!(hawk.bring("kept.zip", &kept, &hash_of(&kept)).status, 200);
    let torn = bytes(2, 3 << 20);
    let file = hawk.file("torn", &torn);
    let form = format!("assetfile=@{}", file.display());
    let path = format!(
        "sync/missionupload?hash={}&filename=torn.zip",
        hash_of(&torn)
    );
    let mut slow: Child = hawk
        .curl(&path, &["--limit-rate", "1M", "-F", &form])
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    eventually("bytes of it are on the disk", || {
        let entries = fs::read_dir(alpha.state().join("packages")).unwrap();
        let mut lengths = entries.filter_map(|entry| Some((entry.ok()?.file_name(), 0)));
        lengths
            .any(|(name, _)| name.to_string_lossy().ends_with(".coming"))
            .then_some(())
    });
    std::thread::sleep(Duration::from_millis(300));
    alpha.start_again(&[]);
    let _ = slow.wait();
    assert_eq!(files(&alpha), 2, "the half is gone");
    let status = alpha.status();
    assert_eq!(
        (
            status.number("/packages/packages"),
            status.number("/packages/bytes")
        ),
        (1, 1 << 20)
    );
    assert_eq!(status.number("/packages/settled"), 1);
    let hawk = Visitor::new(alpha.api(), Some(&leaf));
    assert_eq!(hawk.fetch(&hash_of(&torn), &[]).status, 404);
    assert!(hawk.fetch(&hash_of(&kept), &[]).body == kept);

    // The quota: what was used longest ago goes, and what is too large for it drives nothing out.
    let more: Vec<Vec<u8>> = (10..14).map(|seed| bytes(seed, 1 << 20)).collect();
    for (number, one) in more.iter().enumerate() {
        if number == 3 {
            assert_eq!(hawk.fetch(&hash_of(&kept), &["-r", "0-0"]).status, 206);
        }
        assert_eq!(hawk.bring("more.zip", one, &hash_of(one)).status, 200);
    }
    assert_eq!(
        hawk.fetch(&hash_of(&more[0]), &[]).status,
        404,
        "used longest ago"
    );
    assert_eq!(hawk.fetch(&hash_of(&kept), &["-r", "0-0"]).status, 206);
    let huge = bytes(20, 5 << 20);
    assert_eq!(hawk.bring("huge.zip", &huge, &hash_of(&huge)).status, 413);
    assert_eq!(packages(&alpha).as_array().unwrap().len(), 4);
    assert_eq!(alpha.status().number("/packages/bytes"), 4 << 20);
}

/// A second independent client: hyper, which lets go in the middle and goes on by range.
#[test]
fn a_fetch_that_broke_off_goes_on() {
    let alpha = Setup::new("alpha").api().start();
    let leaf = alpha.issue("HAWK");
    let content = bytes(5, 3 << 20);
    let hash = hash_of(&content);
    assert_eq!(
        Visitor::new(alpha.api(), Some(&leaf))
            .bring("x.zip", &content, &hash)
            .status,
        200
    );
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let mut got = Vec::new();
    let mut parts = 0;
    while got.len() < content.len() {
        parts += 1;
        let wanted = (got.len() + (1 << 20) + 1).min(content.len());
        let more = runtime.block_on(some(alpha.api(), &leaf, &hash, got.len(), wanted));
        got.extend(more);
    }
    assert!(parts >= 3 && got == content);
    // Those who let go do not keep their places.
    let again = Visitor::new(alpha.api(), Some(&leaf)).fetch(&hash, &[]);
    assert_eq!((again.status, again.body.len()), (200, content.len()));
}

/// Fetches from an offset, and lets go as soon as `end` is reached.
async fn some(address: SocketAddr, leaf: &Leaf, hash: &str, at: usize, end: usize) -> Vec<u8> {
    let mut config = client_config(leaf);
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let stream = tokio::net::TcpStream::connect(address)
        .await
        .expect("a connection");
    let name = "localhost".try_into().expect("a connection");
    let stream = tokio_rustls::TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await
        .expect("a connection");
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .expect("a connection");
    let driver = tokio::spawn(connection);
    let request = hyper::Request::get(format!("/Marti/sync/content?hash={hash}"))
        .header("host", "localhost")
        .header("range", format!("bytes={at}-"))
        .header("if-range", format!("\"{hash}\""))
        .body(String::new())
        .expect("a connection");
    let mut response = sender.send_request(request).await.expect("a connection");
    assert_eq!(response.status(), 206);
    let mut got = Vec::new();
    while got.len() < end - at {
        let body = response.body_mut();
        let frame = std::future::poll_fn(|context| Pin::new(&mut *body).poll_frame(context));
        let Some(frame) = frame.await else {
            break;
        };
        got.extend_from_slice(frame.expect("a frame").data_ref().expect("data"));
    }
    drop(response);
    driver.abort();
    got
}

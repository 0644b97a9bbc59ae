//! Whom the operator takes out is out at once, and whoever renews comes back by itself.

use std::fs;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{
    Api, Authority, Device, Foreign, Leaf, Registration, Setup, TomboloBox, eventually, tls_stream,
    track,
};

/// Waits until a peer is gone, and says how long that took.
fn gone(from: &TomboloBox, peer: &str, what: &str) {
    let begun = Instant::now();
    from.wait_peer_gone(peer);
    println!("{what}: the stream was closed after {:?}", begun.elapsed());
}

fn stopped_by(on: &TomboloBox, peer: &str, word: &str) {
    eventually(&format!("{peer} is stopped by {word}"), || {
        let status = on.status();
        let found = status.peer(peer)?["stopped_by"].as_str()?.to_owned();
        (found == word).then_some(())
    });
}

/// alpha listens, bravo dials.
fn alpha_and_bravo(
    alpha: Setup,
    of_bravo: Registration,
    bravo: &Leaf,
    of_alpha: &Leaf,
) -> [TomboloBox; 2] {
    let alpha = alpha.identity(of_alpha).peer(of_bravo).start();
    let bravo = Setup::new("bravo")
        .identity(bravo)
        .peer(Registration::of("alpha", of_alpha).dial(alpha.federation()))
        .start();
    [alpha, bravo]
}

#[test]
fn a_peer_that_is_deleted_is_cut_and_refused() {
    let of_alpha = Authority::new("alpha-ca").issue("alpha");
    let of_bravo = Authority::new("bravo-ca").issue("bravo");
    let registration = Registration::of("bravo", &of_bravo);
    let [alpha, bravo] = alpha_and_bravo(
        Setup::new("alpha").api(),
        registration,
        &of_bravo,
        &of_alpha,
    );
    alpha.wait_peer("bravo");
    bravo.wait_peer("alpha");
    let admin = Api::with_scopes(&alpha, "trust", "stop");
    admin.ask("DELETE", "/api/federation/bravo", "").expect(204);
    gone(&bravo, "alpha", "DELETE");
    assert!(alpha.status().peer("bravo").is_none());
    // With nobody registered, whoever comes is of an unknown CA.
    eventually("refused in the handshake", || {
        (alpha.status().refused("unknown_ca") > 0).then_some(())
    });
    stopped_by(&bravo, "alpha", "tls");
}

#[test]
fn a_peer_whose_certificate_is_revoked_is_cut_and_refused() {
    let authority = Authority::new("bravo-ca");
    let [of_bravo, of_charlie] = ["bravo", "charlie"].map(|name| authority.issue(name));
    let of_alpha = Authority::new("alpha-ca").issue("alpha");
    let folder = tempfile::tempdir().expect("a directory");
    let list = folder.path().join("bravo.crl");
    fs::write(&list, authority.revoke(&[])).expect("a list");
    let crl = format!("crl = \"{}\"", list.display());
    let alpha = Setup::new("alpha").peer(Registration::of("charlie", &of_charlie));
    let registration = Registration::of("bravo", &of_bravo).key(&crl);
    let [alpha, bravo] = alpha_and_bravo(alpha, registration, &of_bravo, &of_alpha);
    let charlie = Setup::new("charlie")
        .identity(&of_charlie)
        .peer(Registration::of("alpha", &of_alpha).dial(alpha.federation()))
        .start();
    for (on, peer) in [(&alpha, "bravo"), (&alpha, "charlie"), (&bravo, "alpha")] {
        on.wait_peer(peer);
    }
    // A file that is no list any more changes nothing but the status.
    fs::write(&list, "noise").expect("a list");
    eventually("the fault is told", || {
        (trust(&alpha)["lists"][0]["state"] == "faulty").then_some(())
    });
    assert!(alpha.status().is_up("bravo"));
    fs::write(&list, authority.revoke(&[&of_bravo])).expect("a list");
    gone(&alpha, "bravo", "revoked by a list, noticed within 2 s");
    stopped_by(&alpha, "bravo", "revoked");
    // bravo dials again, and is told so in the handshake.
    eventually("refused in the handshake", || {
        (alpha.status().refused("revoked") > 0).then_some(())
    });
    stopped_by(&bravo, "alpha", "revoked");
    assert!(alpha.status().is_up("charlie"), "the same CA, not revoked");
    let told = trust(&alpha);
    assert_eq!(told["lists"][0]["revoked"], 1, "{told}");
    assert_eq!(
        told["lists"][0]["state"], "overdue",
        "overdue, and in force"
    );
    assert!(charlie.status().is_up("alpha"));
}

fn trust(on: &TomboloBox) -> Value {
    let text = on.call(["status", "--json"], "").success();
    let status: Value = serde_json::from_str(&text).expect("JSON");
    status["trust"].clone()
}

#[test]
fn a_user_whose_certificate_is_revoked_is_cut_and_refused() {
    let alpha = Setup::new("alpha").start();
    let [hawk, otter] = ["HAWK", "OTTER"].map(|name| alpha.issue(name));
    let device = Device::tls(alpha.clients_tls(), &hawk);
    let other = Device::tls(alpha.clients_tls(), &otter);
    alpha.wait_clients(2);
    device.send(track("before", 1));
    other.expect_uid("before");
    let file = alpha.state().join("hawk.pem");
    fs::write(&file, &hawk.chain_pem).expect("a certificate");
    let file = file.to_str().expect("a path");
    let words = alpha.call(["cert", "revoke", file], "").success();
    assert!(words.starts_with("revoked  HAWK"), "{words}");
    let begun = Instant::now();
    alpha.wait_clients(1);
    println!("a user: cut after {:?}", begun.elapsed());
    assert!(alpha.log().contains("its certificate was revoked"));
    let before = alpha.status().refused("revoked");
    let _ = tls_stream(alpha.clients_tls(), &hawk).map(|mut stream| {
        use std::io::Read;
        let patience = Some(Duration::from_secs(5));
        let _ = stream.sock.set_read_timeout(patience);
        stream.read(&mut [0])
    });
    eventually("refused in the handshake", || {
        (alpha.status().refused("revoked") > before).then_some(())
    });
    // The other one never noticed.
    let third = Device::tls(alpha.clients_tls(), &otter);
    alpha.wait_clients(2);
    third.send(track("after", 1));
    other.expect_uid("after");
    let shown = alpha.call(["cert", "crl"], "").success();
    assert!(shown.contains("1 revoked"), "{shown}");
    // By its name, when the box issued it itself.
    let package = alpha.state().join("viper.zip");
    let package = package.to_str().expect("a path");
    alpha
        .call(["cert", "issue", "VIPER", "--out", package], "")
        .success();
    let words = alpha.call(["cert", "revoke", "VIPER"], "").success();
    assert!(words.starts_with("revoked  VIPER"), "{words}");
    let unknown = alpha.call(["cert", "revoke", "NOBODY"], "");
    assert_eq!(unknown.code, Some(64));
    assert!(unknown.stderr.contains("VIPER"), "{}", unknown.stderr);
}

#[test]
fn a_peer_may_come_from_its_addresses_only() {
    let of_alpha = Authority::new("alpha-ca").issue("alpha");
    let of_bravo = Authority::new("bravo-ca").issue("bravo");
    let from = |subnet: &str| {
        Registration::of("bravo", &of_bravo).key(&format!("source_addresses = [\"{subnet}\"]"))
    };
    let [alpha, bravo] = alpha_and_bravo(
        Setup::new("alpha"),
        from("192.0.2.0/24"),
        &of_bravo,
        &of_alpha,
    );
    eventually("refused by its address", || {
        (alpha.status().refused("source_address") > 0).then_some(())
    });
    stopped_by(&alpha, "bravo", "source");
    assert!(!bravo.status().is_up("alpha"));
    let set = [
        "peer",
        "set",
        "bravo",
        "--source-addresses",
        "192.0.2.0/24,127.0.0.0/8",
    ];
    alpha.call(set, "").success();
    alpha.wait_peer("bravo");
    drop(bravo);
    // Closed before TLS, whoever it is.
    let closed = Setup::new("alpha")
        .identity(&of_alpha)
        .listen_key("federation_allow = [\"192.0.2.7\"]")
        .peer(Registration::of("bravo", &of_bravo))
        .start();
    assert!(tls_stream(closed.federation(), &of_bravo).is_err());
    eventually("refused before TLS", || {
        (closed.status().refused("not_allowed") > 0).then_some(())
    });
}

#[test]
fn a_secret_is_proven_or_nothing_flows() {
    let of_alpha = Authority::new("alpha-ca").issue("alpha");
    let of_bravo = Authority::new("bravo-ca").issue("bravo");
    let with = |registration: Registration, secret: &str| match secret {
        "" => registration,
        secret => registration.key(&format!("secret = \"{secret}\"")),
    };
    let good = "correct horse battery";
    for (ours, theirs, fits) in [
        (good, good, true),
        (good, "wrong horse battery", false),
        (good, "", false),
        ("", good, false),
    ] {
        let alpha = Setup::new("alpha")
            .identity(&of_alpha)
            .peer(with(Registration::of("bravo", &of_bravo), ours))
            .start();
        let of_alpha = Registration::of("alpha", &of_alpha).dial(alpha.federation());
        let bravo = Setup::new("bravo")
            .identity(&of_bravo)
            .peer(with(of_alpha, theirs))
            .start();
        if fits {
            alpha.wait_peer("bravo");
            bravo.wait_peer("alpha");
            let [hawk, otter] = [&alpha, &bravo].map(|one| Device::plain(one.clients_tcp()));
            alpha.wait_clients(1);
            bravo.wait_clients(1);
            hawk.send(track("sworn", 1));
            otter.expect_uid("sworn");
            continue;
        }
        stopped_by(&alpha, "bravo", "secret");
        stopped_by(&bravo, "alpha", "secret");
        assert!(!alpha.status().is_up("bravo") && !bravo.status().is_up("alpha"));
    }
    // Who is no box cannot prove it, and is not let in without.
    let (_foreign, address) = Foreign::listen(&of_bravo, &of_alpha, &[]);
    let alpha = Setup::new("alpha")
        .identity(&of_alpha)
        .peer(with(Registration::of("bravo", &of_bravo), good).dial(address))
        .start();
    stopped_by(&alpha, "bravo", "secret");
}

#[test]
fn a_pinned_ca_is_enough() {
    let of_alpha = Authority::new("alpha-ca").issue("alpha");
    let of_bravo = Authority::new("bravo-ca").issue("bravo");
    let pin = bravo_pin(&of_bravo);
    let by_pin = |pin: &str| Registration::bare("bravo").key(&format!("ca_pin = \"{pin}\""));
    let spelled = format!("SHA256 Fingerprint={pin}");
    let [alpha, bravo] =
        alpha_and_bravo(Setup::new("alpha"), by_pin(&spelled), &of_bravo, &of_alpha);
    alpha.wait_peer("bravo");
    bravo.wait_peer("alpha");
    // The leaf's own fingerprint is no pin, and that is said.
    let set = ["peer", "set", "bravo", "--ca-pin", &of_bravo.fingerprint];
    alpha.call(set, "").success();
    eventually("refused as the leaf it is", || {
        (alpha.status().refused("pin_is_leaf") > 0).then_some(())
    });
    stopped_by(&alpha, "bravo", "registration");
}

/// As openssl prints it: lower case here, with colons.
fn bravo_pin(leaf: &Leaf) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, &leaf.chain[1]);
    let parts: Vec<String> = digest
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    parts.join(":")
}

/// Both boxes have made their certificates themselves; bravo dials alpha, and each knows the other by its leaf.
fn pair_of_their_own() -> [TomboloBox; 2] {
    let alpha = Setup::new("alpha").start();
    let bravo = Setup::new("bravo").start();
    let of = |one: &TomboloBox| one.status().text("/node/fingerprint").to_owned();
    let (of_alpha, of_bravo) = (of(&alpha), of(&bravo));
    let add = ["peer", "add", "bravo", "--fingerprint", &of_bravo];
    alpha.call(add, "").success();
    let address = alpha.federation().to_string();
    let add = [
        "peer",
        "add",
        "alpha",
        "--fingerprint",
        &of_alpha,
        "--address",
        &address,
    ];
    bravo.call(add, "").success();
    alpha.wait_peer("bravo");
    bravo.wait_peer("alpha");
    [alpha, bravo]
}

#[test]
fn a_box_that_renews_comes_back_without_anybody_at_the_other_end() {
    let [alpha, bravo] = pair_of_their_own();
    // The one that listens, the one that dials, and once more with a new CA.
    for (renewing, option) in [(&alpha, None), (&bravo, None), (&alpha, Some("--ca"))] {
        let old = renewing.status().text("/node/fingerprint").to_owned();
        let arguments = ["cert", "renew"].into_iter().chain(option);
        let words = renewing.call(arguments, "").success();
        assert!(words.contains("<federateCA"), "{words}");
        assert!(words.contains("keytool -import"), "{words}");
        let new = eventually("the next one is shown", || {
            let shown = renewing.status().text("/node/fingerprint").to_owned();
            (shown != old).then_some(shown)
        });
        assert!(words.contains(&new), "{words}");
        alpha.wait_peer("bravo");
        bravo.wait_peer("alpha");
        let uid = format!("after-{}", &new[7..15]);
        let [hawk, otter] = [&alpha, &bravo].map(|one| Device::plain(one.clients_tcp()));
        alpha.wait_clients(1);
        bravo.wait_clients(1);
        hawk.send(track(&uid, 1));
        otter.expect_uid(&uid);
        drop((hawk, otter));
        alpha.wait_clients(0);
        bravo.wait_clients(0);
    }
    // Both are known after a restart too.
    let mut alpha = alpha;
    alpha.start_again(&[]);
    let bravo_set = [
        "peer",
        "set",
        "alpha",
        "--address",
        &alpha.federation().to_string(),
    ];
    bravo.call(bravo_set, "").success();
    alpha.wait_peer("bravo");
    bravo.wait_peer("alpha");
}

#[test]
fn a_next_certificate_waits_for_a_peer_that_is_away() {
    let of_bravo = Authority::new("bravo-ca").issue("bravo");
    let alpha = Setup::new("alpha")
        .peer(Registration::of("bravo", &of_bravo))
        .start();
    let old = alpha.status().text("/node/fingerprint").to_owned();
    alpha.call(["cert", "renew"], "").success();
    eventually("it says for whom it waits", || {
        (trust(&alpha)["waits_for"] == serde_json::json!(["bravo"])).then_some(())
    });
    assert_eq!(alpha.status().text("/node/fingerprint"), old);
    let shown = alpha.call(["status"], "").success();
    assert!(shown.contains("CERTIFICATE"), "{shown}");
    alpha.call(["cert", "renew", "--switch"], "").success();
    eventually("shown all the same", || {
        (alpha.status().text("/node/fingerprint") != old).then_some(())
    });
}

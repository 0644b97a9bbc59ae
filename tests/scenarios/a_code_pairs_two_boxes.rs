//! Two boxes of different owners, from nothing to flowing: a code on the one, the code and its address on the other.

use std::fs;
use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::support::{
    Api, Authority, Device, FakedClock, Middle, QUIET, Relay, Setup, TomboloBox, eventually, track,
};

/// A box with a certificate of its own CA, and its API.
fn setup(name: &str) -> Setup {
    let ca = Authority::new(&format!("{name}-ca"));
    Setup::new(name).identity(&ca.issue(name)).api()
}

/// Makes a code.
#[track_caller]
fn code(on: &TomboloBox, options: &[&str]) -> String {
    let arguments = [&["pair", "code", "--json"], options].concat();
    let made: Value = serde_json::from_str(&on.call(arguments, "").success()).expect("JSON");
    assert_eq!(made["tries_left"], 5, "{made}");
    made["code"].as_str().expect("a code").to_owned()
}

/// Types it on another box.
fn join(on: &TomboloBox, code: &str, at: SocketAddr) -> crate::support::Finished {
    on.call(["pair", "join", code, &at.to_string(), "--json"], "")
}

fn tries_left(of: &TomboloBox) -> Value {
    of.status().0["pairing"]["tries_left"].clone()
}

fn peers(of: &TomboloBox) -> Value {
    let listed = of.call(["peer", "list", "--json"], "").success();
    serde_json::from_str(&listed).expect("JSON")
}

/// What stands on this box's disk and in its log.
fn traces(of: &TomboloBox) -> String {
    let text = |path| fs::read_to_string(path).unwrap_or_default();
    text(of.config()) + &of.log()
}

#[test]
fn from_nothing_to_flowing_with_one_command_each() {
    // Not even certificates: each makes its own.
    let alpha = Setup::new("alpha").api().start();
    let bravo = Setup::new("bravo").api().start();
    let shown = alpha.call(["pair", "code"], "").success();
    let code = shown.lines().next().expect("a code").to_owned();
    assert_eq!((code.len(), &code[4..5]), (9, "-"), "{shown}");
    eventually("the LED waits for pairing", || {
        let status = alpha.status();
        let led = &status.0["led"];
        (led["signal"] == "pairing" && led["pattern"] == "double pulse").then_some(())
    });
    let waiting = alpha.status().0["pairing"].clone();
    assert!(waiting["remaining_seconds"].as_u64().expect("seconds") > 500);
    let people = alpha.call(["status"], "").success();
    assert!(
        people.contains("pairing         a code waits, for "),
        "{people}"
    );
    // As it is typed by somebody who heard it over a radio.
    let heard = code.to_lowercase().replace('-', " ");
    let said = bravo.call(["pair", "join", &heard, &alpha.api().to_string()], "");
    let said = said.success();
    assert!(said.contains("paired with alpha"), "{said}");
    assert!(
        said.contains(&format!("we dial it at {}", alpha.federation())),
        "{said}"
    );
    alpha.wait_peer("bravo");
    bravo.wait_peer("alpha");
    let (hawk, otter) = (
        Device::plain(alpha.clients_tcp()),
        Device::plain(bravo.clients_tcp()),
    );
    alpha.wait_clients(1);
    bravo.wait_clients(1);
    otter.send(track("otter", 1));
    hawk.expect_uid("otter");
    hawk.send(track("hawk", 1));
    otter.expect_uid("hawk");
    for (one, other) in [(&alpha, "bravo"), (&bravo, "alpha")] {
        eventually("flowing", || {
            let status = one.status();
            let peer = status.peer(other).expect("it is registered");
            (peer["state"] == "flowing").then_some(())
        });
        assert_eq!(
            one.status().0["pairing"],
            Value::Null,
            "the code is used up"
        );
        let text = traces(one);
        assert!(!text.contains(&code) && !text.contains(&code.replace('-', "")));
        let peer = &peers(one)[0];
        assert!(peer["fingerprint"].is_string() && peer["authorities"][0].is_string());
    }
    assert_eq!(peers(&alpha)[0]["address"], Value::Null, "who joined dials");
    assert_eq!(peers(&bravo)[0]["address"], alpha.federation().to_string());
    // It counted once.
    let again = join(&bravo, &code, alpha.api());
    assert_eq!(again.code, Some(77), "{again:?}");
    assert!(
        again
            .stderr
            .contains("the code is wrong, or none waits here"),
        "{again:?}"
    );
}

#[test]
fn who_stands_in_the_middle_fails_and_costs_a_try() {
    let alpha = setup("alpha").start();
    let bravo = setup("bravo").start();
    let code = code(&alpha, &[]);
    // It ends bravo's TLS, speaks TLS of its own to alpha, and passes on every word.
    let middle = Middle::before(alpha.api());
    let failed = join(&bravo, &code, middle.address());
    assert_eq!(failed.code, Some(77), "{failed:?}");
    assert_eq!(tries_left(&alpha), 4);
    for one in [&alpha, &bravo] {
        assert_eq!(peers(one), json!([]));
    }
    assert!(
        alpha
            .log()
            .contains("does not know the code; 4 tries are left")
    );
    let overheard = middle.overheard();
    assert!(
        overheard.contains("/api/pair/finish"),
        "both steps went by: {overheard}"
    );
    let secrets = [
        code.as_str(),
        &code.replace('-', ""),
        "bravo",
        "CERTIFICATE",
    ];
    for secret in secrets {
        assert!(!overheard.contains(secret), "{secret}: {overheard}");
    }
    // Whoever poses as alpha cannot make bravo believe it: it lies about the confirmation.
    let liar = Middle::lying(alpha.api());
    let failed = join(&bravo, &code, liar.address());
    assert_eq!(failed.code, Some(77), "{failed:?}");
    assert!(
        failed.stderr.contains("does not know the code"),
        "{failed:?}"
    );
    assert_eq!(tries_left(&alpha), 3, "it asked alpha all the same");
    assert_eq!(peers(&bravo), json!([]));
    // One that only passes bytes on is no harm.
    let relay = Relay::to(alpha.api());
    // Where alpha takes federates is told under the key, so bravo dials the host it was given and alpha's own port.
    join(&bravo, &code, relay.address()).success();
    alpha.wait_peer("bravo");
    bravo.wait_peer("alpha");
}

#[test]
fn a_code_is_taken_back_and_made_anew_and_what_is_paired_stays() {
    let alpha = setup("alpha").start();
    let bravo = setup("bravo").start();
    let charlie = setup("charlie").start();
    let first = code(&alpha, &["--outgoing", "no", "--name", "site B"]);
    let named = bravo.call(
        [
            "pair",
            "join",
            &first,
            &alpha.api().to_string(),
            "--data-packages-in",
            "no",
        ],
        "",
    );
    named.success();
    alpha.wait_peer("site B");
    bravo.wait_peer("alpha");
    // Each side has its own say.
    let (of_alpha, of_bravo) = (peers(&alpha)[0].clone(), peers(&bravo)[0].clone());
    assert_eq!(
        (&of_alpha["incoming"], &of_alpha["outgoing"]),
        (&json!(true), &json!(false))
    );
    assert_eq!(of_alpha["data_packages_in"], true);
    assert_eq!(
        (&of_bravo["incoming"], &of_bravo["outgoing"]),
        (&json!(true), &json!(true))
    );
    assert_eq!(of_bravo["data_packages_in"], false);

    let old = code(&alpha, &[]);
    let new = code(&alpha, &[]);
    let refused = join(&charlie, &old, alpha.api());
    assert_eq!(refused.code, Some(77), "{refused:?}");
    assert_eq!(
        tries_left(&alpha),
        4,
        "a wrong code costs a try of the one that waits"
    );
    alpha.call(["pair", "clear"], "").success();
    assert_eq!(alpha.call(["pair", "show"], "").code, Some(69));
    let refused_too = join(&charlie, &new, alpha.api());
    assert_eq!(refused_too.stderr, refused.stderr, "nobody learns why");
    std::thread::sleep(QUIET);
    assert!(alpha.status().is_up("site B") && bravo.status().is_up("alpha"));

    // The same box again is the same peer; another of the same name gets a number.
    let again = code(&alpha, &[]);
    let said = join(&bravo, &again, alpha.api()).success();
    assert!(said.contains("\"known_before\":true"), "{said}");
    assert_eq!(peers(&alpha).as_array().expect("a list").len(), 1);
    assert_eq!(peers(&alpha)[0]["outgoing"], true, "as this code says");
    let namesake = Setup::new("site B")
        .identity(&Authority::new("x").issue("x"))
        .api()
        .start();
    let third = code(&alpha, &[]);
    join(&namesake, &third, alpha.api()).success();
    alpha.wait_peer("site B-2");
    namesake.wait_peer("alpha");
    eventually("bravo is still there", || {
        alpha.status().is_up("site B").then_some(())
    });
}

#[test]
fn the_api_asks_for_the_scope_and_tells_strangers_nothing() {
    let alpha = setup("alpha").start();
    let operator = Api::with_scopes(&alpha, "operator", "operator,federate_within");
    let across = Api::with_scopes(&alpha, "across", "federate_across");
    let nobody = Api::of(&alpha);
    for (method, path) in [
        ("GET", "/api/pair"),
        ("POST", "/api/pair"),
        ("DELETE", "/api/pair"),
        ("POST", "/api/pair/join"),
    ] {
        assert_eq!(nobody.ask(method, path, "").status, 401, "{method} {path}");
        assert_eq!(
            operator.ask(method, path, "").status,
            403,
            "{method} {path}"
        );
    }
    assert_eq!(across.read("/api/pair").expect(200)["code"], Value::Null);
    // A stranger's two steps, with a share that is a point of the group (its generator).
    let share = "046b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296\
                 4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5";
    let guess = || {
        let begun = nobody.ask(
            "POST",
            "/api/pair/begin",
            &json!({"share": share}).to_string(),
        );
        let begun = begun.expect(200);
        assert_eq!(begun["share"].as_str().expect("a share").len(), 130);
        let finish = json!({
            "session": begun["session"], "confirmation": "00".repeat(32), "introduction": "00".repeat(200),
        });
        nobody.ask("POST", "/api/pair/finish", &finish.to_string())
    };
    let without = guess();
    assert_eq!(without.status, 403, "{without:?}");
    let made = across.ask("POST", "/api/pair", "{}").expect(201);
    assert_eq!(across.read("/api/pair").expect(200)["code"], made["code"]);
    let with = guess();
    assert_eq!(tries_left(&alpha), 4);
    assert_eq!((with.status, with.body), (without.status, without.body));
    let again =
        json!({"session": "00".repeat(16), "confirmation": "00".repeat(32), "introduction": ""});
    assert_eq!(
        nobody
            .ask("POST", "/api/pair/finish", &again.to_string())
            .status,
        403
    );
    assert_eq!(tries_left(&alpha), 4, "no exchange, no guess");
    let bad = nobody.ask(
        "POST",
        "/api/pair/begin",
        &json!({"share": "00"}).to_string(),
    );
    assert_eq!(bad.expect(422)["key"], "share");
    assert_eq!(across.ask("DELETE", "/api/pair", "").status, 204);
    assert_eq!(alpha.status().0["pairing"], Value::Null);
    // Joining, by the API of another box.
    let bravo = setup("bravo").start();
    let other = Api::with_scopes(&bravo, "across", "federate_across");
    let own = json!({"code": "0000-0000", "host": bravo.api().to_string()});
    let own = other
        .ask("POST", "/api/pair/join", &own.to_string())
        .expect(422);
    assert!(
        own["detail"]
            .as_str()
            .expect("words")
            .contains("this box itself"),
        "{own}"
    );
    let made = across.ask("POST", "/api/pair", "{}").expect(201);
    let body = json!({"code": made["code"], "host": alpha.api().to_string(), "incoming": false});
    let paired = other.ask("POST", "/api/pair/join", &body.to_string());
    let paired = paired.expect(201);
    assert_eq!(paired["name"], "alpha");
    assert_eq!(peers(&bravo)[0]["incoming"], false);
    alpha.wait_peer("bravo");
    // Too many from one address are slowed down, whatever they say.
    let statuses: Vec<u16> = (0..6)
        .map(|_| {
            nobody
                .ask(
                    "POST",
                    "/api/pair/begin",
                    &json!({"share": share}).to_string(),
                )
                .status
        })
        .collect();
    assert!(statuses.contains(&429), "{statuses:?}");
}

#[test]
fn a_box_that_does_not_know_the_time_is_paired_all_the_same() {
    let clock = FakedClock::in_1970();
    clock.unsynchronised();
    let alpha = setup("alpha").clock(&clock).start();
    let bravo = setup("bravo").start();
    let code = code(&alpha, &[]);
    // A clock that jumps by years does not end the ten minutes.
    clock.shift_ms(crate::support::days(3000));
    join(&bravo, &code, alpha.api()).success();
    alpha.wait_peer("bravo");
    bravo.wait_peer("alpha");
}

//! Whoever is not registered is refused in the TLS handshake, each fault in words of its own, whoever dials.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::time::Duration;

use rcgen::ExtendedKeyUsagePurpose;

use crate::support::{
    Authority, Device, Foreign, Leaf, PATIENCE, Profile, Registration, Setup, TomboloBox,
    eventually, tls_stream, track,
};

/// One way of being a stranger.
struct Stranger {
    /// The box's word for it.
    word: &'static str,
    /// Words that a signaller reads.
    words: &'static str,
    leaf: Leaf,
}

/// The registered federate's CA and leaf, and everybody who only resembles it.
fn strangers(authority: &Authority) -> Vec<Stranger> {
    let stranger = |word, words, leaf| Stranger { word, words, leaf };
    let odd = |profile| authority.issue_as("bravo", &profile);
    vec![
        stranger(
            "unknown_ca",
            "CA that is not registered",
            Authority::new("bravo-ca").issue("bravo"),
        ),
        stranger(
            "unregistered",
            "not the registered one",
            authority.issue("bravo"),
        ),
        stranger(
            "no_client_auth",
            "clientAuth",
            odd(Profile {
                usages: vec![ExtendedKeyUsagePurpose::ServerAuth],
                ..Profile::default()
            }),
        ),
        stranger(
            "expired",
            "expired",
            odd(Profile {
                expired: true,
                ..Profile::default()
            }),
        ),
    ]
}

fn refused_as_dialler(alpha: &TomboloBox, leaf: &Leaf, word: &str) {
    let before = alpha.status().refused(word);
    // TLS 1.3 lets a client believe that it is in until it reads; reading ends it either way.
    if let Ok(mut stream) = tls_stream(alpha.federation(), leaf) {
        let mut byte = [0];
        stream
            .sock
            .set_read_timeout(Some(PATIENCE))
            .expect("a timeout");
        let read = stream.read(&mut byte);
        assert!(!matches!(read, Ok(1..)), "{word}: let in");
    }
    eventually(&format!("refused as {word}"), || {
        (alpha.status().refused(word) > before).then_some(())
    });
}

#[test]
fn when_they_dial() {
    let authority = Authority::new("bravo-ca");
    let registered = authority.issue("bravo");
    let alpha = Setup::new("alpha")
        .identity(&Authority::new("alpha-ca").issue("alpha"))
        .peer(Registration::of("bravo", &registered))
        .start();
    for stranger in strangers(&authority) {
        refused_as_dialler(&alpha, &stranger.leaf, stranger.word);
    }
    let alone = Profile {
        issuer_sent: false,
        ..Profile::default()
    };
    refused_as_dialler(
        &alpha,
        &authority.issue_as("bravo", &alone),
        "one_certificate",
    );
    assert!(!alpha.status().is_up("bravo"));
    let [hawk, otter] = [(); 2].map(|()| Device::plain(alpha.clients_tcp()));
    alpha.wait_clients(2);
    hawk.send(track("still-here", 1));
    otter.expect_uid("still-here");
}

#[test]
fn when_we_dial_another_box() {
    let authority = Authority::new("bravo-ca");
    let registered = authority.issue("bravo");
    let alpha_leaf = Authority::new("alpha-ca").issue("alpha");
    for stranger in strangers(&authority) {
        if stranger.word == "expired" || stranger.word == "no_client_auth" {
            // A box refuses to start with such a certificate of its own; the foreign federate below has no scruples.
            continue;
        }
        let bravo = Setup::new("bravo")
            .identity(&stranger.leaf)
            .peer(Registration::of("alpha", &alpha_leaf))
            .start();
        let alpha = Setup::new("alpha")
            .identity(&alpha_leaf)
            .peer(Registration::of("bravo", &registered).dial(bravo.federation()))
            .start();
        says_why(&alpha, &stranger);
        assert!(!bravo.status().is_up("alpha"));
    }
}

#[test]
fn when_we_dial_a_foreign_federate() {
    let authority = Authority::new("bravo-ca");
    let registered = authority.issue("bravo");
    let alpha_leaf = Authority::new("alpha-ca").issue("alpha");
    let mut all = strangers(&authority);
    let alone = Profile {
        issuer_sent: false,
        ..Profile::default()
    };
    all.push(Stranger {
        word: "one_certificate",
        words: "one certificate only",
        leaf: authority.issue_as("bravo", &alone),
    });
    for stranger in all {
        let (_bravo, address) = Foreign::listen(&stranger.leaf, &alpha_leaf, &[]);
        let alpha = Setup::new("alpha")
            .identity(&alpha_leaf)
            .peer(Registration::of("bravo", &registered).dial(address))
            .start();
        says_why(&alpha, &stranger);
    }
}

/// What a refused box that dials must learn from alpha, every time.
const DISTRUSTED: &str = "does not trust our certificate";

#[test]
fn whoever_dials_learns_of_the_refusal_every_time() {
    let alpha_leaf = Authority::new("alpha-ca").issue("alpha");
    let alpha = Setup::new("alpha")
        .identity(&alpha_leaf)
        .peer(Registration::of(
            "bravo",
            &Authority::new("bravo-ca").issue("bravo"),
        ))
        .start();
    for round in 0..3 {
        let strangers: Vec<TomboloBox> = ["bravo", "charlie", "delta"]
            .map(|name| {
                Setup::new(name)
                    .identity(&Authority::new(&format!("{name}-other-ca")).issue(name))
                    .peer(Registration::of("alpha", &alpha_leaf).dial(alpha.federation()))
                    .start()
            })
            .into();
        for stranger in &strangers {
            // The first failure must say it: after it, the box waits a minute.
            let reason = eventually("a reason", || {
                let status = stranger.status();
                let peer = status.peer("alpha").expect("it is registered");
                (peer["state"] == "waiting").then(|| status.reason("alpha"))
            });
            assert!(reason.contains(DISTRUSTED), "round {round}: {reason}");
            let failures = eventually("a line of the log", || {
                let log = stranger.log();
                let failures = log.lines().filter(|line| line.contains("not connected"));
                Some(failures.map(str::to_owned).collect::<Vec<_>>()).filter(|all| !all.is_empty())
            });
            assert_eq!(failures.len(), 1, "round {round}: {failures:?}");
            assert!(failures[0].contains(DISTRUSTED), "{failures:?}");
        }
    }
    assert_eq!(alpha.status().refused("unknown_ca"), 9);
}

#[track_caller]
fn says_why(alpha: &TomboloBox, stranger: &Stranger) {
    eventually(&format!("{} in the reason", stranger.words), || {
        let status = alpha.status();
        assert!(!status.is_up("bravo"), "{}: let in", stranger.word);
        status
            .reason("bravo")
            .contains(stranger.words)
            .then_some(())
    });
}

#[test]
fn a_ca_alone_admits_any_of_its_leaves_and_nobody_else() {
    let authority = Authority::new("bravo-ca");
    let alpha_leaf = Authority::new("alpha-ca").issue("alpha");
    let alpha = Setup::new("alpha")
        .identity(&alpha_leaf)
        .peer(Registration::by_authority(
            "bravo",
            &authority.issue("somebody"),
        ))
        .start();
    let bravo = Setup::new("bravo")
        .identity(&authority.issue("bravo"))
        .peer(Registration::of("alpha", &alpha_leaf).dial(alpha.federation()))
        .start();
    bravo.wait_peer("alpha");
    alpha.wait_peer("bravo");
    refused_as_dialler(
        &alpha,
        &Authority::new("bravo-ca").issue("bravo"),
        "unknown_ca",
    );
}

/// The alert that ended the connection of somebody who speaks at once, as devices and federates do.
fn alert_after_speaking(address: SocketAddr, leaf: &Leaf) -> Result<(), std::io::Error> {
    let mut stream = tls_stream(address, leaf)?;
    for _ in 0..20 {
        stream.write_all(&[b' '; 1000])?;
        std::thread::sleep(Duration::from_millis(1));
    }
    stream.sock.set_read_timeout(Some(PATIENCE))?;
    stream.read(&mut [0]).map(|_| ())
}

#[test]
fn a_stranger_that_speaks_at_once_still_reads_our_alert() {
    let alpha = Setup::new("alpha").start();
    let stranger = Authority::new("alpha CA").issue("hawk");
    let targets = [alpha.clients_tls(), alpha.federation()];
    // Four at once, ten times: more than eight at once are not all heard out.
    for address in (0..5).flat_map(|_| targets) {
        let attempts = [(); 4].map(|()| {
            let leaf = stranger.clone();
            std::thread::spawn(move || alert_after_speaking(address, &leaf))
        });
        for attempt in attempts {
            let error = attempt.join().expect("no panic").expect_err("let in");
            let tls = error.get_ref().and_then(|inner| inner.downcast_ref());
            let alert = matches!(tls, Some(rustls::Error::AlertReceived(_)));
            assert!(alert, "{address}: {error:?}");
        }
    }
}

#[test]
fn a_device_needs_a_certificate_of_the_box() {
    let alpha = Setup::new("alpha").start();
    let stranger = Authority::new("alpha CA").issue("hawk");
    if let Ok(mut stream) = tls_stream(alpha.clients_tls(), &stranger) {
        let mut byte = [0];
        stream
            .sock
            .set_read_timeout(Some(PATIENCE))
            .expect("a timeout");
        let read = stream.read(&mut byte);
        assert!(!matches!(read, Ok(1..)), "let in");
    }
    let (hawk, otter) = (
        Device::tls(alpha.clients_tls(), &alpha.issue("hawk")),
        Device::plain(alpha.clients_tcp()),
    );
    alpha.wait_clients(2);
    hawk.send(track("from-a-friend", 1));
    otter.expect_uid("from-a-friend");
}

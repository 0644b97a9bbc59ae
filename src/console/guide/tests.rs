use super::*;
use crate::config::authority::tests::certificate;

fn guide(sets_network: bool) -> Guide {
    Guide::new("alpha", sets_network, vec!["old".into()])
}

fn tell(guide: &mut Guide, text: &str) -> Turn {
    let mut turn = Turn::Quit;
    for line in text.lines() {
        turn = guide.answer(line);
    }
    turn
}

#[test]
fn six_answers_make_a_box() {
    let mut guide = guide(true);
    let pem = certificate("bravo CA 0011aabb", true);
    for (answer, prompt) in [
        ("north", "1/6 name of this box [alpha]> "),
        (
            "dhcp",
            "2/6 network: dhcp, keep, or ADDRESS/PREFIX GATEWAY DNS [keep]> ",
        ),
        (
            "10.0.0.9",
            "3/6 peer's address HOST[:PORT], or none if it dials us [none]> ",
        ),
        (
            pem.trim_end(),
            "4/6 peer's CA: paste its PEM, or a fingerprint, or later [later]> ",
        ),
        (" ", "5/6 peer's name [bravo]> "),
    ] {
        assert_eq!(guide.prompt().as_deref(), Some(prompt));
        let turn = tell(&mut guide, answer);
        assert!(matches!(turn, Turn::Next(_)), "{prompt}: {turn:?}");
    }
    assert_eq!(
        guide.prompt().as_deref(),
        Some("6/6 is that right: yes or no> ")
    );
    let Turn::Finished(answers) = guide.answer("yes") else {
        panic!("not finished");
    };
    assert_eq!(answers.name.as_deref(), Some("north"));
    assert_eq!(answers.network, Some(Network::Dhcp(true)));
    let peer = answers.peer.unwrap();
    assert_eq!(
        (peer.name.as_str(), peer.address.as_deref()),
        ("bravo", Some("10.0.0.9:9001"))
    );
    assert!(
        peer.ca_pem
            .unwrap()
            .starts_with("-----BEGIN CERTIFICATE-----")
    );
}

#[test]
fn later_needs_no_name_and_leaves_the_rest_as_it_is() {
    let mut guide = guide(false);
    tell(&mut guide, " \n \nlater");
    assert_eq!(
        guide.prompt().as_deref(),
        Some("6/6 is that right: yes or no> ")
    );
    let Turn::Finished(answers) = guide.answer("y") else {
        panic!("not finished");
    };
    assert_eq!(
        answers,
        Box::new(Answers {
            name: None,
            network: None,
            peer: None
        })
    );
}

#[test]
fn every_question_survives_broken_input_and_stays() {
    let long = "x".repeat(10_000);
    let good = ["alpha", "keep", "none", &"ab".repeat(32), "bravo"];
    let bad: [&[&str]; 6] = [
        &[&long, "a\u{1b}[2Jb", "a\u{7}"],
        &[&long, "10.0.0.1", "dhcp x", "\u{1b}[A"],
        &[&long, "http://x", "host:0", "a b", "[::1", "\u{fffd}"],
        &[
            &long,
            "nonsense",
            "-----END CERTIFICATE-----",
            "-----BEGIN PRIVATE KEY-----",
            "SHA256:12",
        ],
        &[&long, "old", "a\u{1}b"],
        &[&long, "", "maybe", "yes please"],
    ];
    let mut guide = guide(true);
    for (at, bad) in bad.iter().enumerate() {
        let prompt = guide.prompt();
        for line in *bad {
            let turn = guide.answer(line);
            assert!(matches!(turn, Turn::Fault(_)), "{at} {line}: {turn:?}");
            assert_eq!(guide.prompt(), prompt);
        }
        let Turn::Next(help) = guide.answer("?") else {
            panic!("no help");
        };
        assert!(help.lines().count() >= 1 && guide.prompt() == prompt);
        if let Some(good) = good.get(at) {
            assert!(matches!(guide.answer(good), Turn::Next(_)));
        }
    }
    assert_eq!(guide.answer("quit"), Turn::Quit);
}

#[test]
fn a_half_certificate_is_dropped_and_a_leaf_is_refused() {
    let mut guide = guide(false);
    tell(&mut guide, " \n ");
    let pem = certificate("bravo", true);
    let half: Vec<&str> = pem.lines().take(3).collect();
    tell(&mut guide, &half.join("\n"));
    assert_eq!(guide.prompt(), None);
    assert!(guide.interrupt() && guide.prompt().is_some());
    tell(&mut guide, &half.join("\n"));
    assert!(matches!(guide.answer("quit"), Turn::Fault(_)));
    let Turn::Fault(fault) = tell(&mut guide, &certificate("leaf", false)) else {
        panic!("a leaf was taken");
    };
    assert!(fault.contains("is a leaf, not a CA"), "{fault}");
    assert!(guide.prompt().is_some());
}

#[test]
fn back_goes_back_and_no_asks_again_with_the_answers() {
    let mut guide = guide(false);
    assert!(matches!(guide.answer("back"), Turn::Fault(_)));
    tell(&mut guide, "north\n10.0.0.9");
    guide.answer("back");
    assert_eq!(
        guide.prompt().as_deref(),
        Some("3/6 peer's address HOST[:PORT], or none if it dials us [10.0.0.9:9001]> ")
    );
    guide.answer("back");
    assert_eq!(
        guide.prompt().as_deref(),
        Some("1/6 name of this box [north]> ")
    );
    tell(&mut guide, " \n \nlater\nno");
    assert_eq!(
        guide.prompt().as_deref(),
        Some("1/6 name of this box [north]> ")
    );
}

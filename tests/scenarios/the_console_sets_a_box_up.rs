//! A signaller at a serial line, against a running box: a real terminal, real links.

use std::fs;

use crate::support::{
    Authority, Device, Setup, Terminal, TomboloBox, ask, eventually, tombolo, track,
};

/// The PEM of a box: its leaf and its CA.
fn certificates(of: &TomboloBox) -> (String, String) {
    let exported = of.call(["cert", "export", "--out", "-"], "").success();
    let end = "-----END CERTIFICATE-----\n";
    let at = exported.find(end).expect("a certificate") + end.len();
    (exported[..at].to_owned(), exported[at..].to_owned())
}

/// Types a certificate as a terminal program pastes it.
fn paste(terminal: &mut Terminal, pem: &str) {
    terminal.send(pem.replace('\n', "\r\n").as_bytes());
}

#[test]
fn six_answers_lead_from_a_blank_box_to_a_flowing_link() {
    let bravo = Setup::new("bravo").start();
    let alpha = Setup::new("alpha").start();
    let (bravo_leaf, bravo_authority) = certificates(&bravo);
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("alpha-ca.pem");
    fs::write(&file, certificates(&alpha).1).expect("the file");
    bravo
        .call(
            [
                "peer".as_ref(),
                "add".as_ref(),
                "alpha".as_ref(),
                "--ca-cert".as_ref(),
                file.as_os_str(),
            ],
            "",
        )
        .success();

    let mut terminal = Terminal::open(&alpha, &[]);
    let banner = terminal.expect("1/6 name of this box [alpha]> ");
    assert!(
        banner.contains("no peers yet") && banner.contains("SHA256:"),
        "{banner}"
    );
    terminal.line("");
    terminal.line(&bravo.federation().to_string());
    // Not the CA: refused in words, and asked again.
    paste(&mut terminal, &bravo_leaf);
    terminal.expect("is a leaf, not a CA");
    terminal.expect("4/6 peer's CA");
    terminal.expect("> ");
    paste(&mut terminal, &bravo_authority);
    terminal.expect("5/6 peer's name [bravo]> ");
    let summary = terminal.line("");
    assert!(summary.contains("6/6 is that right"), "{summary}");
    terminal.send(b"yes\r");
    let done = terminal.expect("tombolo> ");
    assert!(
        done.contains("type confirm within 10 min") && done.contains("\nok\n"),
        "{done}"
    );
    // Our own CA is shown for the peer's administrator.
    let own = certificates(&alpha).1;
    assert!(done.contains(own.trim()), "{done}");
    terminal.ok("confirm");

    alpha.wait_peer("bravo");
    let (hawk, otter) = (
        Device::plain(alpha.clients_tcp()),
        Device::plain(bravo.clients_tcp()),
    );
    alpha.wait_clients(1);
    bravo.wait_clients(1);
    hawk.send(track("over-the-link", 1));
    otter.expect_uid("over-the-link");
    eventually("show peers says flowing", || {
        terminal.ok("show peers").contains("flowing").then_some(())
    });
    let checks = terminal.ok("selftest");
    assert!(
        checks.contains("OK peer bravo is connected") && !checks.contains("FAIL"),
        "{checks}"
    );
    assert!(terminal.ok("log 60").contains("bravo"));
    terminal.send(b"exit\r");
    assert!(terminal.wait_end().success());
}

#[test]
fn broken_input_changes_nothing_at_any_prompt() {
    let authority = Authority::new("alpha-ca");
    let alpha = Setup::new("alpha")
        .identity(&authority.issue("alpha"))
        .start();
    let before = fs::read_to_string(alpha.config()).expect("tombolo.toml");
    let mut terminal = Terminal::open(&alpha, &[]);
    terminal.expect("> ");
    let long = "x".repeat(10_000);
    // Each way leads to one prompt.
    let ways: [&[&str]; 7] = [
        &[],
        &["setup"],
        &["setup", ""],
        &["setup", "", ""],
        &["setup", "", "", &"ab".repeat(32)],
        &["setup", "", "", "later"],
        &["reboot"],
    ];
    terminal.send(b"\x03");
    terminal.expect("tombolo> ");
    for way in ways {
        for line in way {
            terminal.line(line);
        }
        for broken in ["\u{1b}[A\u{1b}[B", "\u{7}\u{1}", &long] {
            terminal.send(format!("{broken}\r").as_bytes());
            terminal.expect("error: ");
            terminal.expect("> ");
        }
        terminal.send(b"\xff\xfe\xc3\r");
        terminal.expect("error: ");
        terminal.expect("> ");
        // Half a line, then Ctrl-C; twice leads to commands from everywhere.
        terminal.send(b"half a line\x03\x03");
        terminal.expect("> ");
        terminal.send(b"\rhelp lock\r");
        terminal.expect("lock now");
        terminal.expect("tombolo> ");
    }
    // Half a certificate, then the end of the input.
    for line in ["setup", "", ""] {
        terminal.line(line);
    }
    terminal.send(b"-----BEGIN CERTIFICATE-----\rMIIB\r\x04");
    terminal.expect("nothing is changed");
    terminal.expect("tombolo> ");
    assert_eq!(
        fs::read_to_string(alpha.config()).expect("tombolo.toml"),
        before
    );
    terminal.send(b"\x04");
    assert!(terminal.wait_end().success());
}

#[test]
fn a_serial_line_is_locked_by_its_pin_and_never_left() {
    let authority = Authority::new("alpha-ca");
    let alpha = Setup::new("alpha")
        .identity(&authority.issue("alpha"))
        .start();
    let mut terminal = Terminal::open(&alpha, &["--stay"]);
    terminal.expect("> ");
    terminal.line("quit");
    terminal.line("pin set");
    terminal.line("2468");
    terminal.ok("2468");
    terminal.send(b"exit\r");
    terminal.expect("alpha tombolo");
    terminal.expect("PIN> ");
    assert!(terminal.line("1111").contains("error: that is not the PIN"));
    let shown = terminal.line("2468");
    assert!(!shown.contains("2468"), "the PIN is not echoed: {shown}");
    terminal.line("quit");
    // Ctrl-D locks it again.
    terminal.send(b"\x04");
    terminal.expect("PIN> ");
    // Another session on another line asks too.
    let mut other = Terminal::open(&alpha, &[]);
    other.expect("PIN> ");
}

#[test]
fn scripts_see_success_and_the_first_failure() {
    let authority = Authority::new("alpha-ca");
    let alpha = Setup::new("alpha")
        .identity(&authority.issue("alpha"))
        .start();
    let run = |text: &str| alpha.call(["console", "--script", "-"], text);
    let shown =
        run("# a script\nshow\nset node.advertised_host tak.example.org\ncommit\nshow config\n")
            .success();
    assert!(
        shown.contains("advertised_host = \"tak.example.org\""),
        "{shown}"
    );
    assert!(shown.is_ascii() && !shown.contains("tombolo> "), "{shown}");
    let text = fs::read_to_string(alpha.config()).expect("tombolo.toml");
    assert!(text.contains("advertised_host"), "{text}");
    run("rollback\n").success();
    let text = fs::read_to_string(alpha.config()).expect("tombolo.toml");
    assert!(!text.contains("advertised_host"), "{text}");
    for (script, code) in [
        ("explode\n", 64),
        ("set limits.max_clients 99999\ncommit\n", 78),
        ("set node.name x\n", 65),
        ("setup\nx\n", 65),
        ("peer remove nobody\n", 65),
        ("update /nonexistent\n", 69),
    ] {
        let finished = run(script);
        assert_eq!(
            finished.code,
            Some(code),
            "{script}{}{}",
            finished.stdout,
            finished.stderr
        );
        assert!(finished.stderr.contains("tombolo: "), "{}", finished.stderr);
    }
    assert_eq!(
        fs::read_to_string(alpha.config()).expect("tombolo.toml"),
        text
    );
    let missing = alpha.call(["console", "--script", "/nonexistent"], "");
    assert_eq!(missing.code, Some(66));
}

#[test]
fn without_a_running_box_the_files_are_changed() {
    let setup = Setup::new("alpha");
    setup.write();
    let (config, state) = (setup.config(), setup.state());
    let run = |text: &str| {
        let arguments = [
            "--config".as_ref(),
            config.as_os_str(),
            "--state".as_ref(),
            state.as_os_str(),
        ];
        let own = ["console", "--script", "-"].map(std::ffi::OsStr::new);
        ask(tombolo(), arguments.into_iter().chain(own), text)
    };
    let pin = "ab".repeat(32);
    let shown = run(&format!(
        "peer add bravo fingerprint {pin}\nset node.name north\ncommit\npeer list\n"
    ))
    .success();
    assert!(
        shown.contains("counts from the next start") && shown.contains("bravo"),
        "{shown}"
    );
    assert!(
        fs::read_to_string(&config)
            .expect("tombolo.toml")
            .contains("north")
    );
    assert_eq!(run("show\n").code, Some(69));
    assert_eq!(run("set node.name x\ncommit confirm 5\n").code, Some(69));
}

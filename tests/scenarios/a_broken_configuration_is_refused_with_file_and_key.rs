//! A configuration is right, or it is refused with file, line, key and cure; none at all is right too.

use std::fs;

use crate::support::{Finished, Setup, ask, tombolo};

fn run_with(text: &str) -> Finished {
    let setup = Setup::new("alpha");
    fs::write(setup.config(), text).expect("tombolo.toml");
    let (config, state) = (setup.config(), setup.state());
    ask(
        tombolo(),
        [
            "run".as_ref(),
            "--config".as_ref(),
            config.as_os_str(),
            "--state".as_ref(),
            state.as_os_str(),
        ],
        "",
    )
}

#[test]
fn and_exit_code_78() {
    let cases = [
        ("[node]\nnme = \"alpha\"\n", "nme"),
        ("[node]\nname = 7\n", "name"),
        ("[listen]\nclients_tcp = \"here\"\n", "clients_tcp"),
        ("[limits]\nmemory_mib = 0\n", "memory_mib"),
        (
            "[limits]\nmax_clients = \"many\"\n",
            ":2: `max_clients`: \"many\" is text; write a whole number",
        ),
        ("[limits]\nmax_event_kib = -1\n", "max_event_kib"),
        (
            "[[peer]]\nname = \"bravo\"\naddress = \"bravo:9001\"\n",
            "ca_cert",
        ),
        (
            "[[peer]]\nname = \"bravo\"\nfingerprint = \"SHA256:12\"\n",
            "fingerprint",
        ),
        (
            "[[peer]]\nname = \"bravo\"\nca_cert = \"nowhere.pem\"\n",
            "ca_cert",
        ),
        ("[node\n", "tombolo.toml:1"),
    ];
    for (text, key) in cases {
        let finished = run_with(text);
        assert_eq!(finished.code, Some(78), "{text}\n{}", finished.stderr);
        assert!(
            finished.stderr.contains("tombolo.toml"),
            "{text}\n{}",
            finished.stderr
        );
        assert!(finished.stderr.contains(key), "{text}\n{}", finished.stderr);
        assert!(!finished.stderr.contains("panicked"), "{}", finished.stderr);
    }
}

#[test]
fn an_identity_that_is_not_there_is_named_with_its_path() {
    let finished = run_with("[identity]\ncertificate = \"nowhere.pem\"\nkey = \"nowhere.pem\"\n");
    assert_eq!(finished.code, Some(78), "{}", finished.stderr);
    assert!(
        finished.stderr.contains("/nowhere.pem"),
        "{}",
        finished.stderr
    );
}

#[test]
fn bounds_that_do_not_fit_the_memory_are_refused() {
    let finished = run_with("[limits]\nmemory_mib = 8\noutbox_kib = 65536\nwaiting_kib = 262144\n");
    assert_eq!(finished.code, Some(78), "{}", finished.stderr);
    for part in [
        "tombolo.toml: ",
        "raise memory_mib",
        "memory_mib (line 2), outbox_kib (line 3), waiting_kib (line 4)",
    ] {
        assert!(finished.stderr.contains(part), "{}", finished.stderr);
    }
}

#[test]
fn a_state_directory_that_is_a_file_is_said_to_be_one() {
    let setup = Setup::new("alpha");
    setup.write();
    fs::write(setup.state(), "").expect("a file");
    let (config, state) = (setup.config(), setup.state());
    let places = [
        "--config".as_ref(),
        config.as_os_str(),
        "--state".as_ref(),
        state.as_os_str(),
    ];
    let finished = ask(tombolo(), ["run".as_ref()].into_iter().chain(places), "");
    assert_eq!(finished.code, Some(74), "{}", finished.stderr);
    for part in [
        "/state: something of that name is in the way",
        "--state DIR",
    ] {
        assert!(finished.stderr.contains(part), "{}", finished.stderr);
    }
}

#[test]
fn the_template_is_printed_and_accepted() {
    let setup = Setup::new("alpha");
    let template = ask(tombolo(), ["config", "template"], "").success();
    assert!(template.contains("[limits]"), "{template}");
    fs::write(setup.config(), template).expect("tombolo.toml");
    let file = setup.config();
    let checked = ask(
        tombolo(),
        ["config".as_ref(), "check".as_ref(), file.as_os_str()],
        "",
    )
    .success();
    assert!(
        checked.contains("worst case") && checked.contains("valid: "),
        "{checked}"
    );
}

#[test]
fn a_file_that_is_named_must_be_there() {
    // EX_NOINPUT of sysexits.h: there is nothing to be wrong yet.
    let finished = ask(
        tombolo(),
        [
            "run",
            "--config",
            "/nowhere/tombolo.toml",
            "--state",
            "/nowhere",
        ],
        "",
    );
    assert_eq!(finished.code, Some(66), "{}", finished.stderr);
    assert!(
        finished.stderr.contains("/nowhere/tombolo.toml"),
        "{}",
        finished.stderr
    );
}

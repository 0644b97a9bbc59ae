//! A box with no configuration at all makes what it needs, says what it listens on, and what to do next.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::support::{Status, ask, eventually, tombolo};

/// Dropped at the end of the test, whatever happened.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path)
        .expect("it is there")
        .permissions()
        .mode()
        & 0o777
}

/// The customary ports are taken here by whoever comes first, so only the choice of ports is configured.
#[test]
fn it_makes_its_state_and_says_what_to_do() {
    let home = tempfile::tempdir().expect("a directory");
    let (config, state, log) = (
        home.path().join("tombolo.toml"),
        home.path().join("state"),
        home.path().join("log"),
    );
    fs::write(
        &config,
        "[listen]\nclients_tcp = \"127.0.0.1:0\"\nclients_tls = \"127.0.0.1:0\"\nfederation = [\"127.0.0.1:0\"]\n",
    )
    .expect("tombolo.toml");
    let output = File::create(&log).expect("the log");
    let child = Command::new(tombolo())
        .args(["run".as_ref(), "--config".as_ref(), config.as_os_str()])
        .args(["--state".as_ref(), state.as_os_str()])
        .stdin(Stdio::null())
        .stdout(output.try_clone().expect("the log"))
        .stderr(output)
        .spawn()
        .expect("it starts");
    let _running = Running(child);
    let status = eventually("a status", || {
        let arguments = [
            "--state".as_ref(),
            state.as_os_str(),
            "status".as_ref(),
            "--json".as_ref(),
        ];
        let finished = ask(tombolo(), arguments, "");
        (finished.code == Some(0)).then(|| Status::parse(&finished.stdout))
    });
    let said = fs::read_to_string(&log).expect("the log");
    for (label, place) in [("configuration", &config), ("state directory", &state)] {
        let line = format!("{label}: {}", place.display());
        assert!(said.contains(&line), "{line} is not in\n{said}");
    }
    for pointer in [
        "/listen/clients_tcp",
        "/listen/clients_tls",
        "/listen/federation/0",
    ] {
        let address = status.address(pointer);
        assert!(
            said.contains(&address.to_string()),
            "{address} is announced:\n{said}"
        );
    }
    assert!(
        said.contains("SHA256:"),
        "the fingerprint is printed:\n{said}"
    );
    assert!(said.contains("peer add"), "what to do next:\n{said}");
    assert_eq!(mode(&state) & 0o077, 0, "the state is private");
    assert_eq!(mode(&state.join("control.sock")), 0o600);
    let mut keys = 0;
    let mut folders = vec![state];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if fs::read_to_string(&path).is_ok_and(|text| text.contains("PRIVATE KEY")) {
                keys += 1;
                assert_eq!(mode(&path), 0o600, "{}", path.display());
            }
        }
    }
    assert!(keys >= 2, "the authority's key and the box's own");
}

//! Every curl, jq and openssl line of the documents that this project began with, run as it stands there.

use std::path::Path;
use std::process::Command;

use crate::support::tombolo;

#[test]
fn all_of_them_give_what_the_documents_say() {
    if !nix::unistd::geteuid().is_root() {
        println!("skipped: only root can make a network and a table of hosts");
        return;
    }
    for tool in ["curl", "jq", "openssl", "unshare", "python3"] {
        let found = Command::new(tool).arg("--version").output();
        if found.is_err() {
            println!("skipped: there is no {tool}; scripts/test installs it");
            return;
        }
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/seeds.sh");
    let output = Command::new("bash")
        .arg(script)
        .arg(tombolo())
        .output()
        .expect("bash");
    let text = String::from_utf8_lossy(&output.stdout);
    println!("{text}");
    assert!(
        output.status.success() && text.contains("as the documents say"),
        "{text}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

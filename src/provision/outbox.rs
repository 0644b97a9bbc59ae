//! What a source is given back: our certificates for the peers, how the box stands, and what was wrong.

use std::fmt::Write as _;
use std::io;
use std::path::Path;

use rustls_pki_types::UnixTime;

use super::memory::Taken;
use crate::config::Config;
use crate::pki::{Fingerprint, KeyAlgorithm, Own, store};
use crate::update::machine::Machine;
use crate::update::owner::as_owner;

/// Name of the report.
pub const REPORT: &str = "TOMBOLO-REPORT.txt";

/// Files of the outbox with their text.
///
/// # Errors
/// If the configuration or our certificates cannot be read.
pub fn files(
    machine: &Machine,
    config_file: &Path,
    updates: &str,
) -> Result<Vec<(&'static str, String)>, String> {
    // Read as the daemon reads it: root must not open what the daemon may not.
    let opened = as_owner(|| {
        let other = |error: String| io::Error::other(error);
        let config = match config_file.exists() {
            true => Config::load(config_file).map_err(|error| other(error.to_string()))?,
            false => Config::default(),
        };
        let identity = config.identity.as_ref();
        let own = Own::open(
            &machine.state,
            &config.name,
            identity.map(|files| (files.certificate.as_path(), files.key.as_path())),
            KeyAlgorithm::default(),
            UnixTime::now(),
        )
        .map_err(|error| other(error.to_string()))?;
        Ok((config, own))
    });
    let (config, own) = opened.map_err(|error: io::Error| error.to_string())?;
    let issuer = Fingerprint::of(own.issuer());
    let ours = own.identity.fingerprint();
    let fingerprints = format!(
        "name            {}\nfingerprint     {ours}\n                {}\nCA fingerprint  {issuer}\n                {}\n",
        config.name,
        ours.colons(),
        issuer.colons()
    );
    let mut status = format!(
        "{} (Tombolo {})\n{updates}\n{} registered:\n",
        config.name,
        env!("CARGO_PKG_VERSION"),
        match config.peers.len() {
            1 => "1 peer".to_owned(),
            count => format!("{count} peers"),
        }
    );
    for peer in &config.peers {
        let place = peer.address.as_deref().unwrap_or("dials us");
        let paused = if peer.enabled { "" } else { ", paused" };
        let _ = writeln!(status, "  {}: {place}{paused}", peer.name);
    }
    Ok(vec![
        (
            "outbox/ca.pem",
            store::pem(std::slice::from_ref(own.issuer())),
        ),
        (
            "outbox/federation.pem",
            store::pem(&own.identity.chain[..1]),
        ),
        ("outbox/fingerprints.txt", for_notepad(&fingerprints)),
        ("outbox/status.txt", for_notepad(&status)),
    ])
}

/// The report.
pub fn report(mistakes: &[String], taken: &Taken, notes: &[String]) -> String {
    let mut text = "Tombolo report\n\n".to_owned();
    if mistakes.is_empty() {
        text += "All is well.\n";
        let present = [
            (taken.toml.is_some(), "tombolo.toml"),
            (taken.federation.is_some(), "federation.json"),
            (
                taken.identity.is_some(),
                "certs (private keys are taken away from here)",
            ),
            (taken.authorized_keys.is_some(), "authorized_keys"),
        ];
        for (_, what) in present.iter().filter(|(is_there, _)| *is_there) {
            let _ = writeln!(text, "- taken: {what}");
        }
        for name in taken.peers.keys() {
            let _ = writeln!(text, "- taken: peer {name}");
        }
        for name in taken.network.keys() {
            let _ = writeln!(text, "- taken: network/{name}");
        }
    } else {
        text += "NOTHING was taken from here, because of mistakes. The box goes on as it was.\n\
                 Correct them, and put the stick in again or restart the box.\n\n";
        for mistake in mistakes {
            let _ = writeln!(text, "- {mistake}");
        }
    }
    for note in notes {
        let _ = writeln!(text, "\n{note}");
    }
    for_notepad(&text)
}

fn for_notepad(text: &str) -> String {
    let clean = |c: char| if c.is_control() && c != '\n' { ' ' } else { c };
    text.chars()
        .map(clean)
        .collect::<String>()
        .replace('\n', "\r\n")
}

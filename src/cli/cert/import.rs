//! `tombolo cert import`: a certificate with its key that somebody else made, in whatever it came.

use std::io::Write;
use std::path::{Path, PathBuf};

use rustls_pki_types::UnixTime;

use super::labelled;
use crate::cli::local::{Local, LocalError};
use crate::files::{self as disk, fault, private_directory};
use crate::pki::certificate::{Facts, stamp};
use crate::pki::files;
use crate::pki::gather::{Gathered, key_pem};
use crate::pki::store::{display_name, pem};

/// Longest file, bytes.
const MOST_BYTES: u64 = 256 * 1024;

pub(super) fn run(
    names: &[PathBuf],
    password_file: Option<&Path>,
    place: Option<&Path>,
    local: &Local<'_>,
    out: &mut dyn Write,
) -> Result<(), LocalError> {
    let read = |path: &Path| {
        disk::read_bounded(path, MOST_BYTES)
            .map_err(|error| LocalError::Read(path.to_owned(), fault(&error)))
    };
    let mut passwords = Vec::new();
    if let Some(file) = password_file {
        let text = String::from_utf8_lossy(&read(file)?).into_owned();
        passwords.push(text.trim_end_matches(['\r', '\n']).to_owned());
    }
    let mut gathered = Gathered::default();
    for name in names {
        gathered
            .add(&name.display().to_string(), &read(name)?, &passwords)
            .map_err(LocalError::Import)?;
    }
    if !gathered.has_key() {
        return only_authorities(&gathered, names, out);
    }
    let now = UnixTime::now();
    let identity = gathered.identity(now).map_err(LocalError::Import)?;
    let folder = place.map_or_else(|| local.state.join("pki"), Path::to_owned);
    private_directory(&folder).map_err(|error| LocalError::Write(folder.clone(), fault(&error)))?;
    let [certificate, key] = ["identity.pem", "identity.key"].map(|name| folder.join(name));
    // The key first: a power cut leaves no certificate without one.
    for (path, mode, text) in [
        (&key, 0o600, key_pem(&identity.key)),
        (&certificate, 0o644, pem(&identity.chain)),
    ] {
        files::write(path, mode, text.as_bytes())
            .map_err(|error| LocalError::Write(path.clone(), fault(&error)))?;
    }
    writeln!(
        out,
        "name                     {}",
        display_name(&identity.chain[0])
    )?;
    write!(
        out,
        "{}",
        labelled("fingerprint to register", identity.fingerprint())
    )?;
    if let Ok(facts) = Facts::read(&identity.chain[0]) {
        writeln!(out, "valid until              {}", stamp(facts.not_after))?;
        let seconds = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        if facts.not_before > seconds {
            writeln!(
                out,
                "WARNING: it is not valid before {}: is the clock of this box behind?",
                stamp(facts.not_before)
            )?;
        }
    }
    warn_of_passwords(&gathered, out)?;
    let path = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    writeln!(
        out,
        "\nTo use it write this into tombolo.toml, and start the box again:\n\n[identity]\ncertificate = \"{}\"\nkey = \
         \"{}\"",
        path(&certificate).display(),
        path(&key).display()
    )?;
    Ok(())
}

/// A truststore: nothing of ours, but perhaps the CA of a peer.
fn only_authorities(
    gathered: &Gathered,
    names: &[PathBuf],
    out: &mut dyn Write,
) -> Result<(), LocalError> {
    for authority in gathered.authorities() {
        writeln!(out, "CA       {}", display_name(&authority))?;
        write!(
            out,
            "{}",
            labelled(
                "fingerprint (ca_pin)",
                crate::pki::Fingerprint::of(&authority)
            )
        )?;
    }
    for leaf in gathered.certificates.iter() {
        if Facts::read(leaf).is_ok_and(|facts| !facts.authority) {
            writeln!(
                out,
                "leaf     {} (no CA: it may not issue others)",
                display_name(leaf)
            )?;
        }
    }
    warn_of_passwords(gathered, out)?;
    let file = names.first().map(|name| name.display().to_string());
    writeln!(
        out,
        "No private key in it, so it is nobody's identity. To trust a peer by its CA: `tombolo peer add NAME --ca-cert {}`",
        file.unwrap_or_default()
    )?;
    Ok(())
}

fn warn_of_passwords(gathered: &Gathered, out: &mut dyn Write) -> Result<(), LocalError> {
    for name in &gathered.known_passwords {
        writeln!(
            out,
            "WARNING: {name} opens with a password that everybody knows (TAK's atakatak, Java's changeit, or none): \
             whoever has the file has what is in it. Delete it, and give its maker's other files a password of their own"
        )?;
    }
    Ok(())
}

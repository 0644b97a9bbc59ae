//! `tombolo cert revoke` and `tombolo cert crl`: certificates that are good no longer.

use std::io::Write;
use std::path::Path;

use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, UnixTime};

use crate::api::trust::ListStatus;
use crate::cli::local::{Local, LocalError};
use crate::files::fault;
use crate::pki::certificate::stamp;
use crate::pki::crl::CrlFault;
use crate::pki::revocations::{FOLDER, Revocations, Source, load};
use crate::pki::store::revoke::{Issued, hex, unhex};
use crate::pki::{Fingerprint, Own, files};

/// Takes certificates back that our CA issued: by callsign, fingerprint, serial number, or the certificate in a file.
pub(super) fn revoke(who: &str, local: &Local<'_>, out: &mut dyn Write) -> Result<(), LocalError> {
    let own = local.open()?;
    let now = UnixTime::now();
    let found = find(who, &own, now)?;
    let serials: Vec<Vec<u8>> = found.iter().map(|one| one.serial.clone()).collect();
    let count = own.store.revoke(&serials, now)?;
    for one in &found {
        let until = match one.until {
            0 => String::new(),
            until => format!(", valid until {}", stamp(until)),
        };
        writeln!(
            out,
            "revoked  {}  serial number {}{until}",
            one.callsign,
            hex(&one.serial)
        )?;
    }
    match count {
        0 => writeln!(out, "all of them were revoked before")?,
        _ => writeln!(
            out,
            "A box that runs refuses {} from now on, and cuts whoever is connected with it, within a few seconds.",
            if found.len() == 1 { "it" } else { "them" }
        )?,
    }
    Ok(())
}

fn find(who: &str, own: &Own, now: UnixTime) -> Result<Vec<Issued>, LocalError> {
    let file = Path::new(who);
    if file.is_file() {
        let bytes =
            files::read(file).map_err(|error| LocalError::Read(file.to_owned(), fault(&error)))?;
        let certificate = CertificateDer::pem_slice_iter(&bytes)
            .next()
            .and_then(Result::ok)
            .unwrap_or_else(|| CertificateDer::from(bytes.clone()));
        let issued = Issued::of(&certificate).ok_or_else(|| {
            let words = "it is no certificate; give PEM or DER".to_owned();
            LocalError::Read(file.to_owned(), words)
        })?;
        if !own.store.has_issued(&certificate) {
            return Err(LocalError::NotOurs(file.to_owned()));
        }
        return Ok(vec![issued]);
    }
    let known = own.store.issued(now);
    if let Some(serial) = who.strip_prefix("serial:").and_then(unhex) {
        let named = known.iter().find(|one| one.serial == serial).cloned();
        return Ok(vec![named.unwrap_or(Issued {
            serial,
            until: 0,
            fingerprint: Fingerprint([0; 32]),
            callsign: "(not remembered)".to_owned(),
        })]);
    }
    let fingerprint: Option<Fingerprint> = who.parse().ok();
    let found: Vec<Issued> = known
        .iter()
        .filter(|one| one.callsign == who || fingerprint == Some(one.fingerprint))
        .cloned()
        .collect();
    if !found.is_empty() {
        return Ok(found);
    }
    let mut names: Vec<String> = known.into_iter().map(|one| one.callsign).collect();
    names.sort();
    names.dedup();
    Err(LocalError::NotIssued(who.to_owned(), names))
}

/// Shows the lists, or takes one in.
pub(super) fn lists(
    file: Option<&Path>,
    json: bool,
    local: &Local<'_>,
    out: &mut dyn Write,
) -> Result<(), LocalError> {
    let own = local.open()?;
    let mut authorities = own.client_authorities();
    let mut named = Vec::new();
    for peer in local.peers {
        authorities.extend(peer.authorities.iter().cloned());
        if let Some(path) = &peer.trust.crl {
            named.push(Source {
                path: path.clone(),
                authorities: peer.authorities.clone(),
            });
        }
    }
    let folder = local.state.join(FOLDER);
    if let Some(file) = file {
        let list =
            load(file, &authorities).map_err(|fault| LocalError::List(file.to_owned(), fault))?;
        let bytes =
            files::read(file).map_err(|error| LocalError::Read(file.to_owned(), fault(&error)))?;
        let name = file.file_name().unwrap_or_default();
        let place = folder.join(name).with_extension("crl");
        if name == "own.pem" {
            // That name is our own list's.
            return Err(LocalError::List(file.to_owned(), CrlFault::Stranger));
        }
        crate::files::private_directory(&folder)
            .and_then(|()| files::write(&place, 0o644, &bytes))
            .map_err(|error| LocalError::Write(place.clone(), fault(&error)))?;
        writeln!(
            out,
            "taken  {}\n       of {}, {} revoked; a box that runs reads it within a few seconds",
            place.display(),
            list.issuer,
            list.len()
        )?;
        return Ok(());
    }
    let revocations = Revocations::default();
    let folder = Source {
        path: folder,
        authorities,
    };
    revocations.look(&named, Some(&folder), true);
    let now = i64::try_from(UnixTime::now().as_secs()).unwrap_or(i64::MAX);
    let standing = revocations.standing();
    let lists: Vec<ListStatus> = standing
        .iter()
        .map(|one| ListStatus::of(one, now))
        .collect();
    if json {
        let text =
            serde_json::to_string(&lists).map_err(|error| LocalError::Output(error.to_string()))?;
        writeln!(out, "{text}")?;
        return Ok(());
    }
    for list in &lists {
        let due = list.due.as_deref().unwrap_or("never");
        writeln!(out, "{}", list.file)?;
        match list.fault.as_str() {
            "" => writeln!(
                out,
                "  {}: {} revoked, made {}, the next one due {due} ({})",
                list.issuer, list.revoked, list.made, list.state
            )?,
            fault => writeln!(out, "  FAULTY: {fault}")?,
        }
    }
    if lists.is_empty() {
        writeln!(
            out,
            "no revocation lists; `crl = \"FILE\"` in a [[peer]] names one, `tombolo cert crl FILE` takes one in"
        )?;
    }
    Ok(())
}

//! `tombolo cert renew`: the next certificate, before the one in use ends.

use std::io::Write;

use rustls_pki_types::UnixTime;

use super::labelled;
use crate::api::coreconfig::{Pieces, Snippet, keytool_hint};
use crate::cli::local::{Local, LocalError};
use crate::pki::certificate::{Facts, stamp};
use crate::pki::package::file_stem;
use crate::pki::{Fingerprint, Own};
use crate::system::address::host_name;

/// What is to be done about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Renew {
    /// Make the next one, of a new CA or of the old one.
    Make {
        /// A new CA.
        new_ca: bool,
    },
    /// Show it from now on.
    Switch,
    /// Forget it.
    Cancel,
}

pub(super) fn run(order: Renew, local: &Local<'_>, out: &mut dyn Write) -> Result<(), LocalError> {
    if let Some((certificate, _)) = local.identity {
        return Err(LocalError::Elsewhere(certificate.to_owned()));
    }
    let own = local.open()?;
    match order {
        Renew::Make { new_ca } => make(new_ca, own, local, out),
        Renew::Switch => {
            let Some(next) = own.store.next()? else {
                return Err(LocalError::NothingWaits);
            };
            own.store.switch()?;
            write!(out, "{}", labelled("shown from now on", next.fingerprint()))?;
            writeln!(
                out,
                "A box that runs notices within a few seconds; its links come back with the new one."
            )?;
            Ok(())
        }
        Renew::Cancel => {
            match own.store.forget_next()? {
                true => writeln!(out, "forgotten; the certificate in use stays")?,
                false => writeln!(out, "no certificate waits")?,
            }
            Ok(())
        }
    }
}

fn make(new_ca: bool, own: Own, local: &Local<'_>, out: &mut dyn Write) -> Result<(), LocalError> {
    let next = own.store.prepare(new_ca, UnixTime::now())?;
    let until = |own: &crate::pki::Identity| {
        Facts::read(&own.chain[0]).map_or(String::new(), |facts| stamp(facts.not_after))
    };
    writeln!(out, "in use until             {}", until(&own.identity))?;
    writeln!(out, "the next one until       {}", until(&next))?;
    write!(out, "{}", labelled("its fingerprint", next.fingerprint()))?;
    let own = Own {
        identity: next,
        store: own.store,
    };
    write!(
        out,
        "{}",
        labelled("fingerprint of its CA", Fingerprint::of(own.issuer()))
    )?;
    writeln!(
        out,
        "\nThe running box tells the boxes that it is connected with, and shows the next certificate as soon as all \
         enabled\npeers know it. `tombolo status` says for whom it waits; `tombolo cert renew --switch` shows it at once, \
         --cancel forgets it."
    )?;
    let stem = file_stem(local.node_name);
    let pieces = Pieces::of(
        &own,
        local.node_name,
        host_name(),
        local.federation_port,
        true,
    );
    let xml = pieces.write(Snippet::Federate)?;
    writeln!(
        out,
        "\nA TAK Server takes the next certificate for a new federate without groups, unless its CA has them. Before \
         the switch\npaste this into /opt/tak/CoreConfig.xml there, with the groups of the old one in it:\n"
    )?;
    out.write_all(&xml)?;
    writeln!(out)?;
    match new_ca {
        true => writeln!(
            out,
            "\nThe new CA is sent along signed by the old one, so whoever trusts the old one trusts it. Register it all \
             the same\nbefore the old one ends: `tombolo cert export` writes it after the switch.\n  {}",
            keytool_hint(&stem)
        )?,
        false => writeln!(
            out,
            "\nIts CA is the same, so the truststore there stays as it is. If our CA is not in it yet:\n  {}",
            keytool_hint(&stem)
        )?,
    }
    Ok(())
}

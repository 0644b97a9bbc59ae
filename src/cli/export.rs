//! `tombolo export coreconfig`: what a TAK Server's administrator pastes into `CoreConfig.xml`.

use std::io::Write;

use clap::builder::PossibleValuesParser;
use clap::{Args, Subcommand};

use super::local::{Local, LocalError};
use crate::api::coreconfig::{Pieces, Snippet, keytool_hint};
use crate::config::{Peer, Protocol, federation};
use crate::pki::package::file_stem;
use crate::pki::store;
use crate::system::address::host_name;

/// What can be exported.
#[derive(Debug, Clone, Subcommand)]
pub enum ExportArgs {
    /// The federation pieces of a TAK Server's CoreConfig.xml, with our address and fingerprints filled in
    Coreconfig(CoreconfigArgs),
    /// The registered peers as a federation.json, each CA inline
    Federation,
}

/// `export coreconfig`.
#[derive(Debug, Clone, Args)]
pub struct CoreconfigArgs {
    /// The registered peer whose administrator gets it; for one that we dial its own outgoing connection is left out
    pub peer: Option<String>,
    /// Where that server reaches this box; without it our host name
    #[arg(long, value_name = "HOST")]
    pub address: Option<String>,
    /// Which piece
    #[arg(long, value_parser = PossibleValuesParser::new(Snippet::WORDS), default_value = "all")]
    pub snippet: String,
}

/// Runs the command; the XML goes to `out`, hints to `notes`.
///
/// # Errors
/// What is wrong and the cure.
pub fn run(
    args: &ExportArgs,
    local: &Local<'_>,
    out: &mut dyn Write,
    notes: &mut dyn Write,
) -> Result<(), LocalError> {
    let args = match args {
        ExportArgs::Coreconfig(args) => args,
        ExportArgs::Federation => return federation_file(local, out),
    };
    let own = local.open()?;
    let (we_dial, protocol) = match &args.peer {
        Some(name) => {
            let peer = registered(name, local)?;
            (peer.address.is_some(), peer.protocol)
        }
        None => (false, Protocol::V2),
    };
    let address = args.address.clone().unwrap_or_else(host_name);
    let pieces = Pieces::of(
        &own,
        local.node_name,
        address,
        local.federation_port,
        we_dial,
    )
    .speaking(protocol);
    let xml = pieces.write(Snippet::of_word(&args.snippet))?;
    out.write_all(&xml)?;
    writeln!(out)?;
    let stem = file_stem(local.node_name);
    writeln!(
        notes,
        "On the TAK Server: trust our CA (`tombolo cert export` writes {stem}-ca.pem), paste this into \
         /opt/tak/CoreConfig.xml, restart it.\n  {}",
        keytool_hint(&stem)
    )?;
    Ok(())
}

fn federation_file(local: &Local<'_>, out: &mut dyn Write) -> Result<(), LocalError> {
    let authorities = |peer: &Peer| store::pem(&peer.authorities);
    let text = federation::write(local.peers, authorities)
        .map_err(|(peer, fault)| LocalError::NotInFile(peer, fault))?;
    out.write_all(text.as_bytes())?;
    Ok(())
}

fn registered<'a>(name: &str, local: &'a Local<'_>) -> Result<&'a Peer, LocalError> {
    let known = || local.peers.iter().map(|peer| peer.name.clone()).collect();
    let peer = local.peers.iter().find(|peer| peer.name == name);
    peer.ok_or_else(|| LocalError::UnknownPeer(name.to_owned(), known()))
}

#[cfg(test)]
mod tests;

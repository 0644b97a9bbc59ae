//! What both sides of a pairing need: random numbers, bytes of a fixed length, and words.

use ring::rand::{SecureRandom, SystemRandom};

use crate::api::pairing::unhex;
use crate::api::{ErrorCode, Fault};
use crate::pair::{BadShare, NoIntroduction, Terms};

/// What is wrong with an introduction of somebody else.
pub(super) const OTHER_CERTIFICATE: &str = "the certificate, for TLS showed another";

/// `host:port`, IPv6 in brackets.
pub(super) fn joined_host(host: &str, port: u16) -> String {
    match host.contains(':') {
        true => format!("[{host}]:{port}"),
        false => format!("{host}:{port}"),
    }
}

pub(super) fn check_name(terms: &Terms) -> Result<(), Fault> {
    let name = terms.name.as_deref();
    match name.and_then(crate::config::settings::name_fault) {
        None => Ok(()),
        Some(fault) => {
            let words = format!("--name: {fault}; write 1 to 64 printable characters");
            Err(Fault::new(ErrorCode::Argument, words))
        }
    }
}

pub(super) fn random(bytes: &mut [u8]) -> Result<(), Fault> {
    let none = |_| {
        let words = "the system gives no random numbers; try again";
        Fault::new(ErrorCode::Unavailable, words)
    };
    SystemRandom::new().fill(bytes).map_err(none)
}

pub(super) fn fixed<const LENGTH: usize>(key: &str, text: &str) -> Result<[u8; LENGTH], Fault> {
    let bytes = unhex(text, LENGTH).and_then(|bytes| bytes.try_into().ok());
    bytes.ok_or_else(|| {
        let words = format!("{key}: give {LENGTH} bytes, hexadecimal");
        Fault::new(ErrorCode::Argument, words)
    })
}

pub(super) fn bad_share(fault: &BadShare) -> Fault {
    Fault::new(ErrorCode::Argument, format!("share: {fault}"))
}

pub(super) fn used_up(fault: &NoIntroduction) -> Fault {
    Fault::new(ErrorCode::Conflict, format!("{fault}; the code is used up"))
}

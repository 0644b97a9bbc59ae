//! This box as the one at which the code is typed: its two requests to the box that made it.

use std::fmt;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::super::desk::Desk;
use super::steps::{OTHER_CERTIFICATE, bad_share, check_name, fixed, joined_host, random, used_up};
use crate::api::pairing::{Paired, hex, unhex};
use crate::api::{ErrorCode, Fault};
use crate::config::address_with;
use crate::config::settings::API_PORT;
use crate::link::pairing::Line;
use crate::link::tls::pairing_client;
use crate::pair::{CONFIRMATION, Code, Joiner, MOST_SEALED, NoIntroduction, SHARE, Terms};
use crate::pki::Fingerprint;

/// Answers of the other box.
#[derive(Debug, Deserialize)]
struct Begun {
    session: String,
    share: String,
}

#[derive(Debug, Deserialize)]
struct Finished {
    confirmation: String,
    introduction: String,
}

#[derive(Debug, Deserialize)]
struct Problem {
    detail: String,
}

impl Desk {
    /// Pairs with the box that made the code.
    pub(super) fn join(
        &self,
        code: &str,
        host: &str,
        terms: &Terms,
        reachable: bool,
    ) -> Result<Paired, Fault> {
        self.may_change()?;
        check_name(terms)?;
        let code = Code::read(code)
            .map_err(|fault| Fault::new(ErrorCode::Argument, format!("code: {fault}")))?;
        let (host, port) = api_address(host)?;
        let fault = |error: &dyn fmt::Display| {
            let words = format!("{}: {error}", joined_host(&host, port));
            Fault::new(ErrorCode::Unavailable, words)
        };
        let tls = pairing_client(&self.shared.credentials).map_err(|error| fault(&error))?;
        let mut line = Line::open(tls, &host, port).map_err(|error| fault(&error))?;
        if line.certificate() == self.shared.credentials.fingerprint() {
            let words = "host: that is this box itself; give the address of the other one";
            return Err(Fault::new(ErrorCode::Argument, words));
        }
        let mut entropy = [0; 64];
        random(&mut entropy)?;
        let joiner = Joiner::new(&code, &entropy);
        let begin = format!("{{\"share\":\"{}\"}}", hex(joiner.share()));
        let answer = line.post("/api/pair/begin", &begin);
        let begun: Begun = understood(answer.map_err(|error| fault(&error))?)?;
        let share: [u8; SHARE] = fixed("share", &begun.share)?;
        let confirming = joiner.hear(&share, &line.certificate().0);
        let confirming = confirming.map_err(|bad| bad_share(&bad))?;
        let ours = self.introduction(reachable);
        let stopped = |fault: NoIntroduction| Fault::new(ErrorCode::Conflict, fault.to_string());
        let (confirmation, introduction) = confirming.step(&ours).map_err(stopped)?;
        let finish = format!(
            "{{\"session\":{},\"confirmation\":\"{}\",\"introduction\":\"{}\"}}",
            serde_json::Value::from(begun.session),
            hex(&confirmation),
            hex(&introduction)
        );
        let answer = line.post("/api/pair/finish", &finish);
        let finished: Finished = understood(answer.map_err(|error| fault(&error))?)?;
        let confirmation: [u8; CONFIRMATION] = fixed("confirmation", &finished.confirmation)?;
        let sealed = unhex(&finished.introduction, MOST_SEALED).unwrap_or_default();
        let Some(theirs) = confirming.end(&confirmation, &sealed) else {
            tracing::warn!("pairing failed: {host} does not know the code, and says it does");
            let words = "who answers there does not know the code: it is another box, or somebody stands in between; \
                         have a new code made, and look at the network";
            return Err(Fault::new(ErrorCode::Refused, words));
        };
        let theirs = theirs.map_err(|fault| used_up(&fault))?;
        if Fingerprint(theirs.fingerprint) != line.certificate() {
            return Err(used_up(&NoIntroduction::Wrong(OTHER_CERTIFICATE)));
        }
        // The host that was typed is the one that is known to work; what the other box calls itself comes after it.
        let address = theirs.port.map(|port| joined_host(&host, port));
        let further = theirs.port.map_or(Vec::new(), |port| {
            let others = theirs.hosts.iter().filter(|other| **other != host);
            others.map(|other| joined_host(other, port)).collect()
        });
        let mut paired = self.register(&theirs, terms, address, further)?;
        if theirs.port.is_none() {
            paired.remark = match (reachable, ours.port) {
                (true, Some(_)) => "it does not listen for federates, so it dials us",
                _ => {
                    "neither dials the other: it does not listen for federates (listen.federation), and was not told that \
                     it can dial us (--reachable)"
                }
            }
            .to_owned();
        }
        tracing::info!("paired with \"{}\" ({})", paired.name, paired.fingerprint);
        Ok(paired)
    }
}

/// Host and port of the other box's HTTPS API.
fn api_address(text: &str) -> Result<(String, u16), Fault> {
    let bad = |fault: &str| {
        let words =
            format!("host: \"{text}\" {fault}; write a host name or an IP address, or host:port");
        Fault::new(ErrorCode::Argument, words)
    };
    let whole = address_with(text, API_PORT).map_err(bad)?;
    let split = whole.rsplit_once(':');
    let (host, port) = split.ok_or_else(|| bad("is no address"))?;
    let port = port.parse().map_err(|_| bad("has no port"))?;
    Ok((host.trim_matches(['[', ']']).to_owned(), port))
}

/// What the other box answered, or what it says against it.
fn understood<T: DeserializeOwned>((status, body): (u16, Vec<u8>)) -> Result<T, Fault> {
    let garbled = || {
        let words = "the other box answers what this one does not understand; are both of the same release?";
        Fault::new(ErrorCode::Unavailable, words)
    };
    if status == 200 {
        return serde_json::from_slice(&body).map_err(|_| garbled());
    }
    let problem: Problem = serde_json::from_slice(&body).map_err(|_| garbled())?;
    // Words of a stranger: short, and on one line.
    let words: String = problem.detail.chars().take(300).collect();
    let words = words.replace(char::is_control, " ");
    let code = match status {
        403 => ErrorCode::Refused,
        409 => ErrorCode::Conflict,
        429 => ErrorCode::TooMany,
        _ => ErrorCode::Unavailable,
    };
    Err(Fault::new(code, format!("the other box says: {words}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_they_are_typed() {
        for (text, host, port) in [
            ("bravo", "bravo", 8443),
            ("bravo:9", "bravo", 9),
            ("10.0.0.1", "10.0.0.1", 8443),
            ("::1", "::1", 8443),
            ("[::1]:9", "::1", 9),
        ] {
            assert_eq!(api_address(text), Ok((host.to_owned(), port)), "{text}");
        }
        assert!(api_address("https://bravo").is_err());
    }

    #[test]
    fn words_of_a_stranger_are_short_and_on_one_line() {
        let long = format!("{{\"detail\":\"a\\nb\\u001b[1m{}\"}}", "x".repeat(1000));
        let fault = understood::<Begun>((403, long.into_bytes())).unwrap_err();
        assert_eq!(fault.code, ErrorCode::Refused);
        assert!(fault.message.len() < 400, "{fault}");
        assert!(!fault.message.contains(char::is_control), "{fault}");
        let garbled = understood::<Begun>((200, b"<html>".to_vec())).unwrap_err();
        assert_eq!(garbled.code, ErrorCode::Unavailable);
    }
}

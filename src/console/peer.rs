//! `peer add|set ...` as the command line has it, with or without dashes.

use crate::config::written::{Key, Kind, Written};
use crate::config::{Cleared, PeerChange, PeerSpec};

/// What a line asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum PeerCommand {
    List,
    Add {
        peer: PeerSpec,
        replace: bool,
        paste: bool,
    },
    Set {
        change: PeerChange,
        paste: bool,
    },
    Remove(String),
}

/// Reads the words behind `peer`.
///
/// # Errors
/// What is wrong with them.
pub(super) fn read(words: &[String]) -> Result<PeerCommand, String> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        [] | ["list"] => Ok(PeerCommand::List),
        ["add", name, options @ ..] => add(name, options),
        ["set", name, options @ ..] => set(name, options),
        ["pause", name] => Ok(switched(name, false)),
        ["resume", name] => Ok(switched(name, true)),
        ["remove", name] => Ok(PeerCommand::Remove((*name).to_owned())),
        ["add" | "set" | "pause" | "resume" | "remove"] => {
            Err(format!("peer {} needs the NAME of a peer", words[0]))
        }
        _ => Err(
            "write peer list, add, set, pause, resume or remove; `help peer` says more".to_owned(),
        ),
    }
}

fn switched(name: &str, enabled: bool) -> PeerCommand {
    PeerCommand::Set {
        change: PeerChange {
            enabled: Some(enabled),
            ..PeerChange::of(name)
        },
        paste: false,
    }
}

fn add(name: &str, options: &[&str]) -> Result<PeerCommand, String> {
    let mut peer = PeerSpec::of(name);
    let (mut replace, mut paste) = (false, false);
    let mut options = options.iter();
    while let Some(option) = options.next() {
        let mut value = || value(&mut options, option);
        match option.trim_start_matches("--") {
            "address" => peer.address = Some(value()?),
            "fingerprint" => peer.fingerprint = Some(value()?),
            "keepalive-seconds" => peer.keepalive_seconds = Some(number(&value()?)?),
            "no-incoming" => peer.incoming = false,
            "no-outgoing" => peer.outgoing = false,
            "disabled" => peer.enabled = false,
            "replace" => replace = true,
            "ca-cert" => paste = true,
            other => {
                if let (key, Some(written)) = more(other, option, value)? {
                    peer.more.insert(key, written);
                }
            }
        }
    }
    let paste = paste || peer.fingerprint.is_none();
    Ok(PeerCommand::Add {
        peer,
        replace,
        paste,
    })
}

fn set(name: &str, options: &[&str]) -> Result<PeerCommand, String> {
    let mut change = PeerChange::of(name);
    let mut paste = false;
    if options.is_empty() {
        return Err("name what to change; `help peer` says what there is".to_owned());
    }
    let mut options = options.iter();
    while let Some(option) = options.next() {
        let mut value = || value(&mut options, option);
        match option.trim_start_matches("--") {
            "address" => change.address = Some(value()?),
            "fingerprint" => change.fingerprint = Some(value()?),
            "keepalive-seconds" => change.keepalive_seconds = Some(number(&value()?)?),
            "no-address" => change.clear.push(Cleared::Address),
            "no-ca-cert" => change.clear.push(Cleared::CaCert),
            "no-fingerprint" => change.clear.push(Cleared::Fingerprint),
            "incoming" => change.incoming = Some(true),
            "no-incoming" => change.incoming = Some(false),
            "outgoing" => change.outgoing = Some(true),
            "no-outgoing" => change.outgoing = Some(false),
            "enabled" => change.enabled = Some(true),
            "disabled" => change.enabled = Some(false),
            "no-keepalive-seconds" => change.clear.push(Cleared::KeepaliveSeconds),
            "ca-cert" => paste = true,
            other => {
                let (key, written) = more(other, option, value)?;
                change.more.insert(key, written);
            }
        }
    }
    Ok(PeerCommand::Set { change, paste })
}

/// One of the newer keys: a switch alone or with `no-` in front, or a word with its value behind it, or taken away.
fn more(
    word: &str,
    option: &str,
    value: impl FnOnce() -> Result<String, String>,
) -> Result<(String, Option<Written>), String> {
    if let Some(key) = Key::of_option(word) {
        if key.kind == Kind::Switch {
            return Ok((key.key.to_owned(), Some(Written::Switch(true))));
        }
        let text = value()?;
        let written = key.read(&text);
        let written = written.map_err(|fault| format!("{option}: \"{text}\" {fault}"))?;
        return Ok((key.key.to_owned(), Some(written)));
    }
    let off = word.strip_prefix("no-").ok_or_else(|| unknown(option))?;
    match (Key::of_option(off), off) {
        (Some(key), _) if key.kind == Kind::Switch => {
            Ok((key.key.to_owned(), Some(Written::Switch(false))))
        }
        (Some(key), _) => Ok((key.key.to_owned(), None)),
        (None, "filter" | "probe") => Ok((off.to_owned(), None)),
        (None, "fallback") => Ok(("fallback_of".to_owned(), None)),
        _ => Err(unknown(option)),
    }
}

fn number(text: &str) -> Result<u32, String> {
    text.parse()
        .map_err(|_| format!("{text} is no whole number of seconds"))
}

/// The word behind an option.
fn value<'a>(
    words: &mut impl Iterator<Item = &'a &'a str>,
    option: &str,
) -> Result<String, String> {
    words
        .next()
        .map(|&value| value.to_owned())
        .ok_or_else(|| format!("{option} needs a value behind it"))
}

fn unknown(option: &str) -> String {
    format!("{option}: unknown; `help peer` says what there is")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Result<PeerCommand, String> {
        read(&super::super::words::split(line).unwrap())
    }

    #[test]
    fn the_words_of_the_command_line_are_understood() {
        let Ok(PeerCommand::Add {
            peer,
            replace,
            paste,
        }) = words("add bravo --address b:9001 --no-incoming --keepalive-seconds 20 replace")
        else {
            panic!("not understood");
        };
        assert_eq!(peer.address.as_deref(), Some("b:9001"));
        assert!(!peer.incoming && peer.outgoing && replace && paste);
        let Ok(PeerCommand::Add { paste, .. }) = words("add \"two words\" fingerprint ab") else {
            panic!("not understood");
        };
        assert!(!paste);
        let Ok(PeerCommand::Set { change, paste }) = words("set b no-address outgoing ca-cert")
        else {
            panic!("not understood");
        };
        assert_eq!(
            (change.clear.as_slice(), change.outgoing, paste),
            (&[Cleared::Address][..], Some(true), true)
        );
        let Ok(PeerCommand::Set { change, .. }) =
            words("set b no-spool rate \"9600 bit/s\" block-types a-h,b-m no-preset no-probe")
        else {
            panic!("not understood");
        };
        let list = Written::List(vec!["a-h".into(), "b-m".into()]);
        for (key, written) in [
            ("spool", Some(Written::Switch(false))),
            ("rate", Some(Written::Text("9600 bit/s".into()))),
            ("filter.block_types", Some(list)),
            ("filter.preset", None),
            ("probe", None),
        ] {
            assert_eq!(change.more.get(key), Some(&written), "{key}");
        }
        assert_eq!(words("pause b"), Ok(switched("b", false)));
        assert_eq!(words(""), Ok(PeerCommand::List));
    }

    #[test]
    fn anything_else_is_refused_in_words() {
        for line in [
            "add",
            "set b",
            "add b address",
            "add b colour red",
            "explode",
            "set b keepalive-seconds x",
            "set b fallback-seconds x",
            "set b no-colour",
            "remove",
        ] {
            assert!(words(line).is_err(), "{line}");
        }
    }
}

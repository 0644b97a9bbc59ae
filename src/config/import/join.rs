//! What was found, put into the text of `tombolo.toml`: what is there already stays, unless the file is the truth.

use super::found::Found;
use crate::config::candidate::{self, CandidateError};

/// What an import comes to.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Joined {
    /// The new text.
    pub text: String,
    /// Peers that are new.
    pub added: Vec<String>,
    /// Peers that were there: set anew, or left as they were.
    pub there: Vec<String>,
    /// Peers that are gone.
    pub removed: Vec<String>,
    /// Keys that are set now.
    pub set: Vec<String>,
    /// Keys that had another value and keep it.
    pub kept: Vec<String>,
}

/// Puts it into a text. `elsewhere` are names of peers that other files declare.
///
/// # Errors
/// If the text cannot be edited.
pub fn join(
    text: &str,
    found: &Found,
    elsewhere: &[String],
    is_the_truth: bool,
) -> Result<Joined, CandidateError> {
    let mut joined = Joined {
        text: text.to_owned(),
        ..Joined::default()
    };
    for setting in &found.settings {
        let before = candidate::value(&joined.text, setting.key)?;
        let words = format!("{} = {}", setting.key, setting.value);
        match before {
            Some(before) if before.trim() == setting.value.trim() => {}
            Some(_) if !is_the_truth => joined.kept.push(setting.key.to_owned()),
            _ => {
                joined.text = candidate::set(&joined.text, setting.key, &setting.value)?;
                joined.set.push(words);
            }
        }
    }
    peers(&mut joined, found, elsewhere, is_the_truth)?;
    Ok(joined)
}

fn peers(
    joined: &mut Joined,
    found: &Found,
    elsewhere: &[String],
    is_the_truth: bool,
) -> Result<(), CandidateError> {
    let specs = &found.peers;
    let known = candidate::peer_names(&joined.text);
    for spec in specs {
        let is_known = known.contains(&spec.name);
        if is_known || elsewhere.contains(&spec.name) {
            joined.there.push(spec.name.clone());
        } else {
            joined.added.push(spec.name.clone());
        }
        if (!is_known || is_the_truth) && !elsewhere.contains(&spec.name) {
            joined.text = candidate::replace_peer(&joined.text, spec)?;
        }
    }
    let declared = |name: &&String| {
        specs.iter().any(|spec| spec.name == **name) || found.untrusted.contains(name)
    };
    for name in known.iter().filter(|name| is_the_truth && !declared(name)) {
        joined.text = candidate::remove_peer(&joined.text, name)?;
        joined.removed.push(name.clone());
    }
    Ok(())
}

impl Joined {
    /// What was done, in words.
    pub fn in_words(&self, is_the_truth: bool) -> String {
        let there = match is_the_truth {
            true => "set anew",
            false => "there already, left as it is:",
        };
        let parts = [
            ("added", &self.added),
            (there, &self.there),
            ("removed", &self.removed),
            ("set", &self.set),
            ("set already, left as it is:", &self.kept),
        ];
        let parts = parts.into_iter().filter(|(_, names)| !names.is_empty());
        let parts: Vec<String> = parts
            .map(|(what, names)| format!("{what} {}", names.join(", ")))
            .collect();
        match parts.is_empty() {
            true => "nothing to do".to_owned(),
            false => parts.join("; "),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::{Config, PeerSpec};

    fn peers_joined(
        text: &str,
        peers: &[PeerSpec],
        is_the_truth: bool,
    ) -> Result<Joined, CandidateError> {
        let found = Found {
            peers: peers.to_vec(),
            ..Found::default()
        };
        join(text, &found, &[], is_the_truth)
    }

    fn spec(name: &str) -> PeerSpec {
        PeerSpec {
            fingerprint: Some("ab".repeat(32)),
            address: Some(format!("{name}.example:9001")),
            ..PeerSpec::of(name)
        }
    }

    fn peers(text: &str) -> Vec<(String, Option<String>)> {
        let config = Config::read(text, Path::new("t.toml")).unwrap();
        let peers = config.peers.into_iter();
        peers.map(|peer| (peer.name, peer.address)).collect()
    }

    #[test]
    fn what_is_there_stays_unless_the_file_is_the_truth() {
        let here = PeerSpec {
            address: Some("other:9001".into()),
            ..spec("a")
        };
        let text = candidate::add_peer("# mine\n", &here).unwrap();
        let text = candidate::add_peer(&text, &spec("old")).unwrap();
        let specs = [spec("a"), spec("b")];
        let kind = peers_joined(&text, &specs, false).unwrap();
        let address = |name: &str, address: &str| (name.to_owned(), Some(address.to_owned()));
        assert_eq!(
            peers(&kind.text),
            [
                address("a", "other:9001"),
                address("old", "old.example:9001"),
                address("b", "b.example:9001")
            ]
        );
        assert_eq!(
            kind.in_words(false),
            "added b; there already, left as it is: a"
        );
        let strict = peers_joined(&text, &specs, true).unwrap();
        assert_eq!(
            peers(&strict.text),
            [
                address("a", "a.example:9001"),
                address("b", "b.example:9001")
            ]
        );
        assert_eq!(strict.in_words(true), "added b; set anew a; removed old");
        assert!(strict.text.starts_with("# mine\n"), "{}", strict.text);
        // Once more changes nothing.
        assert_eq!(
            peers_joined(&strict.text, &specs, true).unwrap().text,
            strict.text
        );
    }
}

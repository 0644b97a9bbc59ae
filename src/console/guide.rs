//! The first setup: at most six answers from a blank box to one that federates.

use super::ca::Authority;
use super::network::Network;
use super::paste::{self, Paste, Pasted};
use super::text::Page;
use crate::config::settings::name_fault;
use crate::config::{PeerSpec, peer_address};
use crate::pki::Fingerprint;

/// The questions, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Question {
    Name,
    Network,
    Address,
    Authority,
    PeerName,
    Summary,
}

const QUESTIONS: [Question; 6] = [
    Question::Name,
    Question::Network,
    Question::Address,
    Question::Authority,
    Question::PeerName,
    Question::Summary,
];

/// By what the peer is to be known.
#[derive(Debug, Clone, PartialEq, Eq)]
enum KnownBy {
    Later,
    Authority(Box<Authority>),
    Fingerprint(String),
}

/// What was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answers {
    /// The name of this box, when it is to change.
    pub(super) name: Option<String>,
    /// How the network comes; none = as it is.
    pub(super) network: Option<Network>,
    /// The peer, when it is known by something already.
    pub(super) peer: Option<PeerSpec>,
}

/// What an answer led to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// On with the next prompt; what is to be shown before it, and whether it was a fault.
    Next(String),
    /// As before, but the answer was no good.
    Fault(String),
    /// Somebody wants out.
    Quit,
    /// All is answered.
    Finished(Box<Answers>),
}

/// The guide.
#[derive(Debug)]
pub(super) struct Guide {
    at: usize,
    old_name: String,
    name: String,
    /// Whether this machine lets its network be set from here.
    sets_network: bool,
    network: Option<Network>,
    address: Option<String>,
    known_by: KnownBy,
    peer_name: String,
    /// Names that other peers have.
    taken: Vec<String>,
    paste: Paste,
}

impl Guide {
    pub(super) fn new(name: &str, sets_network: bool, taken: Vec<String>) -> Self {
        Self {
            at: 0,
            old_name: name.to_owned(),
            name: name.to_owned(),
            sets_network,
            network: None,
            address: None,
            known_by: KnownBy::Later,
            peer_name: String::new(),
            taken,
            paste: Paste::default(),
        }
    }

    /// What is shown before the first question.
    pub(super) fn greeting() -> String {
        let mut page = Page::new();
        page.line("First setup: six answers. Enter takes what stands in [brackets], ? explains,")
            .line("back goes one question back, quit leaves and changes nothing.");
        page.into_text()
    }

    /// The prompt; none while lines of a certificate come in.
    pub(super) fn prompt(&self) -> Option<String> {
        if self.paste.has_begun() {
            return None;
        }
        let (question, default) = match self.question() {
            Question::Name => ("name of this box", self.name.clone()),
            Question::Network => (
                "network: dhcp, keep, or ADDRESS/PREFIX GATEWAY DNS",
                match &self.network {
                    None => "keep".to_owned(),
                    Some(network) => network.words().replace(" gateway", "").replace(" dns", ""),
                },
            ),
            Question::Address => ("peer's address HOST[:PORT], or none if it dials us", {
                self.address.clone().unwrap_or_else(|| "none".to_owned())
            }),
            Question::Authority => (
                "peer's CA: paste its PEM, or a fingerprint, or later",
                match &self.known_by {
                    KnownBy::Later => "later".to_owned(),
                    KnownBy::Authority(_) => "as pasted".to_owned(),
                    KnownBy::Fingerprint(_) => "as given".to_owned(),
                },
            ),
            Question::PeerName => ("peer's name", self.default_peer_name()),
            Question::Summary => ("is that right: yes or no", String::new()),
        };
        let number = self.at + 1;
        Some(match default.is_empty() {
            true => format!("{number}/6 {question}> "),
            false => format!("{number}/6 {question} [{default}]> "),
        })
    }

    /// Takes a line.
    pub(super) fn answer(&mut self, line: &str) -> Turn {
        let word = line.trim();
        if self.paste.has_begun() {
            if matches!(word, "quit" | "back") {
                self.paste = Paste::default();
                return Turn::Fault("the certificate was not whole and is dropped".to_owned());
            }
            return self.pasted(line);
        }
        match word {
            "quit" => return Turn::Quit,
            "back" => return self.back(),
            "?" | "help" => return Turn::Next(self.help()),
            _ => {}
        }
        match self.question() {
            Question::Name => self.answer_name(word),
            Question::Network => self.answer_network(word),
            Question::Address => self.answer_address(word),
            Question::Authority => self.answer_authority(word),
            Question::PeerName => self.answer_peer_name(word),
            Question::Summary => self.answer_summary(word),
        }
    }

    /// Drops a half pasted certificate (Ctrl-C). Says whether there was one.
    pub(super) fn interrupt(&mut self) -> bool {
        std::mem::take(&mut self.paste).has_begun()
    }

    fn question(&self) -> Question {
        QUESTIONS[self.at.min(QUESTIONS.len() - 1)]
    }

    fn is_asked(&self, question: Question) -> bool {
        match question {
            Question::Network => self.sets_network,
            Question::PeerName => self.known_by != KnownBy::Later,
            _ => true,
        }
    }

    fn next(&mut self) -> Turn {
        let mut page = Page::new();
        while self.at + 1 < QUESTIONS.len() {
            self.at += 1;
            match self.question() {
                Question::Summary => {
                    self.summary(&mut page);
                    break;
                }
                question if self.is_asked(question) => break,
                Question::Network => {
                    page.line("2/6 network: left as it is, this machine's is not set from here");
                }
                _ => {
                    page.line("5/6 peer's name: not needed before its CA is known");
                }
            }
        }
        Turn::Next(page.into_text())
    }

    fn back(&mut self) -> Turn {
        let before = (0..self.at).rev().find(|&at| self.is_asked(QUESTIONS[at]));
        match before {
            Some(at) => {
                self.at = at;
                Turn::Next(String::new())
            }
            None => Turn::Fault("this is the first question; quit leaves".to_owned()),
        }
    }

    fn answer_name(&mut self, word: &str) -> Turn {
        if !word.is_empty() {
            if let Some(fault) = name_fault(word) {
                return Turn::Fault(format!("{fault}; write 1 to 64 printable characters"));
            }
            word.clone_into(&mut self.name);
        }
        self.next()
    }

    fn answer_network(&mut self, word: &str) -> Turn {
        match word {
            "" => {}
            "keep" => self.network = None,
            _ => match Network::read(word) {
                Ok(network) => self.network = Some(network),
                Err(fault) => return Turn::Fault(fault),
            },
        }
        self.next()
    }

    fn answer_address(&mut self, word: &str) -> Turn {
        match word {
            "" => {}
            "none" => self.address = None,
            _ => match peer_address(word) {
                Ok(address) => self.address = Some(address),
                Err(fault) => {
                    return Turn::Fault(format!(
                        "\"{word}\" {fault}; write it as tak.example.org:9001"
                    ));
                }
            },
        }
        self.next()
    }

    fn answer_authority(&mut self, word: &str) -> Turn {
        match word {
            "" => self.next(),
            "later" => {
                self.known_by = KnownBy::Later;
                self.next()
            }
            _ if paste::begins(word) => self.pasted(word),
            _ => match word.parse::<Fingerprint>() {
                Ok(fingerprint) => {
                    self.known_by = KnownBy::Fingerprint(fingerprint.to_string());
                    self.next()
                }
                Err(_) => Turn::Fault(
                    "neither PEM (-----BEGIN CERTIFICATE-----) nor a fingerprint (SHA256:...), nor later"
                        .to_owned(),
                ),
            },
        }
    }

    fn pasted(&mut self, line: &str) -> Turn {
        match self.paste.add(line) {
            Pasted::More => Turn::Next(String::new()),
            Pasted::Fault(fault) => {
                self.paste = Paste::default();
                Turn::Fault(fault)
            }
            Pasted::Whole(authority) => {
                self.paste = Paste::default();
                let mut page = Page::new();
                page.label("CA", &authority.subject)
                    .label("", &authority.fingerprint);
                self.known_by = KnownBy::Authority(Box::new(authority));
                match self.next() {
                    Turn::Next(more) => Turn::Next(page.into_text() + &more),
                    other => other,
                }
            }
        }
    }

    fn answer_peer_name(&mut self, word: &str) -> Turn {
        let name = match word {
            "" => self.default_peer_name(),
            _ => word.to_owned(),
        };
        if let Some(fault) = name_fault(&name) {
            return Turn::Fault(format!("{fault}; write 1 to 64 printable characters"));
        }
        if self.taken.contains(&name) {
            return Turn::Fault(format!("a peer called \"{name}\" is there already"));
        }
        self.peer_name = name;
        self.next()
    }

    fn answer_summary(&mut self, word: &str) -> Turn {
        match word.to_ascii_lowercase().as_str() {
            "yes" | "y" => Turn::Finished(Box::new(self.answers())),
            "no" | "n" => {
                self.at = 0;
                Turn::Next(
                    "from the first question, with what was answered as default\n".to_owned(),
                )
            }
            _ => Turn::Fault("write yes, no, back or quit".to_owned()),
        }
    }

    fn default_peer_name(&self) -> String {
        if !self.peer_name.is_empty() {
            return self.peer_name.clone();
        }
        let from_authority = match &self.known_by {
            KnownBy::Authority(authority) => authority.suggested_name.clone(),
            _ => None,
        };
        let host = || {
            let address = self.address.as_deref()?;
            Some(
                address
                    .rsplit_once(':')
                    .map_or(address, |(host, _)| host)
                    .to_owned(),
            )
        };
        let name = from_authority
            .or_else(host)
            .unwrap_or_else(|| "peer".to_owned());
        match self.taken.contains(&name) {
            true => String::new(),
            false => name,
        }
    }

    fn answers(&self) -> Answers {
        let mut peer = PeerSpec::of(&self.peer_name);
        peer.address.clone_from(&self.address);
        let peer = match &self.known_by {
            KnownBy::Later => None,
            KnownBy::Authority(authority) => {
                peer.ca_pem = Some(authority.pem.clone());
                Some(peer)
            }
            KnownBy::Fingerprint(fingerprint) => {
                peer.fingerprint = Some(fingerprint.clone());
                Some(peer)
            }
        };
        Answers {
            name: Some(self.name.clone()).filter(|name| *name != self.old_name),
            network: self.network.clone(),
            peer,
        }
    }

    fn summary(&self, page: &mut Page) {
        let network = self
            .network
            .as_ref()
            .map_or("as it is".to_owned(), Network::words);
        page.label("name", &self.name).label("network", &network);
        match &self.known_by {
            KnownBy::Later => {
                page.label(
                    "peer",
                    "later: `setup` or `peer add` when its CA is at hand",
                );
            }
            known_by => {
                page.label("peer", &self.peer_name).label(
                    "address",
                    self.address.as_deref().unwrap_or("none: it dials us"),
                );
                match known_by {
                    KnownBy::Authority(authority) => {
                        page.label("its CA", &authority.subject)
                            .label("", &authority.fingerprint);
                    }
                    KnownBy::Fingerprint(fingerprint) => {
                        page.label("fingerprint", fingerprint);
                    }
                    KnownBy::Later => {}
                }
            }
        }
    }

    fn help(&self) -> String {
        let text = match self.question() {
            Question::Name => {
                "What other federates see in their lists: 1 to 64 characters, best a place or a unit."
            }
            Question::Network => {
                "dhcp: the network gives the address. keep: change nothing. Else our address with the length of its \
                 prefix, the gateway and the name servers, such as 10.0.0.2/24 10.0.0.1 10.0.0.1"
            }
            Question::Address => {
                "Where the peer's federation listens (TAK Server: port 9001, also the default). Only one of the two may \
                 dial: none when the peer has our address."
            }
            Question::Authority => {
                "The certificate of the CA that issued the peer's certificate; a tombolo box shows it with `cert export`. \
                 Paste it from its BEGIN line to its END line. Instead of it the SHA-256 fingerprint of the peer's own \
                 certificate will do. later: set the peer up another time; this box's own CA is shown at the end."
            }
            Question::PeerName => "How the peer is called on this box; any name of your choice.",
            Question::Summary => {
                "yes: it is written and taken over; it must be confirmed within ten minutes, else all goes back. no: \
                 through the questions again. quit: nothing is changed."
            }
        };
        let mut page = Page::new();
        page.line(text);
        page.into_text()
    }
}

#[cfg(test)]
mod tests;

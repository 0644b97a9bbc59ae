//! What each command does.

use super::guide::Answers;
use super::help;
use super::order::{Order, PinOrder, SystemOrder};
use super::pair;
use super::paste::Paste;
use super::peer::{self, PeerCommand};
use super::session::{Console, Edit, GuideEnd, Mode, PasteFor, Then};
use super::show;
use super::text::Page;
use super::words;
use crate::api::{ErrorCode, Request};
use crate::config::{PeerChange, candidate};

/// How long what the guide wrote waits for its confirmation, seconds.
const GUIDE_CONFIRM: u32 = 600;
/// Letters of an unknown command that are repeated in the answer.
const MOST_SHOWN: usize = 32;
/// Lines of `log` without a number.
const LOG_LINES: u32 = 20;

impl Console {
    /// Carries out a command line.
    pub(super) fn command(&mut self, line: &str) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            return;
        }
        let words = match words::split(line) {
            Ok(words) => words,
            Err(fault) => return self.fault(ErrorCode::Argument, fault),
        };
        let plain: Vec<&str> = words.iter().map(String::as_str).collect();
        match plain.as_slice() {
            ["help" | "?", rest @ ..] => self.help(rest),
            ["setup"] => self.setup(),
            ["show"] | ["show", "status"] => self.request(Request::Status, Then::Show),
            ["show", what] => self.show(what),
            ["set", key, _, ..] => self.edit(key, Some(words::behind(line, 2))),
            ["unset", key] => self.edit(key, None),
            ["commit"] => self.commit(None),
            ["commit", "confirm", time] => match words::seconds(time) {
                Some(seconds) => self.commit(Some(seconds)),
                None => self.fault(
                    ErrorCode::Argument,
                    "the time is in minutes, such as 5, or 90s, or 1h",
                ),
            },
            ["confirm"] => self.request(Request::ConfigConfirm, Then::Committed),
            ["rollback"] => self.rollback(),
            ["discard"] => {
                self.candidate = None;
                self.base = None;
                self.ok();
            }
            ["peer", ..] => self.peer(&words[1..]),
            ["pair", rest @ ..] => self.pair(rest),
            ["paste", name] => self.paste(PasteFor::Set {
                change: PeerChange::of(name),
            }),
            ["cert"] | ["cert", "show"] => self.order(Order::Look, Then::ShowCertificates),
            ["cert", "export"] => self.order(Order::Look, Then::ExportCertificates),
            ["why", uid] => self.why(uid, None),
            ["why", uid, "peer", peer] => self.why(uid, Some((*peer).to_owned())),
            ["check", peer] => {
                let peer = (*peer).to_owned();
                self.request(Request::Check { peer }, Then::Show);
            }
            ["selftest"] => self.order(Order::Selftest, Then::Show),
            ["log"] => self.log(LOG_LINES),
            ["log", lines] => match lines.parse() {
                Ok(lines) if lines > 0 => self.log(lines),
                _ => self.fault(ErrorCode::Argument, "write how many lines, such as log 20"),
            },
            ["update", "status"] => self.request(Request::UpdateStatus, Then::Show),
            ["update", file] => self.update(file, false),
            ["update", file, "downgrade"] => self.update(file, true),
            ["safe-mode", "leave"] => self.request(Request::SafeLeave, Then::SafeLeft),
            ["reboot"] => self.mode = Mode::Word("reboot", SystemOrder::Reboot),
            ["factory-reset"] => self.mode = Mode::Word("erase", SystemOrder::FactoryReset),
            ["pin", "set"] => self.mode = Mode::NewPin(None),
            ["pin", "clear"] => self.order(Order::Pin(PinOrder::Clear), Then::PinIs(false)),
            ["lock"] => match self.lock.shut() {
                true => self.ok(),
                false => self.fault(
                    ErrorCode::NotFound,
                    "there is no PIN to unlock with; `pin set` makes one",
                ),
            },
            ["exit" | "quit"] => self.exit(),
            [word, ..] => self.unknown(word),
            [] => {}
        }
    }

    fn help(&mut self, words: &[&str]) {
        match help::help(words.first().copied()) {
            Some(text) => {
                self.print(text);
                self.ok();
            }
            None => self.unknown(words.first().copied().unwrap_or_default()),
        }
    }

    fn unknown(&mut self, word: &str) {
        let known = help::COMMANDS.iter().find(|command| command.name == word);
        let word: String = word.chars().take(MOST_SHOWN).collect();
        let words = match (known, help::nearest(&word)) {
            (Some(command), _) => format!("write it as: {} {}", command.name, command.usage),
            (None, Some(meant)) => format!("no command {word}; did you mean {meant}?"),
            (None, None) => format!("no command {word}; `help` lists them"),
        };
        self.fault(ErrorCode::Argument, words.trim_end());
    }

    fn show(&mut self, what: &str) {
        match what {
            "peers" => self.request(Request::PeerList, Then::ShowPeers),
            "config" => self.request(Request::ConfigText, Then::ShowConfig),
            "certs" => self.order(Order::Look, Then::ShowCertificates),
            "clock" => self.order(Order::Look, Then::ShowClock),
            "network" => self.order(Order::Look, Then::ShowNetwork),
            "log" => self.log(LOG_LINES),
            "changes" => {
                let lines = match (&self.base, &self.candidate) {
                    (Some(base), Some(new)) => candidate::difference(&base.text, new),
                    _ => Vec::new(),
                };
                let mut page = Page::new();
                match lines.is_empty() {
                    true => page.line("nothing is set that is not committed"),
                    false => page.verbatim(&lines.join("\n")),
                };
                self.print(page.into_text());
                self.ok();
            }
            _ => self.unknown("show"),
        }
    }

    fn edit(&mut self, key: &str, value: Option<&str>) {
        let edit = Edit {
            key: key.to_owned(),
            value: value.map(str::to_owned),
        };
        match self.candidate.is_some() {
            true => self.apply(edit),
            false => self.request(Request::ConfigText, Then::Edit(edit)),
        }
    }

    /// Changes the candidate, which is there, and has it checked.
    pub(super) fn apply(&mut self, edit: Edit) {
        let Some(before) = self.candidate.clone() else {
            return;
        };
        let changed = match &edit.value {
            Some(value) => candidate::set(&before, &edit.key, value),
            None => candidate::unset(&before, &edit.key),
        };
        match changed {
            Ok(text) => {
                self.candidate = Some(text.clone());
                let then = Then::Checked {
                    key: edit.key,
                    before: Some(before),
                };
                self.request(Request::ConfigCheck { text }, then);
            }
            Err(fault) => self.fault(ErrorCode::Argument, &fault.to_string()),
        }
    }

    fn commit(&mut self, confirm_seconds: Option<u32>) {
        let (true, Some(base), Some(text)) = (self.has_changes(), &self.base, &self.candidate)
        else {
            return self.fault(
                ErrorCode::NotFound,
                "nothing is set that is not committed; `confirm` keeps what waits for it",
            );
        };
        let request = Request::ConfigCommit {
            text: text.clone(),
            confirm_seconds,
            generation: Some(base.generation.clone()),
        };
        self.request(request, Then::Committed);
    }

    fn rollback(&mut self) {
        match self.has_changes() {
            true => self.fault(
                ErrorCode::Conflict,
                "something is set and not committed: `discard` it first",
            ),
            false => self.request(Request::ConfigRollback, Then::Committed),
        }
    }

    fn peer(&mut self, words: &[String]) {
        let command = match peer::read(words) {
            Ok(command) => command,
            Err(fault) => return self.fault(ErrorCode::Argument, &fault),
        };
        if command != PeerCommand::List && self.has_changes() {
            return self.fault(
                ErrorCode::Conflict,
                "something is set and not committed: `commit` or `discard` it first",
            );
        }
        match command {
            PeerCommand::List => self.request(Request::PeerList, Then::ShowPeers),
            PeerCommand::Add {
                peer,
                replace,
                paste: true,
            } => self.paste(PasteFor::Add { peer, replace }),
            PeerCommand::Add { peer, replace, .. } => {
                self.request(Request::PeerAdd { peer, replace }, Then::Show);
            }
            PeerCommand::Set {
                change,
                paste: true,
            } => self.paste(PasteFor::Set { change }),
            PeerCommand::Set { change, .. } => {
                self.request(Request::PeerSet { change }, Then::Show);
            }
            PeerCommand::Remove(name) => self.request(Request::PeerRemove { name }, Then::Show),
        }
    }

    fn pair(&mut self, words: &[&str]) {
        match pair::read(words) {
            Err(fault) => self.fault(ErrorCode::Argument, &fault),
            Ok(_) if self.has_changes() => self.fault(
                ErrorCode::Conflict,
                "something is set and not committed: `commit` or `discard` it first",
            ),
            Ok(request) => self.request(Request::Pair(request), Then::Show),
        }
    }

    fn paste(&mut self, whose: PasteFor) {
        self.mode = Mode::Paste(Paste::default(), whose);
    }

    fn why(&mut self, uid: &str, peer: Option<String>) {
        let uid = uid.to_owned();
        self.request(Request::Why { uid, peer }, Then::Show);
    }

    fn log(&mut self, lines: u32) {
        self.request(Request::Log { lines }, Then::Show);
    }

    fn update(&mut self, file: &str, allow_downgrade: bool) {
        let file = file.to_owned();
        let order = SystemOrder::Update {
            file,
            allow_downgrade,
        };
        self.order(Order::System(order), Then::Show);
    }

    fn exit(&mut self) {
        if self.has_changes() && !self.manner.is_script {
            return self.fault(
                ErrorCode::Conflict,
                "something is set and not committed: `commit` or `discard` it first",
            );
        }
        self.ok();
        self.lock.shut();
        self.leave();
    }

    fn setup(&mut self) {
        match self.has_changes() {
            true => self.fault(
                ErrorCode::Conflict,
                "something is set and not committed: `commit` or `discard` it first",
            ),
            false => self.request(Request::ConfigText, Then::GuideBegins),
        }
    }

    /// Writes down what the guide was told.
    pub(super) fn guide_finished(&mut self, answers: Answers) {
        let Some(base) = &self.base else {
            return;
        };
        let mut text = Ok(base.text.clone());
        if let Some(name) = &answers.name {
            text = text.and_then(|text| candidate::set(&text, "node.name", &quoted(name)));
        }
        if let Some(peer) = &answers.peer {
            text = text.and_then(|text| candidate::add_peer(&text, peer));
        }
        let text = match text {
            Ok(text) => text,
            Err(fault) => return self.fault(ErrorCode::Config, &fault.to_string()),
        };
        let end = GuideEnd {
            network: answers.network,
            peer: answers.peer.map(|peer| peer.name),
            ..GuideEnd::default()
        };
        if text == base.text {
            return self.guide_goes_on(end);
        }
        let request = Request::ConfigCommit {
            text,
            // Nobody could take it back while no box runs.
            confirm_seconds: self.sight.status.is_some().then_some(GUIDE_CONFIRM),
            generation: Some(base.generation.clone()),
        };
        self.request(request, Then::Guide(end));
    }

    /// The next thing that is left to do after the guide.
    pub(super) fn guide_goes_on(&mut self, mut end: GuideEnd) {
        if std::mem::take(&mut end.restarts) {
            self.say("the box starts again for it...");
            self.order(Order::AwaitRestart, Then::Guide(end));
        } else if let Some(network) = end.network.take() {
            let order = Order::System(SystemOrder::Network(network));
            self.order(order, Then::Guide(end));
        } else {
            self.order(Order::Look, Then::Guide(end));
        }
    }

    /// What the guide says last.
    pub(super) fn guide_ends(&mut self, end: &GuideEnd) {
        if let Some(own) = &self.sight.own {
            self.print(show::for_the_peer(own));
        }
        if let Some(peer) = &end.peer {
            self.say(&format!(
                "A peer that does not know it yet refuses us, and is tried again after a minute. At once: \
                 peer pause {peer}, then peer resume {peer}."
            ));
        }
        if let Some(seconds) = end.unconfirmed_seconds {
            self.say(&format!(
                "NOT CONFIRMED YET: type confirm within {} min, else the box goes back to what it was.",
                seconds.div_ceil(60)
            ));
        }
        self.ok();
    }

    pub(super) fn request(&mut self, request: Request, then: Then) {
        self.order(Order::Request(request), then);
    }
}

/// A name as TOML text, so that no name is taken for anything else.
fn quoted(name: &str) -> String {
    let escaped = name.replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{escaped}\"")
}

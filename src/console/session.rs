//! One session at the console: which prompt stands, and what a line means there.

use super::guide::{Answers, Guide, Turn};
use super::lock::{Lock, pin_fault};
use super::network::Network;
use super::order::{Action, Input, Order, PinOrder, Sight, SystemOrder};
use super::paste::{self, Paste, Pasted};
use super::text::Page;
use crate::api::{ConfigText, ErrorCode, Fault, Request};
use crate::config::{PeerChange, PeerSpec};

/// The prompt for commands.
const PROMPT: &str = "tombolo> ";

/// How the console is used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Manner {
    /// Commands come from a file: no banner, no guide of its own accord.
    pub is_script: bool,
    /// It stands on a line of its own: `exit` begins anew.
    pub stays: bool,
}

/// The console.
#[derive(Debug)]
pub struct Console {
    pub(super) manner: Manner,
    pub(super) mode: Mode,
    /// What the outstanding answer is for.
    pub(super) then: Option<Then>,
    /// What the candidate began as.
    pub(super) base: Option<ConfigText>,
    /// The text with what was set and not committed.
    pub(super) candidate: Option<String>,
    pub(super) lock: Lock,
    pub(super) sight: Sight,
    /// The rest of a certificate that was refused is still coming.
    swallows: bool,
    actions: Vec<Action>,
    failure: Option<Fault>,
}

/// What the next line is.
#[derive(Debug)]
pub(super) enum Mode {
    Command,
    Guide(Box<Guide>),
    Paste(Paste, PasteFor),
    /// The word that must be typed before this is done.
    Word(&'static str, SystemOrder),
    /// A new PIN, and its first time.
    NewPin(Option<String>),
}

/// Whose CA is pasted.
#[derive(Debug)]
pub(super) enum PasteFor {
    Add { peer: PeerSpec, replace: bool },
    Set { change: PeerChange },
}

/// What an answer is for.
#[derive(Debug)]
pub(super) enum Then {
    Start,
    Unlock,
    /// Show what comes.
    Show,
    ShowClock,
    ShowNetwork,
    ShowConfig,
    ShowPeers,
    ShowCertificates,
    ExportCertificates,
    /// The text is there: change it.
    Edit(Edit),
    /// The change is checked; what was before it.
    Checked {
        key: String,
        before: Option<String>,
    },
    Committed,
    Restarted,
    SafeLeft,
    GuideBegins,
    GuideAnswered(Answers),
    Guide(GuideEnd),
    PinIs(bool),
}

/// A change of the candidate.
#[derive(Debug, Clone)]
pub(super) struct Edit {
    pub(super) key: String,
    /// None takes the key out.
    pub(super) value: Option<String>,
}

/// What is left to do after the guide.
#[derive(Debug, Clone, Default)]
pub(super) struct GuideEnd {
    pub(super) restarts: bool,
    pub(super) network: Option<Network>,
    /// The peer that was added.
    pub(super) peer: Option<String>,
    pub(super) unconfirmed_seconds: Option<u32>,
}

impl Console {
    /// A console that has not begun.
    pub fn new(manner: Manner) -> Self {
        Self {
            manner,
            mode: Mode::Command,
            then: None,
            base: None,
            candidate: None,
            lock: Lock::default(),
            sight: Sight::default(),
            swallows: false,
            actions: Vec::new(),
            failure: None,
        }
    }

    /// What is to be done first.
    pub fn start(&mut self) -> Vec<Action> {
        self.order(Order::Look, Then::Start);
        self.done()
    }

    /// The prompt that stands, and whether what is typed is a secret; none while lines of a certificate come in.
    pub fn prompt(&self) -> Option<(String, bool)> {
        if self.lock.is_locked {
            return Some(("PIN> ".to_owned(), true));
        }
        if self.swallows {
            return None;
        }
        let text = match &self.mode {
            Mode::Command => PROMPT.to_owned(),
            Mode::Guide(guide) => super::text::ascii(&guide.prompt()?),
            Mode::Paste(paste, _) if paste.has_begun() => return None,
            Mode::Paste(..) => "paste the CA certificate, BEGIN to END line> ".to_owned(),
            Mode::Word(word, _) => format!("type {word} to do it> "),
            Mode::NewPin(None) => return Some(("new PIN> ".to_owned(), true)),
            Mode::NewPin(Some(_)) => return Some(("the same again> ".to_owned(), true)),
        };
        Some((text, false))
    }

    /// Why the last command was not carried out; taken away by asking.
    pub fn failure(&mut self) -> Option<Fault> {
        self.failure.take()
    }

    /// A question is open: the next line is no command.
    pub fn is_asking(&self) -> bool {
        !matches!(self.mode, Mode::Command) || self.swallows
    }

    /// A key in the candidate waits for its commit.
    pub fn has_changes(&self) -> bool {
        match (&self.base, &self.candidate) {
            (Some(base), Some(candidate)) => base.text != *candidate,
            _ => false,
        }
    }

    /// Takes what came from the terminal. `now_ms` is a monotonic time.
    pub fn input(&mut self, input: Input, now_ms: u64) -> Vec<Action> {
        match input {
            Input::Line(line) if is_plain(&line) => self.line(&line, now_ms),
            Input::Line(_) => {
                self.bad("that holds control characters, as arrow keys send; type it again");
            }
            Input::TooLong => self.bad("that line is too long"),
            Input::NotText => self.bad("that is not UTF-8 text"),
            Input::Interrupt => self.interrupt(),
            Input::End => self.end(),
            Input::Idle => {
                if !self.lock.is_locked && self.lock.shut() {
                    self.mode = Mode::Command;
                    self.say("\nnobody typed anything: locked");
                }
            }
        }
        self.done()
    }

    fn line(&mut self, line: &str, now_ms: u64) {
        if self.lock.is_locked {
            return self.unlock(line, now_ms);
        }
        if self.swallows {
            // A person who is stuck here presses Enter.
            self.swallows = !paste::ends(line) && !line.trim().is_empty();
            return;
        }
        let takes_pem = matches!(self.mode, Mode::Guide(_) | Mode::Paste(..));
        if paste::begins(line) && !takes_pem {
            self.swallows = true;
            return self.bad("no certificate is asked for here; `paste NAME` takes that of a peer");
        }
        match std::mem::replace(&mut self.mode, Mode::Command) {
            Mode::Command => self.command(line),
            Mode::Guide(guide) => self.guide(guide, line),
            Mode::Paste(paste, whose) => self.pasted(paste, whose, line),
            Mode::Word(word, order) => match line.trim() == word {
                true => self.order(Order::System(order), Then::Show),
                false => self.fault(
                    ErrorCode::Argument,
                    "another word was typed: nothing is done",
                ),
            },
            Mode::NewPin(first) => self.new_pin(first, line),
        }
    }

    fn guide(&mut self, mut guide: Box<Guide>, line: &str) {
        let in_paste = guide.prompt().is_none() && !matches!(line.trim(), "quit" | "back");
        match guide.answer(line) {
            Turn::Next(text) => {
                self.print(text);
                self.mode = Mode::Guide(guide);
            }
            Turn::Fault(fault) => {
                self.say(&format!("error: {fault}"));
                self.swallows = (in_paste || paste::begins(line)) && !paste::ends(line);
                self.mode = Mode::Guide(guide);
            }
            Turn::Quit => {
                self.say("nothing is changed; `setup` begins again, `help` lists the commands");
                self.ok();
            }
            // The box may have come up, or gone, since the banner.
            Turn::Finished(answers) => self.order(Order::Look, Then::GuideAnswered(*answers)),
        }
    }

    fn pasted(&mut self, mut paste: Paste, whose: PasteFor, line: &str) {
        if matches!(line.trim(), "quit" | "back") {
            return self.fault(ErrorCode::Argument, "nothing is changed");
        }
        match paste.add(line) {
            Pasted::More if !paste.has_begun() && !line.trim().is_empty() => {
                self.fault(
                    ErrorCode::Argument,
                    "no certificate; it begins with a line -----BEGIN CERTIFICATE-----",
                );
            }
            Pasted::More => self.mode = Mode::Paste(paste, whose),
            Pasted::Fault(fault) => {
                self.swallows = !paste::ends(line);
                self.fault(ErrorCode::Invalid, &fault);
            }
            Pasted::Whole(authority) => {
                let mut page = Page::new();
                page.label("CA", &authority.subject)
                    .label("", &authority.fingerprint);
                self.print(page.into_text());
                let request = match whose {
                    PasteFor::Add { mut peer, replace } => {
                        peer.ca_pem = Some(authority.pem);
                        Request::PeerAdd { peer, replace }
                    }
                    PasteFor::Set { mut change } => {
                        change.ca_pem = Some(authority.pem);
                        Request::PeerSet { change }
                    }
                };
                self.order(Order::Request(request), Then::Show);
            }
        }
    }

    fn new_pin(&mut self, first: Option<String>, line: &str) {
        match first {
            None => match pin_fault(line) {
                Some(fault) => self.fault(ErrorCode::Argument, &fault),
                None => self.mode = Mode::NewPin(Some(line.to_owned())),
            },
            Some(first) if first == line => {
                self.order(Order::Pin(PinOrder::Set(first)), Then::PinIs(true));
            }
            Some(_) => self.fault(ErrorCode::Argument, "that was not the same: no PIN is set"),
        }
    }

    fn unlock(&mut self, line: &str, now_ms: u64) {
        if let Some(seconds) = self.lock.wait_seconds(now_ms) {
            let words = format!("too many wrong PINs: wait {seconds} s");
            return self.fault(ErrorCode::Unavailable, &words);
        }
        if !line.is_empty() {
            self.order(Order::Pin(PinOrder::Verify(line.to_owned())), Then::Unlock);
        }
    }

    fn interrupt(&mut self) {
        self.swallows = false;
        let dropped_paste = match &mut self.mode {
            Mode::Guide(guide) => guide.interrupt(),
            _ => false,
        };
        match &self.mode {
            // A half pasted certificate is dropped first, the guide second.
            _ if dropped_paste => self.say("\nthe certificate is dropped"),
            Mode::Command => self.print("\n".to_owned()),
            _ => {
                self.mode = Mode::Command;
                self.say("\ndropped: nothing is changed");
            }
        }
    }

    fn end(&mut self) {
        let was_command = matches!(self.mode, Mode::Command) && !self.swallows;
        self.swallows = false;
        self.mode = Mode::Command;
        match was_command || self.manner.is_script {
            true => self.leave(),
            false => self.say("\ndropped: nothing is changed"),
        }
    }

    /// Leaves, or begins anew where the console stands on a line of its own.
    pub(super) fn leave(&mut self) {
        if !self.manner.stays {
            self.actions.push(Action::Leave);
            return;
        }
        self.print("\n".to_owned());
        self.candidate = None;
        self.base = None;
        self.order(Order::Look, Then::Start);
    }

    fn bad(&mut self, words: &str) {
        if let Mode::Guide(guide) = &mut self.mode {
            self.swallows |= guide.interrupt();
            return self.say(&format!("error: {words}"));
        }
        self.swallows |= matches!(&self.mode, Mode::Paste(paste, _) if paste.has_begun());
        self.mode = Mode::Command;
        self.fault(ErrorCode::Argument, words);
    }

    pub(super) fn print(&mut self, text: String) {
        if !text.is_empty() {
            self.actions.push(Action::Print(text));
        }
    }

    /// A paragraph, after as many line ends as stand in front of it.
    pub(super) fn say(&mut self, text: &str) {
        let words = text.trim_start_matches('\n');
        let mut page = Page::new();
        page.line(words);
        let ends = "\n".repeat(text.len() - words.len());
        self.print(ends + &page.into_text());
    }

    /// The last line of a command that was carried out.
    pub(super) fn ok(&mut self) {
        self.print("ok\n".to_owned());
    }

    /// The last line of one that was not.
    pub(super) fn fault(&mut self, code: ErrorCode, words: &str) {
        self.fail(Fault::new(code, words));
    }

    pub(super) fn fail(&mut self, fault: Fault) {
        // One paragraph, whatever it is made of: scripts look for the line that begins with it.
        let words = fault
            .message
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ");
        self.say(&format!("error: {words}"));
        self.failure = Some(fault);
    }

    pub(super) fn order(&mut self, order: Order, then: Then) {
        self.then = Some(then);
        self.actions.push(Action::Order(order));
    }

    pub(super) fn done(&mut self) -> Vec<Action> {
        std::mem::take(&mut self.actions)
    }
}

fn is_plain(line: &str) -> bool {
    line.chars()
        .all(|letter| letter == '\t' || !letter.is_control())
}

//! Whole sessions against a small box in memory that keeps its text as the real one does.

mod broken;

use super::*;
use crate::api::{Committed, ConfigText, ErrorCode, Fault, PeerEntry, Request, Response};
use crate::config::authority::tests::certificate;
use crate::config::{Config, candidate, transaction};
use std::path::Path;

/// Answers as `cli::console` does, without files and sockets.
struct World {
    console: Console,
    shown: String,
    text: String,
    orders: Vec<Order>,
    pin: Option<String>,
    is_running: bool,
    hears_requests: bool,
    now_ms: u64,
    has_left: bool,
}

impl World {
    fn new(text: &str, manner: Manner) -> Self {
        let mut world = Self {
            console: Console::new(manner),
            shown: String::new(),
            text: text.to_owned(),
            orders: Vec::new(),
            pin: None,
            is_running: true,
            hears_requests: true,
            now_ms: 0,
            has_left: false,
        };
        world.begin();
        world
    }

    fn begin(&mut self) {
        let actions = self.console.start();
        self.perform(actions);
    }

    fn perform(&mut self, actions: Vec<Action>) {
        let mut actions = std::collections::VecDeque::from(actions);
        while let Some(action) = actions.pop_front() {
            match action {
                Action::Print(text) => self.shown += &text,
                Action::Leave => self.has_left = true,
                Action::Order(order) => {
                    assert!(actions.is_empty(), "an order is the last");
                    let answer = self.answer(&order);
                    self.orders.push(order);
                    actions.extend(self.console.answer(answer, self.now_ms));
                }
            }
        }
    }

    fn answer(&mut self, order: &Order) -> Answer {
        let failed = |code, words: &str| Answer::Failed(Fault::new(code, words));
        match order {
            Order::Request(request) => self
                .response(request)
                .map_or_else(Answer::Failed, Answer::Response),
            Order::Look => Answer::Sight(Box::new(Sight {
                name: "alpha".into(),
                peers: Some(candidate::peer_names(&self.text).len()),
                status: self.is_running.then(crate::api::status::tests::example),
                hears_requests: self.hears_requests,
                has_pin: self.pin.is_some(),
                own: Some(OwnCertificates {
                    fingerprint: format!("SHA256:{}", "AB".repeat(32)),
                    authority_pem: certificate("alpha", true),
                    ..OwnCertificates::default()
                }),
                mistakes: vec!["tombolo.toml:3: \u{e9}".into()],
                ..Sight::default()
            })),
            Order::Selftest => Answer::Checks(vec![
                Check {
                    what: "one".into(),
                    fault: None,
                },
                Check {
                    what: "two".into(),
                    fault: Some("it \u{2014} is broken".into()),
                },
            ]),
            Order::AwaitRestart => Answer::Done("the box is back".into()),
            Order::System(_) if !self.hears_requests => {
                failed(ErrorCode::Unavailable, "not on this machine")
            }
            Order::System(_) => Answer::Done("asked for".into()),
            Order::Pin(PinOrder::Set(pin)) => {
                self.pin = Some(pin.clone());
                Answer::Done("set".into())
            }
            Order::Pin(PinOrder::Clear) => {
                self.pin = None;
                Answer::Done("gone".into())
            }
            Order::Pin(PinOrder::Verify(pin)) => match self.pin.as_ref() == Some(pin) {
                true => Answer::Done(String::new()),
                false => failed(ErrorCode::Argument, "that is not the PIN"),
            },
        }
    }

    fn response(&mut self, request: &Request) -> Result<Response, Fault> {
        let committed = |unconfirmed_seconds| {
            Ok(Response::Committed(Committed {
                words: "taken over".into(),
                restarts: false,
                unconfirmed_seconds,
            }))
        };
        match request {
            Request::Status if self.is_running => Ok(Response::Status(Box::new(
                crate::api::status::tests::example(),
            ))),
            Request::ConfigText => Ok(Response::Config(ConfigText {
                file: "tombolo.toml".into(),
                text: self.text.clone(),
                generation: transaction::generation(&self.text),
                unconfirmed_seconds: None,
                has_previous: false,
            })),
            Request::ConfigCheck { text } => {
                let faults = crate::supervise::changes::check(text, Path::new("tombolo.toml"));
                Ok(Response::Checked(faults.err().into_iter().collect()))
            }
            Request::ConfigCommit {
                text,
                confirm_seconds,
                generation,
            } => {
                assert_eq!(
                    generation.as_deref(),
                    Some(transaction::generation(&self.text).as_str())
                );
                crate::supervise::changes::check(text, Path::new("tombolo.toml"))
                    .map_err(|fault| Fault::new(ErrorCode::Config, fault.message))?;
                self.text.clone_from(text);
                committed(*confirm_seconds)
            }
            Request::ConfigConfirm | Request::ConfigRollback => committed(None),
            Request::PeerList => {
                let config = Config::parse(&self.text, Path::new("")).unwrap();
                Ok(Response::Peers(
                    config
                        .peers
                        .iter()
                        .map(|peer| PeerEntry::new(peer, None))
                        .collect(),
                ))
            }
            Request::Log { lines } => Ok(Response::Log(vec![
                "line \u{e9}".into();
                *lines as usize % 9
            ])),
            _ if self.is_running => Ok(Response::Done("done".into())),
            _ => Err(Fault::new(ErrorCode::Unavailable, "no box is running")),
        }
    }

    fn input(&mut self, input: Input) -> String {
        self.shown.clear();
        let actions = self.console.input(input, self.now_ms);
        self.perform(actions);
        self.shown.clone()
    }

    fn line(&mut self, line: &str) -> String {
        self.input(Input::Line(line.into()))
    }

    fn lines(&mut self, text: &str) -> String {
        text.lines().map(|line| self.line(line)).collect()
    }

    #[track_caller]
    fn prompt_is(&self, wanted: &str) {
        let prompt = self.console.prompt().map(|(text, _)| text);
        assert_eq!(prompt.as_deref(), Some(wanted), "{}", self.shown);
    }
}

const PEER: &str = "[[peer]]\nname = \"bravo\"\nfingerprint = \"ABABABABABABABABABABABABABABABABABABABABABABABABABABABABABABABAB\"\n";

fn script(text: &str) -> World {
    World::new(
        text,
        Manner {
            is_script: true,
            stays: false,
        },
    )
}

#[test]
fn a_blank_box_is_guided_from_the_first_question_to_the_commit() {
    let mut world = World::new("# mine\n", Manner::default());
    assert!(world.shown.contains("First setup") && world.shown.contains("MISTAKE"));
    let pem = certificate("bravo CA 0011aabb", true);
    let shown = world.lines(&format!(
        "north\ndhcp\n10.0.0.9\n{}\n \nyes",
        pem.trim_end()
    ));
    assert!(
        shown.ends_with("ok\n") && shown.contains("-----BEGIN CERTIFICATE-----"),
        "{shown}"
    );
    assert!(shown.contains("type confirm within 10 min"), "{shown}");
    world.prompt_is("tombolo> ");
    let config = Config::parse(&world.text, Path::new("")).unwrap();
    assert_eq!(
        (config.name.as_str(), config.peers[0].name.as_str()),
        ("north", "bravo")
    );
    assert!(world.text.starts_with("# mine\n"));
    assert!(
        world
            .orders
            .iter()
            .any(|order| matches!(order, Order::System(SystemOrder::Network(_))))
    );
    assert!(world.line("confirm").ends_with("ok\n"));
}

#[test]
fn a_box_with_peers_gets_a_prompt_and_setup_asks_again() {
    let mut world = World::new(PEER, Manner::default());
    world.prompt_is("tombolo> ");
    world.line("setup");
    world.prompt_is("1/6 name of this box [alpha]> ");
    assert!(world.line("quit").ends_with("ok\n"));
    assert_eq!(world.text, PEER);
}

#[test]
fn the_guide_goes_on_when_the_network_is_not_set_and_works_without_a_box() {
    let mut world = World::new("", Manner::default());
    world.is_running = false;
    world.hears_requests = false;
    world.begin();
    let shown = world.lines(&format!("north\ndhcp\n \n{}\nbravo\nyes", "ab".repeat(32)));
    assert!(
        shown.contains("NOT DONE: not on this machine") || !shown.contains("NOT CONFIRMED"),
        "{shown}"
    );
    assert!(world.text.contains("north"), "{}\n{shown}", world.text);
    let unasked = world.orders.iter().all(|order| {
        !matches!(
            order,
            Order::Request(Request::ConfigCommit {
                confirm_seconds: Some(_),
                ..
            })
        )
    });
    assert!(unasked, "nobody could take it back");
}

#[test]
fn keys_are_set_checked_shown_and_committed() {
    let mut world = script(PEER);
    assert!(world.line("commit").contains("error: nothing is set"));
    assert!(world.line("set node.name \"two words\"").ends_with("ok\n"));
    assert!(
        world
            .line("set node.nam x")
            .contains("error: tombolo.toml:")
    );
    assert!(world.line("set limits.memory_mib 1").contains("error: "));
    assert!(world.line("set peer.bravo.enabled false").ends_with("ok\n"));
    let shown = world.line("show changes");
    assert!(
        shown.contains("+ name = \"two words\"") && shown.contains("+ enabled = false"),
        "{shown}"
    );
    assert!(
        world
            .line("peer remove bravo")
            .contains("error: something is set")
    );
    assert!(world.line("rollback").contains("error: something is set"));
    assert!(world.console.has_changes());
    assert!(
        world
            .line("commit confirm soon")
            .contains("error: the time")
    );
    let shown = world.line("commit confirm 90s");
    assert!(
        shown.contains("type confirm within 90 s") && shown.ends_with("ok\n"),
        "{shown}"
    );
    assert!(!world.console.has_changes() && world.text.contains("enabled = false"));
    world.line("unset peer.bravo.enabled");
    world.line("discard");
    assert!(world.line("show changes").contains("nothing is set"));
    assert!(world.console.failure().is_some() && world.console.failure().is_none());
}

#[test]
fn a_value_that_becomes_valid_with_another_is_kept_with_a_word() {
    let mut world = script("");
    let shown = world.line("set limits.max_event_kib 1024");
    assert!(
        shown.contains("not valid yet: ") && shown.ends_with("ok\n"),
        "{shown}"
    );
    assert!(world.line("commit").contains("error: "));
}

#[test]
fn peers_come_with_a_pasted_authority() {
    let mut world = script("");
    world.line("peer add bravo address 10.0.0.2");
    world.prompt_is("paste the CA certificate, BEGIN to END line> ");
    assert!(world.lines(&certificate("bravo", true)).ends_with("ok\n"));
    let Some(Order::Request(Request::PeerAdd {
        peer,
        replace: false,
    })) = world.orders.last()
    else {
        panic!("{:?}", world.orders.last());
    };
    assert!(peer.ca_pem.is_some() && peer.address.as_deref() == Some("10.0.0.2"));
    world.line("paste bravo");
    let shown = world.lines(&certificate("leaf", false));
    assert!(shown.contains("is a leaf, not a CA"), "{shown}");
    world.prompt_is("tombolo> ");
    // A certificate that nobody asked for runs into nothing.
    let shown = world.lines(&certificate("bravo", true));
    assert_eq!(shown.matches("error:").count(), 1, "{shown}");
    world.prompt_is("tombolo> ");
}

#[test]
fn a_pin_locks_and_wrong_ones_wait() {
    let mut world = World::new(
        PEER,
        Manner {
            is_script: false,
            stays: true,
        },
    );
    assert!(world.line("lock").contains("error: there is no PIN"));
    world.lines("pin set\n12");
    world.prompt_is("tombolo> ");
    assert!(
        world
            .lines("pin set\n1234\n4321")
            .contains("error: that was not the same")
    );
    world.lines("pin set\n1234\n1234");
    world.line("exit");
    assert_eq!(world.console.prompt(), Some(("PIN> ".into(), true)));
    for _ in 0..5 {
        assert!(world.line("0000").contains("error: that is not the PIN"));
    }
    assert!(
        world
            .line("1234")
            .contains("error: too many wrong PINs: wait 5 s")
    );
    for input in [
        Input::Interrupt,
        Input::End,
        Input::Idle,
        Input::TooLong,
        Input::NotText,
    ] {
        world.input(input);
        assert_eq!(world.console.prompt(), Some(("PIN> ".into(), true)));
    }
    world.now_ms += 600_000;
    assert!(world.line("1234").contains("ok\n"));
    world.prompt_is("tombolo> ");
    world.line("set node.name x");
    world.input(Input::Idle);
    assert_eq!(world.console.prompt(), Some(("PIN> ".into(), true)));
    assert!(!world.has_left);
    world.line("1234");
    world.line("pin clear");
    assert!(world.line("lock").contains("error:"));
}

#[test]
fn dangerous_commands_want_their_word() {
    let mut world = script(PEER);
    world.line("factory-reset");
    world.prompt_is("type erase to do it> ");
    assert!(world.line("yes").contains("error: another word"));
    world.line("reboot");
    assert!(world.line("reboot").ends_with("ok\n"));
    let asked: Vec<&Order> = world
        .orders
        .iter()
        .filter(|order| matches!(order, Order::System(_)))
        .collect();
    assert_eq!(asked, [&Order::System(SystemOrder::Reboot)]);
    world.hears_requests = false;
    assert!(
        world
            .lines("reboot\nreboot")
            .contains("error: not on this machine")
    );
}

#[test]
fn every_command_of_the_help_exists_and_ends_its_output_the_same_way() {
    for command in help::COMMANDS {
        let mut world = script(PEER);
        let shown = world.line(&format!("help {}", command.name));
        assert!(
            shown.contains(command.about)
                || shown.contains(command.about.split(',').next().unwrap()),
            "{shown}"
        );
        let shown = world.line(command.name);
        assert!(!shown.contains("no command"), "{shown}");
        let ends = shown.ends_with("ok\n")
            || shown.contains("error: ")
            || world.console.is_asking()
            || world.has_left;
        assert!(ends, "{}: {shown}", command.name);
    }
    let mut world = script(PEER);
    for line in [
        "show peers",
        "show certs",
        "show clock",
        "show network",
        "show config",
        "log 3",
        "cert export",
        "peer list",
    ] {
        assert!(
            world.line(line).ends_with("ok\n"),
            "{line}: {}",
            world.shown
        );
    }
    assert!(
        world
            .line("selftest")
            .contains("FAIL two: it - is broken\nerror: 1 of 2 checks failed")
    );
    for line in [
        "pair",
        "why",
        "explode",
        "show everything",
        "log x",
        "set",
        "commit now",
        "a \"b",
    ] {
        assert!(world.line(line).contains("error: "), "{line}");
    }
    assert!(world.line(&"x".repeat(2000)).len() < 120, "{}", world.shown);
    assert!(world.line("# remark").is_empty() && world.line("").is_empty());
}

#[test]
fn leaving_ends_a_session_and_begins_one_on_a_serial_line() {
    let mut world = World::new(PEER, Manner::default());
    world.line("set node.name x");
    assert!(world.line("exit").contains("error: something is set"));
    world.input(Input::End);
    assert!(world.has_left);
    let mut world = World::new(
        PEER,
        Manner {
            is_script: false,
            stays: true,
        },
    );
    assert!(world.line("exit").contains("alpha tombolo") && !world.has_left);
    assert!(world.input(Input::End).contains("alpha tombolo") && !world.has_left);
}

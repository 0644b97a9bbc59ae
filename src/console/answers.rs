//! What is made of the answers.

use super::guide::Guide;
use super::order::{Action, Answer, Order, Sight};
use super::session::{Console, Mode, Then};
use super::show;
use super::text::Page;
use super::wording::duration;
use crate::api::{Committed, ConfigFault, ErrorCode, Fault, Request, Response};
use crate::config::candidate;

impl Console {
    /// Takes the answer to the last order.
    pub fn answer(&mut self, answer: Answer, now_ms: u64) -> Vec<Action> {
        let answer = match answer {
            Answer::Response(Response::Error(fault)) => Answer::Failed(fault),
            answer => answer,
        };
        match (self.then.take(), answer) {
            (None, _) => {}
            (Some(Then::Unlock), Answer::Failed(fault)) => {
                if fault.code == ErrorCode::Argument {
                    self.lock.failed(now_ms);
                }
                self.fail(fault);
            }
            (Some(Then::Checked { before, .. }), Answer::Failed(fault)) => {
                self.candidate = before;
                self.fail(fault);
            }
            (Some(Then::Committed), Answer::Failed(fault)) => self.fail(fault),
            // Its configuration is in use already: what else failed is told, and the rest goes on.
            (Some(Then::Guide(end)), Answer::Failed(fault))
                if end.unconfirmed_seconds.is_some() =>
            {
                self.say(&format!("NOT DONE: {}", fault.message));
                self.guide_goes_on(end);
            }
            (Some(_), Answer::Failed(fault)) => self.fail(fault),
            (Some(then), answer) => self.answered(then, answer, now_ms),
        }
        self.done()
    }

    fn answered(&mut self, then: Then, answer: Answer, now_ms: u64) {
        match (then, answer) {
            (Then::Start, Answer::Sight(sight)) => self.begin(*sight, now_ms),
            (Then::Unlock, _) => {
                self.lock.open();
                self.ok();
                self.offer_guide();
            }
            (Then::PinIs(is_set), Answer::Done(words)) => {
                self.lock.has_pin = is_set;
                self.say(&words);
                self.ok();
            }
            (Then::Show, answer) => self.show_answer(answer),
            (Then::ShowPeers, Answer::Response(Response::Peers(peers))) => {
                self.print(show::entries(&peers));
                self.ok();
            }
            (Then::ShowConfig, Answer::Response(Response::Config(config))) => {
                let changed = self.candidate.as_deref().filter(|_| self.has_changes());
                let text = show::config(&config, changed);
                self.print(text);
                self.ok();
            }
            (Then::ShowClock, Answer::Sight(sight)) => {
                self.say(&show::clock(&sight));
                self.ok();
            }
            (Then::ShowNetwork, Answer::Sight(sight)) => {
                self.print(show::network(&sight));
                self.ok();
            }
            (Then::ShowCertificates, Answer::Sight(sight)) => self.certificates(&sight, false),
            (Then::ExportCertificates, Answer::Sight(sight)) => self.certificates(&sight, true),
            (Then::Edit(edit), Answer::Response(Response::Config(config))) => {
                self.candidate = Some(config.text.clone());
                self.base = Some(config);
                self.apply(edit);
            }
            (Then::Checked { key, before }, Answer::Response(Response::Checked(faults))) => {
                self.checked(&key, before, faults.first());
            }
            (Then::Committed, Answer::Response(Response::Committed(committed))) => {
                self.committed(&committed);
            }
            (Then::SafeLeft, Answer::Response(Response::Done(words))) => {
                self.say(&words);
                self.order(Order::AwaitRestart, Then::Restarted);
            }
            (Then::Restarted, Answer::Done(words)) => {
                self.say(&words);
                self.ok();
            }
            (Then::GuideBegins, Answer::Response(Response::Config(config))) => {
                let taken = candidate::peer_names(&config.text);
                self.candidate = None;
                self.base = Some(config);
                let guide = Guide::new(&self.sight.name, self.sight.hears_requests, taken);
                self.print(Guide::greeting());
                self.mode = Mode::Guide(Box::new(guide));
            }
            (Then::GuideAnswered(answers), Answer::Sight(sight)) => {
                self.sight = *sight;
                self.guide_finished(answers);
            }
            (Then::Guide(mut end), Answer::Response(Response::Committed(committed))) => {
                self.say(&committed.words);
                end.restarts = committed.restarts;
                end.unconfirmed_seconds = committed.unconfirmed_seconds;
                self.base = None;
                self.guide_goes_on(end);
            }
            (Then::Guide(end), Answer::Done(words)) => {
                self.say(&words);
                self.guide_goes_on(end);
            }
            (Then::Guide(end), Answer::Sight(sight)) => {
                self.sight = *sight;
                self.guide_ends(&end);
            }
            _ => self.fault(
                ErrorCode::Internal,
                "the box answers something else than was asked; are both of the same release?",
            ),
        }
    }

    fn begin(&mut self, sight: Sight, now_ms: u64) {
        if !self.manner.is_script {
            self.print(show::banner(&sight));
            self.lock.begin(sight.has_pin, sight.wrong_pins, now_ms);
            self.lock.shut();
        }
        self.sight = sight;
        if self.lock.is_locked {
            return;
        }
        self.offer_guide();
    }

    /// A box without peers has not been set up.
    fn offer_guide(&mut self) {
        if self.manner.is_script {
            return;
        }
        match self.sight.peers {
            Some(0) => self.request(Request::ConfigText, Then::GuideBegins),
            _ => self.say("help lists the commands."),
        }
    }

    fn show_answer(&mut self, answer: Answer) {
        match answer {
            Answer::Response(Response::Status(status)) => self.print(show::status(&status)),
            Answer::Response(Response::Log(lines)) => {
                let mut page = Page::new();
                for line in &lines {
                    page.line(line);
                }
                if lines.is_empty() {
                    page.line("no line yet");
                }
                self.print(page.into_text());
            }
            Answer::Response(Response::Why(report)) => {
                let mut page = Page::new();
                for line in report.lines() {
                    page.line(&line);
                }
                self.print(page.into_text());
            }
            Answer::Response(Response::Check(report)) => {
                let mut page = Page::new();
                for line in report.lines() {
                    page.line(&line);
                }
                self.print(page.into_text());
                if !report.is_good() {
                    let words = report.verdict_in_words();
                    return self.fail(Fault::new(ErrorCode::Unavailable, words));
                }
            }
            Answer::Response(Response::Pair(pair)) => {
                pair.lines().iter().for_each(|line| self.say(line));
            }
            Answer::Response(Response::Update(report)) => self.print(show::update(&report)),
            Answer::Response(Response::Done(words)) | Answer::Done(words) => self.say(&words),
            Answer::Checks(checks) => {
                let (text, faults) = show::checks(&checks);
                self.print(text);
                if faults > 0 {
                    let words = format!("{faults} of {} checks failed", checks.len());
                    return self.fail(Fault::new(ErrorCode::Unavailable, words));
                }
            }
            _ => {
                return self.fault(
                    ErrorCode::Internal,
                    "the box answers something else than was asked",
                );
            }
        }
        self.ok();
    }

    fn certificates(&mut self, sight: &Sight, with_pem: bool) {
        let Some(own) = &sight.own else {
            return self.fault(
                ErrorCode::NotFound,
                "this box has no certificates yet: it makes them at its first start",
            );
        };
        self.print(show::certificates(own));
        if with_pem {
            let mut page = Page::new();
            page.line("our certificate:")
                .verbatim(&own.leaf_pem)
                .line("its CA, for the truststore of a peer:")
                .verbatim(&own.authority_pem);
            self.print(page.into_text());
        }
        self.ok();
    }

    fn checked(&mut self, key: &str, before: Option<String>, fault: Option<&ConfigFault>) {
        if let Some(fault) = fault {
            let last = key.rsplit('.').next().unwrap_or(key);
            if fault.key.as_deref() == Some(last) {
                self.candidate = before;
                return self.fault(ErrorCode::Config, &fault.message);
            }
            self.say(&format!("not valid yet: {}", fault.message));
        }
        self.ok();
    }

    fn committed(&mut self, committed: &Committed) {
        self.candidate = None;
        self.base = None;
        self.say(&committed.words);
        if let Some(seconds) = committed.unconfirmed_seconds {
            self.say(&format!(
                "NOT CONFIRMED YET: type confirm within {}, else the box goes back to what it was.",
                duration(seconds.into())
            ));
        }
        match committed.restarts {
            true => self.order(Order::AwaitRestart, Then::Restarted),
            false => self.ok(),
        }
    }
}

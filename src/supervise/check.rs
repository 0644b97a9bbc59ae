//! Answers `check`: the steps of a peer's link as they stand, and a probe to another box and back.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Shared, filtering, networks, trust};
use crate::api::check::{CheckReport, Step, StepState};
use crate::api::status::{PeerState, PeerStatus};
use crate::api::{ErrorCode, Fault, Response, words};
use crate::config::{Peer, Protocol};
use crate::link::board;
use crate::link::fed2::echo::{Proof, Unproven};
use crate::link::hindrance::Hindrance;

/// Checks that are remembered for those who ask for the rest.
const MOST: usize = 8;

/// Checks that are under way or were just done.
#[derive(Debug, Default)]
pub(super) struct Checks {
    last: u64,
    reports: VecDeque<CheckReport>,
}

impl Shared {
    /// Begins to check a peer's link. What takes time follows: ask for it with the report's number.
    pub(super) fn check(self: &Arc<Self>, name: &str) -> Result<CheckReport, Fault> {
        let config = self.config();
        let Some(peer) = config.peers.iter().find(|peer| peer.name == name) else {
            return Err(Fault::new(
                ErrorCode::NotFound,
                format!("no peer is called \"{name}\"; `tombolo peer list` shows them"),
            ));
        };
        let status = self.peer_status(peer);
        let known = self.board.status(name).unwrap_or_default();
        let mut report = CheckReport {
            peer: name.to_owned(),
            ..CheckReport::default()
        };
        let up = matches!(status.state, PeerState::Connected | PeerState::Flowing)
            || (status.state == PeerState::Paused && known.state == board::PeerState::Connected);
        match up {
            true => self.steps_of_an_open_link(&mut report, peer, &known),
            false => steps_of_a_closed_link(&mut report, peer, &status, known.hindrance),
        }
        report.done = !up;
        if report.done {
            conclude(&mut report, &status);
        }
        report.id = self.checks().begin(report.clone());
        if up {
            let (shared, id) = (Arc::clone(self), report.id);
            let peer = peer.clone();
            tokio::spawn(async move {
                let proof = shared.echo.prove(&peer.name).await;
                let status = shared.peer_status(&peer);
                if let Some(report) = shared.checks().of(id) {
                    add_proof(report, &peer, proof);
                    conclude(report, &status);
                    report.done = true;
                }
            });
        }
        Ok(report)
    }

    /// How a check stands that was begun.
    pub(super) fn check_again(&self, id: u64) -> Result<CheckReport, Fault> {
        let mut checks = self.checks();
        checks.of(id).cloned().ok_or_else(|| {
            let words = "that check is not known any more; begin another one";
            Fault::new(ErrorCode::NotFound, words)
        })
    }

    /// Sends an event of `check` to a peer that is a server.
    pub(super) fn probe_out(&self, peer: &str, event: &str) -> Response {
        let sent = (self.hub).with(|router, now| router.send_to(peer, event.as_bytes(), now));
        match sent {
            Ok(()) => Response::Done("it is on its way".into()),
            Err(reason) => {
                let words = format!(
                    "the probe did not leave this box: {}",
                    words::reason(reason, peer)
                );
                Fault::new(ErrorCode::Unavailable, words).into()
            }
        }
    }

    fn checks(&self) -> MutexGuard<'_, Checks> {
        self.checks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn steps_of_an_open_link(
        &self,
        report: &mut CheckReport,
        peer: &Peer,
        known: &board::PeerStatus,
    ) {
        let connected = match &peer.address {
            Some(address) => format!("{address}, connected with {}", known.address),
            None => format!("it dialled us from {}", known.address),
        };
        let v1 = peer.protocol == Protocol::V1;
        let groups = match known.groups.as_slice() {
            [] if v1 => "federation v1 has none".to_owned(),
            [] => {
                "it announced none, which an older TAK Server does; events are taken all the same"
                    .to_owned()
            }
            groups => groups.join(", "),
        };
        let mut steps = vec![
            (Hindrance::NoNetwork, "there is a way".to_owned()),
            (Hindrance::NameLookup, connected.clone()),
            (Hindrance::Unanswered, connected),
            (Hindrance::Trust, trusted(peer).to_owned()),
            (Hindrance::Usage, used(peer).to_owned()),
            (Hindrance::Registration, trust::registered(peer)),
            (
                Hindrance::Version,
                format!("federation {}", peer.protocol.word()),
            ),
            (Hindrance::Groups, groups),
            (Hindrance::Health, health(peer).to_owned()),
        ];
        steps.extend(trust::steps(peer, &self.revocations));
        // As they follow on each other while a connection is made.
        steps.sort_by_key(|(hindrance, _)| *hindrance);
        for (hindrance, words) in steps {
            let apart = networks::apart(&self.config(), peer);
            report.add(match apart.filter(|_| hindrance == Hindrance::Groups) {
                Some(apart) => Step::new(hindrance.word(), StepState::Failed, apart),
                None => Step::new(hindrance.word(), StepState::Ok, words),
            });
        }
        let quality = self.status().clock.quality;
        let words =
            format!("the certificates are valid by both clocks; quality of ours: {quality}");
        report.add(Step::new(Hindrance::Clock.word(), StepState::Ok, words));
        if !peer.incoming && !peer.outgoing {
            let words = format!(
                "incoming and outgoing are both off here: `tombolo peer set {} --incoming --outgoing`",
                peer.name
            );
            report.add(Step::new(
                Hindrance::Direction.word(),
                StepState::Failed,
                words,
            ));
        }
        let counters = (self.hub).with(|router, _| router.peer_counters(&peer.name).cloned());
        report.add(filtering::step(peer, &counters.unwrap_or_default()));
    }
}

/// Whose certificate was looked at.
fn trusted(peer: &Peer) -> &'static str {
    match peer.relaxed() {
        None => "both sides trust each other's certificate",
        Some(_) => "its certificate is the registered one; whether it looked at ours is not known",
    }
}

fn used(peer: &Peer) -> &'static str {
    match peer.relaxed() {
        None => "both certificates may be used by clients and servers",
        Some(_) => "not looked at in its certificate",
    }
}

fn health(peer: &Peer) -> &'static str {
    match peer.protocol {
        Protocol::V2 => "it says that it is well",
        Protocol::V1 => {
            "federation v1 cannot ask; the connection stands, as far as the kernel can tell"
        }
    }
}

impl Checks {
    fn begin(&mut self, report: CheckReport) -> u64 {
        self.last += 1;
        if self.reports.len() >= MOST {
            self.reports.pop_front();
        }
        let id = self.last;
        self.reports.push_back(CheckReport { id, ..report });
        id
    }

    fn of(&mut self, id: u64) -> Option<&mut CheckReport> {
        self.reports.iter_mut().find(|report| report.id == id)
    }
}

fn steps_of_a_closed_link(
    report: &mut CheckReport,
    peer: &Peer,
    status: &PeerStatus,
    hindrance: Option<Hindrance>,
) {
    let stopped = match status.state {
        PeerState::Disabled | PeerState::Paused => {
            let words = format!("{}; `tombolo peer resume {}`", status.reason, peer.name);
            report.add(Step::new("paused", StepState::Failed, words));
            return;
        }
        _ => hindrance.unwrap_or(Hindrance::Passing),
    };
    let why = match status.reason.as_str() {
        "" => stopped.cure().to_owned(),
        reason => reason.to_owned(),
    };
    if stopped == Hindrance::Passing {
        report.add(Step::new(stopped.word(), StepState::Failed, why));
        return;
    }
    for &step in Hindrance::STEPS
        .iter()
        .filter(|&&step| !matches!(step, Hindrance::Direction | Hindrance::Filter))
    {
        let dials_us = peer.address.is_none() && step <= Hindrance::Unanswered;
        report.add(match step.cmp(&stopped) {
            std::cmp::Ordering::Less if dials_us => {
                Step::new(step.word(), StepState::Ok, "it dialled us")
            }
            std::cmp::Ordering::Less => {
                Step::new(step.word(), StepState::Ok, "as of the last attempt")
            }
            std::cmp::Ordering::Equal => {
                let words = format!("{why}. In short: {}", step.cure());
                Step::new(step.word(), StepState::Failed, words)
            }
            std::cmp::Ordering::Greater => {
                Step::new(step.word(), StepState::Unknown, "not reached")
            }
        });
    }
}

fn add_proof(report: &mut CheckReport, peer: &Peer, proof: Result<Proof, Unproven>) {
    let name = &peer.name;
    match proof {
        Ok(proof) => {
            report.round_trip_ms = Some(proof.round_trip_ms);
            report.clock_ms = Some(proof.clock_ms);
            if let Some(clock) = report.steps.iter_mut().find(|step| step.step == "clock") {
                clock.words += &format!("; the peer's clock is {}", apart(proof.clock_ms));
            }
            if report.stopped_by.is_none() {
                report.add(direction(peer, &proof));
            }
            let words = format!(
                "a signed probe went through the outbox and the peer's router and came back in {} ms",
                proof.round_trip_ms
            );
            report.add(Step::new("echo", StepState::Ok, words));
        }
        Err(why @ Unproven::NoBox) => {
            if report.stopped_by.is_none() {
                let (state, words) = match (peer.incoming, peer.outgoing) {
                    (true, true) => (
                        StepState::Ok,
                        "both ways, as far as this box goes".to_owned(),
                    ),
                    _ => (StepState::Ok, one_way(peer)),
                };
                report.add(Step::new(Hindrance::Direction.word(), state, words));
            }
            let why = match peer.protocol {
                Protocol::V2 => why.to_string(),
                Protocol::V1 => "federation v1 has no way to prove it".to_owned(),
            };
            let words = format!(
                "{why}. A second identity at the server, `probe` in its [[peer]], proves it there"
            );
            report.add(Step::new("echo", StepState::Skipped, words));
        }
        Err(why) => report.add(Step::new(
            "echo",
            StepState::Failed,
            format!("{name}: {why}"),
        )),
    }
}

/// What both sides let pass.
fn direction(peer: &Peer, proof: &Proof) -> Step {
    let word = Hindrance::Direction.word();
    let name = &peer.name;
    let refused_there = peer.outgoing && !proof.incoming_there;
    let silent_there = peer.incoming && !proof.outgoing_there;
    let words = match (refused_there, silent_there) {
        (true, true) => {
            format!("{name} has incoming and outgoing off for this box: ask its administrator")
        }
        (true, false) => {
            format!("{name} does not take our events, incoming is off there: ask its administrator")
        }
        (false, true) => format!(
            "{name} does not send us its events, outgoing is off there: ask its administrator"
        ),
        (false, false) if peer.incoming && peer.outgoing => {
            return Step::new(word, StepState::Ok, "both ways, on both sides");
        }
        (false, false) => return Step::new(word, StepState::Ok, one_way(peer)),
    };
    Step::new(word, StepState::Failed, words)
}

fn one_way(peer: &Peer) -> String {
    let off = if peer.incoming {
        "outgoing"
    } else {
        "incoming"
    };
    format!("one way only: {off} is off here")
}

fn apart(clock_ms: i64) -> String {
    match clock_ms {
        -999..=999 => "the same within a second".to_owned(),
        ahead @ 1000.. => format!("{} s ahead of ours", ahead / 1000),
        behind => format!("{} s behind ours", behind.unsigned_abs() / 1000),
    }
}

fn conclude(report: &mut CheckReport, status: &PeerStatus) {
    let proven = report.round_trip_ms.is_some();
    report.verdict = match (&report.stopped_by, proven, status.state) {
        (Some(_), ..) => "stopped",
        (None, true, _) => "proven",
        (None, false, PeerState::Flowing) => "flowing",
        (None, false, _) => "connected",
    }
    .to_owned();
}

/// Checks, as [`Shared`] holds them.
pub(super) type SharedChecks = Mutex<Checks>;

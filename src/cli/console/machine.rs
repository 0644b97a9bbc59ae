//! Performs what the console's core orders: asks the box, or works on its files when none runs.

use std::time::Duration;

use nix::ifaddrs::getifaddrs;
use nix::net::if_::InterfaceFlags;

use super::{certificates, pin, selftest, system};
use crate::api::{
    AskError, Committed, ErrorCode, Fault, PeerEntry, Request, Response, Status, ask, status,
};
use crate::cli::check;
use crate::cli::paths::Places;
use crate::clock::{Clock, SystemClock};
use crate::config::edit::{add_peer, remove_peer, set_peer};
use crate::console::{Answer, Order, PinOrder, Sight};
use crate::files;
use crate::supervise::changes::{self, Changes};

/// A box that starts again answers within this, ms.
const RESTART_MS: u64 = 40_000;
/// A box that makes its keys at its first start answers within this, ms.
const START_MS: u64 = 30_000;
/// What `tombolo provision` leaves behind.
const PROVISIONED: &str = "/run/tombolo/provision.json";

/// The machine that the console stands on.
pub(super) struct Machine<'a> {
    places: &'a Places,
    changes: Changes,
    clock: SystemClock,
}

impl<'a> Machine<'a> {
    pub(super) fn new(places: &'a Places) -> Self {
        Self {
            places,
            changes: Changes::new(&places.config),
            clock: SystemClock::new(),
        }
    }

    pub(super) fn perform(&self, order: &Order) -> Answer {
        let words = |done: Result<String, Fault>| done.map_or_else(Answer::Failed, Answer::Done);
        match order {
            Order::Request(request) => match self.request(request) {
                Ok(response) => Answer::Response(response),
                Err(fault) => Answer::Failed(fault),
            },
            Order::Look => Answer::Sight(Box::new(self.look())),
            Order::Selftest => Answer::Checks(selftest::run(
                self.places,
                self.status(),
                self.clock.now().wall_ms,
            )),
            Order::AwaitRestart => words(self.await_restart()),
            Order::System(order) => words(system::perform(order)),
            Order::Pin(order) => words(self.pin(order)),
        }
    }

    fn request(&self, request: &Request) -> Result<Response, Fault> {
        if let Request::Check { peer } = request {
            let checked = check::check(peer, self.places);
            return match checked {
                Ok(report) => Ok(Response::Check(Box::new(report))),
                Err(failure) => Err(Fault::new(ErrorCode::Unavailable, failure.message)),
            };
        }
        match ask(&self.places.state, request) {
            Ok(response) => Ok(response),
            Err(AskError::NotRunning(place)) => self.without_a_box(request).unwrap_or_else(|| {
                let words = AskError::NotRunning(place).to_string();
                Err(Fault::new(ErrorCode::Unavailable, words))
            }),
            Err(error) => Err(Fault::new(ErrorCode::Unavailable, error.to_string())),
        }
    }

    /// What can be done on the files alone; none when it takes a running box.
    fn without_a_box(&self, request: &Request) -> Option<Result<Response, Fault>> {
        const LATER: &str = "no box is running, so it counts from the next start";
        let file = &self.places.config;
        let changes = &self.changes;
        let committed = |done: Result<bool, Fault>, unchanged: &str| {
            let changed = done?;
            Ok(Response::Committed(Committed {
                words: if changed { LATER } else { unchanged }.to_owned(),
                restarts: false,
                unconfirmed_seconds: None,
            }))
        };
        let edited = |done: Result<(), Fault>| done.map(|()| Response::Done(LATER.to_owned()));
        Some(match request {
            Request::ConfigText => changes.text(0).map(Response::Config),
            Request::ConfigCheck { text } => {
                let faults = changes::check(text, file).err();
                Ok(Response::Checked(faults.into_iter().collect()))
            }
            Request::ConfigCommit {
                confirm_seconds: Some(_),
                ..
            } => Err(Fault::new(
                ErrorCode::Unavailable,
                "no box is running that could take it back; `commit` alone writes it",
            )),
            Request::ConfigCommit {
                text, generation, ..
            } => committed(
                changes.commit(text, None, generation.as_deref(), 0),
                "it is the configuration in use already",
            ),
            Request::ConfigConfirm => {
                committed(changes.confirm(), "nothing waited for a confirmation")
            }
            Request::ConfigRollback => committed(
                changes.rollback(),
                "there is no configuration to go back to",
            ),
            Request::PeerList => self.places.load_config().map_or_else(
                |failure| Err(Fault::new(ErrorCode::Config, failure.message)),
                |config| {
                    let entry = |peer| PeerEntry::new(peer, None);
                    Ok(Response::Peers(config.peers.iter().map(entry).collect()))
                },
            ),
            Request::PeerAdd { peer, replace } => {
                edited(changes.edit(|file| add_peer(file, peer, *replace)))
            }
            Request::PeerSet { change } => edited(changes.edit(|file| set_peer(file, change))),
            Request::PeerRemove { name } => edited(changes.edit(|file| remove_peer(file, name))),
            _ => return None,
        })
    }

    fn status(&self) -> Result<Status, String> {
        match ask(&self.places.state, &Request::Status) {
            Ok(Response::Status(status)) => Ok(*status),
            Ok(_) => Err("the box answers something else than its status".to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }

    fn look(&self) -> Sight {
        let config = self.places.load_config();
        let (status, trouble) = match self.status() {
            Ok(status) => (Some(status), None),
            Err(words) => (None, Some(words)),
        };
        let trouble = match &config {
            Err(failure) if status.is_none() => Some(failure.message.clone()),
            _ => trouble,
        };
        let configured = config.as_ref().map(|config| config.name.clone()).ok();
        let name = status.as_ref().map(|status| status.node.name.clone());
        Sight {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            // What the file says: a new name may wait for a restart.
            name: configured.or(name).unwrap_or_else(|| "tombolo".to_owned()),
            status,
            trouble,
            peers: config.as_ref().map(|config| config.peers.len()).ok(),
            unconfirmed_seconds: match self.request(&Request::ConfigText) {
                Ok(Response::Config(config)) => config.unconfirmed_seconds,
                _ => None,
            },
            interfaces: interfaces(),
            own: config
                .as_ref()
                .ok()
                .and_then(|config| certificates::own(self.places, config)),
            mistakes: mistakes(),
            utc: status::time(self.clock.now().wall_ms).unwrap_or_default(),
            hears_requests: system::hears_requests(),
            has_pin: pin::is_set(&self.places.state),
            wrong_pins: pin::wrong(&self.places.state),
            first_password: match self.request(&Request::FirstPassword) {
                Ok(Response::First(password)) => password,
                _ => None,
            },
        }
    }

    /// Waits a while for a box that is just starting, as after power on.
    pub(super) fn await_start(&self) {
        let began = self.clock.now().mono_ms;
        while self.status().is_err() && self.clock.now().mono_ms - began < START_MS {
            system::pause(Duration::from_millis(500));
        }
    }

    fn await_restart(&self) -> Result<String, Fault> {
        let began = self.clock.now().mono_ms;
        loop {
            system::pause(Duration::from_millis(200));
            let elapsed = self.clock.now().mono_ms - began;
            // Whoever is up for less time than we wait is the new one.
            let is_new = |status: &Status| (status.node.uptime_seconds + 1) * 1000 <= elapsed;
            if self.status().is_ok_and(|status| is_new(&status)) {
                return Ok("the box is back".to_owned());
            }
            if elapsed > RESTART_MS {
                return Err(Fault::new(
                    ErrorCode::Unavailable,
                    "the box does not come back; `show` and `log` say more when it does",
                ));
            }
        }
    }

    fn pin(&self, order: &PinOrder) -> Result<String, Fault> {
        let state = &self.places.state;
        match order {
            PinOrder::Verify(text) => pin::verify(state, text).map(|()| String::new()),
            PinOrder::Set(text) => {
                pin::set(state, text).map(|()| "the PIN is set; `lock` locks now".to_owned())
            }
            PinOrder::Clear => pin::clear(state).map(|()| "there is no PIN any more".to_owned()),
        }
    }
}

/// Interfaces that are up, with their addresses; without loopback and link-local IPv6.
fn interfaces() -> Vec<(String, Vec<String>)> {
    let mut found: Vec<(String, Vec<String>)> = Vec::new();
    let Ok(addresses) = getifaddrs() else {
        return found;
    };
    for entry in addresses {
        if entry.flags.contains(InterfaceFlags::IFF_LOOPBACK)
            || !entry.flags.contains(InterfaceFlags::IFF_UP)
        {
            continue;
        }
        let ip = entry.address.as_ref().and_then(|address| {
            let v4 = address.as_sockaddr_in().map(|it| it.ip().to_string());
            let v6 = address
                .as_sockaddr_in6()
                .map(nix::sys::socket::SockaddrIn6::ip);
            let v6 = v6.filter(|ip| !ip.is_unicast_link_local());
            v4.or_else(|| v6.map(|ip| ip.to_string()))
        });
        let at = found
            .iter()
            .position(|(name, _)| *name == entry.interface_name);
        let at = at.unwrap_or_else(|| {
            found.push((entry.interface_name.clone(), Vec::new()));
            found.len() - 1
        });
        found[at].1.extend(ip);
    }
    found
}

/// Mistakes that provisioning found.
fn mistakes() -> Vec<String> {
    let bytes = files::read_bounded(PROVISIONED.as_ref(), 64 * 1024).unwrap_or_default();
    let found: serde_json::Value = serde_json::from_slice(&bytes).unwrap_or_default();
    let mistakes = found["mistakes"].as_array().cloned().unwrap_or_default();
    let words = |mistake: &serde_json::Value| mistake.as_str().map(str::to_owned);
    mistakes.iter().filter_map(words).take(16).collect()
}

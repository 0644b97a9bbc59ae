//! Carries out what is asked over the control socket.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use super::changes::{self, Changes};
use super::{Order, Shared, Taken};
use crate::access::Access;
use crate::api::access;
use crate::api::connection::ConnectionInfo;
use crate::api::token::TokenEntry;
use crate::api::{self, Committed, Control, ErrorCode, Fault, PeerEntry, Request, Response};
use crate::budget::Budget;
use crate::config::edit::{add_peer, remove_peer, set_peer};
use crate::config::{Config, ConfigError, EditError};
use crate::files;
use crate::link::hub::Port;
use crate::log;
use crate::pki::Own;
use crate::route::Verdict;
use crate::update::request::UpdateRequest;
use crate::update::{self, UpdateError, install};

/// The desk that requests come to.
#[derive(Debug)]
pub(super) struct Desk {
    pub(super) shared: Arc<Shared>,
    /// Where injected events enter.
    commands: Port,
    /// Held while the configuration is changed: by a request, or because nobody confirmed it.
    changing: Mutex<()>,
    /// The machine that updates go to.
    machine: update::machine::Machine,
    /// Who may come in over the network.
    access: Access,
    /// What others need to federate with us.
    connection: Mutex<ConnectionInfo>,
}

impl Desk {
    pub(super) fn new(
        shared: Arc<Shared>,
        commands: Port,
        machine: update::machine::Machine,
        access: Access,
        connection: ConnectionInfo,
    ) -> Self {
        Self {
            shared,
            commands,
            machine,
            access,
            connection: Mutex::new(connection),
            changing: Mutex::default(),
        }
    }

    /// Our certificate is another one.
    pub(super) fn renewed(&self, own: &Own, config: &Config) {
        let port = self.shared.bound.federation_port();
        let connection = ConnectionInfo::of(own, config, &self.shared.federate_id, port);
        *self.connection() = connection;
    }

    pub(super) fn connection(&self) -> MutexGuard<'_, ConnectionInfo> {
        self.connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the configuration again and has it taken over. Runs on a thread that may block.
    fn reload(&self) -> Result<Taken, Fault> {
        let wrong = |words| Fault::new(ErrorCode::Config, words);
        let file = &self.shared.setup_file;
        let config = load(file).map_err(|error| wrong(error.to_string()))?;
        let over = |over| wrong(format!("{}: {over}", file.display()));
        Budget::of(&config.limits).check().map_err(over)?;
        let (done, answer) = oneshot::channel();
        let order = Order {
            config: Box::new(config),
            done,
        };
        let stopping = || Fault::new(ErrorCode::Unavailable, "the box is stopping");
        self.shared
            .orders
            .blocking_send(order)
            .map_err(|_| stopping())?;
        answer.blocking_recv().map_err(|_| stopping())
    }

    /// The same, with the peers that a `federation.json` declares.
    pub(super) fn read_again(&self) -> Result<Taken, Fault> {
        let _changing = self.lock();
        let declared = self.shared.changes.declared()?;
        let mut taken = self.reload()?;
        if let Some(declared) = declared {
            taken.words = format!("{declared}; {}", taken.words);
        }
        Ok(taken)
    }

    fn edit(&self, edit: impl FnOnce(&Path) -> Result<(), EditError>) -> Response {
        match self.edited(edit) {
            Ok(words) => Response::Done(words),
            Err(fault) => fault.into(),
        }
    }

    /// Changes the peers of the file, and has them taken over.
    pub(super) fn edited(
        &self,
        edit: impl FnOnce(&Path) -> Result<(), EditError>,
    ) -> Result<String, Fault> {
        let _changing = self.lock();
        let done = self.shared.changes.edit(edit).and_then(|()| self.reload());
        done.map(|taken| taken.words)
    }

    fn lock(&self) -> MutexGuard<'_, ()> {
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn now_ms(&self) -> u64 {
        self.shared.hub.now().mono_ms
    }

    /// Changes the file, then takes over what it says.
    fn change(
        &self,
        unchanged: &str,
        change: impl FnOnce(&Changes) -> Result<bool, Fault>,
    ) -> Result<Response, Fault> {
        let _changing = self.lock();
        let changes = &self.shared.changes;
        let taken = match change(changes)? {
            true => self.reload()?,
            false => Taken {
                words: unchanged.to_owned(),
                restarts: false,
            },
        };
        Ok(Response::Committed(Committed {
            words: taken.words,
            restarts: taken.restarts,
            unconfirmed_seconds: changes.unconfirmed_seconds(self.now_ms()),
        }))
    }

    fn confirm(&self) -> Result<Response, Fault> {
        let _changing = self.lock();
        let words = match self.shared.changes.confirm()? {
            true => "the configuration stays",
            false => "nothing waited for a confirmation",
        };
        Ok(Response::Committed(Committed {
            words: words.to_owned(),
            restarts: false,
            unconfirmed_seconds: None,
        }))
    }

    /// Takes back what nobody confirmed in time. Runs on a thread that may block.
    pub(super) fn take_back(&self) {
        let _changing = self.lock();
        let changes = &self.shared.changes;
        // Confirmed while this waited for its turn.
        if !changes.is_due(self.now_ms()) {
            return;
        }
        tracing::warn!("nobody confirmed the configuration: going back to the one before");
        match changes.rollback().and_then(|_| self.reload()) {
            Ok(taken) => tracing::warn!("the configuration before is back: {}", taken.words),
            Err(fault) => {
                tracing::error!("cannot go back: {fault}");
                changes.give_up();
            }
        }
    }

    fn add_token(
        &self,
        name: &str,
        scopes: &[String],
        days: Option<u32>,
    ) -> Result<Response, Fault> {
        let now = self.shared.hub.now().wall_ms / 1000;
        let (scopes, end) = (access::scopes(scopes)?, access::end(days, now)?);
        let token = self.access.add_token(name, scopes, end, now)?;
        Ok(Response::Secret(token))
    }

    fn set_password(
        &self,
        name: &str,
        scopes: &[String],
        password: Option<&str>,
    ) -> Result<Response, Fault> {
        let now = self.shared.hub.now().wall_ms / 1000;
        let made = (self.access).set_password(name, access::scopes(scopes)?, password, now)?;
        Ok(match made {
            Some(made) => Response::Secret(made),
            None => Response::Done(format!("\"{name}\" has a new password")),
        })
    }

    fn inject(&self, events: &str) -> Response {
        let max_event = self.shared.config().limits.max_event_kib as usize * 1024;
        api::inject::inject(events, max_event, |event| {
            match self.commands.receive_xml(event) {
                Verdict::Dropped(reason) => Err(reason),
                Verdict::Routed(_) | Verdict::Consumed => Ok(()),
            }
        })
    }
}

impl Control for Desk {
    fn handle(&self, request: Request) -> Response {
        match request {
            Request::Status => Response::Status(Box::new(self.shared.status())),
            Request::PeerList => {
                let config = self.shared.config();
                let entry = |peer| PeerEntry::new(peer, Some(self.shared.peer_state(peer)));
                Response::Peers(config.peers.iter().map(entry).collect())
            }
            Request::PeerAdd { peer, replace } => self.edit(|file| add_peer(file, &peer, replace)),
            Request::PeerSet { change } => self.edit(|file| set_peer(file, &change)),
            Request::PeerRemove { name } => self.edit(|file| remove_peer(file, &name)),
            Request::Inject { events } => self.inject(&events),
            Request::Reload => match self.read_again() {
                Ok(taken) => Response::Done(taken.words),
                Err(fault) => fault.into(),
            },
            Request::SafeLeave => answer(self.shared.leave_safe_mode()),
            Request::ConfigText => answer(
                self.shared
                    .changes
                    .text(self.now_ms())
                    .map(Response::Config),
            ),
            Request::ConfigCheck { text } => {
                let faults = changes::check(&text, &self.shared.setup_file).err();
                Response::Checked(faults.into_iter().collect())
            }
            Request::ConfigCommit {
                text,
                confirm_seconds,
                generation,
            } => answer(
                self.change("it is the configuration in use already", |changes| {
                    changes.commit(&text, confirm_seconds, generation.as_deref(), self.now_ms())
                }),
            ),
            Request::ConfigConfirm => answer(self.confirm()),
            Request::ConfigRollback => {
                answer(self.change("there is no configuration to go back to", Changes::rollback))
            }
            Request::UpdateStatus => answer(
                install::report(&self.machine)
                    .map(|report| Response::Update(Box::new(report)))
                    .map_err(update_fault),
            ),
            Request::UpdateInstall { path } => {
                let request = UpdateRequest {
                    path: path.into(),
                    // Only the console may ask for that, and it has its own way.
                    allow_downgrade: false,
                };
                let left = update::request::leave(&self.machine, &request);
                answer(left.map_err(update_fault).map(|()| {
                    Response::Done(
                        "the update is asked for; `update status` tells how it goes".into(),
                    )
                }))
            }
            Request::Why { uid, peer } => answer(
                (self.shared.why(&uid, peer.as_deref()))
                    .map(|report| Response::Why(Box::new(report))),
            ),
            Request::Check { peer } => {
                answer((self.shared.check(&peer)).map(|report| Response::Check(Box::new(report))))
            }
            Request::CheckAgain { id } => answer(
                (self.shared.check_again(id)).map(|report| Response::Check(Box::new(report))),
            ),
            Request::ProbeOut { peer, event } => self.shared.probe_out(&peer, &event),
            Request::ProbeExpect { peer, uid } => {
                (self.shared.hub).with(|router, _| router.expect(&peer, uid.as_bytes()));
                Response::Done("waiting for it".into())
            }
            Request::ProbeCame => {
                Response::Came(self.shared.hub.with(|router, _| router.expected_came()))
            }
            Request::RecorderDump => {
                let written = (self.shared.black_box).write_with_book(&self.shared.hub, "command");
                answer(match written {
                    Ok(file) => Ok(Response::Recorded(file.display().to_string())),
                    Err(error) => Err(Fault::new(
                        ErrorCode::Io,
                        format!(
                            "{}: {}; it must be writable for the box",
                            self.shared.black_box.folder().display(),
                            files::fault(&error)
                        ),
                    )),
                })
            }
            Request::TokenAdd { name, scopes, days } => {
                answer(self.add_token(&name, &scopes, days))
            }
            Request::PasswordSet {
                name,
                scopes,
                password,
            } => answer(self.set_password(&name, &scopes, password.as_deref())),
            Request::TokenList => {
                let listed = self.access.list().into_iter();
                Response::Tokens(listed.map(TokenEntry::from).collect())
            }
            Request::TokenRevoke { name } => answer(
                (self.access.revoke(&name).map_err(Fault::from))
                    .map(|()| Response::Done(format!("\"{name}\" is revoked"))),
            ),
            Request::FirstPassword => Response::First(self.access.first_password()),
            Request::Pair(pair) => answer(self.pair(pair).map(Response::Pair)),
            Request::Connection => Response::Connection(Box::new(self.connection().clone())),
            Request::Packages { after } => answer(
                (self.shared.packages.there()).and_then(|packages| packages.page(after.as_deref())),
            ),
            Request::PackagePiece { piece } => {
                answer(self.shared.packages.there().and_then(|packages| {
                    let now = self.shared.hub.now();
                    packages.add(&piece, now.mono_ms / 1000, now.wall_ms)
                }))
            }
            Request::PackageRemove { hash } => {
                answer((self.shared.packages.there()).and_then(|packages| packages.remove(&hash)))
            }
            Request::Log { lines } => Response::Log(log::recent::last(lines as usize)),
        }
    }
}

fn update_fault(error: UpdateError) -> Fault {
    let code = match &error {
        UpdateError::Refused(_) => ErrorCode::Invalid,
        UpdateError::Io(_) | UpdateError::Slot(_) => ErrorCode::Io,
        _ => ErrorCode::Unavailable,
    };
    Fault::new(code, error.to_string())
}

fn answer(done: Result<Response, Fault>) -> Response {
    done.unwrap_or_else(Response::from)
}

/// Loads a configuration file; one that is not there is the default, as at the start.
pub(super) fn load(file: &Path) -> Result<Config, ConfigError> {
    match file.exists() {
        true => Config::load(file),
        false => Config::read("", file),
    }
}

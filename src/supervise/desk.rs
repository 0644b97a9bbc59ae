//! Carries out what is asked over the control socket.

use std::path::Path;
use std::sync::Arc;

use tokio::sync::oneshot;

use super::{Order, Shared};
use crate::api::{Control, ErrorCode, Fault, PeerEntry, RefusedEvent, Request, Response};
use crate::config::edit::{add_peer, remove_peer};
use crate::config::{Config, ConfigError, EditError};
use crate::counters::Reason;
use crate::link::hub::Port;
use crate::route::Verdict;
use crate::wire::scan::{Found, Scanner, check_prelude};

/// The desk that requests come to.
#[derive(Debug)]
pub(super) struct Desk {
    shared: Arc<Shared>,
    /// Where injected events enter.
    commands: Port,
}

impl Desk {
    pub(super) fn new(shared: Arc<Shared>, commands: Port) -> Self {
        Self { shared, commands }
    }

    /// Reads the configuration again and has it taken over. Runs on a thread that may block.
    fn reload(&self) -> Result<String, Fault> {
        let config = load(&self.shared.setup_file)
            .map_err(|error| Fault::new(ErrorCode::Config, error.to_string()))?;
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

    fn edit(&self, edit: impl FnOnce(&Path) -> Result<(), EditError>) -> Response {
        let done = edit(&self.shared.setup_file)
            .map_err(Fault::from)
            .and_then(|()| self.reload());
        match done {
            Ok(words) => Response::Done(words),
            Err(fault) => fault.into(),
        }
    }

    fn inject(&self, events: &str) -> Response {
        let mut accepted = 0;
        let mut refused = Vec::new();
        let mut rest = events.as_bytes();
        let mut number = 0;
        let mut scanner = Scanner::new(rest.len().max(1));
        loop {
            let (prelude, piece) = match scanner.next(rest) {
                Found::Piece { start, end } => {
                    let parts = (&rest[..start], &rest[start..end]);
                    rest = &rest[end..];
                    parts
                }
                Found::Skip(count) => {
                    rest = &rest[count..];
                    continue;
                }
                Found::More { .. } | Found::TooLong => break,
            };
            number += 1;
            let verdict = match check_prelude(prelude) {
                Err(reason) => Verdict::Dropped(reason),
                Ok(()) => self.commands.receive_xml(piece),
            };
            match verdict {
                Verdict::Dropped(reason) => refused.push(RefusedEvent {
                    event: number,
                    reason: reason.word().to_owned(),
                }),
                Verdict::Routed(_) | Verdict::Consumed => accepted += 1,
            }
        }
        if !rest.trim_ascii().is_empty() {
            refused.push(RefusedEvent {
                event: number + 1,
                reason: Reason::Malformed.word().to_owned(),
            });
        }
        Response::Injected { accepted, refused }
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
            Request::PeerRemove { name } => self.edit(|file| remove_peer(file, &name)),
            Request::Inject { events } => self.inject(&events),
            Request::Reload => match self.reload() {
                Ok(words) => Response::Done(words),
                Err(fault) => fault.into(),
            },
            Request::Stop => {
                self.shared.stop.send_replace(true);
                Response::Done("stopping".to_owned())
            }
        }
    }
}

/// Loads a configuration file; one that is not there is the default, as at the start.
pub(super) fn load(file: &Path) -> Result<Config, ConfigError> {
    match file.exists() {
        true => Config::load(file),
        false => Ok(Config::default()),
    }
}

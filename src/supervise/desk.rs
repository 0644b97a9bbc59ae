//! Carries out what is asked over the control socket.

use std::path::Path;
use std::sync::Arc;

use tokio::sync::oneshot;

use super::{Order, Shared};
use crate::api::{self, Control, ErrorCode, Fault, PeerEntry, Request, Response};
use crate::config::edit::{add_peer, remove_peer, set_peer};
use crate::config::{Config, ConfigError, EditError};
use crate::link::hub::Port;
use crate::route::Verdict;

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
            Request::Reload => match self.reload() {
                Ok(words) => Response::Done(words),
                Err(fault) => fault.into(),
            },
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

//! A new configuration becomes the one in use.

use std::path::Path;
use std::sync::Arc;

use tokio::sync::oneshot;

use super::desk::Desk;
use super::federation::Federation;
use super::meshes::Meshes;
use super::servers::Servers;
use super::{Shared, networks, open_identity, packages};
use crate::config::Config;
use crate::pki::Own;

/// A configuration to take over, and whom to tell when that is done.
#[derive(Debug)]
pub(super) struct Order {
    pub(super) config: Box<Config>,
    pub(super) done: oneshot::Sender<Taken>,
}

/// What came of an [`Order`].
#[derive(Debug)]
pub(super) struct Taken {
    pub(super) words: String,
    pub(super) restarts: bool,
}

impl Shared {
    /// Shows our next certificate from now on; gives what we prove ourselves with then.
    pub(super) fn renew(
        self: &Arc<Self>,
        own: &Own,
        federation: &mut Federation,
        state: &Path,
        desk: &Desk,
    ) -> Option<Own> {
        let config = self.config();
        let opened = (own.store.switch())
            .and_then(|()| open_identity(state, &config, self.safe.is_some(), &self.clock));
        let renewed = match opened {
            Ok(renewed) => renewed,
            Err(error) => {
                tracing::error!("the next certificate cannot be shown: {error}");
                return None;
            }
        };
        if let Err(error) = federation.renew(&renewed) {
            tracing::error!("the next certificate cannot be shown: {error}");
        }
        desk.renewed(&renewed, &config);
        tracing::info!("our certificate is now {}", renewed.identity.fingerprint());
        if renewed.store.authority() != own.store.authority() {
            match self.manager.is_there() {
                true => self.restart_soon(),
                false => {
                    tracing::warn!("our CA is a new one: its users are let in after a restart");
                }
            }
        }
        Some(renewed)
    }
}

/// Makes a new configuration the one in use; the words tell what happened.
pub(super) fn take_over(
    shared: &Arc<Shared>,
    federation: &mut Federation,
    (servers, meshes): (&mut Servers, &mut Meshes),
    mut config: Config,
) -> Taken {
    if let Some(safe) = &shared.safe {
        return shared.take_over_safely(safe, config);
    }
    let old = shared.config();
    let mut later = Vec::new();
    if config.listen != old.listen {
        later.push("[listen]");
    }
    if config.limits != old.limits {
        later.push("[limits]");
    }
    if !networks::same_listeners(&config, &old) {
        later.push("[[network]]");
        config.networks.clone_from(&old.networks);
    }
    if config.identity != old.identity {
        later.push("[identity]");
    }
    if config.name != old.name {
        later.push("[node]");
    }
    if packages::takes_restart(&config.packages, &old.packages) {
        later.push("[packages]");
        config.packages.enabled = old.packages.enabled;
        config.packages.federation_port = old.packages.federation_port;
    }
    if let Some(packages) = shared.packages.as_ref() {
        packages.apply(&config);
    }
    if config.clock != old.clock {
        shared.clock.apply(&config.clock);
    }
    let mut words = federation.apply(&config);
    if let Some(changed) = servers.apply(&config) {
        words = format!("{words}; {changed}");
    }
    if let Some(more) = meshes.apply(&config) {
        words = format!("{words}; {more}");
    }
    shared.set_config(Config {
        peers: config.peers,
        servers: config.servers,
        meshes: config.meshes,
        networks: config.networks,
        uplinks: config.uplinks,
        led: config.led,
        clock: config.clock,
        packages: config.packages,
        advertised_host: config.advertised_host,
        keepalive_discovery: config.keepalive_discovery,
        // What takes a restart stays as it is until then, so that `status` tells the truth.
        ..(*old).clone()
    });
    let restarts = shared.manager.is_there() && !later.is_empty();
    if restarts {
        tracing::info!("starting again for changes of {}", later.join(" and "));
        shared.restart_soon();
    }
    let words = match later.as_slice() {
        [] => words,
        later if restarts => format!("{words}; starting again for {}", later.join(" and ")),
        later => format!("{words}; changes of {} take a restart", later.join(" and ")),
    };
    Taken { words, restarts }
}

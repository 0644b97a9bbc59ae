//! The store of data packages, and the courier that carries them between federates.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use crate::config::{Config, Peer};
use crate::link::clerk::Clerk;
use crate::link::courier::Courier;
use crate::link::courier::rules::Rules;
use crate::link::courier::told::Carriage;
use crate::link::courier::upload::{Destination, Uploads};
use crate::link::federate::Node;
use crate::link::packages::Desk;
use crate::packages::Store;
use crate::system::address::own_address;

const MIB: u64 = 1024 * 1024;

/// What there is for data packages. Clones share it.
#[derive(Debug, Clone)]
pub(super) struct Depot {
    /// Where their bytes are.
    pub(super) store: Store,
    /// The thread that works on the store.
    pub(super) clerk: Clerk,
    /// Who carries them.
    pub(super) courier: Courier,
}

impl Depot {
    /// Opens the store and starts the courier; none if the configuration wants none, or the disk refuses: the box then
    /// does without. `api_port` is that of our own service.
    pub(super) fn open(
        state: &Path,
        config: &Config,
        node: Arc<Node>,
        api_port: Option<u16>,
    ) -> Option<Self> {
        if !config.packages.enabled {
            return None;
        }
        let failed = |error: &dyn std::fmt::Display| {
            tracing::error!("no data packages are kept or carried: {error}");
        };
        let store = Store::open(&state.join("packages"), config.packages.bounds());
        let store = store.map_err(|error| failed(&error)).ok()?;
        let clerk = Clerk::start().map_err(|error| failed(&error)).ok()?;
        let host = config.advertised_host.clone().unwrap_or_else(own_address);
        let base = match api_port {
            Some(port) if host.contains(':') => format!("https://[{host}]:{port}"),
            Some(port) => format!("https://{host}:{port}"),
            None => {
                tracing::warn!("listen.api is off: local clients cannot fetch data packages");
                format!("https://{host}:{}", crate::config::settings::API_PORT)
            }
        };
        let parts = (store.clone(), clerk.clone());
        let courier = Courier::open(state, Arc::clone(&node), parts, base, Uploads::default());
        let courier = courier.map_err(|error| failed(&error)).ok()?;
        node.packages.open(Desk {
            store: store.clone(),
            consignee: Arc::new(courier.clone()),
        });
        tokio::spawn(courier.clone().run());
        Some(Self {
            store,
            clerk,
            courier,
        })
    }

    /// Takes over what the configuration says of peers; `destination` knows where one takes uploads, if it does.
    pub(super) fn apply(
        &self,
        config: &Config,
        destination: impl Fn(&Peer) -> Option<Destination>,
    ) {
        let rules = config
            .peers
            .iter()
            .map(|peer| (peer.name.clone(), rules(peer)));
        self.courier.set_rules(rules.collect());
        let enabled = config.peers.iter().filter(|peer| peer.enabled);
        let uploads: BTreeMap<String, Destination> = enabled
            .filter_map(|peer| Some((peer.name.clone(), destination(peer)?)))
            .collect();
        self.courier.uploads().set(uploads);
        self.store.set_bounds(config.packages.bounds());
    }

    /// What is under way, and what ended.
    pub(super) fn carriage(&self) -> Carriage {
        self.courier.carriage()
    }
}

fn rules(peer: &Peer) -> Rules {
    Rules {
        limit: peer.packages.limit_mib.map(|mib| u64::from(mib) * MIB),
        blocked: peer.packages.block_extensions.clone(),
        holds_missions: !peer.packages.relay_missions,
    }
}

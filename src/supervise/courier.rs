//! The courier that carries data packages between federates, and what the configuration says to it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::packages::Packages;
use crate::config::settings::API_PORT;
use crate::config::{Config, Peer};
use crate::link::courier::Courier;
use crate::link::courier::rules::Rules;
use crate::link::courier::upload::{Destination, Uploads};
use crate::link::federate::Node;
use crate::link::packages::Desk;
use crate::system::address::own_address;

const MIB: u64 = 1024 * 1024;

/// Starts the courier; none if what was under way cannot be read: the box then does without. `api_port` is that of our
/// own service.
pub(super) fn open(
    state: &Path,
    config: &Config,
    node: Arc<Node>,
    packages: &Packages,
    api_port: Option<u16>,
) -> Option<Courier> {
    let host = config.advertised_host.clone().unwrap_or_else(own_address);
    let port = api_port.unwrap_or_else(|| {
        tracing::warn!("listen.api is off: local clients cannot fetch data packages");
        API_PORT
    });
    let base = match host.contains(':') {
        true => format!("https://[{host}]:{port}"),
        false => format!("https://{host}:{port}"),
    };
    let (store, clerk) = (packages.store.clone(), packages.clerk.clone());
    let parts = (store.clone(), clerk);
    let opened = Courier::open(state, Arc::clone(&node), parts, base, Uploads::default());
    let courier = opened.map_err(|error| {
        tracing::error!("no data packages are carried between federates: {error}");
    });
    let courier = courier.ok()?;
    node.packages.open(Desk {
        store,
        consignee: Arc::new(courier.clone()),
    });
    tokio::spawn(courier.clone().run());
    Some(courier)
}

/// Takes over what the configuration says of peers; `destination` knows where one takes uploads, if it does.
pub(super) fn apply(
    courier: &Courier,
    config: &Config,
    destination: impl Fn(&Peer) -> Option<Destination>,
) {
    let peers = config.peers.iter();
    courier.set_rules(peers.map(|peer| (peer.name.clone(), rules(peer))).collect());
    let enabled = config.peers.iter().filter(|peer| peer.enabled);
    let uploads: BTreeMap<String, Destination> = enabled
        .filter_map(|peer| Some((peer.name.clone(), destination(peer)?)))
        .collect();
    courier.uploads().set(uploads);
}

fn rules(peer: &Peer) -> Rules {
    Rules {
        limit: peer.packages.limit_mib.map(|mib| u64::from(mib) * MIB),
        blocked: peer.packages.block_extensions.clone(),
        holds_missions: !peer.packages.relay_missions,
    }
}

//! What is done once a second for the machine: the service manager hears how things stand, the card and the power are
//! looked at, and a start that went well is noted.

use std::path::Path;
use std::sync::{Arc, PoisonError};

use tokio::time::Interval;

use super::Shared;
use crate::api::status::{PeerState, PeerStatus};
use crate::system::boots::SETTLED_AFTER;
use crate::system::storage::StorageFault;
use crate::system::{Vitals, Watcher};

/// Seconds between two looks at card and power.
const EVERY: u64 = 10;

/// The machine as the box watches it.
#[derive(Debug)]
pub(super) struct Machine {
    watcher: Watcher,
    seconds: u64,
    has_settled: bool,
    told: Vitals,
}

impl Machine {
    /// Watches the machine below `root`, whose state directory is `state`.
    pub(super) fn new(root: &Path, state: &Path) -> Self {
        Self {
            watcher: Watcher::new(root, state),
            seconds: 0,
            has_settled: false,
            told: Vitals::default(),
        }
    }

    /// The second's look.
    pub(super) fn look(&mut self, shared: &Arc<Shared>) {
        if self.seconds.is_multiple_of(EVERY) {
            let mut vitals = self.watcher.look();
            // A disk that looks well and takes nothing is at fault all the same.
            if shared.hub.with(|router, _| router.spool_fault().is_some()) {
                vitals
                    .storage
                    .fault
                    .get_or_insert(StorageFault::NotWritable);
            }
            self.tell(&vitals);
            shared.set_vitals(vitals);
        }
        self.seconds += 1;
        if !self.has_settled && shared.hub.now().mono_ms >= as_millis(SETTLED_AFTER) {
            self.has_settled = true;
            let shared = Arc::clone(shared);
            // Written beside the event loop: a card may take its time.
            drop(tokio::task::spawn_blocking(move || shared.settle()));
        }
        if shared.manager.is_there() {
            shared.manager.status(&shared.in_words());
        }
    }

    /// Logs what is new about card and power.
    fn tell(&mut self, now: &Vitals) {
        if now.storage.fault != self.told.storage.fault {
            match now.storage.fault {
                Some(fault) => tracing::error!("storage: {fault}"),
                None => tracing::info!("storage: good again"),
            }
        }
        match (
            self.told.power.low == Some(true),
            now.power.low == Some(true),
        ) {
            (false, true) => tracing::error!("power: the voltage is too low"),
            (true, false) => tracing::warn!("power: the voltage is good again"),
            _ => {}
        }
        self.told = now.clone();
    }
}

fn as_millis(time: std::time::Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// The next sign of life that the service manager waits for; never, when it waits for none.
pub(super) async fn beat(pulse: &mut Option<Interval>) {
    match pulse {
        Some(pulse) => drop(pulse.tick().await),
        None => std::future::pending().await,
    }
}

impl Shared {
    /// How the machine was when it was last looked at, within the last ten seconds.
    pub(super) fn vitals(&self) -> Vitals {
        self.vitals
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn set_vitals(&self, vitals: Vitals) {
        *self.vitals.lock().unwrap_or_else(PoisonError::into_inner) = vitals;
    }

    /// How the box stands, in a line.
    fn in_words(&self) -> String {
        if let Some(safe) = &self.safe {
            return format!("safe mode: {safe}");
        }
        in_words(&self.status().peers)
    }
}

/// `3 peers: 2 flowing, 1 waiting (bravo: its certificate is not the one that was registered)`.
fn in_words(peers: &[PeerStatus]) -> String {
    const BEST_FIRST: [PeerState; 6] = [
        PeerState::Flowing,
        PeerState::Connected,
        PeerState::Connecting,
        PeerState::Waiting,
        PeerState::Paused,
        PeerState::Disabled,
    ];
    let counts: Vec<String> = BEST_FIRST
        .iter()
        .map(|&state| {
            (
                state,
                peers.iter().filter(|peer| peer.state == state).count(),
            )
        })
        .filter(|&(_, count)| count > 0)
        .map(|(state, count)| format!("{count} {state}"))
        .collect();
    let trouble = peers
        .iter()
        .filter(|peer| peer.state == PeerState::Waiting && !peer.reason.is_empty())
        .map(|peer| format!(" ({}: {})", peer.name, peer.reason))
        .next()
        .unwrap_or_default();
    match peers.len() {
        0 => "no peers yet".to_owned(),
        1 => format!("1 peer: {}{trouble}", counts.join(", ")),
        many => format!("{many} peers: {}{trouble}", counts.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(name: &str, state: PeerState, reason: &str) -> PeerStatus {
        PeerStatus {
            name: name.into(),
            state,
            reason: reason.into(),
            stopped_by: None,
            proven: None,
            address: None,
            enabled: true,
            crossing: Default::default(),
            events_in: 0,
            events_out: 0,
            rate_in: 0.0,
            rate_out: 0.0,
            sending: crate::api::sending::SendingStatus::default(),
            groups: Default::default(),
            protocol: "v2".to_owned(),
            relaxed: None,
            last_heard: None,
            dropped: Default::default(),
            spool: Default::default(),
            line: None,
            uplinks: Vec::new(),
            clock: Default::default(),
        }
    }

    #[test]
    fn peers_are_counted_and_the_first_trouble_is_named() {
        assert_eq!(in_words(&[]), "no peers yet");
        let bravo = peer("bravo", PeerState::Flowing, "");
        assert_eq!(in_words(std::slice::from_ref(&bravo)), "1 peer: 1 flowing");
        let charlie = peer("charlie", PeerState::Waiting, "certificate refused");
        let delta = peer("delta", PeerState::Flowing, "");
        assert_eq!(
            in_words(&[charlie, bravo, delta]),
            "3 peers: 2 flowing, 1 waiting (charlie: certificate refused)"
        );
    }
}

//! Learns the idle timeout of the uplink that a link goes out by, beside that link and for as long as it lives.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use super::quiet::{Outcome, Quiet, Way};
use super::search::{Bounds, Search, Step};
use super::table::Place;
use super::{Keeper, Link};
use crate::link::hub::Hub;

/// Between two looks at whether something is to be measured.
const EVERY: Duration = Duration::from_secs(5);
/// After a search that could not be finished.
const PAUSE: Duration = Duration::from_secs(10 * 60);
/// Connections that broke for other reasons, before a search is given up for now.
const MOST_BROKEN: u32 = 4;

/// Runs for ever; the connection's task ends it.
pub async fn run(keeper: Keeper, link: Arc<Link>, way: Way, hub: Hub, peer: String) {
    let Some(place) = link.place.clone() else {
        return;
    };
    loop {
        sleep(EVERY).await;
        let now_s = hub.now().wall_ms / 1000;
        if !keeper.discovers() || !keeper.memory().table.is_due(&place, now_s) {
            continue;
        }
        // Never closed.
        let Ok(_alone) = keeper.inner.measuring.acquire().await else {
            return;
        };
        // Another link of this uplink may have learned it meanwhile.
        if !keeper.memory().table.is_due(&place, now_s) {
            continue;
        }
        let measuring = Measuring::begin(&link);
        let found = search(&keeper, &place, &way).await;
        drop(measuring);
        match found {
            Some(bounds) => {
                tracing::info!(peer, "{peer}: {}", words(&place, bounds));
                keeper.learn(&place, bounds, hub.now().wall_ms / 1000);
            }
            None => {
                let minutes = PAUSE.as_secs() / 60;
                tracing::info!(
                    peer,
                    "{peer}: the idle timeout of uplink {} could not be measured; again in {minutes} min",
                    place.uplink
                );
                sleep(PAUSE).await;
            }
        }
    }
}

fn words(place: &Place, bounds: Bounds) -> String {
    let seconds = |ms: u32| f64::from(ms) / 1000.0;
    let Place { uplink, network } = place;
    match bounds {
        Bounds { lived, died: None } => format!(
            "uplink {uplink} ({network}) remembers an idle connection for {} s and more",
            seconds(lived)
        ),
        Bounds {
            lived,
            died: Some(died),
        } => format!(
            "uplink {uplink} ({network}) forgets an idle connection after {} to {} s",
            seconds(lived),
            seconds(died)
        ),
    }
}

async fn search(keeper: &Keeper, place: &Place, way: &Way) -> Option<Bounds> {
    let claim = keeper.memory().table.claim(place);
    let mut search = claim.map_or_else(Search::new, Search::verifying);
    let mut broken = 0;
    loop {
        let points = match search.step() {
            Step::Found(bounds) => return Some(bounds),
            Step::Try(points) => points,
        };
        // The far side plays along, and the network carries new connections.
        let round_trip = way.greet().await?;
        let mut open: Vec<(u32, Quiet)> = Vec::with_capacity(points.len());
        for idle in points {
            if let Some(quiet) = way.open(idle).await {
                open.push((idle, quiet));
            }
        }
        if open.is_empty() {
            return None;
        }
        // Ascending, and all of them run: the kernel holds what comes meanwhile.
        for (idle, quiet) in open {
            match quiet.outcome(round_trip).await {
                Outcome::Lived => search.lived(idle),
                // A network that carries nothing at all just now has not forgotten anything.
                Outcome::Died if way.greet().await.is_some() => {
                    search.died(idle);
                    break;
                }
                Outcome::Died | Outcome::Broken => broken += 1,
            }
        }
        if broken >= MOST_BROKEN {
            return None;
        }
    }
}

/// Shows in the status that a search is under way.
struct Measuring<'a>(&'a Link);

impl<'a> Measuring<'a> {
    fn begin(link: &'a Link) -> Self {
        link.change(|shown| shown.is_measuring = true);
        Self(link)
    }
}

impl Drop for Measuring<'_> {
    fn drop(&mut self) {
        self.0.change(|shown| shown.is_measuring = false);
    }
}

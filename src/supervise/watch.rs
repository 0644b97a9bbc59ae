//! What is done once a second: rates are taken, and what was dropped is written down, in few lines.

use std::collections::BTreeMap;
use std::sync::PoisonError;

use super::Shared;
use crate::config::Config;
use crate::counters::{Counters, Reason};
use crate::route::Role;

/// Seconds between two lines about the same trouble.
const EVERY: u32 = 5;

/// What was written down already.
#[derive(Debug, Default)]
pub(super) struct Watch {
    told: BTreeMap<String, Counters>,
    seconds: u32,
}

impl Watch {
    /// Nothing was told yet.
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// The second's look.
    pub(super) fn look(&mut self, shared: &Shared) {
        let config = shared.config();
        let mut links: Vec<(String, Counters)> = Vec::with_capacity(config.peers.len() + 1);
        let at_ms = shared.hub.with(|router, now| {
            links.push(("local".to_owned(), router.local_counters()));
            for peer in &config.peers {
                if let Some(counters) = router.peer_counters(&peer.name) {
                    links.push((peer.name.clone(), counters.clone()));
                }
            }
            now.mono_ms
        });
        {
            let mut rates = shared.rates.lock().unwrap_or_else(PoisonError::into_inner);
            for (name, counters) in links.iter().skip(1) {
                rates.note(name, at_ms, counters.events_in, counters.events_out);
            }
            rates.keep_only(|name| config.peers.iter().any(|peer| peer.name == name));
        }
        self.servers(shared, &config, &mut links);
        if let Some(words) = shared.refusals.summary(at_ms) {
            tracing::warn!("{words}");
        }
        self.seconds += 1;
        if !self.seconds.is_multiple_of(EVERY) {
            return;
        }
        for (name, counters) in &links {
            let line = self.news(name, counters);
            if !line.is_empty() {
                tracing::warn!(peer = name, "{name}: not passed on in {EVERY} s: {line}");
            }
        }
        self.told = links.into_iter().collect();
    }

    fn servers(&self, shared: &Shared, config: &Config, links: &mut Vec<(String, Counters)>) {
        let mut rates = (shared.server_rates.lock()).unwrap_or_else(PoisonError::into_inner);
        shared.hub.with(|router, now| {
            for server in &config.servers {
                let Some(counters) = router.neighbour_counters(Role::Server, &server.name) else {
                    continue;
                };
                let (came, went) = (counters.events_in, counters.events_out);
                rates.note(&server.name, now.mono_ms, came, went);
                links.push((format!("server {}", server.name), counters.clone()));
            }
        });
        rates.keep_only(|name| config.servers.iter().any(|server| server.name == name));
    }

    fn news(&self, name: &str, counters: &Counters) -> String {
        let told = |reason| self.told.get(name).map_or(0, |told| told.dropped(reason));
        let news: Vec<String> = counters
            .reasons()
            .filter(|(reason, _)| !is_ordinary(*reason))
            .map(|(reason, count)| (reason, count - told(reason)))
            .filter(|&(_, count)| count > 0)
            .map(|(reason, count)| format!("{count} {reason}"))
            .collect();
        news.join(", ")
    }
}

/// What every healthy network of boxes does all day is counted, and no reason to write lines.
fn is_ordinary(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::Duplicate
            | Reason::Loop
            | Reason::Conflated
            | Reason::IncomingOff
            | Reason::OutgoingOff
            | Reason::LinkDown
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_news_is_told() {
        let mut watch = Watch::new();
        let mut counters = Counters::default();
        counters.drop_one(Reason::Malformed);
        counters.drop_one(Reason::Duplicate);
        assert_eq!(watch.news("x", &counters), "1 malformed");
        watch.told.insert("x".to_owned(), counters.clone());
        assert_eq!(watch.news("x", &counters), "");
        counters.drop_one(Reason::Malformed);
        counters.drop_one(Reason::Expired);
        assert_eq!(watch.news("x", &counters), "1 malformed, 1 expired");
    }
}

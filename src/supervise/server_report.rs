//! The logins at TAK servers as they stand now.

use std::sync::PoisonError;

use super::Shared;
use crate::api::servers::ServerStatus;
use crate::api::status::{PeerState, Proven, counts, time};
use crate::clock::Now;
use crate::config::Server;
use crate::counters::Counters;
use crate::link::board::{self, Hindrance};
use crate::route::{Role, Router};

impl Shared {
    /// How every configured server stands.
    pub(super) fn server_statuses(&self) -> Vec<ServerStatus> {
        let config = self.config();
        let asked = self.hub.with(|router, now| {
            let one = |server: &Server| {
                let users = router.users_of(Role::Server, &server.name);
                let tak = router.speaks_tak(Role::Server, &server.name);
                (counters(router, server), (users, tak), now)
            };
            config.servers.iter().map(one).collect::<Vec<_>>()
        });
        (config.servers.iter().zip(asked))
            .map(|(server, (counters, users, now))| self.server(server, &counters, users, now))
            .collect()
    }

    /// How far every server's login has come, for the LED: whether it counts, its state, and what stops it.
    pub(super) fn server_standings(
        &self,
    ) -> Vec<(String, bool, board::PeerState, Option<Hindrance>)> {
        let config = self.config();
        self.hub.with(|router, now| {
            let one = |server: &Server| {
                let counters = counters(router, server);
                let (state, hindrance) =
                    (self.servers).standing(&server.name, &counters, now.wall_ms);
                let counts = server.enabled && (server.incoming || server.outgoing);
                (server.name.clone(), counts, state, hindrance)
            };
            config.servers.iter().map(one).collect()
        })
    }

    fn server(
        &self,
        server: &Server,
        counters: &Counters,
        (users, tak): (usize, bool),
        now: Now,
    ) -> ServerStatus {
        let known = self
            .servers
            .status_with(&server.name, counters, now.wall_ms)
            .unwrap_or_default();
        let off = !server.incoming && !server.outgoing;
        let state = match PeerState::from(known.state) {
            _ if self.safe.is_some() => PeerState::Paused,
            PeerState::Connected | PeerState::Flowing if off => PeerState::Paused,
            state => state,
        };
        let reason = match state {
            PeerState::Paused if self.safe.is_some() => "the box is in safe mode".to_owned(),
            PeerState::Paused => "incoming and outgoing are both off".to_owned(),
            PeerState::Connected if known.reason.is_empty() => {
                "no event has crossed in the last minute".to_owned()
            }
            _ => known.reason,
        };
        let stopped = match state {
            PeerState::Disabled => None,
            _ if off => Some(Hindrance::Direction),
            PeerState::Waiting | PeerState::Connecting => known.hindrance,
            _ => None,
        };
        let rates = (self.server_rates.lock()).unwrap_or_else(PoisonError::into_inner);
        let (rate_in, rate_out) = rates.of(&server.name);
        let age = |at_ms: i64| u64::try_from(now.wall_ms.saturating_sub(at_ms) / 1000).unwrap_or(0);
        ServerStatus {
            name: server.name.clone(),
            network: server.network.clone(),
            state,
            reason,
            stopped_by: stopped.map(|stopped| stopped.word().to_owned()),
            proven: known.proven.map(|proven| Proven {
                age_seconds: age(proven.at_ms),
                round_trip_ms: proven.round_trip_ms,
                count: proven.count,
            }),
            address: match known.address.is_empty() {
                true => server.address.clone(),
                false => known.address,
            },
            tls: server.tls.is_some(),
            protocol: if tak { "tak" } else { "xml" }.to_owned(),
            enabled: server.enabled,
            users: u32::try_from(users).unwrap_or(u32::MAX),
            events_in: counters.events_in,
            events_out: counters.events_out,
            rate_in,
            rate_out,
            last_heard: time(counters.last_heard_ms),
            dropped: counts(counters.reasons()),
        }
    }
}

fn counters(router: &Router, server: &Server) -> Counters {
    let known = router.neighbour_counters(Role::Server, &server.name);
    known.cloned().unwrap_or_default()
}

//! Answers `why`: what the router noted of a track, with names and words.

use super::Shared;
use crate::api::status::time;
use crate::api::why::{Arrived, Fate, WhyReport};
use crate::api::{ErrorCode, Fault, words};
use crate::clock::Now;
use crate::cot::Class;
use crate::counters::Reason;
use crate::route::policy::Ruling;
use crate::route::recorder::LinkKind;
use crate::route::trace::{self, Cell, Trace};
use crate::route::{Role, Router};

/// Other uids of a callsign that are named.
const MOST_OTHERS: usize = 8;
/// Longest uid or callsign that is asked for, bytes.
const LONGEST: usize = 256;

impl Shared {
    /// What is known of a track, asked for by uid or callsign; only what concerns `peer`, if one is named.
    pub(super) fn why(&self, what: &str, peer: Option<&str>) -> Result<WhyReport, Fault> {
        if what.is_empty() || what.len() > LONGEST {
            return Err(Fault::new(
                ErrorCode::Argument,
                "UID: write a uid or a callsign of at most 256 bytes",
            ));
        }
        let config = self.config();
        if let Some(peer) = peer
            && !config.peers.iter().any(|known| known.name == peer)
        {
            return Err(Fault::new(
                ErrorCode::NotFound,
                format!("no peer is called \"{peer}\"; `tombolo peer list` shows them"),
            ));
        }
        let names: Vec<&str> = config.peers.iter().map(|peer| peer.name.as_str()).collect();
        let mut report = (self.hub).with(|router, now| report(router, what, &names, now));
        if let Some(peer) = peer {
            report.only(peer);
        }
        Ok(report)
    }
}

fn report(router: &Router, what: &str, peers: &[&str], now: Now) -> WhyReport {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let mut uid = what.as_bytes().to_vec();
    let mut others = Vec::new();
    if router.trace(&uid).is_none() {
        // No such uid: it may be a callsign. The one heard last is meant.
        let mut named: Vec<&[u8]> = router.uids_of(what.as_bytes()).collect();
        named.sort_by_key(|uid| std::cmp::Reverse(router.trace(uid).map(|trace| latest(&trace))));
        if let Some(first) = named.first() {
            uid = first.to_vec();
            let rest = named.iter().skip(1).take(MOST_OTHERS);
            others = rest.map(|uid| text(uid)).collect();
        }
    }
    let trace = router.trace(&uid);
    WhyReport {
        uid: text(&uid),
        callsign: router.callsign_of(&uid).map(text),
        others,
        unknown: trace.is_none(),
        remembered: router.traced() as u64,
        kind: trace.map(|trace| text(trace.kind)).unwrap_or_default(),
        taken: trace.and_then(|trace| taken(router, &trace, now)),
        refused: trace.and_then(|trace| refused(router, &trace, now)),
        fates: trace
            .filter(|trace| trace.taken.is_some())
            .map(|trace| fates(router, &trace, peers, now))
            .unwrap_or_default(),
    }
}

fn latest(trace: &Trace<'_>) -> u64 {
    let taken = trace.taken.map_or(0, |taken| taken.at_ms);
    taken.max(trace.refused.map_or(0, |refused| refused.at_ms))
}

fn taken(router: &Router, trace: &Trace<'_>, now: Now) -> Option<Arrived> {
    let taken = trace.taken?;
    let left = Some(taken.left_ms).filter(|&left| left != i64::MAX);
    let left_seconds = left.map(|left| left.div_euclid(1000));
    let words = match left_seconds {
        Some(left) if left < 0 => format!(
            "It was stale when it came, by {} s of this box's clock: it is passed on and receivers hide it. Compare the \
             clocks of sender and box",
            left.unsigned_abs()
        ),
        _ => String::new(),
    };
    Some(Arrived {
        count: trace.taken_count,
        class: class(taken.class).to_owned(),
        size: taken.size,
        left_seconds,
        words,
        ..arrived(router, taken.at_ms, taken.from, now)
    })
}

fn refused(router: &Router, trace: &Trace<'_>, now: Now) -> Option<Arrived> {
    let refused = trace.refused?;
    let arrived = arrived(router, refused.at_ms, refused.from, now);
    let words = match refused.ruling {
        Some(ruling) => {
            let rule = router.rule_words(refused.from, true, ruling, refused.at_ms);
            words::filtered(rule.as_deref(), table(router, refused.from), &arrived.from)
        }
        None => words::reason(refused.reason, &arrived.from),
    };
    Some(Arrived {
        count: trace.refused_count,
        reason: Some(refused.reason.word().to_owned()),
        rule: Some(words::rule(refused.reason).to_owned()),
        words,
        ..arrived
    })
}

fn arrived(router: &Router, at_ms: u64, from: u16, now: Now) -> Arrived {
    let age_ms = now.mono_ms.saturating_sub(at_ms);
    let from = match router.link_name(from) {
        (_, Some(name)) => name.to_owned(),
        (LinkKind::Commands, None) => "commands".to_owned(),
        (_, None) => "local client".to_owned(),
    };
    let at = now
        .wall_ms
        .saturating_sub(i64::try_from(age_ms).unwrap_or(i64::MAX));
    Arrived {
        at: time(at).unwrap_or_default(),
        age_ms,
        from,
        class: String::new(),
        size: 0,
        left_seconds: None,
        count: 0,
        reason: None,
        rule: None,
        words: String::new(),
    }
}

fn fates(router: &Router, trace: &Trace<'_>, peers: &[&str], now: Now) -> Vec<Fate> {
    let age_ms = trace
        .taken
        .map_or(0, |taken| now.mono_ms.saturating_sub(taken.at_ms));
    let clients = trace.at_clients();
    let clients = clients.iter().filter(|cell| cell.count > 0);
    let taken_ms = now.mono_ms.saturating_sub(age_ms);
    let mut fates: Vec<Fate> = clients
        .map(|cell| match cell.fate {
            trace::Fate::Filtered(ruling) => Fate {
                link: "local clients".to_owned(),
                words: kept_from_neighbours(router, ruling, taken_ms),
                ..filtered("", None, cell)
            },
            _ => fate("local clients", cell, age_ms),
        })
        .collect();
    for peer in peers {
        let cell = router.column_of(peer).and_then(|column| trace.at(column));
        // A peer that is paused has no column before it was registered once.
        fates.extend(cell.map(|cell| match cell.fate {
            trace::Fate::Filtered(ruling) => {
                let number = router.number_of(peer);
                let rule = number.and_then(|link| router.rule_words(link, false, ruling, taken_ms));
                filtered(peer, rule.as_deref(), &cell)
            }
            _ => fate(peer, &cell, age_ms),
        }));
    }
    fates
}

fn fate(link: &str, cell: &Cell, age_ms: u64) -> Fate {
    let after_ms = u64::from(cell.after) * 100;
    let clients = match (link, cell.count) {
        ("local clients", 1) => " to 1 client".to_owned(),
        ("local clients", count) => format!(" to {count} clients"),
        _ => String::new(),
    };
    let later = match after_ms {
        0 => String::new(),
        after => format!(", {:.1} s after it came", after as f64 / 1000.0),
    };
    let (word, reason, text): (&str, Option<Reason>, String) = match cell.fate {
        trace::Fate::None => (
            "not_addressed",
            None,
            "not offered: it is addressed to others, or the link was not registered then"
                .to_owned(),
        ),
        trace::Fate::Origin => ("origin", None, "it came from there".to_owned()),
        trace::Fate::Sent => ("sent", None, format!("sent{clients}{later}")),
        trace::Fate::Waiting => {
            let words = format!(
                "waits in the queue for {:.1} s: the link takes no more at present",
                age_ms as f64 / 1000.0
            );
            ("waiting", None, words)
        }
        trace::Fate::Spooled => ("spooled", None, "kept until the link is back".to_owned()),
        trace::Fate::Carried => (
            "carried",
            None,
            "it tells of a data package whose bytes go there first: see `tombolo packages`"
                .to_owned(),
        ),
        // Filters are the peers', and have words of their own.
        trace::Fate::Filtered(_) => (
            "dropped",
            Some(Reason::Filtered),
            words::reason(Reason::Filtered, link),
        ),
        trace::Fate::Dropped(reason) => {
            let words = words::reason(reason, if link == "local clients" { "" } else { link });
            (
                "dropped",
                Some(reason),
                format!("not sent{clients} ({reason}){later}: {words}"),
            )
        }
    };
    Fate {
        link: link.to_owned(),
        fate: word.to_owned(),
        reason: reason.map(|reason| reason.word().to_owned()),
        rule: reason.map(|reason| words::rule(reason).to_owned()),
        after_ms,
        count: cell.count.into(),
        words: text,
    }
}

/// The table of the configuration in which a link's filter stands.
fn table(router: &Router, link: u16) -> &'static str {
    match router.link_name(link).0 {
        LinkKind::Neighbour {
            role: Role::Mesh, ..
        } => "mesh",
        LinkKind::Neighbour {
            role: Role::Server, ..
        } => "server",
        _ => "peer",
    }
}

/// What a filter kept from meshes and servers, which stand in one column with the clients. Where only one of them has a
/// filter, its rule is known.
fn kept_from_neighbours(router: &Router, ruling: Ruling, at_ms: u64) -> String {
    let mut guarded = router.guarded_neighbours();
    match (guarded.next(), guarded.next()) {
        (Some(link), None) => {
            let rule = router.rule_words(link, false, ruling, at_ms);
            let (_, name) = router.link_name(link);
            words::filtered(
                rule.as_deref(),
                table(router, link),
                name.unwrap_or_default(),
            )
        }
        _ => words::reason(Reason::Filtered, "a mesh or server"),
    }
}

fn filtered(peer: &str, rule: Option<&str>, cell: &Cell) -> Fate {
    let words = words::filtered(rule, "peer", peer);
    Fate {
        link: peer.to_owned(),
        fate: "dropped".to_owned(),
        reason: Some(Reason::Filtered.word().to_owned()),
        rule: Some(words::rule(Reason::Filtered).to_owned()),
        after_ms: u64::from(cell.after) * 100,
        count: cell.count.into(),
        words: format!("not sent ({}): {words}", Reason::Filtered),
    }
}

fn class(class: Class) -> &'static str {
    match class {
        Class::Emergency => "emergency",
        Class::Control => "control",
        Class::Chat => "chat",
        Class::Track => "track",
        Class::Bulk => "bulk",
    }
}

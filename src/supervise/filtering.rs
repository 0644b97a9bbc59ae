//! What a peer's filter does, in words for `status` and `check`.

use crate::api::check::{Step, StepState};
use crate::config::Peer;
use crate::counters::{Counters, Reason};
use crate::link::hindrance::Hindrance;
use crate::route::policy::Policy;

/// What may cross a peer's link; none = everything.
pub(super) fn policy(peer: &Peer) -> Option<Policy> {
    Policy::of(&peer.filters, peer.data_packages_in, peer.data_packages_out)
}

/// Why nothing can cross, when the filter lets nothing through any way that is on.
pub(super) fn standstill(peer: &Peer) -> Option<String> {
    let [closed_in, closed_out] = policy(peer)?.closed(peer.incoming, peer.outgoing);
    let still = (closed_in || !peer.incoming) && (closed_out || !peer.outgoing);
    (still && (closed_in || closed_out)).then(|| words(peer, closed_in, closed_out))
}

/// How many events the filter kept back since the start.
pub(super) fn kept_back(counters: &Counters) -> u64 {
    counters.dropped(Reason::Filtered)
}

/// The step `filter` of a link that is open.
pub(super) fn step(peer: &Peer, counters: &Counters) -> Step {
    let word = Hindrance::Filter.word();
    let Some(policy) = policy(peer) else {
        return Step::new(word, StepState::Ok, "none: everything may cross");
    };
    let stopped = kept_back(counters);
    let [closed_in, closed_out] = policy.closed(peer.incoming, peer.outgoing);
    if closed_in || closed_out {
        return Step::new(word, StepState::Failed, words(peer, closed_in, closed_out));
    }
    if stopped > 0 && counters.events_in == 0 && counters.events_out == 0 {
        let words = format!(
            "all {stopped} events so far were stopped by it ({}); `tombolo why` names the rule",
            peer.filters
        );
        return Step::new(word, StepState::Failed, words);
    }
    let packages = match (peer.data_packages_in, peer.data_packages_out) {
        (true, true) => "",
        (false, true) => "; no data packages from it",
        (true, false) => "; no data packages to it",
        (false, false) => "; no data packages",
    };
    let words = format!(
        "{}{packages}; {stopped} events stopped so far",
        peer.filters
    );
    Step::new(word, StepState::Ok, words)
}

fn words(peer: &Peer, closed_in: bool, closed_out: bool) -> String {
    let way = match (closed_in, closed_out) {
        (true, true) => "through either way",
        (true, false) => "in",
        _ => "out",
    };
    format!(
        "its filter lets nothing but emergencies {way} ({}): `tombolo peer set {} --no-filter` lets everything pass",
        peer.filters, peer.name
    )
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::Config;

    fn peer(rest: &str) -> Peer {
        let pin = format!("SHA256:{}", "AB".repeat(32));
        let text = format!("[[peer]]\nname = \"bravo\"\nfingerprint = \"{pin}\"\n{rest}\n");
        Config::parse(&text, Path::new("")).unwrap().peers.remove(0)
    }

    #[test]
    fn a_filter_that_lets_nothing_through_says_so() {
        let closed = peer("filter = { block_types = [\"*\"] }");
        let words = standstill(&closed).unwrap();
        assert!(
            words.contains("either way (both ways block_types = [\"*\"])"),
            "{words}"
        );
        assert!(words.contains("peer set bravo --no-filter"), "{words}");
        let out = peer("filter = { block_types = [\"*\"], direction = \"out\" }");
        assert_eq!(standstill(&out), None);
        assert_eq!(step(&out, &Counters::default()).state, "failed");
        let only =
            peer("incoming = false\nfilter = { block_types = [\"*\"], direction = \"out\" }");
        assert!(standstill(&only).is_some());
        let open = peer("filter = { block_types = [\"a-h\"] }");
        assert_eq!(standstill(&open), None);
    }

    #[test]
    fn a_filter_that_stopped_all_there_was_is_suspected() {
        let mut counters = Counters::default();
        let neutral = peer("filter = { allow_types = [\"a-n\"] }");
        assert_eq!(step(&neutral, &counters).state, "ok");
        counters.drop_many(Reason::Filtered, 7);
        let suspected = step(&neutral, &counters);
        assert_eq!(suspected.state, "failed");
        assert!(
            suspected.words.contains("all 7 events"),
            "{}",
            suspected.words
        );
        counters.events_out = 1;
        assert_eq!(step(&neutral, &counters).state, "ok");
        let plain = step(&peer(""), &Counters::default());
        assert_eq!(
            (plain.state.as_str(), plain.words.as_str()),
            ("ok", "none: everything may cross")
        );
    }
}

//! Tests of the federates as configured.

use super::*;
use crate::clock::SystemClock;
use crate::config::Limits;
use crate::link::tls::Judgement;
use crate::pki::{Fingerprint, Refusal};
use crate::route::{Router, Settings};

#[test]
fn a_refused_peer_reads_why_at_its_own_state_unless_it_is_connected() {
    let timing = Timing::default();
    let settings = Settings::of(&Limits::default(), "a".repeat(32), 1);
    let node = Node {
        name: "alpha".to_owned(),
        federate_id: "a".repeat(32),
        hub: Hub::new(Router::new(settings), Arc::new(SystemClock::new())),
        board: PeerBoard::new(),
        registry: Registry::new("a", timing.fresh),
        routes: Routes::default(),
        companions: Companions::default(),
        groups: Announced::default(),
        keeper: Keeper::default(),
        meters: Meters::default(),
        large_events: Arc::new(Semaphore::new(1)),
        message_limit: 1024,
        packages: Packages::default(),
        timing,
    };
    let observer = tell_refused(&node);
    let refuse = |suspect: Option<&str>| {
        observer(Judgement {
            fingerprint: Fingerprint::of(b""),
            outcome: Err(Refusal::Expired),
            doubt: None,
            suspect: suspect.map(str::to_owned),
        });
    };
    let board = &node.board;
    let reason = |peer: &str| board.status(peer).unwrap().reason;
    board.set("bravo", PeerState::Waiting, "it has not dialled us yet", 1);
    board.set("charlie", PeerState::Connected, "", 1);
    refuse(None);
    assert_eq!(reason("bravo"), "it has not dialled us yet");
    for peer in ["bravo", "charlie", "nobody"] {
        refuse(Some(peer));
    }
    assert_eq!(
        reason("bravo"),
        format!("we refused it: {}", Refusal::Expired)
    );
    assert_eq!(reason("charlie"), "");
    assert_eq!(board.status("nobody"), None);
}

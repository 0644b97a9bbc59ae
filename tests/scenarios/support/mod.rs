//! What the scenarios are made of: real boxes, real devices, certificates good and bad, a foreign federate.

mod api;
mod cable;
mod canonical;
mod certificates;
mod corpus;
mod cot;
mod datagram;
mod device;
mod faked_clock;
mod foreign;
mod freetakserver;
pub mod lan;
#[path = "../../support/led.rs"]
pub mod led;
mod machine;
mod manager;
mod middle;
pub mod netns;
pub mod peer_programs;
mod process;
mod relay;
mod setup;
mod source;
mod status;
mod tak;
mod terminal;
mod visitor;

pub use api::{Answer, Api, Watcher};
pub use cable::{Cables, Cut};
pub use canonical::Element;
pub use certificates::{Authority, Leaf, Profile};
pub use corpus::corpus;
pub use cot::{Event, chat, now_ms, position, stamp, stamp_of_now, track};
pub use datagram::tak_datagram;
pub use device::{Device, RawDevice, client_config, tls_stream};
pub use faked_clock::{FakedClock, days};
pub use foreign::{FOREIGN_ID, Foreign, peer_python};
pub use freetakserver::FreeTakServer;
pub use machine::Machine;
pub use manager::Managed;
pub use middle::Middle;
pub use process::{Finished, TomboloBox, ask, peak_kib, tombolo};
pub use relay::Relay;
pub use setup::{Registration, Setup};
pub use source::{NETWORK, TOML, World};
pub use status::Status;
pub use tak::{Detail, TakDevice, TakMessage, request};
pub use terminal::Terminal;
pub use visitor::{Visitor, bytes, hash_of};

use std::time::{Duration, Instant};

/// Anything that is promised at all happens within this, even on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(20);
/// What must not happen is watched for this long.
pub const QUIET: Duration = Duration::from_millis(700);

/// Asks again and again until the answer is there; fails the test with `what` when it never comes.
#[track_caller]
pub fn eventually<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < deadline, "{what}: not within {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Two boxes joined by one federation link: alpha dials bravo.
pub fn joined_pair() -> (TomboloBox, TomboloBox) {
    let (alpha_authority, bravo_authority) =
        (Authority::new("alpha-ca"), Authority::new("bravo-ca"));
    joined(
        Setup::new("alpha").identity(&alpha_authority.issue("alpha")),
        Setup::new("bravo").identity(&bravo_authority.issue("bravo")),
    )
}

/// Starts both boxes with each other registered, the first dialling the second, and waits for the link.
pub fn joined(alpha: Setup, bravo: Setup) -> (TomboloBox, TomboloBox) {
    let (to_bravo, to_alpha) = (bravo.registration(), alpha.registration());
    let bravo = bravo.peer(to_alpha).start();
    let alpha = alpha.peer(to_bravo.dial(bravo.federation())).start();
    alpha.wait_peer("bravo");
    bravo.wait_peer("alpha");
    (alpha, bravo)
}

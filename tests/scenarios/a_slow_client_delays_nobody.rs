//! A device that never reads costs itself its events, and nobody else anything.

use std::time::Instant;

use crate::support::{Authority, Device, PATIENCE, RawDevice, Setup, track};

#[test]
fn while_tracks_flow() {
    let authority = Authority::new("alpha-ca");
    let alpha = Setup::new("alpha")
        .identity(&authority.issue("alpha"))
        .start();
    let deaf = RawDevice::connect(alpha.clients_tcp());
    let [hawk, otter] = [(); 2].map(|()| Device::plain(alpha.clients_tcp()));
    alpha.wait_clients(3);
    let before = alpha.resident_kib();
    let long = "x".repeat(20_000);
    let began = Instant::now();
    // Some 24 MB: more than every socket buffer on the way and the outbox can hold for the one that does not read.
    for number in 0..1200_u64 {
        let name = format!("track-{number}");
        hawk.send(track(&name, number).replace("report", &long));
        // Never more under way than the outbox of a device that does read can hold.
        if number % 5 == 4 {
            otter.expect_uid(&name);
        }
    }
    assert!(began.elapsed() < PATIENCE * 3);
    assert_eq!(
        (0..1200)
            .filter(|number| otter.count(&format!("track-{number}")) == 1)
            .count(),
        1200,
        "the one that reads gets everything, once"
    );
    let grown = alpha.resident_kib().saturating_sub(before);
    assert!(grown < 8 * 1024, "memory grew by {grown} KiB");
    let status = alpha.status();
    let lost: u64 = ["evicted", "conflated", "refused", "expired"]
        .iter()
        .map(|reason| status.dropped_local(reason))
        .sum();
    assert!(lost > 0, "what the deaf one lost is counted: {}", status.0);
    drop(deaf);
}

//! The memory sum covers what the router takes.

use crate::budget::{
    CONTACT, DUPLICATE, FRAME, LATEST_PLACE, SOURCE, SPOOL_PEER, SPOOL_REPEATS, SPOOL_SEGMENT,
};
use crate::clock::skew::{Frame, Skew};
use crate::route::contacts::Contacts;
use crate::route::dedup::Dedup;
use crate::route::latest::Latest;
use crate::route::queue::{self, Queue};
use crate::route::router::REPLAYS;
use crate::route::spool::{self, PeerSpool};

/// The budget stands below the router and cannot ask it; here both are in sight.
#[test]
fn the_budget_covers_what_the_router_takes() {
    assert_eq!(queue::PLACE, 128, "what the budget says of waiting events");
    for (taken, allowed) in [
        (size_of::<PeerSpool>() + spool::READ_AHEAD, SPOOL_PEER),
        (spool::SEGMENT_PLACE, SPOOL_SEGMENT),
        (
            size_of::<spool::Alarms>() + Dedup::bytes(REPLAYS),
            SPOOL_REPEATS,
        ),
    ] {
        assert!(taken as u64 <= allowed, "{taken} > {allowed}");
    }
    for count in [64_u64, 512, 1024, 5000, 8192] {
        let many = usize::try_from(count).unwrap();
        for (taken, allowed) in [
            (Latest::bytes(many), LATEST_PLACE * count),
            (Dedup::bytes(many), DUPLICATE * count.next_power_of_two()),
            (Contacts::bytes(many), CONTACT * count),
            (Skew::bytes(many), SOURCE * count),
            (many * size_of::<Frame>(), FRAME * count),
            (Queue::bytes_beside(many), 128 * count),
        ] {
            assert!(
                u64::try_from(taken).unwrap() <= allowed,
                "{taken} > {allowed}"
            );
        }
    }
}

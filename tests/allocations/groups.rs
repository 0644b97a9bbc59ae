//! The same where groups are named: federates with labels of their own, names that are mapped, hops by group.

use std::path::Path;

use tombolo::config::Config;
use tombolo::route::groups::Groups;
use tombolo::route::{LinkSpec, Network, Router, Verdict};

use crate::track::{self, Track};
use crate::{MEASURED, WARM, allocations, client, drain, federate, now, router};

fn groups(router: &mut Router, text: &str) {
    let pin = "ab".repeat(32);
    let text = text.replace("[[peer]]", &format!("[[peer]]\nfingerprint = \"{pin}\""));
    let config = Config::parse(&text, Path::new("")).expect("a configuration");
    router.set_groups(&Groups::of(&config, |_| false), now(0));
}

const NAMED: &str =
    "group_mapping = true\ninbound_group_mapping = [\"Blue:Blue\", \"Red:Red\"]\nmax_hops = 5\n";

/// Two federates that are told differently and one that hears nothing of it, and a client in the other network.
fn near() -> (Router, [tombolo::route::LinkId; 4]) {
    let mut router = router("b");
    let names = ["from", "named", "limited", "deaf"];
    let links = names.map(|name| federate(&mut router, name));
    let text = format!(
        "[[network]]\nname = \"n\"\noutbound_groups = [\"Blue\"]\n[[peer]]\nname = \"from\"\n{NAMED}\
         [[peer]]\nname = \"named\"\n{NAMED}[[peer]]\nname = \"limited\"\n\
         outbound_group_hop_limits = [\"Blue:3\"]\n[[peer]]\nname = \"deaf\"\noutbound_groups = [\"Green\"]\n"
    );
    groups(&mut router, &text);
    (router, links)
}

#[test]
fn nothing_is_allocated_from_a_client_to_federates_that_are_told_groups() {
    let (mut router, [from, named, limited, deaf]) = near();
    let sender = client(&mut router);
    let mut track = Track::new();
    let mut before = 0;
    for number in 0..WARM + MEASURED {
        if number == WARM {
            before = allocations();
        }
        for link in [from, named, limited, deaf] {
            drain(&mut router, link, number, |_| {});
        }
        let verdict = router.receive_xml(sender, track.number(number), now(number));
        assert_eq!(verdict, Verdict::Routed(3));
        for (link, least) in [(from, 300), (named, 300), (limited, 300), (deaf, 0)] {
            let mut bytes = 0;
            drain(&mut router, link, number, |batch| bytes += batch.len());
            assert!(bytes >= least && (least > 0 || bytes == 0));
        }
    }
    assert_eq!(allocations() - before, 0, "in {MEASURED} events");
}

#[test]
fn nothing_is_allocated_from_a_federate_whose_names_are_mapped_and_hops_counted() {
    let mut far = router("c");
    let (sender, out) = (client(&mut far), federate(&mut far, "near"));
    groups(
        &mut far,
        "[[network]]\nname = \"local\"\ninbound_groups = [\"Blue\", \"Red\"]\n\
         [[peer]]\nname = \"near\"\ngroup_mapping = true\nfallback_when_no_group_mappings = true\n\
         outbound_group_hop_limits = [\"Blue:9\"]\n",
    );
    drain(&mut far, out, 0, |_| {});
    let mut batch = Vec::new();
    far.receive_xml(sender, Track::new().number(0), now(0));
    drain(&mut far, out, 0, |bytes| batch.extend_from_slice(bytes));
    let length =
        |at: usize| u32::from_be_bytes(*batch[at + 1..].first_chunk().expect("a prefix")) as usize;
    let second = 5 + length(0);
    let mut message = batch[second + 5..second + 5 + length(second)].to_vec();
    let uid = message
        .windows(track::UID.len())
        .position(|window| window == track::UID)
        .expect("the uid");
    let (mut router, [from, named, limited, deaf]) = near();
    let inside = router.attach(
        LinkSpec::Client {
            address: "test".to_owned(),
            network: Network(1),
        },
        now(0),
    );
    let mut before = 0;
    for number in 0..WARM + MEASURED {
        if number == WARM {
            before = allocations();
        }
        track::write_number(&mut message[uid..uid + track::UID.len()], number);
        for link in [named, limited, deaf, inside] {
            drain(&mut router, link, number, |_| {});
        }
        let verdict = router.receive_federated(from, &message, now(number));
        assert_eq!(verdict, Verdict::Routed(3));
        for link in [named, limited, inside] {
            let mut bytes = 0;
            drain(&mut router, link, number, |batch| bytes += batch.len());
            assert!(bytes > 300);
        }
    }
    assert_eq!(allocations() - before, 0, "in {MEASURED} events");
}

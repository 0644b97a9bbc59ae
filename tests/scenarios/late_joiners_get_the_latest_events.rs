//! Who comes late, sees at once what is there: the newest event of each track, ours and the federates'.

use crate::support::{Device, eventually, joined_pair, position, track};

#[test]
fn a_client_gets_the_newest_of_each() {
    let (alpha, bravo) = joined_pair();
    let (hawk, otter) = (
        Device::plain(alpha.clients_tcp()),
        Device::plain(bravo.clients_tcp()),
    );
    alpha.wait_clients(1);
    bravo.wait_clients(1);
    hawk.send(position("hawk-uid", "HAWK"));
    otter.expect_uid("hawk-uid");
    for number in 1..=3 {
        hawk.send(track("moving", number));
        otter.expect("each report", |event| {
            event.xml.contains(&format!("report {number}<"))
        });
    }
    for late in [
        Device::plain(alpha.clients_tcp()),
        Device::plain(bravo.clients_tcp()),
    ] {
        let newest = late.expect_uid("moving");
        assert!(newest.xml.contains("report 3<"), "{}", newest.xml);
        late.expect_uid("hawk-uid");
        assert_eq!(late.count("moving"), 1);
    }
}

#[test]
fn a_federate_gets_them_when_it_comes_back() {
    let (alpha_authority, bravo_authority) = (
        crate::support::Authority::new("alpha-ca"),
        crate::support::Authority::new("bravo-ca"),
    );
    let alpha = crate::support::Setup::new("alpha").identity(&alpha_authority.issue("alpha"));
    let bravo = crate::support::Setup::new("bravo").identity(&bravo_authority.issue("bravo"));
    let (to_alpha, to_bravo) = (alpha.registration(), bravo.registration());
    let alpha = alpha.peer(to_bravo).start();
    let hawk = Device::plain(alpha.clients_tcp());
    alpha.wait_clients(1);
    hawk.send(position("hawk-uid", "HAWK"));
    hawk.send(track("was-there-before", 1));
    let witness = Device::plain(alpha.clients_tcp());
    eventually("the track is kept", || {
        witness.find(|event| event.uid() == "was-there-before")
    });

    let bravo = bravo.peer(to_alpha.dial(alpha.federation())).start();
    let otter = Device::plain(bravo.clients_tcp());
    otter.expect_uid("was-there-before");
    otter.expect_uid("hawk-uid");
}

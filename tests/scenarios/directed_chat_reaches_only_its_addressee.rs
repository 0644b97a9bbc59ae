//! `<marti>` is obeyed on one box and across federation; an empty one means everyone.

use crate::support::{Authority, Device, QUIET, Setup, chat, joined_pair, position, track};

#[test]
fn on_one_box_by_callsign_and_by_uid() {
    let authority = Authority::new("alpha-ca");
    let alpha = Setup::new("alpha")
        .identity(&authority.issue("alpha"))
        .start();
    let [hawk, otter, lynx] = [(); 3].map(|()| Device::plain(alpha.clients_tcp()));
    alpha.wait_clients(3);
    otter.send(position("otter-uid", "OTTER"));
    lynx.send(position("lynx-uid", "LYNX"));
    hawk.expect_uid("otter-uid");
    hawk.expect_uid("lynx-uid");
    for destination in [("callsign", "OTTER"), ("uid", "otter-uid")] {
        let said = chat(
            "hawk-uid",
            &format!("for you by {}", destination.0),
            &[destination],
        );
        hawk.send(&said);
        otter.expect(destination.0, |event| {
            event.xml.contains(&format!("for you by {}", destination.0))
        });
    }
    hawk.send(track("fence", 1));
    lynx.expect_uid("fence");
    assert!(
        lynx.events().iter().all(|event| event.kind() != "b-t-f"),
        "not for LYNX"
    );
}

#[test]
fn across_federation() {
    let (alpha, bravo) = joined_pair();
    let hawk = Device::plain(alpha.clients_tcp());
    let [otter, lynx] = [(); 2].map(|()| Device::plain(bravo.clients_tcp()));
    let ibex = Device::plain(alpha.clients_tcp());
    alpha.wait_clients(2);
    bravo.wait_clients(2);
    otter.send(position("otter-uid", "OTTER"));
    lynx.send(position("lynx-uid", "LYNX"));
    hawk.expect_uid("otter-uid");
    hawk.expect_uid("lynx-uid");
    hawk.send(chat(
        "hawk-uid",
        "for otter alone",
        &[("callsign", "OTTER")],
    ));
    otter.expect("the chat", |event| event.xml.contains("for otter alone"));
    hawk.send(track("fence", 1));
    lynx.expect_uid("fence");
    ibex.expect_uid("fence");
    for bystander in [&lynx, &ibex] {
        assert!(
            bystander
                .events()
                .iter()
                .all(|event| event.kind() != "b-t-f")
        );
    }
}

#[test]
fn to_nobody_known_is_counted() {
    let authority = Authority::new("alpha-ca");
    let alpha = Setup::new("alpha")
        .identity(&authority.issue("alpha"))
        .start();
    let [hawk, otter] = [(); 2].map(|()| Device::plain(alpha.clients_tcp()));
    alpha.wait_clients(2);
    hawk.send(chat("hawk-uid", "anybody?", &[("callsign", "NOBODY")]));
    hawk.send(track("fence", 1));
    otter.expect_uid("fence");
    std::thread::sleep(QUIET);
    assert!(otter.events().iter().all(|event| event.kind() != "b-t-f"));
    assert_eq!(alpha.status().dropped_local("no_destination"), 1);
}

#[test]
fn empty_marti_means_everyone() {
    let (alpha, bravo) = joined_pair();
    let hawk = Device::plain(alpha.clients_tcp());
    let ibex = Device::plain(alpha.clients_tcp());
    let otter = Device::plain(bravo.clients_tcp());
    alpha.wait_clients(2);
    bravo.wait_clients(1);
    for (number, empty) in ["<marti/>", "<marti></marti>"].into_iter().enumerate() {
        let name = format!("for-all-{number}");
        hawk.send(track(&name, 1).replace("</detail>", &format!("{empty}</detail>")));
        ibex.expect_uid(&name);
        otter.expect_uid(&name);
    }
}

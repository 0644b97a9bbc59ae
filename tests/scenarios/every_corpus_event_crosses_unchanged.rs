//! Real events survive: XML → federation → XML in meaning, XML → XML byte for byte.

use crate::support::{Authority, Device, Element, Event, Setup, corpus, joined_pair};

#[test]
fn over_federation_in_meaning() {
    let (alpha, bravo) = joined_pair();
    let (hawk, otter) = (
        Device::plain(alpha.clients_tcp()),
        Device::plain(bravo.clients_tcp()),
    );
    alpha.wait_clients(1);
    bravo.wait_clients(1);
    for (path, sent) in corpus() {
        if sent.contains("b-f-t-r") {
            // Nobody is told of a package before its bytes are there: `data_packages_cross` shows those.
            continue;
        }
        hawk.send(&sent);
        // The captures hold several reports of one device: uid and time together name one of them.
        let sent = Event { xml: sent };
        let sent_form = Element::parse(&sent.xml);
        let came = otter.expect(&path, |event| {
            event.uid() == sent.uid() && Element::parse(&event.xml).same_time(&sent_form)
        });
        let came_form = Element::parse(&came.xml);
        assert_eq!(
            came_form, sent_form,
            "{path}\ncame {came_form}\nsent {sent_form}"
        );
    }
}

#[test]
fn through_one_box_byte_for_byte() {
    let authority = Authority::new("alpha-ca");
    let alpha = Setup::new("alpha")
        .identity(&authority.issue("alpha"))
        .start();
    let (hawk, otter) = (
        Device::plain(alpha.clients_tcp()),
        Device::tls(alpha.clients_tls(), &alpha.issue("otter")),
    );
    alpha.wait_clients(2);
    for (path, sent) in corpus() {
        // An XML declaration before the event is the sender's business and ends here.
        hawk.send(format!(
            "<?xml version='1.0' encoding='UTF-8' standalone='yes'?>\n{sent}\n"
        ));
        otter.expect(&path, |event| event.xml == sent);
    }
}

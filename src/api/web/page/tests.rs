use super::view::View;
use super::*;
use crate::access::Scopes;
use crate::api::connection::ConnectionInfo;
use crate::api::pairing::WaitingCode;
use crate::api::request::PeerEntry;
use crate::api::status::tests::example;
use crate::api::status::{PeerState, Status};

const HOSTILE: &str = "\"><script>alert(1)</script><img src=x onerror='a()'>&amp;\u{202E}\u{1}";

fn grant(words: &str) -> Grant {
    Grant {
        name: format!("sentry {HOSTILE}"),
        scopes: Scopes::read([words]).unwrap(),
    }
}

fn shown(status: Status, grant: &Grant) -> String {
    let entries = (status.peers.iter())
        .map(|peer| PeerEntry {
            name: peer.name.clone(),
            address: None,
            authorities: Vec::new(),
            authority_until: Some("2026-11-25T00:00:00Z".into()),
            fingerprint: None,
            enabled: true,
            incoming: true,
            outgoing: true,
            data_packages_in: true,
            data_packages_out: true,
            filter: None,
            keepalive_seconds: None,
            state: None,
        })
        .collect();
    let view = View {
        connection: ConnectionInfo {
            name: status.node.name.clone(),
            hostname: HOSTILE.into(),
            port: 9001,
            fingerprint: HOSTILE.into(),
            fingerprint_colons: String::new(),
            ca_fingerprint: String::new(),
            federate_id: String::new(),
            federation_certificate: HOSTILE.into(),
            ca_certificate: String::new(),
            outgoing_snippet: String::new(),
            federate_snippet: String::new(),
            keytool: String::new(),
            missing: vec![HOSTILE.into()],
        },
        status,
        entries,
        grant,
    };
    let name = view.status.node.name.clone();
    let frame = Frame {
        name: &name,
        who: Some(&grant.name),
        title: "",
        is_live: true,
    };
    let html = frame.around(|html| {
        overview::live(html, &view);
        let waiting = WaitingCode {
            code: HOSTILE.into(),
            expires_seconds: 600,
            tries_left: 5,
            host: HOSTILE.into(),
        };
        pairing::forms(html, Some(&waiting));
        pairing::forms(html, None);
        overview::still(html, &view, None);
    });
    html.finish()
}

/// Whatever comes from outside is called by a name that wants to be more than text.
fn hostile() -> Status {
    let mut status = example();
    let bad = || HOSTILE.to_owned();
    status.node.name = bad();
    status.node.reason = bad();
    status.clock.fault = bad();
    let peer = &mut status.peers[0];
    (peer.name, peer.reason) = (bad(), bad());
    (peer.stopped_by, peer.address) = (Some(bad()), Some(bad()));
    (peer.crossing.filter, peer.relaxed) = (Some(bad()), Some(bad()));
    peer.groups.remote = vec![bad()];
    peer.dropped.insert(bad(), 3);
    peer.uplinks[0].name = bad();
    peer.state = PeerState::Waiting;
    status.servers[0].name = bad();
    status.servers[0].address = bad();
    status.meshes[0].name = bad();
    status.meshes[0].interface = bad();
    status.networks[0].name = bad();
    status
}

/// The tags of a page, as they are written.
fn tags(page: &str) -> Vec<&str> {
    let pieces = page.split('<').skip(1);
    pieces
        .map(|piece| piece.split('>').next().unwrap_or_default())
        .collect()
}

#[test]
fn hostile_names_stay_names() {
    let page = shown(hostile(), &grant("administrator"));
    let allowed = [
        "!DOCTYPE", "html", "head", "meta", "title", "link", "script", "noscript", "body", "a",
        "header", "div", "img", "span", "form", "button", "main", "section", "h1", "h2", "h3", "p",
        "ul", "li", "svg", "g", "rect", "path", "text", "article", "input", "b", "dl", "dt", "dd",
        "small", "details", "summary", "meter", "table", "thead", "tbody", "tr", "th", "td",
        "label", "select", "option", "fieldset", "legend", "output", "code", "footer",
    ];
    for tag in tags(&page) {
        let name = tag
            .trim_start_matches('/')
            .split(' ')
            .next()
            .unwrap_or_default();
        assert!(allowed.contains(&name), "<{tag}>");
        // What stands between the quoted values.
        let bare: String = tag.split('"').step_by(2).collect();
        assert!(
            !bare.contains(" style=") && !bare.contains(" on"),
            "the policy refuses <{tag}>"
        );
    }
    assert_eq!(
        tags(&page)
            .iter()
            .filter(|tag| tag.starts_with("script"))
            .count(),
        1
    );
    assert_eq!(
        tags(&page)
            .iter()
            .filter(|tag| tag.starts_with("img"))
            .count(),
        1
    );
    assert!(page.contains("&lt;script&gt;alert(1)") && !page.contains('\u{202E}'));
    // Each element is closed, in its order.
    let mut open = Vec::new();
    for tag in tags(&page) {
        let name = tag.split(' ').next().unwrap_or_default();
        match name.strip_prefix('/') {
            Some(name) => assert_eq!(open.pop(), Some(name), "</{name}>"),
            None if tag.ends_with('/') => {}
            None if ["!DOCTYPE", "meta", "link", "img", "input"].contains(&name) => {}
            None => open.push(name),
        }
    }
    assert!(open.is_empty(), "{open:?}");
}

#[test]
fn buttons_are_for_those_who_may_press_them() {
    let page = |words| shown(example(), &grant(words));
    let viewer = page("viewer");
    for action in ["\"/peer\"", "\"/remove\"", "\"/check\""] {
        assert!(!viewer.contains(action), "{action}");
    }
    assert!(viewer.contains("<span class=\"chip on\"") && viewer.contains("Sign out"));
    let operator = page("operator");
    assert!(operator.contains("value=\"pause\"") && operator.contains("value=\"dp_out_on\""));
    assert!(operator.contains("\"/check\"") && !operator.contains("\"/remove\""));
    assert!(page("administrator").contains("\"/remove\""));
}

#[test]
fn the_page_says_how_each_link_stands() {
    let mut status = example();
    status.peers[0].state = PeerState::Waiting;
    status.peers[0].stopped_by = Some("tcp".into());
    status.peers[0].reason = "10.0.0.2:9001: refused".into();
    let page = shown(status, &grant("viewer"));
    for words in [
        "0 of 1 federate up",
        "Stopped by: tcp",
        "10.0.0.2:9001: refused",
        "nothing answers at that address and port",
        "10 min behind",
        "Dropped: 2",
        "the same content came already",
        "CA of bravo: the certificate ends in",
        "5273 KiB (mmcblk0)",
        "of 16.0 MiB",
    ] {
        assert!(page.contains(words), "{words}: {page}");
    }
}

#[test]
fn a_page_has_an_end_however_many_there_are() {
    let mut status = hostile();
    let peer = status.peers[0].clone();
    status.peers = (0..256)
        .map(|number| {
            let mut peer = peer.clone();
            peer.name = format!("{number} {}", HOSTILE.repeat(2));
            peer
        })
        .collect();
    status.networks = vec![status.networks[0].clone(); 64];
    let page = shown(status, &grant("administrator"));
    assert!(
        page.len() <= crate::budget::visitors::ANSWER as usize,
        "{}",
        page.len()
    );
    assert!(page.ends_with("</html>\n"));
}

#[test]
fn each_button_asks_for_what_it_says() {
    for (_, _, word) in peers::SWITCHES {
        for (on, state) in [(true, "on"), (false, "off")] {
            let change = change("bravo", &format!("{word}_{state}")).unwrap();
            let switched = match word {
                "in" => change.incoming,
                "out" => change.outgoing,
                "dp_in" => (change.more.get("data_packages_in"))
                    .map(|said| *said == Some(Written::Switch(on)) && on),
                _ => (change.more.get("data_packages_out"))
                    .map(|said| *said == Some(Written::Switch(on)) && on),
            };
            assert_eq!(switched, Some(on), "{word}_{state}");
            assert_eq!(change.enabled, None);
        }
    }
    assert_eq!(change("bravo", "pause").unwrap().enabled, Some(false));
    assert_eq!(change("bravo", "resume").unwrap().enabled, Some(true));
    assert!(change("bravo", "explode_on").is_err());
}

#[test]
fn what_is_sent_to_browsers_needs_nothing_else() {
    for text in [STYLE, SCRIPT, ICON] {
        let text = text.replace("http://www.w3.org/2000/svg", "");
        assert!(!text.contains("http") && !text.contains("@import") && !text.contains("url("));
    }
    assert!(!SCRIPT.contains("innerHTML") && !SCRIPT.contains("eval"));
    for (path, methods) in PATHS {
        assert!(knows(path) && !methods.is_empty());
        assert_eq!(asset(path).is_some(), path.contains('.'), "{path}");
    }
}

//! Who gets what by groups: networks of one box, federates with lists, names that are mapped, hops by group.

use std::path::Path;

use prost::Message;

use super::*;
use crate::config::Config;
use crate::counters::Reason;
use crate::route::groups::Groups;
use crate::wire::cold::{
    FederateGroupHopLimit, FederateGroupHopLimits, FederateHops, FederatedEvent,
};

pub(super) fn groups(text: &str) -> Groups {
    let pin = "ab".repeat(32);
    let text = text.replace("[[peer]]", &format!("[[peer]]\nfingerprint = \"{pin}\""));
    Groups::of(&Config::parse(&text, Path::new("")).unwrap(), |_| false)
}

pub(super) fn configured(id: &str, text: &str) -> Router {
    let mut router = router(id);
    router.set_groups(&groups(text), NOW);
    router
}

pub(super) fn client_in(router: &mut Router, network: u8) -> LinkId {
    let address = format!("network {network}");
    let network = Network(network);
    router.attach(LinkSpec::Client { address, network }, NOW)
}

/// A federate that came up after the groups were set.
pub(super) fn peer(router: &mut Router, text: &str, name: &str) -> LinkId {
    let id = federate(router, name);
    router.set_groups(&groups(text), NOW);
    id
}

pub(super) fn decoded(router: &mut Router, id: LinkId) -> Vec<FederatedEvent> {
    let messages = messages(router, id);
    let decode = |message: &Vec<u8>| FederatedEvent::decode(&**message).unwrap();
    messages.iter().map(decode).collect()
}

fn of(name: &str) -> String {
    event(name, "a-f-G", "<detail><remarks>x</remarks></detail>")
}

pub(super) fn send(router: &mut Router, from: LinkId, uid: &str) -> Verdict {
    router.receive_xml(from, of(uid).as_bytes(), NOW)
}

/// A message of another federate with these names of groups.
fn message(uid: &str, names: &[&str], change: impl FnOnce(&mut FederatedEvent)) -> Vec<u8> {
    let mut far = router(ID_B);
    let (sender, away) = (client(&mut far), federate(&mut far, "a"));
    send(&mut far, sender, uid);
    let mut message = decoded(&mut far, away).remove(0);
    message.federate_groups = names.iter().map(|&name| name.to_owned()).collect();
    change(&mut message);
    message.encode_to_vec()
}

#[test]
fn networks_of_one_box_hear_each_other_as_far_as_their_groups_meet() {
    let text = "[[network]]\nname = \"range\"\ninbound_groups = [\"Red\"]\noutbound_groups = [\"Red\", \"__ANON__\"]\n";
    let mut a = configured(ID_A, text);
    let (local, other) = (client_in(&mut a, 0), client_in(&mut a, 0));
    let (range, far) = (client_in(&mut a, 1), client_in(&mut a, 1));
    assert_eq!(send(&mut a, local, "one"), Verdict::Routed(3));
    assert_eq!(text_of(&mut a, &[other, range, far]), ["one"; 3]);
    // Red is heard in its own network alone, and there by everybody.
    assert_eq!(send(&mut a, range, "two"), Verdict::Routed(1));
    assert_eq!(text_of(&mut a, &[local, other, far]), ["", "", "two"]);
    let tallies = |a: &Router, network| {
        let counters = a.network_counters(Network(network));
        (counters.events_in, counters.events_out)
    };
    assert_eq!((tallies(&a, 0), tallies(&a, 1)), ((1, 1), (1, 3)));
    let all = a.local_counters();
    assert_eq!((all.events_in, all.events_out), (2, 4));
    assert_eq!((a.clients_in(Network(0)), a.clients()), (2, 4));
}

fn text_of(router: &mut Router, links: &[LinkId]) -> Vec<String> {
    let uid = |text: String| {
        let from = text.find("uid=\"").map(|at| at + 5);
        from.map_or(String::new(), |from| {
            text[from..]
                .split('"')
                .next()
                .unwrap_or_default()
                .to_owned()
        })
    };
    links.iter().map(|&id| uid(text(router, id))).collect()
}

#[test]
fn a_network_keeps_to_itself_what_is_switched_off() {
    let text = "[[network]]\nname = \"range\"\nincoming = false\n[[network]]\nname = \"lab\"\noutgoing = false\n";
    let mut a = configured(ID_A, text);
    let (local, range, lab) = (
        client_in(&mut a, 0),
        client_in(&mut a, 1),
        client_in(&mut a, 2),
    );
    let (range_too, lab_too) = (client_in(&mut a, 1), client_in(&mut a, 2));
    let to_b = federate(&mut a, "b");
    assert_eq!(send(&mut a, range, "mute"), Verdict::Routed(1));
    assert_eq!(text_of(&mut a, &[local, range_too, lab]), ["", "mute", ""]);
    assert_eq!(send(&mut a, local, "said"), Verdict::Routed(3));
    assert_eq!(
        text_of(&mut a, &[range, range_too, lab, lab_too]),
        ["said", "said", "", ""]
    );
    assert_eq!(send(&mut a, lab, "deaf"), Verdict::Routed(5));
    let crossed = decoded(&mut a, to_b);
    assert_eq!(crossed.len(), 2);
    let dropped = |reason| a.peer_counters("b").unwrap().dropped(reason);
    assert_eq!(dropped(Reason::IncomingOff), 1);
    assert_eq!(dropped(Reason::NoGroup), 0);
}

#[test]
fn a_federate_gets_and_gives_what_its_lists_say() {
    const TEXT: &str = "[[network]]\nname = \"range\"\ninbound_groups = [\"Blue\"]\noutbound_groups = [\"Guests\"]\n\
                        [[peer]]\nname = \"b\"\noutbound_groups = [\"Blue\"]\ninbound_groups = [\"Guests\"]\n";
    let mut a = configured(ID_A, TEXT);
    let (local, range) = (client_in(&mut a, 0), client_in(&mut a, 1));
    let to_b = peer(&mut a, TEXT, "b");
    assert_eq!(send(&mut a, local, "anon"), Verdict::Routed(0));
    assert_eq!(send(&mut a, range, "blue"), Verdict::Routed(1));
    let crossed = decoded(&mut a, to_b);
    assert_eq!(crossed.len(), 1);
    // Names are not told unless that is asked for: it is the same list on every event.
    assert_eq!(crossed[0].federate_groups, ["__ANON__"]);
    assert_eq!(a.peer_counters("b").unwrap().dropped(Reason::NoGroup), 1);
    let came = message("theirs", &["Anything"], |_| {});
    assert_eq!(a.receive_federated(to_b, &came, NOW), Verdict::Routed(1));
    assert_eq!(text_of(&mut a, &[local, range]), ["", "theirs"]);
}

#[test]
fn why_names_the_groups() {
    const TEXT: &str = "[[peer]]\nname = \"b\"\noutbound_groups = [\"Blue\"]\n\
                        [[peer]]\nname = \"c\"\ninbound_groups = []\n";
    let mut a = configured(ID_A, TEXT);
    let local = client_in(&mut a, 0);
    let _ = peer(&mut a, TEXT, "b");
    let from_c = peer(&mut a, TEXT, "c");
    send(&mut a, local, "anon");
    let fate = |a: &Router, uid: &str, peer: &str| {
        let column = a.column_of(peer).unwrap();
        a.trace(uid.as_bytes()).unwrap().at(column).unwrap().fate
    };
    use crate::route::trace::Fate;
    assert_eq!(fate(&a, "anon", "b"), Fate::Dropped(Reason::NoGroup));
    assert_eq!(fate(&a, "anon", "c"), Fate::Waiting);
    let came = message("theirs", &[], |_| {});
    assert_eq!(
        a.receive_federated(from_c, &came, NOW),
        Verdict::Dropped(Reason::NoGroup)
    );
    let refused = a.trace(b"theirs").unwrap().refused.unwrap();
    assert_eq!(refused.reason, Reason::NoGroup);
    assert_eq!(a.peer_counters("c").unwrap().dropped(Reason::NoGroup), 1);
}

#[test]
fn names_that_are_mapped_decide_and_what_has_none_is_dropped_at_the_edge() {
    const TEXT: &str = "[[network]]\nname = \"red\"\ninbound_groups = [\"Red\"]\noutbound_groups = [\"Red\"]\n\
                        [[network]]\nname = \"blue\"\ninbound_groups = [\"Blue\"]\noutbound_groups = [\"Blue\"]\n\
                        [[peer]]\nname = \"b\"\ngroup_mapping = true\n\
                        inbound_group_mapping = [\"Rot:Red\", \"Blau:Blue\"]\n";
    let mut a = configured(ID_A, TEXT);
    let (red, blue) = (client_in(&mut a, 1), client_in(&mut a, 2));
    let from_b = peer(&mut a, TEXT, "b");
    let mut came = |names: &[&str], uid: &str| {
        let verdict = a.receive_federated(from_b, &message(uid, names, |_| {}), NOW);
        (verdict, text_of(&mut a, &[red, blue]))
    };
    let seen = |red: &str, blue: &str| vec![red.to_owned(), blue.to_owned()];
    assert_eq!(came(&["Rot"], "1"), (Verdict::Routed(1), seen("1", "")));
    assert_eq!(
        came(&["Blau", "Rot", "x"], "2"),
        (Verdict::Routed(2), seen("2", "2"))
    );
    for (names, uid) in [(&[][..], "3"), (&["Red"], "4"), (&["__ANON__"], "5")] {
        let none = (Verdict::Dropped(Reason::NoGroup), seen("", ""));
        assert_eq!(came(names, uid), none, "{names:?}");
    }
    // What was dropped for its groups may come again by another way, on which it has some.
    assert_eq!(came(&["Rot"], "3"), (Verdict::Routed(1), seen("3", "")));
}

#[test]
fn a_hub_tells_mapped_names_on_and_leaves_those_of_an_open_federate_alone() {
    const TEXT: &str = "[[peer]]\nname = \"in\"\ngroup_mapping = true\ninbound_group_mapping = [\"Rot:Red\", \"Blau:Blue\"]\n\
                        [[peer]]\nname = \"open\"\n\
                        [[peer]]\nname = \"named\"\ngroup_mapping = true\nfallback_when_no_group_mappings = true\noutbound_groups = [\"Red\", \"Green\"]\n\
                        [[peer]]\nname = \"plain\"\n";
    let mut a = configured(ID_A, TEXT);
    let [from, open, named, plain] =
        ["in", "open", "named", "plain"].map(|name| peer(&mut a, TEXT, name));
    let came = message("1", &["Rot", "Blau"], |_| {});
    assert_eq!(a.receive_federated(from, &came, NOW), Verdict::Routed(3));
    let names = |a: &mut Router, id| decoded(a, id).remove(0).federate_groups;
    assert_eq!(names(&mut a, named), ["Red"]);
    // Whoever is told no names gets the message as it came.
    assert_eq!(names(&mut a, plain), ["Rot", "Blau"]);
    assert_eq!(names(&mut a, open), ["Rot", "Blau"]);
    // An open federate is in all groups, so its own names say more than ours could.
    let came = message("2", &["X", "Y"], |_| {});
    assert_eq!(a.receive_federated(open, &came, NOW), Verdict::Routed(3));
    assert_eq!(names(&mut a, named), ["X", "Y"]);
    // And an event that is in Blue alone is not for one who hears Red and Green.
    let came = message("3", &["Blau"], |_| {});
    assert_eq!(a.receive_federated(from, &came, NOW), Verdict::Routed(2));
    assert_eq!(
        a.peer_counters("named").unwrap().dropped(Reason::NoGroup),
        1
    );
}

#[test]
fn federates_with_other_labels_get_the_same_event_in_their_own_words() {
    const TEXT: &str = "[[network]]\nname = \"local\"\ninbound_groups = [\"Blue\", \"Red\"]\n\
        [[peer]]\nname = \"1\"\n\
        [[peer]]\nname = \"2\"\ngroup_mapping = true\nfallback_when_no_group_mappings = true\n\
        [[peer]]\nname = \"3\"\n\
        [[peer]]\nname = \"4\"\nmax_hops = 2\n\
        [[peer]]\nname = \"5\"\ngroup_mapping = true\nfallback_when_no_group_mappings = true\n\
        [[peer]]\nname = \"6\"\noutbound_groups = [\"Red\"]\ngroup_mapping = true\nincoming = false\noutbound_group_hop_limits = [\"Red:1\"]\n";
    let mut a = configured(ID_A, TEXT);
    let ids = ["1", "2", "3", "4", "5", "6"].map(|name| peer(&mut a, TEXT, name));
    let local = client_in(&mut a, 0);
    assert_eq!(send(&mut a, local, "t"), Verdict::Routed(6));
    let got = ids.map(|id| decoded(&mut a, id).remove(0));
    assert!(got.iter().all(|one| one.event == got[0].event));
    let names = got.each_ref().map(|one| one.federate_groups.join(","));
    assert_eq!(
        names,
        [
            "__ANON__", "Blue,Red", "__ANON__", "__ANON__", "Blue,Red", "Red"
        ]
    );
    let most = got
        .each_ref()
        .map(|one| one.federate_hops.unwrap().max_hops);
    assert_eq!(most, [-1, -1, -1, 2, -1, -1]);
    let limits = got[5].federate_group_hop_limits.as_ref().unwrap();
    assert!(limits.use_federate_group_hop_limits);
    assert_eq!(limits.limits.len(), 2);
    assert!(
        got[..5]
            .iter()
            .all(|one| one.federate_group_hop_limits.is_none())
    );
}

#[test]
fn a_hub_gets_nothing_that_may_go_one_hop_only() {
    let mut a = router(ID_A);
    let (from, hub, end) = (
        federate(&mut a, "b"),
        federate(&mut a, "hub"),
        federate(&mut a, "end"),
    );
    a.note_hub("hub", true);
    let hops = |max, current| {
        move |message: &mut FederatedEvent| {
            message.federate_hops = Some(FederateHops {
                max_hops: max,
                current_hops: current,
            });
        }
    };
    let mut came = |uid: &str, max, current| {
        let message = message(uid, &[], hops(max, current));
        let verdict = a.receive_federated(from, &message, NOW);
        (
            verdict,
            decoded(&mut a, hub).len(),
            decoded(&mut a, end).len(),
        )
    };
    assert_eq!(came("1", 3, 1), (Verdict::Routed(2), 1, 1));
    assert_eq!(came("2", 2, 1), (Verdict::Routed(1), 0, 1));
    assert_eq!(came("3", 1, 1), (Verdict::Routed(0), 0, 0));
    assert_eq!(came("4", -1, 77), (Verdict::Routed(2), 1, 1));
    let dropped = |name: &str| a.peer_counters(name).unwrap().dropped(Reason::HopLimit);
    assert_eq!((dropped("hub"), dropped("end")), (2, 1));
}

#[test]
fn hops_by_group_end_where_the_last_group_ends() {
    let (mut a, mut b) = (router(ID_A), router("cccccccccccccccccccccccccccccccc"));
    let (from, to_b) = (federate(&mut a, "x"), federate(&mut a, "b"));
    let (from_a, to_c) = (federate(&mut b, "a"), federate(&mut b, "c"));
    let limited = message("1", &[], |message| {
        message.federate_group_hop_limits = Some(FederateGroupHopLimits {
            limits: vec![
                FederateGroupHopLimit {
                    group_name: "Blue".into(),
                    max_hops: 2,
                    current_hops: 1,
                },
                FederateGroupHopLimit {
                    group_name: "Red".into(),
                    max_hops: 1,
                    current_hops: 1,
                },
            ],
            use_federate_group_hop_limits: true,
        });
    });
    assert_eq!(a.receive_federated(from, &limited, NOW), Verdict::Routed(1));
    let near = client(&mut b);
    assert_eq!(carry(&mut a, to_b, &mut b, from_a), [Verdict::Routed(1)]);
    assert!(text(&mut b, near).contains("uid=\"1\""));
    assert!(messages(&mut b, to_c).is_empty());
    let dropped = b.peer_counters("c").unwrap().dropped(Reason::HopLimit);
    assert_eq!(dropped, 1);
}

#[test]
fn chat_is_directed_within_groups_only_and_says_why_not() {
    const TEXT: &str = "[[network]]\nname = \"range\"\ninbound_groups = [\"Blue\"]\noutbound_groups = [\"Blue\"]\n";
    let mut a = configured(ID_A, TEXT);
    let (local, range) = (client_in(&mut a, 0), client_in(&mut a, 1));
    a.receive_xml(range, presence("owl", "OWL").as_bytes(), NOW);
    let chat = event(
        "chat",
        "b-t-f",
        "<detail><marti><dest callsign=\"OWL\"/></marti></detail>",
    );
    assert_eq!(
        a.receive_xml(local, chat.as_bytes(), NOW),
        Verdict::Dropped(Reason::NoGroup)
    );
    assert_eq!(text(&mut a, range), "");
    let nobody = chat
        .replace("OWL", "KITE")
        .replace("uid=\"chat\"", "uid=\"c\"");
    assert_eq!(
        a.receive_xml(local, nobody.as_bytes(), NOW),
        Verdict::Dropped(Reason::NoDestination)
    );
}

#[test]
fn the_colour_of_a_team_is_no_access_group() {
    const TEXT: &str = "[[peer]]\nname = \"b\"\noutbound_groups = [\"Blue\"]\n";
    let mut a = configured(ID_A, TEXT);
    let local = client_in(&mut a, 0);
    let to_b = peer(&mut a, TEXT, "b");
    for (uid, team) in [("1", "__group"), ("2", "group")] {
        let detail = format!(
            "<detail><contact callsign=\"X\"/><{team} name=\"Blue\" role=\"HQ\"/></detail>"
        );
        let track = event(uid, "a-f-G-U-C", &detail);
        assert_eq!(
            a.receive_xml(local, track.as_bytes(), NOW),
            Verdict::Routed(0)
        );
    }
    assert!(messages(&mut a, to_b).is_empty());
}

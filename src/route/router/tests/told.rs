//! Which contacts a federate is told of, by groups and hops, and from whom they are withdrawn.

use prost::Message;

use super::groups::{client_in, configured, decoded, groups, peer, send};
use super::*;
use crate::wire::cold::{ContactListEntry, FederateHops, FederatedEvent};

fn contacts(router: &mut Router, id: LinkId) -> Vec<(i32, String)> {
    let contacts = decoded(router, id)
        .into_iter()
        .filter_map(|one| one.contact);
    contacts.map(|one| (one.operation, one.uid)).collect()
}

#[test]
fn contacts_are_told_by_groups_and_withdrawn_from_those_who_knew_them() {
    const TEXT: &str = "[[network]]\nname = \"range\"\ninbound_groups = [\"Blue\"]\n\
                        [[peer]]\nname = \"blue\"\noutbound_groups = [\"Blue\"]\n[[peer]]\nname = \"all\"\n";
    let mut a = configured(ID_A, TEXT);
    let (blue, all) = (peer(&mut a, TEXT, "blue"), peer(&mut a, TEXT, "all"));
    let (local, range) = (client_in(&mut a, 0), client_in(&mut a, 1));
    a.receive_xml(local, presence("hawk", "HAWK").as_bytes(), NOW);
    a.receive_xml(range, presence("owl", "OWL").as_bytes(), NOW);
    let of = |operation, uid: &str| (operation, uid.to_owned());
    assert_eq!(contacts(&mut a, all), [of(1, "hawk"), of(1, "owl")]);
    assert_eq!(contacts(&mut a, blue), [of(1, "owl")]);
    // Who joins late is told just as much.
    a.detach(blue, NOW);
    let blue = peer(&mut a, TEXT, "blue");
    assert_eq!(contacts(&mut a, blue), [of(1, "owl")]);
    a.detach(local, NOW);
    a.detach(range, NOW);
    assert_eq!(contacts(&mut a, all), [of(4, "hawk"), of(4, "owl")]);
    assert_eq!(contacts(&mut a, blue), [of(4, "owl")]);
}

#[test]
fn no_contact_is_deleted_that_was_not_created_on_that_connection() {
    let mut a = router(ID_A);
    let (hawk, owl) = (client(&mut a), client(&mut a));
    a.receive_xml(hawk, presence("hawk", "HAWK").as_bytes(), NOW);
    a.receive_xml(owl, presence("owl", "OWL").as_bytes(), NOW);
    // It comes up, and before it has taken a byte one of them is gone.
    let to_b = federate(&mut a, "b");
    a.detach(hawk, NOW);
    assert_eq!(contacts(&mut a, to_b), [(1, "owl".to_owned())]);
    a.detach(owl, NOW);
    assert_eq!(contacts(&mut a, to_b), [(4, "owl".to_owned())]);
    // The next one stands where another stood, and is told all the same.
    let kite = client(&mut a);
    a.receive_xml(kite, presence("kite", "KITE").as_bytes(), NOW);
    assert_eq!(contacts(&mut a, to_b), [(1, "kite".to_owned())]);
    // A new connection knows nobody: who left meanwhile is not spoken of.
    a.detach(to_b, NOW);
    let to_b = federate(&mut a, "b");
    a.detach(kite, NOW);
    assert!(contacts(&mut a, to_b).is_empty());
}

#[test]
fn a_hub_tells_late_joiners_of_the_contacts_of_every_federate_and_deletes_in_step() {
    let mut a = router(ID_A);
    let from = federate(&mut a, "b");
    let entry = |operation, uid: &str, max_hops| {
        FederatedEvent {
            contact: Some(ContactListEntry {
                operation,
                uid: uid.into(),
                callsign: uid.to_uppercase(),
                ..ContactListEntry::default()
            }),
            federate_hops: Some(FederateHops {
                max_hops,
                current_hops: 1,
            }),
            ..FederatedEvent::default()
        }
        .encode_to_vec()
    };
    for (uid, max) in [("hawk", -1), ("owl", 1), ("kite", 2)] {
        a.receive_federated(from, &entry(1, uid, max), NOW);
    }
    let late = federate(&mut a, "c");
    let told = decoded(&mut a, late);
    let told: Vec<(String, i64)> = told
        .into_iter()
        .map(|one| {
            (
                one.contact.unwrap().uid,
                one.federate_hops.unwrap().max_hops,
            )
        })
        .collect();
    // The owl may go no further than here, and the kite one hop.
    assert_eq!(told, [("hawk".to_owned(), -1), ("kite".to_owned(), 1)]);
    for uid in ["hawk", "owl"] {
        a.receive_federated(from, &entry(4, uid, -1), NOW);
    }
    assert_eq!(contacts(&mut a, late), [(4, "hawk".to_owned())]);
    // What never was a contact is an item of the map: its delete goes to everybody.
    a.receive_federated(from, &entry(4, "marker", -1), NOW);
    assert_eq!(contacts(&mut a, late), [(4, "marker".to_owned())]);
}

#[test]
fn groups_that_change_are_taken_over_while_links_are_up() {
    const ALL: &str =
        "[[network]]\nname = \"range\"\ninbound_groups = [\"Blue\"]\n[[peer]]\nname = \"b\"\n";
    let blue = &format!("{ALL}outbound_groups = [\"Blue\"]\n");
    let mut a = configured(ID_A, ALL);
    let (local, range) = (client_in(&mut a, 0), client_in(&mut a, 1));
    let to_b = peer(&mut a, ALL, "b");
    a.receive_xml(local, presence("hawk", "HAWK").as_bytes(), NOW);
    a.receive_xml(range, presence("owl", "OWL").as_bytes(), NOW);
    take(&mut a, to_b);
    a.set_groups(&groups(blue), NOW);
    let told = decoded(&mut a, to_b);
    let gone = |one: &&FederatedEvent| one.contact.as_ref().is_some_and(|one| one.operation == 4);
    let gone: Vec<&str> = told
        .iter()
        .filter(gone)
        .map(|one| one.contact.as_ref().unwrap().uid.as_str())
        .collect();
    assert_eq!(gone, ["hawk"]);
    assert_eq!(send(&mut a, local, "anon"), Verdict::Routed(1));
    assert!(messages(&mut a, to_b).is_empty());
    // And back: it is told of the hawk, and where it is.
    a.set_groups(&groups(ALL), NOW);
    let told = decoded(&mut a, to_b);
    let created = |uid: &str| {
        told.iter().any(|one| {
            let contact = one.contact.as_ref();
            contact.is_some_and(|one| one.operation == 1 && one.uid == uid)
        })
    };
    assert!(created("hawk"));
    let shown = |uid: &str| {
        let event = |one: &FederatedEvent| one.event.as_ref().is_some_and(|one| one.uid == uid);
        told.iter().any(event)
    };
    assert!(shown("hawk") && shown("anon"));
}

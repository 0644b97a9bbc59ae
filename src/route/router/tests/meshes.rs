//! Links that may hand us our own events back, written anew; and who is on a mesh.

use super::clocks::later;
use super::*;
use crate::route::link::Role;

fn mesh(router: &mut Router, name: &str) -> LinkId {
    let spec = LinkSpec::Neighbour {
        name: name.to_owned(),
        role: Role::Mesh,
        network: Network::LOCAL,
        incoming: true,
        outgoing: true,
    };
    router.attach(spec, NOW)
}

#[test]
fn what_came_over_a_mesh_is_known_when_it_comes_by_federation_and_the_other_way_round() {
    let said = event(
        "u-1",
        "a-h-G",
        "<detail><track speed=\"1.5\" course=\"20.0\"/><remarks>x</remarks></detail>",
    );
    // Two boxes on one mesh, federated with each other: the second has it from the mesh, too.
    let (mut a, mut b) = (router(ID_A), router(ID_B));
    let (mesh_a, mesh_b) = (mesh(&mut a, "lan"), mesh(&mut b, "lan"));
    let (to_b, to_a) = (federate(&mut a, "b"), federate(&mut b, "a"));
    messages(&mut a, to_b);
    assert_eq!(
        a.receive_xml(mesh_a, said.as_bytes(), NOW),
        Verdict::Routed(1)
    );
    assert_eq!(
        b.receive_xml(mesh_b, said.as_bytes(), NOW),
        Verdict::Routed(1)
    );
    let crossing = messages(&mut a, to_b);
    assert_eq!(crossing.len(), 1);
    let repeat = Verdict::Dropped(Reason::Duplicate);
    assert_eq!(b.receive_federated(to_a, &crossing[0], NOW), repeat);
    // From federation first, and then on the mesh as another program writes it.
    let said = said.replace("u-1", "u-2");
    a.receive_xml(mesh_a, said.as_bytes(), NOW);
    let crossing = messages(&mut a, to_b);
    assert_eq!(
        b.receive_federated(to_a, &crossing[0], NOW),
        Verdict::Routed(1)
    );
    let anew = said.replace("speed=\"1.5\" course=\"20.0\"", "course='20' speed='1.50'");
    assert_eq!(b.receive_xml(mesh_b, anew.as_bytes(), NOW), repeat);
    // The same uid with other content goes on.
    let other = said.replace(">x<", ">y<");
    assert_eq!(
        b.receive_xml(mesh_b, other.as_bytes(), NOW),
        Verdict::Routed(1)
    );
}

#[test]
fn chat_that_a_mesh_says_again_hours_later_is_no_news() {
    let mut a = router(ID_A);
    let (lan, radio) = (mesh(&mut a, "lan"), mesh(&mut a, "radio"));
    let words = event(
        "chat-1",
        "b-t-f",
        "<detail><remarks>hello</remarks></detail>",
    );
    assert_eq!(
        a.receive_xml(lan, words.as_bytes(), NOW),
        Verdict::Routed(1)
    );
    let hours = later(5 * 3_600_000);
    assert_eq!(
        a.receive_xml(radio, words.as_bytes(), hours),
        Verdict::Dropped(Reason::Duplicate)
    );
    // A track may come again; nobody waits for it.
    let track = event("u", "a-h-G", "<detail></detail>");
    assert_eq!(
        a.receive_xml(lan, track.as_bytes(), NOW),
        Verdict::Routed(1)
    );
    assert_eq!(
        a.receive_xml(radio, track.as_bytes(), hours),
        Verdict::Routed(1)
    );
}

#[test]
fn who_is_on_a_mesh_is_a_contact_until_his_position_goes_stale() {
    let mut a = router(ID_A);
    let lan = mesh(&mut a, "lan");
    let near = client(&mut a);
    let here = presence("u-1", "HAWK");
    assert_eq!(a.receive_xml(lan, here.as_bytes(), NOW), Verdict::Routed(1));
    text(&mut a, near);
    // Whoever is named is looked for on the mesh.
    let chat = event(
        "c",
        "b-t-f",
        "<detail><marti><dest callsign=\"HAWK\"/></marti></detail>",
    );
    assert_eq!(
        a.receive_xml(near, chat.as_bytes(), NOW),
        Verdict::Routed(1)
    );
    // Ten years it says, and a day is believed.
    let life = 86_400_000;
    a.expire_contacts(lan, later(life - 1));
    assert_eq!(a.contacts(), 1);
    a.expire_contacts(lan, later(life));
    assert_eq!(a.contacts(), 0);
    assert!(text(&mut a, near).contains("t-x-d-d"));
    // Who went over to a client's link meanwhile stays.
    let again = here.replace("lat=\"1.5", "lat=\"2.5");
    a.receive_xml(lan, again.as_bytes(), NOW);
    a.receive_xml(near, here.replace("lat=\"1.5", "lat=\"3.5").as_bytes(), NOW);
    a.expire_contacts(lan, later(life));
    assert_eq!(a.contacts(), 1);
}

#[test]
fn a_box_without_such_links_goes_by_the_bytes() {
    let mut a = router(ID_A);
    let (one, _other) = (client(&mut a), client(&mut a));
    let said = event("u", "a-h-G", "<detail><a b=\"1\" c=\"2\"/></detail>");
    let anew = said.replace("b=\"1\" c=\"2\"", "c=\"2\" b=\"1\"");
    assert_eq!(a.receive_xml(one, said.as_bytes(), NOW), Verdict::Routed(1));
    assert_eq!(a.receive_xml(one, anew.as_bytes(), NOW), Verdict::Routed(1));
    mesh(&mut a, "lan");
    let verdict = a.receive_xml(one, said.as_bytes(), later(1));
    assert_eq!(verdict, Verdict::Routed(2), "compared anew from now on");
    assert_eq!(
        a.receive_xml(one, anew.as_bytes(), later(1)),
        Verdict::Dropped(Reason::Duplicate)
    );
}

//! Whatever comes in: counted under its reason, at most that one connection closed, the others served, memory flat.

use crate::support::{Authority, Device, RawDevice, Setup, TomboloBox, eventually, track};

struct Scene {
    alpha: TomboloBox,
    hawk: Device,
    otter: Device,
    fences: u64,
}

impl Scene {
    fn new() -> Self {
        let authority = Authority::new("alpha-ca");
        let alpha = Setup::new("alpha")
            .identity(&authority.issue("alpha"))
            .limit("half_event_seconds", 1)
            .start();
        let [hawk, otter] = [(); 2].map(|()| Device::plain(alpha.clients_tcp()));
        alpha.wait_clients(2);
        Self {
            alpha,
            hawk,
            otter,
            fences: 0,
        }
    }

    /// The bystanders are still served.
    #[track_caller]
    fn others_are_served(&mut self) {
        self.fences += 1;
        let name = format!("fence-{}", self.fences);
        self.hawk.send(track(&name, self.fences));
        self.otter.expect_uid(&name);
    }

    /// The input is counted once more under its reason; what follows on the connection still comes through, or not.
    #[track_caller]
    fn counts(&mut self, reason: &str, input: &[u8], closes: bool) {
        let before = self.alpha.status().dropped_local(reason);
        let mut villain = RawDevice::connect(self.alpha.clients_tcp());
        villain.send(input);
        eventually(&format!("counted as {reason}"), || {
            (self.alpha.status().dropped_local(reason) > before).then_some(())
        });
        if closes {
            villain.expect_closed(reason);
        } else {
            let name = format!("after-{reason}-{}", self.fences);
            assert!(
                villain.send(track(&name, 1).as_bytes()),
                "stays open after {reason}"
            );
            self.otter.expect_uid(&name);
        }
        self.others_are_served();
    }
}

fn with_detail(detail: &str) -> String {
    track("villain", 1).replace("<detail>", &format!("<detail>{detail}"))
}

#[test]
fn an_event_smuggled_in_cdata_or_a_comment() {
    let mut scene = Scene::new();
    let inner = track("smuggled", 1);
    for wrapped in [format!("<![CDATA[{inner}]]>"), format!("<!--{inner}-->")] {
        scene.counts(
            "ambiguous",
            with_detail(&format!("<x>{wrapped}</x>")).as_bytes(),
            false,
        );
    }
    assert_eq!(scene.otter.count("villain"), 0);
}

#[test]
fn an_event_of_two_megabytes() {
    let mut scene = Scene::new();
    let before = scene.alpha.resident_kib();
    for _ in 0..5 {
        let large = with_detail(&"x".repeat(2 * 1024 * 1024));
        scene.counts("oversize", large.as_bytes(), true);
    }
    let grown = scene.alpha.resident_kib().saturating_sub(before);
    assert!(grown < 2 * 1024, "memory grew by {grown} KiB");
    assert_eq!(scene.otter.count("villain"), 0);
}

#[test]
fn bytes_that_are_no_text() {
    let mut scene = Scene::new();
    let mut event = with_detail("<remarks>??</remarks>").into_bytes();
    let at = memchr::memmem::find(&event, b"??").expect("the place");
    event[at] = 0xC3;
    event[at + 1] = 0x28;
    scene.counts("not_text", &event, false);
}

#[test]
fn entities_that_multiply() {
    let mut scene = Scene::new();
    let before = scene.alpha.resident_kib();
    let mut bomb = String::from("<!DOCTYPE event [<!ENTITY a \"ha\">");
    for (outer, inner) in ["b", "c", "d", "e", "f", "g"]
        .iter()
        .zip(["a", "b", "c", "d", "e", "f"])
    {
        bomb += &format!("<!ENTITY {outer} \"{}\">", format!("&{inner};").repeat(10));
    }
    bomb += "]>";
    bomb += &with_detail("<remarks>&g;</remarks>");
    let status = scene.alpha.status();
    let total = |status: &crate::support::Status| {
        ["doctype", "entity", "garbage"]
            .iter()
            .map(|reason| status.dropped_local(reason))
            .sum::<u64>()
    };
    let counted = total(&status);
    let mut villain = RawDevice::connect(scene.alpha.clients_tcp());
    villain.send(bomb.as_bytes());
    eventually("counted", || {
        (total(&scene.alpha.status()) > counted).then_some(())
    });
    scene.others_are_served();
    scene.counts(
        "entity",
        with_detail("<remarks>&g;</remarks>").as_bytes(),
        false,
    );
    let inside = with_detail("<!DOCTYPE detail [<!ENTITY a \"ha\">]>");
    scene.counts("doctype", inside.as_bytes(), false);
    assert_eq!(scene.otter.count("villain"), 0);
    assert!(scene.alpha.resident_kib().saturating_sub(before) < 2 * 1024);
}

#[test]
fn a_processing_instruction() {
    Scene::new().counts(
        "processing_instruction",
        with_detail("<?php echo 1 ?>").as_bytes(),
        false,
    );
}

#[test]
fn ten_thousand_elements_deep() {
    let mut scene = Scene::new();
    let deep = with_detail(&("<a>".repeat(10_000) + &"</a>".repeat(10_000)));
    scene.counts("too_deep", deep.as_bytes(), false);
}

#[test]
fn half_an_event_then_silence() {
    let mut scene = Scene::new();
    let whole = track("villain", 1);
    scene.counts("half_event", &whole.as_bytes()[..whole.len() / 2], true);
}

#[test]
fn garbage_before_an_event_and_without_end() {
    let mut scene = Scene::new();
    let before = scene.alpha.resident_kib();
    let request = format!("GET / HTTP/1.1\r\nHost: box\r\n\r\n{}", track("sound", 1));
    scene.counts("garbage", request.as_bytes(), false);
    scene.otter.expect_uid("sound");
    let counted = scene.alpha.status().dropped_local("garbage");
    let mut villain = RawDevice::connect(scene.alpha.clients_tcp());
    villain.send(&vec![b'x'; 4 * 1024 * 1024]);
    eventually("endless garbage is counted", || {
        (scene.alpha.status().dropped_local("garbage") > counted).then_some(())
    });
    scene.others_are_served();
    let grown = scene.alpha.resident_kib().saturating_sub(before);
    assert!(grown < 2 * 1024, "memory grew by {grown} KiB");
}

#[test]
fn elements_that_do_not_match_and_attributes_that_miss() {
    let mut scene = Scene::new();
    scene.counts("malformed", with_detail("<a></b>").as_bytes(), false);
    scene.counts(
        "incomplete",
        track("villain", 1)
            .replace(" type=\"a-h-G-U-C\"", "")
            .as_bytes(),
        false,
    );
    let wrong = track("villain", 1).replacen("time=\"", "time=\"yesterday ", 1);
    scene.counts("bad_time", wrong.as_bytes(), false);
}

//! A federate that is away: what is kept for it, and in which order it gets that when it comes back.

use super::*;
use crate::config::Limits;
use crate::route::spool::testing::Card;

/// A box with a client and a registered peer, and its card.
pub(super) struct Rig {
    pub router: Router,
    pub card: Card,
    pub hawk: LinkId,
}

impl Rig {
    pub fn new(limits: &Limits, peers: &[&str]) -> Self {
        let mut router = Router::new(Settings::of(limits, ID_A.to_owned(), 7));
        let specs: Vec<PeerSpec> = peers
            .iter()
            .map(|&name| PeerSpec {
                name: name.to_owned(),
                incoming: true,
                outgoing: true,
                correct_clock: true,
            })
            .collect();
        router.set_peers(&specs);
        router.set_spools(peers);
        let address = String::new();
        let hawk = router.attach(
            LinkSpec::Client {
                address,
                network: Network::LOCAL,
            },
            NOW,
        );
        Self {
            router,
            card: Card::default(),
            hawk,
        }
    }

    pub fn say(&mut self, xml: &str, now: Now) -> Verdict {
        self.router.receive_xml(self.hawk, xml.as_bytes(), now)
    }

    /// Has the card do what is to be done now.
    pub fn work(&mut self, now: Now) -> bool {
        let context = Context::from_waker(Waker::noop());
        let mut worked = false;
        while let Poll::Ready(jobs) = self.router.poll_spool(&context, now) {
            for job in jobs {
                worked = true;
                if let Some(done) = self.card.perform(job) {
                    self.router.spool_done(done, now);
                }
            }
        }
        worked
    }

    pub fn tick(&mut self, now: Now) {
        self.router.spool_tick(now);
        self.work(now);
    }

    pub fn up(&mut self, peer: &str, now: Now) -> LinkId {
        let spec = LinkSpec::Federate {
            name: peer.to_owned(),
            incoming: true,
            outgoing: true,
            wire: Wire::Federated,
        };
        self.router.attach(spec, now)
    }

    /// Everything that a link gets, `<uid> <type>` of each event, contacts as `+uid` and `-uid`.
    pub fn get(&mut self, link: LinkId, now: Now) -> Vec<String> {
        let mut bytes = Vec::new();
        loop {
            let mut context = Context::from_waker(Waker::noop());
            match self.router.poll_batch(link, &mut context, now) {
                Poll::Ready(batch) => bytes.extend_from_slice(&batch.unwrap()),
                Poll::Pending if self.work(now) => {}
                Poll::Pending => break,
            }
        }
        let mut told = Vec::new();
        let mut rest = bytes.as_slice();
        while let [0, a, b, c, d, tail @ ..] = rest {
            let (message, tail) = tail.split_at(u32::from_be_bytes([*a, *b, *c, *d]) as usize);
            rest = tail;
            let message = crate::wire::fig::parse(message, b"").unwrap();
            let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
            told.push(match (message.event, message.contact) {
                (Some(event), _) => format!("{} {}", text(event.uid), text(event.kind)),
                (None, Some(contact)) => {
                    let sign = match contact.operation {
                        crate::wire::fig::Operation::Delete => '-',
                        _ => '+',
                    };
                    format!("{sign}{}", text(contact.uid))
                }
                (None, None) => "nothing".into(),
            });
        }
        told
    }

    /// `offered = sent + queued + dropped + spooled`, and what was spooled is accounted for.
    pub fn balance(&self, peer: &str) {
        let (federate, outbox) = (self.router.links.iter())
            .find_map(|link| match &link.kind {
                Kind::Federate(federate) if federate.name == peer => Some((federate, &link.outbox)),
                _ => None,
            })
            .unwrap();
        let tally = &federate.counters;
        let dropped = |reasons: &[Reason]| -> u64 {
            reasons.iter().map(|&reason| tally.dropped(reason)).sum()
        };
        let gone = dropped(&[
            Reason::SpoolFull,
            Reason::SpoolExpired,
            Reason::SpoolDamaged,
        ]);
        let waiting = federate.spool.waiting();
        assert_eq!(tally.spooled, tally.delivered + waiting + gone, "{peer}");
        assert!(outbox.offered() >= outbox.sent() + outbox.queued() as u64 + outbox.spooled());
    }
}

fn at(seconds: u64) -> Now {
    Now {
        mono_ms: NOW.mono_ms + seconds * 1000,
        wall_ms: NOW.wall_ms + i64::try_from(seconds).unwrap() * 1000,
    }
}

fn delete(uid: &str) -> String {
    let link = format!("<detail><link uid=\"{uid}\" type=\"u-d-f\" relation=\"none\"/></detail>");
    event(&format!("delete-{uid}"), "t-x-d-d", &link)
}

#[test]
fn contacts_control_chat_tracks_and_then_what_comes_now() {
    let mut rig = Rig::new(&Limits::default(), &["bravo"]);
    rig.say(&presence("hawk", "HAWK"), at(0));
    for number in 0..30 {
        rig.say(&event(&format!("c{number}"), "b-t-f", "<detail/>"), at(1));
    }
    rig.say(&event("alarm", "b-a-o-tbl", "<detail/>"), at(2));
    rig.say(&event("t", "a-f-G", "<detail/>"), at(3));
    rig.say(&delete("marker"), at(3));
    rig.tick(at(4));
    assert_eq!(rig.router.spool_state("bravo", at(4)).events, 32);
    let link = rig.up("bravo", at(5));
    // What comes now waits behind what waited.
    rig.say(&event("now", "b-t-f", "<detail/>"), at(5));
    rig.say(&event("t2", "a-f-G", "<detail/>"), at(5));
    let told = rig.get(link, at(5));
    let mut expected = vec![
        "+hawk".to_owned(),
        "alarm b-a-o-tbl".into(),
        "delete-marker t-x-d-d".into(),
    ];
    expected.extend((0..30).map(|number| format!("c{number} b-t-f")));
    expected.push("now b-t-f".into());
    let (t2, rest): (Vec<_>, Vec<_>) = told.into_iter().partition(|line| line == "t2 a-f-G");
    assert_eq!(t2.len(), 1, "a live track passes now and then");
    assert_eq!(rest[..expected.len()], expected);
    // The latest events come in the order of their places.
    assert!(rest[expected.len()..].contains(&"t a-f-G".to_owned()));
    rig.balance("bravo");
    // Nothing has proved to have arrived: a link that breaks now gets all of it again.
    rig.router.detach(link, at(6));
    let link = rig.up("bravo", at(7));
    let again = rig.get(link, at(7));
    assert_eq!(again[..expected.len()], expected);
    rig.router.taken("bravo", u64::MAX);
    rig.work(at(8));
    assert_eq!(rig.router.spool_state("bravo", at(8)).events, 0);
    assert_eq!(rig.card.bytes(), 0);
    rig.balance("bravo");
    let tally = rig.router.peer_counters("bravo").unwrap();
    assert_eq!((tally.spooled, tally.delivered), (33, 33));
}

#[test]
fn an_alarm_that_was_raised_and_cancelled_ends_cancelled() {
    let mut rig = Rig::new(&Limits::default(), &["bravo"]);
    for second in 0..300 {
        let alarm = event("alarm", "b-a-o-tbl", &format!("<detail>{second}</detail>"));
        rig.say(&alarm, at(second));
        rig.work(at(second));
    }
    assert_eq!(
        rig.card.writes, 1,
        "an alarm goes to the card at once, and its repetitions do not"
    );
    rig.say(&event("alarm", "b-a-o-can", "<detail/>"), at(300));
    rig.work(at(300));
    assert_eq!(rig.card.writes, 2);
    let link = rig.up("bravo", at(301));
    assert_eq!(
        rig.get(link, at(301)),
        ["alarm b-a-o-tbl", "alarm b-a-o-can"]
    );
    // While it stands, a link that comes back is told it as the latest.
    let mut rig = Rig::new(&Limits::default(), &["bravo"]);
    rig.say(&event("alarm", "b-a-o-tbl", "<detail>1</detail>"), at(0));
    rig.say(&event("alarm", "b-a-o-tbl", "<detail>2</detail>"), at(1));
    let link = rig.up("bravo", at(2));
    assert_eq!(rig.get(link, at(2)), ["alarm b-a-o-tbl", "alarm b-a-o-tbl"]);
}

#[test]
fn a_delete_beats_an_older_position_and_not_one_who_came_back() {
    let mut rig = Rig::new(&Limits::default(), &["bravo"]);
    rig.say(&event("gone", "a-h-G", "<detail/>"), at(0));
    rig.say(&delete("gone"), at(1));
    rig.say(&event("back", "a-h-G", "<detail/>"), at(2));
    rig.say(&delete("back"), at(3));
    rig.say(&event("back", "a-h-G", "<detail>again</detail>"), at(4));
    let link = rig.up("bravo", at(5));
    assert_eq!(rig.get(link, at(5)), ["delete-gone t-x-d-d", "back a-h-G"]);
    rig.router.taken("bravo", u64::MAX);
    assert_eq!(
        rig.router
            .peer_counters("bravo")
            .unwrap()
            .dropped(Reason::SpoolExpired),
        1
    );
    rig.balance("bravo");
}

#[test]
fn only_the_newest_of_a_track_is_told_and_nothing_that_is_stale() {
    let mut rig = Rig::new(&Limits::default(), &["bravo"]);
    for number in 0..10 {
        rig.say(
            &event("t", "a-h-G", &format!("<detail>{number}</detail>")),
            at(number),
        );
    }
    let soon = event("s", "a-h-G", "<detail/>")
        .replace("stale=\"2036-09-21T14:13:20", "stale=\"2026-09-21T14:15:20");
    rig.say(&soon, at(0));
    let link = rig.up("bravo", at(60));
    assert_eq!(rig.get(link, at(60)), ["t a-h-G", "s a-h-G"]);
    rig.router.detach(link, at(61));
    let link = rig.up("bravo", at(200));
    assert_eq!(rig.get(link, at(200)), ["t a-h-G"]);
}

#[test]
fn directed_chat_waits_for_users_behind_a_link_that_is_down() {
    let mut rig = Rig::new(&Limits::default(), &["bravo"]);
    let link = rig.up("bravo", at(0));
    let mut far = router(ID_B);
    let (otter, to_a) = (client(&mut far), federate(&mut far, "a"));
    far.receive_xml(otter, presence("otter", "OTTER").as_bytes(), NOW);
    carry(&mut far, to_a, &mut rig.router, link);
    rig.get(link, at(0));
    rig.router.detach(link, at(1));
    let chat = event(
        "c",
        "b-t-f",
        "<detail><marti><dest callsign=\"OTTER\"/></marti></detail>",
    );
    assert_eq!(rig.say(&chat, at(2)), Verdict::Routed(1));
    // A position that was addressed to somebody is not worth sending once it is stale.
    let here = event(
        "p",
        "a-f-G",
        "<detail><marti><dest callsign=\"OTTER\"/></marti></detail>",
    )
    .replace("stale=\"2036", "stale=\"2026");
    rig.say(&here, at(2));
    let link = rig.up("bravo", at(3));
    let told = rig.get(link, at(3));
    assert!(
        told.contains(&"c b-t-f".to_owned()) && !told.contains(&"p a-f-G".to_owned()),
        "{told:?}"
    );
}

#[test]
fn what_a_connection_took_and_never_acknowledged_goes_again_and_the_receiver_knows_it() {
    let mut rig = Rig::new(&Limits::default(), &["bravo"]);
    let link = rig.up("bravo", at(0));
    rig.get(link, at(0));
    rig.say(&event("c1", "b-t-f", "<detail/>"), at(1));
    assert_eq!(rig.get(link, at(1)), ["c1 b-t-f"]);
    rig.say(&event("c2", "b-t-f", "<detail/>"), at(2));
    rig.router.detach(link, at(3));
    rig.say(&event("c3", "b-t-f", "<detail/>"), at(4));
    rig.tick(at(4));
    let link = rig.up("bravo", at(5));
    assert_eq!(rig.get(link, at(5)), ["c1 b-t-f", "c2 b-t-f", "c3 b-t-f"]);
    rig.balance("bravo");
    // The far box had c1 already, an hour ago.
    let (mut a, mut b) = (router(ID_A), router(ID_B));
    let (sender, to_b, to_a) = (client(&mut a), federate(&mut a, "b"), federate(&mut b, "a"));
    a.receive_xml(sender, event("c1", "b-t-f", "<detail/>").as_bytes(), NOW);
    let message = messages(&mut a, to_b).remove(0);
    assert_eq!(
        b.receive_federated(to_a, &message, at(0)),
        Verdict::Routed(0)
    );
    let again = b.receive_federated(to_a, &message, at(3600));
    assert_eq!(again, Verdict::Dropped(Reason::Duplicate));
}

#[test]
fn what_waits_goes_when_the_direction_is_switched_on_again() {
    let mut rig = Rig::new(&Limits::default(), &["bravo"]);
    rig.say(&event("c1", "b-t-f", "<detail/>"), at(0));
    let set = |rig: &mut Rig, outgoing| {
        rig.router.set_peers(&[PeerSpec {
            name: "bravo".into(),
            incoming: true,
            outgoing,
            correct_clock: true,
        }]);
    };
    let spec = LinkSpec::Federate {
        name: "bravo".into(),
        incoming: true,
        outgoing: false,
        wire: Wire::Federated,
    };
    set(&mut rig, false);
    let link = rig.router.attach(spec, at(1));
    assert_eq!(rig.get(link, at(1)), [""; 0]);
    set(&mut rig, true);
    rig.say(&event("c2", "b-t-f", "<detail/>"), at(2));
    rig.tick(at(3));
    assert_eq!(rig.get(link, at(3)), ["c1 b-t-f", "c2 b-t-f"]);
}

#[test]
fn without_a_spool_nothing_is_kept() {
    let mut rig = Rig::new(&Limits::default(), &["bravo"]);
    rig.say(&event("c", "b-t-f", "<detail/>"), at(0));
    rig.router.set_spools(&[]);
    rig.say(&event("d", "b-t-f", "<detail/>"), at(0));
    rig.tick(at(1));
    let tally = rig.router.peer_counters("bravo").unwrap();
    assert_eq!(tally.dropped(Reason::LinkDown), 2);
    assert_eq!((rig.card.bytes(), rig.router.pool.used), (0, 0));
    let link = rig.up("bravo", at(2));
    assert_eq!(rig.get(link, at(2)), [""; 0]);
}

#[test]
fn the_bounds_hold_chat_gives_way_first_and_the_largest_pays() {
    let limits = Limits {
        spool_kib: 64,
        spool_events: 100,
        max_event_kib: 16,
        ..Limits::default()
    };
    let mut rig = Rig::new(&limits, &["bravo", "charlie"]);
    let charlie = rig.up("charlie", at(0));
    rig.get(charlie, at(0));
    for number in 0..20 {
        rig.say(
            &event(&format!("a{number}"), "b-a-o-tbl", "<detail/>"),
            at(number),
        );
        rig.work(at(number));
    }
    for number in 0..300 {
        if number == 250 {
            rig.router.taken("charlie", u64::MAX);
            rig.router.detach(charlie, at(number));
        }
        rig.say(
            &event(&format!("c{number}"), "b-t-f", "<detail/>"),
            at(number),
        );
        rig.tick(at(number));
        if number < 250 {
            rig.get(charlie, at(number));
        }
        let states = ["bravo", "charlie"].map(|peer| rig.router.spool_state(peer, at(number)));
        assert!(states.iter().map(|state| state.events).sum::<u64>() <= 100);
        assert!(states.iter().map(|state| state.bytes).sum::<u64>() <= 64 * 1024);
        assert!(rig.card.bytes() <= 64 * 1024 && rig.card.is_sound());
        rig.balance("bravo");
        rig.balance("charlie");
    }
    // Bravo had filled it before, and gave way: chat is shared evenly, but for a segment.
    let charlie = rig.router.spool_state("charlie", at(300)).events;
    assert!(charlie >= 25, "{charlie}");
    let link = rig.up("bravo", at(300));
    let told = rig.get(link, at(300));
    let alarms = told
        .iter()
        .filter(|line| line.ends_with("b-a-o-tbl"))
        .count();
    assert!(alarms >= 20, "{told:?}");
    assert_eq!(
        told.iter().rfind(|line| line.ends_with("b-t-f")).unwrap(),
        "c299 b-t-f"
    );
}

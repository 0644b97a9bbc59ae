//! XML, `GeoEvent` and `TakMessage`: every real event through all nine pairs of them, and what each form cannot carry,
//! as ARCHITECTURE has it. In one process, because the wire is not what is tried here.

use std::fs;
use std::path::Path;
use std::task::{Context, Poll, Waker};

use tombolo::clock::Now;
use tombolo::config::Limits;
use tombolo::cot::{render, tak};
use tombolo::counters::Reason;
use tombolo::route::{LinkId, LinkSpec, Network, Router, Settings, Verdict, Wire};
use tombolo::wire::tak::framing::{self, Found};
use tombolo::wire::{fig, stamp, tak as wire, xml};

use crate::support::{Element, corpus};

/// The three forms.
const FORMS: [Wire; 3] = [Wire::Xml, Wire::Federated, Wire::Tak];

/// A box with one neighbour that sends, and one of each form that is sent to.
struct Crossing {
    router: Router,
    from: LinkId,
    /// In the order of [`FORMS`].
    to: [LinkId; 3],
    now: Now,
}

impl Crossing {
    fn new(from: Wire, now: Now) -> Self {
        // The sender's box and this one are not the same.
        let id = if from == Wire::Federated { "b" } else { "a" };
        let mut router = Router::new(Settings::of(&Limits::default(), id.repeat(32), 1));
        let mut link = |wire: Wire, name: &str| {
            let spec = match wire {
                Wire::Federated | Wire::Legacy => LinkSpec::Federate {
                    name: name.to_owned(),
                    incoming: true,
                    outgoing: true,
                    wire,
                },
                Wire::Xml | Wire::Tak => LinkSpec::Client {
                    address: name.to_owned(),
                    network: Network::LOCAL,
                },
            };
            let id = router.attach(spec, now);
            router.set_wire(id, wire);
            id
        };
        let (from, to) = (link(from, "from"), FORMS.map(|form| link(form, "to")));
        let mut crossing = Self {
            router,
            from,
            to,
            now,
        };
        for to in crossing.to {
            crossing.take(to);
        }
        crossing
    }

    fn take(&mut self, link: LinkId) -> Vec<u8> {
        let mut context = Context::from_waker(Waker::noop());
        let mut all = Vec::new();
        while let Poll::Ready(Some(batch)) = self.router.poll_batch(link, &mut context, self.now) {
            all.extend_from_slice(&batch);
        }
        all
    }

    /// Sends an event and gives what each of the three gets, without framing; nothing where it gets nothing.
    fn send(&mut self, form: Wire, event: &[u8]) -> [Vec<u8>; 3] {
        let verdict = match form {
            Wire::Xml => self.router.receive_xml(self.from, event, self.now),
            Wire::Tak => self.router.receive_tak(self.from, event, self.now),
            _ => self.router.receive_federated(self.from, event, self.now),
        };
        assert!(matches!(verdict, Verdict::Routed(_)), "{verdict:?}");
        let [plain, federate, tak] = self.to.map(|to| self.take(to));
        // A contact entry may come before the event, which is the last of what the federate gets.
        let (mut last, mut rest) = (Vec::new(), federate.as_slice());
        while let [0, a, b, c, d, behind @ ..] = rest {
            let (message, behind) = behind.split_at(u32::from_be_bytes([*a, *b, *c, *d]) as usize);
            (last, rest) = (message.to_vec(), behind);
        }
        if fig::parse(&last, b"").is_ok_and(|message| message.event.is_none()) {
            last.clear();
        }
        let tak = match framing::next(&tak, usize::MAX) {
            Found::Message { start, end } => {
                assert_eq!(end, tak.len(), "one message");
                tak[start..].to_vec()
            }
            Found::More { begun: false } => Vec::new(),
            found => panic!("{found:?}"),
        };
        [plain, last, tak]
    }
}

/// The time in an event's own clock, a little later: so nothing is taken for a wrong clock, or for stale.
fn now_of(event: &str) -> Now {
    let time = xml::parse(event.as_bytes()).expect("an event").time;
    Now {
        mono_ms: 1_000,
        wall_ms: time.unwrap_or(1_790_000_000_000) + 30,
    }
}

/// What an event in that form says, as XML.
fn shown(form: Wire, bytes: &[u8]) -> Result<String, Reason> {
    let (mut stamps, mut reader) = (stamp::Writer::default(), xml::Reader::default());
    let (mut out, mut room, mut checked) = (Vec::new(), Vec::new(), xml::Event::nothing());
    match form {
        Wire::Xml => out = bytes.to_vec(),
        Wire::Tak => {
            let event = wire::parse(bytes)?.event.ok_or(Reason::Incomplete)?;
            tak::read_detail(&mut checked, &event, &mut room, &mut reader)?;
            tak::render::put_event(&mut out, &event, checked.detail.as_ref(), &mut stamps)?;
        }
        _ => {
            let event = fig::parse(bytes, b"")?.event.ok_or(Reason::Incomplete)?;
            render::read_detail(&mut checked, &event, &mut reader)?;
            render::put_event(&mut out, &event, checked.detail.as_ref(), &mut stamps)?;
        }
    }
    Ok(String::from_utf8(out).expect("text"))
}

#[test]
fn real_events_through_all_nine_pairs() {
    for (path, original) in corpus() {
        let (meant, now) = (Element::parse(&original), now_of(&original));
        let made = Crossing::new(Wire::Xml, now).send(Wire::Xml, original.as_bytes());
        for (form, bytes) in FORMS.into_iter().zip(&made) {
            let came = Crossing::new(form, now).send(form, bytes);
            for (to, came) in FORMS.into_iter().zip(&came) {
                let text = shown(to, came)
                    .unwrap_or_else(|reason| panic!("{path}: {form:?} to {to:?}: {reason}"));
                let is = Element::parse(&text);
                assert_eq!(
                    is, meant,
                    "{path}: {form:?} to {to:?}\nis {is}\nmeant {meant}"
                );
                match (form, to) {
                    (Wire::Federated, Wire::Federated) => {
                        assert!(came.starts_with(bytes), "{path}: our mark is appended");
                    }
                    (form, to) if form == to => assert_eq!(came, bytes, "{path}"),
                    _ => {}
                }
            }
        }
    }
}

/// What becomes of something on its way through a form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// It comes back as it was.
    Kept,
    /// The event comes back, and this is lost or changed.
    Lost,
    /// The event does not go that way at all.
    Refused(Reason),
}

impl Fate {
    fn word(self) -> String {
        match self {
            Self::Kept => "yes".to_owned(),
            Self::Lost => "no".to_owned(),
            Self::Refused(reason) => format!("not sent (`{reason}`)"),
        }
    }
}

/// What not every form can carry: its name in ARCHITECTURE, an event with it, and its fate as `GeoEvent` and `TakMessage`.
fn rows() -> Vec<(&'static str, String, Fate, Fate)> {
    use Fate::{Kept, Lost, Refused};
    let point = "<point lat='1.5' lon='2.5' hae='3.5' ce='4.5' le='5.5'/>";
    let time = "2026-01-01T00:00:00.000Z";
    let with = |attributes: &str, point: &str, rest: &str| {
        format!("<event version='2.0' uid='u' type='a-f-G' {attributes}>{point}{rest}</event>")
    };
    let times = format!("time='{time}' start='{time}' stale='2026-01-01T00:01:00.000Z'");
    let usual = format!("{times} how='m-g'");
    let detail = "<detail><remarks>text</remarks></detail>";
    let plain = |attributes: &str| with(&format!("{usual} {attributes}"), point, detail);
    let at = |point: &str| with(&usual, point, detail);
    let inside = |detail: &str| with(&usual, point, detail);
    let early = usual.replace("2026-", "1969-");
    let long = "x".repeat(64 * 1024);
    vec![
        (
            "`event@qos`, `event@opex`",
            plain("qos='1-r-c' opex='e'"),
            Lost,
            Kept,
        ),
        (
            "other attributes of `<event>`; `version` is 2.0 always",
            plain("extra='1'"),
            Lost,
            Lost,
        ),
        (
            "other attributes of `<point>`",
            at("<point lat='1.5' lon='2.5' hae='3.5' ce='4.5' le='5.5' extra='1'/>"),
            Lost,
            Lost,
        ),
        (
            "children of `<event>` beside `<point>` and `<detail>`",
            with(&usual, point, "<extra/><detail/>"),
            Lost,
            Lost,
        ),
        (
            "attributes of `<detail>` itself",
            inside("<detail extra='1'><a/></detail>"),
            Kept,
            Lost,
        ),
        (
            "text, comments and CDATA in `<detail>`",
            inside("<detail>t<!-- c --><![CDATA[<&]]><a>b</a></detail>"),
            Kept,
            Kept,
        ),
        ("no `<detail>`", with(&usual, point, ""), Kept, Kept),
        (
            "an empty `access`, `caveat` or `releasableTo`",
            plain("access=''"),
            Lost,
            Lost,
        ),
        (
            "a child twice, or one with text or attributes of its own where a typed field exists",
            inside(
                "<detail><track speed='1.5' course='2.5'/><track speed='3.5' course='4.5'/><status battery='5' readiness='true'/><takv device='d' platform='p' os='o' version='v'>t</takv></detail>",
            ),
            Kept,
            Kept,
        ),
        (
            "`track` or `battery` of zero",
            inside("<detail><track speed='0.0' course='0.0'/><status battery='0'/></detail>"),
            Kept,
            Kept,
        ),
        (
            "times below a millisecond, and how the zone is spelled",
            plain("").replace(
                &format!("time='{time}'"),
                "time='2026-01-01T00:00:00.0001Z'",
            ),
            Lost,
            Lost,
        ),
        (
            "how a number is spelled (`1.50`, `1e3`)",
            at("<point lat='1.50' lon='2.5' hae='1e3' ce='4.5' le='5.5'/>"),
            Lost,
            Lost,
        ),
        (
            "an unreadable `hae`, `ce` or `le`: becomes 9999999.0",
            at("<point lat='1.5' lon='2.5' hae='NaN' ce='4.5' le='5.5'/>"),
            Lost,
            Lost,
        ),
        (
            "`ce` or `le` from 999999 on that is not 9999999: becomes 9999999.0",
            at("<point lat='1.5' lon='2.5' hae='3.5' ce='999999.0' le='5.5'/>"),
            Kept,
            Lost,
        ),
        (
            "`hae` of exactly 999999: becomes 9999999.0",
            at("<point lat='1.5' lon='2.5' hae='999999.0' ce='4.5' le='5.5'/>"),
            Kept,
            Lost,
        ),
        (
            "an event without `how`",
            with(&times, point, detail),
            Refused(Reason::Incomplete),
            Kept,
        ),
        (
            "an event without `<point>`",
            with(&usual, "", detail),
            Refused(Reason::Incomplete),
            Refused(Reason::Incomplete),
        ),
        (
            "an event without time, start or stale",
            with("how='m-g'", point, detail),
            Refused(Reason::Incomplete),
            Refused(Reason::Incomplete),
        ),
        (
            "a time before 1970",
            with(&early, point, detail),
            Kept,
            Refused(Reason::BadTime),
        ),
        (
            "an event of more than 64 KiB",
            inside(&format!("<detail><remarks>{long}</remarks></detail>")),
            Kept,
            Refused(Reason::NotInTak),
        ),
    ]
}

/// Order of attributes, quotes and blanks do not count here either; the spelling of numbers and times does.
fn spelled(text: &str) -> (Element, Vec<String>) {
    let mut values: Vec<String> = Vec::new();
    for name in ["lat", "lon", "hae", "ce", "le", "time", "start", "stale"] {
        let head = &text[..text.find("<detail").unwrap_or(text.len())];
        for quote in ['"', '\''] {
            if let Some((_, rest)) = head.split_once(&format!(" {name}={quote}")) {
                values.push(rest.split(quote).next().unwrap_or_default().to_owned());
            }
        }
    }
    (Element::parse(text), values)
}

#[test]
fn what_the_forms_cannot_carry_is_what_architecture_says() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("ARCHITECTURE.md");
    let text = fs::read_to_string(file).expect("ARCHITECTURE.md");
    let mut table = String::from("| what | `GeoEvent` | `TakMessage` |\n|---|---|---|\n");
    for (what, event, geo, tak) in rows() {
        table += &format!("| {what} | {} | {} |\n", geo.word(), tak.word());
        let mut crossing = Crossing::new(Wire::Xml, now_of(&event));
        let [xml, federated, message] = crossing.send(Wire::Xml, event.as_bytes());
        assert_eq!(xml, event.as_bytes(), "{what}");
        let federate = crossing.router.peer_counters("to").expect("the federate");
        let dropped = [federate, &crossing.router.local_counters()];
        for ((form, bytes), (claim, dropped)) in
            [(Wire::Federated, federated), (Wire::Tak, message)]
                .into_iter()
                .zip([geo, tak].into_iter().zip(dropped))
        {
            let is = match bytes.as_slice() {
                [] => {
                    let (reason, _) = dropped.reasons().next().expect("a reason");
                    Fate::Refused(reason)
                }
                bytes => {
                    let back = shown(form, bytes).expect(what);
                    match spelled(&back) == spelled(&event) {
                        true => Fate::Kept,
                        false => Fate::Lost,
                    }
                }
            };
            assert_eq!(is, claim, "{what}: {form:?}");
        }
    }
    assert!(
        text.contains(&table),
        "ARCHITECTURE.md must have this table:\n{table}"
    );
}

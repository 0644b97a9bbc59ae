//! The federates, a card each: how the link stands, what stops it, what crosses, and the buttons.

use super::html::Html;
use super::say::{Bytes, Count, Rate, Span, ago, state, up};
use super::view::View;
use crate::access::Scope;
use crate::api::status::{Counts, PeerState, PeerStatus};
use crate::api::web::route::encode;
use crate::api::words;
use crate::counters::Reason;
use crate::link::hindrance::Hindrance;

/// The four directions: what a chip says, what it is about, and what the button asks for.
pub const SWITCHES: [(&str, &str, &str); 4] = [
    ("In", "its events are taken", "in"),
    ("Out", "our events are sent to it", "out"),
    ("DP-In", "its data packages are taken", "dp_in"),
    ("DP-Out", "it may have our data packages", "dp_out"),
];
/// So many get a card; more get a line each.
const CARDS: usize = 12;

/// All of them.
pub fn list(html: &mut Html, view: &View<'_>) {
    html.raw("<div class=\"cards\">");
    let peers = &view.status.peers;
    for peer in peers.iter().take(CARDS) {
        if html.is_full() {
            break;
        }
        card(html, peer, view);
    }
    html.raw("</div>");
    let Some(rest) = peers.get(CARDS..).filter(|rest| !rest.is_empty()) else {
        return;
    };
    html.raw("<ul class=\"card rows\">");
    for peer in rest {
        if html.is_full() {
            html.raw("<li>More is not shown here; <code>tombolo status</code> shows all.</li>");
            break;
        }
        html.raw("<li><a")
            .attribute("href", format_args!("/?peer={}", encode(&peer.name)))
            .raw(">");
        html.text(&peer.name).raw("</a>");
        pill(html, peer.state);
        html.raw("</li>");
    }
    html.raw("</ul>");
}

/// How a link stands, in a word.
pub fn pill(html: &mut Html, of: PeerState) {
    let (class, words) = state(of);
    html.raw("<span class=\"pill ")
        .raw(class)
        .raw("\">")
        .raw(words)
        .raw("</span>");
}

fn card(html: &mut Html, peer: &PeerStatus, view: &View<'_>) {
    let now = &view.status.clock.utc;
    html.raw("<article class=\"card peer ")
        .raw(state(peer.state).0)
        .raw("\"");
    html.attribute("id", format_args!("peer-{}", encode(&peer.name)));
    html.raw("><header><h3>").text(&peer.name).raw("</h3>");
    pill(html, peer.state);
    html.raw("</header><p class=\"where\">")
        .raw(up(peer.state))
        .raw(" · ")
        .text(&peer.protocol)
        .raw(" · ");
    html.text(peer.address.as_deref().unwrap_or("it dials us"))
        .raw("</p>");
    hindrance(html, peer);
    switches(html, peer, view.may(Scope::Change));
    html.raw("<dl class=\"facts\">");
    html.raw("<div><dt>In</dt><dd><b>")
        .text(Rate(peer.rate_in))
        .raw("</b> /s<small>")
        .text(Count(peer.events_in))
        .raw(" so far</small></dd></div>");
    html.raw("<div><dt>Out</dt><dd><b>")
        .text(Rate(peer.rate_out))
        .raw("</b> /s<small>")
        .text(Count(peer.events_out))
        .raw(" so far</small></dd></div>");
    html.fact("Last heard", ago(peer.last_heard.as_deref(), now));
    let skew = match (
        peer.clock.source.as_str(),
        peer.clock.offset_ms.unsigned_abs(),
    ) {
        ("exchange" | "events", off) if off >= 1000 => {
            let side = if peer.clock.offset_ms < 0 {
                "behind"
            } else {
                "ahead"
            };
            format!("{} {side}", Span(off / 1000))
        }
        ("exchange" | "events", _) => "agrees".to_owned(),
        _ => "not known".to_owned(),
    };
    html.fact("Its clock", skew);
    if let Some(round_trip) = peer.line.as_ref().and_then(|line| line.round_trip_ms) {
        html.fact("Round trip", format_args!("{round_trip:.0} ms"));
    }
    if let Some(proven) = peer.proven {
        html.fact("Proven", format_args!("{} ago", Span(proven.age_seconds)));
    }
    let waiting = peer.sending.waiting + peer.spool.events;
    if waiting > 0 {
        html.fact("Waiting", Count(waiting));
    }
    html.fact("Sent", Bytes(peer.sending.bytes_out));
    html.raw("</dl>");
    dropped(html, &peer.dropped, &peer.name, "Dropped");
    more(html, peer);
    buttons(html, peer, view);
    html.raw("</article>");
}

/// What stops it, in words, with the cure.
fn hindrance(html: &mut Html, peer: &PeerStatus) {
    if peer.reason.is_empty() && peer.stopped_by.is_none() {
        return;
    }
    html.raw("<p class=\"why\">");
    let word = peer.stopped_by.as_deref().unwrap_or_default();
    if !word.is_empty() {
        html.raw("<b>Stopped by: ").text(word).raw("</b> ");
    }
    html.text(&peer.reason);
    let steps = Hindrance::STEPS.iter().find(|step| step.word() == word);
    if let Some(step) = steps
        && !peer.reason.contains(step.cure())
    {
        html.raw("<span class=\"cure\">")
            .text(step.cure())
            .raw("</span>");
    }
    html.raw("</p>");
}

/// The chips. Who may change a federation presses them; for all others they only say how it is.
fn switches(html: &mut Html, peer: &PeerStatus, may_change: bool) {
    let crossing = &peer.crossing;
    let on = [
        crossing.incoming,
        crossing.outgoing,
        crossing.data_packages_in,
        crossing.data_packages_out,
    ];
    match may_change {
        true => {
            html.raw("<form class=\"chips\" method=\"post\" action=\"/peer\"><input type=\"hidden\" name=\"peer\"");
            html.attribute("value", &peer.name).raw(">");
        }
        false => {
            html.raw("<p class=\"chips\">");
        }
    }
    for ((label, about, word), on) in SWITCHES.into_iter().zip(on) {
        let now = if on { "on" } else { "off" };
        let next = if on { "off" } else { "on" };
        html.raw(if may_change {
            "<button name=\"do\""
        } else {
            "<span"
        });
        if may_change {
            html.attribute("value", format_args!("{word}_{next}"));
            html.attribute(
                "aria-label",
                format_args!(
                    "{label} of {}: {about}, is {now}, switch it {next}",
                    peer.name
                ),
            );
        }
        html.attribute("class", format_args!("chip {now}"))
            .attribute("title", about)
            .raw("><b>")
            .raw(label)
            .raw("</b> ")
            .raw(now);
        html.raw(if may_change { "</button>" } else { "</span>" });
    }
    html.raw(if may_change { "</form>" } else { "</p>" });
}

/// Events that did not go on, by reason, with the words; nothing where there are none.
pub fn dropped(html: &mut Html, counts: &Counts, of: &str, title: &'static str) {
    let total: u64 = counts.values().sum();
    if total == 0 {
        return;
    }
    html.raw("<details><summary>")
        .raw(title)
        .raw(": ")
        .text(Count(total))
        .raw("</summary><dl class=\"reasons\">");
    for (word, count) in counts {
        let reason = Reason::ALL.iter().find(|reason| reason.word() == word);
        html.raw("<div><dt>")
            .text(word)
            .raw(" <b>")
            .text(Count(*count))
            .raw("</b></dt>");
        if let Some(reason) = reason
            && !html.is_full()
        {
            html.element("dd", words::reason(*reason, of));
        }
        html.raw("</div>");
    }
    html.raw("</dl></details>");
}

/// What is rarely looked at.
fn more(html: &mut Html, peer: &PeerStatus) {
    let groups = peer.groups.words();
    let lines = [
        ("Filter", peer.crossing.filter.clone().unwrap_or_default()),
        ("Groups", groups),
        ("Clock", peer.clock.words()),
        ("Sending", peer.sending.to_string()),
        (
            "Waits for it",
            match peer.spool.events {
                0 => String::new(),
                events => format!(
                    "{events} events, {}, the oldest for {}",
                    Bytes(peer.spool.bytes),
                    Span(peer.spool.oldest_seconds)
                ),
            },
        ),
        ("Spool", peer.spool.fault.clone()),
        ("Relaxed", peer.relaxed.clone().unwrap_or_default()),
    ];
    let uplinks = peer
        .uplinks
        .iter()
        .map(|uplink| format!("{} {}", uplink.name, uplink.state));
    let uplinks = uplinks.collect::<Vec<_>>().join(", ");
    html.raw("<details><summary>More</summary><dl class=\"facts long\">");
    for (term, words) in lines.into_iter().chain([("Uplinks", uplinks)]) {
        if !words.is_empty() && !html.is_full() {
            html.fact(term, words);
        }
    }
    html.raw("</dl></details>");
}

fn buttons(html: &mut Html, peer: &PeerStatus, view: &View<'_>) {
    let (change, stop) = (view.may(Scope::Change), view.may(Scope::Stop));
    let check = change || view.may(Scope::Inject);
    if !(check || stop) {
        return;
    }
    html.raw("<div class=\"actions\">");
    let form = |html: &mut Html, method: &'static str, action: &'static str| {
        html.raw("<form method=\"")
            .raw(method)
            .raw("\" action=\"")
            .raw(action)
            .raw("\"><input type=\"hidden\" name=\"peer\"");
        html.attribute("value", &peer.name).raw(">");
    };
    if change {
        let (value, words) = match peer.enabled {
            true => ("pause", "Pause"),
            false => ("resume", "Resume"),
        };
        form(html, "post", "/peer");
        html.raw("<button name=\"do\"").attribute("value", value);
        html.attribute("aria-label", format_args!("{words} {}", peer.name))
            .raw(">")
            .raw(words)
            .raw("</button></form>");
    }
    if check {
        form(html, "post", "/check");
        html.raw("<button")
            .attribute("aria-label", format_args!("Check {}", peer.name))
            .raw(">Check</button></form>");
    }
    if stop {
        form(html, "get", "/remove");
        html.raw("<button class=\"quiet\"")
            .attribute("aria-label", format_args!("Remove {}", peer.name))
            .raw(">Remove…</button></form>");
    }
    html.raw("</div>");
}

//! The status page itself: what is wrong, the map, the links, the box.

use super::html::Html;
use super::say::{Bytes, Count, Span, clock, plural, source, up};
use super::view::View;
use super::{map, neighbours, peers};
use crate::access::Scope;
use crate::api::clock::span;
use crate::api::update::UpdateReport;

/// All that changes from moment to moment.
pub fn live(html: &mut Html, view: &View<'_>) {
    let status = &view.status;
    let node = &status.node;
    let (class, words) = match node.state.as_str() {
        "safe" => ("bad", "Safe mode"),
        "draining" => ("busy", "Stopping"),
        _ => ("good", "Running"),
    };
    html.raw("<section class=\"lead\"><h1>Status</h1><p class=\"pill ");
    html.raw(class).raw("\">");
    html.raw(words)
        .raw("</p><p class=\"sum\">")
        .text(sum(view))
        .raw("</p></section>");
    trouble(html, view);
    if !(status.peers.is_empty() && status.servers.is_empty() && status.meshes.is_empty()) {
        map::draw(html, status);
    }
    html.raw("<section><h2 id=\"federates\">Federates</h2>");
    if status.peers.is_empty() {
        html.raw("<p class=\"card hint\">No federate is registered yet. <code>tombolo peer add</code>, the console and ")
            .raw("<code>POST /api/federation</code> register one.</p>");
    }
    peers::list(html, view);
    html.raw("</section>");
    neighbours::tables(html, status);
    this_box(html, view);
    certificates(html, view);
}

/// How many links are up, and so on, in a line.
fn sum(view: &View<'_>) -> String {
    let status = &view.status;
    let states = status.peers.iter().map(|peer| up(peer.state));
    let states: Vec<&str> = states.collect();
    let of = |word| states.iter().filter(|state| **state == word).count();
    let mut parts = vec![match states.len() {
        0 => "no federates".to_owned(),
        all => format!("{} of {} up", of("up"), plural(all as u64, "federate")),
    }];
    if of("paused") > 0 {
        parts.push(format!("{} paused", of("paused")));
    }
    parts.push(plural(status.clients.into(), "client"));
    parts.push(clock(&status.clock.utc));
    parts.join(" · ")
}

/// What somebody should look at, if anything.
fn trouble(html: &mut Html, view: &View<'_>) {
    let status = &view.status;
    let mut lines = Vec::new();
    if !status.node.reason.is_empty() {
        lines.push(format!("Safe mode: {}", status.node.reason));
    }
    if !status.clock.fault.is_empty() {
        lines.push(format!("Clock: {}", status.clock.fault));
    }
    if !status.storage.fault.is_empty() {
        lines.push(format!("Storage: {}", status.storage.fault));
    }
    if status.power.under_voltage == Some(true) {
        lines.push(
            "Power: the voltage is too low; use a stronger supply or a shorter cable".to_owned(),
        );
    }
    if let Some(packages) = status.packages.as_ref()
        && !packages.fault.is_empty()
    {
        lines.push(format!("Data packages: {}", packages.fault));
    }
    if let Some(problem) = &status.led.problem {
        lines.push(format!("LED: {problem}"));
    }
    lines.extend(view.dates().iter().filter(|dated| dated.is_due()).map(
        |dated| match dated.days {
            0.. => format!(
                "{}: the certificate ends in {} ({})",
                dated.name,
                plural(dated.days as u64, "day"),
                dated.until
            ),
            _ => format!("{}: the certificate ended on {}", dated.name, dated.until),
        },
    ));
    if lines.is_empty() {
        return;
    }
    html.raw("<section class=\"card alert\"><h2>To look at</h2><ul>");
    for line in lines.iter().take(12) {
        html.element("li", line);
    }
    html.raw("</ul></section>");
}

fn this_box(html: &mut Html, view: &View<'_>) {
    let status = &view.status;
    let (node, clock_status, memory) = (&status.node, &status.clock, &status.memory);
    html.raw("<section class=\"half\"><h2>This box</h2><div class=\"card\"><dl class=\"facts\">");
    html.fact("Uptime", Span(node.uptime_seconds));
    let within = (clock_status.error_ms)
        .map_or_else(String::new, |error| format!(", within {}", span(error)));
    let trusted = if clock_status.trusted {
        ""
    } else {
        ", not vouched for"
    };
    html.fact(
        "Clock",
        format!("{}{within}{trusted}", source(&clock_status.quality)),
    );
    html.raw("<div><dt>Memory</dt><dd><meter min=\"0\"")
        .attribute("max", memory.ceiling_kib.max(1))
        .attribute("high", memory.ceiling_kib * 9 / 10)
        .attribute("value", memory.rss_kib)
        .raw("></meter> ")
        .text(format_args!(
            "{} of {}",
            Mib(memory.rss_kib),
            Mib(memory.ceiling_kib)
        ))
        .raw("</dd></div>");
    html.fact("Worst case by the limits", Mib(memory.budget_kib));
    let written = status
        .storage
        .written_bytes
        .map_or_else(|| "not known".to_owned(), |bytes| Bytes(bytes).to_string());
    let device = status.storage.device.as_deref().unwrap_or("disk");
    html.fact("Written since boot", format!("{written} ({device})"));
    html.fact(
        "Local events",
        format!(
            "{} in, {} out",
            Count(status.local.events_in),
            Count(status.local.events_out)
        ),
    );
    let refused: u64 = status.refused.values().sum();
    html.fact("Handshakes refused", Count(refused));
    if let Some(packages) = &status.packages {
        let standing = &packages.standing;
        html.fact(
            "Data packages",
            format!("{}, {}", Count(standing.packages), Bytes(standing.bytes)),
        );
    }
    html.fact("LED", &status.led.meaning);
    html.fact("Version", &node.version);
    html.raw("</dl>");
    peers::dropped(
        html,
        &status.local.dropped,
        "local clients",
        "Local events that did not go on",
    );
    peers::dropped(html, &status.refused, "", "Handshakes refused");
    html.raw("<details><summary>Clock and identity</summary><dl class=\"facts long\">");
    html.fact("Clock", clock_status.in_words());
    html.fact("Federate id", &node.federate_id);
    html.fact("Fingerprint (SHA-256)", &node.fingerprint);
    html.raw("</dl></details></div></section>");
}

struct Mib(u64);

impl std::fmt::Display for Mib {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{} MiB", self.0 / 1024, self.0 % 1024 * 10 / 1024)
    }
}

fn certificates(html: &mut Html, view: &View<'_>) {
    html.raw("<section class=\"half\"><h2>Certificates</h2><div class=\"card\"><table><thead><tr><th scope=\"col\">Certificate</th>")
        .raw("<th scope=\"col\">Good until</th><th scope=\"col\" class=\"number\">Days left</th></tr></thead><tbody>");
    for dated in view.dates() {
        if html.is_full() {
            break;
        }
        html.raw(if dated.is_due() {
            "<tr class=\"due\">"
        } else {
            "<tr>"
        });
        html.element("td", &dated.name).element("td", &dated.until);
        html.raw("<td class=\"number\">")
            .text(dated.days)
            .raw("</td></tr>");
    }
    html.raw("</tbody></table></div></section>");
}

/// What stays as it is while the page is open.
pub fn still(html: &mut Html, view: &View<'_>, update: Option<&UpdateReport>) {
    html.raw("<section><h2>Why did a track not arrive?</h2><form class=\"card fields line\" method=\"get\" action=\"/why\">")
        .raw("<div><label for=\"uid\">Uid or callsign</label><input id=\"uid\" name=\"uid\" maxlength=\"256\" required ")
        .raw("autocapitalize=\"none\" autocomplete=\"off\" spellcheck=\"false\"></div>")
        .raw("<div><label for=\"of\">At</label><select id=\"of\" name=\"peer\"><option value=\"\">everybody</option>");
    for entry in &view.entries {
        if html.is_full() {
            break;
        }
        html.raw("<option>").text(&entry.name).raw("</option>");
    }
    html.raw("</select></div><button>Ask</button></form></section>");
    let ours = &view.connection;
    html.raw("<section class=\"half\"><h2>For those who want to federate with this box</h2><div class=\"card\"><dl class=\"facts long\">");
    html.fact("Address", format!("{}:{}", ours.hostname, ours.port));
    html.fact("Fingerprint (SHA-256)", &ours.fingerprint);
    html.raw("</dl><p class=\"actions\"><a class=\"button\" href=\"/api/connection/federation.pem\">Our certificate</a>")
        .raw("<a class=\"button\" href=\"/api/connection/ca.pem\">Our CA</a>")
        .raw("<a class=\"button\" href=\"/api/connection/outgoing.xml\">CoreConfig: connection</a>")
        .raw("<a class=\"button\" href=\"/api/connection/federate.xml\">CoreConfig: federate</a></p>");
    for missing in &ours.missing {
        html.raw("<p class=\"hint\">").text(missing).raw("</p>");
    }
    html.raw("</div></section><section class=\"half\"><h2>Updates</h2><div class=\"card\">");
    match update {
        Some(report) => {
            html.raw("<dl class=\"facts\">");
            html.fact(
                "Runs",
                format!("{} in slot {}", report.version, report.running),
            );
            html.fact("Board", &report.board);
            html.fact("State", &report.words);
            html.raw("</dl>");
            if let Some(last) = report.history.last() {
                let why = if last.why.is_empty() {
                    String::new()
                } else {
                    format!(": {}", last.why)
                };
                let words = format!(
                    "Last: {} to {}, {:?}{why}",
                    last.from_version, last.version, last.end
                );
                html.raw("<p class=\"hint\">").text(words).raw("</p>");
            }
        }
        None => {
            html.raw("<p class=\"hint\">This machine has no two slots: it is updated by its packages.</p>");
        }
    }
    html.raw("</div></section>");
    if view.may(Scope::Admin) {
        html.raw("<p class=\"hint\">Tokens and users: <code>tombolo token</code>, or <code>/api/tokens</code>. All that ")
            .raw("the box can be asked: <a href=\"/openapi.json\">/openapi.json</a>.</p>");
    }
}

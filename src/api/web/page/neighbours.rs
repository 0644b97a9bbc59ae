//! What is there beside federates: servers, meshes, local networks.

use super::html::Html;
use super::peers::{dropped, pill};
use super::say::{Count, Rate, ago, plural};
use crate::api::status::Status;

/// A table each, where there is something to show.
pub fn tables(html: &mut Html, status: &Status) {
    servers(html, status);
    meshes(html, status);
    networks(html, status);
}

fn servers(html: &mut Html, status: &Status) {
    if status.servers.is_empty() {
        return;
    }
    html.raw("<section><h2>TAK servers</h2><div class=\"cards\">");
    for server in &status.servers {
        if html.is_full() {
            break;
        }
        html.raw("<article class=\"card\"><header><h3>")
            .text(&server.name)
            .raw("</h3>");
        pill(html, server.state);
        html.raw("</header><p class=\"where\">")
            .text(&server.address)
            .raw(" · ")
            .text(&server.protocol);
        html.raw(" · ")
            .text(plural(server.users.into(), "user"))
            .raw("</p>");
        why(html, server.stopped_by.as_deref(), &server.reason);
        html.raw("<dl class=\"facts\">");
        html.fact("In", format_args!("{} /s", Rate(server.rate_in)));
        html.fact("Out", format_args!("{} /s", Rate(server.rate_out)));
        html.fact(
            "Last heard",
            ago(server.last_heard.as_deref(), &status.clock.utc),
        );
        html.fact(
            "So far",
            format_args!(
                "{} in, {} out",
                Count(server.events_in),
                Count(server.events_out)
            ),
        );
        html.raw("</dl>");
        dropped(html, &server.dropped, &server.name, "Dropped");
        html.raw("</article>");
    }
    html.raw("</div></section>");
}

fn meshes(html: &mut Html, status: &Status) {
    if status.meshes.is_empty() {
        return;
    }
    html.raw("<section><h2>Meshes</h2><div class=\"cards\">");
    for mesh in &status.meshes {
        if html.is_full() {
            break;
        }
        html.raw("<article class=\"card\"><header><h3>")
            .text(&mesh.name)
            .raw("</h3>");
        pill(html, mesh.state);
        html.raw("</header><p class=\"where\">")
            .text(mesh.place())
            .raw("</p>");
        why(html, None, &mesh.reason);
        html.raw("<dl class=\"facts\">");
        html.fact("Heard", Count(mesh.events_in));
        html.fact("Said", Count(mesh.events_out));
        html.fact(
            "Last heard",
            ago(mesh.last_heard.as_deref(), &status.clock.utc),
        );
        html.fact("Form", &mesh.form);
        html.raw("</dl>");
        dropped(html, &mesh.dropped, &mesh.name, "Dropped");
        html.raw("</article>");
    }
    html.raw("</div></section>");
}

fn networks(html: &mut Html, status: &Status) {
    if status.networks.is_empty() {
        return;
    }
    html.raw("<section><h2>Local clients</h2><div class=\"card\"><ul class=\"plain\">");
    for network in &status.networks {
        if html.is_full() {
            break;
        }
        html.element("li", network.words());
    }
    html.raw("</ul></div></section>");
}

fn why(html: &mut Html, word: Option<&str>, reason: &str) {
    if reason.is_empty() && word.is_none() {
        return;
    }
    html.raw("<p class=\"why\">");
    if let Some(word) = word {
        html.raw("<b>Stopped by: ").text(word).raw("</b> ");
    }
    html.text(reason).raw("</p>");
}

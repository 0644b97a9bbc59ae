//! The map of the links: local networks, meshes and servers on the left, the box, federates on the right. The same is
//! said in words below it, so those who do not see it miss nothing.

use std::fmt::Display;

use super::html::Html;
use super::say::{Rate, plural, short, state, up};
use crate::api::status::{PeerState, Status};

/// Rows on either side.
const MOST: usize = 12;
/// Height of a row, and of what is drawn in it.
const ROW: usize = 52;
const HEIGHT: usize = 42;

/// One neighbour.
struct Node {
    name: String,
    about: String,
    class: &'static str,
    /// Events may come from it, and go to it.
    ways: [bool; 2],
    /// They do, now.
    flows: [bool; 2],
}

/// Draws it.
pub fn draw(html: &mut Html, status: &Status) {
    let (left, right) = (locals(status), federates(status));
    let rows = left.len().max(right.len()).clamp(1, MOST);
    let height = rows * ROW + 10;
    let ups = status
        .peers
        .iter()
        .filter(|peer| up(peer.state) == "up")
        .count();
    html.raw("<section><h2>Links</h2><div class=\"card map\"><svg role=\"img\"");
    html.attribute("viewBox", format_args!("0 0 360 {height}"));
    html.attribute("aria-label", format_args!(
        "Map of the links: {} on the left, this box in the middle, {} on the right, {ups} of them up",
        plural(left.len() as u64, "local neighbour"),
        plural(right.len() as u64, "federate"),
    ));
    html.raw("><g aria-hidden=\"true\">");
    side(html, &left, rows, true);
    side(html, &right, rows, false);
    html.raw("<rect class=\"hub\" x=\"152\" y=\"5\" width=\"56\" rx=\"10\"")
        .attribute("height", height - 10)
        .raw("/>");
    let middle = height / 2;
    text(
        html,
        "hubname",
        180,
        middle + 4,
        short(&status.node.name, 8),
    );
    html.raw("</g></svg></div></section>");
}

fn text(html: &mut Html, class: &'static str, x: usize, y: usize, words: impl Display) {
    html.raw("<text")
        .attribute("class", class)
        .attribute("x", x)
        .attribute("y", y);
    html.raw(">").text(words).raw("</text>");
}

fn side(html: &mut Html, nodes: &[Node], rows: usize, is_left: bool) {
    // In the middle of the height, if there are fewer than on the other side.
    let shown = nodes.len().min(MOST);
    let from = 5 + (rows - shown.min(rows)) * ROW / 2;
    let (x, middle, near, far) = match is_left {
        true => (2, 57, 112, 152),
        false => (248, 303, 248, 208),
    };
    for (index, node) in nodes.iter().take(shown).enumerate() {
        let y = from + index * ROW + (ROW - HEIGHT) / 2;
        let centre = y + HEIGHT / 2;
        // The upper line leads to the box, the lower one away from it.
        for (line, place, ends) in [(0, centre - 5, (near, far)), (1, centre + 5, (far, near))] {
            let flow = match (node.ways[line], node.flows[line]) {
                (false, _) => "none",
                (true, false) => "still",
                (true, true) => "flow",
            };
            html.raw("<path")
                .attribute("class", format_args!("link {} {flow}", node.class));
            let (start, end) = ends;
            html.attribute("d", format_args!("M{start} {place}H{end}"));
            html.raw("/>");
            if node.ways[line] {
                // The head of the arrow.
                let back = if end > start { end - 5 } else { end + 5 };
                html.raw("<path")
                    .attribute("class", format_args!("head {}", node.class));
                html.attribute(
                    "d",
                    format_args!("M{back} {}L{end} {place}L{back} {}Z", place - 3, place + 3),
                )
                .raw("/>");
            }
        }
        html.raw("<rect")
            .attribute("class", format_args!("node {}", node.class));
        html.attribute("x", x)
            .attribute("y", y)
            .raw(" width=\"110\"")
            .attribute("height", HEIGHT)
            .raw(" rx=\"8\"/>");
        text(html, "name", middle, y + 18, short(&node.name, 14));
        text(html, "about", middle, y + 33, short(&node.about, 19));
    }
}

fn rates(into: f64, out: f64) -> String {
    format!("↓ {}  ↑ {} /s", Rate(into), Rate(out))
}

fn federates(status: &Status) -> Vec<Node> {
    let mut nodes: Vec<Node> = (status.peers.iter())
        .map(|peer| {
            let (class, words) = state(peer.state);
            let ups = up(peer.state) == "up";
            Node {
                name: peer.name.clone(),
                about: if ups {
                    rates(peer.rate_in, peer.rate_out)
                } else {
                    words.to_owned()
                },
                class,
                ways: [
                    peer.crossing.incoming && peer.enabled,
                    peer.crossing.outgoing && peer.enabled,
                ],
                flows: [ups && peer.rate_in > 0.0, ups && peer.rate_out > 0.0],
            }
        })
        .collect();
    fold(&mut nodes);
    nodes
}

fn locals(status: &Status) -> Vec<Node> {
    let networks = status.networks.iter().map(|network| {
        let some = network.clients > 0;
        Node {
            name: network.name.clone(),
            about: plural(network.clients.into(), "client"),
            class: if some { "good" } else { "off" },
            ways: [network.incoming, network.outgoing],
            flows: [false; 2],
        }
    });
    let meshes = status.meshes.iter().map(|mesh| Node {
        name: mesh.name.clone(),
        about: format!("mesh · {}", state(mesh.state).1),
        class: state(mesh.state).0,
        ways: [mesh.incoming, mesh.outgoing],
        flows: [
            mesh.state == PeerState::Flowing && mesh.incoming,
            mesh.state == PeerState::Flowing && mesh.outgoing,
        ],
    });
    let servers = status.servers.iter().map(|server| Node {
        name: server.name.clone(),
        about: match up(server.state) {
            "up" => rates(server.rate_in, server.rate_out),
            _ => format!("server · {}", state(server.state).1),
        },
        class: state(server.state).0,
        ways: [server.enabled; 2],
        flows: [server.rate_in > 0.0, server.rate_out > 0.0],
    });
    let mut nodes: Vec<Node> = networks.chain(meshes).chain(servers).collect();
    fold(&mut nodes);
    nodes
}

/// Those for whom there is no room become one.
fn fold(nodes: &mut Vec<Node>) {
    let rest = nodes.len().saturating_sub(MOST - 1);
    if nodes.len() <= MOST {
        return;
    }
    nodes.truncate(MOST - 1);
    nodes.push(Node {
        name: format!("{rest} more"),
        about: "see below".to_owned(),
        class: "off",
        ways: [false; 2],
        flows: [false; 2],
    });
}
